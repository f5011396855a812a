//! The published messages: one for the end of each flow, its subject, and its id.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ctnetlink::{Flow, RemovalCause};
use serde::{Deserialize, Serialize};

use crate::Result;

/// One message. The flow is in the crate's JSON form, which its documentation describes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub node: String,
    /// When the exporter saw it, in nanoseconds since 1970.
    pub seen: u64,
    #[serde(flatten)]
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    Begin {
        flow: Flow,
    },
    Change {
        flow: Flow,
    },
    End {
        cause: Cause,
        flow: Flow,
    },
    /// Something was lost before this message.
    Overrun {
        reason: Reason,
        /// The number of lost events or messages; `null` if it is unknown.
        lost: Option<u64>,
        /// Everything before this time was reported, in nanoseconds since 1970. What ended between
        /// then and this message is unknown. Only for [`Start`](Reason::Start); `null` if it is
        /// unknown.
        #[serde(default)]
        since: Option<u64>,
    },
}

/// How the exporter knows that a flow ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The kernel reported the end, with the last counters.
    Destroyed,
    /// The event of its end was lost, and a list did not contain it any more.
    Swept,
    /// The event of its end was lost, or there was none, and a get found nothing.
    Gone,
    /// The event of its end was lost, and another flow has its tuple.
    Replaced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// From here on, the exporter has the whole table. Flows that ended before, and after `since`,
    /// are unknown.
    Start,
    /// Events were lost because the queue had no room. The lost ends follow as `swept`, unless
    /// their flows also began in the gap.
    Kernel,
    /// The spool had no room, or a run was killed with messages in memory. The number is a maximum.
    Spool,
    /// The receiver refused them.
    Refused,
}

/// An encoded message, which waits for the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    pub subject: String,
    /// `Nats-Msg-Id`: the same for the same flow's end, however often it is sent.
    pub id: String,
    pub payload: Bytes,
}

/// Makes the parcels of this node.
#[derive(Debug)]
pub struct Packer {
    node: String,
    boot: String,
    /// Identifies this run of the exporter.
    run: u64,
    made: u64,
    /// The bytes of the last message.
    buffer: Vec<u8>,
}

/// A [`Message`] of borrowed parts.
#[derive(Serialize)]
struct Borrowed<'a> {
    node: &'a str,
    seen: u64,
    #[serde(flatten)]
    what: &'a What,
}

impl Packer {
    /// # Errors
    ///
    /// The name of the node has other characters than letters, digits, `-`, `_` and dots. It is a
    /// part of subjects, so dots become `_`.
    pub fn new(node: &str) -> Result<Self> {
        let node = node.replace('.', "_");
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if node.is_empty() || node == "overrun" || !node.chars().all(is_plain) {
            return Err(format!("node: {node:?} cannot be a part of a subject").into());
        }
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
        Ok(Self {
            node,
            boot: boot.chars().take(8).collect(),
            run: now(),
            made: 0,
            buffer: Vec::new(),
        })
    }

    pub fn node(&self) -> &str {
        &self.node
    }

    /// # Errors
    ///
    /// No case is known: every flow can be JSON.
    pub fn pack(&mut self, what: &What) -> Result<Parcel> {
        let subject = match what.flow() {
            Some(flow) => {
                let (node, zone) = (&self.node, flow.zone.id());
                format!("conntrack.{node}.{zone}.{}", flow.orig.protocol())
            }
            None => format!("conntrack.{}.overrun", self.node),
        };
        let id = self.id(what);
        let message = Borrowed {
            node: &self.node,
            seen: now(),
            what,
        };
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, &message)?;
        Ok(Parcel {
            subject,
            id,
            payload: Bytes::copy_from_slice(&self.buffer),
        })
    }

    /// The id is made of node, boot, flow id and start time. A later flow can have the same flow
    /// id, so without a start time the number of the message is used.
    pub fn id(&mut self, what: &What) -> String {
        self.made += 1;
        let Self {
            node,
            boot,
            run,
            made,
            ..
        } = self;
        match what {
            What::End { flow, .. } => match (flow.id, flow.timestamp()) {
                (Some(id), Some(times)) => {
                    format!("{node}.{boot}.{}.{}", u32::from(id), nanos(times.start))
                }
                _ => format!("{node}.{boot}.{run}.{made}"),
            },
            _ => format!("{node}.{boot}.{run}.{made}"),
        }
    }
}

impl What {
    pub fn flow(&self) -> Option<&Flow> {
        match self {
            Self::Begin { flow } | Self::Change { flow } | Self::End { flow, .. } => Some(flow),
            Self::Overrun { .. } => None,
        }
    }

    pub fn overrun(reason: Reason, lost: Option<u64>) -> Self {
        Self::Overrun {
            reason,
            lost,
            since: None,
        }
    }

    /// The loss if this message is lost.
    pub fn weight(&self) -> u64 {
        match self {
            Self::Overrun { lost, .. } => lost.unwrap_or(1),
            _ => 1,
        }
    }
}

impl Reason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Kernel => "kernel",
            Self::Spool => "spool",
            Self::Refused => "refused",
        }
    }
}

impl Cause {
    /// `None` if the flow did not end, and left the mirror for another reason.
    pub fn of(cause: RemovalCause) -> Option<Self> {
        match cause {
            RemovalCause::Destroyed { .. } => Some(Self::Destroyed),
            RemovalCause::Swept => Some(Self::Swept),
            RemovalCause::Gone => Some(Self::Gone),
            RemovalCause::Replaced => Some(Self::Replaced),
            _ => None,
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Destroyed => "destroyed",
            Self::Swept => "swept",
            Self::Gone => "gone",
            Self::Replaced => "replaced",
        }
    }
}

/// The time in nanoseconds since 1970; 0 for earlier times.
pub fn nanos(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| {
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    })
}

pub fn now() -> u64 {
    nanos(SystemTime::now())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_a_message() {
        let mut packer = Packer::new("a.node").expect("a name");
        let flow = r#"{"orig": {"src": "192.0.2.1", "dst": "192.0.2.2", "protocol": "udp", "src_port": 1, "dst_port": 53},
                       "reply": {"src": "192.0.2.2", "dst": "192.0.2.1", "protocol": "udp", "src_port": 53, "dst_port": 1}}"#;
        let flow: Flow = serde_json::from_str(flow).expect("a flow");
        let what = What::End {
            cause: Cause::Swept,
            flow,
        };
        for what in [&what, &What::overrun(Reason::Kernel, Some(3)), &what] {
            let parcel = packer.pack(what).expect("a parcel");
            let message: Message = serde_json::from_slice(&parcel.payload).expect("a message");
            assert_eq!((message.node.as_str(), &message.what), ("a_node", what));
        }
        assert!(Packer::new("a node").is_err());
    }
}
