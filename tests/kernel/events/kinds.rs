//! The attributes of each kind of event, and refused filters.

use std::time::{Duration, SystemTime};

use ctnetlink::{
    ErrorKind, Event, EventKinds, Filter, Labels, Masked, NewFlow, Status, TcpState, Tuple, Zone,
};
use libtest_mimic::Trial;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{SMALL, next};
use crate::common::{Held, connect, new, udp};
use crate::right;
use crate::support::nft::{self, Port};
use crate::support::traffic::{TcpPair, UdpPair};
use crate::trials;

pub(super) fn tests() -> Vec<Trial> {
    let mut tests = trials!["events::kinds":
        a_life,
        of_packets,
        what_is_asked_for_comes_alone,
        expectations,
        what_makes_no_sense_is_refused,
        the_queue_is_as_large_as_asked_for,
    ];
    tests.push(right::trial(
        "events::kinds::without_the_right",
        without_the_right,
    ));
    tests
}

async fn a_life() {
    nft::labels().expect("room for labels");
    let handle = connect();
    let mut events = handle.events().await.expect("a stream");
    let began = SystemTime::now();
    let tuple = Tuple::tcp(
        "10.0.0.1:4000".parse().unwrap(),
        "10.0.0.2:443".parse().unwrap(),
    );
    let tuple = tuple.expect("one family");
    let label = Labels::bit(3).expect("a label");
    let flow = NewFlow::new(tuple, Duration::from_secs(600))
        .tcp_state(TcpState::ESTABLISHED)
        .zone(Zone::new(5))
        .mark(7);
    handle.create(flow).await.expect("a flow");
    let flow = handle
        .get(ctnetlink::FlowKey::from(tuple).zone(5))
        .await
        .expect("an answer");
    let key = flow.expect("a flow");
    handle.set_labels(&key, label).await.expect("labels");
    handle.set_mark(&key, 0).await.expect("a mark");
    handle.delete(&key).await.expect("the end");

    let event = next(&mut events).await;
    let Event::New {
        flow,
        port_id,
        nsid,
    } = &event
    else {
        panic!("{event}");
    };
    assert_eq!((flow.orig, flow.reply), (tuple, tuple.inverse()));
    assert_eq!(
        (flow.zone, flow.mark, flow.id),
        (Zone::new(5), Some(7), key.id)
    );
    assert!(flow.status.contains(Status::CONFIRMED));
    assert!(flow.protoinfo.is_some() && flow.timeout.is_some());
    assert_eq!(
        (flow.counters_orig, flow.timestamp(), flow.use_count),
        (None, None, None)
    );
    assert!(port_id.is_some());
    assert_eq!(*nsid, None);
    let port = *port_id;

    let event = next(&mut events).await;
    assert!(matches!(&event, Event::Update { .. }), "{event}");
    assert_eq!(event.flow().expect("a flow").labels, Some(label));
    let event = next(&mut events).await;
    assert!(matches!(&event, Event::Update { .. }), "{event}");
    // The event contains the new mark, 0.
    assert_eq!(event.flow().expect("a flow").mark, Some(0));
    assert_eq!((event.port_id(), event.nsid()), (port, None));

    let event = next(&mut events).await;
    let Event::Destroy { flow, .. } = &event else {
        panic!("{event}");
    };
    assert_eq!(
        (flow.orig, flow.zone, flow.id),
        (tuple, Zone::new(5), key.id)
    );
    assert!(flow.status.contains(Status::DYING));
    assert_eq!(
        (flow.mark, flow.labels),
        (None, None),
        "it does not say them"
    );
    assert!(flow.counters_orig.is_some());
    let times = flow.timestamp().expect("a timestamp");
    assert!(times.start >= began && times.stop.expect("an end") >= times.start);
    // Since Linux 6.14.
    if let Some(time) = event.time() {
        assert!(time >= times.start && time <= SystemTime::now());
    }
    assert_eq!(events.stats().received, 4);
}

async fn of_packets() {
    let _rules = [
        nft::track().expect("a rule"),
        nft::set_mark(Port::Udp(9053), 42).expect("a rule"),
    ];
    let handle = connect();
    let mut events = handle.events().await.expect("a stream");
    let mut pair = UdpPair::new("127.0.0.1:9053".parse().unwrap()).expect("sockets");
    pair.send().expect("a packet");
    pair.reply().expect("a packet");
    let tuple = Tuple::udp(pair.source, pair.destination).expect("one family");
    let event = next(&mut events).await;
    assert!(
        matches!(&event, Event::New { flow, port_id: None, .. } if flow.orig == tuple),
        "{event}"
    );
    assert_eq!(event.flow().expect("a flow").mark, Some(42));
    let event = next(&mut events).await;
    assert!(
        matches!(&event, Event::Update { port_id: None, .. }),
        "{event}"
    );
    assert!(
        event
            .flow()
            .expect("a flow")
            .status
            .contains(Status::SEEN_REPLY)
    );
}

