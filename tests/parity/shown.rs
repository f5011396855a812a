//! A flow with the fields of conntrack(8)'s XML, read from the XML or from a noun.

use std::net::IpAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use ctnetlink::{Counters, Flow, ProtoInfo, Status, TcpState, Tuple, ZoneDirection};

use crate::xml::Element;

/// Everything in the XML about a flow.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Shown {
    pub orig: Option<End>,
    pub reply: Option<End>,
    pub state: Option<String>,
    pub timeout: Option<u64>,
    pub mark: Option<u32>,
    pub zone: Option<u16>,
    pub helper: Option<String>,
    pub labels: Vec<String>,
    pub use_count: Option<u32>,
    pub id: Option<u32>,
    pub unreplied: bool,
    pub assured: bool,
    /// Nanoseconds since 1970.
    pub start: Option<u64>,
    pub stop: Option<u64>,
    /// The age in seconds.
    pub age: Option<u64>,
}

/// One direction.
#[derive(Debug, PartialEq, Eq)]
pub struct End {
    pub layer3: (u8, String),
    pub src: IpAddr,
    pub dst: IpAddr,
    pub layer4: (u8, String),
    /// Ports or GRE keys.
    pub ports: Option<(u16, u16)>,
    pub zone: Option<u16>,
    /// Packets and bytes.
    pub counters: Option<(u64, u64)>,
}

impl Shown {
    /// The flows of a document. Without flows, the tool prints no document.
    pub fn read(document: &str) -> Vec<Self> {
        if document.trim().is_empty() {
            return Vec::new();
        }
        let root = Element::read(document);
        assert_eq!(root.name, "conntrack");
        root.children.iter().map(Self::flow).collect()
    }

    pub fn flow(element: &Element) -> Self {
        assert_eq!(element.name, "flow");
        let mut flow = Self::default();
        for meta in &element.children {
            if meta.name != "meta" {
                flow.take(meta);
                continue;
            }
            match meta.attribute("direction") {
                "original" => flow.orig = Some(End::read(meta)),
                "reply" => flow.reply = Some(End::read(meta)),
                "independent" => meta.children.iter().for_each(|child| flow.take(child)),
                other => panic!("direction {other}"),
            }
        }
        flow
    }

    /// Reads an element without a direction. An unknown element is a failure, because it would not
    /// be compared.
    fn take(&mut self, element: &Element) {
        match element.name.as_str() {
            "state" => self.state = Some(element.value()),
            "timeout" => self.timeout = Some(element.value()),
            "mark" => self.mark = Some(element.value()),
            "zone" => self.zone = Some(element.value()),
            "helper" => self.helper = Some(element.value()),
            "labels" => self.labels = element.children.iter().map(Element::value).collect(),
            "use" => self.use_count = Some(element.value()),
            "id" => self.id = Some(element.value()),
            "unreplied" => self.unreplied = true,
            "assured" => self.assured = true,
            "timestamp" => element.children.iter().for_each(|child| self.take(child)),
            "start" => self.start = Some(element.value()),
            "stop" => self.stop = Some(element.value()),
            "deltatime" => self.age = Some(element.value()),
            other => panic!("<{other}> is new to this test: {element:?}"),
        }
    }
}

impl End {
    fn read(meta: &Element) -> Self {
        let mut end = Self {
            layer3: Default::default(),
            src: IpAddr::from([0; 4]),
            dst: IpAddr::from([0; 4]),
            layer4: Default::default(),
            ports: None,
            zone: None,
            counters: None,
        };
        for element in &meta.children {
            let named = || {
                let number = element.attribute("protonum").parse();
                (
                    number.expect("a number"),
                    element.attribute("protoname").to_owned(),
                )
            };
            let names: Vec<_> = element.children.iter().map(|c| c.name.as_str()).collect();
            match (element.name.as_str(), names.as_slice(), &*element.children) {
                ("layer3", ["src", "dst"], [src, dst]) => {
                    (end.layer3, end.src, end.dst) = (named(), src.value(), dst.value());
                }
                ("layer4", [], []) => end.layer4 = named(),
                ("layer4", ["sport", "dport"] | ["srckey", "dstkey"], [src, dst]) => {
                    (end.layer4, end.ports) = (named(), Some((number(src), number(dst))));
                }
                ("zone", [], []) => end.zone = Some(element.value()),
                ("counters", ["packets", "bytes"], [packets, bytes]) => {
                    end.counters = Some((packets.value(), bytes.value()));
                }
                _ => panic!("{element:?} is new to this test"),
            }
        }
        end
    }

