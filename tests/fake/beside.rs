//! Expectations, statistics, timeout policies, and helpers in user space.

use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{
    CpuStats, ErrorKind, Event, EventKinds, ExpectationPolicy, Family, NewExpectation, NewFlow,
    Protocol, TimeoutPolicy, Timeouts, Tuple, TwoWayTimeouts, UserHelper,
};
use futures::{StreamExt, TryStreamExt};

use crate::{new, run, tcp, udp};

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// The tuple that a flow with the helper for FTP can expect.
fn data(n: u16) -> Tuple {
    let control = tcp(n);
    let at = |address, port| std::net::SocketAddr::new(address, port);
    Tuple::tcp(at(control.dst(), 0), at(control.src(), 10_000)).expect("one family")
}

fn ftp(n: u16) -> NewFlow {
    NewFlow::new(tcp(n), secs(3600)).helper("ftp")
}

#[test]
fn an_expectation_from_its_create_to_its_end() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let expectations = handle.expectations();
        let refused = expectations.create(NewExpectation::new(tcp(1), data(1)));
        assert!(refused.await.unwrap_err().is_not_found(), "no master");
        handle.create(NewFlow::new(tcp(2), secs(60))).await.unwrap();
        let refused = expectations.create(NewExpectation::new(tcp(2), data(2)));
        let kind = refused.await.unwrap_err().kind();
        assert_eq!(kind, ErrorKind::Unsupported, "no helper");

        handle.create(ftp(1)).await.unwrap();
        let new = NewExpectation::new(tcp(1), data(1));
        expectations.create(new.clone()).await.unwrap();
        let again = expectations.create(new).await.unwrap_err();
        assert!(again.is_already_exists(), "{again}");
        let made = expectations.get(data(1)).await.unwrap().unwrap();
        assert_eq!((made.master, made.tuple), (tcp(1), data(1)));
        assert_eq!(made.timeout, Some(secs(300)), "that of the helper");
        assert_eq!(made.helper.as_deref(), Some("ftp"));
        let listed: Vec<_> = expectations
            .list()
            .await
            .unwrap()
            .try_collect()
            .await
            .unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((listed[0].id, listed[0].tuple), (made.id, made.tuple));
        expectations.delete(data(1)).await.unwrap();
        let gone = expectations.delete(data(1)).await.unwrap_err();
        assert!(gone.is_not_found(), "{gone}");
    });
}

/// Expectations end when they time out, with their master, and to make room. Each end makes an
/// event.
#[test]
fn events_of_expectations() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let events = handle.events().kinds(EventKinds::EXPECTATIONS);
        let mut events = events.await.unwrap();
        let expectations = handle.expectations();
        let new = |port| {
            let data = data(1);
            let to = std::net::SocketAddr::new(data.dst(), port);
            let from = std::net::SocketAddr::new(data.src(), 0);
            NewExpectation::new(tcp(1), Tuple::tcp(from, to).unwrap())
        };
        handle.create(ftp(1)).await.unwrap();
        expectations.create(new(1)).await.unwrap();
        // The helper allows one expectation at a time.
        expectations.create(new(2)).await.unwrap();
        kernel.advance(secs(300));
        expectations.create(new(3)).await.unwrap();
        handle.delete(tcp(1)).await.unwrap();
        let mut told = Vec::new();
        for _ in 0..6 {
            told.push(match events.next().await.unwrap().unwrap() {
                Event::ExpectNew { expectation, .. } => (true, expectation.tuple.dst_port()),
                Event::ExpectDestroy { expectation, .. } => (false, expectation.tuple.dst_port()),
                event => panic!("{event:?}"),
            });
        }
        let expected = [
            (true, 1),
            (false, 1),
            (true, 2),
            (false, 2),
            (true, 3),
            (false, 3),
        ];
        assert_eq!(told, expected.map(|(is_new, port)| (is_new, Some(port))));
        let counted = CpuStats::total(&handle.cpu_stats().await.unwrap());
        assert_eq!(counted.insert, Some(1));
        let counted = CpuStats::total(&expectations.cpu_stats().await.unwrap());
        assert_eq!((counted.create, counted.delete), (Some(3), Some(3)));
    });
}

#[test]
fn the_table_is_counted() {
    run(async {
        let kernel = Kernel::release("6.18").unwrap().max_flows(9).build();
        let handle = kernel.connect();
        for n in 0..3 {
            handle.create(new(n)).await.unwrap();
        }
        handle.delete(udp(0)).await.unwrap();
        let stats = handle.stats().await.unwrap();
        assert_eq!((stats.entries, stats.max), (2, Some(9)));
    });
}

