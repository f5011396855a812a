//! How a filter is made.

use super::conditions::{Conditions, NatKind};
use super::meet::Meet;
use super::{Filter, Ports, PrefixSet};
use crate::error::{Error, Result};
use crate::flow::{
    DccpState, Family, Labels, Masked, Protocol, SctpState, Status, TcpState, Tuple,
};

/// Builds a [`Filter`]: see [`Filter::builder`].
///
/// Each method adds a condition; a flow has to meet all of them. Two conditions of the same kind become
/// one that asks for both. [`build`](Self::build) fails if conditions exclude each other. To add
/// conditions to a filter, use [`Filter::to_builder`].
#[derive(Debug, Clone, Default)]
#[must_use = "a builder is no filter before `build`"]
pub struct FilterBuilder {
    conditions: Conditions,
    /// The first contradiction.
    refusal: Option<String>,
}

impl FilterBuilder {
    /// The family, `-f`. Addresses imply it. Name it where you can: the kernel compares protocol,
    /// ports and addresses only within one family.
    pub fn family(self, family: Family) -> Self {
        self.narrow("family", |all| &mut all.family, family)
    }

    /// The protocol, `-p`: [`Protocol::TCP`], or its IP number.
    pub fn protocol(self, protocol: impl Into<Protocol>) -> Self {
        self.narrow(
            "protocol",
            |all| &mut all.protocol,
            protocol.into().number(),
        )
    }

    /// The source of the original direction, `-s` with `--mask-src`: an address, a prefix, or a set
    /// of prefixes. A set of thousands is as fast as one of a few.
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
    pub fn orig_src(self, addresses: impl Into<PrefixSet>) -> Self {
        self.narrow("orig_src", |all| &mut all.orig.src, addresses.into())
    }

    /// The destination of the original direction, `-d` with `--mask-dst`.
    pub fn orig_dst(self, addresses: impl Into<PrefixSet>) -> Self {
        self.narrow("orig_dst", |all| &mut all.orig.dst, addresses.into())
    }

    /// The source of the reply direction, `-r`. Without translation it is the destination of the
    /// original direction.
    pub fn reply_src(self, addresses: impl Into<PrefixSet>) -> Self {
        self.narrow("reply_src", |all| &mut all.reply.src, addresses.into())
    }

    /// The destination of the reply direction, `-q`.
    pub fn reply_dst(self, addresses: impl Into<PrefixSet>) -> Self {
        self.narrow("reply_dst", |all| &mut all.reply.dst, addresses.into())
    }

    /// The source port (GRE: key) of the original direction, `--sport`: a port or a range. As every
    /// condition on ports, it needs a [`protocol`](Self::protocol) that has them.
    pub fn orig_src_port(self, ports: impl Into<Ports>) -> Self {
        self.narrow("orig_src_port", |all| &mut all.orig.src_port, ports.into())
    }

    /// The destination port (GRE: key) of the original direction, `--dport`.
    pub fn orig_dst_port(self, ports: impl Into<Ports>) -> Self {
        self.narrow("orig_dst_port", |all| &mut all.orig.dst_port, ports.into())
    }

    /// The source port (GRE: key) of the reply direction, `--reply-port-src`.
    pub fn reply_src_port(self, ports: impl Into<Ports>) -> Self {
        self.narrow(
            "reply_src_port",
            |all| &mut all.reply.src_port,
            ports.into(),
        )
    }

    /// The destination port (GRE: key) of the reply direction, `--reply-port-dst`.
    pub fn reply_dst_port(self, ports: impl Into<Ports>) -> Self {
        self.narrow(
            "reply_dst_port",
            |all| &mut all.reply.dst_port,
            ports.into(),
        )
    }

    /// The ICMP type of the original direction, `--icmp-type`. As the other fields of ICMP, it
    /// needs a [`protocol`](Self::protocol): ICMP (1), of IPv4, or ICMPv6 (58), of IPv6.
    pub fn icmp_type(self, kind: u8) -> Self {
        self.narrow("icmp_type", |all| &mut all.icmp_type, kind)
    }

    /// The ICMP code of the original direction, `--icmp-code`.
    pub fn icmp_code(self, code: u8) -> Self {
        self.narrow("icmp_code", |all| &mut all.icmp_code, code)
    }

    /// The ICMP id of the original direction, `--icmp-id`.
    pub fn icmp_id(self, id: u16) -> Self {
        self.narrow("icmp_id", |all| &mut all.icmp_id, id)
    }

    /// The number of the zone, for any direction, `-w`. Zone 0 matches flows that are in no other
    /// zone.
    pub fn zone(self, id: u16) -> Self {
        self.narrow("zone", |all| &mut all.zone, id)
    }

    /// The zone in which packets of the original direction are looked up, `--orig-zone`. It is 0 for a
    /// flow whose zone applies only to replies.
    pub fn orig_zone(self, id: u16) -> Self {
        self.narrow("orig_zone", |all| &mut all.orig_zone, id)
    }

    /// The zone in which replies are looked up, `--reply-zone`.
    pub fn reply_zone(self, id: u16) -> Self {
        self.narrow("reply_zone", |all| &mut all.reply_zone, id)
    }

    /// The mark, in the bits that count, `-m`.
    pub fn mark(self, mark: impl Into<Masked<u32>>) -> Self {
        self.narrow("mark", |all| &mut all.mark, mark.into())
    }

