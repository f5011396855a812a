//! What programs rely on in the types: where they may go, and how large they are.

use std::future::IntoFuture;
use std::panic::{RefUnwindSafe, UnwindSafe};

use ctnetlink::{
    Backlog, Bulk, Change, Connection, ConntrackHandle, CpuStats, Create, DecodeError, Delete,
    Error, ErrorKind, Event, EventKinds, EventStats, EventStream, Events, Expectation,
    ExpectationCounters, ExpectationFlags, ExpectationKey, ExpectationStream, Expectations, Filter,
    FilterBuilder, Finding, Flow, FlowKey, FlowStream, Flush, FlushExpectations, FoundStream, Get,
    GetMany, KernelFilter, LabelMap, Labels, List, ListExpectations, Masked, Nat, NatKind,
    NewExpectation, NewFlow, Options, Patch, Ports, Preflight, Report, RequestFuture, StatsMeter,
    Status, TableCounters, TableStats, TimeoutPolicies, TimeoutPolicy, Timeouts, Tuple, TupleMask,
    Update, UserHelper, UserHelperKey, UserHelpers,
};
use futures::stream::{FusedStream, Stream};

fn travels<T: Send + Unpin + 'static>() {}
fn shared<T: Clone + Send + Sync + Unpin + 'static>() {}
fn plain<T: Clone + PartialEq + std::fmt::Debug + Send + Sync + Unpin + 'static>() {}
fn future<T: Future<Output = Result<O, Error>>, O>() {}
fn stream<T: Stream<Item = Result<O, Error>> + FusedStream, O>() {}

#[test]
fn futures_and_streams_travel() {
    travels::<Connection>();
    future::<Connection, ()>();
    travels::<RequestFuture<()>>();
    travels::<RequestFuture<Option<Flow>>>();
    travels::<RequestFuture<FlowStream>>();
    travels::<FlowStream>();
    stream::<FlowStream, Flow>();
    travels::<ExpectationStream>();
    stream::<ExpectationStream, Expectation>();
    travels::<RequestFuture<Report>>();
    travels::<RequestFuture<FoundStream>>();
    travels::<FoundStream>();
    stream::<FoundStream, (FlowKey, Option<Flow>)>();
    travels::<RequestFuture<EventStream>>();
    travels::<EventStream>();
    stream::<EventStream, Event>();
    plain::<Event>();
    plain::<EventKinds>();
    plain::<EventStats>();
    plain::<Backlog>();
    travels::<Report>();
    travels::<Options>();
}

#[test]
fn the_handle_is_shared() {
    shared::<ConntrackHandle>();
    shared::<Expectations>();
    shared::<TimeoutPolicies>();
    shared::<UserHelpers>();
    shared::<StatsMeter<TableCounters>>();
    shared::<StatsMeter<ExpectationCounters>>();
}

#[test]
fn builders_become_futures() {
    fn begins<T, O>()
    where
        T: IntoFuture<Output = Result<O, Error>, IntoFuture = RequestFuture<O>>,
        T: std::fmt::Debug + Send + Unpin + 'static,
    {
    }
    fn builder<T, O>()
    where
        T: IntoFuture<Output = Result<O, Error>, IntoFuture = RequestFuture<O>>,
        T: std::fmt::Debug + Clone + Send + Sync + Unpin + 'static,
    {
        begins::<T, O>();
    }
    builder::<List, FlowStream>();
    builder::<Events, EventStream>();
    builder::<Get, Option<Flow>>();
    builder::<Create, ()>();
    builder::<Update, ()>();
    builder::<Delete, ()>();
    builder::<Flush, ()>();
    builder::<FlushExpectations, ()>();
    builder::<ListExpectations, ExpectationStream>();
    // They have an iterator or a stream, which need not be cloned or shared.
    begins::<Bulk, Report>();
    begins::<GetMany, FoundStream>();
}

#[test]
fn nouns_are_plain_data() {
    plain::<Flow>();
    plain::<FlowKey>();
    plain::<NewFlow>();
    plain::<Patch>();
    plain::<Expectation>();
    plain::<NewExpectation>();
    plain::<ExpectationKey>();
    plain::<ExpectationFlags>();
    plain::<TupleMask>();
    plain::<TableStats>();
    plain::<Preflight>();
    plain::<Finding>();
    plain::<CpuStats>();
    plain::<CpuStats<ExpectationCounters>>();
    plain::<TimeoutPolicy>();
    plain::<Timeouts>();
    plain::<UserHelper>();
    plain::<UserHelperKey>();
    plain::<Filter>();
    plain::<Change>();
    plain::<KernelFilter>();
    plain::<NatKind>();
    plain::<Ports>();
    shared::<FilterBuilder>();
    plain::<Tuple>();
    plain::<Nat>();
    plain::<Status>();
    plain::<Labels>();
    plain::<Masked<u32>>();
    plain::<LabelMap>();
    plain::<DecodeError>();
    plain::<ErrorKind>();
}

