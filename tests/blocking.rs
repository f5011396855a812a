//! The blocking client, on a kernel in the process.

use std::thread;
use std::time::Duration;

use ctnetlink::blocking::Client;
use ctnetlink::testing::Kernel;
use ctnetlink::{Event, Filter, NewFlow, Options, Protocol, Table, Tuple};

fn client(kernel: &Kernel) -> Client {
    Client::open(Options::new().kernel(kernel)).expect("a connection")
}

fn tuple(port: u16) -> Tuple {
    Tuple::udp(([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 53).into()).expect("a tuple")
}

fn create(client: &Client, port: u16) {
    let flow = NewFlow::new(tuple(port), Duration::from_secs(60));
    client.wait(client.handle().create(flow)).expect("a flow");
}

#[test]
fn verbs_wait_for_their_answers() {
    let client = client(&Kernel::new());
    for port in 1..=5 {
        create(&client, port);
    }
    let listed: Vec<_> = client
        .list(Table::Conntrack)
        .expect("a list")
        .map(|flow| flow.expect("a flow").orig.src_port().expect("a port"))
        .collect();
    assert_eq!(listed.len(), 5);
    assert!(client.get(tuple(3)).expect("an answer").is_some());

    let filter = Filter::builder()
        .protocol(Protocol::UDP)
        .orig_src_port(1..=3)
        .build()
        .expect("a filter");
    let report = client.delete_matching(filter).expect("a report");
    assert_eq!((report.applied, report.failed.len()), (3, 0));
    assert!(client.get(tuple(3)).expect("an answer").is_none());
}

#[test]
fn events_come_one_by_one() {
    let client = client(&Kernel::new());
    let mut events = client.events().expect("events");
    create(&client, 7);
    let event = events.next().expect("an event").expect("that can be read");
    assert!(matches!(event, Event::New { .. }), "{event:?}");
    assert_eq!(events.stream().stats().received, 1);
}

#[test]
fn threads_share_one_client() {
    let client = client(&Kernel::new());
    thread::scope(|scope| {
        for thread in 0..8 {
            let client = client.clone();
            scope.spawn(move || (0..50).for_each(|n| create(&client, thread * 100 + n)));
        }
    });
    assert_eq!(client.list(Table::Conntrack).expect("a list").count(), 400);
}

#[test]
fn an_async_context_may_drop_it() {
    let client = client(&Kernel::new());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    runtime.block_on(async move { drop(client) });
}

#[test]
fn errors_are_those_of_the_verb() {
    let client = client(&Kernel::new());
    let error = client.wait(client.handle().delete(tuple(1))).unwrap_err();
    assert!(error.is_not_found(), "{error}");
}
