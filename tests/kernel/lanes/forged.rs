//! Messages that somebody else sends to our sockets: only the kernel's count.

use std::future::IntoFuture;

use futures::StreamExt;
use futures::future::join_all;
use libtest_mimic::Trial;
use nix::errno::Errno;
use tokio::task::yield_now;

use super::{alone, connect, fill, list, rest, udp, until};
use crate::forger::{DONE, ERROR, Forger, new_port, ports, verdict};

const FLOWS: u16 = 3000;

pub(super) fn tests() -> Vec<Trial> {
    alone!("lanes::forged":
        the_end_of_a_walk,
        the_answers_to_requests,
    )
}

async fn the_end_of_a_walk() {
    let handle = connect();
    fill(&handle, FLOWS).await;
    let forger = Forger::new();
    for (kind, errno) in [(DONE, 0), (ERROR, 0), (ERROR, Errno::EPERM as i32)] {
        let before = ports();
        let mut flows = list(&handle).await;
        flows.next().await.expect("an item").expect("a flow");
        forger.send(new_port(&before), &verdict(kind, 1, errno));
        assert_eq!(rest(flows).await, usize::from(FLOWS) - 1);
        until(|| ports() == before, || "its socket is left".into()).await;
    }
}

async fn the_answers_to_requests() {
    const GETS: u16 = 200;
    fill(&connect(), GETS).await;
    let forger = Forger::new();
    for errno in [0, Errno::ENOENT as i32, Errno::EPERM as i32] {
        let before = ports();
        let handle = connect();
        let port = new_port(&before);
        // A new connection counts its requests from 1.
        let all: Vec<u8> = (1..=u32::from(GETS))
            .flat_map(|seq| verdict(ERROR, seq, errno))
            .collect();
        forger.send(port, &all);
        let gets = join_all((0..GETS).map(|n| handle.get(udp(n)).into_future()));
        // As many as leave room for the kernel's.
        let forge = async {
            for _ in 0..4 {
                yield_now().await;
                forger.send(port, &all);
            }
        };
        let (answers, ()) = futures::join!(gets, forge);
        for (n, answer) in (0..).zip(answers) {
            let flow = answer.unwrap_or_else(|error| panic!("get {n}: {error}"));
            assert_eq!(flow.expect("a flow").orig, udp(n));
        }
    }
}
