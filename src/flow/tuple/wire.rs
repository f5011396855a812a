//! A tuple on the wire: nests whose shape depends on family and protocol.

use super::{Addresses, Detail, Tuple};
use crate::flow::IcmpEcho;
use crate::wire::attr::{Attribute, DecodeError, Writer};
use crate::wire::table::{Codec, Context};
use crate::wire::uapi::*;

impl Codec for Tuple {
    #[inline]
    fn decode(attr: Attribute<'_>, cx: &mut Context) -> Result<Self, DecodeError> {
        if let Some(tuple) = usual(attr.payload) {
            return Ok(tuple);
        }
        let (mut addresses, mut proto) = (None, None);
        let mut attributes = attr.nest();
        while let Some(inner) = attributes.next()? {
            match inner.kind {
                CTA_TUPLE_IP => addresses = Some(Addresses::read(inner)?),
                CTA_TUPLE_PROTO => proto = Some(read_proto(inner)?),
                CTA_TUPLE_ZONE => match attr.kind {
                    CTA_TUPLE_ORIG => cx.zone_orig = Some(inner.get()?),
                    CTA_TUPLE_REPLY => cx.zone_reply = Some(inner.get()?),
                    _ => {}
                },
                _ => {}
            }
        }
        let addresses = addresses.ok_or(DecodeError::Missing {
            attribute: CTA_TUPLE_IP,
        })?;
        let (protocol, detail) = proto.ok_or(DecodeError::Missing {
            attribute: CTA_TUPLE_PROTO,
        })?;
        Ok(Self {
            addresses,
            protocol,
            detail,
        })
    }

    fn encode(&self, kind: u16, cx: &Context, w: &mut Writer<'_>) {
        w.nest(kind, |w| {
            match &self.addresses {
                Addresses::V4(src, dst) => {
                    let kinds = [CTA_IP_V4_SRC, CTA_IP_V4_DST];
                    w.raw(&address_nest::<20, 4>(kinds, src.octets(), dst.octets()));
                }
                Addresses::V6(src, dst) => {
                    let kinds = [CTA_IP_V6_SRC, CTA_IP_V6_DST];
                    w.raw(&address_nest::<44, 16>(kinds, src.octets(), dst.octets()));
                }
            }
            match &self.detail {
                Detail::None => w.nest(CTA_TUPLE_PROTO, |w| w.put(CTA_PROTO_NUM, &self.protocol)),
                Detail::Ports(src, dst) => w.raw(&port_nest(self.protocol, *src, *dst)),
                Detail::Icmp(echo) => w.nest(CTA_TUPLE_PROTO, |w| {
                    w.put(CTA_PROTO_NUM, &self.protocol);
                    let [id, kind, code] = icmp_attributes(self.protocol);
                    w.put(id, &echo.id);
                    w.put(kind, &echo.kind);
                    w.put(code, &echo.code);
                }),
            }
            let zone = match kind {
                CTA_TUPLE_ORIG => cx.zone_orig,
                CTA_TUPLE_REPLY => cx.zone_reply,
                _ => None,
            };
            w.put_some(CTA_TUPLE_ZONE, zone.as_ref());
        });
    }
}

#[inline]
fn read_proto(nest: Attribute<'_>) -> Result<(u8, Detail), DecodeError> {
    let (mut protocol, mut ports) = (None, [None; 2]);
    let mut icmp = (None, None, None);
    let mut attributes = nest.nest();
    while let Some(attr) = attributes.next()? {
        match attr.kind {
            CTA_PROTO_NUM => protocol = Some(attr.get()?),
            CTA_PROTO_SRC_PORT => ports[0] = Some(attr.get()?),
            CTA_PROTO_DST_PORT => ports[1] = Some(attr.get()?),
            CTA_PROTO_ICMP_ID | CTA_PROTO_ICMPV6_ID => icmp.0 = Some(attr.get()?),
            CTA_PROTO_ICMP_TYPE | CTA_PROTO_ICMPV6_TYPE => icmp.1 = Some(attr.get()?),
            CTA_PROTO_ICMP_CODE | CTA_PROTO_ICMPV6_CODE => icmp.2 = Some(attr.get()?),
            _ => {}
        }
    }
    let protocol = protocol.ok_or(DecodeError::Missing {
        attribute: CTA_PROTO_NUM,
    })?;
    let detail = match (ports, icmp) {
        ([Some(src), Some(dst)], _) => Detail::Ports(src, dst),
        (_, (Some(id), Some(kind), Some(code))) => Detail::Icmp(IcmpEcho { kind, code, id }),
        _ => Detail::None,
    };
    Ok((protocol, detail))
}

/// The numbers of id, type and code.
fn icmp_attributes(protocol: u8) -> [u16; 3] {
    match protocol {
        IPPROTO_ICMPV6 => [
            CTA_PROTO_ICMPV6_ID,
            CTA_PROTO_ICMPV6_TYPE,
            CTA_PROTO_ICMPV6_CODE,
        ],
        _ => [CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE],
    }
}

