//! Expectations, compared with conntrack(8). No command line creates one without a helper.

use std::net::SocketAddr;
use std::time::Duration;

use ctnetlink::{ConntrackHandle, NewExpectation, NewFlow, Tuple};

use crate::differences;
use crate::events::{Listener, until};
use crate::normal::normal;
use crate::population;
use crate::run::{Side, run};
use crate::support::namespace::block_on;

/// Commands that read expectations.
const READ: &[&str] = &[
    "-L expect",
    "-L expect -f ipv4",
    "-L expect -f ipv6",
    "-L expect -o xml",
    "-L expect -o extended",
    "-L expect -o id",
    "-L expect -o timestamp",
    "-L expect -o ktimestamp",
    "-L expect -o labels",
    "-L expect -o save",
    "-L expect -o xml,extended",
    "-L expect -o xml,timestamp",
    "-C expect",
    "-S expect",
];

const MASTER: &str = "-p udp -s 10.3.0.1 -d 10.4.0.1 --sport 4000 --dport 69";
const EXPECTED: &str =
    "-p udp -s 10.4.0.1 -d 10.3.0.1 --sport 0 --dport 7777 --reply-port-src 0 --reply-port-dst 0";

/// Commands that change them.
const CHANGE: &[&str] = &[
    "-F expect",
    "-D expect @EXPECTED",
    "-D expect -p udp -s 10.4.0.1 -d 10.3.0.1 --sport 0 --dport 7778 --reply-port-src 0 --reply-port-dst 0",
    "-G expect @EXPECTED",
    "-G expect -p udp -s 10.4.0.1 -d 10.3.0.1 --sport 0 --dport 7778 --reply-port-src 0 --reply-port-dst 0",
    "-I expect @MASTER -t 100 --tuple-src 10.4.0.1 --tuple-dst 10.3.0.1 --tuple-port-src 0 \
     --tuple-port-dst 6666 --mask-src 255.255.255.255 --mask-dst 255.255.255.255 --mask-port-src 0 \
     --mask-port-dst 65535",
    "-I expect -p udp -s 10.3.0.1 -d 10.4.0.1 --sport 4001 --dport 69 -t 100 --tuple-src 10.4.0.1 \
     --tuple-dst 10.3.0.1 --tuple-port-src 0 --tuple-port-dst 6666 --mask-src 255.255.255.255 \
     --mask-dst 255.255.255.255 --mask-port-src 0 --mask-port-dst 65535",
];

fn udp(src: &str, dst: &str) -> Tuple {
    let end = |text: &str| text.parse::<SocketAddr>().expect("an address");
    Tuple::udp(end(src), end(dst)).expect("a tuple")
}

fn with_handle<R>(f: impl AsyncFnOnce(ConntrackHandle) -> R) -> R {
    block_on(async {
        let (connection, handle) = ctnetlink::new_connection().expect("a connection");
        tokio::spawn(connection);
        f(handle).await
    })
}

/// Creates an IPv4 and an IPv6 expectation. Returns `false` if the kernel has no such helper.
fn fill() -> bool {
    run(Side::Theirs, "conntrack", "-F expect");
    run(Side::Theirs, "conntrack", "-F");
    with_handle(async |handle| {
        for (client, server, expected, at) in [
            (
                "10.3.0.1:4000",
                "10.4.0.1:69",
                "10.4.0.1:0",
                "10.3.0.1:7777",
            ),
            (
                "[fd00::1]:4000",
                "[fd00::2]:69",
                "[fd00::2]:0",
                "[fd00::1]:7777",
            ),
        ] {
            let master = udp(client, server);
            let hour = Duration::from_secs(3600);
            let flow = NewFlow::new(master, hour).helper("tftp");
            if handle.create(flow).await.is_err() {
                return false;
            }
            let new = NewExpectation::new(master, udp(expected, at)).timeout(hour);
            handle
                .expectations()
                .create(new)
                .await
                .expect("an expectation");
        }
        true
    })
}

/// The same output, and the same expectations afterwards.
pub fn beside() {
    population::prepare();
    if !fill() {
        eprintln!("this kernel has no helper of TFTP");
        return;
    }
    let left = || normal(&run(Side::Theirs, "conntrack", "-L expect"));
    let mut unequal = Vec::new();
    for line in READ {
        let one = |side| normal(&run(side, "conntrack", line));
        let (theirs, ours) = (one(Side::Theirs), one(Side::Ours));
        if theirs != ours {
            unequal.push(format!("{line}\n  {theirs:?}\n  {ours:?}"));
        }
    }
    for line in CHANGE {
        let line = line
            .replace("@MASTER", MASTER)
            .replace("@EXPECTED", EXPECTED);
        if differences::reason(&line).is_some() {
            continue;
        }
        let one = |side| {
            assert!(fill(), "{line}");
            (normal(&run(side, "conntrack", &line)), left())
        };
        let (theirs, ours) = (one(Side::Theirs), one(Side::Ours));
        if theirs != ours {
            unequal.push(format!("{line}\n  {theirs:?}\n  {ours:?}"));
        }
    }
    assert!(unequal.is_empty(), "{}", unequal.join("\n"));
}

/// Events of expectations, in each format.
pub fn events() {
    population::prepare();
    if !fill() {
        eprintln!("this kernel has no helper of TFTP");
        return;
    }
    let lines = ["-E expect", "-E expect -o xml", "-E expect -o timestamp"];
    let numbers = 100..;
    let running: Vec<_> = lines
        .into_iter()
        .zip(numbers)
        .map(|(line, number)| {
            let theirs = Listener::start(Side::Theirs, line, number);
            (line, theirs, Listener::start(Side::Ours, line, number))
        })
        .collect();
    // The expectations end, and new ones begin.
    assert!(fill());
    until("all is printed", || {
        let mut all = running.iter().flat_map(|(_, theirs, ours)| [theirs, ours]);
        all.all(|listener| {
            let text = listener.text();
            text.matches("dport=7777").count() + text.matches("<dport>7777").count() >= 4
        })
    });
    for (line, theirs, ours) in running {
        let (theirs, ours) = (theirs.end(), ours.end());
        assert_eq!(theirs, ours, "{line}");
    }
}
