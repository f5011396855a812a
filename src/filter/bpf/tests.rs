//! Runs programs in the kernel's interpreter, on a pair of sockets that needs no right, and
//! compares the result with that of the filter for the same flows.

use std::io::ErrorKind;
use std::os::unix::net::UnixDatagram;

use ipnet::IpNet;
use proptest::prelude::*;
use socket2::{SockFilter, SockRef};

use super::*;
use crate::filter::tests::arbitrary::{flow, met_by, neighbours};
use crate::filter::{FilterBuilder, NatKind};
use crate::flow::tests::message;
use crate::flow::{Flow, Labels, Tuple, Zone};

mod disorder;
mod numbers;
mod untold;

/// The program, if the kernel accepts one that long.
fn whole(filter: &Filter) -> Option<SocketFilter> {
    SocketFilter::within(filter, BPF_MAXINSNS)
}

/// Sends messages through a program.
struct Sieve {
    sender: UnixDatagram,
    receiver: UnixDatagram,
}

impl Sieve {
    fn new(program: &[Instruction]) -> Self {
        let (sender, receiver) = UnixDatagram::pair().expect("a pair");
        receiver.set_nonblocking(true).expect("a mode");
        let program: Vec<SockFilter> = program
            .iter()
            .map(|it| SockFilter::new(it.code, it.jt, it.jf, it.k))
            .collect();
        SockRef::from(&receiver)
            .attach_filter(&program)
            .expect("a program that the kernel takes");
        Self { sender, receiver }
    }

    /// Returns `true` if the program lets the whole message pass.
    fn passes(&self, message: &[u8]) -> bool {
        self.sender.send(message).expect("to send");
        let mut buffer = [0; 4096];
        match self.receiver.recv(&mut buffer) {
            Ok(len) => {
                assert_eq!(&buffer[..len], message);
                true
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                false
            }
        }
    }
}

fn net(text: &str) -> IpNet {
    text.parse().expect("a network")
}

fn built(filter: FilterBuilder) -> Filter {
    filter.build().unwrap_or_else(|error| panic!("{error}"))
}

fn compiled(filter: &Filter) -> SocketFilter {
    whole(filter).expect("a program")
}

/// The message without the attributes that an event leaves out if they are 0.
fn without_zeros(flow: &Flow) -> Vec<u8> {
    let mut flow = flow.clone();
    flow.mark = flow.mark.filter(|mark| *mark != 0);
    message(&flow)
}

/// Returns `true` if the program compares the whole filter.
fn is_whole(filter: &Filter) -> bool {
    test(filter, Sense::May) == test(filter, Sense::Must)
}

