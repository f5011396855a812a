//! Deletes by the crate, as conntrack(8) shows them.

use ctnetlink::{ConntrackHandle, Family, NewFlow, Table};

use crate::flows::{HOUR, TCP, UDP, connect, create, tcp, udp, udp_between};
use crate::tool::{conntrack, got, refused, shown};

pub async fn delete() {
    let handle = connect();
    for tuple in [tcp(), udp()] {
        create(&handle, NewFlow::new(tuple, HOUR)).await;
    }
    handle.delete(udp()).await.expect("to delete a flow");
    assert!(refused(&format!("-G {UDP}")).contains("doesn't exist"));
    assert!(got(TCP).unreplied);
}

pub async fn flush() {
    let handle = two_families().await;
    handle.flush(Table::Conntrack).await.expect("a flush");
    assert_eq!(shown("-L"), []);
}

/// The tool cannot be compared here: its `-F -f ipv6` removes both families.
pub async fn flush_of_one_family() {
    let handle = two_families().await;
    handle
        .flush(Table::Conntrack)
        .family(Family::Ipv6)
        .await
        .expect("a flush");
    let left = shown("-L");
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].id, got(UDP).id);
}

async fn two_families() -> ConntrackHandle {
    let handle = connect();
    let v6 = udp_between("[fd00::1]:1", "[fd00::2]:2");
    for tuple in [udp(), v6] {
        create(&handle, NewFlow::new(tuple, HOUR)).await;
    }
    assert_eq!(conntrack("-C").trim(), "2");
    handle
}
