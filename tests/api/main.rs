//! Properties of the public types that programs rely on: auto traits and sizes.

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

mod arbitrary;
mod round_trips;
#[cfg(feature = "serde")]
mod serde;
#[cfg(feature = "serde")]
mod times;
mod traits;
mod uses;

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
    // They contain an iterator or a stream, which need not be `Clone` or `Sync`.
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
    // `None` uses a value that no flow has.
    assert_eq!(size_of::<Option<Flow>>(), 232);
    assert_eq!(size_of::<Tuple>(), 39);
}

/// Everything that can be set can be read.
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

    let second = std::time::Duration::from_secs(1);
    let mask = TupleMask::exact(&tuple);
    let nat = ctnetlink::ExpectationNat::new(ctnetlink::Direction::Reply, tuple);
    let expected = NewExpectation::new(FlowKey::orig(tuple).zone(7), tuple)
        .mask(mask)
        .timeout(second)
        .flags(ExpectationFlags::PERMANENT)
        .class(1)
        .nat(nat.clone())
        .helper("sip")
        .function("nat-follow-master");
    assert_eq!(
        (expected.get_mask(), expected.get_nat()),
        (&mask, Some(&nat))
    );
    assert_eq!(expected.get_timeout(), Some(second));
    assert_eq!(expected.get_flags(), Some(ExpectationFlags::PERMANENT));
    assert_eq!(
        (expected.get_class(), expected.get_helper()),
        (Some(1), Some("sip"))
    );
    assert_eq!(expected.get_function(), Some("nat-follow-master"));
    let key = ExpectationKey::from(&expected).id(9.into());
    assert_eq!((key.get_zone(), key.get_id()), (7, Some(9.into())));
    let bare = NewExpectation::new(tuple, tuple);
    assert_eq!((bare.get_timeout(), bare.get_nat()), (None, None));

    let key = FlowKey::reply(tuple).zone(7);
    assert_eq!((key.get_zone().id(), key.get_id()), (7, None));
    assert!(FlowKey::orig(tuple) < key);
}

/// The keys of GRE are not ports.
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

/// Programs create flows for their own tests.
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
