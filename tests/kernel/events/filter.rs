//! Filters of events: events that do not match take no room in the queue.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ctnetlink::{
    EventKinds, Filter, FilterBuilder, KernelFilter, Labels, Masked, NewFlow, PrefixSet, Tuple,
};
use futures::future::try_join_all;
use libtest_mimic::Trial;

use super::{SMALL, next};
use crate::common::connect;
use crate::support::{nft, release};
use crate::verbs::HOUR;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["events::filter":
        the_kernel_drops_what_does_not_match,
        what_it_cannot_compare_is_compared_here,
        what_the_kernel_has_room_for_is_compared,
    ]
}

fn flows() -> Vec<NewFlow> {
    let (a, b) = (
        "10.0.0.1:4000".parse().unwrap(),
        "10.0.0.2:53".parse().unwrap(),
    );
    let (c, d) = (
        "10.9.0.1:4001".parse().unwrap(),
        "10.0.0.2:443".parse().unwrap(),
    );
    let (a6, b6) = (
        "[fd00::1]:4000".parse().unwrap(),
        "[fd00::2]:53".parse().unwrap(),
    );
    let timeout = Duration::from_secs(600);
    let flow = |tuple: ctnetlink::Result<Tuple>| NewFlow::new(tuple.expect("a tuple"), timeout);
    vec![
        flow(Tuple::udp(a, b)),
        flow(Tuple::tcp(a, b)).mark(0x15),
        flow(Tuple::udp(c, d)).zone(5),
        flow(Tuple::tcp(c, d)).mark(0x25),
        flow(Tuple::udp(a6, b6)).mark(5),
        flow(Tuple::tcp(a6, b6)),
    ]
}

type Conditions = fn(FilterBuilder) -> FilterBuilder;

async fn the_kernel_drops_what_does_not_match() {
    let net = |text: &str| text.parse::<ctnetlink::IpNet>().unwrap();
    let of_ten = net("10.9.0.0/16");
    let filters: Vec<(Filter, KernelFilter, usize)> = [
        (Filter::builder().protocol(17), KernelFilter::PROTOCOL, 3),
        (
            Filter::builder().family(ctnetlink::Family::Ipv6),
            KernelFilter::FAMILY,
            2,
        ),
        (
            Filter::builder().orig_src(of_ten),
            KernelFilter::ORIG_SRC,
            2,
        ),
        (
            Filter::builder().orig_src(net("fd00::/64")),
            KernelFilter::ORIG_SRC,
            2,
        ),
        (
            Filter::builder().protocol(6).orig_dst_port(400..=500),
            KernelFilter::ORIG_DST_PORT,
            1,
        ),
        (
            Filter::builder().mark(Masked::new(5, 0x0f)),
            KernelFilter::MARK,
            3,
        ),
        (Filter::builder().mark(0), KernelFilter::MARK, 3),
        (Filter::builder().zone(5), KernelFilter::ZONE, 1),
        (Filter::builder().zone(0), KernelFilter::ZONE, 5),
    ]
    .map(|(filter, condition, many)| (filter.build().expect("a filter"), condition, many))
    .into();
    let handle = connect();
    for (filter, condition, many) in filters {
        for filter in [
            filter.clone(),
            Filter::builder().not(filter).build().expect("a filter"),
        ] {
            let begin = handle
                .events()
                .filter(filter.clone())
                .kinds(EventKinds::FLOWS);
            let mut events = begin.receive_buffer(SMALL / 2).await.expect("a stream");
            let is_not = events.kernel_filtered() == KernelFilter::NOT;
            assert!(
                is_not || events.kernel_filtered().contains(condition),
                "{filter:?}"
            );
            let many = if is_not { flows().len() - many } else { many };
            try_join_all(
                flows()
                    .into_iter()
                    .map(|flow| async { handle.create(flow).await }),
            )
            .await
            .expect("flows");
            handle
                .flush(ctnetlink::Table::Conntrack)
                .await
                .expect("a flush");
            // An event needs about 1280 bytes, and an event that does not match needs none.
            let per_event = events.backlog().expect("the queue").used / (2 * many);
            assert!((500..3000).contains(&per_event), "{filter:?}: {per_event}");
            for _ in 0..2 * many {
                let event = next(&mut events).await;
                assert!(filter.matches(event.flow().expect("a flow")), "{event}");
            }
            assert_eq!(events.backlog().expect("the queue").used, 0, "{filter:?}");
            assert_eq!(events.stats().received, 2 * many as u64, "{filter:?}");
        }
    }
}