async fn what_is_asked_for_comes_alone() {
    for (kinds, words) in [
        (EventKinds::NEW, vec!["[NEW]"]),
        (EventKinds::UPDATE, vec!["[UPDATE]"]),
        (EventKinds::DESTROY, vec!["[DESTROY]"]),
        (
            EventKinds::NEW | EventKinds::DESTROY,
            vec!["[NEW]", "[DESTROY]"],
        ),
        (EventKinds::FLOWS, vec!["[NEW]", "[UPDATE]", "[DESTROY]"]),
    ] {
        let handle = connect();
        let mut events = handle.events().kinds(kinds).await.expect("a stream");
        handle.create(new(1)).await.expect("a flow");
        handle.set_mark(udp(1), 5).await.expect("a mark");
        handle.delete(udp(1)).await.expect("the end");
        for word in words {
            let event = next(&mut events).await.to_string();
            assert!(event.contains(word), "{event}, where {word} was due");
        }
        assert_eq!(events.backlog().expect("the queue").used, 0);
    }
}

/// Expectations that a helper makes from packets, together with events of flows.
async fn expectations() {
    let handle = connect();
    let kinds = EventKinds::EXPECTATIONS | EventKinds::NEW;
    let mut events = handle.events().kinds(kinds).await.expect("a stream");
    let _rule = nft::helper("ftp", Port::Tcp(2121)).expect("a rule");
    let mut ftp = TcpPair::connect("127.0.0.1:2121".parse().unwrap())
        .await
        .expect("sockets");
    let flow = next(&mut events).await;
    assert!(matches!(&flow, Event::New { .. }), "{flow}");
    // The helper reads whole lines, and ignores the first one.
    for line in ["\r\n", "PORT 127,0,0,1,39,16\r\n"] {
        ftp.client
            .write_all(line.as_bytes())
            .await
            .expect("to write");
        let mut heard = vec![0; line.len()];
        ftp.server.read_exact(&mut heard).await.expect("to read");
    }
    let event = next(&mut events).await;
    let Event::ExpectNew {
        expectation,
        port_id,
        nsid,
    } = &event
    else {
        panic!("{event}");
    };
    assert_eq!((*port_id, *nsid), (None, None));
    assert_eq!(event.expectation(), Some(expectation));
    assert_eq!(Some(expectation.master), flow.flow().map(|flow| flow.orig));
    assert_eq!(expectation.tuple.dst_port(), Some(10_000));
    // The expectation is removed together with its master.
    handle.delete(expectation.master).await.expect("the end");
    let event = next(&mut events).await;
    assert!(matches!(&event, Event::ExpectDestroy { .. }), "{event}");
}

async fn what_makes_no_sense_is_refused() {
    let handle = connect();
    let labels = Masked::from(Labels::bit(1).expect("a label"));
    let labelled = Filter::builder().labels(labels).build().expect("a filter");
    let udp = Filter::builder().protocol(17).build().expect("a filter");
    let held = Held::at_rest().await;
    for events in [
        handle.events().kinds(EventKinds::empty()),
        handle.events().filter(labelled.clone()),
        handle.events().filter(udp).kinds(EventKinds::all()),
    ] {
        let error = events.await.expect_err("no sense");
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert_eq!(held, Held::now());
    let events = handle.events().filter(labelled).kinds(EventKinds::NEW);
    drop(events.await.expect("a new flow says its labels"));
}

async fn the_queue_is_as_large_as_asked_for() {
    let handle = connect();
    // Older kernels show this file only in the initial namespace. This is their usual limit.
    let limit = std::fs::read_to_string("/proc/sys/net/core/rmem_max");
    let limit: usize = match limit {
        Ok(limit) => limit.trim().parse().expect("a number"),
        Err(_) => SMALL,
    };
    for bytes in [4096, 65_536] {
        let events = handle
            .events()
            .receive_buffer(bytes)
            .await
            .expect("a stream");
        assert_eq!(events.receive_buffer().expect("a size"), 2 * bytes);
    }
    // With or without the right in the initial user namespace.
    let events = handle.events().await.expect("a stream");
    let granted = events.receive_buffer().expect("a size");
    assert!([16 << 20, 2 * limit].contains(&granted), "{granted}");
    let backlog = events.backlog().expect("the queue");
    assert_eq!((backlog.used, backlog.room), (0, granted));
}

async fn without_the_right() {
    let handle = connect();
    handle.create(new(1)).await.expect("a flow");
    right::give_up().await;
    let error = handle.events().await.expect_err("no right");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
    let error = handle
        .events()
        .all_namespaces()
        .await
        .expect_err("no right");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("CAP_NET_BROADCAST"), "{error}");
}
