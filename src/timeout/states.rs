//! The states of each protocol, and how long a flow may be idle in them.

use std::time::Duration;

use crate::error::{Error, Result};
use crate::flow::Protocol;
use crate::wire::uapi::*;

/// A state of a protocol: its attribute, nfct(8)'s word for it, and its timeout.
pub(crate) type Row = (u16, &'static str, Option<Duration>);

/// Functions for the timeouts of every protocol.
trait States {
    fn rows(&self) -> Vec<Row>;
    fn slot(&mut self, kind: u16) -> Option<&mut Option<Duration>>;
}

/// Declares the timeouts of a protocol, each with its doc, attribute, field and nfct(8)'s word.
macro_rules! timeouts {
    (
        $(#[$meta:meta])*
        pub struct $name:ident;
        $($(#[$doc:meta])* $cta:ident => $field:ident as $word:literal,)+
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$doc])* pub $field: Option<Duration>,)+
        }

        #[cfg(feature = "serde")]
        keyed! {
            $name;
            []
            [$($field: Option<Duration> as "crate::flow::text::seconds",)+]
        }

        impl $name {
            /// No timeout is set.
            pub fn new() -> Self {
                Self::default()
            }

            $(
                $(#[$doc])*
                #[must_use]
                pub fn $field(mut self, timeout: Duration) -> Self {
                    self.$field = Some(timeout);
                    self
                }
            )+
        }

        impl States for $name {
            fn rows(&self) -> Vec<Row> {
                vec![$(($cta, $word, self.$field)),+]
            }

            fn slot(&mut self, kind: u16) -> Option<&mut Option<Duration>> {
                match kind {
                    $($cta => Some(&mut self.$field),)+
                    _ => None,
                }
            }
        }
    };
}

timeouts! {
    /// The timeouts of TCP, in whole seconds, rounded up.
    pub struct TcpTimeouts;
    /// The first SYN was seen. `CTA_TIMEOUT_TCP_SYN_SENT`.
    CTA_TIMEOUT_TCP_SYN_SENT => syn_sent as "SYN_SENT",
    /// A SYN was answered. `CTA_TIMEOUT_TCP_SYN_RECV`.
    CTA_TIMEOUT_TCP_SYN_RECV => syn_recv as "SYN_RECV",
    /// The connection is open. `CTA_TIMEOUT_TCP_ESTABLISHED`.
    CTA_TIMEOUT_TCP_ESTABLISHED => established as "ESTABLISHED",
    /// One side has closed. `CTA_TIMEOUT_TCP_FIN_WAIT`.
    CTA_TIMEOUT_TCP_FIN_WAIT => fin_wait as "FIN_WAIT",
    /// The close was acknowledged. `CTA_TIMEOUT_TCP_CLOSE_WAIT`.
    CTA_TIMEOUT_TCP_CLOSE_WAIT => close_wait as "CLOSE_WAIT",
    /// Both sides have closed. `CTA_TIMEOUT_TCP_LAST_ACK`.
    CTA_TIMEOUT_TCP_LAST_ACK => last_ack as "LAST_ACK",
    /// Both closes were acknowledged. `CTA_TIMEOUT_TCP_TIME_WAIT`.
    CTA_TIMEOUT_TCP_TIME_WAIT => time_wait as "TIME_WAIT",
    /// It was reset. `CTA_TIMEOUT_TCP_CLOSE`.
    CTA_TIMEOUT_TCP_CLOSE => close as "CLOSE",
    /// Both sides have sent a SYN. `CTA_TIMEOUT_TCP_SYN_SENT2`.
    CTA_TIMEOUT_TCP_SYN_SENT2 => syn_sent2 as "SYN_SENT2",
    /// Too many packets were retransmitted. `CTA_TIMEOUT_TCP_RETRANS`.
    CTA_TIMEOUT_TCP_RETRANS => retrans as "RETRANS",
    /// Data is not acknowledged. `CTA_TIMEOUT_TCP_UNACK`.
    CTA_TIMEOUT_TCP_UNACK => unacknowledged as "UNACKNOWLEDGED",
}

timeouts! {
    /// The timeouts of UDP, UDP-Lite and GRE, in whole seconds, rounded up.
    pub struct TwoWayTimeouts;
    /// No reply was seen. `CTA_TIMEOUT_UDP_UNREPLIED`, `CTA_TIMEOUT_GRE_UNREPLIED`.
    CTA_TIMEOUT_UDP_UNREPLIED => unreplied as "UNREPLIED",
    /// Packets went both ways. `CTA_TIMEOUT_UDP_REPLIED`, `CTA_TIMEOUT_GRE_REPLIED`.
    CTA_TIMEOUT_UDP_REPLIED => replied as "REPLIED",
}

timeouts! {
    /// The timeout of ICMP, of ICMPv6, and of protocols that the kernel has no tracker for, in
    /// whole seconds, rounded up.
    pub struct SingleTimeout;
    /// The timeout in any state. `CTA_TIMEOUT_ICMP_TIMEOUT`, `CTA_TIMEOUT_ICMPV6_TIMEOUT`,
    /// `CTA_TIMEOUT_GENERIC_TIMEOUT`.
    CTA_TIMEOUT_GENERIC_TIMEOUT => timeout as "TIMEOUT",
}

timeouts! {
    /// The timeouts of SCTP, in whole seconds, rounded up.
    pub struct SctpTimeouts;
    /// `CTA_TIMEOUT_SCTP_CLOSED`.
    CTA_TIMEOUT_SCTP_CLOSED => closed as "CLOSED",
    /// `CTA_TIMEOUT_SCTP_COOKIE_WAIT`.
    CTA_TIMEOUT_SCTP_COOKIE_WAIT => cookie_wait as "COOKIE_WAIT",
    /// `CTA_TIMEOUT_SCTP_COOKIE_ECHOED`.
    CTA_TIMEOUT_SCTP_COOKIE_ECHOED => cookie_echoed as "COOKIE_ECHOED",
    /// `CTA_TIMEOUT_SCTP_ESTABLISHED`.
    CTA_TIMEOUT_SCTP_ESTABLISHED => established as "ESTABLISHED",
    /// `CTA_TIMEOUT_SCTP_SHUTDOWN_SENT`.
    CTA_TIMEOUT_SCTP_SHUTDOWN_SENT => shutdown_sent as "SHUTDOWN_SENT",
    /// `CTA_TIMEOUT_SCTP_SHUTDOWN_RECD`.
    CTA_TIMEOUT_SCTP_SHUTDOWN_RECD => shutdown_recd as "SHUTDOWN_RECD",
    /// `CTA_TIMEOUT_SCTP_SHUTDOWN_ACK_SENT`.
    CTA_TIMEOUT_SCTP_SHUTDOWN_ACK_SENT => shutdown_ack_sent as "SHUTDOWN_ACK_SENT",
    /// `CTA_TIMEOUT_SCTP_HEARTBEAT_SENT` (Linux 4.3).
    CTA_TIMEOUT_SCTP_HEARTBEAT_SENT => heartbeat_sent as "HEARTBEAT_SENT",
    /// `CTA_TIMEOUT_SCTP_HEARTBEAT_ACKED` (Linux 4.3). Newer kernels keep the number, but no flow
    /// enters the state.
    CTA_TIMEOUT_SCTP_HEARTBEAT_ACKED => heartbeat_acked as "HEARTBEAT_ACKED",
}

timeouts! {
    /// The timeouts of DCCP, which the kernel has until Linux 6.16, in whole seconds, rounded up.
    pub struct DccpTimeouts;
    /// `CTA_TIMEOUT_DCCP_REQUEST`.
    CTA_TIMEOUT_DCCP_REQUEST => request as "REQUEST",
    /// `CTA_TIMEOUT_DCCP_RESPOND`.
    CTA_TIMEOUT_DCCP_RESPOND => respond as "RESPOND",
    /// `CTA_TIMEOUT_DCCP_PARTOPEN`.
    CTA_TIMEOUT_DCCP_PARTOPEN => partopen as "PARTOPEN",
    /// `CTA_TIMEOUT_DCCP_OPEN`.
    CTA_TIMEOUT_DCCP_OPEN => open as "OPEN",
    /// `CTA_TIMEOUT_DCCP_CLOSEREQ`.
    CTA_TIMEOUT_DCCP_CLOSEREQ => closereq as "CLOSEREQ",
    /// `CTA_TIMEOUT_DCCP_CLOSING`.
    CTA_TIMEOUT_DCCP_CLOSING => closing as "CLOSING",
    /// `CTA_TIMEOUT_DCCP_TIMEWAIT`.
    CTA_TIMEOUT_DCCP_TIMEWAIT => time_wait as "TIMEWAIT",
}

/// The timeouts of a protocol. A state without a timeout is `None`.
///
/// `Display` prints the states and seconds in the words of `nfct add timeout`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum Timeouts {
    /// TCP.
    Tcp(TcpTimeouts),
    /// UDP.
    Udp(TwoWayTimeouts),
    /// UDP-Lite, which the kernel has until Linux 7.2.
    UdpLite(TwoWayTimeouts),
    /// GRE.
    Gre(TwoWayTimeouts),
    /// SCTP.
    Sctp(SctpTimeouts),
    /// DCCP, which the kernel has until Linux 6.16.
    Dccp(DccpTimeouts),
    /// ICMP.
    Icmp(SingleTimeout),
    /// ICMPv6.
    Icmpv6(SingleTimeout),
    /// All protocols that the kernel has no tracker for: number 255.
    Generic(SingleTimeout),
    /// A protocol whose states are unknown to this version.
    Other(Protocol),
}

