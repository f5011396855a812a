//! Losses are logged at warn level, with the documented lines, and at a limited rate.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use ctnetlink::testing::{Kernel, RequestFault};
use ctnetlink::{Delta, ErrorKind};
use futures::StreamExt;
use tracing_core::LevelFilter;
use tracing_core::dispatcher::{Dispatch, set_default};

use crate::{new, run, udp};

/// The text that a plain subscriber has written.
#[derive(Default, Clone)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn subscriber(&self) -> Dispatch {
        let written = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::WARN)
            .with_ansi(false)
            .without_time()
            .with_writer(move || written.clone());
        Dispatch::new(subscriber.finish())
    }

    /// The lines during a test, to the end of its runtime.
    fn during<F: Future<Output = ()>>(test: F) -> Vec<String> {
        let written = Self::default();
        // With a single subscriber, tracing would cache the interest of another test's thread,
        // which has none.
        let _another = Self::default().subscriber();
        let guard = set_default(&written.subscriber());
        run(test);
        drop(guard);
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }
}

async fn overrun(kernel: &Kernel, handle: &ctnetlink::ConntrackHandle, n: u16) {
    kernel.on_request(0, RequestFault::Overrun);
    let lost = handle.create(new(n)).await.unwrap_err();
    assert_eq!(lost.kind(), ErrorKind::Overrun);
}

/// Many overflows of the control connection's queue make a few lines, which count each overflow.
#[test]
fn overruns_of_the_control_connection() {
    let began = Instant::now();
    let lines = Written::during(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        for n in 0..20 {
            overrun(&kernel, &handle, n).await;
        }
    });
    let times = |line: &String| -> u64 {
        let (text, times) = line.rsplit_once(" times=").unwrap();
        let said = "WARN ctnetlink: the control connection's receive queue overflowed";
        assert_eq!(text, said);
        times.parse().unwrap()
    };
    assert_eq!(lines.iter().map(times).sum::<u64>(), 20, "{lines:?}");
    // The first one, one per second, and the rest at the end.
    let seconds = began.elapsed().as_secs() as usize;
    assert!(lines.len() <= seconds + 2, "{lines:?}");
}

/// The line without the numbers that change each time.
fn without_numbers(line: &str) -> String {
    line.chars().filter(|char| !char.is_ascii_digit()).collect()
}

#[test]
fn the_lines_are_those_of_the_docs() {
    let lines = Written::during(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let mut mirror = handle.mirror().receive_buffer(64_000).await.unwrap();
        let mut synced = 0;
        while synced < 2 {
            match mirror.next().await.unwrap().unwrap() {
                Delta::Synced { .. } if synced == 0 => {
                    (0..150).for_each(|n| kernel.packet(udp(n), 60));
                    synced = 1;
                }
                Delta::Synced { .. } => synced = 2,
                _ => {}
            }
        }
        overrun(&kernel, &handle, 7000).await;
    });
    let docs = include_str!("../../src/lib.rs").lines();
    let docs = docs.filter_map(|line| line.strip_prefix("//! WARN "));
    let docs: Vec<_> = docs
        .map(|line| without_numbers(&format!("WARN {line}")))
        .collect();
    let lines: Vec<_> = lines.iter().map(|line| without_numbers(line)).collect();
    assert_eq!(lines, docs);
}
