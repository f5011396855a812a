//! Expectations, statistics and timeout policies, compared with conntrack(8) and nfct(8).

use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, Expectation, ExpectationFlags, Family, NewExpectation, NewFlow, Protocol,
    SctpTimeouts, SingleTimeout, TcpTimeouts, TimeoutPolicy, Timeouts, Tuple, TupleMask,
    TwoWayTimeouts,
};

use futures::TryStreamExt;

use crate::tool::{conntrack, nfct};
use crate::wait::until_equal;

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn at(text: &str) -> std::net::SocketAddr {
    text.parse().expect("an address")
}

fn connect() -> ConntrackHandle {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    tokio::spawn(connection);
    handle
}

/// Creates a flow with a helper, and an expectation of the flow.
async fn expect(handle: &ConntrackHandle, helper: &str, control: Tuple, new: NewExpectation) {
    let flow = NewFlow::new(control, secs(3600)).helper(helper);
    handle.create(flow).await.expect("a flow");
    handle
        .expectations()
        .create(new)
        .await
        .expect("an expectation");
}

/// Creates expectations, and returns their number.
async fn expectations(handle: &ConntrackHandle) -> usize {
    let control = Tuple::tcp(at("10.0.0.1:1000"), at("10.0.0.2:21")).expect("a tuple");
    let ftp = Tuple::tcp(at("10.0.0.2:0"), at("10.0.0.1:10000")).expect("a tuple");
    expect(handle, "ftp", control, NewExpectation::new(control, ftp)).await;
    let control = Tuple::udp(at("10.0.0.3:1000"), at("10.0.0.4:5060")).expect("a tuple");
    let sip = Tuple::udp(at("10.0.0.4:5"), at("10.0.0.3:10001")).expect("a tuple");
    let mask = TupleMask::new(&sip, "255.255.255.0".parse().expect("bits"), 65535);
    let new = NewExpectation::new(control, sip)
        .mask(mask.expect("a mask"))
        .class(1)
        .flags(ExpectationFlags::PERMANENT | ExpectationFlags::INACTIVE)
        .timeout(secs(7777));
    expect(handle, "sip", control, new).await;
    let control = Tuple::udp(at("10.0.0.5:1000"), at("10.0.0.6:5060")).expect("a tuple");
    let (src, dst) = (at("10.0.0.6:0").ip(), at("10.0.0.5:0").ip());
    let ospf = Tuple::generic(src, dst, 89).expect("a tuple");
    expect(
        handle,
        "sip",
        control,
        NewExpectation::new(control, ospf).class(2),
    )
    .await;
    let control = Tuple::udp(at("10.0.0.7:1000"), at("10.0.0.8:5060")).expect("a tuple");
    let gre = Tuple::gre(at("10.0.0.8:0").ip(), at("10.0.0.7:0").ip(), 0, 5).expect("a tuple");
    expect(handle, "sip", control, NewExpectation::new(control, gre)).await;
    4
}

/// The timeout at the beginning of the line, and the rest.
fn ticking(line: &str) -> (u64, &str) {
    let (timeout, rest) = line.split_once(' ').expect("a timeout");
    (timeout.parse().expect("seconds"), rest)
}

/// Every line of `-L expect`, except for the time that passes between the two lists.
pub async fn lines_of_expectations() {
    let handle = connect();
    let made = expectations(&handle).await;
    let list = handle.expectations().list().await.expect("a list");
    let found: Vec<Expectation> = list.try_collect().await.expect("expectations");
    let ours: Vec<_> = found.iter().map(Expectation::to_string).collect();
    assert_eq!(ours.len(), made);
    let listing = conntrack("-L expect");
    let mut theirs: Vec<_> = listing.lines().map(ticking).collect();
    assert_eq!(theirs.len(), ours.len(), "{listing}");
    for line in &ours {
        let (left, words) = ticking(line);
        let place = theirs.iter().position(|(_, theirs)| *theirs == words);
        let (then, _) = theirs.remove(place.unwrap_or_else(|| panic!("{line}\n{listing}")));
        assert!(then.abs_diff(left) < 60, "{line}\n{listing}");
    }
}

/// We list what the tool creates and flushes, and the other way round. The expectations are UDP,
/// because conntrack 1.4.7 does not parse the ports of a TCP tuple.
pub async fn their_expectations() {
    let handle = connect();
    let control = Tuple::udp(at("10.0.0.1:1000"), at("10.0.0.2:69")).expect("a tuple");
    let flow = NewFlow::new(control, secs(3600)).helper("tftp");
    handle.create(flow).await.expect("a flow");
    conntrack(
        "-I expect -p udp --orig-src 10.0.0.1 --orig-dst 10.0.0.2 --sport 1000 --dport 69 \
         --tuple-src 10.0.0.2 --tuple-dst 10.0.0.1 --tuple-port-src 0 --tuple-port-dst 1000 \
         --mask-src 255.255.255.255 --mask-dst 255.255.255.255 --mask-port-src 0 \
         --mask-port-dst 65535 --timeout 100",
    );
    let data = Tuple::udp(at("10.0.0.2:0"), at("10.0.0.1:1000")).expect("a tuple");
    let found = handle.expectations().get(data).await.expect("an answer");
    let found = found.unwrap_or_else(|| panic!("{}", conntrack("-L expect")));
    assert_eq!(
        (found.master, found.mask),
        (control, TupleMask::any_src_port(&data))
    );
    handle
        .expectations()
        .delete(&found)
        .await
        .expect("a delete");
    assert_eq!(conntrack("-L expect"), "");
    let new = NewExpectation::new(control, data);
    handle.expectations().create(new).await.expect("a create");
    conntrack("-F expect");
    assert_eq!(
        handle.expectations().get(data).await.expect("an answer"),
        None
    );
}

