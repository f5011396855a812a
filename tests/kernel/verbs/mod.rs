//! What each verb does to the kernel's table.

mod create;
mod delete;
mod flush;
mod get;
mod helper;
mod input;
mod labels;
mod large;
mod list;
mod mark;
mod nat;
mod options;
mod protoinfo;
mod restore;
pub(crate) mod rights;
mod status;
mod traffic;
mod tuples;
mod update;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, Error, ErrorKind, Flow, FlowKey, IcmpEcho, Labels, NewFlow, Result, Table,
    Tuple,
};
use futures::TryStreamExt;
use libtest_mimic::Trial;

use crate::support::release;

/// The timeout of flows that must not end during their test.
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

pub(crate) fn tests() -> Vec<Trial> {
    [
        create::tests,
        delete::tests,
        flush::tests,
        get::tests,
        helper::tests,
        input::tests,
        labels::tests,
        large::tests,
        list::tests,
        mark::tests,
        nat::tests,
        options::tests,
        protoinfo::tests,
        restore::tests,
        rights::tests,
        status::tests,
        traffic::tests,
        tuples::tests,
        update::tests,
    ]
    .into_iter()
    .flat_map(|tests| tests())
    .collect()
}

fn connect() -> ConntrackHandle {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    tokio::spawn(connection);
    handle
}

pub(crate) fn v4(host: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, host).into()
}

pub(crate) fn v6(host: u8) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()).into()
}

pub(crate) fn at(address: IpAddr, port: u16) -> SocketAddr {
    SocketAddr::new(address, port)
}

/// TCP tuple number `n`, IPv4.
pub(crate) fn tcp(n: u8) -> Tuple {
    Tuple::tcp(at(v4(n), 4000), at(v4(250), 443)).expect("one family")
}

/// A TCP tuple, IPv6.
fn tcp6(n: u8) -> Tuple {
    Tuple::tcp(at(v6(n), 4000), at(v6(250), 443)).expect("one family")
}

/// A UDP tuple, IPv4.
fn udp(n: u8) -> Tuple {
    Tuple::udp(at(v4(n), 4000), at(v4(250), 53)).expect("one family")
}

/// A UDP tuple, IPv6.
pub(crate) fn udp6(n: u8) -> Tuple {
    Tuple::udp(at(v6(n), 4000), at(v6(250), 53)).expect("one family")
}

/// A tuple of each kind that the kernel tracks, for both families. They differ for each `n`.
pub(crate) fn all_protocols(n: u8) -> Vec<Tuple> {
    let mut tuples = Vec::new();
    for (src, dst) in [(v4(n), v4(251)), (v6(n), v6(251))] {
        let (client, server) = (at(src, 4001), at(dst, 5001));
        tuples.extend([
            Tuple::tcp(client, server),
            Tuple::udp(client, server),
            match release::tracks_udplite() {
                true => Tuple::udplite(client, server),
                false => Tuple::generic(src, dst, 136),
            },
            Tuple::sctp(client, server),
            Tuple::gre(src, dst, 0, 0),
            Tuple::gre(src, dst, 5, 6),
            Tuple::generic(src, dst, 89),
            Tuple::generic(src, dst, 0),
            Tuple::generic(src, dst, 255),
        ]);
        match (src, dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => {
                let queries = [8, 13, 15, 17].map(|kind| IcmpEcho::new(kind, 0, 700));
                tuples.extend(queries.map(|query| Tuple::icmp(src, dst, query)));
            }
            (IpAddr::V6(src), IpAddr::V6(dst)) => {
                let queries = [128, 139].map(|kind| IcmpEcho::new(kind, 0, 700));
                tuples.extend(queries.map(|query| Tuple::icmpv6(src, dst, query)));
            }
            _ => {}
        }
    }
    tuples
        .into_iter()
        .map(|tuple| tuple.expect("a tuple"))
        .collect()
}

fn new(tuple: Tuple) -> NewFlow {
    NewFlow::new(tuple, HOUR)
}

pub(crate) fn label(n: u8) -> Labels {
    Labels::bit(n).expect("a label")
}

/// Creates the flow, and returns it as it is in the table.
async fn create(handle: &ConntrackHandle, flow: NewFlow) -> Flow {
    let created = handle.create(flow.clone()).await;
    created.unwrap_or_else(|error| panic!("{flow:?}: {error}"));
    got(handle, *flow.orig()).await
}

/// The flow, which must be in the table.
pub(crate) async fn got(handle: &ConntrackHandle, key: impl Into<FlowKey>) -> Flow {
    let key = key.into();
    let flow = handle.get(key).await.expect("an answer");
    flow.unwrap_or_else(|| panic!("{key:?} is not in the table"))
}

pub(crate) async fn is_gone(handle: &ConntrackHandle, key: impl Into<FlowKey>) -> bool {
    handle.get(key).await.expect("an answer").is_none()
}

/// Two flows with one tuple, one after the other: the first, which is gone, and the second.
pub(crate) async fn succession(handle: &ConntrackHandle, tuple: Tuple) -> (Flow, Flow) {
    for n in 0..100 {
        let first = create(handle, new(tuple)).await;
        handle.delete(tuple).await.expect("a delete");
        // An id is repeated if a flow gets the same address in memory as the flow before.
        create(handle, new(tcp(n))).await;
        let second = create(handle, new(tuple)).await;
        if first.id != second.id {
            return (first, second);
        }
        handle.delete(tuple).await.expect("a delete");
    }
    panic!("the id came again each time");
}

async fn mark_of(handle: &ConntrackHandle, key: impl Into<FlowKey>) -> u32 {
    got(handle, key).await.mark.expect("a mark")
}

pub(crate) async fn list(handle: &ConntrackHandle) -> Vec<Flow> {
    let flows = handle.list(Table::Conntrack).await.expect("a stream");
    flows.try_collect().await.expect("flows")
}

/// The original tuples of all flows, sorted.
async fn tuples(handle: &ConntrackHandle) -> Vec<Tuple> {
    let mut tuples: Vec<_> = list(handle).await.iter().map(|flow| flow.orig).collect();
    tuples.sort();
    tuples
}

fn sorted(mut tuples: Vec<Tuple>) -> Vec<Tuple> {
    tuples.sort();
    tuples
}

/// The error, which must be of this kind and contain all these words.
#[track_caller]
pub(crate) fn refused<T>(result: Result<T>, kind: ErrorKind, names: &[&str]) -> Error {
    let Err(error) = result else {
        panic!("accepted, where {kind:?} was due");
    };
    assert_eq!(error.kind(), kind, "{error}");
    let text = error.to_string();
    for name in names {
        assert!(text.contains(name), "no {name:?} in {text:?}");
    }
    error
}
