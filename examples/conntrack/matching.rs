//! Selects flows by the options of a line.

use std::net::IpAddr;

use ctnetlink::{
    Family, Filter, Flow, IpNet, Masked, ProtoInfo, Status, Tuple, Zone, ZoneDirection,
};

use super::line::{Ends, Line, Target};

/// The conditions of a line. `filter` contains those that a [`Filter`] can express, so that the
/// kernel can compare them. conntrack(8) has a few more.
#[derive(Debug)]
pub(crate) struct Matching {
    line: Line,
    pub(crate) filter: Filter,
    /// Is `-u` a condition, or a change?
    status: bool,
    /// Is `-m` a condition?
    mark: bool,
    /// Is `--state` a condition?
    state: bool,
}

impl Matching {
    /// The conditions for `-L`, `-D`, `-G` and `-E`.
    pub(crate) fn of(line: Line) -> Self {
        let update = line.command == Some('U');
        let mut matching = Self {
            line,
            filter: Filter::default(),
            status: !update,
            mark: !update,
            state: !update,
        };
        matching.filter = matching.narrow();
        matching
    }

    pub(crate) fn line(&self) -> &Line {
        &self.line
    }

    pub(crate) fn matches(&self, flow: &Flow) -> bool {
        let line = &self.line;
        line.family.is_none_or(|family| flow.family() == family)
            && line.protocol.is_none_or(|it| flow.orig.protocol() == it)
            && ends(&line.orig, Some(&line.mask), &flow.orig)
            && ends(&line.reply, None, &flow.reply)
            && self.echo(&flow.orig)
            && (!self.state || self.info(flow))
            && zone(line, flow.zone)
            && (!self.mark || line.mark.is_none_or(|it| marked(it, flow)))
            && (!self.status
                || line
                    .status
                    .is_none_or(|(bits, mask)| flow.status & mask == bits))
            && self.translated(flow)
            && line.id.is_none_or(|id| flow.id.map(u32::from) == Some(id))
            && (line.labels.is_empty() || {
                let labels = flow.labels.unwrap_or_default();
                labels & line.labels == line.labels
            })
            && line.condition.as_ref().is_none_or(|it| it.matches(flow))
    }

    fn echo(&self, orig: &Tuple) -> bool {
        let Line {
            icmp_type,
            icmp_code,
            icmp_id,
            ..
        } = &self.line;
        let echo = orig.icmp_echo();
        icmp_type.is_none_or(|it| echo.is_some_and(|echo| echo.kind() == it))
            && icmp_code.is_none_or(|it| echo.is_some_and(|echo| echo.code() == it))
            && icmp_id.is_none_or(|it| echo.is_some_and(|echo| echo.id() == it))
    }

    fn info(&self, flow: &Flow) -> bool {
        let number = match &flow.protoinfo {
            Some(ProtoInfo::Tcp(info)) => Some(info.state.number()),
            Some(ProtoInfo::Sctp(info)) => Some(info.state.number()),
            Some(ProtoInfo::Dccp(info)) => Some(info.state.number()),
            _ => None,
        };
        self.line.state.is_none_or(|state| number == Some(state))
    }

    fn translated(&self, flow: &Flow) -> bool {
        let Line {
            source_nat,
            destination_nat,
            any_nat,
            ..
        } = &self.line;
        let source = |target: &Target| source(target, flow);
        let destination = |target: &Target| destination(target, flow);
        (source_nat.is_none() || source(source_nat))
            && (destination_nat.is_none() || destination(destination_nat))
            && (any_nat.is_none() || source(any_nat) || destination(any_nat))
    }

