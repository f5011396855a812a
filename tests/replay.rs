//! Runs the inputs that fuzzing has kept (`fuzz/corpus`), and decodes the messages of several
//! kernels (`golden/kernels`).

#[path = "fuzz/bodies/mod.rs"]
mod bodies;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::fs;
use std::path::Path;

use ctnetlink::{Event, Expectation, Flow};

/// Runs a target on each of its files.
fn replay(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let files = fs::read_dir(corpus.join(target)).expect("a corpus");
    let mut count = 0;
    for file in files {
        let path = file.expect("a file").path();
        eprintln!("{}", path.display());
        run(&fs::read(path).expect("its bytes"));
        count += 1;
    }
    assert!(count >= 5, "{count} inputs");
}

#[test]
fn messages() {
    replay("messages", bodies::messages::run);
}

#[test]
fn lane() {
    replay("lane", bodies::lane::run);
}

#[test]
fn filters() {
    replay("filters", bodies::filters::run);
}

#[test]
fn labels() {
    replay("labels", bodies::labels::run);
}

#[test]
fn mirror() {
    replay("mirror", bodies::mirror::run);
}

#[test]
fn events() {
    replay("events", bodies::events::run);
}

/// The messages of kernels decode on every machine as on the machine where they were recorded.
#[test]
fn messages_of_kernels() {
    let kernels = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kernels");
    // The flows that were made by requests on all kernels, by their keys.
    let mut made: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut releases = Vec::new();
    for file in fs::read_dir(kernels).expect("messages") {
        let path = file.expect("a file").path();
        let text = fs::read_to_string(&path).expect("its lines");
        let mut flows = Vec::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let [kind, hex, shown] = *line.splitn(3, ' ').collect::<Vec<_>>() else {
                panic!("{}: {line}", path.display());
            };
            let message = bytes(hex);
            match kind {
                "flow" => {
                    let flow = Flow::from_message(&message).expect("a flow");
                    same(&flow, shown);
                    flows.push(flow);
                }
                "expectation" => same(&Expectation::from_message(&message).unwrap(), shown),
                "event" => same(&Event::from_message(&message).unwrap(), shown),
                _ => panic!("{kind}"),
            }
        }
        every_kind(&flows, &path);
        for flow in &flows {
            if !flow.orig.src().is_loopback() {
                let Flow { orig, reply, .. } = flow;
                let (zone, mark, labels, status) = (flow.zone, flow.mark, flow.labels, flow.status);
                let helper = flow.helper();
                let name = format!("{} {orig} {zone}", orig.protocol());
                let rest = format!("{reply} {mark:?} {labels:?} {status:?} {helper:?}");
                made.entry(name).or_default().insert(rest);
            }
        }
        releases.push(path.file_name().expect("a name").to_owned());
    }
    releases.sort();
    assert_eq!(releases, ["5.10", "6.1", "6.12", "6.18", "7.3"]);
    for (name, told) in made {
        assert_eq!(told.len(), 1, "{name}: {told:#?}");
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    let byte = |digits: &[u8]| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    digits.map(|digits| byte(digits).expect("hex")).collect()
}

fn same(it: &impl Debug, shown: &str) {
    assert_eq!(format!("{it:?}"), shown);
}

/// Does the table of a kernel have flows of every kind?
fn every_kind(flows: &[Flow], path: &Path) {
    for protocol in [1, 6, 17, 47, 58, 89, 132, 136, 253] {
        let mut all = flows.iter().map(|flow| flow.orig.protocol().number());
        assert!(all.any(|it| it == protocol), "{path:?}: {protocol}");
    }
    type Is = fn(&Flow) -> bool;
    let has: [(&str, Is); 9] = [
        ("a translation", |flow| flow.reply != flow.orig.inverse()),
        ("a zone", |flow| flow.zone.id() == 5),
        ("a mark", |flow| flow.mark.is_some_and(|mark| mark > 0)),
        ("labels", |flow| flow.labels.is_some()),
        ("a helper", |flow| flow.helper().is_some()),
        ("a master", |flow| flow.master().is_some()),
        ("a time", |flow| flow.timestamp().is_some()),
        ("a state", |flow| flow.protoinfo.is_some()),
        ("counters", |flow| {
            flow.counters_reply.is_some_and(|count| count.packets > 0)
        }),
    ];
    for (what, is_one) in has {
        assert!(flows.iter().any(is_one), "{path:?}: {what}");
    }
}
