//! What a filter asks, one condition at a time.

use super::{Filter, FilterBuilder, Ports, PrefixSet};
use crate::flow::{
    DccpState, Family, Labels, Masked, Protocol, SctpState, Status, TcpState, Tuple,
};

/// Declares getters of conditions that are there or not.
macro_rules! getters {
    ($($(#[$meta:meta])* $name:ident -> $ty:ty = |$all:ident| $condition:expr;)+) => {
        impl Filter {
            $($(#[$meta])*
            pub fn $name(&self) -> Option<$ty> {
                let $all = &self.0;
                $condition
            })+
        }
    };
}

getters! {
    /// The family of all flows that match, if a condition implies one: the family itself, an address, a
    /// master, or a field of ICMP.
    family -> Family = |all| all.family;
    /// The protocol of all flows that match, if a condition implies one: the protocol itself, or a
    /// state.
    protocol -> Protocol = |all| all.protocol.map(Protocol::from);
    /// See [`FilterBuilder::orig_src`].
    orig_src -> &PrefixSet = |all| all.orig.src.as_ref();
    /// See [`FilterBuilder::orig_dst`].
    orig_dst -> &PrefixSet = |all| all.orig.dst.as_ref();
    /// See [`FilterBuilder::reply_src`].
    reply_src -> &PrefixSet = |all| all.reply.src.as_ref();
    /// See [`FilterBuilder::reply_dst`].
    reply_dst -> &PrefixSet = |all| all.reply.dst.as_ref();
    /// See [`FilterBuilder::orig_src_port`].
    orig_src_port -> Ports = |all| all.orig.src_port;
    /// See [`FilterBuilder::orig_dst_port`].
    orig_dst_port -> Ports = |all| all.orig.dst_port;
    /// See [`FilterBuilder::reply_src_port`].
    reply_src_port -> Ports = |all| all.reply.src_port;
    /// See [`FilterBuilder::reply_dst_port`].
    reply_dst_port -> Ports = |all| all.reply.dst_port;
    /// See [`FilterBuilder::icmp_type`].
    icmp_type -> u8 = |all| all.icmp_type;
    /// See [`FilterBuilder::icmp_code`].
    icmp_code -> u8 = |all| all.icmp_code;
    /// See [`FilterBuilder::icmp_id`].
    icmp_id -> u16 = |all| all.icmp_id;
    /// See [`FilterBuilder::zone`].
    zone -> u16 = |all| all.zone;
    /// See [`FilterBuilder::orig_zone`].
    orig_zone -> u16 = |all| all.orig_zone;
    /// See [`FilterBuilder::reply_zone`].
    reply_zone -> u16 = |all| all.reply_zone;
    /// See [`FilterBuilder::mark`].
    mark -> Masked<u32> = |all| all.mark;
    /// See [`FilterBuilder::labels`]. Conditions on single labels are part of it.
    labels -> Masked<Labels> = |all| all.labels;
    /// See [`FilterBuilder::status`]. Conditions on single bits are part of it, and so is
    /// [`nat`](FilterBuilder::nat), except [`NatKind::Any`](crate::NatKind::Any).
    status -> Masked<Status> = |all| all.status;
    /// See [`FilterBuilder::tcp_state`].
    tcp_state -> TcpState = |all| all.tcp_state;
    /// See [`FilterBuilder::sctp_state`].
    sctp_state -> SctpState = |all| all.sctp_state;
    /// See [`FilterBuilder::dccp_state`].
    dccp_state -> DccpState = |all| all.dccp_state;
    /// See [`FilterBuilder::helper`].
    helper -> &str = |all| all.helper.as_deref();
    /// See [`FilterBuilder::master`].
    master -> &Tuple = |all| all.master.as_ref();
}

impl Filter {
    /// Must the source or the destination be translated? See [`FilterBuilder::nat`] with
    /// [`NatKind::Any`](crate::NatKind::Any).
    pub fn any_nat(&self) -> bool {
        self.0.any_nat
    }

    /// Must the flow have a helper, with any name? See [`FilterBuilder::has_helper`].
    pub fn has_helper(&self) -> bool {
        self.0.has_helper
    }

    /// Must the flow have a master? See [`FilterBuilder::has_master`].
    pub fn has_master(&self) -> bool {
        self.0.has_master
    }

    /// The lists of filters; of each list, at least one must match: see [`FilterBuilder::any_of`].
    pub fn any_of(&self) -> impl Iterator<Item = &[Filter]> {
        self.0.any_of.iter().map(Vec::as_slice)
    }

    /// The filters that must not match: see [`FilterBuilder::not`].
    pub fn not(&self) -> &[Filter] {
        &self.0.not
    }

    /// A builder that has these conditions, to add more.
    ///
    /// ```
    /// # use ctnetlink::{Filter, Protocol, Status};
    /// let tcp = Filter::builder().protocol(Protocol::TCP).build()?;
    /// let unanswered = tcp.to_builder().lacks_status(Status::SEEN_REPLY).build()?;
    /// assert_eq!(unanswered.protocol(), Some(Protocol::TCP));
    /// # Ok::<(), ctnetlink::Error>(())
    /// ```
    pub fn to_builder(&self) -> FilterBuilder {
        self.clone().into()
    }
}
