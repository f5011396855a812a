//! The tuples of a command line.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ctnetlink::{IcmpEcho, Tuple};

use super::failure::{Failure, Result};
use super::line::{Ends, Line};

/// The tuple of these ends, if an address is given. A missing second address is all zeros.
pub(crate) fn of(ends: &Ends, line: &Line) -> Option<Result<Tuple>> {
    let (src, dst) = addresses(ends)?;
    Some(build(src, dst, ends, line))
}

fn addresses(ends: &Ends) -> Option<(IpAddr, IpAddr)> {
    let zeros = |other: IpAddr| match other {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    match (ends.src, ends.dst) {
        (Some(src), Some(dst)) => Some((src, dst)),
        (Some(src), None) => Some((src, zeros(src))),
        (None, Some(dst)) => Some((zeros(dst), dst)),
        (None, None) => None,
    }
}

/// The reply tuple. The ICMP options are for the original direction.
pub(crate) fn of_reply(line: &Line) -> Option<Result<Tuple>> {
    let (src, dst) = addresses(&line.reply)?;
    let inverse = Ends {
        src_port: line.reply.dst_port,
        dst_port: line.reply.src_port,
        ..Ends::default()
    };
    let orig = build(dst, src, &inverse, line);
    Some(orig.map(|tuple| tuple.inverse()))
}

fn build(src: IpAddr, dst: IpAddr, ends: &Ends, line: &Line) -> Result<Tuple> {
    let protocol = line.protocol.unwrap_or_default();
    let echo = IcmpEcho::new(
        line.icmp_type.unwrap_or_default(),
        line.icmp_code.unwrap_or_default(),
        line.icmp_id.unwrap_or_default(),
    );
    let tuple = match (protocol, src, dst) {
        (1, IpAddr::V4(src), IpAddr::V4(dst)) => Tuple::icmp(src, dst, echo),
        (58, IpAddr::V6(src), IpAddr::V6(dst)) => Tuple::icmpv6(src, dst, echo),
        _ => Tuple::new(
            protocol,
            SocketAddr::new(src, ends.src_port.unwrap_or_default()),
            SocketAddr::new(dst, ends.dst_port.unwrap_or_default()),
        ),
    };
    tuple.map_err(Failure::invalid)
}
