//! A tuple of a request against that of a flow: the fields that flags name, or all of it.

use std::net::IpAddr;

use super::find;
use crate::flow::Tuple;
use crate::wire::attr::Attribute;
use crate::wire::uapi::*;

fn field<'a>(given: Attribute<'a>, nest: u16, kind: u16) -> Result<&'a [u8], i32> {
    let nest = find(given.nest(), nest).ok_or(EINVAL)?;
    Ok(find(nest.nest(), kind).ok_or(EINVAL)?.payload)
}

/// Has the tuple the given one's flagged fields? (ctnetlink_parse_tuple_filter,
/// ctnetlink_filter_match_tuple.)
pub(super) fn has_fields(
    flags: u32,
    given: Option<Attribute<'_>>,
    family: u8,
    tuple: &Tuple,
) -> Result<bool, i32> {
    const PROTO: u32 = CTA_FILTER_F_CTA_PROTO_NUM;
    const ADDRESSES: u32 = CTA_FILTER_F_CTA_IP_SRC | CTA_FILTER_F_CTA_IP_DST;
    if flags == 0 {
        return Ok(true);
    }
    let behind_protocol = flags & !(PROTO | ADDRESSES);
    if flags >= 1 << 12 || (behind_protocol != 0 && flags & PROTO == 0) {
        return Err(EINVAL);
    }
    let given = given.ok_or(EINVAL)?;
    if ![AF_INET, AF_INET6].contains(&family) {
        return Err(EOPNOTSUPP);
    }
    let field = |nest, kind| field(given, nest, kind);
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
                IpAddr::V4(own) => field(CTA_TUPLE_IP, v4)? == own.octets(),
                // The kernel's bug: inverted.
                IpAddr::V6(own) => field(CTA_TUPLE_IP, v6)? != own.octets(),
            };
        }
    }
    if flags & PROTO != 0 {
        keeps &= field(CTA_TUPLE_PROTO, CTA_PROTO_NUM)? == [tuple.protocol()];
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
            let given = field(CTA_TUPLE_PROTO, kind)?;
            let port = port.map(u16::to_be_bytes);
            keeps &= !matches!(tuple.protocol().number(), IPPROTO_TCP | IPPROTO_UDP)
                || port.is_some_and(|port| port == given);
        }
    }
    let Some(echo) = tuple.icmp_echo() else {
        return Ok(keeps);
    };
    let of = |first: u32, ours: bool| if ours { (flags / first) & 7 } else { 0 };
    let v6 = tuple.protocol() == IPPROTO_ICMPV6;
    let asked =
        of(CTA_FILTER_F_CTA_PROTO_ICMP_TYPE, !v6) | of(CTA_FILTER_F_CTA_PROTO_ICMPV6_TYPE, v6);
    let own = [
        vec![echo.kind()],
        vec![echo.code()],
        echo.id().to_be_bytes().to_vec(),
    ];
    for (bit, (kind, own)) in details(tuple.protocol().number())
        .iter()
        .zip(own)
        .enumerate()
    {
        if asked & (1 << bit) != 0 {
            keeps &= field(CTA_TUPLE_PROTO, *kind)? == own;
        }
    }
    Ok(keeps)
}

/// What has to be given with the protocol where a tuple is a whole one. DCCP's ports have not on
/// all kernels.
fn details(protocol: u8) -> &'static [u16] {
    match protocol {
        IPPROTO_TCP | IPPROTO_UDP | IPPROTO_UDPLITE | IPPROTO_SCTP | IPPROTO_GRE => {
            &[CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT]
        }
        IPPROTO_ICMP => &[CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE, CTA_PROTO_ICMP_ID],
        IPPROTO_ICMPV6 => &[
            CTA_PROTO_ICMPV6_TYPE,
            CTA_PROTO_ICMPV6_CODE,
            CTA_PROTO_ICMPV6_ID,
        ],
        _ => &[],
    }
}

/// Is it the given tuple, which has to be whole? (ctnetlink_parse_tuple.)
pub(super) fn is_given(given: Attribute<'_>, family: u8, tuple: &Tuple) -> Result<bool, i32> {
    let [src, dst] = match family {
        AF_INET => [CTA_IP_V4_SRC, CTA_IP_V4_DST],
        AF_INET6 => [CTA_IP_V6_SRC, CTA_IP_V6_DST],
        _ => return Err(EOPNOTSUPP),
    };
    let addresses = [
        field(given, CTA_TUPLE_IP, src)?,
        field(given, CTA_TUPLE_IP, dst)?,
    ];
    let protocol = field(given, CTA_TUPLE_PROTO, CTA_PROTO_NUM)?[0];
    let details = details(protocol).iter();
    let details = details.map(|kind| field(given, CTA_TUPLE_PROTO, *kind));
    let details = details.collect::<Result<Vec<_>, i32>>()?.concat();
    Ok(
        addresses.concat() == [octets(tuple.src()), octets(tuple.dst())].concat()
            && protocol == tuple.protocol()
            && (details == own_details(tuple) || protocol == IPPROTO_DCCP),
    )
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn own_details(tuple: &Tuple) -> Vec<u8> {
    let ports = tuple.src_port().zip(tuple.dst_port());
    match (ports, tuple.icmp_echo()) {
        (Some((src, dst)), _) => [src.to_be_bytes(), dst.to_be_bytes()].concat(),
        (_, Some(echo)) => {
            let [high, low] = echo.id().to_be_bytes();
            vec![echo.kind(), echo.code(), high, low]
        }
        _ => Vec::new(),
    }
}
