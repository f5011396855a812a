//! Three nodes with traffic between them. Together, their messages must describe the flows that their tables had.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use conntrack_exporter::message::{Message, What, now};
use ctnetlink::{Counters, Filter, Nat, NewFlow, Table, Tuple};
use futures::TryStreamExt;

use crate::process::{Process, Scratch, connect, eventually, fleet, get, nats_server, set, stream};
use crate::support::namespace::{block_on, isolated};
use crate::support::nft;
use crate::support::peer::Peer;

const METRICS: &str = "127.0.0.1:9466";
const URL: &str = "nats://192.0.2.1:4222";
const PORTS: std::ops::Range<u16> = 7000..7100;

/// A flow of a node, and its bytes.
type Flows = BTreeMap<(String, u32), Option<(Counters, Counters)>>;

fn node(name: &str, url: &str) -> Process {
    set("net/netfilter/nf_conntrack_acct", "1");
    set("net/netfilter/nf_conntrack_timestamp", "1");
    // It runs as long as the namespace exists.
    std::mem::forget(nft::track().expect("rules"));
    let exporter = Process::serve(&[
        "--prometheus",
        METRICS,
        "--nats",
        url,
        "--node",
        name,
        "--begin",
    ]);
    eventually("the exporter is in sync", || {
        (get(METRICS, "/healthz")?.0 == 200).then_some(())
    });
    exporter
}

/// The flows of this test in the table of this namespace.
fn table(node: &str) -> Flows {
    block_on(async {
        let flows = connect().list(Table::Conntrack).await.expect("a list");
        let flows: Vec<_> = flows.try_collect().await.expect("the table");
        flows
            .iter()
            .filter(|flow| is_ours(flow))
            .map(|flow| {
                let counters = flow.counters_orig.zip(flow.counters_reply);
                ((node.to_owned(), flow.id.expect("an id").into()), counters)
            })
            .collect()
    })
}

fn is_ours(flow: &ctnetlink::Flow) -> bool {
    flow.orig
        .dst_port()
        .is_some_and(|port| PORTS.contains(&port))
}

/// The flows of this test that have begun and not ended, and the flows that have ended, each once.
fn told(messages: &[Message]) -> (Flows, Flows) {
    let (mut open, mut ended) = (Flows::new(), Flows::new());
    for message in messages {
        let Some(flow) = message.what.flow().filter(|flow| is_ours(flow)) else {
            continue;
        };
        let key = (message.node.clone(), flow.id.expect("an id").into());
        match &message.what {
            What::Begin { .. } => assert_eq!(open.insert(key, None), None, "begun twice"),
            What::End { .. } => {
                assert!(open.remove(&key).is_some(), "ended before it began");
                let counters = flow.counters_orig.zip(flow.counters_reply);
                assert_eq!(ended.insert(key, counters), None, "ended twice");
            }
            _ => {}
        }
    }
    (open, ended)
}

fn keys(flows: &Flows) -> Vec<&(String, u32)> {
    flows.keys().collect()
}

#[test]
fn the_union_of_the_nodes_is_the_union_of_their_tables() {
    isolated(|| {
        let scratch = Scratch::new("union");
        let (far, beyond) = block_on(async { (Peer::new().await, Peer::beyond().await) });
        let server = nats_server(&scratch);
        let near_node = node("near", URL);
        let far_node = far.run(|| node("far", URL));
        let beyond_node = beyond.run(|| node("beyond", "nats://198.51.100.1:4222"));

        let mut sockets = Sockets::default();
        for n in 0..10 {
            sockets.tcp(Peer::NEAR_V4, 7000 + n, &far);
            sockets.udp(Peer::NEAR_V4, 7020 + n, &far);
            sockets.tcp(Peer::NEAR_BEYOND, 7040 + n, &beyond);
        }
        for n in 0..5 {
            sockets.udp(Peer::NEAR_V6, 7060 + n, &far);
        }
        let tables = || {
            let mut all = table("near");
            all.extend(far.run(|| table("far")));
            all.extend(beyond.run(|| table("beyond")));
            all
        };
        let union = tables();
        // Each connection is a flow on both of its ends.
        assert_eq!(union.len(), 2 * 35);
        eventually("the begun flows are in the stream", || {
            (keys(&told(&stream(URL)).0) == keys(&union)).then_some(())
        });
        assert!(told(&stream(URL)).1.is_empty());

        // The sum of the last counters of each flow.
        let union = tables();
        let ours = || {
            block_on(async {
                let mut deleted = 0;
                for protocol in [6, 17] {
                    let filter = Filter::builder().protocol(protocol);
                    let filter = filter.orig_dst_port(PORTS.start..=PORTS.end - 1).build();
                    let report = connect().delete_matching(filter.expect("a filter")).await;
                    deleted += report.expect("deleted").applied;
                }
                deleted
            })
        };
        assert_eq!(ours() + far.run(ours) + beyond.run(ours), 70);
        eventually("the ended flows are in the stream", || {
            let (open, ended) = told(&stream(URL));
            (open.is_empty() && keys(&ended) == keys(&union)).then_some(())
        });
        assert_eq!(told(&stream(URL)).1, union, "with their last counters");
        assert!(tables().is_empty());
        let talked = fleet(&["--nats", URL, "talked", "192.0.2.2"]);
        let of_ours = |line: &&str| {
            let message: Message = serde_json::from_str(line).expect("a message");
            message.what.flow().is_some_and(is_ours)
        };
        assert_eq!(talked.lines().filter(of_ours).count(), 2 * 20);
        drop((near_node, far_node, beyond_node, server, sockets));
    });
}

