//! Filters of events: what does not match takes no room.

use ctnetlink::{EventKinds, Filter, FilterBuilder, KernelFilter, Labels, Masked, NewFlow, Tuple};
use futures::future::try_join_all;
use libtest_mimic::Trial;
use std::time::Duration;

use super::{SMALL, next};
use crate::common::connect;
use crate::support::nft;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["events::filter":
        the_kernel_drops_what_does_not_match,
        what_it_cannot_compare_is_compared_here,
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
            // An event takes some 1280 bytes, and what does not match none.
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