/// Kernels before 6.8 accept about 1000 instructions. Later kernels can be limited to that.
async fn what_the_kernel_has_room_for_is_compared() {
    const ROOM: &str = "/proc/sys/net/core/optmem_max";
    let handle = connect();
    let sources = (0..100).map(|n| IpAddr::from([0xfd00 + n, 1, n, 3, 4, n, 6, 7]));
    let filter = Filter::builder()
        .protocol(17)
        .orig_src(sources.collect::<PrefixSet>())
        .build()
        .expect("a filter");
    let listen = async || {
        let events = handle.events().filter(filter.clone());
        events.kinds(EventKinds::NEW).await.expect("a stream")
    };
    let mut room = 20480;
    if release::release() >= (6, 8) {
        let all = listen().await.kernel_filtered();
        assert!(all.contains(KernelFilter::ORIG_SRC), "{all:?}");
        // The root of a user namespace cannot set it.
        let _ = fs::write(ROOM, "20480");
        let granted = fs::read_to_string(ROOM).ok();
        room = granted
            .and_then(|room| room.trim().parse().ok())
            .unwrap_or(usize::MAX);
    }
    let mut events = listen().await;
    let compared = events.kernel_filtered();
    assert!(compared.contains(KernelFilter::PROTOCOL), "{compared:?}");
    assert_eq!(compared.contains(KernelFilter::ORIG_SRC), room > 20480);
    for n in [100, 99] {
        let src = SocketAddr::new([0xfd00 + n, 1, n, 3, 4, n, 6, 7].into(), 1);
        let dst = SocketAddr::new([0xfd00, 0, 0, 0, 0, 0, 1, 0].into(), 2);
        let tuple = Tuple::udp(src, dst).expect("one family");
        let created = handle.create(NewFlow::new(tuple, HOUR)).await;
        created.expect("a flow");
    }
    let event = next(&mut events).await;
    assert!(filter.matches(event.flow().expect("a flow")), "{event}");
}

async fn what_it_cannot_compare_is_compared_here() {
    nft::labels().expect("room for labels");
    let handle = connect();
    let label = Labels::bit(3).expect("a label");
    let labelled: Conditions = |filter| {
        let label = Labels::bit(3).expect("a label");
        filter.labels(Masked::new(label, label))
    };
    for (conditions, kernel) in [
        (labelled, KernelFilter::empty()),
        (|filter| labelled_udp(filter), KernelFilter::PROTOCOL),
    ] as [(Conditions, KernelFilter); 2]
    {
        let filter = conditions(Filter::builder()).build().expect("a filter");
        let events = handle.events().filter(filter).kinds(EventKinds::NEW);
        let mut events = events.await.expect("a stream");
        assert_eq!(events.kernel_filtered(), kernel);
        for (n, flow) in flows().into_iter().enumerate() {
            let flow = if n == 4 { flow.labels(label) } else { flow };
            handle.create(flow).await.expect("a flow");
        }
        let event = next(&mut events).await;
        assert_eq!(event.flow().expect("a flow").labels, Some(label));
        assert!(
            events.stats().received > 1,
            "the others came, and were dropped here"
        );
        handle
            .flush(ctnetlink::Table::Conntrack)
            .await
            .expect("a flush");
    }
}

fn labelled_udp(filter: FilterBuilder) -> FilterBuilder {
    let label = Labels::bit(3).expect("a label");
    filter.labels(Masked::new(label, label)).protocol(17)
}