    fn of(tuple: &Tuple, zone: Option<u16>, counters: Option<Counters>) -> Self {
        let (layer3, layer4) = (layer3(tuple.src()), tuple.protocol().number());
        // The tool prints 0 if the kernel sent no port.
        let ports = tuple.src_port().zip(tuple.dst_port());
        let ports = ports.or((layer4 == DCCP).then_some((0, 0)));
        Self {
            layer3: (layer3.0, layer3.1.to_owned()),
            src: tuple.src(),
            dst: tuple.dst(),
            layer4: (layer4, layer4_name(layer4).to_owned()),
            ports,
            zone,
            counters: counters.map(|counters| (counters.packets, counters.bytes)),
        }
    }
}

const DCCP: u8 = 33;

/// The XML names the state of every protocol as the TCP state with that number. A CLOSED SCTP flow
/// is SYN_SENT there (libnetfilter_conntrack 1.0.9). The text has the right name.
fn state(info: &ProtoInfo) -> String {
    let number = match info {
        ProtoInfo::Tcp(info) => info.state.number(),
        ProtoInfo::Sctp(info) => info.state.number(),
        ProtoInfo::Dccp(info) => info.state.number(),
        other => panic!("{other:?}"),
    };
    TcpState::from(number).to_string()
}

/// The keys of GRE are hexadecimal.
fn number(element: &Element) -> u16 {
    match element.text.strip_prefix("0x") {
        Some(digits) => u16::from_str_radix(digits, 16).expect("a hexadecimal number"),
        None => element.value(),
    }
}

fn layer3(address: IpAddr) -> (u8, &'static str) {
    match address {
        IpAddr::V4(_) => (2, "ipv4"),
        IpAddr::V6(_) => (10, "ipv6"),
    }
}

fn layer4_name(protocol: u8) -> &'static str {
    match protocol {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        DCCP => "dccp",
        47 => "gre",
        58 => "icmpv6",
        132 => "sctp",
        136 => "udplite",
        _ => "unknown",
    }
}

/// The flow as the XML shows it. The labels have the names that [`crate::table`] gives them.
impl From<&Flow> for Shown {
    fn from(flow: &Flow) -> Self {
        let zone = |direction| {
            let here = flow.zone.id() != 0 && flow.zone.direction() == direction;
            here.then(|| flow.zone.id())
        };
        let end = |tuple, direction, counters| Some(End::of(tuple, zone(direction), counters));
        let labels = flow.labels.unwrap_or_default();
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).expect("a time after 1970");
        let start = flow.timestamp().map(|timestamp| since(timestamp.start));
        let stop = flow
            .timestamp()
            .and_then(|timestamp| timestamp.stop)
            .map(since);
        let now = since(SystemTime::now()).as_secs();
        Self {
            orig: end(&flow.orig, ZoneDirection::Orig, flow.counters_orig),
            reply: end(&flow.reply, ZoneDirection::Reply, flow.counters_reply),
            state: flow.protoinfo.as_ref().map(state),
            timeout: flow.timeout.map(|timeout| timeout.as_secs()),
            mark: flow.mark,
            zone: zone(ZoneDirection::Both),
            helper: flow.helper().map(|helper| helper.name.to_string()),
            labels: labels.iter().map(|bit| format!("label{bit}")).collect(),
            use_count: flow.use_count,
            id: flow.id.map(u32::from),
            unreplied: !flow.status.contains(Status::SEEN_REPLY),
            assured: flow.status.contains(Status::ASSURED),
            start: start.map(|start| start.as_nanos() as u64),
            stop: stop.map(|stop| stop.as_nanos() as u64),
            // The line rounds the age of an ended flow differently.
            age: start.map(|start| match stop {
                Some(stop) => (stop - start).as_secs(),
                None => now - start.as_secs(),
            }),
        }
    }
}
