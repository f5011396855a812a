//! A model of the kernels' comparison: what a dump's request makes each of them hand over, or
//! refuse. It reads the bytes of the request, and knows nothing of how they came about.

use std::net::IpAddr;

use crate::flow::{Family, Flow, Tuple};
use crate::wire::attr::{Attribute, Attributes};
use crate::wire::message::Frame;
use crate::wire::uapi::*;

/// Netlink header, then family.
const FAMILY: usize = 16;

/// Does such a kernel hand the flow over? An errno where it refuses the request.
pub(super) fn hands_over(release: (u16, u16), request: &[u8], flow: &Flow) -> Result<bool, i32> {
    let frame = Frame::first(request).expect("a message").expect("whole");
    let top = || frame.attributes().expect("attributes");
    let family = request[FAMILY];
    let mut keeps = family == AF_UNSPEC || family == flow.family().number();

    let (mark, mask) = (number(top(), CTA_MARK), number(top(), CTA_MARK_MASK));
    let default = (release >= (5, 15)).then_some(u32::MAX);
    if let (Some(mark), Some(mask)) = (mark, mask.or(default)) {
        keeps &= flow.mark.unwrap_or(0) & mask == mark;
    }
    if release >= (5, 15) {
        if let Some(status) = number(top(), CTA_STATUS) {
            let mask = number(top(), CTA_STATUS_MASK).unwrap_or(status);
            if mask == 0 {
                return Err(EINVAL);
            }
            keeps &= flow.status.bits() & mask == status;
        }
    }
    if release >= (6, 8) {
        if let Some(zone) = find(top(), CTA_ZONE) {
            keeps &= zone.get::<u16>().expect("a zone") == flow.zone.id();
        }
    }
    if release >= (5, 8) {
        if let Some(filter) = find(top(), CTA_FILTER) {
            if ![AF_INET, AF_INET6].contains(&family) {
                return Err(EOPNOTSUPP);
            }
            for (flags, kind, tuple) in [
                (CTA_FILTER_ORIG_FLAGS, CTA_TUPLE_ORIG, &flow.orig),
                (CTA_FILTER_REPLY_FLAGS, CTA_TUPLE_REPLY, &flow.reply),
            ] {
                let flags = find(filter.nest(), flags).map_or(0, |attr| {
                    u32::from_ne_bytes(attr.payload.try_into().expect("four bytes"))
                });
                keeps &= side(flags, find(top(), kind), tuple)?;
            }
        }
    }
    Ok(keeps)
}

