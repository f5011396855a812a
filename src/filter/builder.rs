//! How a filter is made.

use ipnet::IpNet;

use super::Filter;
use super::conditions::{Conditions, Meet, NatKind, Ports};
use crate::error::{Error, Result};
use crate::flow::{Family, Labels, Masked, Protocol, Status, TcpState};

/// A filter under construction: see [`Filter::builder`].
///
/// Each method adds a condition, and a flow has to meet them all: of two of a kind the filter keeps
/// what both allow. Conditions that exclude each other are the error of [`build`](Self::build).
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

    /// The source of the original direction, `-s` with `--mask-src`: an address or a prefix. Bits
    /// behind the prefix do not count.
    pub fn orig_src(self, net: impl Into<IpNet>) -> Self {
        self.narrow("orig_src", |all| &mut all.orig.src, net.into())
    }

    /// The destination of the original direction, `-d` with `--mask-dst`.
    pub fn orig_dst(self, net: impl Into<IpNet>) -> Self {
        self.narrow("orig_dst", |all| &mut all.orig.dst, net.into())
    }

    /// The source of the reply direction, `-r`: where no address is translated, the destination
    /// of the original one.
    pub fn reply_src(self, net: impl Into<IpNet>) -> Self {
        self.narrow("reply_src", |all| &mut all.reply.src, net.into())
    }

    /// The destination of the reply direction, `-q`.
    pub fn reply_dst(self, net: impl Into<IpNet>) -> Self {
        self.narrow("reply_dst", |all| &mut all.reply.dst, net.into())
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

    /// The number of the zone, whichever directions it is for, `-w`. Zone 0 is that of the flows
    /// that are in no other.
    pub fn zone(self, id: u16) -> Self {
        self.narrow("zone", |all| &mut all.zone, id)
    }

    /// The zone that packets of the original direction are looked up in: that of a flow whose zone
    /// is for both directions, too; 0 where it is for replies alone. `--orig-zone`.
    pub fn orig_zone(self, id: u16) -> Self {
        self.narrow("orig_zone", |all| &mut all.orig_zone, id)
    }

    /// The zone that replies are looked up in, `--reply-zone`.
    pub fn reply_zone(self, id: u16) -> Self {
        self.narrow("reply_zone", |all| &mut all.reply_zone, id)
    }

    /// The mark, in the bits that count, `-m`.
    pub fn mark(self, mark: impl Into<Masked<u32>>) -> Self {
        self.narrow("mark", |all| &mut all.mark, mark.into())
    }

    /// The labels, in the bits that count, `-l`. `Masked::new(labels, labels)` asks for these, and
    /// leaves the others open.
    pub fn labels(self, labels: impl Into<Masked<Labels>>) -> Self {
        self.narrow("labels", |all| &mut all.labels, labels.into())
    }

    /// The status, in the bits that count, `-u`. `Masked::new(bits, bits)` asks for these, and
    /// leaves the others open.
    pub fn status(self, status: impl Into<Masked<Status>>) -> Self {
        self.narrow("status", |all| &mut all.status, status.into())
    }

    /// The state of a TCP flow, `--state`. It implies the protocol. Offloaded flows show none.
    pub fn tcp_state(self, state: TcpState) -> Self {
        self.narrow("tcp_state", |all| &mut all.tcp_state, state)
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

    /// One at least of these filters matches. User space alone compares it.
    pub fn any_of(mut self, filters: impl IntoIterator<Item = Filter>) -> Self {
        self.conditions.any_of.push(filters.into_iter().collect());
        self
    }

    /// This filter does not match. User space alone compares it.
    pub fn not(mut self, filter: Filter) -> Self {
        self.conditions.not.push(filter);
        self
    }

    /// The filter.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where no flow could meet all conditions
    /// (two families, two protocols, disjoint prefixes or ranges, …), and where one says nothing or
    /// cannot be told: a mask without bits, an empty range, ports without a protocol that has them,
    /// ICMP fields of another protocol, `any_of` nothing or of everything, `not` everything.
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
        let slot = slot(&mut self.conditions);
        match slot.map_or(Some(new), |old| old.meet(new)) {
            Some(both) => *slot = Some(both),
            None => {
                let refusal = format!("{name}: no flow meets both {slot:?} and {new:?}");
                self.refusal.get_or_insert(refusal);
            }
        }
        self
    }
}
