//! Timeout policies: every verb, and what the kernel refuses.

use std::fs;
use std::time::{Duration, Instant};

use ctnetlink::{
    ConntrackHandle, ErrorKind, Family, Flow, Protocol, SctpTimeouts, SingleTimeout, TcpTimeouts,
    TimeoutPolicy, Timeouts, TwoWayTimeouts,
};
use libtest_mimic::Trial;
use tokio::time::sleep;

use crate::common::connect;
use crate::support::{nft, patience, visible};
use crate::verbs::refused;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["timeouts":
        one_is_created_got_and_deleted,
        what_is_not_named_takes_the_defaults,
        an_update_keeps_what_it_does_not_name,
        one_that_is_there_is_not_changed_by_a_create,
        what_is_not_there_is_not_found,
        one_that_a_rule_uses,
        a_list_has_them_all_and_a_flush_removes_them,
        of_each_protocol,
        a_protocol_without_timeouts,
        input_is_refused_before_anything_is_sent,
        defaults_are_those_of_the_settings,
        defaults_are_set_one_by_one,
    ]
}

const MOMENT: Duration = Duration::from_millis(10);

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn tcp(timeouts: &Timeouts) -> TcpTimeouts {
    match timeouts {
        Timeouts::Tcp(timeouts) => *timeouts,
        other => panic!("{other:?}"),
    }
}

async fn got(handle: &ConntrackHandle, name: &str) -> TimeoutPolicy {
    let policy = handle.timeouts().get(name).await.expect("an answer");
    policy.unwrap_or_else(|| panic!("there is no {name}"))
}

async fn create(handle: &ConntrackHandle, name: &str, timeouts: impl Into<Timeouts>) {
    let policy = TimeoutPolicy::new(name, Family::Ipv4, timeouts);
    handle.timeouts().create(policy).await.expect("a create");
}

async fn one_is_created_got_and_deleted() {
    let handle = connect();
    let timeouts = handle.timeouts();
    assert_eq!(timeouts.get("p").await.expect("an answer"), None);
    let udp = TwoWayTimeouts::new().unreplied(secs(7)).replied(secs(8));
    let mut policy = TimeoutPolicy::new("p", Family::Ipv6, Timeouts::Udp(udp));
    timeouts.create(policy.clone()).await.expect("a create");
    policy.use_count = Some(1);
    assert_eq!(got(&handle, "p").await, policy);
    timeouts.delete("p").await.expect("a delete");
    assert_eq!(timeouts.get("p").await.expect("an answer"), None);
}

async fn what_is_not_named_takes_the_defaults() {
    let handle = connect();
    let day = TcpTimeouts::new().close_wait(secs(86_400));
    handle.timeouts().set_defaults(day).await.expect("defaults");
    let defaults = handle
        .timeouts()
        .defaults(Protocol::TCP)
        .await
        .expect("defaults");
    create(&handle, "p", TcpTimeouts::new().close(secs(3))).await;
    let timeouts = tcp(&got(&handle, "p").await.timeouts);
    assert_eq!(timeouts.close_wait, Some(secs(86_400)));
    assert_eq!(timeouts, tcp(&defaults).close(secs(3)));
}

/// The kernel's REPLACE alone would reset the other timeouts.
async fn an_update_keeps_what_it_does_not_name() {
    let handle = connect();
    let first = TcpTimeouts::new().established(secs(1000)).close(secs(3));
    create(&handle, "p", first).await;
    let before = tcp(&got(&handle, "p").await.timeouts);
    let change = TcpTimeouts::new().close(secs(4));
    handle
        .timeouts()
        .update("p", change)
        .await
        .expect("an update");
    let after = got(&handle, "p").await;
    assert_eq!(tcp(&after.timeouts), before.close(secs(4)));
    assert_eq!(after.family, Some(Family::Ipv4));
    let other = Timeouts::Udp(TwoWayTimeouts::new().replied(secs(1)));
    let update = handle.timeouts().update("p", other).await;
    refused(update, ErrorKind::InvalidInput, &["of udp", "of tcp"]);
    assert_eq!(got(&handle, "p").await, after);
}

async fn one_that_is_there_is_not_changed_by_a_create() {
    let handle = connect();
    create(&handle, "p", TcpTimeouts::new().close(secs(3))).await;
    let before = got(&handle, "p").await;
    let again = TimeoutPolicy::new("p", Family::Ipv4, TcpTimeouts::new().close(secs(4)));
    let created = handle.timeouts().create(again).await;
    let names = [
        "creating a timeout policy",
        "already",
        "an update changes it",
    ];
    let error = refused(created, ErrorKind::AlreadyExists, &names);
    assert_eq!(error.errno(), Some(nix::libc::EEXIST));
    assert_eq!(got(&handle, "p").await, before);
}

async fn what_is_not_there_is_not_found() {
    let handle = connect();
    let timeouts = handle.timeouts();
    let words = ["no timeout policy of this name"];
    refused(timeouts.delete("p").await, ErrorKind::NotFound, &words);
    let update = timeouts
        .update("p", TcpTimeouts::new().close(secs(4)))
        .await;
    refused(update, ErrorKind::NotFound, &words);
    assert_eq!(timeouts.get("p").await.expect("an answer"), None);
}