/// `-S`, `-S expect` and `-C`, byte for byte.
pub async fn statistics() {
    let handle = connect();
    expectations(&handle).await;
    until_equal(async || {
        let stats = handle.cpu_stats().await.expect("counters");
        let ours: String = stats.iter().map(|cpu| format!("{cpu}\n")).collect();
        let theirs = conntrack("-S");
        // The tool has other names for unknown counters.
        match ours == theirs {
            true => Ok(()),
            false => Err(format!("\n{ours}\n{theirs}")),
        }
    })
    .await;
    let stats = handle.expectations().cpu_stats().await.expect("counters");
    let ours: String = stats.iter().map(|cpu| format!("{cpu}\n")).collect();
    assert_eq!(ours, conntrack("-S expect"));
    let stats = handle.stats().await.expect("statistics");
    assert_eq!(format!("{stats}\n"), conntrack("-C"));
}

/// The text of nfct(8) for a policy of each protocol.
pub async fn timeout_policies() {
    let handle = connect();
    let two_way = TwoWayTimeouts::new().unreplied(secs(11)).replied(secs(12));
    let single = SingleTimeout::new().timeout(secs(13));
    for (name, family, timeouts) in [
        (
            "tcp",
            Family::Ipv4,
            TcpTimeouts::new().close(secs(7)).into(),
        ),
        ("udp", Family::Ipv6, Timeouts::Udp(two_way)),
        ("udplite", Family::Ipv4, Timeouts::UdpLite(two_way)),
        (
            "sctp",
            Family::Ipv6,
            SctpTimeouts::new().closed(secs(5)).into(),
        ),
        ("gre", Family::Ipv4, Timeouts::Gre(two_way)),
        ("icmp", Family::Ipv4, Timeouts::Icmp(single)),
        ("icmpv6", Family::Ipv6, Timeouts::Icmpv6(single)),
        ("generic", Family::Ipv4, Timeouts::Generic(single)),
    ] {
        let policy = TimeoutPolicy::new(name, family, timeouts);
        handle.timeouts().create(policy).await.expect("a create");
        let ours = handle.timeouts().get(name).await.expect("an answer");
        let theirs = nfct(&format!("get timeout {name}"));
        assert_eq!(known(&ours.expect("a policy")), theirs);
    }
    let listing = nfct("list timeout");
    let list = handle.timeouts().list().await.expect("a list");
    assert_eq!(list.len(), 8);
    let ours: String = list.iter().map(known).collect();
    assert_eq!(ours, listing);
}

/// The text of nfct(8), which does not know the heartbeat states of SCTP.
fn known(policy: &TimeoutPolicy) -> String {
    let shown = format!("{policy}\n");
    let lines = shown.split_inclusive('\n');
    lines.filter(|line| !line.contains("HEARTBEAT")).collect()
}

/// We list the policies that the tool adds, and the other way round.
pub async fn their_timeout_policies() {
    let handle = connect();
    let wanted = TcpTimeouts::new().established(secs(100)).syn_sent(secs(9));
    let words = Timeouts::from(wanted).to_string();
    nfct(&format!("add timeout p1 inet tcp {words}"));
    let policy = handle
        .timeouts()
        .get("p1")
        .await
        .expect("an answer")
        .expect("a policy");
    let defaults = handle
        .timeouts()
        .defaults(Protocol::TCP)
        .await
        .expect("defaults");
    let Timeouts::Tcp(defaults) = defaults else {
        panic!("{defaults:?}");
    };
    let all = defaults.established(secs(100)).syn_sent(secs(9));
    assert_eq!(policy.timeouts, Timeouts::Tcp(all));
    assert_eq!(
        (policy.family, policy.use_count),
        (Some(Family::Ipv4), Some(1))
    );
    nfct("add timeout p2 inet6 sctp CLOSED 77");
    let policy = handle
        .timeouts()
        .get("p2")
        .await
        .expect("an answer")
        .expect("a policy");
    let Timeouts::Sctp(SctpTimeouts { closed, .. }) = policy.timeouts else {
        panic!("{policy}");
    };
    assert_eq!(
        (closed, policy.family),
        (Some(secs(77)), Some(Family::Ipv6))
    );
    nfct("delete timeout p1");
    assert_eq!(handle.timeouts().get("p1").await.expect("an answer"), None);
    handle.timeouts().delete("p2").await.expect("a delete");
    assert_eq!(nfct("list timeout"), "");
}

/// The defaults are read and set by both.
pub async fn default_timeouts() {
    let handle = connect();
    nfct("default-set timeout inet udp REPLIED 77 UNREPLIED 66");
    let udp = handle
        .timeouts()
        .defaults(Protocol::UDP)
        .await
        .expect("defaults");
    let both = TwoWayTimeouts::new().unreplied(secs(66)).replied(secs(77));
    assert_eq!(udp, Timeouts::Udp(both));
    let close = TcpTimeouts::new().close(secs(33));
    handle
        .timeouts()
        .set_defaults(close)
        .await
        .expect("defaults");
    let theirs = nfct("default-get timeout inet tcp");
    assert!(theirs.contains("\t\t.CLOSE = 33,\n"), "{theirs}");
    let ours = handle
        .timeouts()
        .defaults(Protocol::TCP)
        .await
        .expect("defaults");
    // The tool prints the text of a policy without its first line.
    let ours = TimeoutPolicy::new("it", Family::Ipv4, ours).to_string();
    assert_eq!(
        format!("{}\n", ours.split_once('\n').expect("lines").1),
        theirs
    );
}
