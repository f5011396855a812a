//! A kernel that answers with any bytes. No request panics or hangs, and everything works again
//! when the kernel does.

use std::time::{Duration, Instant};

use ctnetlink::testing::Kernel;
use ctnetlink::{Change, ConntrackHandle, Filter, Flow, FlowKey, NewFlow, Patch, Table, Tuple};
use futures::TryStreamExt;

use super::script::Script;
use super::{hasty, list};

const FLOWS: u8 = 12;

pub(crate) fn run(data: &[u8]) {
    super::run(async {
        let kernel = kernel();
        let handle = hasty(&kernel).await;
        let mut script = Script::new(data);
        let verb = script.byte();
        kernel.tamper(move |datagram| script.tamper(datagram));
        ask(&handle, verb).await;
        kernel.recover();
        settle(&handle, &kernel).await;
    });
}

/// Waits until a get and a list return the right answers. A request that timed out may still be
/// running.
async fn settle(handle: &ConntrackHandle, kernel: &Kernel) {
    let patience = Instant::now() + Duration::from_secs(15);
    loop {
        let (got, all) = (handle.get(tuple(0)).await, list(handle).await);
        let theirs = kernel.flows();
        let first = theirs.iter().any(|flow| flow.orig == tuple(0));
        if matches!(&got, Ok(got) if got.is_some() == first)
            && matches!(&all, Ok(all) if *all == theirs)
        {
            return;
        }
        assert!(Instant::now() < patience, "{got:?} {all:?} {theirs:?}");
    }
}

fn tuple(n: u8) -> Tuple {
    let (src, dst) = (([10, 0, 0, n], 4000).into(), ([10, 9, 0, 1], 53).into());
    match n % 2 {
        0 => Tuple::udp(src, dst),
        _ => Tuple::tcp(src, dst),
    }
    .expect("one family")
}

fn kernel() -> Kernel {
    let kernel = Kernel::release("6.18")
        .expect("a release")
        .labels(true)
        .build();
    for n in 0..FLOWS {
        let mut flow = Flow::new(tuple(n), tuple(n).inverse());
        flow.mark = Some(n.into());
        kernel.insert(&flow).expect("a flow");
    }
    kernel
}

/// Sends a request. Any result is allowed.
async fn ask(handle: &ConntrackHandle, verb: u8) {
    match verb % 16 {
        0 => drop(handle.get(tuple(1)).await),
        1 => drop(list(handle).await),
        2 => drop(
            handle
                .create(NewFlow::new(tuple(99), Duration::from_secs(9)))
                .await,
        ),
        3 => drop(handle.update(tuple(1)).mark(7).await),
        4 => drop(handle.delete(tuple(1)).await),
        5 => drop(handle.flush(Table::Conntrack).await),
        6 => drop(handle.stats().await),
        7 => drop(handle.cpu_stats().await),
        8 => {
            let changes =
                (0..FLOWS).map(|n| Change::Update(FlowKey::from(tuple(n)), Patch::new().mark(9)));
            drop(handle.bulk(changes.collect::<Vec<_>>()).await);
        }
        9 => {
            if let Ok(found) = handle.get_many((0..FLOWS).map(tuple)).await {
                drop(found.try_collect::<Vec<_>>().await);
            }
        }
        10 => {
            let filter = Filter::builder().mark(3).build().expect("a filter");
            drop(handle.delete_matching(filter).await);
        }
        11 => {
            if let Ok(all) = handle.expectations().list().await {
                drop(all.try_collect::<Vec<_>>().await);
            }
        }
        12 => drop(handle.preflight().await),
        13 => drop(handle.timeouts().list().await),
        14 => drop(handle.user_helpers().list().await),
        _ => drop(handle.expectations().get(tuple(1)).await),
    }
}
