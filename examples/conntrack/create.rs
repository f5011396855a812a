//! `-I` and `-A`.

use std::net::IpAddr;
use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, DccpInfo, Masked, Nat, NewFlow, ProtoInfo, SctpInfo, Status, TcpInfo,
    TcpState, Tuple, Zone,
};

use super::failure::{Failure, Result};
use super::line::{Ends, Line, Target};
use super::{summary, tuple};

const EBUSY: i32 = 16;
const EINVAL: i32 = 22;

/// What a request can set; the kernel makes nothing of the others.
const SETTABLE: Status = Status::SEEN_REPLY
    .union(Status::ASSURED)
    .union(Status::FIXED_TIMEOUT);

pub(crate) async fn create(handle: &ConntrackHandle, line: Line) -> Result<()> {
    handle.create(new_flow(&line)?).await?;
    summary(1, "flow entries have been created");
    Ok(())
}

/// One that is there already is no failure.
pub(crate) async fn add(handle: &ConntrackHandle, line: Line) -> Result<()> {
    let added = match handle.create(new_flow(&line)?).await {
        Err(error) if error.is_already_exists() => 0,
        done => {
            done?;
            1
        }
    };
    summary(added, "flow entries have been added");
    Ok(())
}

/// The flow that a line describes.
pub(crate) fn new_flow(line: &Line) -> Result<NewFlow> {
    let orig = tuple::of(&line.orig, line).transpose()?;
    // A reply that NAT is to make is not asked for.
    let translated = target(&line.source_nat).is_some() || target(&line.destination_nat).is_some();
    let reply = match translated && orig.is_some() && !whole(&line.reply) {
        true => None,
        false => tuple::of_reply(line).transpose()?,
    };
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
    if let Some(nat) = nat(
        &line.source_nat,
        line.reply.dst_port,
        orig.src_port(),
        ported,
    ) {
        flow = flow.source_nat(nat);
    }
    if let Some(nat) = nat(
        &line.destination_nat,
        line.reply.src_port,
        orig.dst_port(),
        ported,
    ) {
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

fn whole(ends: &Ends) -> bool {
    ends.src.is_some() && ends.dst.is_some()
}

fn target(target: &Target) -> Option<(IpAddr, Option<u16>)> {
    target.as_ref().copied().flatten()
}

/// To where, with the port that `-o save` has as one of the reply's. Where a protocol has no ports,
/// the kernel makes nothing of one.
fn nat(asked: &Target, saved: Option<u16>, own: Option<u16>, ported: bool) -> Option<Nat> {
    let (address, port) = target(asked)?;
    let port = port.or(saved.filter(|port| Some(*port) != own));
    let port = port.filter(|_| ported);
    let nat = Nat::to(address);
    Some(match port {
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

/// The state that the line has for a protocol.
pub(crate) fn protoinfo(line: &Line, protocol: u8) -> Option<ProtoInfo> {
    let state = line.state?;
    match protocol {
        6 => Some(TcpInfo::liberal(TcpState::new(state)).into()),
        132 => {
            let (orig, reply) = (line.vtag_orig, line.vtag_reply);
            let info = SctpInfo::new(
                state.into(),
                orig.unwrap_or_default(),
                reply.unwrap_or_default(),
            );
            Some(ProtoInfo::Sctp(Box::new(info)))
        }
        33 => {
            let info = DccpInfo::new(state.into(), line.role.unwrap_or_default());
            Some(ProtoInfo::Dccp(Box::new(info)))
        }
        _ => None,
    }
}
