//! Changes in any order: a bulk request has the same result as single requests.

use ctnetlink::{
    Change, ConntrackHandle, ErrorKind, Flow, FlowId, FlowKey, Labels, Masked, NewFlow, Patch,
    ProtoInfo, Report, Status, TcpState, Tuple,
};
use libtest_mimic::Trial;

use super::{bulk, by_its_verb, connect, found, udp};
use crate::support::nft;
use crate::verbs::{HOUR, got, label, tcp, udp6};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["bulk::sequences":
        one_by_one_or_all_together,
    ]
}

const SEQUENCES: u64 = 150;
const LONGEST: u64 = 200;

// The two ways use different zones.
const TOGETHER: u16 = 1;
const ONE_BY_ONE: u16 = 2;

/// Pseudorandom numbers that are the same each time: xorshift64.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.throw(of.len() as u64) as usize]
    }
}

/// Only a few, so that changes affect the same flows. Two are each other's reply.
fn tuples() -> [Tuple; 5] {
    [udp(1), udp(1).inverse(), udp(2), tcp(1), udp6(1)]
}

fn key(dice: &mut Dice, stale: FlowId) -> FlowKey {
    let tuple = dice.one(&tuples());
    match dice.throw(8) {
        0 | 1 => FlowKey::reply(tuple.inverse()),
        2 => FlowKey::reply(tuple),
        3 => FlowKey::from(tuple).id(stale),
        _ => tuple.into(),
    }
}

fn status(dice: &mut Dice) -> Status {
    dice.one(&[
        Status::SEEN_REPLY,
        Status::ASSURED,
        Status::FIXED_TIMEOUT,
        Status::DYING,
    ])
}

fn create(dice: &mut Dice, zone: u16) -> Change {
    let tuple = dice.one(&tuples());
    let flow = NewFlow::new(tuple, HOUR)
        .zone(zone)
        .mark(dice.throw(1000) as u32);
    Change::Create(match dice.throw(8) {
        0 => flow.status(status(dice)),
        1 => flow.reply(udp(1).inverse()),
        2 => flow.master(tcp(1)),
        3 => flow.tcp_state(TcpState::ESTABLISHED),
        4 => flow.helper("ftp"),
        _ => flow,
    })
}

fn patch(dice: &mut Dice) -> Patch {
    let mut patch = Patch::new();
    for _ in 0..dice.throw(3) {
        patch = match dice.throw(7) {
            0..3 => patch.mark(Masked::new(dice.throw(1000) as u32, 0xff)),
            3 => patch.labels(Masked::new(label(3), Labels::ALL)),
            4 => patch.timeout(HOUR),
            5 => patch.status(status(dice)),
            _ => patch.tcp_state(TcpState::TIME_WAIT),
        };
    }
    patch
}

fn change(dice: &mut Dice, zone: u16, stale: FlowId) -> Change {
    match dice.throw(9) {
        0..2 => create(dice, zone),
        2..5 => Change::Delete(key(dice, stale).zone(zone)),
        5..7 => Change::Update(
            key(dice, stale).zone(zone),
            Patch::new().status(status(dice)),
        ),
        _ => Change::Update(key(dice, stale).zone(zone), patch(dice)),
    }
}

fn changes(seed: u64, zone: u16, stale: FlowId) -> Vec<Change> {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) + 1);
    let changes = 1 + dice.throw(LONGEST);
    (0..changes)
        .map(|_| change(&mut dice, zone, stale))
        .collect()
}

/// The numbers of changes that were applied, gone, or existed already (or could not be made because
/// of another flow), and the failed ones. Their keys have zone 0, so that they can be compared.
#[derive(Default)]
struct Outcome {
    applied: u64,
    gone: u64,
    exists: u64,
    failed: Vec<(FlowKey, ErrorKind, String)>,
}

