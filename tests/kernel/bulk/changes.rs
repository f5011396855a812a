//! What a bulk request changes, and what it leaves unchanged.

use std::time::Duration;

use ctnetlink::{
    Change, ConntrackHandle, Flow, FlowKey, Labels, Masked, NewFlow, Patch, ProtoInfo, Status,
    TcpState, Tuple, Zone,
};
use libtest_mimic::Trial;

use super::{bulk, connect, counts, mark, new, udp};
use crate::support::nft;
use crate::verbs::{HOUR, all_protocols, got, label, list, succession, tcp};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["bulk::changes":
        flows_are_what_was_asked_for,
        changes_are_made_in_their_order,
        a_stale_id_is_gone_and_its_successor_stays,
        a_reply_tuple_alone_deletes_nothing,
        nothing_to_change_is_a_report,
    ]
}

const SHORT: Duration = Duration::from_secs(100);

/// A flow as it must be in the table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Expected {
    tuple: Tuple,
    zone: Zone,
    mark: u32,
    status: Status,
    labels: Option<Labels>,
    state: Option<TcpState>,
    short: bool,
}

impl Expected {
    fn key(&self) -> FlowKey {
        FlowKey::from(self.tuple).zone(self.zone)
    }

    fn create(&self) -> Change {
        let flow = NewFlow::new(self.tuple, HOUR)
            .zone(self.zone)
            .mark(self.mark)
            .status(self.status)
            .labels(self.labels.unwrap_or_default());
        Change::Create(match self.state {
            Some(state) => flow.tcp_state(state),
            None => flow,
        })
    }

    /// Changes one setting or all of them. The number decides which.
    fn update(&mut self, n: usize) -> Patch {
        let is = |what| n % 6 == what || n % 6 == 5;
        let mut patch = Patch::new();
        if is(0) || self.state.is_none() && is(4) {
            let change = Masked::new(0xa5, 0x0f);
            self.mark = change.apply(self.mark);
            patch = patch.mark(change);
        }
        if is(1) {
            let change = Masked::new(label(64), label(64) | label(3));
            self.labels = Some(label(64) | label(127));
            patch = patch.labels(change);
        }
        if is(2) {
            self.short = true;
            patch = patch.timeout(SHORT);
        }
        if is(3) {
            self.status |= Status::SEEN_REPLY;
            patch = patch.status(Status::SEEN_REPLY);
        }
        if let (true, Some(state)) = (is(4), &mut self.state) {
            *state = TcpState::CLOSE_WAIT;
            patch = patch.tcp_state(*state);
        }
        patch
    }
}

impl From<&Flow> for Expected {
    fn from(flow: &Flow) -> Self {
        Self {
            tuple: flow.orig,
            zone: flow.zone,
            mark: flow.mark.expect("a mark"),
            status: flow.status,
            labels: flow.labels,
            state: match &flow.protoinfo {
                Some(ProtoInfo::Tcp(info)) => Some(info.state),
                _ => None,
            },
            short: flow.timeout <= Some(SHORT),
        }
    }
}

/// Flows of both families, all protocols and several zones, for more than one send.
fn population() -> Vec<Expected> {
    let zones = [Zone::default(), Zone::new(5), Zone::orig(6), Zone::reply(7)];
    let tuples = (1..).zip(zones).flat_map(|(n, zone)| {
        let tuples = all_protocols(n).into_iter();
        tuples.map(move |tuple| (tuple, zone))
    });
    let flows = (0..).zip(tuples).map(|(n, (tuple, zone))| Expected {
        tuple,
        zone,
        mark: n + 0x100,
        status: Status::CONFIRMED | [Status::ASSURED, Status::SEEN_REPLY][n as usize % 2],
        labels: Some(label(3) | label(127)),
        state: (tuple.protocol() == 6).then_some(TcpState::ESTABLISHED),
        short: false,
    });
    flows.collect()
}

async fn table_is(handle: &ConntrackHandle, expected: &[Expected]) {
    let mut expected = expected.to_vec();
    expected.sort();
    let mut flows: Vec<_> = list(handle).await.iter().map(Expected::from).collect();
    flows.sort();
    assert_eq!(flows.len(), expected.len());
    for (flow, expected) in flows.iter().zip(&expected) {
        assert_eq!(flow, expected);
    }
}

/// A key by the reply tuple, with the id, or without both. The number decides which.
fn key(expected: &Expected, flows: &[Flow], n: usize) -> FlowKey {
    let both = expected.zone == Zone::new(expected.zone.id());
    match n % 3 {
        0 if both => FlowKey::reply(expected.tuple.inverse()).zone(expected.zone),
        1 => {
            let mut flows = flows.iter();
            let flow = flows.find(|flow| flow.orig == expected.tuple);
            flow.expect("a flow").into()
        }
        _ => expected.key(),
    }
}