#[test]
fn errors_travel_and_are_small() {
    fn error<T: std::error::Error + Send + Sync + 'static>() {}
    error::<Error>();
    error::<DecodeError>();
    // It is part of every result, also of those that succeed.
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
}

#[test]
fn panics_may_pass_through_nouns() {
    fn unwinds<T: UnwindSafe + RefUnwindSafe>() {}
    unwinds::<Flow>();
    unwinds::<NewFlow>();
}

/// A program that collects a table of a million flows pays for every byte with a megabyte.
#[test]
#[cfg(target_pointer_width = "64")]
fn a_flow_is_small() {
    assert_eq!(size_of::<Flow>(), 232);
    // The place that is free in it is `None`'s.
    assert_eq!(size_of::<Option<Flow>>(), 232);
    assert_eq!(size_of::<Tuple>(), 39);
}

/// What can be set can be read again.
#[test]
fn what_was_set_can_be_read() {
    let tuple = Tuple::udp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()).unwrap();
    let label = |n| Labels::bit(n).unwrap();
    let nat = Nat::to(std::net::Ipv4Addr::LOCALHOST).ports(1..=9);
    assert_eq!(nat.get_ports(), Some(1..=9));
    assert_eq!(
        nat.get_addresses(),
        "127.0.0.1".parse().unwrap()..="127.0.0.1".parse().unwrap()
    );
    let flow = NewFlow::new(tuple, std::time::Duration::from_secs(9))
        .zone(5)
        .master(tuple)
        .helper("ftp")
        .source_nat(nat)
        .mark(7);
    assert_eq!((flow.get_zone().id(), flow.get_master()), (5, Some(&tuple)));
    assert_eq!(flow.get_reply(), &tuple.inverse());
    assert_eq!(flow.get_mark(), Some(&7.into()));
    assert_eq!(
        (flow.get_source_nat(), flow.get_destination_nat()),
        (Some(&nat), None)
    );
    assert_eq!(flow.get_timeout(), Some(&std::time::Duration::from_secs(9)));
    let bare = flow.without_helper().without_master();
    assert_eq!((bare.get_helper(), bare.get_master()), (None, None));

    let patch = Patch::new()
        .labels(label(1))
        .add_labels(label(2))
        .remove_labels(label(1));
    assert_eq!(patch.get_labels(), Some(&label(2).into()));
    let patch = Patch::new().add_labels(label(3)).remove_labels(label(4));
    let both = Masked::new(label(3), label(3) | label(4));
    assert_eq!(patch.get_labels(), Some(&both));

    let key = FlowKey::reply(tuple).zone(7);
    assert_eq!((key.get_zone().id(), key.get_id()), (7, None));
    assert!(FlowKey::orig(tuple) < key);
}

