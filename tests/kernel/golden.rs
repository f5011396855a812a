//! The bytes of the running kernel for every kind of flow: in a list, in events, and in
//! expectations.
//!
//! The messages are written to the file `CTNETLINK_GOLDEN`, each with its decoded form.
//! `tests/kernels/run --golden` keeps them, and the test `replay` decodes them on every machine.

use std::fmt::Debug;
use std::time::Duration;
use std::{env, fs};

use ctnetlink::{
    ConntrackHandle, Event, Expectation, Flow, NewExpectation, NewFlow, Status, Tuple,
};
use libtest_mimic::Trial;
use nix::libc::{IPPROTO_GRE, IPPROTO_SCTP};

use crate::common::connect;
use crate::filter::population;
use crate::scenarios::bytes::{kind, message, split};
use crate::scenarios::sides::{Real, Side};
use crate::support::namespace::sysctl;
use crate::support::traffic::{packet, raw};
use crate::support::{nft, visible};

const NEW: u16 = 0x0100;
const DESTROY: u16 = 0x0102;
const EXPECT_NEW: u16 = 0x0200;
const EXPECT_DESTROY: u16 = 0x0202;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;

pub(crate) fn tests() -> Vec<Trial> {
    crate::trials!["golden": every_kind,]
}

/// The text of the file: for each message a line with its kind, its bytes, and its decoded form.
#[derive(Default)]
struct Kept(String);

impl Kept {
    fn add(&mut self, kind: &str, message: &[u8], it: &impl Debug) {
        let hex: String = message.iter().map(|byte| format!("{byte:02x}")).collect();
        self.0 += &format!("{kind} {hex} {it:?}\n");
    }
}

async fn every_kind() {
    for name in ["acct", "timestamp", "events"] {
        sysctl(&format!("nf_conntrack_{name}"), "1").expect("a setting");
    }
    nft::track().expect("a rule");
    nft::labels().expect("a rule that uses labels");
    let real = Real::open();
    let handle = connect();
    // One after the other, so that the events have the same order on every kernel.
    for n in (0..28).map(|n| n * 23) {
        let flow = population::flow(n);
        handle.create(flow).await.expect("a flow");
    }
    traffic(&handle).await;
    expectations(&handle).await;
    let flows = dumped(&real, NEW);
    let expected = dumped(&real, EXPECT_NEW);
    assert!(flows.len() > 30 && expected.len() == 1);
    let mut kept = Kept::default();
    for message in &flows {
        let flow = Flow::from_message(message).expect("a flow");
        kept.add("flow", message, &flow);
    }
    for message in &expected {
        let expectation = Expectation::from_message(message).expect("an expectation");
        kept.add("expectation", message, &expectation);
    }
    let heard = real.heard();
    for flush in [EXPECT_DESTROY, DESTROY] {
        real.exchange(&message(flush, 1, 8, &[0; 4]));
    }
    let told = [heard, real.heard()].concat();
    let messages: Vec<_> = told.iter().flat_map(|datagram| split(datagram)).collect();
    let mut kinds = [NEW, DESTROY, EXPECT_NEW, EXPECT_DESTROY].map(|kind| (kind, 0));
    for message in messages {
        let event = Event::from_message(message).expect("an event");
        let of = |it: u16| kinds.iter().position(|(kind, _)| *kind == it);
        let count = &mut kinds[of(kind(message)).expect("a kind of event")].1;
        *count += 1;
        // A few of each kind are enough.
        if *count <= 4 {
            kept.add("event", message, &event);
        }
    }
    assert!(kinds.iter().all(|(_, count)| *count > 0), "{kinds:?}");
    if let Some(file) = env::var_os("CTNETLINK_GOLDEN") {
        fs::write(file, kept.0).expect("a file");
    }
}

fn dumped(real: &Real, request: u16) -> Vec<Vec<u8>> {
    let datagrams = real.exchange(&message(request | 1, DUMP, 7, &[0; 4]));
    let messages = datagrams.iter().flat_map(|datagram| split(datagram));
    let wanted = messages.filter(|it| kind(it) == request);
    wanted.map(Vec::from).collect()
}

/// Flows from packets, with counters in both directions and a start time.
async fn traffic(handle: &ConntrackHandle) {
    for host in ["127.0.0.1", "::1"] {
        let host = host.parse().expect("an address");
        let mut tcp = visible::tcp(handle, (host, 0).into()).await.expect("TCP").0;
        tcp.exchange().await.expect("an answer");
        visible::udp(handle, (host, 0).into()).await.expect("UDP");
        visible::ping(handle, host, host, 77).await.expect("ICMP");
        raw(IPPROTO_GRE as u8, host, host, &packet::gre()).expect("GRE");
        let init = packet::sctp_init(7000, 8000, 5);
        raw(IPPROTO_SCTP as u8, host, host, &init).expect("SCTP");
        raw(253, host, host, &[0; 8]).expect("a protocol that nobody knows");
    }
}

/// An expectation, and a flow that was expected.
async fn expectations(handle: &ConntrackHandle) {
    let at = |host: u8, port| ([192, 0, 2, host], port).into();
    let control = Tuple::tcp(at(1, 4000), at(2, 21)).expect("one family");
    let master = NewFlow::new(control, Duration::from_secs(3600)).helper("ftp");
    handle.create(master).await.expect("a master");
    let data = Tuple::tcp(at(2, 0), at(1, 4001)).expect("one family");
    let new = NewExpectation::new(control, data);
    let created = handle.expectations().create(new).await;
    created.expect("an expectation");
    let met = Tuple::tcp(at(2, 20), at(1, 4002)).expect("one family");
    let flow = NewFlow::new(met, Duration::from_secs(3600)).master(control);
    handle.create(flow).await.expect("a flow of a master");
    let got = handle.get(met).await.expect("an answer").expect("a flow");
    assert!(got.status.contains(Status::EXPECTED));
}
