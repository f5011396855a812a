//! Requests on one flow are sent in the order of their first polls, including those that look at
//! the flow first.

use std::future::IntoFuture;

use ctnetlink::{FlowKey, Status};
use libtest_mimic::Trial;

use super::{connect, fill, new, udp};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["lanes::order":
        a_delete_before_a_create,
        a_status_before_a_mark,
        by_the_other_direction,
        among_many,
    ]
}

async fn a_delete_before_a_create() {
    let handle = connect();
    fill(&handle, 1).await;
    for round in 1..50 {
        let delete = handle.delete(udp(0)).into_future();
        let create = handle.create(new(0).mark(round)).into_future();
        let (deleted, created) = futures::join!(delete, create);
        deleted.expect("a delete");
        created.expect("a create");
        let flow = handle.get(udp(0)).await.expect("an answer");
        assert_eq!(flow.expect("a flow").mark, Some(round));
    }
}

async fn a_status_before_a_mark() {
    let handle = connect();
    fill(&handle, 1).await;
    for round in 0..50 {
        let status = handle.update(udp(0)).status(Status::ASSURED).mark(1000);
        let mark = handle.set_mark(udp(0), round);
        let (updated, marked) = futures::join!(status.into_future(), mark.into_future());
        updated.expect("an update");
        marked.expect("a mark");
        let flow = handle.get(udp(0)).await.expect("an answer");
        assert_eq!(flow.expect("a flow").mark, Some(round));
    }
}

async fn by_the_other_direction() {
    let handle = connect();
    fill(&handle, 1).await;
    let reply = FlowKey::reply(udp(0).inverse());
    let delete = handle.delete(reply).into_future();
    let create = handle.create(new(0).mark(7)).into_future();
    let (deleted, created) = futures::join!(delete, create);
    deleted.expect("a delete");
    created.expect("a create");
}

/// More pairs than have room in a datagram. Each pair keeps its order.
async fn among_many() {
    let handle = connect();
    fill(&handle, 300).await;
    let pairs = (0..300).flat_map(|n| {
        [
            handle.delete(udp(n)).into_future(),
            handle.create(new(n).mark(9)).into_future(),
        ]
    });
    for result in futures::future::join_all(pairs).await {
        result.expect("success");
    }
    for n in 0..300 {
        let flow = handle.get(udp(n)).await.expect("an answer");
        assert_eq!(flow.expect("a flow").mark, Some(9));
    }
}
