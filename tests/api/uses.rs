//! Common uses, as a user writes them, on a kernel in the process.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{IpNet, Outcome, PrefixSet, Protocol, Table, TcpState};
use futures::future::join_all;
use futures::stream::{FuturesUnordered, StreamExt};

use super::*;

type Any = Result<(), Box<dyn std::error::Error>>;

fn run<F: Future<Output = Any>>(test: F) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(test).unwrap();
}

fn tuple(n: u8) -> Tuple {
    Tuple::tcp(([10, 0, 0, n], 4000).into(), ([10, 9, 0, 1], 443).into()).unwrap()
}

fn new(n: u8) -> NewFlow {
    NewFlow::new(tuple(n), Duration::from_secs(600))
        .tcp_state(TcpState::ESTABLISHED)
        .mark(u32::from(n))
}

/// Programs create values for their own tests. Each struct with public fields is here.
#[test]
fn small_nouns_can_be_made() {
    use ctnetlink::{
        Check, Counters, Counts, DccpInfo, DccpState, DccpTimeouts, Direction, EventStats,
        ExpectationNat, ExpectationPolicy, ExpectationTotals, Facts, Family, Helper, IcmpEcho,
        MirrorStats, SctpInfo, SctpState, SctpTimeouts, SecCtx, SeqAdj, Severity, SingleTimeout,
        SynProxy, TableTotals, TcpInfo, TcpTimeouts, Timestamp, TwoWayTimeouts,
    };
    let second = Duration::from_secs(1);
    let start = std::time::SystemTime::UNIX_EPOCH;
    let open = Timestamp::new(start);
    assert_eq!((open.start, open.stop), (start, None));
    assert_eq!(open.ended(start + second).stop, Some(start + second));
    let counters = Counters::new(1, 2);
    assert_eq!((counters.packets, counters.bytes), (1, 2));
    let shift = SeqAdj::new(1, -2, 3);
    assert_eq!((shift.offset_before, shift.offset_after), (-2, 3));
    assert_eq!(SynProxy::new(1, 2, 3).tsoff, 3);
    let mut helper = Helper::new("ftp");
    helper.info = Some([7].into());
    assert_eq!((&*helper.name, &*SecCtx::new("a").name), ("ftp", "a"));
    let tcp = TcpInfo::new(TcpState::ESTABLISHED).wscale(7, 8);
    assert_eq!((tcp.wscale_orig, tcp.wscale_reply), (Some(7), Some(8)));
    assert_eq!(SctpInfo::new(SctpState::CLOSED, 1, 2).vtag_reply, Some(2));
    assert_eq!(DccpInfo::new(DccpState::OPEN, 1).state, DccpState::OPEN);
    assert_eq!(IcmpEcho::new(8, 0, 7), IcmpEcho::request(7));

    let mut flow = Flow::new(tuple(1), tuple(1).inverse());
    flow.counters_orig = Some(counters);
    flow.protoinfo = Some(tcp.into());
    flow.set_helper(Some(helper));

    let mut expectation = Expectation::new(tuple(1), tuple(2), TupleMask::exact(&tuple(2)));
    expectation.nat = Some(ExpectationNat::new(Direction::Reply, tuple(3)));
    expectation.id = Some(7.into());
    assert!(expectation.expects(&tuple(2)) && !expectation.expects(&tuple(3)));

    let stats = TableStats::new(3, 10);
    assert_eq!((stats.entries, stats.max), (3, Some(10)));
    let mut counted = TableCounters::default();
    counted.drop = Some(5);
    let cpus = [CpuStats::new(0, counted), CpuStats::new(1, counted)];
    let mut totals = TableTotals::default();
    totals.drop = Some(10);
    assert_eq!(CpuStats::total(&cpus), totals);
    let mut counted = ExpectationCounters::default();
    counted.new = Some(1);
    let mut totals = ExpectationTotals::default();
    totals.new = Some(1);
    assert_eq!(CpuStats::total(&[CpuStats::new(0, counted)]), totals);

    let timeouts = [
        Timeouts::from(TcpTimeouts::new().close(second)),
        Timeouts::from(SctpTimeouts::new().closed(second)),
        Timeouts::from(DccpTimeouts::new().open(second)),
        Timeouts::Udp(TwoWayTimeouts::new().replied(second)),
        Timeouts::Icmp(SingleTimeout::new().timeout(second)),
    ];
    for timeouts in timeouts {
        let mut policy = TimeoutPolicy::new("p", Family::Ipv4, timeouts);
        policy.use_count = Some(1);
        assert_eq!(policy.timeouts, timeouts);
    }
    let data = ExpectationPolicy::new("data", 1, second);
    let helper = UserHelper::new("h", Family::Ipv4, Protocol::TCP, [data]);
    assert_eq!(helper.key, UserHelperKey::new("h", Family::Ipv4, 6));

    let mut facts = Facts::default();
    facts.allowed = Some(false);
    let found = Preflight::new(facts);
    let mut finding = Finding::new(Check::Right, Severity::Error, "no right");
    finding.cure = Some("run as root".into());
    assert_eq!(finding.check, found.finding(Check::Right).unwrap().check);

    let mut events = EventStats::default();
    events.lost = 3;
    let mut mirrored = MirrorStats::default();
    mirrored.lost = 3;
    assert_eq!(mirrored.lost, events.lost);
    let mut counts = Counts::default();
    counts.flows = 9;
    assert_ne!(counts, Counts::default());
    let backlog = Backlog::new(1, 2);
    assert!(backlog.used < backlog.room);
    let mut report = Report::default();
    report.applied = 1;
    assert!(report.into_result().is_ok());
}

