//! Events of the table: flows that begin, change and end, and gaps where events were lost.

use std::time::SystemTime;

use bitflags::bitflags;

use crate::error::{Error, Result};
use crate::expectation::Expectation;
use crate::flow::Flow;
use crate::wire::attr::DecodeError;
use crate::wire::message::Frame;
use crate::wire::table::Context;
use crate::wire::uapi::*;

bitflags! {
    /// Kinds of events, `conntrack -E -e`. Each kind is a multicast group of the kernel, which
    /// makes only events that some program listens to.
    ///
    /// The default is [`FLOWS`](Self::FLOWS).
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct EventKinds: u32 {
        /// New flows, `-e NEW`. `NFNLGRP_CONNTRACK_NEW`.
        const NEW = 1 << 0;
        /// Changes of flows, `-e UPDATES`. `NFNLGRP_CONNTRACK_UPDATE`.
        const UPDATE = 1 << 1;
        /// Ends of flows, `-e DESTROY`. `NFNLGRP_CONNTRACK_DESTROY`.
        const DESTROY = 1 << 2;
        /// New expectations, `-E expect -e NEW`. `NFNLGRP_CONNTRACK_EXP_NEW`.
        const EXPECT_NEW = 1 << 3;
        /// Ends of expectations, `-E expect -e DESTROY`. `NFNLGRP_CONNTRACK_EXP_DESTROY`.
        const EXPECT_DESTROY = 1 << 4;
        /// All events of flows.
        const FLOWS = Self::NEW.bits() | Self::UPDATE.bits() | Self::DESTROY.bits();
        /// All events of expectations. The kernel makes no events for their changes.
        const EXPECTATIONS = Self::EXPECT_NEW.bits() | Self::EXPECT_DESTROY.bits();
    }
}

#[cfg(feature = "serde")]
flags!(EventKinds: u32);

