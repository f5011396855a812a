use super::*;
use crate::wire::golden::reply;

#[test]
fn lines_read_as_those_of_conntrack() {
    for (name, line) in [
        (
            "expect_ftp",
            "299 proto=6 src=10.0.0.2 dst=10.0.0.1 sport=0 dport=10000 \
             mask-src=255.255.255.255 mask-dst=255.255.255.255 sport=0 dport=65535 \
             master-src=10.0.0.1 master-dst=10.0.0.2 sport=1000 dport=21 class=0 helper=ftp",
        ),
        (
            "expect_nat",
            "179 proto=17 src=10.0.0.2 dst=10.0.0.3 sport=5 dport=10001 \
             mask-src=255.255.255.0 mask-dst=255.255.255.255 sport=65535 dport=65535 \
             master-src=10.0.0.3 master-dst=10.0.0.2 sport=1000 dport=5060 \
             PERMANENT,INACTIVE class=1 helper=sip",
        ),
        (
            "expect_generic",
            "179 proto=89 src=10.0.0.2 dst=10.0.0.4 \
             mask-src=255.255.255.255 mask-dst=255.255.255.255 \
             master-src=10.0.0.7 master-dst=10.0.0.2 sport=1000 dport=5060 class=2 helper=sip",
        ),
        (
            "expect_gre",
            "179 proto=47 src=10.0.0.2 dst=10.0.0.4 srckey=0x0 dstkey=0x5 \
             mask-src=255.255.255.255 mask-dst=255.255.255.255 srckey=0x0 dstkey=0xffff \
             master-src=10.0.0.8 master-dst=10.0.0.2 sport=1000 dport=5060 class=2 helper=sip",
        ),
    ] {
        let expectation = Expectation::from_message(&reply(name)).unwrap();
        assert_eq!(expectation.to_string(), line);
        assert_eq!(format!("{expectation:#}"), line);
    }
    let mut expectation = Expectation::from_message(&reply("expect_ftp")).unwrap();
    (expectation.timeout, expectation.helper) = (None, None);
    expectation.flags = ExpectationFlags::from_bits_retain(0x14);
    let line = expectation.to_string();
    assert!(line.starts_with("proto=6 "), "{line}");
    assert!(line.ends_with(" dport=21 USERSPACE,0x10 class=0"), "{line}");
}
