//! Serialized values can be read again, from JSON and from a binary format.

use super::*;
use std::time::Duration;

use ::serde::Serialize;
use ::serde::de::DeserializeOwned;
use ctnetlink::{
    Counters, Direction, ExpectationPolicy, Family, FlowId, IcmpEcho, ProtoInfo, TcpFlags, TcpInfo,
    TcpState, TcpTimeouts, Zone,
};

/// Checks the value in a text format, and in a binary format without keys.
pub(super) fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) {
    let text = serde_json::to_string(&value).unwrap();
    let read: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(read, value, "{text}");
    let bytes = postcard::to_allocvec(&value).unwrap();
    let read: T = postcard::from_bytes(&bytes)
        .unwrap_or_else(|error| panic!("{error}: {bytes:02x?}: {text}"));
    assert_eq!(read, value, "{bytes:02x?}");
}

fn bytes(text: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

#[test]
fn what_the_kernel_sent_survives() {
    let replies = include_str!("../golden/replies.txt");
    let (mut seen, mut expectations) = (0, 0);
    let (mut lines, mut events) = (String::new(), String::new());
    for line in replies.lines().filter(|line| !line.starts_with('#')) {
        let Some((_, text)) = line.split_once(' ') else {
            continue;
        };
        if let Ok(expectation) = Expectation::from_message(&bytes(text)) {
            same(ExpectationKey::from(&expectation));
            same(expectation);
            put(&mut events, &Event::from_message(&bytes(text)).unwrap());
            expectations += 1;
        }
        if let Ok(flow) = Flow::from_message(&bytes(text)) {
            put(&mut events, &Event::from_message(&bytes(text)).unwrap());
            same(FlowKey::from(&flow));
            same(flow.id.unwrap());
            put(&mut lines, &flow);
            seen += 1;
        }
    }
    assert_eq!((seen, expectations), (17, 8));
    let long = lines.lines().filter(|line| line.len() > 450);
    // The line has both sequence adjustments, a helper and the SYN proxy's numbers.
    assert_eq!(
        long.filter(|line| !line.contains("seqadj_reply")).count(),
        0
    );
    put(&mut events, &Event::Overrun { lost: 7 });
    pinned("flows.jsonl", &lines);
    pinned("events.jsonl", &events);
}

/// Adds a line for the value, which must be read back unchanged.
fn put<T: Serialize + DeserializeOwned + PartialEq + Clone + std::fmt::Debug>(
    lines: &mut String,
    value: &T,
) {
    same(value.clone());
    lines.push_str(&serde_json::to_string(value).unwrap());
    lines.push('\n');
}

/// The format is public, because programs read it. `KEEP=1` writes the file again.
fn pinned(name: &str, lines: &str) {
    let kept = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("KEEP").is_some() {
        std::fs::write(&kept, lines).unwrap();
    }
    assert_eq!(lines, std::fs::read_to_string(kept).unwrap());
    assert!(!lines.contains(":null"));
}

#[test]
fn nouns_survive() {
    let tuple = Tuple::tcp("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap()).unwrap();
    same(tuple);
    same(FlowKey::reply(tuple).zone(Zone::orig(7)));
    same(Masked::new(0x12_u32, 0xff));
    same(Masked::new(Labels::bit(3).unwrap(), Labels::ALL));
    same(Status::CONFIRMED | Status::from_bits_retain(0x8000_0000));
    same(TcpFlags::BE_LIBERAL);
    same(ProtoInfo::from(TcpState::from(77)));
    same(Nat::to(std::net::Ipv4Addr::LOCALHOST).ports(1..=9));
    same(IcmpEcho::request(7));
    same((
        Family::Ipv6,
        Direction::Reply,
        Zone::reply(9),
        None::<FlowId>,
    ));
    same(
        Patch::new()
            .mark(Masked::new(1, 3))
            .tcp_state(TcpState::CLOSE),
    );
    same([
        Change::Create(NewFlow::new(tuple, Duration::from_secs(9)).mark(0)),
        Change::Update(tuple.into(), Patch::new().mark(1)),
        Change::Delete(FlowKey::reply(tuple)),
    ]);
    let filter = Filter::builder().protocol(6).orig_dst_port(1..=9).mark(7);
    same(
        filter
            .not(Filter::builder().zone(5).build().unwrap())
            .build()
            .unwrap(),
    );
    same(KernelFilter::MARK | KernelFilter::ZONE);
    same(NewExpectation::new(tuple, tuple.inverse()).timeout(Duration::from_secs(9)));
    same(TupleMask::exact(&tuple));
    let close = TcpTimeouts::new().close(Duration::from_secs(3));
    same(TimeoutPolicy::new("p", Family::Ipv6, close));
    same(Timeouts::unset(200.into()));
    let data = ExpectationPolicy::new("data", 1, Duration::from_secs(3));
    same(UserHelper::new("h", Family::Ipv4, 6, [data]));
    same(CpuStats::new(3, TableCounters::default()));
    same(Preflight::new(ctnetlink::Facts::default()));
    let nat = Nat::to(std::net::Ipv6Addr::LOCALHOST);
    same(NewFlow::new(tuple, Duration::from_millis(1)).source_nat(nat));
    let mut flow = Flow::new(tuple, tuple.inverse());
    flow.timeout = Some(Duration::from_secs(7));
    same(flow);
}

/// Kernels keep no ports of protocols that they do not know. Old kernels keep no fields of ICMP
/// over the other family.
#[test]
fn tuples_without_their_ports_survive() {
    let (src, dst) = ("10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap());
    for protocol in [33, 47, 132, 136] {
        let tuple = Tuple::generic(src, dst, protocol).unwrap();
        assert_eq!(tuple.src_port(), None);
        same(tuple);
        same(Flow::new(tuple, tuple.inverse()));
    }
    for text in [
        r#"{"protocol":"icmp","src":"::1","dst":"::2"}"#,
        r#"{"protocol":"icmpv6","src":"10.0.0.1","dst":"10.0.0.2"}"#,
        r#"{"protocol":"icmp","src":"::1","dst":"::2","icmp":{"type":8,"code":0,"id":7}}"#,
        r#"{"protocol":"icmpv6","src":"10.0.0.1","dst":"10.0.0.2","icmp":{"type":129,"code":0,"id":7}}"#,
    ] {
        let tuple: Tuple = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&tuple).unwrap(), text);
        let shown = format!("{} {tuple}", tuple.protocol());
        let read: Tuple = shown.parse().unwrap();
        assert_eq!(read.to_string(), tuple.to_string());
        assert!(tuple.icmp_echo().is_none() || read == tuple, "{shown}");
        same(Flow::new(tuple, tuple.inverse()));
    }
}

/// The examples of the guide's page on JSON.
fn documented(which: usize) -> String {
    let page = include_str!("../../src/guide/json.md");
    let example = page.split("```json\n").nth(which).unwrap();
    example.split("```").next().unwrap().replace('\n', "")
}

fn as_written<T: Serialize + DeserializeOwned>(text: &str) -> T {
    let value: T = serde_json::from_str(text).unwrap();
    let shown: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(serde_json::to_value(&value).unwrap(), shown);
    value
}

#[test]
fn what_is_documented_is_read_and_written() {
    let flow: Flow = as_written(&documented(1));
    assert_eq!(flow.reply, flow.orig.inverse());
    assert_eq!(flow.counters_reply, Some(Counters::new(3, 165)));
    let event: Event = as_written(&documented(2));
    assert_eq!((event.port_id(), event.nsid()), (Some(31151), None));
    as_written::<Filter>(&documented(3));
    // Absent, and no bit.
    let bare = Flow::new(flow.orig, flow.reply);
    let text = serde_json::to_string(&bare).unwrap();
    assert_eq!(
        text,
        format!(
            r#"{{"orig":{}}}"#,
            serde_json::to_string(&flow.orig).unwrap()
        )
    );
    as_written::<Flow>(&text);
}

/// The longest flow in JSON is as documented.
#[test]
fn a_flow_is_small_in_json() {
    let end = |last, port| ([192, 168, 255, last], port).into();
    let tuple = Tuple::tcp(end(255, 65535), end(254, 65535)).unwrap();
    let mut flow = Flow::new(tuple, tuple.inverse());
    flow.status = Status::SEEN_REPLY | Status::ASSURED | Status::CONFIRMED;
    flow.timeout = Some(Duration::from_secs(431_999));
    flow.mark = Some(999_999);
    let flags = TcpFlags::from_bits_retain(35);
    let info = TcpInfo::new(TcpState::ESTABLISHED).wscale(14, 14);
    flow.protoinfo = Some(info.flags(flags, flags).into());
    flow.counters_orig = Some(Counters::new(999_999, 999_999_999));
    flow.counters_reply = flow.counters_orig;
    flow.labels = Some(Labels::bit(127).unwrap());
    flow.id = Some(u32::MAX.into());
    flow.use_count = Some(1);
    let start = std::time::UNIX_EPOCH + Duration::from_nanos(1_795_000_000_123_456_789);
    flow.set_timestamp(Some(ctnetlink::Timestamp::new(start)));
    let length = |flow: &Flow| serde_json::to_string(flow).unwrap().len();
    let whole = length(&flow);
    assert!(
        whole <= 450,
        "{whole}: {}",
        serde_json::to_string(&flow).unwrap()
    );
    flow.status |= Status::SRC_NAT_DONE | Status::DST_NAT_DONE;
    assert_eq!(length(&flow), whole + 30);
    let translated = Tuple::tcp(end(254, 65535), end(253, 65535)).unwrap();
    flow.reply = translated;
    assert_eq!(length(&flow), whole + 30 + 109);
    same(flow);
}

/// Names that have no room in the attribute.
#[test]
fn names_have_a_bound() {
    let tuple = r#"{"protocol":"udp","src":"::1","dst":"::2","src_port":1,"dst_port":2}"#;
    let read = |name: &str, info: &[u8]| {
        let helper = format!(r#"{{"name":"{name}","info":{info:?}}}"#);
        serde_json::from_str::<Flow>(&format!(
            r#"{{"orig":{tuple},"reply":{tuple},"status":[],"helper":{helper}}}"#
        ))
    };
    read(&"x".repeat(15), &[7; 32]).unwrap();
    for (length, info) in [(16, 0), (30_000, 0), (3, 33), (3, 70_000)] {
        let error = read(&"x".repeat(length), &vec![7; info]).unwrap_err();
        assert!(error.to_string().contains("longer than"), "{error}");
    }
}

/// A value that cannot be built cannot be read, and no part of a request is ignored.
#[test]
fn what_makes_no_sense_is_refused() {
    fn refused<T: DeserializeOwned + std::fmt::Debug>(text: &str) {
        let read = serde_json::from_str::<T>(text);
        assert!(read.is_err(), "{text}: {read:?}");
    }
    refused::<Patch>(r#"{"tiemout":5}"#);
    refused::<NewFlow>(
        r#"{"orig":{"protocol":"udp","src":"::1","dst":"::2","src_port":1,"dst_port":2},"makr":1}"#,
    );
    refused::<FlowKey>(
        r#"{"tuple":{"protocol":"udp","src":"::1","dst":"::2","src_port":1,"dst_port":2},"zoen":1}"#,
    );
    refused::<Tuple>(r#"{"protocol":"udp","src":"::1","dst":"::2","sport":1,"dport":2}"#);
    refused::<Tuple>(r#"{"protocol":"udp","src":"::1","dst":"::2","src_port":1}"#);
    refused::<Tuple>(r#"{"protocol":"udp","src":"::1","dst":"10.0.0.1"}"#);
    refused::<Tuple>(r#"{"protocol":"udp","src":"::1","dst":"::2","family":"ipv4"}"#);
    refused::<Masked<u32>>(r#"{"value":1,"maks":1}"#);
    refused::<Nat>(r#"{"min":"10.0.0.2","max":"10.0.0.1"}"#);
    refused::<Nat>(r#"{"min":"10.0.0.2","max":"::1"}"#);
    refused::<Nat>(r#"{"min":"10.0.0.2","family":"ipv6"}"#);
    refused::<Nat>(r#"{"min":"::1","family":"ipv4"}"#);
    refused::<Nat>(r#"{"min":"10.0.0.2","ports":[9,1]}"#);
    refused::<Nat>(r#"{"min":"10.0.0.2","port":9}"#);
    refused::<Labels>("[128]");
    refused::<Status>(r#"["ASURED"]"#);
    refused::<TcpState>("256");
    let zero: Zone = serde_json::from_str(r#"{"id":0,"direction":"orig"}"#).unwrap();
    assert_eq!(zero, Zone::default());
}

/// Written as people write it.
/// The kernel translates flows of IPv6 to such addresses too, where a rule says so.
#[test]
fn a_translation_to_a_mapped_address_stays_of_ipv6() {
    let tuple = Tuple::udp("[::1]:1".parse().unwrap(), "[::2]:2".parse().unwrap()).unwrap();
    let text = r#"{"protocol":17,"src":"::2","dst":"::ffff:10.0.0.1","src_port":2,"dst_port":1,"family":"ipv6"}"#;
    let mut flow = Flow::new(tuple, serde_json::from_str(text).unwrap());
    flow.status = Status::SRC_NAT;
    let new = NewFlow::from(&flow);
    let nat = *new.get_source_nat().unwrap();
    let address = nat.get_addresses().start().to_string();
    assert_eq!(address, "::ffff:10.0.0.1");
    let text = serde_json::to_string(&nat).unwrap();
    assert_eq!(
        text,
        r#"{"min":"::ffff:10.0.0.1","ports":[1,1],"family":"ipv6"}"#
    );
    same(nat);
    same(new);
}

#[test]
fn requests_are_pleasant() {
    let text = r#"{"orig":{"protocol":6,"src":"::ffff:10.0.0.1","dst":"10.0.0.2","src_port":1,"dst_port":2},"zone":5,"protoinfo":{"tcp":{"state":"established"}},"timeout":1.5,"mark":7,"labels":{"value":[3],"mask":[3,4]}}"#;
    let tuple = Tuple::tcp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
    let flow = NewFlow::new(tuple.unwrap(), Duration::from_millis(1500))
        .zone(5)
        .protoinfo(TcpState::ESTABLISHED)
        .mark(7)
        .add_labels(Labels::bit(3).unwrap())
        .remove_labels(Labels::bit(4).unwrap());
    assert_eq!(serde_json::from_str::<NewFlow>(text).unwrap(), flow);
    let nat: Nat = serde_json::from_str(r#"{"min":"::ffff:10.0.0.2"}"#).unwrap();
    assert_eq!(nat, Nat::to(std::net::Ipv4Addr::new(10, 0, 0, 2)));
    let filter = |text: &str| serde_json::from_str::<Filter>(text).unwrap();
    assert_eq!(
        filter(r#"{"orig_src":"::ffff:10.0.0.0/104","orig_dst":["::ffff:10.0.0.2"]}"#),
        filter(r#"{"orig_src":"10.0.0.0/8","orig_dst":"10.0.0.2"}"#)
    );
    let patch = Patch::new().mark(1).timeout(Duration::from_secs(9));
    let text = serde_json::to_string(&patch).unwrap();
    assert_eq!(text, r#"{"timeout":9,"mark":1}"#);
}

/// If it is written by hand, a change ignores the bits outside of the mask, and a filter refuses
/// them.
#[test]
fn a_mask_holds_for_what_is_read() {
    let read: Masked<u32> = serde_json::from_str(r#"{"value":255,"mask":15}"#).unwrap();
    assert_eq!((read.value(), read.excess()), (15, 0xf0));
    assert_eq!(read, Masked::new(255, 15));
    let filter = serde_json::from_str::<Filter>(r#"{"mark":{"value":16,"mask":1}}"#);
    assert!(filter.unwrap_err().to_string().contains("mark"));
}

/// A check and its severity have the same words in text and in JSON.
#[test]
fn findings_have_the_words_of_their_text() {
    let all = Preflight::new(ctnetlink::Facts::default());
    assert!(all.findings.len() > 10);
    for finding in all.findings {
        let json = serde_json::to_value(&finding).unwrap();
        assert_eq!(json["check"], finding.check.to_string());
        assert_eq!(json["severity"], finding.severity.to_string());
        assert_eq!(json.get("cure").is_some(), finding.cure.is_some());
    }
}
