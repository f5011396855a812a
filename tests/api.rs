//! What programs rely on in the types: where they may go, and how large they are.

use std::future::IntoFuture;
use std::panic::{RefUnwindSafe, UnwindSafe};

use ctnetlink::{
    Backlog, Bulk, Change, Connection, ConntrackHandle, CpuStats, Create, DecodeError, Delete,
    Error, ErrorKind, Event, EventKinds, EventStats, EventStream, Events, Expectation,
    ExpectationCounters, ExpectationFlags, ExpectationKey, ExpectationPolicy, Expectations, Filter,
    FilterBuilder, Finding, Flow, FlowKey, FlowStream, Flush, FlushExpectations, FoundStream, Get,
    GetMany, KernelFilter, LabelMap, Labels, List, Masked, Nat, NatKind, NewExpectation, NewFlow,
    Options, Patch, Ports, Preflight, Report, RequestFuture, StatsMeter, Status, TableCounters,
    TableStats, TimeoutPolicies, TimeoutPolicy, Timeouts, Tuple, TupleMask, Update, UserHelper,
    UserHelperKey, UserHelpers,
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

#[cfg(feature = "serde")]
mod serde {
    use super::*;
    use std::time::Duration;

    use ::serde::Serialize;
    use ::serde::de::DeserializeOwned;
    use ctnetlink::{
        Direction, Family, FlowId, IcmpEcho, ProtoInfo, TcpFlags, TcpState, TcpTimeouts, Zone,
    };

    fn same<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(value: T) {
        let text = serde_json::to_string(&value).unwrap();
        let read: T = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
        assert_eq!(read, value, "{text}");
    }

    fn bytes(text: &str) -> Vec<u8> {
        let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digits).collect()
    }

    #[test]
    fn what_the_kernel_sent_survives() {
        let replies = include_str!("golden/replies.txt");
        let (mut seen, mut expectations) = (0, 0);
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
                same(flow);
                seen += 1;
            }
        }
        assert_eq!((seen, expectations), (17, 8));
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
