//! Flushes by zone, as in the kernel's selftest; and by a family together with a filter.

use std::net::SocketAddr;
use std::time::Duration;

use ctnetlink::{ConntrackHandle, Family, Filter, NewFlow, Table, Tuple};
use libtest_mimic::Trial;

use super::listed;
use crate::common::connect;
use crate::filter::population::host;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["matching::zones":
        a_flush_of_one_leaves_the_others,
        a_flush_of_zone_0_leaves_the_zoned,
        a_delete_by_one_leaves_the_others,
        a_family_beside_a_filter,
    ]
}

const ZONES: [u16; 4] = [0, 123, 124, 125];
const BOTH: [Family; 2] = [Family::Ipv4, Family::Ipv6];

/// Creates one flow of each family in each zone, all with the same ports.
async fn eight(handle: &ConntrackHandle) {
    for v6 in [false, true] {
        let end = |n| SocketAddr::new(host(v6, 1, n), 1000 + n);
        let tuple = Tuple::udp(end(1), end(2)).expect("one family");
        for zone in ZONES {
            let flow = NewFlow::new(tuple, Duration::from_secs(3600)).zone(zone);
            handle.create(flow).await.expect("a flow");
        }
    }
}

/// The zone and family of each flow in the table.
async fn left(handle: &ConntrackHandle) -> Vec<(u16, Family)> {
    let flows = listed(handle).await;
    let mut left: Vec<_> = flows.iter().map(|it| (it.zone.id(), it.family())).collect();
    left.sort();
    left
}

fn of(zones: &[u16]) -> Vec<(u16, Family)> {
    let both = |zone: &u16| BOTH.map(|family| (*zone, family));
    zones.iter().flat_map(both).collect()
}

fn zone(id: u16) -> Filter {
    Filter::builder().zone(id).build().expect("a filter")
}

async fn flush(handle: &ConntrackHandle, filter: Filter) {
    let flush = handle.flush(Table::Conntrack).filter(filter);
    flush.await.expect("a flush");
}

async fn a_flush_of_one_leaves_the_others() {
    let handle = connect();
    eight(&handle).await;
    assert_eq!(left(&handle).await, of(&ZONES));
    flush(&handle, zone(126)).await;
    assert_eq!(left(&handle).await, of(&ZONES));
    flush(&handle, zone(124)).await;
    assert_eq!(left(&handle).await, of(&[0, 123, 125]));
    flush(&handle, zone(123)).await;
    assert_eq!(left(&handle).await, of(&[0, 125]));
}

async fn a_flush_of_zone_0_leaves_the_zoned() {
    let handle = connect();
    eight(&handle).await;
    flush(&handle, zone(0)).await;
    assert_eq!(left(&handle).await, of(&[123, 124, 125]));
}

async fn a_delete_by_one_leaves_the_others() {
    let handle = connect();
    eight(&handle).await;
    for (zone_id, rest) in [(124, &[0, 123, 125][..]), (0, &[123, 125])] {
        let report = handle.delete_matching(zone(zone_id)).await;
        assert_eq!(report.expect("a report").applied, 2);
        assert_eq!(left(&handle).await, of(rest));
    }
}

/// With a family that only the flush has, or that the filter has too.
async fn a_family_beside_a_filter() {
    let handle = connect();
    eight(&handle).await;
    let [v4, v6] = BOTH;
    let flush = handle.flush(Table::Conntrack).filter(zone(124)).family(v6);
    flush.await.expect("a flush");
    let mut expected = of(&ZONES);
    expected.retain(|flow| *flow != (124, v6));
    assert_eq!(left(&handle).await, expected);

    // One by one, because the kernel does not compare ports.
    let port = Filter::builder().protocol(17).orig_src_port(1001);
    let port = port.build().expect("a filter");
    let flush = handle.flush(Table::Conntrack).filter(port).family(v6);
    flush.await.expect("a flush");
    expected.retain(|(_, family)| *family == v4);
    assert_eq!(left(&handle).await, expected);

    let filter = Filter::builder().zone(0).family(v4).build();
    let flush = handle.flush(Table::Conntrack).family(v4);
    let flush = flush.filter(filter.expect("a filter"));
    flush.await.expect("a flush");
    expected.retain(|(zone, _)| *zone != 0);
    assert_eq!(left(&handle).await, expected);
}
