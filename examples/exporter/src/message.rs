//! What is published: one message a flow's end, and what of it goes where.

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
        /// How many; `null` where nobody knows.
        lost: Option<u64>,
        /// Until when all is told, in nanoseconds since 1970: what ended between then and this
        /// message is not known. For [`Start`](Reason::Start) alone, and `null` where nobody knows.
        #[serde(default)]
        since: Option<u64>,
    },
}

/// Why a flow ended, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The kernel said so: its counters are the last.
    Destroyed,
    /// The event of its end was lost, and a list no longer had it.
    Swept,
    /// The event of its end was lost, or there was none, and a get found nothing.
    Gone,
    /// The event of its end was lost, and another flow has its tuple.
    Replaced,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The exporter has the whole table from here on: flows that ended before, and after `since`, are
    /// not known.
    Start,
    /// The queue of the kernel's events had no room: events were lost. The ends among them follow
    /// as `swept`, unless their flows began in the gap, too.
    Kernel,
    /// The spool had no room, or a run that was killed had messages in memory: so many were lost at
    /// the most.
    Spool,
    /// The receiver did not want them.
    Refused,
}

/// A message as it goes to the server, and waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parcel {
    pub subject: String,
    /// `Nats-Msg-Id`: the same for the same flow's end, however often it is sent.
    pub id: String,
    pub payload: Bytes,
}

/// Makes parcels, as this node.
#[derive(Debug)]
pub struct Packer {
    node: String,
    boot: String,
    /// Tells this run of the exporter from others.
    run: u64,
    made: u64,
    /// Of the last message.
    buffer: Vec<u8>,
}

/// [`Message`], of what is elsewhere.
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
    /// The name of a node is a part of subjects: letters, digits, `-` and `_`; dots become `_`.
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
    /// None that is known: a flow can always be JSON.
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

    /// Of node, boot, flow id and start. Without a start the flow's id is not enough, as a later flow can
    /// have the same: the number of the message stands in.
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

    /// How much is lost if this is.
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
    /// `None` where the flow goes on, and left the mirror for another reason.
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

/// In nanoseconds since 1970; 0 for what was before.
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
