//! A message of the kernel: it is decoded, written as text and parsed again, encoded and decoded
//! again.

use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{Error, Event, Expectation, Flow, FlowKey, NewFlow, Tuple};

use super::{kept, list, shown};

pub(crate) fn run(data: &[u8]) {
    match Flow::from_message(data) {
        Ok(flow) => of_flow(&flow),
        Err(error) => refused(&error, data),
    }
    match Expectation::from_message(data) {
        Ok(expectation) => {
            shown(&expectation);
            kept(&expectation);
        }
        Err(error) => refused(&error, data),
    }
    match Event::from_message(data) {
        Ok(event) => {
            shown(&event);
            kept(&event);
        }
        Err(error) => refused(&error, data),
    }
}

fn refused(error: &Error, data: &[u8]) {
    assert_eq!(error.bytes(), Some(data), "{error}");
    assert!(error.decode_error().is_some(), "{error}");
}

fn of_flow(flow: &Flow) {
    shown(flow);
    kept(flow);
    let key = FlowKey::from(flow);
    shown(&key);
    kept(&key);
    for tuple in [flow.orig, flow.reply] {
        // A text with IPv4-mapped addresses is read as IPv4.
        if [tuple.src(), tuple.dst()]
            .iter()
            .any(|address| address.to_canonical() != *address)
        {
            continue;
        }
        let text = format!("{} {tuple}", tuple.protocol());
        // Any bytes may be a tuple with fields that its protocol does not have, or without those
        // that it has.
        if let Ok(read) = text.parse::<Tuple>() {
            assert_eq!(format!("{} {read}", read.protocol()), text);
        }
    }
    restored(flow);
    created(flow);
}

/// A table that contains the flow lists it.
fn restored(flow: &Flow) {
    let kernel = Kernel::new();
    if kernel.insert(flow).is_err() {
        return;
    }
    super::run(async {
        let handle = kernel.connect();
        assert_eq!(list(&handle).await.expect("a list"), kernel.flows());
    });
}

/// A flow that is created from it has its tuple, or the request is refused.
fn created(flow: &Flow) {
    let kernel = Kernel::new();
    let new = NewFlow::from(flow).timeout(Duration::from_secs(60));
    kept(&new);
    let key = FlowKey::from(&new);
    super::run(async {
        let handle = kernel.connect();
        match handle.create(new).await {
            Ok(()) => {
                let got = handle.get(key).await.expect("an answer");
                let got = got.expect("a flow").orig;
                let (src, dst) = (got.src(), got.dst());
                assert_eq!((src, dst), (flow.orig.src(), flow.orig.dst()));
                assert_eq!(got.protocol(), flow.orig.protocol());
                // For other protocols, the message may have ports that this kernel does not keep.
                if let 6 | 17 = got.protocol().number() {
                    assert_eq!(got, flow.orig);
                }
            }
            Err(error) => assert!(!error.is_timeout(), "{error}"),
        }
    });
}
