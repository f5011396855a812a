//! Answers that are lost, because junk fills the receive queue: what they were is found out.

use std::ops::ControlFlow;
use std::sync::Arc;

use ctnetlink::{
    Change, ConntrackHandle, ErrorKind, FlowKey, Labels, NewFlow, Patch, Report, Status,
};
use libtest_mimic::Trial;

use super::flood::Flood;
use super::{BATCH, bulk, connect, counts, fill, mark, marks, new, udp};
use crate::forger::{ERROR, verdict};
use crate::verbs::{HOUR, got, tcp, udp6};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["bulk::lost":
        changes_without_an_answer,
        the_answers_that_had_room_count,
        whatever_is_lost_the_counts_are_the_same,
        a_refusal_that_alone_is_heard,
        what_others_send_is_no_answer,
        a_stranger_who_never_stops,
    ]
}

/// A bulk before each of whose sends the flood pours; and how many answers were lost.
pub(super) async fn flooded(
    handle: &ConntrackHandle,
    changes: Vec<Change>,
    flood: Arc<Flood>,
) -> (Report, u64) {
    let (first, each) = (flood.clone(), flood.clone());
    let changes = changes.into_iter().enumerate().map(move |(n, change)| {
        if n == 0 {
            first.pour();
        }
        change
    });
    let report = handle.bulk(changes).on_progress(move |_| {
        each.pour();
        ControlFlow::Continue(())
    });
    let report = report.await.expect("a report");
    (report, flood.lost())
}