/// The program lets messages pass that match. If it compares the whole filter, it lets no others
/// pass.
fn holds(filter: &Filter, flows: &[Flow]) -> Result<(), TestCaseError> {
    let Some(SocketFilter { program, .. }) = whole(filter) else {
        return Ok(());
    };
    let sieve = Sieve::new(&program);
    for flow in flows {
        let matches = filter.matches(flow);
        let passes = sieve.passes(&without_zeros(flow));
        prop_assert!(passes || !matches, "{:?} drops {:?}", filter, flow);
        // A program cannot compare ports that are missing.
        let told = flow.orig.src_port().is_some() || flow.orig.icmp_echo().is_some();
        if told && is_whole(filter) && program.len() < 2000 {
            prop_assert_eq!(passes, matches, "{:?} of {:?}", filter, flow);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn what_matches_passes(flow in flow(), other in flow(), which: u32, mask: u32, bit: u32) {
        let met = built(met_by(&flow, which, mask));
        let [a, b, c] = neighbours(&flow, bit);
        let flows = [flow, other, a, b, c];
        holds(&met, &flows)?;
        if !met.is_empty() {
            holds(&built(Filter::builder().not(met)), &flows)?;
        }
    }

    #[test]
    fn so_it_does_with_filters_in_filters(
        flow in flow(), other in flow(), which: u32, more: u32, mask: u32,
    ) {
        let filters = [(&flow, which), (&other, more)]
            .map(|(flow, which)| built(met_by(flow, which, mask)));
        let [one, another] = filters.clone();
        prop_assume!(!one.is_empty() && !another.is_empty());
        let flows = [flow, other];
        let either = built(Filter::builder().any_of(filters.clone()));
        holds(&either, &flows)?;
        holds(&built(Filter::builder().not(either.clone())), &flows)?;
        for filter in [
            Filter::builder().not(one.clone()).any_of([another.clone()]),
            Filter::builder().not(built(Filter::builder().not(one))).not(another),
        ] {
            holds(&built(filter), &flows)?;
        }
    }

    /// Any bytes may arrive. They must not stop a listener.
    #[test]
    fn any_bytes_are_answered(flow in flow(), which: u32, bytes in proptest::collection::vec(any::<u8>(), 1..300)) {
        if let Some(filter) = whole(&built(met_by(&flow, which, 0xff))) {
            Sieve::new(&filter.program).passes(&bytes);
        }
    }
}

fn udp(src: &str, dst: &str) -> Flow {
    let orig = Tuple::udp(src.parse().unwrap(), dst.parse().unwrap()).unwrap();
    Flow::new(orig, orig.inverse())
}

/// Each condition alone, on flows that meet it and on flows that barely do not.
#[test]
fn each_condition_drops_what_does_not_meet_it() {
    let flow = udp("10.1.2.3:4000", "10.2.0.1:53");
    let flow6 = udp("[fd00:1:2:3:4:5:6:7]:4000", "[fd00::2]:53");
    let with = |change: fn(&mut Flow)| {
        let mut flow = flow.clone();
        change(&mut flow);
        flow
    };
    let udp_with =
        |ports: std::ops::RangeInclusive<u16>| Filter::builder().protocol(17).orig_dst_port(ports);
    let marked = with(|flow| flow.mark = Some(0x15));
    let replied = with(|flow| flow.status = Status::SEEN_REPLY | Status::CONFIRMED);
    let translated = with(|flow| flow.status = Status::DST_NAT);
    let zoned = with(|flow| flow.zone = Zone::new(5));
    let zoned_orig = with(|flow| flow.zone = Zone::orig(5));
    let zoned_reply = with(|flow| flow.zone = Zone::reply(5));
    let any = Filter::builder;
    for (filter, condition, meet, others) in [
        (
            any().family(Family::Ipv6),
            KernelFilter::FAMILY,
            vec![&flow6],
            vec![&flow],
        ),
        (
            any().protocol(17),
            KernelFilter::PROTOCOL,
            vec![&flow, &flow6],
            vec![],
        ),
        (
            any().protocol(6),
            KernelFilter::PROTOCOL,
            vec![],
            vec![&flow, &flow6],
        ),
        (
            any().mark(Masked::new(0x10, 0xf0)),
            KernelFilter::MARK,
            vec![&marked],
            vec![&flow],
        ),
        (
            any().mark(0),
            KernelFilter::MARK,
            vec![&flow],
            vec![&marked],
        ),
        (
            any().status(Masked::new(Status::SEEN_REPLY, Status::SEEN_REPLY)),
            KernelFilter::STATUS,
            vec![&replied],
            vec![&flow],
        ),
        (
            any().nat(NatKind::Any),
            KernelFilter::STATUS,
            vec![&translated],
            vec![&flow, &replied],
        ),
        (
            any().zone(0),
            KernelFilter::ZONE,
            vec![&flow],
            vec![&zoned, &zoned_orig, &zoned_reply],
        ),
        (
            any().zone(5),
            KernelFilter::ZONE,
            vec![&zoned, &zoned_orig, &zoned_reply],
            vec![&flow],
        ),
        (
            any().orig_src(net("10.1.2.3/32")),
            KernelFilter::ORIG_SRC,
            vec![&flow],
            vec![&flow6],
        ),
        (
            any().orig_src(net("10.1.2.0/23")),
            KernelFilter::ORIG_SRC,
            vec![&flow],
            vec![],
        ),
        (
            any().orig_src(net("10.1.4.0/23")),
            KernelFilter::ORIG_SRC,
            vec![],
            vec![&flow],
        ),
        (
            any().reply_src(net("10.2.0.1/32")),
            KernelFilter::REPLY_SRC,
            vec![&flow],
            vec![&flow6],
        ),
        (
            any().orig_src(net("fd00:1:2:3::/72")),
            KernelFilter::ORIG_SRC,
            vec![&flow6],
            vec![&flow],
        ),
        (
            any().orig_src(net("fd00:1:2:4::/64")),
            KernelFilter::ORIG_SRC,
            vec![],
            vec![&flow6],
        ),
        (
            any().orig_src(net("fd00:1:2:3:4:5:6:7/128")),
            KernelFilter::ORIG_SRC,
            vec![&flow6],
            vec![],
        ),
        (
            any().orig_src(net("fd00:1:2:3:4:5:6:8/128")),
            KernelFilter::ORIG_SRC,
            vec![],
            vec![&flow6],
        ),
        (
            udp_with(53..=53),
            KernelFilter::ORIG_DST_PORT,
            vec![&flow, &flow6],
            vec![],
        ),
        (
            udp_with(0..=52),
            KernelFilter::ORIG_DST_PORT,
            vec![],
            vec![&flow, &flow6],
        ),
        (
            udp_with(54..=65535),
            KernelFilter::ORIG_DST_PORT,
            vec![],
            vec![&flow, &flow6],
        ),
        (
            udp_with(50..=53),
            KernelFilter::ORIG_DST_PORT,
            vec![&flow, &flow6],
            vec![],
        ),
    ] {
        let filter = built(filter);
        let compiled = compiled(&filter);
        assert!(compiled.conditions.contains(condition), "{filter:?}");
        let sieve = Sieve::new(&compiled.program);
        for flow in meet {
            assert!(sieve.passes(&message(flow)), "{filter:?} drops {flow:?}");
        }
        for flow in others {
            assert!(
                !sieve.passes(&message(flow)),
                "{filter:?} lets {flow:?} pass"
            );
        }
    }
}

/// Conditions that no program compares are left to user space. The program has the others, if there
/// are any.
#[test]
fn what_cannot_be_told_passes() {
    let labels = Masked::from(Labels::bit(3).unwrap());
    let labelled = built(Filter::builder().labels(labels));
    assert!(whole(&labelled).is_none());
    assert!(whole(&Filter::default()).is_none());
    let none_of_them = built(Filter::builder().not(labelled.clone()));
    assert!(whole(&none_of_them).is_none());

    let flow = udp("10.1.2.3:4000", "10.2.0.1:53");
    let both = built(Filter::builder().labels(labels).protocol(17));
    let compiled = compiled(&both);
    assert_eq!(compiled.conditions, KernelFilter::PROTOCOL);
    assert!(Sieve::new(&compiled.program).passes(&message(&flow)));
    // `not` both: this flow has no labels, so it may match.
    let neither = built(Filter::builder().not(both));
    assert!(whole(&neither).is_none());
}

/// A message without an attribute that each event has cannot be judged.
#[test]
fn a_message_without_a_tuple_passes() {
    let filter = built(Filter::builder().protocol(6));
    let sieve = Sieve::new(&compiled(&filter).program);
    let bare = &message(&udp("10.1.2.3:4000", "10.2.0.1:53"))[..20];
    assert!(sieve.passes(bare));
}

/// A program has at most 4096 instructions. Conditions that do not fit are left to user space.
#[test]
fn the_part_that_fits_is_compared() {
    let addresses = |many: u32| {
        let filters = (0..many).map(|n| {
            let address = std::net::Ipv6Addr::from(0xfd00 << 112 | u128::from(n));
            built(Filter::builder().orig_src(IpNet::from(std::net::IpAddr::V6(address))))
        });
        built(Filter::builder().protocol(17).any_of(filters))
    };
    let few = compiled(&addresses(100));
    assert_eq!(
        few.conditions,
        KernelFilter::PROTOCOL | KernelFilter::ANY_OF
    );
    assert!(few.program.len() > 1000, "far jumps are tested too");
    let sieve = Sieve::new(&few.program);
    assert!(sieve.passes(&message(&udp("[fd00::63]:1", "[fd00::1]:2"))));
    assert!(sieve.passes(&message(&udp("[fd00::]:1", "[fd00::1]:2"))));
    assert!(!sieve.passes(&message(&udp("[fd00::64]:1", "[fd00::1]:2"))));

    let many = compiled(&addresses(1000));
    assert_eq!(many.conditions, KernelFilter::PROTOCOL);
    assert!(Sieve::new(&many.program).passes(&message(&udp("[fd00::64]:1", "[fd00::1]:2"))));
}