/// The number under which the kernel has the timeout of all other protocols.
const GENERIC: u8 = 255;

/// Dispatches to the value of a variant.
macro_rules! held {
    ($timeouts:expr, $states:ident => $do:expr, $else:expr) => {
        match $timeouts {
            Self::Tcp($states) => $do,
            Self::Udp($states) | Self::UdpLite($states) | Self::Gre($states) => $do,
            Self::Sctp($states) => $do,
            Self::Dccp($states) => $do,
            Self::Icmp($states) | Self::Icmpv6($states) | Self::Generic($states) => $do,
            Self::Other(_) => $else,
        }
    };
}

impl Timeouts {
    /// The timeouts of a protocol, with none of them set. Number 255 is [`Generic`](Self::Generic).
    pub fn unset(protocol: Protocol) -> Self {
        match protocol.number() {
            IPPROTO_TCP => Self::Tcp(TcpTimeouts::new()),
            IPPROTO_UDP => Self::Udp(TwoWayTimeouts::new()),
            IPPROTO_UDPLITE => Self::UdpLite(TwoWayTimeouts::new()),
            IPPROTO_GRE => Self::Gre(TwoWayTimeouts::new()),
            IPPROTO_SCTP => Self::Sctp(SctpTimeouts::new()),
            IPPROTO_DCCP => Self::Dccp(DccpTimeouts::new()),
            IPPROTO_ICMP => Self::Icmp(SingleTimeout::new()),
            IPPROTO_ICMPV6 => Self::Icmpv6(SingleTimeout::new()),
            GENERIC => Self::Generic(SingleTimeout::new()),
            _ => Self::Other(protocol),
        }
    }