/// One event, or a gap between two.
///
/// `Display` is the line of `conntrack -E` (1.4.7), and `{:#}` the line of `conntrack -E -o
/// extended,id,timestamp,userspace`. Both lack the name of the program, which conntrack(8) looks up
/// by its port id. The time at the beginning is the event's own ([`time`](Self::time)), if it has
/// one.
///
/// # Contents
///
/// An event contains a part of the flow. Fields that it leaves out are `None`, and mean no change.
/// Both tuples, the zone, the status and the id are always there.
///
/// | | `New` | `Update` | `Destroy` |
/// |---|---|---|---|
/// | timeout | yes | yes | if time is left (Linux 5.11) |
/// | protoinfo | yes | if it changed | only the state (Linux 5.11) |
/// | mark | if not 0 | if not 0, or changed | if not 0 |
/// | labels | if set | if changed, and one is set | no |
/// | helper | yes | yes | no |
/// | master | yes | no | no |
/// | sequence adjustments, SYN proxy | if set | if changed | no |
/// | counters, start and stop | no | no | if the flow has them (`nf_conntrack_acct`, `nf_conntrack_timestamp`) |
/// | use count | no | no | no |
///
/// # When events are made
///
/// A packet that changes only counters and timeout makes no event, and all changes by one packet
/// make one event. An update by a request always makes one. If another program listens
/// [reliably](crate::Events::reliable), an event can come twice, and a change can come as a `New`
/// of a known flow. A program that keeps state should apply the contents of each event, whatever
/// its kind.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Event {
    /// A flow was added to the table: its first packet left the machine, or a request created it.
    /// `IPCTNL_MSG_CT_NEW` with `NLM_F_CREATE`.
    New {
        /// The flow.
        flow: Flow,
        /// The netlink port id of the program whose request it was; `None` for packets.
        port_id: Option<u32>,
        /// The id of the network namespace where it happened, as the listener's namespace knows it;
        /// `None` for the listener's own namespace.
        nsid: Option<u32>,
    },
    /// A flow changed. `IPCTNL_MSG_CT_NEW` without `NLM_F_CREATE`.
    Update {
        /// The flow, with the fields that changed.
        flow: Flow,
        /// The netlink port id of the program whose request it was; `None` for packets.
        port_id: Option<u32>,
        /// The id of the network namespace where it happened, as the listener's namespace knows it;
        /// `None` for the listener's own namespace.
        nsid: Option<u32>,
    },
    /// A flow was removed from the table: it was deleted, timed out, or removed by the kernel.
    /// `IPCTNL_MSG_CT_DELETE`.
    ///
    /// The kernel removes flows that timed out only now and then, so this can come a minute late.
    Destroy {
        /// The flow, as it was at its end.
        flow: Flow,
        /// The netlink port id of the program whose request it was; `None` for packets and
        /// timeouts.
        port_id: Option<u32>,
        /// The id of the network namespace where it happened, as the listener's namespace knows it;
        /// `None` for the listener's own namespace.
        nsid: Option<u32>,
    },
    /// A helper or a request announced an expected flow. `IPCTNL_MSG_EXP_NEW`.
    ExpectNew {
        /// The expectation.
        expectation: Expectation,
        /// The netlink port id of the program whose request it was; `None` for packets.
        port_id: Option<u32>,
        /// The id of the network namespace where it happened, as the listener's namespace knows it;
        /// `None` for the listener's own namespace.
        nsid: Option<u32>,
    },
    /// An expectation ended: its flow began, it timed out, or it was removed, maybe with its
    /// master. `IPCTNL_MSG_EXP_DELETE`.
    ExpectDestroy {
        /// The expectation.
        expectation: Expectation,
        /// The netlink port id of the program whose request it was; `None` for packets and
        /// timeouts.
        port_id: Option<u32>,
        /// The id of the network namespace where it happened, as the listener's namespace knows it;
        /// `None` for the listener's own namespace.
        nsid: Option<u32>,
    },
    /// Events were lost here, because they came faster than they were read. Items before this one
    /// are older than the gap, and items after it are newer. The stream goes on.
    ///
    /// The sum over all gaps is exact. If the queue overflows again as soon as it was emptied, the
    /// second gap may come after a few newer events, and its number may be part of the first.
    ///
    /// A program that keeps the state of the table must list the table again; a
    /// [mirror](crate::Mirror) does that.
    Overrun {
        /// The number of lost events, as the kernel counts them. 0 if the kernel had no memory to
        /// make the event and so did not count it, or if the number was part of the gap before.
        lost: u64,
    },
}

#[cfg(feature = "serde")]
keyed! {
    enum Event;
    New [flow: Flow,] [port_id: Option<u32>, nsid: Option<u32>,]
    Update [flow: Flow,] [port_id: Option<u32>, nsid: Option<u32>,]
    Destroy [flow: Flow,] [port_id: Option<u32>, nsid: Option<u32>,]
    ExpectNew [expectation: Expectation,] [port_id: Option<u32>, nsid: Option<u32>,]
    ExpectDestroy [expectation: Expectation,] [port_id: Option<u32>, nsid: Option<u32>,]
    Overrun [lost: u64,] []
}

impl Event {
    /// Decodes one message of the kernel, from its netlink header on. This is for programs that get
    /// the bytes from a capture, or from their own socket.
    ///
    /// # Errors
    ///
    /// [`Decode`](crate::ErrorKind::Decode) if the bytes are not an event; [`Error::bytes`] has
    /// them.
    pub fn from_message(message: &[u8]) -> Result<Self> {
        Error::reading(message, |frame| Self::decode(frame, None))
    }

    /// The flow; `None` if the event is not about a flow.
    pub fn flow(&self) -> Option<&Flow> {
        match self {
            Self::New { flow, .. } | Self::Update { flow, .. } | Self::Destroy { flow, .. } => {
                Some(flow)
            }
            _ => None,
        }
    }

    /// The expectation; `None` if the event is not about one.
    pub fn expectation(&self) -> Option<&Expectation> {
        match self {
            Self::ExpectNew { expectation, .. } | Self::ExpectDestroy { expectation, .. } => {
                Some(expectation)
            }
            _ => None,
        }
    }

