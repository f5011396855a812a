//! Live events, from a generator that is as fast as the kernel.

use std::fs;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use ctnetlink::{Event, EventKinds};
use futures::StreamExt;

use crate::common::names::{AS_LISTED, names};
use crate::common::process::{self, Outcome};
use crate::common::raw::{BATCH, Raw};
use crate::common::{current_thread, fill, message};

/// Hidden: makes this process the generator.
pub(crate) const GENERATE: &str = "--generate";

/// The number of flows whose marks change.
const FLOWS: usize = 1024;

/// The number of changes, relative to the number of queued events in the other programs.
const MORE: usize = 10;

/// When the generator has ended and no event came for this long, all events have arrived.
const SILENCE: Duration = Duration::from_secs(2);

/// Half of the kernel's own default, `net.core.rmem_default`, because the kernel doubles the
/// number.
const DEFAULT_QUEUE: usize = 212_992 / 2;

/// The process that changes marks, when it gets a line with their number.
pub(crate) fn generate(changes: usize) {
    process::begin();
    let mut socket = Raw::open();
    socket.flush();
    fill::fill(FLOWS);
    let names = names(&mut socket, AS_LISTED);
    println!("ready");
    io::stdin().read_line(&mut String::new()).expect("a word");
    let start = Instant::now();
    let mut datagram = Vec::new();
    let mut number = 0;
    while number < changes {
        datagram.clear();
        let end = (number + BATCH).min(changes);
        for number in number + 1..=end {
            let flags = if number == end { message::ACK } else { 0 };
            names[number % FLOWS].set_mark(&mut datagram, flags, number as u32);
        }
        socket.send(&datagram);
        socket.acknowledged(end as u32);
        number = end;
    }
    let per_second = changes as f64 / start.elapsed().as_secs_f64();
    eprintln!("  generator: {per_second:.0} events per s");
}

/// Starts a generator, and waits until it is ready.
struct Generator(Child);

impl Generator {
    fn ready(changes: usize) -> Self {
        let bench = std::env::current_exe().expect("the path of the bench");
        let mut child = Command::new(bench)
            .args([GENERATE, &changes.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let said = child.stdout.as_mut().expect("its output");
        said.read_exact(&mut [0; 6]).expect("a word");
        Self(child)
    }

    fn go(&mut self) {
        let ear = self.0.stdin.as_mut().expect("its input");
        ear.write_all(b"go\n").expect("to tell it");
    }

    fn is_done(&mut self) -> bool {
        let end = self.0.try_wait().expect("its state");
        end.is_some_and(|status| {
            assert!(status.success(), "the generator: {status}");
            true
        })
    }
}

/// Uses the queue that the crate asks for, or the kernel's default. Received and lost events must
/// add up to all events.
pub(crate) fn live(events: usize, default_queue: bool) -> Outcome {
    let sent = events * MORE;
    let mut generator = Generator::ready(sent);
    current_thread().block_on(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let mut stream = handle.events().kinds(EventKinds::UPDATE);
        if default_queue {
            stream = stream.receive_buffer(DEFAULT_QUEUE);
        }
        let mut stream = stream.await.expect("a stream");
        generator.go();
        let start = Instant::now();
        let (mut received, mut lost) = (0, 0);
        while received + lost < sent {
            let next = tokio::time::timeout(SILENCE, stream.next());
            match next.await {
                Ok(Some(Ok(Event::Overrun { lost: more }))) => lost += more as usize,
                Ok(Some(Ok(event))) => {
                    std::hint::black_box(&event);
                    received += 1;
                }
                Err(_) if !generator.is_done() => {}
                other => panic!("{other:?}: {received} received, {lost} lost, {sent} sent"),
            }
        }
        let outcome = Outcome::new(start, received);
        assert_eq!(received + lost, sent, "received and lost, and sent");
        Outcome {
            lost: Some(lost),
            ..outcome
        }
    })
}

/// conntrack(8), if it is on this machine. Counts the lines that it prints, and the events that it
/// misses.
pub(crate) fn conntrack(events: usize) -> Option<Outcome> {
    let sent = events * MORE;
    let tool = Command::new("conntrack")
        .args(["-E", "-e", "UPDATES"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let mut tool = match tool {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        tool => tool.expect("conntrack"),
    };
    while !somebody_listens() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let mut generator = Generator::ready(sent);
    let lines = BufReader::new(tool.stdout.take().expect("its output")).lines();
    let (sender, heard) = sync_channel(1024);
    let reader = std::thread::spawn(move || lines.into_iter().all(|_| sender.send(()).is_ok()));
    generator.go();
    let start = Instant::now();
    let (mut count, mut last) = (0, start);
    loop {
        match heard.recv_timeout(SILENCE) {
            Ok(()) => {
                count += 1;
                last = Instant::now();
            }
            Err(RecvTimeoutError::Timeout) if !generator.is_done() => {}
            Err(_) => break,
        }
    }
    tool.kill().expect("to end conntrack");
    tool.wait().expect("the end of conntrack");
    reader.join().expect("its reader");
    Some(Outcome {
        wall: last - start,
        lost: Some(sent - count),
        child: true,
        ..Outcome::new(start, count)
    })
}

/// Returns `true` if a netfilter socket of this namespace listens to changes.
fn somebody_listens() -> bool {
    const NETFILTER: &str = "12";
    const UPDATE: u32 = 1 << 1;
    let table = fs::read_to_string("/proc/thread-self/net/netlink").expect("the sockets");
    table.lines().skip(1).any(|line| {
        let columns: Vec<_> = line.split_whitespace().collect();
        let groups = u32::from_str_radix(columns[3], 16).unwrap_or(0);
        columns[1] == NETFILTER && groups & UPDATE != 0
    })
}
