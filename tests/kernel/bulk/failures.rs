//! A failed change does not affect others, wherever it is, and has the error of its verb.

use std::time::Duration;

use ctnetlink::{
    Change, ConntrackHandle, ErrorKind, FlowKey, Labels, Masked, Nat, NewFlow, Patch, Report,
    Status, TcpState,
};
use libtest_mimic::Trial;

use super::{BATCH, bulk, by_its_verb, connect, counts, fill, mark, marks, new, udp};
use crate::support::release;
use crate::verbs::{HOUR, got, tcp, udp6};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["bulk::failures":
        among_updates,
        among_changes_of_status,
        several_in_one_send,
        all_of_them,
        the_first_thousand_are_kept,
    ]
}

/// The number of flows that can be changed: enough for two sends.
const GOOD: u16 = BATCH as u16 + 2;

// The flows of the changes that fail.
const PLAIN: u16 = 1000;
const FIXED: u16 = 1001;
const MISSING: u16 = 1003;
const WITH_HELPER: u8 = 1;
const MASTER: u8 = 2;

use ErrorKind::*;

/// The expected outcome of a change. `None` means that its flow is gone.
type Outcome = (Option<ErrorKind>, &'static str);

const GONE: Outcome = (None, "");

/// Each kind of change that fails.
async fn failing(handle: &ConntrackHandle) -> Vec<(Change, Outcome)> {
    for n in [PLAIN, FIXED] {
        handle.create(new(n)).await.expect("a flow");
    }
    let fixed = handle.update(udp(FIXED)).status(Status::FIXED_TIMEOUT);
    fixed.await.expect("a fixed timeout");
    let with_helper = NewFlow::new(tcp(WITH_HELPER), HOUR).helper("ftp");
    handle.create(with_helper).await.expect("a flow");
    if release::takes_helpers_away() {
        let update = handle.update(tcp(WITH_HELPER)).helper("");
        update.await.expect("no helper");
    }
    // This key has the id of another flow.
    let id = got(handle, udp(FIXED)).await.id.expect("an id");
    let stale = FlowKey::from(udp(PLAIN)).id(id);
    creates()
        .into_iter()
        .map(|(flow, kind, text)| (Change::Create(flow), (Some(kind), text)))
        .chain(updates())
        .chain(deletes(stale))
        .collect()
}

fn creates() -> Vec<(NewFlow, ErrorKind, &'static str)> {
    let missing = || new(MISSING);
    let taken = || Nat::to(udp(PLAIN).src()).port(4000);
    vec![
        (NewFlow::new(udp(PLAIN).inverse(), HOUR), AlreadyExists, ""),
        (
            missing().reply(udp(PLAIN).inverse()),
            AlreadyExists,
            "reply tuple",
        ),
        (missing().source_nat(taken()), AlreadyExists, "reply tuple"),
        (missing().master(tcp(MASTER)), NotFound, "master"),
        (
            missing().helper("ftp"),
            Unsupported,
            "no helper of that name",
        ),
        (missing().reply(udp6(1)), InvalidInput, "family"),
        (missing().master(udp6(1)), InvalidInput, "master"),
        (missing().tcp_state(TcpState::CLOSE), InvalidInput, "TCP"),
        (
            NewFlow::new(udp(MISSING), Duration::MAX),
            InvalidInput,
            "timeout",
        ),
        (missing().status(Status::DYING), InvalidInput, "status"),
    ]
}

fn updates() -> Vec<(Change, Outcome)> {
    let patch = Patch::new;
    let refused = |kind, text| (Some(kind), text);
    let label = Labels::bit(3).expect("a label");
    let (fixed, missing) = (FlowKey::from(udp(FIXED)), FlowKey::from(udp(MISSING)));
    let helped = FlowKey::from(tcp(WITH_HELPER));
    let (plain, reply) = (FlowKey::from(udp(PLAIN)), FlowKey::reply(udp(PLAIN)));
    let updates = vec![
        (missing, patch().mark(7), GONE),
        (missing, patch().status(Status::ASSURED), GONE),
        (reply, patch().status(Status::ASSURED), GONE),
        (plain.zone(5), patch().mark(7), GONE),
        (
            plain,
            patch().labels(label),
            refused(LabelsUnavailable, "ct label"),
        ),
        (
            plain,
            patch().labels(label).status(Status::ASSURED),
            refused(LabelsUnavailable, ""),
        ),
        (
            fixed,
            patch().timeout(HOUR),
            refused(PermissionDenied, "FIXED_TIMEOUT"),
        ),
        (
            fixed,
            patch().timeout(HOUR).status(Status::ASSURED),
            refused(PermissionDenied, "FIXED"),
        ),
        (
            plain,
            patch().helper("ftp"),
            refused(Unsupported, "created without a helper"),
        ),
        match release::takes_helpers_away() {
            true => (helped, patch().helper("ftp"), refused(Busy, "removed")),
            false => (
                helped,
                patch().helper(""),
                refused(Unsupported, "cannot remove"),
            ),
        },
        (plain, patch(), refused(InvalidInput, "nothing to change")),
        (
            plain,
            patch().mark(Masked::new(1, 0)),
            refused(InvalidInput, "mask"),
        ),
        (
            plain,
            patch().tcp_state(TcpState::CLOSE),
            refused(InvalidInput, "protoinfo"),
        ),
        (
            plain,
            patch().status(Status::DYING),
            refused(InvalidInput, "status"),
        ),
        (
            missing,
            patch().status(Status::empty()),
            refused(InvalidInput, "status"),
        ),
        (
            plain,
            patch().timeout(Duration::MAX),
            refused(InvalidInput, "timeout"),
        ),
    ];
    let fails = |key: &FlowKey| *key != fixed || release::refuses_fixed_timeouts();
    let updates = updates.into_iter().filter(|(key, ..)| fails(key));
    updates
        .map(|(key, patch, outcome)| (Change::Update(key, patch), outcome))
        .collect()
}

fn deletes(stale: FlowKey) -> Vec<(Change, Outcome)> {
    let plain = FlowKey::from(udp(PLAIN));
    let keys = [
        udp(MISSING).into(),
        udp(PLAIN).inverse().into(),
        FlowKey::reply(udp(PLAIN)),
        plain.zone(5),
        stale,
    ];
    keys.map(|key| (Change::Delete(key), GONE)).into()
}

/// Checks the result of the change's own verb, and returns it: gone, failed, and the error.
async fn check(handle: &ConntrackHandle, change: &Change, outcome: Outcome) -> (u64, u64, String) {
    let error = by_its_verb(handle, change.clone())
        .await
        .expect_err("a failure");
    match outcome {
        (None, _) => {
            assert!(error.is_not_found(), "{change:?}: {error}");
            (1, 0, String::new())
        }
        (Some(kind), text) => {
            assert_eq!(error.kind(), kind, "{change:?}: {error}");
            assert!(error.to_string().contains(text), "{change:?}: {error}");
            (0, 1, format!("{kind:?}: {error}"))
        }
    }
}

/// Puts each failing change at each place among good ones. The good ones set a bit for each place.
async fn at_each_place(more: Patch) {
    let handle = connect();
    fill(&handle, GOOD).await;
    for (bad, outcome) in failing(&handle).await {
        let (gone, failed, text) = check(&handle, &bad, outcome).await;
        for place in 0..=GOOD {
            let bit = 1 << (place % 32);
            let mask = if bit == 1 { u32::MAX } else { bit };
            let patch = more.clone().mark(Masked::new(bit, mask));
            let good = (0..GOOD).map(|n| Change::Update(udp(n).into(), patch.clone()));
            let mut changes: Vec<_> = good.collect();
            changes.insert(place.into(), bad.clone());
            let report = bulk(&handle, changes).await;
            let expected = (GOOD.into(), gone, failed);
            assert_eq!(counts(&report), expected, "{bad:?} at {place}: {report:?}");
            for (key, error) in &report.failed {
                assert_eq!(*key, bad.key());
                assert_eq!(format!("{:?}: {error}", error.kind()), text, "at {place}");
            }
            if bit == 1 << 31 || place == GOOD {
                let marks = marks(&handle, 0..GOOD).await;
                let all = Some(bit | (bit - 1));
                assert_eq!(marks, vec![all; GOOD.into()], "{bad:?} before {place}");
            }
        }
    }
}

async fn among_updates() {
    at_each_place(Patch::new()).await;
}

/// Each of these changes needs a lookup.
async fn among_changes_of_status() {
    at_each_place(Patch::new().status(Status::SEEN_REPLY)).await;
}

fn failures(report: &Report) -> Vec<FlowKey> {
    report.failed.iter().map(|(key, _)| *key).collect()
}

async fn several_in_one_send() {
    let handle = connect();
    fill(&handle, GOOD).await;
    let bad = failing(&handle).await;
    let kinds = bad.len() as u64;
    let failed: Vec<_> = bad
        .iter()
        .filter(|(_, (kind, _))| kind.is_some())
        .map(|(change, _)| change.key())
        .collect();
    let gone = kinds - failed.len() as u64;
    for value in 1..=GOOD {
        // A failing change after every few good ones, and the rest at the end.
        let mut bad = bad.iter().map(|(change, _)| change.clone());
        let mut changes = Vec::new();
        for n in 0..GOOD {
            changes.push(mark(n, value.into()));
            if n % value == 0 {
                changes.extend(bad.next());
            }
        }
        changes.extend(bad);
        let report = bulk(&handle, changes).await;
        assert_eq!(counts(&report), (GOOD.into(), gone, failed.len() as u64));
        assert_eq!(failures(&report), failed);
        assert_eq!(
            marks(&handle, 0..GOOD).await,
            vec![Some(value.into()); GOOD.into()]
        );
    }
}

async fn all_of_them() {
    let handle = connect();
    fill(&handle, GOOD).await;
    for (bad, (kind, _)) in failing(&handle).await {
        let report = bulk(&handle, vec![bad.clone(); 200]).await;
        let expected = match kind {
            None => (0, 200, 0),
            Some(_) => (0, 0, 200),
        };
        assert_eq!(counts(&report), expected, "{bad:?}");
        assert_eq!(report.failed.len() as u64, expected.2);
        for (key, error) in &report.failed {
            assert_eq!((*key, Some(error.kind())), (bad.key(), kind));
        }
    }
    assert_eq!(marks(&handle, 0..GOOD).await, vec![Some(0); GOOD.into()]);
}

async fn the_first_thousand_are_kept() {
    const ALL: u16 = 2500;
    let handle = connect();
    // Two of three flows have a master that does not exist. Its number is the number of the
    // failure.
    let creates = (0..ALL / 2 * 3).map(|n| match n % 3 {
        2 => Change::Create(new(ALL + n)),
        _ => Change::Create(new(n / 3 * 2 + n % 3).master(tcp(MASTER))),
    });
    let report = bulk(&handle, creates).await;
    assert_eq!(counts(&report), (u64::from(ALL) / 2, 0, ALL.into()));
    let kept: Vec<FlowKey> = (0..ALL).map(|n| udp(n).into()).take(Report::KEPT).collect();
    assert_eq!(failures(&report), kept);
    assert_eq!(Report::KEPT, 1000);
    for (_, error) in &report.failed {
        assert_eq!(error.kind(), NotFound, "{error}");
    }
    let error = report.into_result().expect_err("failures");
    assert!(error.is_not_found(), "{error}");
}