/// Older kernels count the rules that use a policy, and do not delete it. Later kernels count
/// differently, and remove the name. The rule then still uses the policy.
async fn one_that_a_rule_uses() {
    let handle = connect();
    let timeouts = handle.timeouts();
    let idle = TwoWayTimeouts::new()
        .unreplied(secs(7777))
        .replied(secs(7777));
    create(&handle, "p", Timeouts::Udp(idle)).await;
    create(&handle, "free", Timeouts::Udp(idle)).await;
    let _track = nft::track().expect("a rule");
    let rule = nft::timeout_policy("p", Protocol::UDP.number()).expect("a rule");
    let keeps_it_for_rules = match got(&handle, "p").await.use_count {
        Some(2) => true,
        Some(3) => false,
        other => panic!("{other:?}"),
    };
    let flow = of_a_rule(&handle).await;
    if keeps_it_for_rules {
        handle.delete(&flow).await.expect("its end");
        let deleted = timeouts.delete("p").await;
        let words = [
            "deleting a timeout policy",
            "a rule uses",
            "iptables -t raw",
        ];
        let error = refused(deleted, ErrorKind::Busy, &words);
        assert_eq!(error.errno(), Some(nix::libc::EBUSY));
        // A flush skips a policy that is in use.
        timeouts.flush().await.expect("a flush");
        assert_eq!(names(&handle).await, ["p"]);
        rule.delete().expect("to take the rule away");
        // The kernel removes the rule some time later.
        let patience = Instant::now() + patience::answer();
        while let Err(error) = timeouts.delete("p").await {
            assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
            assert!(Instant::now() < patience, "it is busy for ever");
            sleep(MOMENT).await;
        }
    } else {
        assert_eq!(got(&handle, "p").await.use_count, Some(4), "and the flow");
        timeouts.delete("p").await.expect("a delete");
        assert_eq!(names(&handle).await, ["free"]);
        of_a_rule(&handle).await;
        timeouts.flush().await.expect("a flush");
        rule.delete().expect("to take the rule away");
    }
    assert!(names(&handle).await.is_empty());
}

/// A flow that has the timeout of the policy.
async fn of_a_rule(handle: &ConntrackHandle) -> Flow {
    let server = "127.0.0.1:0".parse().expect("an address");
    let (_sockets, flow) = visible::udp(handle, server).await.expect("a flow");
    assert!(flow.timeout > Some(secs(7000)), "{flow}");
    flow
}

async fn names(handle: &ConntrackHandle) -> Vec<String> {
    let all = handle.timeouts().list().await.expect("a list");
    all.iter().map(|policy| policy.name.to_string()).collect()
}

async fn a_list_has_them_all_and_a_flush_removes_them() {
    let handle = connect();
    let timeouts = handle.timeouts();
    assert_eq!(timeouts.list().await.expect("a list"), []);
    // More policies than one datagram has room for.
    for n in 0..300 {
        create(
            &handle,
            &format!("policy-{n}"),
            TcpTimeouts::new().close(secs(n)),
        )
        .await;
    }
    let mut list = timeouts.list().await.expect("a list");
    assert_eq!(list.len(), 300);
    list.sort_by_key(|policy| tcp(&policy.timeouts).close);
    for (n, policy) in list.iter().enumerate() {
        assert_eq!(*policy.name, format!("policy-{n}"));
        assert_eq!(tcp(&policy.timeouts).close, Some(secs(n as u64)));
    }
    timeouts.flush().await.expect("a flush");
    assert_eq!(timeouts.list().await.expect("a list"), []);
    timeouts.flush().await.expect("a flush of nothing");
}

async fn of_each_protocol() {
    let handle = connect();
    let two_way = TwoWayTimeouts::new().unreplied(secs(11)).replied(secs(12));
    let single = SingleTimeout::new().timeout(secs(13));
    let sctp = SctpTimeouts::new()
        .heartbeat_sent(secs(14))
        .heartbeat_acked(secs(16))
        .closed(secs(15));
    for (name, timeouts) in [
        ("udp", Timeouts::Udp(two_way)),
        ("gre", Timeouts::Gre(two_way)),
        ("icmp", Timeouts::Icmp(single)),
        ("icmpv6", Timeouts::Icmpv6(single)),
        ("generic", Timeouts::Generic(single)),
    ] {
        create(&handle, name, timeouts).await;
        assert_eq!(got(&handle, name).await.timeouts, timeouts);
    }
    create(&handle, "sctp", sctp).await;
    let Timeouts::Sctp(found) = got(&handle, "sctp").await.timeouts else {
        panic!("not SCTP");
    };
    assert_eq!(
        (found.heartbeat_sent, found.heartbeat_acked, found.closed),
        (Some(secs(14)), Some(secs(16)), Some(secs(15)))
    );
    assert!(found.established.is_some());
    // An update keeps the timeouts that it does not name.
    let update = handle
        .timeouts()
        .update("sctp", SctpTimeouts::new().closed(secs(17)));
    update.await.expect("an update");
    let Timeouts::Sctp(updated) = got(&handle, "sctp").await.timeouts else {
        panic!("not SCTP");
    };
    assert_eq!(updated, found.closed(secs(17)));
    // Newer kernels have no trackers for UDP-Lite and DCCP.
    for lost in [Protocol::UDPLITE, Protocol::DCCP] {
        let policy = TimeoutPolicy::new("lost", Family::Ipv4, Timeouts::unset(lost));
        match handle.timeouts().create(policy).await {
            Ok(()) => handle.timeouts().delete("lost").await.expect("a delete"),
            created => drop(refused(
                created,
                ErrorKind::Unsupported,
                &["for the protocol"],
            )),
        }
    }
}

