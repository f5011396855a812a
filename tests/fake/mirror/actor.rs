//! A program that acts only on views that are in sync is never wrong.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ctnetlink::testing::{EventFault, Kernel};
use ctnetlink::{ConntrackHandle, MirrorReader};
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::sleep;

use super::{Watch, audible};
use crate::{new, run, udp};

const DECISIONS: u32 = 10_000;
const FLOWS: usize = 100;

/// Changes flows one by one, and looks them up in the mirror whenever that is in sync. All
/// listeners lose the event of every `every`th change. Returns the number of changes.
async fn decide(
    kernel: &Kernel,
    handle: &ConntrackHandle,
    reader: &MirrorReader,
    every: usize,
    pause: impl AsyncFn(usize),
) -> usize {
    let mut is_there = [false; FLOWS];
    let (mut decided, mut turn) = (0, 0);
    while decided < DECISIONS {
        turn += 1;
        let n = turn * 7 % FLOWS;
        if turn % every == 0 {
            kernel.on_event(0, EventFault::NoMemory);
        }
        let of = udp(n as u16);
        match is_there[n] {
            false => handle.create(new(n as u16)).await.expect("a flow"),
            true => handle.delete(of).await.expect("its end"),
        }
        is_there[n] = !is_there[n];
        for step in 0..3 {
            if reader.is_synced() {
                assert_eq!(reader.get(of).is_some(), is_there[n], "turn {turn}.{step}");
                decided += 1;
            }
            pause(turn + step).await;
        }
        assert!(
            turn < 100 * DECISIONS as usize,
            "it is never in sync: {reader:?}"
        );
    }
    turn
}

#[test]
fn beside_it() {
    run(async {
        let kernel = audible(|kernel| kernel);
        let handle = kernel.connect();
        let watch = Watch::of(&kernel, handle.mirror()).await;
        let pause = async |turn: usize| match turn % 20 {
            0 => sleep(Duration::from_secs(1)).await,
            few => {
                for _ in 0..few % 3 {
                    yield_now().await;
                }
            }
        };
        let turns = decide(&kernel, &handle, &watch.reader, 50, pause).await;
        let stats = watch.told().stats;
        assert!(stats.overruns >= turns as u64 / 100, "{stats:?}");
        assert!(stats.syncs > 50, "{stats:?}");
    });
}

/// The mirror and the code that decides run on different threads, so that reads in a wrong order
/// are noticed.
#[test]
fn in_another_thread() {
    let kernel = audible(|kernel| kernel);
    let (sender, readers) = mpsc::channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let of_mirror = kernel.clone();
    let mirror = thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            let mirror = of_mirror.connect().mirror().await.expect("a mirror");
            sender.send(mirror.reader()).expect("the test");
            tokio::select! {
                ended = mirror.run() => panic!("{ended:?}"),
                _ = stopped => {}
            }
        });
    });
    let reader = readers.recv().expect("a reader");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let handle = kernel.connect();
        decide(&kernel, &handle, &reader, 4000, async |_| ()).await;
    });
    drop(stop);
    mirror.join().expect("the mirror");
}
