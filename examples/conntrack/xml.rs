//! `-o xml`, as conntrack(8) 1.4.7 writes it: with TCP's names for all states, and without the
//! fields of ICMP.

use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use ctnetlink::{
    Counters, Expectation, Flow, LabelMap, ProtoInfo, Status, TcpState, Tuple, ZoneDirection,
};

use super::date::Date;
use super::output::Output;

/// The format of the document.
#[derive(Clone, Copy)]
pub(crate) struct Text<'a> {
    output: Output,
    labels: Option<&'a LabelMap>,
}

/// The kind of an event, and its time.
type Happened = (&'static str, Option<SystemTime>);

impl<'a> Text<'a> {
    pub(crate) fn new(output: Output, labels: Option<&'a LabelMap>) -> Self {
        Self { output, labels }
    }

    pub(crate) fn flow(self, flow: &'a Flow, happened: Option<Happened>) -> impl Display + 'a {
        Shown(move |f: &mut Formatter<'_>| self.write_flow(f, flow, happened))
    }

    pub(crate) fn expectation(
        self,
        expectation: &'a Expectation,
        happened: Option<&'static str>,
        when: Option<SystemTime>,
    ) -> impl Display + 'a {
        Shown(move |f: &mut Formatter<'_>| write_expectation(f, expectation, happened, when))
    }

    fn write_flow(
        self,
        f: &mut Formatter<'_>,
        flow: &Flow,
        happened: Option<Happened>,
    ) -> fmt::Result {
        opening(f, happened.map(|(kind, _)| kind))?;
        let zone = |direction| {
            let there = flow.zone.id() != 0 && flow.zone.direction() == direction;
            there.then(|| flow.zone.id())
        };
        for (direction, tuple, counters, zone) in [
            (
                "original",
                &flow.orig,
                flow.counters_orig,
                zone(ZoneDirection::Orig),
            ),
            (
                "reply",
                &flow.reply,
                flow.counters_reply,
                zone(ZoneDirection::Reply),
            ),
        ] {
            write!(f, "<meta direction=\"{direction}\">")?;
            write_tuple(f, tuple)?;
            some(f, "zone", zone)?;
            if let Some(Counters { packets, bytes, .. }) = counters {
                write!(
                    f,
                    "<counters><packets>{packets}</packets><bytes>{bytes}</bytes></counters>"
                )?;
            }
            f.write_str("</meta>")?;
        }
        f.write_str("<meta direction=\"independent\">")?;
        some(f, "state", flow.protoinfo.as_ref().and_then(state))?;
        some(f, "timeout", flow.timeout.map(|timeout| timeout.as_secs()))?;
        some(f, "mark", flow.mark)?;
        if let (Some(labels), Some(map)) = (flow.labels, self.labels) {
            f.write_str("<labels>")?;
            for name in map.names(labels) {
                write!(f, "<label>{name}</label>")?;
            }
            f.write_str("</labels>")?;
        }
        some(f, "secctx", flow.secctx().map(|secctx| &secctx.name))?;
        some(f, "zone", zone(ZoneDirection::Both))?;
        some(f, "use", flow.use_count)?;
        some(f, "id", flow.id)?;
        if flow.status.contains(Status::ASSURED) {
            f.write_str("<assured/>")?;
        }
        if !flow.status.contains(Status::SEEN_REPLY) {
            f.write_str("<unreplied/>")?;
        }
        self.times(f, flow)?;
        some(f, "helper", flow.helper().map(|helper| &helper.name))?;
        f.write_str("</meta>")?;
        if let Some((_, Some(now))) = happened {
            write_when(f, &Date::of(now))?;
        }
        f.write_str("</flow>")
    }

    fn times(self, f: &mut Formatter<'_>, flow: &Flow) -> fmt::Result {
        let Some(times) = flow.timestamp() else {
            return Ok(());
        };
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
        if self.output.ktimestamp {
            f.write_str("<timestamp>")?;
            some(f, "start", Some(since(times.start).as_nanos()))?;
            some(f, "stop", times.stop.map(|stop| since(stop).as_nanos()))?;
            f.write_str("</timestamp>")?;
        }
        let end = since(times.stop.unwrap_or_else(SystemTime::now)).as_secs();
        some(
            f,
            "deltatime",
            Some(end.wrapping_sub(since(times.start).as_secs())),
        )
    }
}

struct Shown<F>(F);

impl<F: Fn(&mut Formatter<'_>) -> fmt::Result> Display for Shown<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        (self.0)(f)
    }
}

fn opening(f: &mut Formatter<'_>, kind: Option<&str>) -> fmt::Result {
    match kind {
        Some(kind) => write!(f, "<flow type=\"{kind}\">"),
        None => f.write_str("<flow>"),
    }
}

fn some(f: &mut Formatter<'_>, name: &str, value: Option<impl Display>) -> fmt::Result {
    match value {
        Some(value) => write!(f, "<{name}>{value}</{name}>"),
        None => Ok(()),
    }
}

/// conntrack(8) prints every state as a TCP state.
fn state(info: &ProtoInfo) -> Option<&'static str> {
    let number = match info {
        ProtoInfo::Tcp(info) => info.state.number(),
        ProtoInfo::Sctp(info) => info.state.number(),
        ProtoInfo::Dccp(info) => info.state.number(),
        _ => return None,
    };
    Some(TcpState::new(number).as_str().unwrap_or("NONE"))
}

fn write_tuple(f: &mut Formatter<'_>, tuple: &Tuple) -> fmt::Result {
    let family = tuple.family();
    let number = tuple.protocol().number();
    let protocol = super::protocol::built_in(number).unwrap_or("unknown");
    write!(
        f,
        "<layer3 protonum=\"{}\" protoname=\"{family}\"><src>{}</src><dst>{}</dst></layer3>\
         <layer4 protonum=\"{number}\" protoname=\"{protocol}\">",
        family.number(),
        tuple.src(),
        tuple.dst()
    )?;
    write_ports(f, number, tuple.src_port(), tuple.dst_port())?;
    f.write_str("</layer4>")
}

fn write_ports(
    f: &mut Formatter<'_>,
    protocol: u8,
    src: Option<u16>,
    dst: Option<u16>,
) -> fmt::Result {
    let (src, dst) = (src.unwrap_or_default(), dst.unwrap_or_default());
    match protocol {
        6 | 17 | 33 | 132 | 136 => write!(f, "<sport>{src}</sport><dport>{dst}</dport>"),
        47 => write!(f, "<srckey>{src:#x}</srckey><dstkey>{dst:#x}</dstkey>"),
        _ => Ok(()),
    }
}

fn write_when(f: &mut Formatter<'_>, date: &Date) -> fmt::Result {
    f.write_str("<when>")?;
    some(f, "hour", Some(date.hour))?;
    some(f, "min", Some(date.minute))?;
    some(f, "sec", Some(date.second))?;
    some(f, "wday", Some(date.weekday + 1))?;
    some(f, "day", Some(date.day))?;
    some(f, "month", Some(date.month))?;
    some(f, "year", Some(date.year))?;
    f.write_str("</when>")
}

/// Writes the addresses and ports of a tuple or a mask.
type Ends = (IpAddr, IpAddr, Option<u16>, Option<u16>);

fn write_expectation(
    f: &mut Formatter<'_>,
    expectation: &Expectation,
    happened: Option<&str>,
    when: Option<SystemTime>,
) -> fmt::Result {
    opening(f, happened)?;
    let of = |it: &Tuple| (it.src(), it.dst(), it.src_port(), it.dst_port());
    let mask = &expectation.mask;
    let parts: [(&str, Ends); 3] = [
        ("expected", of(&expectation.tuple)),
        (
            "mask",
            (mask.src(), mask.dst(), mask.src_port(), mask.dst_port()),
        ),
        ("master", of(&expectation.master)),
    ];
    let family = expectation.family();
    let number = expectation.tuple.protocol().number();
    let protocol = super::protocol::built_in(number).unwrap_or("unknown");
    write!(
        f,
        "<layer3 protonum=\"{}\" protoname=\"{family}\">",
        family.number()
    )?;
    for (name, (src, dst, ..)) in parts {
        write!(f, "<{name}><src>{src}</src><dst>{dst}</dst></{name}>")?;
    }
    write!(
        f,
        "</layer3><layer4 protonum=\"{number}\" protoname=\"{protocol}\">"
    )?;
    for (name, (.., src, dst)) in parts {
        write!(f, "<{name}>")?;
        write_ports(f, number, src, dst)?;
        write!(f, "</{name}>")?;
    }
    f.write_str("</layer4><meta>")?;
    some(f, "helper-name", expectation.helper.as_ref())?;
    some(f, "timeout", expectation.timeout.map(|left| left.as_secs()))?;
    some(f, "class", Some(expectation.class))?;
    some(f, "zone", expectation.zone.filter(|zone| *zone != 0))?;
    if let Some(now) = when {
        write_when(f, &Date::of(now))?;
    }
    f.write_str("</meta></flow>")
}
