//! The conditions of a filter, one row each.

use super::row::{Condition, InEvents, Row};
use super::{Filter, FilterBuilder, KernelFilter, Ports, PrefixSet};
use crate::flow::{
    DccpState, Family, Labels, Masked, Protocol, SctpState, Status, TcpState, Tuple,
};

conditions! {
    /// The family, `-f`. Addresses imply it. Name it where you can: the kernel compares protocol,
    /// ports and addresses only within one family.
    family(family: Family)
        /// The family of all flows that match, if a condition implies it: the family itself, an
        /// address, a master, or an ICMP field.
        -> (Family) in Option<Family>: Fixed, FAMILY;
    /// The protocol, `-p`: [`Protocol::TCP`], or its IP number.
    protocol(protocol: impl Into<Protocol>)
        /// The protocol of all flows that match, if a condition implies it: the protocol itself, or
        /// a state.
        -> (Protocol) in Option<Protocol>: Fixed, PROTOCOL;
    /// The source of the original direction, `-s` with `--mask-src`: an address, a prefix, or a set
    /// of prefixes. The size of a set hardly matters: a lookup is a binary search.
    ///
    /// ```
    /// # use std::net::Ipv4Addr;
    /// # use ctnetlink::{Filter, IpNet, PrefixSet};
    /// let client = Filter::builder().orig_src(Ipv4Addr::new(10, 0, 0, 1)).build()?;
    /// let site = Filter::builder().orig_src("10.0.0.0/8".parse::<IpNet>()?).build()?;
    /// let sites: PrefixSet = ["10.0.0.0/8", "fd00::/8"]
    ///     .map(str::parse::<IpNet>)
    ///     .into_iter()
    ///     .collect::<Result<_, _>>()?;
    /// let sites = Filter::builder().orig_src(sites).build()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    orig_src(addresses: impl Into<PrefixSet>) -> (&PrefixSet) in Option<PrefixSet>: Fixed, ORIG_SRC;
    /// The destination of the original direction, `-d` with `--mask-dst`.
    orig_dst(addresses: impl Into<PrefixSet>) -> (&PrefixSet) in Option<PrefixSet>: Fixed, ORIG_DST;
    /// The source port (GRE: key) of the original direction, `--sport`: a port or a range. Like
    /// every condition on ports, it needs a [`protocol`](Self::protocol) that has them.
    orig_src_port(ports: impl Into<Ports>) -> (Ports) in Option<Ports>: Fixed, ORIG_SRC_PORT;
    /// The destination port (GRE: key) of the original direction, `--dport`.
    orig_dst_port(ports: impl Into<Ports>) -> (Ports) in Option<Ports>: Fixed, ORIG_DST_PORT;
    /// The source of the reply direction, `-r`. Without NAT it is the destination of the original
    /// direction.
    reply_src(addresses: impl Into<PrefixSet>) -> (&PrefixSet) in Option<PrefixSet>: Fixed, REPLY_SRC;
    /// The destination of the reply direction, `-q`.
    reply_dst(addresses: impl Into<PrefixSet>) -> (&PrefixSet) in Option<PrefixSet>: Fixed, REPLY_DST;
    /// The source port (GRE: key) of the reply direction, `--reply-port-src`.
    reply_src_port(ports: impl Into<Ports>) -> (Ports) in Option<Ports>: Fixed, REPLY_SRC_PORT;
    /// The destination port (GRE: key) of the reply direction, `--reply-port-dst`.
    reply_dst_port(ports: impl Into<Ports>) -> (Ports) in Option<Ports>: Fixed, REPLY_DST_PORT;
    /// The ICMP type of the original direction, `--icmp-type`. Like the other ICMP fields, it needs
    /// a [`protocol`](Self::protocol): ICMP (1) for IPv4, or ICMPv6 (58) for IPv6.
    icmp_type(kind: u8) -> (u8) in Option<u8>: Fixed, ICMP_TYPE;
    /// The ICMP code of the original direction, `--icmp-code`.
    icmp_code(code: u8) -> (u8) in Option<u8>: Fixed, ICMP_CODE;
    /// The ICMP id of the original direction, `--icmp-id`.
    icmp_id(id: u16) -> (u16) in Option<u16>: Fixed, ICMP_ID;
    /// The id of the zone, in any direction, `-w`. Zone 0 matches flows that are in no other zone.
    zone(id: u16) -> (u16) in Option<u16>: Fixed, ZONE;
    /// The zone in which packets of the original direction are looked up, `--orig-zone`. It is 0 for a
    /// flow whose zone applies only to replies.
    orig_zone(id: u16) -> (u16) in Option<u16>: Fixed;
    /// The zone in which replies are looked up, `--reply-zone`.
    reply_zone(id: u16) -> (u16) in Option<u16>: Fixed;
    /// The mark, in the bits of the mask, `-m`.
    mark(mark: impl Into<Masked<u32>>) -> (Masked<u32>) in Option<Masked<u32>>: Current, MARK;
    /// The labels, in the bits of the mask, `-l`. `Masked::from(labels)` matches flows that have
    /// exactly these labels; to match flows that have at least these, use
    /// [`has_labels`](Self::has_labels).
    labels(labels: Masked<Labels>)
        /// Conditions on single labels are part of it.
        -> (Masked<Labels>) in Option<Masked<Labels>>: IfChanged;
    /// The status, in the bits of the mask, `-u`. `Masked::from(status)` matches flows that have
    /// exactly these bits, which is rarely useful: use [`has_status`](Self::has_status).
    status(status: Masked<Status>)
        /// Conditions on single bits are part of it, and so is [`nat`](FilterBuilder::nat), except
        /// [`NatKind::Any`](crate::NatKind::Any).
        -> (Masked<Status>) in Option<Masked<Status>>: Current, STATUS;
    any_nat in bool: Current, STATUS;
    /// The state of a TCP flow, `--state`. It implies the protocol. Offloaded flows show none.
    tcp_state(state: TcpState) -> (TcpState) in Option<TcpState>: State;
    /// The state of an SCTP flow, `--state`. It implies the protocol.
    sctp_state(state: SctpState) -> (SctpState) in Option<SctpState>: State;
    /// The state of a DCCP flow (until Linux 6.16), `--state`. It implies the protocol.
    dccp_state(state: DccpState) -> (DccpState) in Option<DccpState>: State;
    has_helper in bool: NotInDestroy;
    /// The helper of this name reads the flow's payload: `ftp`, `sip`, …
    helper(name: impl Into<Box<str>>) -> (&str) in Option<Box<str>>: NotInDestroy;
    has_master in bool: IfChanged;
    /// Its master is the flow with this original tuple, for example the control connection of an FTP
    /// transfer. It has the same family.
    master(master: Tuple) -> (&Tuple) in Option<Tuple>: IfChanged;
    any_of in Vec<Vec<Filter>>: Fixed, ANY_OF;
    not in Vec<Filter>: Fixed, NOT;
}

/// The conditions on the packets of one direction.
pub(super) struct Ends<'a> {
    pub(super) src: Option<&'a PrefixSet>,
    pub(super) dst: Option<&'a PrefixSet>,
    pub(super) src_port: Option<Ports>,
    pub(super) dst_port: Option<Ports>,
}

impl Conditions {
    /// The original direction and the reply direction.
    pub(super) fn ends(&self) -> [Ends<'_>; 2] {
        let orig = Ends {
            src: self.orig_src.as_ref(),
            dst: self.orig_dst.as_ref(),
            src_port: self.orig_src_port,
            dst_port: self.orig_dst_port,
        };
        let reply = Ends {
            src: self.reply_src.as_ref(),
            dst: self.reply_dst.as_ref(),
            src_port: self.reply_src_port,
            dst_port: self.reply_dst_port,
        };
        [orig, reply]
    }
}
