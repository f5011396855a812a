//! A mirror of a table that changes, while events, lists and answers are lost. It continues, and is
//! equal to the table in the end.

use std::time::{Duration, Instant};

use ctnetlink::testing::{AnswerFault, EventFault, Kernel};
use ctnetlink::{ConntrackHandle, Flow, Mirror, NewFlow, Table, Tuple};
use futures::StreamExt;
use tokio::time::timeout;

use super::hasty;
use super::script::Script;

const SECOND: Duration = Duration::from_secs(1);

/// The step that orders a fault of an answer.
const ANSWER: u8 = 12;

pub(crate) fn run(data: &[u8]) {
    super::run(async {
        let kernel = Kernel::new();
        let handle = hasty(&kernel).await;
        for n in 0..4 {
            kernel.packet(tuple(n), 60);
        }
        let mut mirror = handle.mirror().recheck(SECOND * 5).await.expect("a mirror");
        let mut script = Script::new(data);
        let is_hostile = script.byte() % 2 == 1;
        if is_hostile {
            let mut script = script.clone();
            kernel.tamper(move |datagram| script.tamper(datagram));
        }
        let mut is_misled = is_hostile;
        for _ in 0..24 {
            let (what, n) = (script.byte(), script.byte());
            // A list that lost a datagram without an error looks complete. A real kernel loses
            // none.
            is_misled |= what % 16 == ANSWER;
            step(&kernel, &handle, &mut mirror, (what, n)).await;
        }
        kernel.recover();
        if is_misled {
            // The mirror cannot know that it has wrong data. A lost event makes it list the table
            // again.
            kernel.on_event(0, EventFault::NoMemory);
            kernel.packet(tuple(200), 60);
        }
        heal(&kernel, &mut mirror).await;
    });
}

async fn step(kernel: &Kernel, handle: &ConntrackHandle, mirror: &mut Mirror, (what, n): (u8, u8)) {
    let of = tuple(n % 16);
    match what % 16 {
        1 | 2 => kernel.packet(of, 60),
        3 => kernel.packet(of.inverse(), 60),
        4 => drop(handle.create(NewFlow::new(of, SECOND * 30)).await),
        5 => drop(handle.set_mark(of, u32::from(n)).await),
        6 => drop(handle.delete(of).await),
        7 => kernel.advance(SECOND * n.into()),
        8 => drop(handle.flush(Table::Conntrack).await),
        9 => kernel.on_event((n % 4).into(), EventFault::NoMemory),
        10 => kernel.on_event((n % 4).into(), EventFault::Twice),
        11 => kernel.on_event((n % 4).into(), EventFault::CutTo(n.into())),
        ANSWER => {
            let fault = match n / 4 % 4 {
                0 => AnswerFault::Lost,
                1 => AnswerFault::Twice,
                2 => AnswerFault::Late,
                _ => AnswerFault::CutTo(n.into()),
            };
            kernel.on_answer((n % 4).into(), fault);
        }
        13..=15 => {
            for _ in 0..n % 8 {
                poll(mirror).await;
            }
        }
        _ => {}
    }
}

/// Takes the next item, if there is one.
async fn poll(mirror: &mut Mirror) {
    if let Ok(item) = timeout(SECOND, mirror.next()).await {
        let _ = item.expect("it goes on");
    }
}

/// Waits until the mirror is complete. The deadline is in real time, because tokio's clock jumps.
async fn heal(kernel: &Kernel, mirror: &mut Mirror) {
    let reader = mirror.reader();
    let patience = Instant::now() + SECOND * 15;
    loop {
        poll(mirror).await;
        let (ours, theirs) = (told(reader.snapshot()), told(kernel.flows()));
        if reader.is_synced() && ours == theirs {
            return;
        }
        assert!(
            Instant::now() < patience,
            "{:?}: {ours:?} is not {theirs:?}",
            reader.state()
        );
    }
}

/// The fields that both events and lists contain.
fn told(flows: Vec<Flow>) -> Vec<String> {
    let mut told: Vec<_> = flows
        .iter()
        .map(|flow| {
            let Flow { orig, reply, .. } = flow;
            let (id, mark, status) = (flow.id, flow.mark, flow.status);
            format!("{orig} {reply} {id:?} {mark:?} {status:?}")
        })
        .collect();
    told.sort();
    told
}

fn tuple(n: u8) -> Tuple {
    let (src, dst) = (([10, 0, 0, n], 4000).into(), ([10, 9, 0, 1], 53).into());
    match n % 2 {
        0 => Tuple::udp(src, dst),
        _ => Tuple::tcp(src, dst),
    }
    .expect("one family")
}
