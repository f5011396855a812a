//! Zones, marks and families of a few flows, as in the kernel's selftest.

use std::time::Duration;

use ctnetlink::{ErrorKind, Family, Filter, NewFlow, Table, Tuple};
use libtest_mimic::Trial;

use super::population::host;
use super::{all, connect, filtered};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["filter":
        of_eight_flows_two_are_in_each_zone,
        a_filter_holds_in_the_tables_beside_it,
        of_another_family_than_the_list_it_is_refused,
    ]
}

fn tuple(v6: bool) -> Tuple {
    let end = |n| std::net::SocketAddr::new(host(v6, 1, n), 1000 + n);
    Tuple::udp(end(1), end(2)).expect("one family")
}

async fn of_eight_flows_two_are_in_each_zone() {
    let handle = connect();
    for v6 in [false, true] {
        for zone in [123, 124, 125, 0] {
            let flow = NewFlow::new(tuple(v6), Duration::from_secs(3600)).zone(zone);
            handle.create(flow).await.expect("a flow");
        }
    }
    for (zone, count) in [(123, 2), (124, 2), (125, 2), (0, 2), (126, 0)] {
        let filter = Filter::builder().zone(zone).build().expect("a filter");
        let flows = all(filtered(&handle, filter).await).await;
        assert_eq!(flows.len(), count, "zone {zone}");
        assert!(flows.iter().all(|flow| flow.zone.id() == zone));
    }
    let filter = Filter::builder().zone(124).family(Family::Ipv6).build();
    let flows = all(filtered(&handle, filter.expect("a filter")).await).await;
    assert_eq!(
        flows.iter().map(|flow| flow.orig).collect::<Vec<_>>(),
        [tuple(true)]
    );
    assert_eq!(
        all(filtered(&handle, Filter::default()).await).await.len(),
        8
    );
}

async fn a_filter_holds_in_the_tables_beside_it() {
    let handle = connect();
    let filter = Filter::builder().family(Family::Ipv4).zone(1).mark(1);
    let filter = filter.build().expect("a filter");
    for table in [Table::Dying, Table::Unconfirmed] {
        let flows = handle.list(table).filter(filter.clone()).await;
        let flows = flows.expect("a stream");
        assert!(flows.kernel_filtered().is_empty());
        assert_eq!(all(flows).await, []);
    }
}

async fn of_another_family_than_the_list_it_is_refused() {
    let filter = Filter::builder().family(Family::Ipv4).build();
    let list = connect().list(Table::Conntrack).family(Family::Ipv6);
    let refused = list.filter(filter.expect("a filter")).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("filter"), "{refused}");
}