impl Outcome {
    /// Panics with the first difference.
    fn is(&self, other: &Self, seed: u64) {
        for (left, right) in self.failed.iter().zip(&other.failed) {
            // The reason may no longer be visible after the send.
            let known = |it: &(FlowKey, ErrorKind, String)| (it.0, it.1);
            assert_eq!(
                known(left),
                known(right),
                "sequence {seed}: {} {}",
                left.2,
                right.2
            );
        }
        let counts = |it: &Self| (it.applied, it.gone, it.exists, it.failed.len());
        assert_eq!(counts(self), counts(other), "sequence {seed}");
    }

    fn fail(&mut self, key: FlowKey, error: &ctnetlink::Error) {
        match error.kind() {
            // If the flow was deleted later in the send, it is unknown which of the two it was.
            ErrorKind::AlreadyExists => self.exists += 1,
            kind => self.failed.push((key.zone(0), kind, error.to_string())),
        }
    }
}

impl From<Report> for Outcome {
    fn from(report: Report) -> Self {
        let mut outcome = Self {
            applied: report.applied,
            gone: report.gone,
            exists: report.exists,
            failed: Vec::new(),
        };
        assert_eq!(report.failed_total, report.failed.len() as u64);
        for (key, error) in &report.failed {
            outcome.fail(*key, error);
        }
        outcome
    }
}

async fn one_by_one(handle: &ConntrackHandle, changes: Vec<Change>) -> Outcome {
    let mut outcome = Outcome::default();
    for change in changes {
        let (key, creates) = (change.key(), matches!(change, Change::Create(_)));
        match by_its_verb(handle, change).await {
            Ok(()) => outcome.applied += 1,
            Err(error) if error.is_not_found() && !creates => outcome.gone += 1,
            Err(error) => outcome.fail(key, &error),
        }
    }
    outcome
}

/// The flows of a zone, without their ids and times.
async fn state(handle: &ConntrackHandle, zone: u16) -> Vec<Option<String>> {
    let keys = tuples().map(|tuple| FlowKey::from(tuple).zone(zone));
    let show = |flow: Flow| {
        let state = match &flow.protoinfo {
            Some(ProtoInfo::Tcp(info)) => Some(info.state),
            _ => None,
        };
        let helper = flow.helper().map(|helper| &helper.name);
        let rest = (
            flow.mark,
            flow.labels,
            flow.status,
            flow.master(),
            helper,
            state,
        );
        format!("{} {} {rest:?}", flow.orig, flow.reply)
    };
    let flows = found(handle, keys).await;
    flows.into_iter().map(|flow| flow.map(show)).collect()
}

async fn one_by_one_or_all_together() {
    let handle = connect();
    let other = NewFlow::new(udp(99), HOUR);
    handle.create(other).await.expect("a flow");
    let stale = got(&handle, udp(99)).await.id.expect("an id");
    let mut all = Outcome::default();
    for seed in 0..SEQUENCES {
        // From here on, new flows have room for labels.
        if seed == SEQUENCES / 2 {
            nft::labels().expect("a rule that uses labels");
        }
        let together = bulk(&handle, changes(seed, TOGETHER, stale)).await;
        let together = Outcome::from(together);
        let separate = one_by_one(&handle, changes(seed, ONE_BY_ONE, stale)).await;
        separate.is(&together, seed);
        let (left, right) = (
            state(&handle, TOGETHER).await,
            state(&handle, ONE_BY_ONE).await,
        );
        assert_eq!(left, right, "sequence {seed}");
        all.applied += together.applied;
        all.gone += together.gone;
        all.exists += together.exists;
        all.failed.extend(together.failed);
    }
    // The changes did affect the same flows, in all ways.
    assert!(all.applied > 1000 && all.gone > 1000 && all.exists > 100);
    for text in ["master", "ct label", "FIXED", "status:", "protoinfo"] {
        let failed = all.failed.iter().any(|(.., error)| error.contains(text));
        assert!(failed, "no {text:?}");
    }
}