impl Addresses {
    #[inline]
    fn read(nest: Attribute<'_>) -> Result<Self, DecodeError> {
        const ABSENT: fn(u16) -> DecodeError = |attribute| DecodeError::Missing { attribute };
        let (mut src4, mut dst4, mut src6, mut dst6) = (None, None, None, None);
        let mut attributes = nest.nest();
        while let Some(attr) = attributes.next()? {
            match attr.kind {
                CTA_IP_V4_SRC => src4 = Some(attr.get()?),
                CTA_IP_V4_DST => dst4 = Some(attr.get()?),
                CTA_IP_V6_SRC => src6 = Some(attr.get()?),
                CTA_IP_V6_DST => dst6 = Some(attr.get()?),
                _ => {}
            }
        }
        match (src4, dst4, src6, dst6) {
            (Some(src), Some(dst), None, None) => Ok(Self::V4(src, dst)),
            (None, None, Some(src), Some(dst)) => Ok(Self::V6(src, dst)),
            (Some(_), None, None, None) => Err(ABSENT(CTA_IP_V4_DST)),
            (None, _, None, None) => Err(ABSENT(CTA_IP_V4_SRC)),
            (None, None, Some(_), None) => Err(ABSENT(CTA_IP_V6_DST)),
            (None, None, None, Some(_)) => Err(ABSENT(CTA_IP_V6_SRC)),
            _ => Err(DecodeError::MixedFamilies),
        }
    }
}

/// Reads a tuple of the form that kernels have always given one with ports and without a zone:
/// its seven headers are compared as they stand, and any other form is walked. It brought a TCP flow
/// of IPv4 from 99 to 77 ns, a UDP flow of IPv6 from 90 to 59.
#[inline]
fn usual(payload: &[u8]) -> Option<Tuple> {
    const V4: usize = 8;
    const V6: usize = 20;
    match payload.len() {
        48 => {
            let (src, dst, rest) = addresses::<V4, 4>(payload, [CTA_IP_V4_SRC, CTA_IP_V4_DST])?;
            ports(rest, Addresses::V4(src.into(), dst.into()))
        }
        72 => {
            let (src, dst, rest) = addresses::<V6, 16>(payload, [CTA_IP_V6_SRC, CTA_IP_V6_DST])?;
            ports(rest, Addresses::V6(src.into(), dst.into()))
        }
        _ => None,
    }
}

/// Two addresses of `N` bytes, in attributes of `A` bytes each, and what follows their nest.
#[inline]
fn addresses<const A: usize, const N: usize>(
    payload: &[u8],
    [src, dst]: [u16; 2],
) -> Option<([u8; N], [u8; N], &[u8])> {
    let attr = |at: usize, len: usize, kind: u16| {
        let found: &[u8; 4] = payload.get(at..)?.first_chunk()?;
        (*found == header(len, kind)).then_some(())
    };
    attr(0, 4 + 2 * A, CTA_TUPLE_IP | NLA_F_NESTED)?;
    attr(4, A, src)?;
    attr(4 + A, A, dst)?;
    Some((
        *payload.get(8..)?.first_chunk()?,
        *payload.get(8 + A..)?.first_chunk()?,
        payload.get(4 + 2 * A..)?,
    ))
}

/// A nest of protocol number and two ports.
#[inline]
fn ports(nest: &[u8], addresses: Addresses) -> Option<Tuple> {
    let nest: &[u8; 28] = nest.try_into().ok()?;
    let attr = |at: usize, len: usize, kind: u16| nest[at..at + 4] == header(len, kind);
    let usual = attr(0, 28, CTA_TUPLE_PROTO | NLA_F_NESTED)
        && attr(4, 5, CTA_PROTO_NUM)
        && attr(12, 6, CTA_PROTO_SRC_PORT)
        && attr(20, 6, CTA_PROTO_DST_PORT);
    usual.then(|| Tuple {
        addresses,
        protocol: nest[8],
        detail: Detail::Ports([nest[16], nest[17]], [nest[24], nest[25]]),
    })
}

/// The nest of two addresses of `N` bytes, `L` bytes in all. In one piece, as [`port_nest`]: by the
/// attribute, a tuple took a third of the instructions that a mark takes in user space.
#[inline]
fn address_nest<const L: usize, const N: usize>(
    [src_kind, dst_kind]: [u16; 2],
    src: [u8; N],
    dst: [u8; N],
) -> [u8; L] {
    let mut nest = [0; L];
    let (head, rest) = nest.split_at_mut(4);
    let (first, second) = rest.split_at_mut(4 + N);
    head.copy_from_slice(&header(L, CTA_TUPLE_IP | NLA_F_NESTED));
    first[..4].copy_from_slice(&header(4 + N, src_kind));
    first[4..].copy_from_slice(&src);
    second[..4].copy_from_slice(&header(4 + N, dst_kind));
    second[4..].copy_from_slice(&dst);
    nest
}

/// The nest of a protocol's number and two ports.
#[inline]
fn port_nest(protocol: u8, src: [u8; 2], dst: [u8; 2]) -> [u8; 28] {
    let mut nest = [0; 28];
    for (at, header) in [
        (0, header(28, CTA_TUPLE_PROTO | NLA_F_NESTED)),
        (4, header(5, CTA_PROTO_NUM)),
        (12, header(6, CTA_PROTO_SRC_PORT)),
        (20, header(6, CTA_PROTO_DST_PORT)),
    ] {
        nest[at..at + 4].copy_from_slice(&header);
    }
    nest[8] = protocol;
    nest[16..18].copy_from_slice(&src);
    nest[24..26].copy_from_slice(&dst);
    nest
}

/// The header of an attribute; `len` counts it.
#[inline]
const fn header(len: usize, kind: u16) -> [u8; 4] {
    let ([l0, l1], [k0, k1]) = ((len as u16).to_ne_bytes(), kind.to_ne_bytes());
    [l0, l1, k0, k1]
}