async fn a_protocol_without_timeouts() {
    let handle = connect();
    let defaults = handle.timeouts().defaults(Protocol::OSPF).await;
    let error = refused(
        defaults,
        ErrorKind::Unsupported,
        &["for the protocol", "Generic"],
    );
    assert_eq!(error.errno(), Some(nix::libc::EOPNOTSUPP));
    let ospf = Timeouts::unset(Protocol::OSPF);
    let set = handle.timeouts().set_defaults(ospf).await;
    refused(set, ErrorKind::InvalidInput, &["protocol ospf"]);
}

async fn input_is_refused_before_anything_is_sent() {
    let handle = connect();
    let timeouts = handle.timeouts();
    let long = TcpTimeouts::new().close(secs(4_294_968));
    create(&handle, "p", TcpTimeouts::new()).await;
    let before = got(&handle, "p").await;
    let policy = |name: &str| TimeoutPolicy::new(name, Family::Ipv4, long);
    refused(
        timeouts.create(policy("q")).await,
        ErrorKind::InvalidInput,
        &["CLOSE"],
    );
    refused(
        timeouts.update("p", long).await,
        ErrorKind::InvalidInput,
        &["CLOSE"],
    );
    refused(
        timeouts.set_defaults(long).await,
        ErrorKind::InvalidInput,
        &["CLOSE"],
    );
    // Without a name a delete would be a flush.
    for name in ["", "a\0", "a-name-of-more-than-thirty-one-bytes"] {
        refused(
            timeouts.delete(name).await,
            ErrorKind::InvalidInput,
            &["name"],
        );
        refused(timeouts.get(name).await, ErrorKind::InvalidInput, &["name"]);
        let update = timeouts.update(name, TcpTimeouts::new()).await;
        refused(update, ErrorKind::InvalidInput, &["name"]);
    }
    assert_eq!(timeouts.list().await.expect("a list"), [before]);
}

fn setting(name: &str) -> Option<Duration> {
    let path = format!("/proc/sys/net/netfilter/nf_conntrack_{name}");
    fs::read_to_string(path).ok()?.trim().parse().ok().map(secs)
}

async fn defaults_are_those_of_the_settings() {
    let handle = connect();
    let defaults = tcp(&handle
        .timeouts()
        .defaults(Protocol::TCP)
        .await
        .expect("defaults"));
    assert_eq!(defaults.established, setting("tcp_timeout_established"));
    assert_eq!(
        defaults.unacknowledged,
        setting("tcp_timeout_unacknowledged")
    );
    let generic = handle.timeouts().defaults(255).await.expect("defaults");
    let Timeouts::Generic(generic) = generic else {
        panic!("{generic:?}");
    };
    assert_eq!(generic.timeout, setting("generic_timeout"));
    for protocol in [
        Protocol::UDP,
        Protocol::ICMP,
        Protocol::ICMPV6,
        Protocol::GRE,
        Protocol::SCTP,
    ] {
        let defaults = handle
            .timeouts()
            .defaults(protocol)
            .await
            .expect("defaults");
        assert_eq!(defaults.protocol(), protocol);
        assert!(
            defaults.iter().all(|(_, timeout)| timeout.is_some()),
            "{defaults:?}"
        );
    }
}

async fn defaults_are_set_one_by_one() {
    let handle = connect();
    let timeouts = handle.timeouts();
    let before = tcp(&timeouts.defaults(Protocol::TCP).await.expect("defaults"));
    let change = TcpTimeouts::new().close(secs(77));
    timeouts.set_defaults(change).await.expect("a change");
    let after = tcp(&timeouts.defaults(Protocol::TCP).await.expect("defaults"));
    assert_eq!(after, before.close(secs(77)));
    assert_eq!(setting("tcp_timeout_close"), Some(secs(77)));
    for (timeouts_of, name) in [
        (
            Timeouts::Generic(SingleTimeout::new().timeout(secs(78))),
            "generic_timeout",
        ),
        (
            Timeouts::Icmpv6(SingleTimeout::new().timeout(secs(79))),
            "icmpv6_timeout",
        ),
        (
            Timeouts::Udp(TwoWayTimeouts::new().replied(secs(80))),
            "udp_timeout_stream",
        ),
    ] {
        timeouts.set_defaults(timeouts_of).await.expect("a change");
        assert!(
            timeouts_of
                .iter()
                .any(|(_, timeout)| timeout == setting(name)),
            "{name}"
        );
    }
}