    /// A filter with as many of the conditions as possible. It matches every flow that the line
    /// matches.
    fn narrow(&self) -> Filter {
        let line = &self.line;
        let mut builder = match &line.condition {
            Some(filter) => filter.to_builder(),
            None => Filter::builder(),
        };
        if let Some(family) = line.family {
            builder = builder.family(family);
        }
        if let Some(protocol) = line.protocol {
            builder = builder.protocol(protocol);
        }
        if let Some(net) = network(line.orig.src, line.mask.src) {
            builder = builder.orig_src(net);
        }
        if let Some(net) = network(line.orig.dst, line.mask.dst) {
            builder = builder.orig_dst(net);
        }
        if let Some(net) = network(line.reply.src, None) {
            builder = builder.reply_src(net);
        }
        if let Some(net) = network(line.reply.dst, None) {
            builder = builder.reply_dst(net);
        }
        if let Some(port) = line.orig.src_port {
            builder = builder.orig_src_port(port);
        }
        if let Some(port) = line.orig.dst_port {
            builder = builder.orig_dst_port(port);
        }
        if let Some(port) = line.reply.src_port {
            builder = builder.reply_src_port(port);
        }
        if let Some(port) = line.reply.dst_port {
            builder = builder.reply_dst_port(port);
        }
        if let Some((value, mask)) = line.mark.filter(|_| self.mark) {
            builder = builder.mark(Masked::new(value, mask));
        }
        if let Some((bits, mask)) = line.status.filter(|_| self.status) {
            builder = builder.status(Masked::new(bits, mask));
        }
        if !line.labels.is_empty() {
            builder = builder.has_labels(line.labels);
        }
        // A filter cannot express contradictions, so they are compared only here.
        builder.build().unwrap_or_default()
    }

    pub(crate) fn family(&self) -> Option<Family> {
        self.line.family
    }
}

fn network(address: Option<IpAddr>, mask: Option<IpAddr>) -> Option<IpNet> {
    let address = address?;
    match mask {
        Some(mask) => Some(IpNet::with_netmask(address, mask).ok()?.trunc()),
        None => Some(IpNet::from(address)),
    }
}

fn ends(wanted: &Ends, mask: Option<&Ends>, tuple: &Tuple) -> bool {
    let mask = mask.copied().unwrap_or_default();
    wanted.src.is_none_or(|it| same(it, tuple.src(), mask.src))
        && wanted.dst.is_none_or(|it| same(it, tuple.dst(), mask.dst))
        && wanted
            .src_port
            .is_none_or(|it| tuple.src_port() == Some(it))
        && wanted
            .dst_port
            .is_none_or(|it| tuple.dst_port() == Some(it))
}

/// Are they equal, in the bits of the mask?
fn same(one: IpAddr, other: IpAddr, mask: Option<IpAddr>) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    };
    let mask = mask.map_or(u128::MAX, bits);
    one.is_ipv4() == other.is_ipv4() && (bits(one) ^ bits(other)) & mask == 0
}

fn zone(line: &Line, zone: Zone) -> bool {
    let id = |direction| match zone.direction() == direction {
        true => zone.id(),
        false => 0,
    };
    line.zone.is_none_or(|it| it == id(ZoneDirection::Both))
        && line
            .zone_orig
            .is_none_or(|it| it == id(ZoneDirection::Orig))
        && line
            .zone_reply
            .is_none_or(|it| it == id(ZoneDirection::Reply))
}

/// A missing mark, as in the event of the end of a flow, matches nothing, not even 0.
fn marked((value, mask): (u32, u32), flow: &Flow) -> bool {
    flow.mark.is_some_and(|has| has & mask == value)
}

fn source(target: &Target, flow: &Flow) -> bool {
    let (before, after) = (flow.orig, flow.reply.inverse());
    let address = (before.src(), after.src());
    let port = (before.src_port(), after.src_port());
    flow.status.contains(Status::SRC_NAT) && hit(target, address, port)
}

fn destination(target: &Target, flow: &Flow) -> bool {
    let (before, after) = (flow.orig, flow.reply.inverse());
    let address = (before.dst(), after.dst());
    let port = (before.dst_port(), after.dst_port());
    flow.status.contains(Status::DST_NAT) && hit(target, address, port)
}

/// The conditions must match the flow before and after the change.
fn hit(target: &Target, address: (IpAddr, IpAddr), port: (Option<u16>, Option<u16>)) -> bool {
    let (new_address, new_port) = (address.0 != address.1, port.0 != port.1);
    let Some(Some((wanted, wanted_port))) = target else {
        return new_address || new_port;
    };
    let port = wanted_port.is_none_or(|wanted| new_port && port.1 == Some(wanted));
    new_address && *wanted == address.1 && port
}