/// GRE's keys are no ports.
#[test]
fn the_ends_of_a_tuple_are_sockets() {
    let (src, dst) = ("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap());
    let tuple = Tuple::udp(src, dst).unwrap();
    assert_eq!(
        (tuple.src_socket(), tuple.dst_socket()),
        (Some(src), Some(dst))
    );
    for tuple in [
        Tuple::gre(src.ip(), dst.ip(), 1, 2).unwrap(),
        Tuple::generic(src.ip(), dst.ip(), 50).unwrap(),
    ] {
        assert_eq!((tuple.src_socket(), tuple.dst_socket()), (None, None));
    }
}

/// Programs that test what they do with flows make them.
#[test]
fn the_rare_parts_of_a_flow_can_be_set() {
    use ctnetlink::{Helper, SecCtx, SeqAdj};
    let tuple: Tuple = "udp src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2"
        .parse()
        .unwrap();
    let bare = Flow::new(tuple, tuple.inverse());
    let mut flow = bare.clone();
    let now = std::time::SystemTime::now();
    flow.set_master(Some(tuple));
    flow.set_helper(Some(Helper::new("ftp")));
    flow.set_event_timestamp(Some(now));
    flow.set_seqadj_orig(Some(SeqAdj::default()));
    flow.set_seqadj_reply(Some(SeqAdj::default()));
    flow.set_secctx(Some(SecCtx::new("a")));
    assert_eq!(flow.master(), Some(&tuple));
    assert_eq!(&*flow.helper().unwrap().name, "ftp");
    assert_eq!(flow.event_timestamp(), Some(&now));
    assert_eq!(flow.seqadj_orig(), flow.seqadj_reply());
    assert_eq!(flow.seqadj_orig(), Some(&SeqAdj::default()));
    assert_eq!(&*flow.secctx().unwrap().name, "a");
    assert_ne!(flow, bare);
    flow.set_master(None);
    flow.set_helper(None);
    flow.set_event_timestamp(None);
    flow.set_seqadj_orig(None);
    flow.set_seqadj_reply(None);
    flow.set_secctx(None);
    assert_eq!(flow, bare);
}

#[test]
fn labels_are_put_together() {
    let mut labels = Labels::EMPTY;
    assert!(labels.insert(3).unwrap());
    assert!(!labels.insert(3).unwrap());
    labels |= Labels::bit(127).unwrap();
    assert_eq!(labels.to_string().parse::<Labels>().unwrap(), labels);
    let same: Result<Labels, Error> = [127, 3].into_iter().map(Labels::bit).collect();
    assert_eq!(same.unwrap(), labels);
    assert!(labels.remove(127));
    assert!(!labels.remove(127));
    assert_eq!(labels, Labels::bit(3).unwrap());
    assert!(labels.insert(128).is_err());
    assert!(!labels.remove(128));
}

#[cfg(feature = "serde")]
mod serde {
    use super::*;
    use std::time::Duration;

    use ::serde::Serialize;
    use ::serde::de::DeserializeOwned;
    use ctnetlink::{
        Direction, ExpectationPolicy, Family, FlowId, IcmpEcho, ProtoInfo, TcpFlags, TcpState,
        TcpTimeouts, Zone,
    };

    /// In a format of text, and in a binary one without keys.
    fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) {
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
        let replies = include_str!("golden/replies.txt");
        let (mut seen, mut expectations) = (0, 0);
        let mut lines = String::new();
        for line in replies.lines().filter(|line| !line.starts_with('#')) {
            let Some((_, text)) = line.split_once(' ') else {
                continue;
            };
            if let Ok(expectation) = Expectation::from_message(&bytes(text)) {
                same(ExpectationKey::from(&expectation));
                same(expectation);
                expectations += 1;
            }
            if let Ok(flow) = Flow::from_message(&bytes(text)) {
                same(FlowKey::from(&flow));
                same(flow.id.unwrap());
                lines.push_str(&serde_json::to_string(&flow).unwrap());
                lines.push('\n');
                same(flow.clone());
                // As kernels are set up: without counters, times and what helpers add.
                let mut usual = flow;
                (usual.counters_orig, usual.counters_reply) = (None, None);
                usual.set_timestamp(None);
                usual.set_event_timestamp(None);
                if usual.helper().is_none() && usual.master().is_none() {
                    let text = serde_json::to_string(&usual).unwrap();
                    assert!(text.len() <= 450, "{}: {text}", text.len());
                }
                seen += 1;
            }
        }
        assert_eq!((seen, expectations), (17, 8));
        // The format is a public one: programs read it.
        assert_eq!(lines, include_str!("golden/flows.jsonl"));
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

    /// Kernels keep no ports of protocols that they do not know, and no ICMP fields over the other
    /// family.
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
        ] {
            let tuple: Tuple = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&tuple).unwrap(), text);
            same(Flow::new(tuple, tuple.inverse()));
        }
    }

    /// What the crate's documentation shows.
    #[test]
    fn the_documented_flow_is_one() {
        let lines = include_str!("../src/lib.rs").lines();
        let text: String = lines
            .skip_while(|line| *line != "//! ```json")
            .skip(1)
            .take_while(|line| *line != "//! ```")
            .map(|line| line.trim_start_matches("//! "))
            .collect();
        let flow: Flow = serde_json::from_str(&text).unwrap();
        let written: serde_json::Value = serde_json::to_value(&flow).unwrap();
        let shown: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(written, shown);
    }

    /// What would not fit the attribute.
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

    /// What cannot be built cannot be read, and nothing that is to be sent is passed over.
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
        refused::<Nat>(r#"{"min":"10.0.0.2","max":"10.0.0.1","ports":null}"#);
        refused::<Nat>(r#"{"min":"10.0.0.2","max":"::1","ports":null}"#);
        refused::<Nat>(r#"{"min":"10.0.0.2","max":"10.0.0.2","ports":[9,1]}"#);
        refused::<Labels>("[128]");
        refused::<Status>(r#"["ASURED"]"#);
        refused::<TcpState>("256");
        refused::<ctnetlink::Timestamp>(r#"{"start":"2026-13-01T00:00:00Z"}"#);
        let zero: Zone = serde_json::from_str(r#"{"id":0,"direction":"orig"}"#).unwrap();
        assert_eq!(zero, Zone::default());
    }

    /// Written as people write it.
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
        let patch = Patch::new().mark(1).timeout(Duration::from_secs(9));
        let text = serde_json::to_string(&patch).unwrap();
        assert_eq!(text, r#"{"timeout":9,"mark":1}"#);
    }

    /// Whoever writes it by hand gets what is inside the mask alone written, and what is outside
    /// refused by a filter.
    #[test]
    fn a_mask_holds_for_what_is_read() {
        let read: Masked<u32> = serde_json::from_str(r#"{"value":255,"mask":15}"#).unwrap();
        assert_eq!((read.value(), read.excess()), (15, 0xf0));
        assert_eq!(read, Masked::new(255, 15));
        let filter = serde_json::from_str::<Filter>(r#"{"mark":{"value":16,"mask":1}}"#);
        assert!(filter.unwrap_err().to_string().contains("mark"));
    }
}
