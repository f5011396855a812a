//! Flows that conntrack(8) inserts.

use crate::tool::conntrack;

const FLOWS: &[&str] = &[
    "-s 10.3.0.1 -d 10.4.0.1 -p tcp --sport 1 --dport 2 --state ESTABLISHED -u SEEN_REPLY,ASSURED",
    "-s 10.3.0.2 -d 10.4.0.2 -p tcp --sport 1 --dport 2 --state SYN_SENT -m 4294967295",
    "-s 10.3.0.3 -d 10.4.0.3 -p udp --sport 1 --dport 2 -w 50",
    "-s 10.3.0.4 -d 10.4.0.4 -p udp --sport 1 --dport 2 --orig-zone 51",
    "-s 10.3.0.5 -d 10.4.0.5 -p udp --sport 1 --dport 2 --reply-zone 52",
    "-s 10.3.0.6 -d 10.4.0.6 -p udp --sport 1 --dport 2 -u FIXED_TIMEOUT",
    "-s 10.3.0.7 -d 10.4.0.7 -p udplite --sport 1 --dport 2 -m 0x10",
    "-s 10.3.0.8 -d 10.4.0.8 -p sctp --sport 1 --dport 2 --state ESTABLISHED --orig-vtag 5 \
     --reply-vtag 6",
    "-s 10.3.0.9 -d 10.4.0.9 -p dccp --sport 1 --dport 2 --state OPEN --role client",
    "-s 10.3.0.10 -d 10.4.0.10 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 77",
    "-s 10.3.0.11 -d 10.4.0.11 -p icmp --icmp-type 13 --icmp-code 0 --icmp-id 78",
    "-s 10.3.0.12 -d 10.4.0.12 -p gre --srckey 5 --dstkey 9",
    "-s 10.3.0.13 -d 10.4.0.13 -p 89",
    "-s 10.3.0.14 -d 10.4.0.14 -p udp --sport 1 --dport 2 --src-nat 10.5.0.1:77",
    "-s 10.3.0.15 -d 10.4.0.15 -p udp --sport 1 --dport 2 --dst-nat 10.5.0.2:78",
    "-s 10.3.0.16 -d 10.4.0.16 -p udp --sport 1 --dport 2 --src-nat 10.5.0.3 --dst-nat 10.5.0.4",
    "-s 10.3.0.17 -d 10.4.0.17 -r 10.4.0.18 -q 10.3.0.18 -p udp --sport 1 --dport 2 \
     --reply-port-src 3 --reply-port-dst 4",
    "-s fd00:3::1 -d fd00:4::1 -p tcp --sport 1 --dport 2 --state CLOSE_WAIT -u SEEN_REPLY",
    "-s fd00:3::2 -d fd00:4::2 -p udp --sport 1 --dport 2 -w 53",
    "-s fd00:3::3 -d fd00:4::3 -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9",
    "-s fd00:3::4 -d fd00:4::4 -p udp --sport 1 --dport 2 --src-nat fd00:5::1",
    "-s fd00:3::5 -d fd00:4::5 -p gre --srckey 0 --dstkey 0",
];

/// Inserts all flows, and returns their number.
pub fn insert() -> usize {
    for flow in FLOWS {
        conntrack(&format!("-I -t 3600 {flow}"));
    }
    FLOWS.len()
}
