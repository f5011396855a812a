//! Decodes messages of the kernel, compared with the decoder of netlink-packet-netfilter.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ctnetlink::Flow;
use netlink_packet_core::NetlinkMessage;
use netlink_packet_netfilter::NetfilterMessage;

const CAPTURED: [(&str, &[u8]); 5] = [
    ("tcp4", include_bytes!("captured/tcp4.bin")),
    ("udp6", include_bytes!("captured/udp6.bin")),
    ("tcp4_nat", include_bytes!("captured/tcp4_nat.bin")),
    ("tcp4_zone", include_bytes!("captured/tcp4_zone.bin")),
    (
        "tcp4_helper_labels",
        include_bytes!("captured/tcp4_helper_labels.bin"),
    ),
];

fn decode(criterion: &mut Criterion) {
    for (name, message) in CAPTURED {
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        group.bench_function("ctnetlink", |bencher| {
            bencher.iter(|| Flow::from_message(black_box(message)).expect("a flow"));
        });
        group.bench_function("netlink-packet-netfilter", |bencher| {
            bencher.iter(|| {
                NetlinkMessage::<NetfilterMessage>::deserialize(black_box(message))
                    .expect("a message")
            });
        });
        group.finish();
    }
}

criterion_group!(benches, decode);
criterion_main!(benches);
