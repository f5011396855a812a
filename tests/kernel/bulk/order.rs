//! Changes of one flow in one send, and what a look at the flow tells of them afterwards.

use ctnetlink::{Change, ErrorKind, FlowKey, NewFlow, Patch, Report, Status};
use libtest_mimic::Trial;

use super::flood::Flood;
use super::lost::flooded;
use super::{bulk, connect, counts, fill, mark, marks, new, udp};
use crate::verbs::{HOUR, got, tcp};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["bulk::order":
        changes_of_status_keep_their_order,
        a_change_of_status_that_a_delete_follows,
        a_reason_that_is_gone_is_not_guessed,
        a_lost_update_by_a_stale_id,
        a_lost_update_by_the_other_direction,
        a_lost_update_before_a_successor,
        a_lost_create_before_an_update,
        a_lost_create_with_a_helper,
        a_lost_create_with_a_master,
        a_lost_create_without_a_mark,
        a_lost_create_with_a_state,
    ]
}

/// The kernel finds one busy that does not name the bit which the change before it set.
async fn changes_of_status_keep_their_order() {
    let handle = connect();
    fill(&handle, 2).await;
    let both = Status::SEEN_REPLY | Status::ASSURED;
    let patches = [
        Patch::new().status(Status::ASSURED).mark(1),
        Patch::new().status(Status::SEEN_REPLY).mark(2),
        Patch::new().status(both).mark(3),
    ];
    for patch in &patches {
        let update = handle.update(udp(0)).patch(patch.clone());
        update.await.expect("an update");
    }
    let updates = patches.map(|patch| Change::Update(udp(1).into(), patch));
    assert_eq!(counts(&bulk(&handle, updates).await), (3, 0, 0));
    assert_eq!(marks(&handle, 0..2).await, [Some(3); 2]);
}

async fn a_change_of_status_that_a_delete_follows() {
    let handle = connect();
    fill(&handle, 1).await;
    let status = |status| Change::Update(udp(0).into(), Patch::new().status(status));
    let changes = [
        status(Status::ASSURED),
        status(Status::SEEN_REPLY),
        Change::Delete(udp(0).into()),
    ];
    assert_eq!(counts(&bulk(&handle, changes).await), (3, 0, 0));
}

/// The flow is gone when the whole send is over, and does not tell the reason any more.
async fn a_reason_that_is_gone_is_not_guessed() {
    let handle = connect();
    fill(&handle, 2).await;
    let fixed = handle.update(udp(1)).status(Status::FIXED_TIMEOUT);
    fixed.await.expect("a fixed timeout");
    let timeout = Change::Update(udp(1).into(), Patch::new().timeout(HOUR));
    let mut changes = vec![Change::Create(new(0)), timeout];
    for n in [0, 1] {
        let flow = got(&handle, udp(n)).await;
        changes.push(Change::Delete((&flow).into()));
    }
    let report = bulk(&handle, changes).await;
    assert_eq!(counts(&report), (2, 0, 2), "{report:?}");
    for ((_, error), reason) in report
        .failed
        .iter()
        .zip(["one of its tuples", "FIXED_TIMEOUT"])
    {
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// As of a flow that was listed, and has a successor.
async fn a_lost_update_by_a_stale_id() {
    let handle = connect();
    fill(&handle, 2).await;
    let id = got(&handle, udp(1)).await.id.expect("an id");
    let update = Change::Update(FlowKey::from(udp(0)).id(id), Patch::new().mark(7));
    let report = bulk(&handle, [update.clone()]).await;
    assert_eq!(counts(&report), (1, 0, 0), "{report:?}");
    let (report, _) = flooded(&handle, vec![update], Flood::but(0)).await;
    assert_eq!(counts(&report), (1, 0, 0), "{report:?}");
}

async fn a_lost_update_by_the_other_direction() {
    let handle = connect();
    fill(&handle, 1).await;
    let update = Change::Update(udp(0).inverse().into(), Patch::new().mark(7));
    let report = bulk(&handle, [update.clone()]).await;
    assert_eq!(counts(&report), (1, 0, 0), "{report:?}");
    let (report, _) = flooded(&handle, vec![update], Flood::but(0)).await;
    assert_eq!(counts(&report), (1, 0, 0), "{report:?}");
}

/// It is not made once more: that would be of the flow that came after it.
async fn a_lost_update_before_a_successor() {
    let handle = connect();
    fill(&handle, 1).await;
    let delete = Change::Delete((&got(&handle, udp(0)).await).into());
    let changes = vec![mark(0, 1), delete, Change::Create(new(0).mark(9))];
    let (report, _) = flooded(&handle, changes, Flood::but(0)).await;
    assert_eq!(marks(&handle, 0..1).await, [Some(9)], "{report:?}");
    assert_eq!(counts(&report), (1, 0, 2), "{report:?}");
    is_unknown(&report);
}

async fn a_lost_create_before_an_update() {
    let handle = connect();
    let changes = vec![Change::Create(new(0).mark(1)), mark(0, 2)];
    let (report, _) = flooded(&handle, changes, Flood::but(0)).await;
    assert_eq!(counts(&report), (1, 0, 1), "{report:?}");
    is_unknown(&report);
}

fn is_unknown(report: &Report) {
    let mut kinds = report.failed.iter().map(|(_, error)| error.kind());
    assert!(kinds.all(|kind| kind == ErrorKind::Overrun), "{report:?}");
}

/// It is not as it was to be made: another's, or changed since.
async fn is_another(existing: NewFlow, wanted: NewFlow) {
    let handle = connect();
    handle.create(existing).await.expect("a flow");
    let wanted = vec![Change::Create(wanted)];
    let (report, _) = flooded(&handle, wanted, Flood::but(0)).await;
    assert_eq!(counts(&report), (0, 0, 1), "{report:?}");
    is_unknown(&report);
}

async fn a_lost_create_with_a_helper() {
    let flow = || NewFlow::new(tcp(1), HOUR);
    is_another(flow(), flow().helper("ftp")).await;
}

async fn a_lost_create_with_a_master() {
    let handle = connect();
    let master = NewFlow::new(tcp(1), HOUR);
    handle.create(master).await.expect("a flow");
    is_another(new(1), new(1).master(tcp(1))).await;
}

async fn a_lost_create_without_a_mark() {
    is_another(new(1).mark(5), new(1)).await;
}

async fn a_lost_create_with_a_state() {
    use ctnetlink::TcpState::{Close, Established};
    let flow = || NewFlow::new(tcp(1), HOUR);
    is_another(flow().tcp_state(Close), flow().tcp_state(Established)).await;
}
