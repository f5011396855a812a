//! The numbers in a program do not depend on the byte order of the machine.

use super::*;
use crate::flow::Protocol;

/// The numbers are the same for either byte order, because an interpreter always loads big-endian
/// numbers.
#[test]
fn a_program_is_the_same_on_every_machine() {
    let filter = built(Filter::builder().mark(Masked::new(0x0102, 0xff0f)));
    let program = compiled(&filter).program;
    let numbers: Vec<_> = program
        .iter()
        .map(|it| (it.code, it.jt, it.jf, it.k))
        .collect();
    assert_eq!(
        numbers,
        [
            (0x00, 0, 0, 20),          // ld #20
            (0x01, 0, 0, 8),           // ldx #CTA_MARK
            (0x20, 0, 0, 0xffff_f00c), // ld nlattr
            (0x15, 0, 1, 0),           // jeq #0: absent
            (0x05, 0, 0, 1),
            (0x05, 0, 0, 1),      // present
            (0x05, 0, 0, 6),      // absent is 0, which does not match
            (0x07, 0, 0, 0),      // tax
            (0x40, 0, 0, 4),      // ld [x + 4]
            (0x54, 0, 0, 0xff0f), // and #0xff0f
            (0x15, 1, 0, 0x0102), // jeq #0x0102
            (0x05, 0, 0, 1),
            (0x05, 0, 0, 1),
            (0x06, 0, 0, 0),           // ret #0
            (0x06, 0, 0, 0xffff_ffff), // ret #-1
        ]
    );
}

/// Each condition is compared with the numbers of the message, read as big-endian.
#[test]
fn numbers_are_those_of_the_wire() {
    let udp = || Filter::builder().protocol(Protocol::UDP);
    for (filter, numbers) in [
        (
            Filter::builder().orig_src(net("10.1.0.0/16")),
            vec![0xffff_0000, 0x0a01_0000],
        ),
        (
            Filter::builder().orig_dst(net("10.1.2.3/32")),
            vec![0x0a01_0203],
        ),
        (
            Filter::builder().reply_src(net("2001:db8:1:2::/64")),
            vec![0x2001_0db8, 0x0001_0002],
        ),
        (udp().orig_dst_port(0x0102), vec![0x0102]),
        (udp().orig_src_port(0x0102..=0x0304), vec![0x0102, 0x0304]),
        (Filter::builder().zone(0x0102), vec![0x0102]),
        (
            Filter::builder().has_status(Status::DST_NAT_DONE),
            vec![Status::DST_NAT_DONE.bits()],
        ),
    ] {
        let filter = built(filter);
        let program = compiled(&filter).program;
        let compared: Vec<_> = program
            .iter()
            // Comparisons with a number, and masks.
            .filter(|it| matches!(it.code, 0x15 | 0x25 | 0x35 | 0x54))
            .map(|it| it.k)
            .collect();
        for number in numbers {
            // "More than" a number is "at least" the next one.
            let next = number + 1;
            assert!(
                compared.contains(&number) || compared.contains(&next),
                "{filter}: {number:#x} in {compared:x?}"
            );
        }
    }
}