/// The output of `fleet --follow`, line by line.
fn follow(question: &[&str]) -> (Process, Receiver<String>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conntrack-exporter"));
    command
        .args(["fleet", "--nats", URL, "--follow"])
        .args(question);
    let (process, output) = Process::start_read(&mut command);
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    (process, lines)
}

fn next(lines: &Receiver<String>) -> String {
    lines.recv_timeout(Duration::from_secs(60)).expect("a line")
}

#[test]
fn questions_about_all_nodes_are_answered_live_and_for_a_time() {
    isolated(|| {
        let scratch = Scratch::new("live");
        let far = block_on(Peer::new());
        let server = nats_server(&scratch);
        let near_node = node("near", URL);
        let far_node = far.run(|| node("far", URL));
        let (talked, ends) = follow(&["talked", "10.1.0.1"]);
        let (top, sums) = follow(&["top", "--by", "destination", "--n", "1"]);

        // Both have the same translated source, one after the other.
        let nat = |source: &str| {
            let source = source.parse().unwrap();
            let tuple = Tuple::udp(source, "198.51.100.9:53".parse().unwrap()).unwrap();
            let nat = Nat::to("203.0.113.7".parse::<IpAddr>().unwrap()).port(40_000);
            let flow = NewFlow::new(tuple, Duration::from_secs(60)).source_nat(nat);
            block_on(async {
                let handle = connect();
                handle.create(flow).await.expect("created");
                let during = now();
                // Times are asked for in whole seconds, so each flow lasts longer than one.
                tokio::time::sleep(Duration::from_millis(1100)).await;
                handle.delete(tuple).await.expect("deleted");
                tokio::time::sleep(Duration::from_millis(1100)).await;
                during
            })
        };
        let first = nat("10.1.0.1:5000");
        let second = far.run(|| nat("10.1.0.2:5000"));
        let source = |line: &str| {
            let message: Message = serde_json::from_str(line).expect("a message");
            let flow = message.what.flow().cloned().expect("a flow");
            (message.node, flow.orig.src().to_string())
        };
        assert_eq!(source(&next(&ends)), ("near".into(), "10.1.0.1".into()));
        loop {
            if next(&sums).starts_with("198.51.100.9\t2 flows\t") {
                break;
            }
        }
        let had_at = |at: &str| {
            let answer = fleet(&["--nats", URL, "nat", "203.0.113.7", "40000", "--at", at]);
            answer.lines().map(source).collect::<Vec<_>>()
        };
        // The first whole second during the flow.
        let seconds = |nanos: u64| (nanos / 1_000_000_000 + 1).to_string();
        assert_eq!(
            had_at(&seconds(first)),
            [("near".into(), "10.1.0.1".into())]
        );
        assert_eq!(
            had_at(&seconds(second)),
            [("far".into(), "10.1.0.2".into())]
        );
        assert!(had_at("1000").is_empty());
        drop((talked, top, near_node, far_node, server));
    });
}

/// Open connections.
#[derive(Default)]
struct Sockets {
    tcp: Vec<(TcpListener, TcpStream)>,
    udp: Vec<(UdpSocket, UdpSocket)>,
}

impl Sockets {
    fn tcp(&mut self, address: IpAddr, port: u16, from: &Peer) {
        let at = SocketAddr::new(address, port);
        let listener = TcpListener::bind(at).expect("a listener");
        let stream = from.run(|| TcpStream::connect(at)).expect("a connection");
        self.tcp.push((listener, stream));
    }

    /// Sends a datagram in each direction.
    fn udp(&mut self, address: IpAddr, port: u16, from: &Peer) {
        let at = SocketAddr::new(address, port);
        let server = UdpSocket::bind(at).expect("a socket");
        let any = if at.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
        let client = from.run(|| UdpSocket::bind(any)).expect("a socket");
        client.connect(at).expect("connected");
        client.send(b"hello").expect("sent");
        let mut buffer = [0; 16];
        let (_, back) = server.recv_from(&mut buffer).expect("received");
        server.send_to(b"hello", back).expect("sent");
        client.recv(&mut buffer).expect("received");
        self.udp.push((server, client));
    }
}
