//! Changes of one flow in the same send.

use ctnetlink::{Change, Patch, Status};
use libtest_mimic::Trial;

use super::{bulk, connect, counts, fill, marks, new, udp};
use crate::support::release;
use crate::verbs::{HOUR, got};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["bulk::order":
        changes_of_status_keep_their_order,
        a_change_of_status_that_a_delete_follows,
        a_reason_that_is_gone_is_not_guessed,
    ]
}

/// The kernel answers EBUSY if a status lacks the bit that the change before has set.
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

/// The flow is gone after the send, so the reason of the failure cannot be found out.
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
    assert_eq!(report.exists, 1, "{report:?}");
    if !release::refuses_fixed_timeouts() {
        assert_eq!(counts(&report), (3, 0, 0), "{report:?}");
        return;
    }
    assert_eq!(counts(&report), (2, 0, 1), "{report:?}");
    let (_, error) = &report.failed[0];
    assert!(error.to_string().contains("FIXED_TIMEOUT"), "{error}");
}
