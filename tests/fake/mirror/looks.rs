//! Lookups by a reader.

use std::net::SocketAddr;
use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{Delta, Filter, FlowKey, IcmpEcho, Labels, NewFlow, Protocol, Tuple};

use super::{Watch, audible};
use crate::{fill, new, run, tcp, udp};

/// A key with ports finds the flow of a protocol whose ports the kernel does not keep, as a get does.
#[test]
fn ports_that_the_kernel_does_not_keep() {
    run(async {
        let end = |host, port| SocketAddr::new([10, 0, 0, host].into(), port);
        for release in ["5.10", "6.18", "7.3"] {
            let kernel = Kernel::release(release).expect("a release").build();
            let handle = kernel.connect();
            let watch = Watch::of(&kernel, handle.mirror()).await;
            let protocols = [Protocol::UDPLITE, Protocol::DCCP, Protocol::TCP];
            for (host, protocol) in (1..).zip(protocols) {
                let tuple = Tuple::new(protocol, end(host, 1000), end(9, 2000)).expect("a tuple");
                let other = Tuple::new(protocol, end(host, 1001), end(9, 2000)).expect("a tuple");
                let new = NewFlow::new(tuple, Duration::from_secs(60));
                handle.create(new).await.expect("a flow");
                watch.in_sync().await;
                for tuple in [tuple, other] {
                    for key in [FlowKey::orig(tuple), FlowKey::reply(tuple.inverse())] {
                        let got = handle.get(key).await.expect("an answer");
                        let found = watch.reader.get(key);
                        let of = |flow: Option<ctnetlink::Flow>| flow.map(|flow| flow.id);
                        assert_eq!(of(found), of(got), "{release}: {key}");
                    }
                }
                assert!(watch.reader.get(tuple).is_some(), "{release}: {tuple:?}");
            }
        }
    });
}

/// Waits for changes until the mirror is in sync.
async fn wait_by_changes(watch: &Watch) {
    let wait = async {
        while !watch.reader.is_synced() {
            watch.reader.changed().await.expect("a mirror");
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(3600), wait).await;
    waited.expect("to be woken");
}

#[test]
fn a_first_list_that_ends_is_a_change() {
    run(async {
        for flows in [0, 1, 64] {
            let kernel = audible(|kernel| kernel);
            let handle = kernel.connect();
            fill(&kernel, flows);
            let watch = Watch::of(&kernel, handle.mirror()).await;
            wait_by_changes(&watch).await;
            assert_eq!(watch.reader.len(), usize::from(flows));
        }
    });
}

#[test]
fn a_lookup_that_ends_is_a_change() {
    run(async {
        let kernel = audible(|kernel| kernel);
        let handle = kernel.connect();
        let watch = Watch::of(&kernel, handle.mirror()).await;
        watch.in_sync().await;
        // The first flow of an empty table is looked up.
        handle.create(new(1)).await.expect("a flow");
        watch.until(|| watch.told().stats.asked == 1).await;
        wait_by_changes(&watch).await;
        assert!(watch.reader.get(udp(1)).is_some());
    });
}

#[test]
fn labels_in_deltas_and_by_get() {
    run(async {
        let kernel = audible(|kernel| kernel.labels(true));
        let handle = kernel.connect();
        let watch = Watch::of(&kernel, handle.mirror()).await;
        let label = |bit| Labels::bit(bit).expect("a label");
        handle
            .create(new(1).labels(label(1)))
            .await
            .expect("a flow");
        watch.in_sync().await;
        let labels = || watch.reader.get(udp(1)).expect("the flow").labels;
        assert_eq!(labels(), Some(label(1)));
        handle.set_labels(udp(1), label(2)).await.expect("labels");
        watch.in_sync().await;
        assert_eq!(labels(), Some(label(2)));
        // No event reports that they were cleared, so the flow is looked up.
        handle
            .set_labels(udp(1), Labels::default())
            .await
            .expect("labels");
        watch.in_sync().await;
        assert_eq!(labels(), None);
        let told: Vec<_> = watch
            .told()
            .deltas
            .iter()
            .filter_map(|delta| match delta {
                Delta::Added(flow) | Delta::Updated { after: flow, .. } => Some(flow.labels),
                _ => None,
            })
            .collect();
        assert_eq!(told, [Some(label(1)), Some(label(2)), None]);
    });
}

#[test]
fn by_filters_and_numbers() {
    run(async {
        let kernel = audible(|kernel| kernel);
        fill(&kernel, 1000);
        let handle = kernel.connect();
        let ping = Tuple::icmp(
            [10, 0, 0, 1].into(),
            [10, 0, 0, 2].into(),
            IcmpEcho::request(7),
        );
        let ping = ping.expect("a tuple");
        handle
            .create(NewFlow::new(ping, Duration::from_secs(60)))
            .await
            .expect("a flow");
        kernel.packet(tcp(1), 100);
        let watch = Watch::of(&kernel, handle.mirror()).await;
        watch.in_sync().await;
        for n in 0..10 {
            handle.set_mark(udp(n), 5).await.expect("a mark");
        }
        watch.in_sync().await;
        let reader = watch.reader.clone();
        let marked = Filter::builder().mark(5).build().expect("a filter");
        // From any thread, while the caller uses the flows that it has.
        let found = std::thread::spawn(move || {
            let found = reader.find(&marked);
            found
                .inspect(|flow| assert!(reader.get(flow.orig).is_some()))
                .count()
        });
        assert_eq!(found.join().expect("a thread"), 10);
        let counts = watch.reader.counts();
        assert_eq!((counts.flows, counts.ipv4, counts.ipv6), (1002, 1002, 0));
        let protocols = [
            (Protocol::ICMP, 1),
            (Protocol::TCP, 1),
            (Protocol::UDP, 1000),
        ];
        assert_eq!(counts.protocols, protocols);
        assert_eq!(counts.tcp.iter().map(|(_, many)| many).sum::<usize>(), 1);
        let found = watch
            .reader
            .get(FlowKey::reply(ping.inverse()))
            .expect("the ping");
        assert_eq!(found.orig, ping);
        let fresh = watch.reader.get_fresh(udp(1)).await.expect("an answer");
        assert_eq!(fresh.expect("the flow").mark, Some(5));
        assert!(watch.reader.get(udp(5000)).is_none());
        assert!(watch.reader.get(FlowKey::orig(udp(1)).zone(3)).is_none());
    });
}
