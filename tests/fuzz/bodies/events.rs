//! Events with any bytes: the stream goes on after them, and its items can be printed.

use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{Event, EventKinds, Tuple};
use futures::StreamExt;

use super::script::Script;
use super::{hasty, kept, shown};

pub(crate) fn run(data: &[u8]) {
    super::run(async {
        let kernel = Kernel::new();
        let handle = hasty(&kernel).await;
        let all = EventKinds::FLOWS | EventKinds::EXPECTATIONS;
        let mut events = handle.events().kinds(all).await.expect("a stream");
        let mut script = Script::new(data);
        let packets = script.byte() % 16;
        kernel.tamper(move |datagram| script.tamper(datagram));
        for n in 0..packets {
            kernel.packet(tuple(n), 60);
            kernel.packet(tuple(n).inverse(), 60);
        }
        kernel.advance(Duration::from_secs(3600));
        kernel.recover();
        kernel.packet(tuple(200), 60);
        loop {
            match events.next().await {
                Some(Ok(event)) => {
                    shown(&event);
                    kept(&event);
                    if matches!(&event, Event::New { flow, .. } if flow.orig == tuple(200)) {
                        break;
                    }
                }
                Some(Err(error)) => assert!(error.decode_error().is_some(), "{error}"),
                None => panic!("the stream ended"),
            }
        }
    });
}

fn tuple(n: u8) -> Tuple {
    let (src, dst) = (([10, 0, 0, n], 4000).into(), ([10, 9, 0, 1], 53).into());
    Tuple::tcp(src, dst).expect("one family")
}