    /// The netlink port id of the program that caused it; `None` for packets, timeouts and gaps.
    ///
    /// `-o userspace`; the `nlmsg_pid` of the message. The port id of a process's first netlink
    /// socket is the process id; the others have large numbers.
    pub fn port_id(&self) -> Option<u32> {
        match self {
            Self::New { port_id, .. }
            | Self::Update { port_id, .. }
            | Self::Destroy { port_id, .. }
            | Self::ExpectNew { port_id, .. }
            | Self::ExpectDestroy { port_id, .. } => *port_id,
            Self::Overrun { .. } => None,
        }
    }

    /// The id of the network namespace where it happened, as the listener's namespace knows it;
    /// `None` for the listener's own namespace, and for gaps.
    pub fn nsid(&self) -> Option<u32> {
        match self {
            Self::New { nsid, .. }
            | Self::Update { nsid, .. }
            | Self::Destroy { nsid, .. }
            | Self::ExpectNew { nsid, .. }
            | Self::ExpectDestroy { nsid, .. } => *nsid,
            Self::Overrun { .. } => None,
        }
    }

    /// When it happened. `CTA_TIMESTAMP_EVENT` (Linux 6.14); `None` on older kernels, and unless
    /// `nf_conntrack_timestamp` was 1 when the flow began.
    pub fn time(&self) -> Option<SystemTime> {
        self.flow()?.event_timestamp().copied()
    }

    /// The value of an event that is not decoded yet.
    #[inline]
    pub(crate) fn blank() -> Self {
        Self::Overrun { lost: 0 }
    }

    fn decode(frame: &Frame<'_>, nsid: Option<u32>) -> Result<Self, DecodeError> {
        let mut event = Self::blank();
        event.read(frame, nsid)?;
        Ok(event)
    }

    /// Decodes the event in a message into this one. After an error, it has no meaning.
    ///
    /// It is decoded in place, because moving it takes a tenth of the time.
    #[inline]
    pub(crate) fn read(&mut self, frame: &Frame<'_>, nsid: Option<u32>) -> Result<(), DecodeError> {
        let port_id = frame.port_id();
        let flow = Flow::blank;
        match frame.kind {
            IPCTNL_MSG_CT_NEW if frame.flags & NLM_F_CREATE != 0 => {
                *self = Self::New {
                    flow: flow(),
                    port_id,
                    nsid,
                };
            }
            IPCTNL_MSG_CT_NEW => {
                *self = Self::Update {
                    flow: flow(),
                    port_id,
                    nsid,
                };
            }
            IPCTNL_MSG_CT_DELETE => {
                *self = Self::Destroy {
                    flow: flow(),
                    port_id,
                    nsid,
                };
            }
            IPCTNL_MSG_EXP_NEW => {
                *self = Self::ExpectNew {
                    expectation: Expectation::decode(frame)?,
                    port_id,
                    nsid,
                };
            }
            IPCTNL_MSG_EXP_DELETE => {
                *self = Self::ExpectDestroy {
                    expectation: Expectation::decode(frame)?,
                    port_id,
                    nsid,
                };
            }
            kind => return Err(DecodeError::NoEvent { kind }),
        }
        if let Self::New { flow, .. } | Self::Update { flow, .. } | Self::Destroy { flow, .. } =
            self
        {
            flow.fill(frame.attributes()?, &mut Context::default())?;
        }
        Ok(())
    }
}

impl EventKinds {
    /// The multicast groups of these kinds.
    pub(crate) fn groups(self) -> impl Iterator<Item = u32> {
        [
            (Self::NEW, NFNLGRP_CONNTRACK_NEW),
            (Self::UPDATE, NFNLGRP_CONNTRACK_UPDATE),
            (Self::DESTROY, NFNLGRP_CONNTRACK_DESTROY),
            (Self::EXPECT_NEW, NFNLGRP_CONNTRACK_EXP_NEW),
            (Self::EXPECT_DESTROY, NFNLGRP_CONNTRACK_EXP_DESTROY),
        ]
        .into_iter()
        .filter_map(move |(kind, group)| self.contains(kind).then_some(group))
    }
}

impl Default for EventKinds {
    fn default() -> Self {
        Self::FLOWS
    }
}

#[cfg(test)]
mod tests;
