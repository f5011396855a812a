//! Packets of all kinds, changes by requests, and a flush.

use std::collections::BTreeMap;
use std::time::Duration;

use ctnetlink::{
    Event, Flow, NewFlow, ProtoInfo, Protocol, Status, Table, TcpState, Tuple, ZoneDirection,
};
use tokio::time::sleep;

use super::listener::{Form, listeners};
use super::next;
use crate::flows::{connect, tcp_between};
use crate::population;

/// Recognizes a case of the traffic by one of its events.
type Is = fn(&Event) -> bool;

/// The cases that the traffic must contain.
pub(super) const CASES: &[(&str, Is)] = &[
    ("a connection", |event| is_packets(event, 6)),
    ("a connection that was refused", |event| {
        is_end(event, |flow| {
            let is_answered = flow.status.contains(Status::SEEN_REPLY);
            state(flow) == Some(TcpState::CLOSE) && !is_answered
        })
    }),
    ("datagrams", |event| is_packets(event, 17)),
    ("echoes", |event| is_packets(event, 1)),
    ("echoes of IPv6", |event| is_packets(event, 58)),
    ("GRE", |event| is_packets(event, 47)),
    ("SCTP", |event| is_packets(event, 132)),
    ("UDP-Lite", |event| is_packets(event, 136)),
    ("a protocol without a tracker", |event| {
        is_packets(event, 89)
    }),
    ("an answer", |event| {
        by_packet(event, |flow| flow.status.contains(Status::SEEN_REPLY))
    }),
    ("a source that is translated", |event| {
        by_packet(event, |flow| flow.reply.dst() != flow.orig.src())
    }),
    ("a destination that is translated", |event| {
        by_packet(event, |flow| {
            flow.status.contains(Status::DST_NAT) && flow.reply.src_port() != flow.orig.dst_port()
        })
    }),
    ("translations that we made", |event| {
        let status = Status::SRC_NAT | Status::DST_NAT;
        by_us(event, |flow| flow.status.contains(status))
    }),
    ("a zone that a rule chose", |event| {
        by_packet(event, |flow| {
            flow.zone.id() == 9 && flow.zone.direction() == ZoneDirection::Both
        })
    }),
    ("a zone of one direction", |event| {
        by_packet(event, |flow| {
            flow.zone.id() == 10 && flow.zone.direction() == ZoneDirection::Orig
        })
    }),
    ("a zone that we chose", |event| {
        by_us(event, |flow| flow.zone.id() == 5)
    }),
    ("a mark that a rule set", |event| {
        by_packet(event, |flow| flow.mark == Some(42))
    }),
    ("a label that a rule set", |event| {
        by_packet(event, |flow| {
            flow.labels.is_some_and(|labels| labels.iter().eq([100]))
        })
    }),
    ("a mark that we changed", |event| {
        is_update(event, |flow| flow.mark == Some(9))
    }),
    ("a mark that we took away", |event| {
        is_update(event, |flow| flow.mark == Some(0))
    }),
    ("a timeout that we changed", |event| {
        is_update(event, |flow| flow.timeout == Some(Duration::from_secs(99)))
    }),
    ("a helper", |event| {
        by_us(event, |flow| {
            flow.helper().is_some_and(|helper| &*helper.name == "ftp")
        })
    }),
    ("a master", |event| {
        by_us(event, |flow| flow.master().is_some())
    }),
    ("a delete", |event| {
        is_end(event, |flow| flow.orig == one()) && event.port_id().is_some()
    }),
    ("the end of a timeout", |event| {
        is_end(event, |flow| flow.orig == one()) && event.port_id().is_none()
    }),
    ("a flush", |event| {
        is_end(event, |flow| flow.orig.protocol() == Protocol::GRE) && event.port_id().is_some()
    }),
    ("a plain line without a program", |event| {
        !Form::Extended.ours(event).contains("[USERSPACE]")
    }),
    ("a line with a program", |event| {
        Form::Extended.ours(event).contains("[USERSPACE] portid=")
    }),
];