    /// The labels, in the bits that count, `-l`. `Masked::from(labels)` matches flows that have exactly
    /// these labels; to match flows that have at least these, use [`has_labels`](Self::has_labels).
    pub fn labels(self, labels: Masked<Labels>) -> Self {
        self.narrow("labels", |all| &mut all.labels, labels)
    }

    /// All of these labels are set; others may be set too.
    pub fn has_labels(self, labels: Labels) -> Self {
        self.narrow(
            "has_labels",
            |all| &mut all.labels,
            Masked::new(labels, labels),
        )
    }

    /// None of these labels is set.
    pub fn lacks_labels(self, labels: Labels) -> Self {
        let none = Masked::new(Labels::EMPTY, labels);
        self.narrow("lacks_labels", |all| &mut all.labels, none)
    }

    /// The status, in the bits that count, `-u`. `Masked::from(status)` matches flows that have exactly
    /// these bits, which is rarely useful: use [`has_status`](Self::has_status).
    pub fn status(self, status: Masked<Status>) -> Self {
        self.narrow("status", |all| &mut all.status, status)
    }

    /// All of these status bits are set; others may be set too, `-u`.
    pub fn has_status(self, status: Status) -> Self {
        self.narrow(
            "has_status",
            |all| &mut all.status,
            Masked::new(status, status),
        )
    }

    /// None of these status bits is set.
    pub fn lacks_status(self, status: Status) -> Self {
        let none = Masked::new(Status::empty(), status);
        self.narrow("lacks_status", |all| &mut all.status, none)
    }

    /// The state of a TCP flow, `--state`. It implies the protocol. Offloaded flows show none.
    pub fn tcp_state(self, state: TcpState) -> Self {
        self.narrow("tcp_state", |all| &mut all.tcp_state, state)
    }

    /// The state of an SCTP flow, `--state`. It implies the protocol.
    pub fn sctp_state(self, state: SctpState) -> Self {
        self.narrow("sctp_state", |all| &mut all.sctp_state, state)
    }

    /// The state of a DCCP flow (until Linux 6.16), `--state`. It implies the protocol.
    pub fn dccp_state(self, state: DccpState) -> Self {
        self.narrow("dccp_state", |all| &mut all.dccp_state, state)
    }

    /// The ends that are translated, `--src-nat`, `--dst-nat`, `--any-nat`.
    pub fn nat(mut self, kind: NatKind) -> Self {
        match kind.status() {
            Some(status) => self.narrow("nat", |all| &mut all.status, status),
            None => {
                self.conditions.any_nat = true;
                self
            }
        }
    }

    /// A helper reads the flow's payload.
    pub fn has_helper(mut self) -> Self {
        self.conditions.has_helper = true;
        self
    }

    /// The helper of this name reads the flow's payload: `ftp`, `sip`, …
    pub fn helper(self, name: impl Into<Box<str>>) -> Self {
        self.narrow("helper", |all| &mut all.helper, name.into())
    }

    /// It has a master: another flow expected it.
    pub fn has_master(mut self) -> Self {
        self.conditions.has_master = true;
        self
    }

    /// Its master is the flow with this original tuple, for example the control connection of an FTP
    /// transfer. It has the same family.
    pub fn master(self, master: Tuple) -> Self {
        self.narrow("master", |all| &mut all.master, master)
    }

    /// At least one of these filters matches. Only user space compares it.
    pub fn any_of(mut self, filters: impl IntoIterator<Item = Filter>) -> Self {
        self.conditions.any_of.push(filters.into_iter().collect());
        self
    }

    /// This filter does not match. Only user space compares it.
    pub fn not(mut self, filter: Filter) -> Self {
        self.conditions.not.push(filter);
        self
    }

    /// The filter.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput)
    ///
    /// - if no flow can meet all conditions: two families, two protocols, disjoint prefixes or ranges, a
    ///   value with bits outside its mask, …;
    /// - if a condition is empty or ambiguous: a mask without bits, an empty range or set of addresses, a
    ///   prefix with bits behind its length, ports without a protocol that has them, ICMP fields of
    ///   another protocol, `any_of` an empty list or a filter without conditions, `not` such a filter;
    /// - if filters are nested more than 32 deep.
    ///
    /// ```
    /// # use ctnetlink::{ErrorKind, Filter};
    /// let refused = Filter::builder().protocol(1).orig_dst_port(443).build();
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    /// ```
    pub fn build(self) -> Result<Filter> {
        match self.refusal {
            Some(refusal) => Err(Error::invalid_input(refusal)),
            None => self.conditions.checked(),
        }
    }

    fn narrow<T: Meet>(
        mut self,
        name: &'static str,
        slot: fn(&mut Conditions) -> &mut Option<T>,
        new: T,
    ) -> Self {
        match narrowed(slot(&mut self.conditions), new) {
            Ok(()) => {}
            Err(why) => _ = self.refusal.get_or_insert_with(|| format!("{name}: {why}")),
        }
        self
    }
}

/// Leaves what both the slot and the new condition allow.
fn narrowed<T: Meet>(slot: &mut Option<T>, new: T) -> std::result::Result<(), String> {
    if let Some(refusal) = new.refusal() {
        return Err(refusal);
    }
    let both = match slot.as_ref() {
        None => new,
        Some(old) => old
            .meet(&new)
            .ok_or_else(|| format!("no flow meets both {} and {}", old.shown(), new.shown()))?,
    };
    *slot = Some(both);
    Ok(())
}

impl From<Filter> for FilterBuilder {
    /// Begins with the conditions of the filter.
    fn from(filter: Filter) -> Self {
        Self {
            conditions: filter.0,
            refusal: None,
        }
    }
}
