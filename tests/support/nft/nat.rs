use std::net::SocketAddr;

use netlink_packet_netfilter::NetfilterProtoFamily as Family;
use netlink_packet_netfilter::nftables::InetHookNumber;

use super::expression::{Nat, nat, to_port};
use super::table::{Base, Draft};
use super::{Port, Refused, Table};

const DSTNAT: i32 = -100;
const SRCNAT: i32 = 100;

/// Translates the source of flows to `port` that leave, also over `lo`.
pub fn snat(port: Port, source: SocketAddr) -> Result<Table, Refused> {
    let hooks = [("post", InetHookNumber::PostRouting)];
    translate(Nat::Source, port, source, SRCNAT, &hooks)
}

/// Translates the destination of flows to `port`, both our own and arriving ones.
pub fn dnat(port: Port, destination: SocketAddr) -> Result<Table, Refused> {
    let hooks = [
        ("out", InetHookNumber::LocalOut),
        ("pre", InetHookNumber::PreRouting),
    ];
    translate(Nat::Destination, port, destination, DSTNAT, &hooks)
}

fn translate(
    kind: Nat,
    port: Port,
    to: SocketAddr,
    priority: i32,
    hooks: &[(&str, InetHookNumber)],
) -> Result<Table, Refused> {
    let family = if to.is_ipv4() {
        Family::IPv4
    } else {
        Family::IPv6
    };
    let mut draft = Draft::new("nat", family);
    for &(chain, hook) in hooks {
        draft.chain(
            chain,
            Some(Base {
                kind: "nat",
                hook,
                priority,
            }),
        );
        let expressions = [to_port(port), nat(kind, family.into(), to.ip(), to.port())].concat();
        draft.rule(chain, &format!("{port:?} nat to {to}"), expressions);
    }
    draft.commit()
}