    /// The protocol of these timeouts.
    pub fn protocol(&self) -> Protocol {
        match self {
            Self::Tcp(_) => Protocol::TCP,
            Self::Udp(_) => Protocol::UDP,
            Self::UdpLite(_) => Protocol::UDPLITE,
            Self::Gre(_) => Protocol::GRE,
            Self::Sctp(_) => Protocol::SCTP,
            Self::Dccp(_) => Protocol::DCCP,
            Self::Icmp(_) => Protocol::ICMP,
            Self::Icmpv6(_) => Protocol::ICMPV6,
            Self::Generic(_) => Protocol::new(GENERIC),
            Self::Other(protocol) => *protocol,
        }
    }

    /// Sets the timeout of a state, which is named by nfct(8)'s word for it, in upper or lower
    /// case.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use ctnetlink::{Protocol, Timeouts};
    /// let mut timeouts = Timeouts::unset(Protocol::TCP);
    /// timeouts.set("ESTABLISHED", Duration::from_secs(3600))?;
    /// assert_eq!(timeouts.to_string(), "ESTABLISHED 3600");
    /// # Ok::<(), ctnetlink::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the protocol has no such state.
    pub fn set(&mut self, state: &str, timeout: Duration) -> Result<()> {
        let protocol = self.protocol();
        let rows = self.rows();
        let mut rows = rows.iter();
        let row = rows.find(|(_, word, _)| word.eq_ignore_ascii_case(state));
        let slot = row.and_then(|(kind, ..)| self.slot(*kind));
        let none = || Error::invalid_input(format!("state: {protocol} has none named {state}"));
        let slot = slot.ok_or_else(none)?;
        *slot = Some(timeout);
        Ok(())
    }

    /// The states, with their timeouts, in the kernel's order, by the words of nfct(8).
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, Option<Duration>)> + use<> {
        self.rows()
            .into_iter()
            .map(|(_, state, timeout)| (state, timeout))
    }

    pub(crate) fn rows(&self) -> Vec<Row> {
        held!(self, states => states.rows(), Vec::new())
    }

    pub(crate) fn slot(&mut self, kind: u16) -> Option<&mut Option<Duration>> {
        held!(self, states => states.slot(kind), None)
    }

    /// Fills unset timeouts from `others`, which must be for the same protocol.
    pub(crate) fn or(mut self, others: &Self) -> Self {
        for (kind, _, timeout) in others.rows() {
            if let Some(slot) = self.slot(kind) {
                *slot = slot.or(timeout);
            }
        }
        self
    }
}

macro_rules! one_protocol {
    ($($ty:ident => $variant:ident),+) => {
        $(impl From<$ty> for Timeouts {
            fn from(timeouts: $ty) -> Self {
                Self::$variant(timeouts)
            }
        })+
    };
}

// The other variants are used for more than one protocol.
one_protocol!(TcpTimeouts => Tcp, SctpTimeouts => Sctp, DccpTimeouts => Dccp);