/// Does the tuple agree with the given one in the flagged fields?
fn side(flags: u32, given: Option<Attribute<'_>>, tuple: &Tuple) -> Result<bool, i32> {
    const PROTO: u32 = CTA_FILTER_F_CTA_PROTO_NUM;
    const ADDRESSES: u32 = CTA_FILTER_F_CTA_IP_SRC | CTA_FILTER_F_CTA_IP_DST;
    if flags == 0 {
        return Ok(true);
    }
    let behind_protocol = flags & !(PROTO | ADDRESSES);
    if flags >= 1 << 12 || (behind_protocol != 0 && flags & PROTO == 0) {
        return Err(EINVAL);
    }
    let given = given.ok_or(EINVAL)?.nest();
    let field = |nest, kind| {
        let nest = find(given, nest).ok_or(EINVAL)?;
        find(nest.nest(), kind).ok_or(EINVAL)
    };
    let mut keeps = true;
    for (flag, v4, v6, address) in [
        (
            CTA_FILTER_F_CTA_IP_SRC,
            CTA_IP_V4_SRC,
            CTA_IP_V6_SRC,
            tuple.src(),
        ),
        (
            CTA_FILTER_F_CTA_IP_DST,
            CTA_IP_V4_DST,
            CTA_IP_V6_DST,
            tuple.dst(),
        ),
    ] {
        if flags & flag != 0 {
            keeps &= match address {
                IpAddr::V4(own) => field(CTA_TUPLE_IP, v4)?.payload == own.octets(),
                // The kernel's bug: inverted.
                IpAddr::V6(own) => field(CTA_TUPLE_IP, v6)?.payload != own.octets(),
            };
        }
    }
    if flags & PROTO != 0 {
        keeps &= field(CTA_TUPLE_PROTO, CTA_PROTO_NUM)?.payload == [tuple.protocol()];
    }
    for (flag, kind, port) in [
        (
            CTA_FILTER_F_CTA_PROTO_SRC_PORT,
            CTA_PROTO_SRC_PORT,
            tuple.src_port(),
        ),
        (
            CTA_FILTER_F_CTA_PROTO_DST_PORT,
            CTA_PROTO_DST_PORT,
            tuple.dst_port(),
        ),
    ] {
        if flags & flag != 0 {
            let given = field(CTA_TUPLE_PROTO, kind)?
                .get::<u16>()
                .map_err(|_| EINVAL)?;
            keeps &= !matches!(tuple.protocol(), IPPROTO_TCP | IPPROTO_UDP) || port == Some(given);
        }
    }
    let Some(echo) = tuple.icmp_echo() else {
        return Ok(keeps);
    };
    let of = |first: u32, ours: bool| if ours { (flags / first) & 7 } else { 0 };
    let v6 = tuple.protocol() == IPPROTO_ICMPV6;
    let [kind, code, id] = match v6 {
        true => [
            CTA_PROTO_ICMPV6_TYPE,
            CTA_PROTO_ICMPV6_CODE,
            CTA_PROTO_ICMPV6_ID,
        ],
        false => [CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE, CTA_PROTO_ICMP_ID],
    };
    let asked =
        of(CTA_FILTER_F_CTA_PROTO_ICMP_TYPE, !v6) | of(CTA_FILTER_F_CTA_PROTO_ICMPV6_TYPE, v6);
    for (bit, kind, own) in [
        (1, kind, vec![echo.kind()]),
        (2, code, vec![echo.code()]),
        (4, id, echo.id().to_be_bytes().to_vec()),
    ] {
        if asked & bit != 0 {
            keeps &= field(CTA_TUPLE_PROTO, kind)?.payload == own;
        }
    }
    Ok(keeps)
}

fn find(mut attributes: Attributes<'_>, kind: u16) -> Option<Attribute<'_>> {
    while let Some(attr) = attributes.next().expect("attributes") {
        if attr.kind == kind {
            return Some(attr);
        }
    }
    None
}

fn number(attributes: Attributes<'_>, kind: u16) -> Option<u32> {
    find(attributes, kind).map(|attr| attr.get().expect("a number"))
}

/// The model has the bugs that it is there for.
#[test]
fn it_is_no_friend() {
    use crate::wire::message::Request;
    let flow = super::udp6();
    let request = |family: Family, fill: fn(&mut crate::wire::attr::Writer<'_>)| {
        Request::new(IPCTNL_MSG_CT_GET, NLM_F_DUMP, family.number())
            .with(fill)
            .finish(1)
    };
    let zone = request(Family::Ipv6, |w| w.put(CTA_ZONE, &5_u16));
    assert_eq!(hands_over((6, 6), &zone, &flow), Ok(true));
    assert_eq!(hands_over((6, 8), &zone, &flow), Ok(false));
    let mark = request(Family::Ipv6, |w| w.put(CTA_MARK, &5_u32));
    assert_eq!(hands_over((5, 10), &mark, &flow), Ok(true));
    assert_eq!(hands_over((5, 15), &mark, &flow), Ok(false));
    let address = request(Family::Ipv6, |w| {
        w.nest(CTA_FILTER, |w| {
            w.put(CTA_FILTER_ORIG_FLAGS, &1_u32.to_ne_bytes())
        });
        w.nest(CTA_TUPLE_ORIG, |w| {
            w.nest(CTA_TUPLE_IP, |w| {
                w.put(
                    CTA_IP_V6_SRC,
                    &"fd00::1".parse::<std::net::Ipv6Addr>().unwrap(),
                );
            });
        });
    });
    assert_eq!(hands_over((5, 4), &address, &flow), Ok(true));
    assert_eq!(hands_over((6, 18), &address, &flow), Ok(false));
}
