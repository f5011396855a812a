//! `-o save`: the options that create the flow again.

use std::io::{self, Write};

use ctnetlink::{Flow, ProtoInfo, Status, Tuple, ZoneDirection};

pub(crate) fn flow(out: &mut impl Write, command: &str, flow: &Flow) -> io::Result<()> {
    write!(out, "{command}")?;
    if let Some(timeout) = flow.timeout {
        write!(out, " -t {}", timeout.as_secs())?;
    }
    let known = [
        (Status::ASSURED, "ASSURED"),
        (Status::SEEN_REPLY, "SEEN_REPLY"),
        (Status::FIXED_TIMEOUT, "FIXED_TIMEOUT"),
        (Status::EXPECTED, "EXPECTED"),
        (Status::OFFLOAD, "OFFLOAD"),
        (Status::HW_OFFLOAD, "HW_OFFLOAD"),
    ];
    let mut names: Vec<_> = known
        .iter()
        .filter(|(bit, _)| flow.status.contains(*bit))
        .collect();
    names.sort_by_key(|(bit, _)| bit.bits());
    let names: Vec<_> = names.into_iter().map(|(_, name)| *name).collect();
    let status = if names.is_empty() {
        "UNSET".to_owned()
    } else {
        names.join(",")
    };
    write!(out, " -u {status}")?;
    if flow.zone.id() != 0 {
        let option = match flow.zone.direction() {
            ZoneDirection::Orig => "--orig-zone",
            ZoneDirection::Reply => "--reply-zone",
            _ => "-w",
        };
        write!(out, " {option} {}", flow.zone.id())?;
    }
    let Flow { orig, reply, .. } = flow;
    let (from, to) = (reply.src(), reply.dst());
    let source = if flow.status.contains(Status::DST_NAT) {
        "-g"
    } else {
        "-r"
    };
    let destination = if flow.status.contains(Status::SRC_NAT) {
        "-n"
    } else {
        "-q"
    };
    write!(
        out,
        " -s {} -d {} {source} {from} {destination} {to}",
        orig.src(),
        orig.dst()
    )?;
    protocol(out, flow)
}

fn protocol(out: &mut impl Write, flow: &Flow) -> io::Result<()> {
    let number = flow.orig.protocol().number();
    let name = super::protocol::built_in(number);
    match name {
        Some(name) => write!(out, " -p {name}")?,
        None => write!(out, " -p {number}")?,
    }
    let ports = |tuple: &Tuple| tuple.src_port().zip(tuple.dst_port());
    if let (Some((sport, dport)), Some((src, dst))) = (ports(&flow.orig), ports(&flow.reply)) {
        let names = match number {
            47 => ["srckey", "dstkey", "reply-key-src", "reply-key-dst"],
            _ => ["sport", "dport", "reply-port-src", "reply-port-dst"],
        };
        for (name, port) in names.into_iter().zip([sport, dport, src, dst]) {
            write!(out, " --{name} {port}")?;
        }
    }
    if let (Some(echo), Some(name)) = (flow.orig.icmp_echo(), name) {
        let (kind, code, id) = (echo.kind(), echo.code(), echo.id());
        write!(
            out,
            " --{name}-type {kind} --{name}-code {code} --{name}-id {id}"
        )?;
    }
    match &flow.protoinfo {
        Some(ProtoInfo::Tcp(info)) => state(out, info.state.as_str()),
        Some(ProtoInfo::Sctp(info)) => {
            state(out, info.state.as_str())?;
            // In the byte order of the machine, like conntrack(8), so that its files can be loaded.
            let tags = [("orig", info.vtag_orig), ("reply", info.vtag_reply)];
            for (name, tag) in tags {
                if let Some(tag) = tag {
                    write!(out, " --{name}-vtag {}", tag.to_be())?;
                }
            }
            Ok(())
        }
        Some(ProtoInfo::Dccp(info)) => state(out, info.state.as_str()),
        _ => Ok(()),
    }
}

fn state(out: &mut impl Write, word: Option<&str>) -> io::Result<()> {
    write!(out, " --state {}", word.unwrap_or("NONE"))
}
