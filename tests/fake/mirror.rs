//! The mirror, on a kernel in the process.

use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{Delta, Mirror, RemovalCause, SyncCause};
use futures::StreamExt;

use crate::{fill, new, run, udp};

async fn next(mirror: &mut Mirror) -> Delta {
    mirror.next().await.expect("it goes on").expect("a delta")
}

/// Runs it until it is in sync.
async fn sync(mirror: &mut Mirror) -> Vec<Delta> {
    let mut deltas = Vec::new();
    loop {
        let delta = next(mirror).await;
        let is_synced = matches!(delta, Delta::Synced { .. });
        deltas.push(delta);
        if is_synced {
            return deltas;
        }
    }
}

#[test]
fn it_lists_and_listens() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 3);
        let handle = kernel.connect();
        let mut mirror = handle.mirror().await.unwrap();
        let reader = mirror.reader();
        assert!(!reader.is_synced());
        let deltas = sync(&mut mirror).await;
        assert_eq!(
            deltas[0],
            Delta::SyncStarted {
                cause: SyncCause::Start
            }
        );
        assert_eq!(deltas.len(), 5);
        assert_eq!(reader.len(), 3);
        assert!(reader.is_synced());

        handle.create(new(7).mark(9)).await.unwrap();
        assert!(!reader.is_synced(), "an event waits");
        let Delta::Added(flow) = next(&mut mirror).await else {
            panic!("a flow");
        };
        assert_eq!((flow.orig, flow.mark), (udp(7), Some(9)));
        handle.set_mark(udp(7), 10).await.unwrap();
        let Delta::Updated { before, after } = next(&mut mirror).await else {
            panic!("a change");
        };
        assert_eq!((before.mark, after.mark), (Some(9), Some(10)));
        assert_eq!(reader.get(udp(7)).unwrap().mark, Some(10));
        handle.delete(udp(7)).await.unwrap();
        let Delta::Removed { flow, cause } = next(&mut mirror).await else {
            panic!("an end");
        };
        assert_eq!(flow.orig, udp(7));
        assert!(matches!(
            cause,
            RemovalCause::Destroyed { port_id: Some(_) }
        ));
        assert_eq!(reader.len(), 3);
        kernel.advance(Duration::from_secs(1));
    });
}
