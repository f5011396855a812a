//! The same traffic for the crate and for `conntrack -E` in all its formats: the same events, in
//! the same order.

mod expected;
mod listener;
mod traffic;

use std::time::Duration;

use ctnetlink::{Change, Event, EventKinds, EventStream, NewExpectation, NewFlow, Table, Tuple};
use futures::StreamExt;
use tokio::time::timeout;

use crate::flows::{connect, tcp_between};
use crate::support::patience;
use listener::{Form, Listeners, listeners};

pub async fn traffic_equals_the_tools() {
    let tools = Listeners::start(&Form::ALL, "").await;
    let events = traffic::heard().await;
    tools.heard_the_same(&events).await;
    let missing: Vec<_> = traffic::CASES
        .iter()
        .filter(|(_, is_it)| !events.iter().any(is_it))
        .map(|(case, _)| *case)
        .collect();
    assert!(missing.is_empty(), "not in the traffic: {missing:?}");
    assert!(
        traffic::has_a_whole_connection(&events),
        "no handshake and close"
    );
}

pub async fn expectations_equal_the_tools() {
    let tools = Listeners::start(&Form::ALL, "expect").await;
    let handle = connect();
    let events = handle.events().kinds(EventKinds::EXPECTATIONS).await;
    let mut events = events.expect("a stream");
    assert_eq!(listeners(), 4, "the tools and us");
    let expectations = handle.expectations();
    let mut expected = Vec::new();
    for n in 1..=3 {
        let control = tcp_between(&format!("10.77.0.1:{n}"), "10.77.0.2:21");
        let master = NewFlow::new(control, Duration::from_secs(600)).helper("ftp");
        handle.create(master).await.expect("a master");
        let data = tcp_between("10.77.0.2:0", &format!("10.77.0.1:{}", 1000 + n));
        let new = NewExpectation::new(control, data);
        expectations.create(new).await.expect("an expectation");
        expected.push((control, data));
    }
    // Expectations end by a request, by their timeout, and with their master.
    expectations.delete(expected[0].1).await.expect("its end");
    let update = expectations.update(expected[1].1, Duration::ZERO);
    update.await.expect("an update");
    handle.delete(expected[2].0).await.expect("a delete");
    let mut ours = Vec::new();
    while ours.len() < 6 {
        ours.push(next(&mut events).await);
    }
    tools.heard_the_same(&ours).await;
}

/// A flow is removed to make room in a full table. The limit belongs to the machine, and applies to
/// each namespace.
pub async fn an_early_drop_equals_the_tools() {
    let handle = connect();
    let flow = |n: u32| {
        let [_, high, mid, low] = n.to_be_bytes();
        let tuple = Tuple::udp(
            ([10, high, mid, low], 4000).into(),
            ([10, 77, 0, 2], 53).into(),
        );
        NewFlow::new(tuple.expect("one family"), Duration::from_secs(600))
    };
    let limit = async || handle.stats().await.expect("statistics").max;
    // Other programs may change the limit too.
    let max = loop {
        let max = limit().await.expect("a limit");
        let fill = (0..max).map(move |n| Change::Create(flow(n)));
        let applied = handle.bulk(fill).await.expect("a report").applied;
        if limit().await == Some(max) {
            assert_eq!(applied, u64::from(max));
            break max;
        }
        handle.flush(Table::Conntrack).await.expect("a flush");
    };
    let tools = Listeners::start(&Form::ALL, "").await;
    let mut events = handle.events().await.expect("a stream");
    handle.create(flow(max)).await.expect("room for one more");
    let mut ours = vec![next(&mut events).await];
    while !matches!(ours.last(), Some(Event::New { .. })) {
        ours.push(next(&mut events).await);
    }
    let dropped = |event: &Event| matches!(event, Event::Destroy { .. });
    assert!(
        ours.len() > 1 && ours.iter().rev().skip(1).all(dropped),
        "{ours:?}"
    );
    tools.heard_the_same(&ours).await;
}

async fn next(events: &mut EventStream) -> Event {
    let next = timeout(patience::secs(20), events.next()).await;
    let next = next.expect("an event in time");
    next.expect("the stream goes on").expect("an event")
}