#[test]
fn filters() -> Any {
    let client = Ipv4Addr::new(10, 0, 0, 1);
    let mut flow = Flow::new(tuple(1), tuple(1).inverse());
    flow.mark = Some(0x15);
    flow.status = Status::ASSURED | Status::CONFIRMED;
    flow.labels = Some(Labels::bit(3)?);
    let sites: PrefixSet = ["10.0.0.0/8", "fd00::/8"]
        .map(str::parse::<IpNet>)
        .into_iter()
        .collect::<Result<_, _>>()?;
    let any = Filter::builder;
    for filter in [
        any().orig_src(client),
        any().orig_src(IpAddr::from(client)),
        any().orig_src(client.to_ipv6_mapped()),
        any().orig_src("10.0.0.0/24".parse::<IpNet>()?),
        any().orig_src("10.0.0.1".parse::<PrefixSet>()?),
        any().orig_src(sites),
        any().protocol(Protocol::TCP).orig_dst_port(443),
        any().protocol(Protocol::TCP).orig_src_port(1024..),
        any().protocol(6).orig_dst_port(..1024),
        any().protocol(6).orig_dst_port(..=443),
        any().mark(Masked::new(0x10, 0xf0)),
        any()
            .has_status(Status::ASSURED)
            .lacks_status(Status::DYING),
        any()
            .has_labels(Labels::bit(3)?)
            .lacks_labels(Labels::bit(4)?),
        any().not(any().has_helper().build()?),
        any().any_of([
            any().zone(7).build()?,
            any().has_status(Status::ASSURED).build()?,
        ]),
    ] {
        let filter = filter.build()?;
        assert!(filter.matches(&flow), "{filter}");
    }
    assert!(any().mark(Masked::new(0x10, 0x01)).build().is_err());
    Ok(())
}

#[test]
fn lists_and_their_flows() {
    run(async {
        let handle = Kernel::new().connect();
        let report = handle.restore((1..=9).map(new)).await?;
        assert_eq!(report.applied, 9);
        let list = || handle.list(Table::Conntrack);
        assert_eq!(list().await?.into_count().await?, 9);
        let marked = Filter::builder().mark(7).build()?;
        let flows = list().filter(marked).await?.into_vec().await?;
        assert_eq!(flows.len(), 1);
        assert_eq!(flows[0].orig, tuple(7));
        // Listed flows can be restored.
        let flows = list().await?.into_vec().await?;
        let other = Kernel::new().connect();
        assert_eq!(other.restore(flows).await?.applied, 9);
        Ok(())
    });
}

#[test]
fn one_walk_for_many_decisions() {
    run(async {
        let handle = Kernel::new().connect();
        handle.restore((1..=9).map(new)).await?.into_result()?;
        let changed = Arc::new(Mutex::new(Vec::new()));
        let seen = changed.clone();
        let filter = Filter::builder().protocol(Protocol::TCP).build()?;
        let report = handle
            .change_matching(filter, |flow| match flow.mark {
                Some(1) => Some(Change::delete(flow)),
                Some(mark @ 2..=4) => Some(Change::update(flow, Patch::new().mark(mark + 100))),
                _ => None,
            })
            .on_item(move |change, outcome| {
                assert!(matches!(outcome, Outcome::Applied), "{change}: {outcome:?}");
                seen.lock().unwrap().push(change.key());
            })
            .await?;
        assert_eq!((report.applied, report.failed_total), (4, 0));
        assert_eq!(changed.lock().unwrap().len(), 4);
        assert_eq!(handle.get(tuple(1)).await?, None);
        assert_eq!(handle.get(tuple(2)).await?.unwrap().mark, Some(102));
        Ok(())
    });
}

#[test]
fn builders_where_futures_are_wanted() {
    run(async {
        let handle = Kernel::new().connect();
        handle.restore((1..=9).map(new)).await?.into_result()?;
        let spawned = tokio::spawn(handle.get(tuple(1)).into_future());
        assert!(spawned.await??.is_some());
        let gets = (1..=9).map(|n| handle.get(tuple(n)).into_future());
        let found = join_all(gets).await;
        assert!(found.into_iter().all(|found| found.unwrap().is_some()));
        let deletes = (1..=9).map(|n| handle.delete(tuple(n)).into_future());
        let mut deletes: FuturesUnordered<_> = deletes.collect();
        while let Some(deleted) = deletes.next().await {
            deleted?;
        }
        Ok(())
    });
}

#[test]
fn errors_among_those_of_io() {
    run(async {
        let handle = Kernel::new().connect();
        let io: std::io::Error = handle.delete(tuple(1)).await.unwrap_err().into();
        assert_eq!(io.kind(), std::io::ErrorKind::NotFound);
        let unnamed = handle.create(new(1).helper("")).await.unwrap_err();
        assert_eq!(unnamed.kind(), ErrorKind::InvalidInput);
        assert!(unnamed.to_string().contains("helper"), "{unnamed}");
        Ok(())
    });
}