fn state(flow: &Flow) -> Option<TcpState> {
    match &flow.protoinfo {
        Some(ProtoInfo::Tcp(info)) => Some(info.state),
        _ => None,
    }
}

/// The flow that this test changes.
fn one() -> Tuple {
    tcp_between("10.77.0.1:1", "10.77.0.2:2")
}

fn is(event: &Event, is: impl FnOnce(&Flow) -> bool) -> bool {
    event.flow().is_some_and(is)
}

fn by_packet(event: &Event, it: impl FnOnce(&Flow) -> bool) -> bool {
    let is_end = matches!(event, Event::Destroy { .. });
    !is_end && event.port_id().is_none() && is(event, it)
}

fn by_us(event: &Event, it: impl FnOnce(&Flow) -> bool) -> bool {
    matches!(event, Event::New { .. }) && event.port_id().is_some() && is(event, it)
}

fn is_update(event: &Event, it: impl FnOnce(&Flow) -> bool) -> bool {
    let is_ours = matches!(event, Event::Update { .. }) && event.port_id().is_some();
    is_ours && is(event, |flow| flow.orig == one() && it(flow))
}

fn is_end(event: &Event, it: impl FnOnce(&Flow) -> bool) -> bool {
    matches!(event, Event::Destroy { .. }) && is(event, it)
}

/// A flow that packets began.
fn is_packets(event: &Event, protocol: u8) -> bool {
    matches!(event, Event::New { .. })
        && by_packet(event, |flow| flow.orig.protocol().number() == protocol)
}

/// Is there a connection of packets, from its handshake to its close?
pub(super) fn has_a_whole_connection(events: &[Event]) -> bool {
    let mut states: BTreeMap<Tuple, Vec<TcpState>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.port_id().is_none()) {
        let flow = event.flow().expect("a flow");
        let of = states.entry(flow.orig).or_default();
        // The event of the end repeats the last state.
        let is_end = matches!(event, Event::Destroy { .. });
        of.extend(state(flow).filter(|_| !is_end));
    }
    const WANTED: [TcpState; 6] = [
        TcpState::SYN_SENT,
        TcpState::SYN_RECV,
        TcpState::ESTABLISHED,
        TcpState::FIN_WAIT,
        TcpState::LAST_ACK,
        TcpState::TIME_WAIT,
    ];
    states.values().any(|seen| {
        let mut left = seen.iter();
        WANTED.iter().all(|state| left.any(|it| it == state))
    })
}

/// Makes the traffic, and returns the events that we received.
pub(super) async fn heard() -> Vec<Event> {
    let handle = connect();
    let tools = listeners();
    let mut events = handle.events().await.expect("a stream");
    assert_eq!(listeners(), tools + 1, "the tools and us");
    let population = population::populate(&handle).await;
    let flow = NewFlow::new(one(), Duration::from_secs(600));
    handle.create(flow.clone()).await.expect("a flow");
    handle.set_mark(one(), 9).await.expect("a mark");
    handle.set_mark(one(), 0).await.expect("a mark");
    let update = handle.update(one()).timeout(Duration::from_secs(99));
    update.await.expect("a timeout");
    handle.delete(one()).await.expect("the end");
    let soon = NewFlow::new(one(), Duration::from_secs(1));
    handle.create(soon).await.expect("a flow");
    // The kernel removes a flow that timed out when it next finds it.
    while handle.get(one()).await.expect("an answer").is_some() {
        sleep(Duration::from_millis(50)).await;
    }
    drop(population);
    handle.flush(Table::Conntrack).await.expect("a flush");
    handle.create(flow).await.expect("the last flow");
    handle.delete(one()).await.expect("its end");
    let mut heard = Vec::new();
    let mut ends = 0;
    while ends < 3 {
        let event = next(&mut events).await;
        ends += usize::from(is_end(&event, |flow| flow.orig == one()));
        heard.push(event);
    }
    heard
}
