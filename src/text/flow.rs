//! The line that conntrack(8) prints for a flow.

use std::fmt::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use super::line::Line;
use super::nouns::{counters, protocol_name, tuple};
use crate::flow::{Counters, Flow, ProtoInfo, Status, Timestamp, ZoneDirection};

/// `{}` is the line of `conntrack -L` (1.4.7), `{:#}` that of `conntrack -L -o extended,id`.
///
/// A flow that has a [`timestamp`](Flow::timestamp) but has not ended shows its age
/// (`delta-time=`, in seconds), so its line depends on the clock.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_extended = f.alternate();
        Line::write(f, |line| self.pieces(line, is_extended))
    }
}

impl Flow {
    fn pieces(&self, line: &mut Line<'_, '_>, is_extended: bool) -> fmt::Result {
        let Self { orig, reply, .. } = self;
        if is_extended {
            let family = orig.family();
            column(line, family.as_str(), family.number())?;
            line.write_str(" ")?;
        }
        let protocol = orig.protocol().number();
        column(line, protocol_name(protocol), protocol)?;
        number(line, "", self.timeout.map(|timeout| timeout.as_secs()))?;
        some(line, "", self.protoinfo.as_ref().and_then(state))?;

        line.write_str(" ")?;
        tuple(line, "", orig)?;
        self.zone_of(ZoneDirection::Orig, line)?;
        self.counted(self.counters_orig, line)?;
        if !self.status.contains(Status::SEEN_REPLY) {
            line.write_str(" [UNREPLIED]")?;
        }

        line.write_str(" ")?;
        tuple(line, "", reply)?;
        self.zone_of(ZoneDirection::Reply, line)?;
        self.counted(self.counters_reply, line)?;
        line.write_str(persistence(self.status))?;

        number(line, "mark=", self.mark)?;
        some(line, "secctx=", self.secctx().map(|secctx| &secctx.name))?;
        self.zone_of(ZoneDirection::Both, line)?;
        number(line, "delta-time=", self.timestamp().map(delta_time))?;
        some(line, "helper=", self.helper().map(|helper| &helper.name))?;
        number(line, "use=", self.use_count)?;
        if is_extended {
            number(line, "id=", self.id.map(u32::from))?;
        }
        Ok(())
    }

    /// The zone, after the tuple of its direction.
    fn zone_of(&self, direction: ZoneDirection, line: &mut Line<'_, '_>) -> fmt::Result {
        let zone = self.zone;
        let here = zone.id() != 0 && zone.direction() == direction;
        some(line, "", here.then_some(zone))
    }

    fn counted(&self, of: Option<Counters>, line: &mut Line<'_, '_>) -> fmt::Result {
        let Some(of) = of else { return Ok(()) };
        line.write_str(" ")?;
        counters(line, &of)
    }
}

/// A name in a column of eight characters, and its number.
fn column(line: &mut Line<'_, '_>, name: &str, number: u8) -> fmt::Result {
    line.write_str(name)?;
    line.write_str("         ".get(name.len()..).unwrap_or(" "))?;
    line.number(number)
}

fn number(line: &mut Line<'_, '_>, name: &str, value: Option<impl Into<u64>>) -> fmt::Result {
    let Some(value) = value else { return Ok(()) };
    line.write_str(" ")?;
    line.write_str(name)?;
    line.number(value)
}

fn some(line: &mut Line<'_, '_>, name: &str, value: Option<impl fmt::Display>) -> fmt::Result {
    match value {
        Some(value) => write!(line, " {name}{value}"),
        None => Ok(()),
    }
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
