//! `-I` and `-A`.

use std::net::IpAddr;
use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, DccpInfo, Masked, Nat, NewFlow, ProtoInfo, SctpInfo, Status, TcpInfo,
    TcpState, Tuple, Zone,
};

use super::failure::{Failure, Result};
use super::line::{Ends, Line, Target};
use super::{protocol, summary, tuple};

const EBUSY: i32 = 16;
const EINVAL: i32 = 22;

/// The status bits that a request can set; the kernel ignores the others.
const SETTABLE: Status = Status::SEEN_REPLY
    .union(Status::ASSURED)
    .union(Status::FIXED_TIMEOUT);

pub(crate) async fn create(handle: &ConntrackHandle, line: Line) -> Result<()> {
    handle.create(new_flow(&line)?).await?;
    summary(1, "flow entries have been created");
    Ok(())
}

/// A flow that exists already is not a failure.
pub(crate) async fn add(handle: &ConntrackHandle, line: Line) -> Result<()> {
    // The message for a bad flow is different here.
    let invalid = |failure| match failure == Failure::errno(EINVAL) {
        true => Failure::operation("Invalid argument"),
        false => failure,
    };
    let added = match handle.create(new_flow(&line).map_err(invalid)?).await {
        Err(error) if error.is_already_exists() => 0,
        done => {
            done.map_err(|error| invalid(error.into()))?;
            1
        }
    };
    summary(added, "flow entries have been added");
    Ok(())
}

/// The flow that a command line describes.
pub(crate) fn new_flow(line: &Line) -> Result<NewFlow> {
    let orig = tuple::of(&line.orig, line).transpose()?;
    let reply = reply(line, orig.as_ref())?;
    let orig = match (orig, reply) {
        (Some(orig), _) => orig,
        (None, Some(reply)) => reply.inverse(),
        (None, None) => return Err(Failure::errno(EINVAL)),
    };
    let timeout = Duration::from_secs(line.timeout.unwrap_or_default().into());
    let mut flow = NewFlow::new(orig, timeout).zone(zone(line)?);
    if let Some(reply) = reply {
        flow = flow.reply(reply);
    }
    let ported = orig.src_socket().is_some() || orig.icmp_echo().is_some();
    let saved = line.reply.src.is_some() || line.reply.dst.is_some();
    let saved = |port: Option<u16>| port.filter(|_| saved);
    let port = saved(line.reply.dst_port).filter(|port| Some(*port) != orig.src_port());
    if let Some(nat) = nat(&line.source_nat, port, ported) {
        flow = flow.source_nat(nat);
    }
    let port = saved(line.reply.src_port).filter(|port| Some(*port) != orig.dst_port());
    if let Some(nat) = nat(&line.destination_nat, port, ported) {
        flow = flow.destination_nat(nat);
    }
    if let Some((status, _)) = line.status {
        if status.contains(Status::EXPECTED) {
            return Err(Failure::errno(EBUSY));
        }
        let status = status & SETTABLE;
        if !status.is_empty() {
            flow = flow.status(status);
        }
    }
    if let Some((mark, _)) = line.mark {
        flow = flow.mark(Masked::from(mark));
    }
    let labels = line.labels | line.labels_added;
    if !labels.is_empty() {
        flow = flow.labels(Masked::from(labels));
    }
    Ok(with_state(flow, &orig, line))
}

/// The reply tuple, if one of its addresses is given. The kernel refuses a tuple without a
/// protocol, and conntrack(8) sends the protocol only with a port; for ICMP, only with all fields.
fn reply(line: &Line, orig: Option<&Tuple>) -> Result<Option<Tuple>> {
    let Some(reply) = tuple::of_reply(line) else {
        return Ok(None);
    };
    let ends = &line.reply;
    let protocol = line.protocol.unwrap_or_default();
    let named = match protocol {
        1 | 58 => orig.is_some() && ends.whole(),
        _ if protocol::options(protocol).is_empty() || orig.is_none() => true,
        _ => ends.src_port.or(ends.dst_port).is_some(),
    };
    let translated = translated(line);
    match orig {
        _ if !named => Err(Failure::errno(EINVAL)),
        Some(orig) if translated != [false; 2] => match agrees(ends, orig, translated) {
            true => Ok(None),
            false => Err(Failure::errno(EINVAL)),
        },
        _ => reply.map(Some),
    }
}

/// Whether the source and the destination are translated.
fn translated(line: &Line) -> [bool; 2] {
    [line.source_nat, line.destination_nat].map(|target| target.flatten().is_some())
}

/// With NAT, the kernel makes the reply tuple. Does the line agree with it?
fn agrees(reply: &Ends, orig: &Tuple, [source, destination]: [bool; 2]) -> bool {
    let same = |address: Option<IpAddr>, of| address.is_none_or(|address| address == of);
    let port = |port: Option<u16>, of| port.is_none() || port == of;
    (source || same(reply.dst, orig.src()) && port(reply.dst_port, orig.src_port()))
        && (destination || same(reply.src, orig.dst()) && port(reply.src_port, orig.dst_port()))
}

/// The target of NAT, with the port that `-o save` writes as a port of the reply. The kernel
/// ignores the port if the protocol has none.
fn nat(asked: &Target, saved: Option<u16>, ported: bool) -> Option<Nat> {
    let (address, port) = (*asked)??;
    let nat = Nat::to(address);
    Some(match port.or(saved).filter(|_| ported) {
        Some(port) => nat.port(port),
        None => nat,
    })
}

fn zone(line: &Line) -> Result<Zone> {
    match (line.zone, line.zone_orig, line.zone_reply) {
        (Some(id), None, None) => Ok(Zone::new(id)),
        (None, Some(id), None) => Ok(Zone::orig(id)),
        (None, None, Some(id)) => Ok(Zone::reply(id)),
        (None, None, None) => Ok(Zone::default()),
        _ => Err(Failure::errno(EINVAL)),
    }
}

fn with_state(flow: NewFlow, orig: &Tuple, line: &Line) -> NewFlow {
    match line.state {
        Some(state) if orig.protocol() == 6 => flow.tcp_state(TcpState::new(state)),
        _ => match protoinfo(line, orig.protocol().number()) {
            Some(info) => flow.protoinfo(info),
            None => flow,
        },
    }
}

/// The protocol state in a line.
pub(crate) fn protoinfo(line: &Line, protocol: u8) -> Option<ProtoInfo> {
    let state = line.state?;
    match protocol {
        6 => Some(TcpInfo::liberal(TcpState::new(state)).into()),
        132 => {
            // conntrack(8) uses the byte order of the machine for the tags.
            let tag = |tag: Option<u32>| u32::from_be(tag.unwrap_or_default());
            let (orig, reply) = (tag(line.vtag_orig), tag(line.vtag_reply));
            let info = SctpInfo::new(state.into(), orig, reply);
            Some(ProtoInfo::Sctp(Box::new(info)))
        }
        33 => {
            let info = DccpInfo::new(state.into(), line.role.unwrap_or_default());
            Some(ProtoInfo::Dccp(Box::new(info)))
        }
        _ => None,
    }
}
