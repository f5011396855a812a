//! `--where`: the crate's whole filter, in the words of its `Display`.
//!
//! Conditions are separated by spaces, and all must be met: `family=ipv6`, `protocol=tcp`,
//! `orig_src=10.0.0.0/8,192.0.2.1` (and `orig_dst`, `reply_src`, `reply_dst`),
//! `orig_dst_port=8000-8999` (and `orig_src_port`, `reply_src_port`, `reply_dst_port`),
//! `icmp_type=8`, `icmp_code=0`, `icmp_id=7`, `zone=5` (`orig_zone`, `reply_zone`),
//! `mark=0x10/0xf0`, `labels=3,127`, `status=ASSURED`, `nat=source` (`destination`, `any`, `none`),
//! `tcp_state=ESTABLISHED` (`sctp_state`, `dccp_state`), `has_helper`, `helper=ftp`, `has_master`,
//! and of such conditions `any_of(… | …)` and `not(…)`.

use std::fmt::Display;
use std::str::FromStr;

use ctnetlink::{
    Family, Filter, FilterBuilder, IpNet, Labels, Masked, NatKind, Ports, PrefixSet, Status,
};

use super::failure::{Failure, Result};
use super::{protocol, values};

pub(crate) fn read(text: &str) -> Result<Filter> {
    let mut reader = Reader(text);
    let filter = reader.conditions()?;
    match reader.0.trim() {
        "" => Ok(filter),
        rest => Err(wrong(rest)),
    }
}

fn wrong(what: impl Display) -> Failure {
    Failure::usage(format!("Bad condition `{what}'"))
}

/// The rest of the text.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn conditions(&mut self) -> Result<Filter> {
        let mut builder = Filter::builder();
        loop {
            self.0 = self.0.trim_start();
            if self.0.is_empty() || self.0.starts_with([')', '|']) {
                return builder.build().map_err(wrong);
            }
            builder = self.condition(builder)?;
        }
    }

    fn condition(&mut self, builder: FilterBuilder) -> Result<FilterBuilder> {
        let end = self
            .0
            .find([' ', '=', '(', ')', '|'])
            .unwrap_or(self.0.len());
        let (name, rest) = self.0.split_at(end);
        if let Some(inner) = rest.strip_prefix('(') {
            self.0 = inner;
            return self.group(name, builder);
        }
        let (value, rest) = match rest.strip_prefix('=') {
            Some(rest) => rest.split_at(rest.find([' ', ')', '|']).unwrap_or(rest.len())),
            None => ("", rest),
        };
        self.0 = rest;
        simple(builder, name, value)
    }

    /// Parses `any_of(… | …)` or `not(…)`, after the opening parenthesis.
    fn group(&mut self, name: &str, builder: FilterBuilder) -> Result<FilterBuilder> {
        let mut filters = vec![self.conditions()?];
        while let Some(rest) = self.0.strip_prefix('|') {
            self.0 = rest;
            filters.push(self.conditions()?);
        }
        self.0 = self.0.strip_prefix(')').ok_or_else(|| wrong(name))?;
        match (name, &filters[..]) {
            ("any_of", _) => Ok(builder.any_of(filters)),
            ("not", [filter]) => Ok(builder.not(filter.clone())),
            _ => Err(wrong(name)),
        }
    }
}

fn simple(all: FilterBuilder, name: &str, value: &str) -> Result<FilterBuilder> {
    if value.is_empty() != matches!(name, "has_helper" | "has_master") {
        return Err(wrong(name));
    }
    Ok(match name {
        "family" => all.family(match value {
            "ipv4" => Family::Ipv4,
            "ipv6" => Family::Ipv6,
            _ => return Err(wrong(value)),
        }),
        "protocol" => all.protocol(protocol::number(value)?),
        "orig_src" => all.orig_src(prefixes(value)?),
        "orig_dst" => all.orig_dst(prefixes(value)?),
        "reply_src" => all.reply_src(prefixes(value)?),
        "reply_dst" => all.reply_dst(prefixes(value)?),
        "orig_src_port" => all.orig_src_port(parsed::<Ports>(value)?),
        "orig_dst_port" => all.orig_dst_port(parsed::<Ports>(value)?),
        "reply_src_port" => all.reply_src_port(parsed::<Ports>(value)?),
        "reply_dst_port" => all.reply_dst_port(parsed::<Ports>(value)?),
        "icmp_type" => all.icmp_type(parsed(value)?),
        "icmp_code" => all.icmp_code(parsed(value)?),
        "icmp_id" => all.icmp_id(parsed(value)?),
        "zone" => all.zone(parsed(value)?),
        "orig_zone" => all.orig_zone(parsed(value)?),
        "reply_zone" => all.reply_zone(parsed(value)?),
        "mark" => {
            let (value, mask) = values::mark(value);
            all.mark(Masked::new(value, mask))
        }
        "labels" => all.has_labels(labels(value)?),
        "status" => {
            let (bits, mask) = values::status(value)?;
            all.status(Masked::<Status>::new(bits, mask))
        }
        "nat" => all.nat(match value {
            "source" => NatKind::Source,
            "destination" => NatKind::Destination,
            "any" => NatKind::Any,
            "none" => NatKind::None,
            _ => return Err(wrong(value)),
        }),
        "tcp_state" => all.tcp_state(parsed(value)?),
        "sctp_state" => all.sctp_state(parsed(value)?),
        "dccp_state" => all.dccp_state(parsed(value)?),
        "has_helper" => all.has_helper(),
        "helper" => all.helper(value),
        "has_master" => all.has_master(),
        _ => return Err(wrong(name)),
    })
}

fn parsed<T: FromStr>(value: &str) -> Result<T> {
    value.parse().map_err(|_| wrong(value))
}

fn prefixes(value: &str) -> Result<PrefixSet> {
    let nets = value.split(',').map(|text| {
        let net = text.parse::<IpNet>();
        net.or_else(|_| text.parse().map(|address: std::net::IpAddr| address.into()))
            .map_err(|_| wrong(text))
    });
    Ok(nets.collect::<Result<Vec<_>>>()?.into_iter().collect())
}

fn labels(value: &str) -> Result<Labels> {
    value
        .split(',')
        .map(|bit| Labels::bit(parsed(bit)?).map_err(wrong))
        .collect()
}