#[derive(Debug, Clone, Copy)]
enum Outcome {
    Applied,
    Gone,
    Failed(ErrorKind, &'static str),
}

use Outcome::{Applied, Failed, Gone};

/// What can become of changes, each of flows of its own, and the marks of the flows afterwards.
async fn changes(
    handle: &ConntrackHandle,
    base: u16,
) -> (Vec<(Change, Outcome)>, Vec<Option<u32>>) {
    let flow = |n| new(base + n);
    let key = |n| FlowKey::from(udp(base + n));
    for n in [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 15, 24] {
        handle.create(flow(n).mark(1)).await.expect("a flow");
    }
    let answered_elsewhere = flow(14).mark(1).reply(udp(base + 99).inverse());
    handle.create(answered_elsewhere).await.expect("a flow");
    let fixed = handle.update(key(9)).status(Status::FIXED_TIMEOUT);
    fixed.await.expect("a fixed timeout");
    let with_id = FlowKey::from(&got(handle, key(10)).await);
    let stale = key(11).id(got(handle, key(13)).await.id.expect("an id"));

    let create = |flow, outcome| (Change::Create(flow), outcome);
    let update = |key, patch, outcome| (Change::Update(key, patch), outcome);
    let delete = |key, outcome| (Change::Delete(key), outcome);
    let exists = |text| Failed(ErrorKind::AlreadyExists, text);
    // There otherwise: made and changed since, or another's.
    let unknown = || Failed(ErrorKind::Overrun, "may have taken effect");
    let seven = || Patch::new().mark(7);
    let label = Patch::new().labels(Labels::bit(3).expect("a label"));
    let changes = vec![
        create(flow(0).mark(7), Applied),
        // Who made it cannot be told.
        create(flow(1).mark(1), Applied),
        create(flow(2).mark(2), unknown()),
        create(flow(3).mark(1).status(Status::ASSURED), unknown()),
        create(flow(14).mark(1), unknown()),
        create(
            NewFlow::new(udp(base + 4).inverse(), HOUR).mark(1),
            exists(""),
        ),
        create(
            flow(16).reply(udp(base + 4).inverse()),
            exists("reply tuple"),
        ),
        create(
            flow(17).master(tcp(250)),
            Failed(ErrorKind::NotFound, "master"),
        ),
        create(
            flow(18).helper("ftp"),
            Failed(ErrorKind::Unsupported, "no helper"),
        ),
        create(
            flow(19).master(udp6(1)),
            Failed(ErrorKind::InvalidInput, "master"),
        ),
        update(key(5), seven(), Applied),
        update(FlowKey::reply(udp(base + 6).inverse()), seven(), Applied),
        // By the tuple of its other direction the kernel finds it too.
        update(udp(base + 15).inverse().into(), seven(), Applied),
        update(key(20), seven(), Gone),
        update(
            key(8),
            label,
            Failed(ErrorKind::LabelsUnavailable, "ct label"),
        ),
        update(
            key(9),
            Patch::new().timeout(HOUR),
            Failed(ErrorKind::PermissionDenied, "FIXED"),
        ),
        update(key(13), seven().status(Status::ASSURED), Applied),
        update(key(21), seven().status(Status::ASSURED), Gone),
        update(
            key(23),
            Patch::new(),
            Failed(ErrorKind::InvalidInput, "nothing to change"),
        ),
        delete(with_id, Applied),
        // It is not there: who deleted it cannot be told.
        delete(stale, Applied),
        delete(key(12), Applied),
        delete(key(22), Gone),
        delete(udp(base + 24).inverse().into(), Gone),
    ];
    let marks = [
        Some(7),
        Some(1),
        Some(1),
        Some(1),
        Some(1),
        Some(7),
        Some(7),
        None,
        Some(1),
        Some(1),
        None,
        Some(1),
        None,
        Some(7),
        Some(1),
        Some(7),
    ];
    (changes, marks.into())
}

/// Each is of a flow of its own. In each order that a turn of the list gives, each change is the
/// first and the last once.
async fn changes_without_an_answer() {
    let handle = connect();
    let mut turn = 0;
    loop {
        let base = turn as u16 * 100;
        let (mut all, expected) = changes(&handle, base).await;
        if turn == all.len() {
            break;
        }
        all.rotate_left(turn);
        turn += 1;
        let given = all.iter().map(|(change, _)| change.clone()).collect();
        let (report, lost) = flooded(&handle, given, Flood::but(0)).await;
        assert!(lost >= 5, "{lost} answers were lost");
        let mut failed = report.failed.iter();
        let (mut applied, mut gone) = (0, 0);
        for (change, outcome) in &all {
            match outcome {
                Applied => applied += 1,
                Gone => gone += 1,
                Failed(kind, text) => {
                    let (key, error) = failed.next().expect("a failure");
                    assert_eq!((*key, error.kind()), (change.key(), *kind), "{error}");
                    assert!(error.to_string().contains(text), "{error}");
                }
            }
        }
        assert!(failed.next().is_none(), "{report:?}");
        assert_eq!((report.applied, report.gone), (applied, gone), "{report:?}");
        let end = base + expected.len() as u16;
        assert_eq!(marks(&handle, base..end).await, expected, "turn {turn}");
    }
}

/// Creates of flows that are there tell an answer from a guess.
async fn the_answers_that_had_room_count() {
    let handle = connect();
    fill(&handle, BATCH as u16).await;
    for answers in 0..=BATCH {
        let creates = (0..BATCH as u16).map(|n| Change::Create(new(n)));
        let (report, lost) = flooded(&handle, creates.collect(), Flood::but(answers)).await;
        assert_eq!(lost, (BATCH - answers) as u64);
        assert_eq!(counts(&report), (lost, 0, answers as u64));
        let keys: Vec<_> = report.failed.iter().map(|(key, _)| *key).collect();
        let refused: Vec<FlowKey> = (0..answers as u16).map(|n| udp(n).into()).collect();
        assert_eq!(keys, refused);
    }
}

/// Three sends, of which a quarter of the changes fails and a quarter finds no flow.
async fn whatever_is_lost_the_counts_are_the_same() {
    const ALL: u16 = 3 * BATCH as u16;
    let handle = connect();
    for answers in 0..=BATCH / 2 + 1 {
        let mut given = Vec::new();
        for n in 0..ALL {
            if n % 4 > 0 {
                handle.create(new(n)).await.expect("a flow");
            }
            given.push(match n % 4 {
                0 => mark(n + ALL, 1),
                1 => Change::Create(new(n).mark(answers as u32 + 1)),
                2 => mark(n, answers as u32),
                _ => Change::Delete((&got(&handle, udp(n)).await).into()),
            });
        }
        let quarter = u64::from(ALL) / 4;
        let (report, _) = flooded(&handle, given, Flood::but(answers)).await;
        assert_eq!(
            counts(&report),
            (2 * quarter, quarter, quarter),
            "{answers} answers"
        );
        for ((key, error), n) in report.failed.iter().zip((1..ALL).step_by(4)) {
            assert_eq!(*key, udp(n).into());
            // The kernel's word, where it was heard.
            let kinds = [ErrorKind::AlreadyExists, ErrorKind::Overrun];
            assert!(kinds.contains(&error.kind()), "{error}");
        }
        let value = Some(answers as u32);
        let quarters = [None, Some(0), value, None];
        let expected: Vec<_> = (0..ALL).map(|n| quarters[usize::from(n) % 4]).collect();
        assert_eq!(marks(&handle, 0..ALL).await, expected);
        let rest = (0..ALL).map(|n| Change::Delete(udp(n).into()));
        assert_eq!(bulk(&handle, rest).await.applied, 2 * quarter);
    }
}

/// It is what the kernel says of a whole send where the right is lacking.
async fn a_refusal_that_alone_is_heard() {
    let handle = connect();
    fill(&handle, BATCH as u16).await;
    let fixed = handle.update(udp(0)).status(Status::FIXED_TIMEOUT);
    fixed.await.expect("a fixed timeout");
    let refused = Change::Update(udp(0).into(), Patch::new().timeout(HOUR));
    let updates = std::iter::once(refused).chain((1..BATCH as u16).map(|n| mark(n, 7)));
    let (report, lost) = flooded(&handle, updates.collect(), Flood::but(1)).await;
    assert_eq!(lost, 1, "the answer to the last");
    assert_eq!(counts(&report), (BATCH as u64 - 1, 0, 1), "{report:?}");
    assert!(report.failed[0].1.is_permission_denied(), "{report:?}");
    let marks = marks(&handle, 1..BATCH as u16).await;
    assert_eq!(marks, [Some(7); BATCH - 1]);
}

/// Verdicts over all numbers that the next requests may have, and room enough for the kernel's.
async fn what_others_send_is_no_answer() {
    const ALL: u16 = 10 * BATCH as u16;
    let handle = connect();
    fill(&handle, ALL).await;
    for errno in [0, nix::libc::EEXIST, nix::libc::EPERM] {
        let flood = Flood::new(0);
        let forge = Arc::new(move || {
            flood.pour();
            assert_eq!(flood.lost(), 0);
            let all = (1..=900).flat_map(|seq| verdict(ERROR, seq, errno));
            flood.send(&all.collect::<Vec<_>>());
        });
        let first = forge.clone();
        let updates = (0..2 * ALL).map(move |n| {
            if n == 0 {
                first();
            }
            mark(n, errno as u32 + 1)
        });
        let report = handle.bulk(updates).on_progress(move |_| {
            forge();
            ControlFlow::Continue(())
        });
        let report = report.await.expect("a report");
        assert_eq!(counts(&report), (ALL.into(), ALL.into(), 0), "{report:?}");
        assert_eq!(
            marks(&handle, 0..ALL).await,
            vec![Some(errno as u32 + 1); ALL.into()]
        );
    }
}

/// Junk at every moment: what cannot be found out is an overrun, and nothing is told falsely.
async fn a_stranger_who_never_stops() {
    const ALL: u16 = Report::KEPT as u16 / 2;
    let handle = connect();
    fill(&handle, ALL).await;
    for round in 1..=5 {
        let stranger = Flood::new(usize::MAX);
        let updates = (0..2 * ALL).map(move |n| {
            if n == 0 {
                stranger.clone().pour_for_ever();
            }
            // One that is there, one that is not.
            mark(n / 2 + n % 2 * ALL, round)
        });
        let report = bulk(&handle, updates).await;
        let mut failed = [0, 0];
        for (key, error) in &report.failed {
            assert_eq!(error.kind(), ErrorKind::Overrun, "{key:?}: {error}");
            let there = (0..ALL).any(|n| *key == udp(n).into());
            failed[usize::from(there)] += 1;
        }
        let [missing, there] = failed;
        let all = u64::from(ALL);
        assert_eq!((report.applied, report.gone), (all - there, all - missing));
        let marked = marks(&handle, 0..ALL).await;
        let marked = marked.iter().filter(|mark| **mark == Some(round)).count() as u64;
        assert!(marked >= report.applied, "{marked} marks, {report:?}");
    }
}
