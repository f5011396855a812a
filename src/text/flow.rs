//! The line that conntrack(8) prints for a flow.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use super::nouns::protocol_name;
use crate::flow::{Counters, Flow, ProtoInfo, Status, Timestamp, ZoneDirection};

/// `{}` is the line of `conntrack -L` (1.4.7), `{:#}` that of `conntrack -L -o extended,id`.
///
/// A flow that has a [`timestamp`](Flow::timestamp) but has not ended shows its age
/// (`delta-time=`, in seconds), so its line depends on the clock.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orig, reply, .. } = self;
        if f.alternate() {
            let family = orig.family();
            write!(f, "{:<8} {} ", family.as_str(), family.number())?;
        }
        let protocol = orig.protocol().number();
        write!(f, "{:<8} {protocol}", protocol_name(protocol))?;
        some(f, "", self.timeout.map(|timeout| timeout.as_secs()))?;
        some(f, "", self.protoinfo.as_ref().and_then(state))?;

        write!(f, " {orig}")?;
        self.zone_of(ZoneDirection::Orig, f)?;
        counters(f, self.counters_orig)?;
        if !self.status.contains(Status::SEEN_REPLY) {
            f.write_str(" [UNREPLIED]")?;
        }

        write!(f, " {reply}")?;
        self.zone_of(ZoneDirection::Reply, f)?;
        counters(f, self.counters_reply)?;
        f.write_str(persistence(self.status))?;

        some(f, "mark=", self.mark)?;
        some(f, "secctx=", self.secctx().map(|secctx| &secctx.name))?;
        self.zone_of(ZoneDirection::Both, f)?;
        some(f, "delta-time=", self.timestamp().map(delta_time))?;
        some(f, "helper=", self.helper().map(|helper| &helper.name))?;
        some(f, "use=", self.use_count)?;
        if f.alternate() {
            some(f, "id=", self.id)?;
        }
        Ok(())
    }
}

impl Flow {
    /// The zone, after the tuple of its direction.
    fn zone_of(&self, direction: ZoneDirection, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = self.zone;
        let here = zone.id() != 0 && zone.direction() == direction;
        some(f, "", here.then_some(zone))
    }
}

fn some(f: &mut fmt::Formatter<'_>, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, " {name}{value}"),
        None => Ok(()),
    }
}

fn counters(f: &mut fmt::Formatter<'_>, counters: Option<Counters>) -> fmt::Result {
    some(f, "", counters)
}

/// conntrack(8) prints NONE for a state without a name.
fn state(info: &ProtoInfo) -> Option<&'static str> {
    let word = match info {
        ProtoInfo::Tcp(info) => info.state.as_str(),
        ProtoInfo::Sctp(info) => info.state.as_str(),
        ProtoInfo::Dccp(info) => info.state.as_str(),
        ProtoInfo::Other => return None,
    };
    Some(word.unwrap_or("NONE"))
}

/// conntrack(8) prints only one of these three.
fn persistence(status: Status) -> &'static str {
    if status.contains(Status::HW_OFFLOAD) {
        " [HW_OFFLOAD]"
    } else if status.contains(Status::OFFLOAD) {
        " [OFFLOAD]"
    } else if status.contains(Status::ASSURED) {
        " [ASSURED]"
    } else {
        ""
    }
}

/// The age in whole seconds. If the clock was set back and the flow ends before it begins, it wraps
/// as in conntrack(8).
fn delta_time(timestamp: &Timestamp) -> u64 {
    let seconds = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        since.as_secs()
    };
    let end = timestamp
        .stop
        .filter(|stop| *stop != UNIX_EPOCH)
        .unwrap_or_else(SystemTime::now);
    seconds(end).wrapping_sub(seconds(timestamp.start))
}

#[cfg(test)]
mod tests;