async fn flows_are_what_was_asked_for() {
    nft::labels().expect("a rule that uses labels");
    let handle = connect();
    let mut expected = population();
    let all = expected.len() as u64;
    assert!(all > 64, "one send");

    let creates: Vec<_> = expected.iter().map(Expected::create).collect();
    let report = bulk(&handle, creates).await;
    assert_eq!(counts(&report), (all, 0, 0), "{report:?}");
    table_is(&handle, &expected).await;

    let flows = list(&handle).await;
    let updates = expected.iter_mut().enumerate().map(|(n, flow)| {
        let key = key(flow, &flows, n / 6);
        Change::Update(key, flow.update(n))
    });
    let updates: Vec<_> = updates.collect();
    let report = bulk(&handle, updates).await;
    assert_eq!(counts(&report), (all, 0, 0), "{report:?}");
    table_is(&handle, &expected).await;

    let (out, left): (Vec<_>, Vec<_>) = (0..).zip(expected).partition(|(n, _)| n % 4 > 0);
    let deletes = out
        .iter()
        .map(|(n, flow)| Change::Delete(key(flow, &flows, *n)));
    let deletes: Vec<_> = deletes.collect();
    let left: Vec<_> = left.into_iter().map(|(_, flow)| flow).collect();
    for expected in [(out.len() as u64, 0, 0), (0, out.len() as u64, 0)] {
        let report = bulk(&handle, deletes.clone()).await;
        assert_eq!(counts(&report), expected, "{report:?}");
        table_is(&handle, &left).await;
    }
}

async fn changes_are_made_in_their_order() {
    let handle = connect();
    let key = FlowKey::from(udp(1));
    let status = |status| Change::Update(key, Patch::new().status(status));
    let changes = [
        mark(1, 1),                                      // gone
        Change::Create(new(1).mark(2)),                  // applied
        status(Status::ASSURED),                         // applied
        status(Status::SEEN_REPLY),                      // applied
        Change::Create(new(1).mark(3)),                  // exists
        Change::Delete(key),                             // applied
        Change::Delete(key),                             // gone
        status(Status::ASSURED),                         // gone
        mark(1, 4),                                      // gone
        Change::Create(new(1).mark(5)),                  // applied
        mark(1, 6),                                      // applied
        status(Status::SEEN_REPLY),                      // applied
        Change::Delete(FlowKey::from(udp(1).inverse())), // gone
        mark(1, 7),                                      // applied
    ];
    for round in 0..3 {
        let report = bulk(&handle, changes.clone()).await;
        let flow = got(&handle, udp(1)).await;
        assert_eq!(flow.mark, Some(7));
        assert_eq!(flow.status, Status::CONFIRMED | Status::SEEN_REPLY);
        // From the second round on, the first three changes find the flow of the previous round.
        let (applied, gone, exists) = [(8, 5, 1), (8, 4, 2)][round.min(1)];
        assert_eq!(counts(&report), (applied, gone, 0), "{report:?}");
        assert_eq!(report.exists, exists, "{report:?}");
        assert_eq!(report.done(), changes.len() as u64);
    }
}

async fn a_stale_id_is_gone_and_its_successor_stays() {
    let handle = connect();
    let (first, second) = succession(&handle, udp(1)).await;
    handle.create(new(2)).await.expect("a flow");
    let reply = FlowKey::reply(udp(1).inverse()).id(first.id.expect("an id"));
    for stale in [FlowKey::from(&first), reply] {
        let report = bulk(&handle, [Change::Delete(stale), mark(2, 9)]).await;
        assert_eq!(counts(&report), (1, 1, 0), "{report:?}");
        assert_eq!(got(&handle, udp(1)).await.id, second.id);
    }
    assert_eq!(got(&handle, udp(2)).await.mark, Some(9));
    // An update uses only the tuple.
    let patch = Patch::new().mark(7);
    let report = bulk(&handle, [Change::Update((&first).into(), patch)]).await;
    assert_eq!(counts(&report), (1, 0, 0), "{report:?}");
    assert_eq!(got(&handle, udp(1)).await.mark, Some(7));
    let report = bulk(&handle, [Change::Delete((&second).into())]).await;
    assert_eq!(counts(&report), (1, 0, 0), "{report:?}");
}

/// The kernel's lookup ignores the direction.
async fn a_reply_tuple_alone_deletes_nothing() {
    let handle = connect();
    let tuples = [udp(1), udp(2), tcp(1)];
    for tuple in tuples {
        let created = handle.create(NewFlow::new(tuple, HOUR));
        created.await.expect("a flow");
    }
    let deletes = tuples.map(|tuple| Change::Delete(tuple.inverse().into()));
    let replies = tuples.map(|tuple| Change::Delete(FlowKey::reply(tuple)));
    let report = bulk(&handle, deletes.into_iter().chain(replies)).await;
    assert_eq!(counts(&report), (0, 6, 0), "{report:?}");
    assert_eq!(list(&handle).await.len(), 3);
}

async fn nothing_to_change_is_a_report() {
    let handle = connect();
    let report = bulk(&handle, []).await;
    assert_eq!((report.done(), report.failed.len()), (0, 0));
    assert!(report.incomplete.is_none());
    let report = handle.bulk_stream(futures::stream::empty()).await;
    assert_eq!(report.expect("a report").done(), 0);
}