/// Each CPU has its own message, and they do not all fit into one datagram.
#[test]
fn cpus_that_count() {
    run(async {
        let kernel = Kernel::release("6.18").unwrap().cpus(400).build();
        let handle = kernel.connect();
        for n in 0..200 {
            handle.create(new(n)).await.unwrap();
        }
        let counted = handle.cpu_stats().await.unwrap();
        assert!(counted.iter().map(|counted| counted.cpu).eq(0..400));
        let busy = counted
            .iter()
            .filter(|counted| counted.counters.insert == Some(1));
        assert_eq!(busy.count(), 200);
        assert_eq!(CpuStats::total(&counted).insert, Some(200));
        let counted = handle.expectations().cpu_stats().await.unwrap();
        assert!(counted.iter().map(|counted| counted.cpu).eq(0..400));
        // At least one CPU.
        let handle = Kernel::release("6.18").unwrap().cpus(0).build().connect();
        handle.create(new(1)).await.unwrap();
        assert_eq!(handle.cpu_stats().await.unwrap().len(), 1);
    });
}

/// The counters that a release has.
#[test]
fn counters_of_the_cpus() {
    run(async {
        for (release, clashes, chains) in [
            ("4.19", None, None),
            ("5.10", Some(0), None),
            ("6.18", Some(0), Some(0)),
        ] {
            let handle = Kernel::release(release).unwrap().build().connect();
            handle.create(new(1)).await.unwrap();
            let counted = CpuStats::total(&handle.cpu_stats().await.unwrap());
            assert_eq!(counted.insert, Some(1), "{release}");
            assert_eq!(counted.clash_resolve, clashes, "{release}");
            assert_eq!(counted.chain_toolong, chains, "{release}");
        }
    });
}

#[test]
fn timeout_policies() {
    run(async {
        let handle = Kernel::new().connect();
        let policies = handle.timeouts();
        let udp = TwoWayTimeouts::new().unreplied(secs(7));
        let policy = TimeoutPolicy::new("p", Family::Ipv4, Timeouts::Udp(udp));
        policies.create(policy.clone()).await.unwrap();
        let again = policies.create(policy).await.unwrap_err();
        assert!(again.is_already_exists(), "{again}");
        let made = policies.get("p").await.unwrap().unwrap();
        let whole = udp.replied(secs(120));
        assert_eq!(made.timeouts, Timeouts::Udp(whole), "with the default");
        let other = TwoWayTimeouts::new().replied(secs(9));
        policies.update("p", Timeouts::Udp(other)).await.unwrap();
        let made = policies.get("p").await.unwrap().unwrap();
        assert_eq!(made.timeouts, Timeouts::Udp(udp.replied(secs(9))));
        assert_eq!(policies.list().await.unwrap(), [made]);
        policies.delete("p").await.unwrap();
        assert!(policies.delete("p").await.unwrap_err().is_not_found());

        policies.set_defaults(Timeouts::Udp(udp)).await.unwrap();
        let defaults = policies.defaults(Protocol::UDP).await.unwrap();
        assert_eq!(defaults, Timeouts::Udp(whole));
        policies.flush().await.unwrap();
    });
}

#[test]
fn helpers_in_user_space() {
    run(async {
        let handle = Kernel::new().connect();
        let helpers = handle.user_helpers();
        let data = ExpectationPolicy::new("data", 1, secs(300));
        let wanted = UserHelper::new("mine", Family::Ipv4, Protocol::TCP, [data]).queue(7);
        helpers.create(wanted.clone()).await.unwrap();
        let again = helpers.create(wanted.clone()).await.unwrap_err();
        assert!(again.is_already_exists(), "{again}");
        assert_eq!(helpers.list().await.unwrap(), std::slice::from_ref(&wanted));
        let changed = wanted.clone().queue(8).enabled(false);
        helpers.update(changed.clone()).await.unwrap();
        assert_eq!(helpers.get(&wanted).await.unwrap(), Some(changed));
        // Flows with the helper lose it.
        let flow = NewFlow::new(tcp(1), secs(60)).helper("mine");
        handle.create(flow).await.unwrap();
        helpers.delete(&wanted).await.unwrap();
        assert_eq!(helpers.get(&wanted).await.unwrap(), None);
        let flow = handle.get(tcp(1)).await.unwrap().unwrap();
        assert_eq!(flow.helper(), None);
        helpers.flush().await.expect("a flush of none");
    });
}

#[test]
fn a_kernel_that_has_neither() {
    run(async {
        let kernel = Kernel::release("6.18").unwrap();
        let kernel = kernel.without_timeout_policies().without_user_helpers();
        let handle = kernel.build().connect();
        let refused = handle.timeouts().list().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        let refused = handle.user_helpers().list().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        handle.create(new(1)).await.expect("the rest is there");
    });
}
