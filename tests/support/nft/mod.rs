//! nftables rules, sent as messages: no nft(8) is needed.
//!
//! Every function makes a new table in the network namespace of this thread, so they can be combined. All of them except
//! [`notrack`] also make the kernel track IPv4 and IPv6 (NAT: only the family of its address).

mod batch;
mod expression;
mod nat;
mod table;

use netlink_packet_netfilter::NetfilterProtoFamily as Family;
use netlink_packet_netfilter::nftables::{Expressions, InetHookNumber};

pub use self::batch::Refused;
pub use self::nat::{dnat, snat};
pub use self::table::Table;

use self::expression::{
    CtKey, equals, from_port, get_ct, set_ct, set_ct_original, to_port, use_helper,
};
use self::table::{Base, Draft};

const RAW: i32 = -300;
const FILTER: i32 = 0;

const INVALID: u32 = 1;

/// A port of a transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// A TCP port.
    Tcp(u16),
    /// A UDP port.
    Udp(u16),
}

impl Port {
    /// The IP protocol number.
    pub fn protocol(self) -> u8 {
        match self {
            Self::Tcp(_) => 6,
            Self::Udp(_) => 17,
        }
    }

    /// The port number.
    pub fn number(self) -> u16 {
        match self {
            Self::Tcp(number) | Self::Udp(number) => number,
        }
    }
}

/// Makes the kernel track all traffic. It changes nothing else.
pub fn track() -> Result<Table, Refused> {
    let expressions = vec![get_ct(CtKey::State), equals(INVALID.to_ne_bytes().to_vec())];
    on_the_way("track", FILTER, vec![("ct state invalid", expressions)])
}

/// Makes the kernel reserve room for labels in new flows. It sets no label, because no packet reaches the chain.
pub fn labels() -> Result<Table, Refused> {
    let mut draft = Draft::new("labels", Family::Inet);
    draft.chain("unused", None);
    draft.rule("unused", "ct label set", set_ct(CtKey::Labels, &label(0)));
    draft.commit()
}

/// Sets label `bit` (0 to 127) on flows to `port`.
pub fn set_label(port: Port, bit: u8) -> Result<Table, Refused> {
    to(
        "label",
        port,
        FILTER,
        "ct label set",
        set_ct(CtKey::Labels, &label(bit)),
    )
}

/// Sets the mark of flows to `port`.
pub fn set_mark(port: Port, mark: u32) -> Result<Table, Refused> {
    to(
        "mark",
        port,
        FILTER,
        "ct mark set",
        set_ct(CtKey::Mark, &mark.to_ne_bytes()),
    )
}

/// Limits the events of flows to `port` to those in `mask` (bits `IPCT_*`).
pub fn event_mask(port: Port, mask: u32) -> Result<Table, Refused> {
    to(
        "events",
        port,
        FILTER,
        "ct event set",
        set_ct(CtKey::EventMask, &mask.to_ne_bytes()),
    )
}

/// Puts flows to `port`, with the replies that come from it, into a zone.
pub fn zone(port: Port, zone: u16) -> Result<Table, Refused> {
    let set = || set_ct(CtKey::Zone, &zone.to_ne_bytes());
    let rules = vec![
        ("ct zone set", [to_port(port), set()].concat()),
        ("ct zone set", [from_port(port), set()].concat()),
    ];
    on_the_way("zone", RAW, rules)
}

/// Puts the original direction of flows to `port` into a zone; replies stay in zone 0.
pub fn zone_original(port: Port, zone: u16) -> Result<Table, Refused> {
    to(
        "zone",
        port,
        RAW,
        "ct original zone set",
        set_ct_original(CtKey::Zone, &zone.to_ne_bytes()),
    )
}

/// Attaches a helper ("ftp", …) to flows to `port`. `ENOENT` if the kernel does not have it.
pub fn helper(name: &str, port: Port) -> Result<Table, Refused> {
    let mut draft = Draft::new("helper", Family::Inet);
    draft.helper(name, port.protocol());
    let expressions = [to_port(port), vec![use_helper(name)]].concat();
    attach(&mut draft, FILTER, vec![("ct helper set", expressions)]);
    draft.commit()
}

/// Makes packets that we send to `port` wait in a queue for a verdict. `ENOENT` if the kernel has no queues.
pub fn queue(port: Port, number: u16) -> Result<Table, Refused> {
    let mut draft = Draft::new("queue", Family::Inet);
    draft.chain("out", Some(base(InetHookNumber::LocalOut)));
    let expressions = [to_port(port), vec![expression::queue(number)]].concat();
    draft.rule("out", "queue", expressions);
    draft.commit()
}

/// Adds forwarded flows to a flow table, which then handles their packets that arrive at these links. `ENOENT` or
/// `EOPNOTSUPP` if the kernel has no flow tables.
pub fn offload(links: &[&str]) -> Result<Table, Refused> {
    let mut draft = Draft::new("offload", Family::Inet);
    draft.flow_table("fast", links);
    draft.chain("forward", Some(base(InetHookNumber::Forward)));
    draft.rule("forward", "flow add", vec![expression::offload("fast")]);
    draft.commit()
}

fn base(hook: InetHookNumber) -> Base {
    Base {
        kind: "filter",
        hook,
        priority: FILTER,
    }
}

/// Gives new flows of `protocol` (IPv4) a timeout policy, as `iptables -t raw -A OUTPUT -j CT --timeout NAME` does. A
/// namespace has only one such table.
pub fn timeout_policy(name: &str, protocol: u8) -> Result<Table, Refused> {
    // The target works only in a table of this name.
    let mut draft = Draft::named("raw".to_owned(), Family::IPv4);
    let base = Base {
        kind: "filter",
        hook: InetHookNumber::LocalOut,
        priority: RAW,
    };
    draft.chain("OUTPUT", Some(base));
    let target = expression::ct_timeout(name);
    draft.rule_of("OUTPUT", "CT --timeout", protocol, target);
    draft.commit()
}

/// Exempts packets to `port`, and the replies that come from it, from tracking.
pub fn notrack(port: Port) -> Result<Table, Refused> {
    let exempt = || vec![expression::notrack()];
    let rules = vec![
        ("notrack", [to_port(port), exempt()].concat()),
        ("notrack", [from_port(port), exempt()].concat()),
    ];
    on_the_way("notrack", RAW, rules)
}

fn to(
    prefix: &str,
    port: Port,
    priority: i32,
    what: &str,
    action: Vec<Expressions>,
) -> Result<Table, Refused> {
    let what = format!("{port:?} {what}");
    on_the_way(
        prefix,
        priority,
        vec![(&what, [to_port(port), action].concat())],
    )
}

fn on_the_way(
    prefix: &str,
    priority: i32,
    rules: Vec<(&str, Vec<Expressions>)>,
) -> Result<Table, Refused> {
    let mut draft = Draft::new(prefix, Family::Inet);
    attach(&mut draft, priority, rules);
    draft.commit()
}

/// The rules for packets that we send, and for packets that arrive.
fn attach(draft: &mut Draft, priority: i32, rules: Vec<(&str, Vec<Expressions>)>) {
    for (chain, hook) in [
        ("out", InetHookNumber::LocalOut),
        ("pre", InetHookNumber::PreRouting),
    ] {
        draft.chain(
            chain,
            Some(Base {
                kind: "filter",
                hook,
                priority,
            }),
        );
        for (what, expressions) in &rules {
            draft.rule(chain, what, expressions.clone());
        }
    }
}

fn label(bit: u8) -> [u8; 16] {
    (1u128 << bit).to_ne_bytes()
}
