//! A tuple on the wire: nests whose shape depends on family and protocol.

use super::{Addresses, Detail, Tuple, has_echo};
use crate::flow::IcmpEcho;
use crate::wire::attr::{Attribute, Attributes, DecodeError, Value, Writer, header};
use crate::wire::table::{Codec, Context};
use crate::wire::uapi::*;
use crate::wire::usual::{Usual, length};

/// The lengths of the nests of two addresses, and of a protocol with two ports.
const ADDRESSES_V4: usize = 4 + length(&[4, 4]);
const ADDRESSES_V6: usize = 4 + length(&[16, 16]);
const PORTS: usize = 4 + length(&[1, 2, 2]);

impl Codec for Tuple {
    /// The addresses of either family, and a protocol with ports.
    #[inline(always)]
    fn usual(payload: &[u8]) -> Option<Self> {
        const V4: usize = ADDRESSES_V4 + PORTS;
        const V6: usize = ADDRESSES_V6 + PORTS;
        match payload.len() {
            V4 => {
                let mut usual = Usual::of(payload, V4)?;
                usual.enter(CTA_TUPLE_IP | NLA_F_NESTED, ADDRESSES_V4 - 4)?;
                let src = Value::read(usual.next(CTA_IP_V4_SRC, 4)?)?;
                let dst = Value::read(usual.next(CTA_IP_V4_DST, 4)?)?;
                Self::usual_ports(Addresses::V4(src, dst), usual)
            }
            V6 => {
                let mut usual = Usual::of(payload, V6)?;
                usual.enter(CTA_TUPLE_IP | NLA_F_NESTED, ADDRESSES_V6 - 4)?;
                let src = Value::read(usual.next(CTA_IP_V6_SRC, 16)?)?;
                let dst = Value::read(usual.next(CTA_IP_V6_DST, 16)?)?;
                Self::usual_ports(Addresses::V6(src, dst), usual)
            }
            _ => None,
        }
    }

    fn decode(payload: &[u8], cx: &mut Context) -> Result<Self, DecodeError> {
        let (mut addresses, mut proto) = (None, None);
        let mut attributes = Attributes(payload);
        while let Some(inner) = attributes.next()? {
            match inner.kind {
                CTA_TUPLE_IP => addresses = Some(within!(CTA_TUPLE_IP, Addresses::read(inner))?),
                CTA_TUPLE_PROTO => proto = Some(within!(CTA_TUPLE_PROTO, read_proto(inner))?),
                CTA_TUPLE_ZONE => {
                    let zone = within!(CTA_TUPLE_ZONE, inner.get())?;
                    if let Some(place) = cx.zone_of_direction() {
                        *place = Some(zone);
                    }
                }
                _ => {}
            }
        }
        let addresses = present!(CTA_TUPLE_IP, addresses)?;
        let (protocol, detail) = present!(CTA_TUPLE_PROTO, proto)?;
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
                    w.raw(&address_nest::<ADDRESSES_V4, 4>(
                        kinds,
                        src.octets(),
                        dst.octets(),
                    ));
                }
                Addresses::V6(src, dst) => {
                    let kinds = [CTA_IP_V6_SRC, CTA_IP_V6_DST];
                    w.raw(&address_nest::<ADDRESSES_V6, 16>(
                        kinds,
                        src.octets(),
                        dst.octets(),
                    ));
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
            let zone = cx.clone().zone_of_direction().and_then(|zone| *zone);
            w.put_some(CTA_TUPLE_ZONE, zone.as_ref());
        });
    }
}

impl Tuple {
    #[inline(always)]
    fn usual_ports(addresses: Addresses, mut usual: Usual<'_>) -> Option<Self> {
        usual.enter(CTA_TUPLE_PROTO | NLA_F_NESTED, PORTS - 4)?;
        let protocol = u8::read(usual.next(CTA_PROTO_NUM, 1)?)?;
        let src = Value::read(usual.next(CTA_PROTO_SRC_PORT, 2)?)?;
        let dst = Value::read(usual.next(CTA_PROTO_DST_PORT, 2)?)?;
        (!has_echo(protocol)).then_some(Self {
            addresses,
            protocol,
            detail: Detail::Ports(src, dst),
        })
    }
}

/// The protocol, and its two ports or its three ICMP fields: all of them, or none.
#[inline]
fn read_proto(nest: Attribute<'_>) -> Result<(u8, Detail), DecodeError> {
    let (mut protocol, mut src, mut dst) = (None, None, None);
    let (mut id, mut kind, mut code) = (None, None, None);
    let mut attributes = nest.nest();
    while let Some(attr) = attributes.next()? {
        match attr.kind {
            CTA_PROTO_NUM => protocol = Some(within!(CTA_PROTO_NUM, attr.get())?),
            CTA_PROTO_SRC_PORT => src = Some(within!(CTA_PROTO_SRC_PORT, attr.get())?),
            CTA_PROTO_DST_PORT => dst = Some(within!(CTA_PROTO_DST_PORT, attr.get())?),
            CTA_PROTO_ICMP_ID => id = Some(within!(CTA_PROTO_ICMP_ID, attr.get())?),
            CTA_PROTO_ICMP_TYPE => kind = Some(within!(CTA_PROTO_ICMP_TYPE, attr.get())?),
            CTA_PROTO_ICMP_CODE => code = Some(within!(CTA_PROTO_ICMP_CODE, attr.get())?),
            CTA_PROTO_ICMPV6_ID => id = Some(within!(CTA_PROTO_ICMPV6_ID, attr.get())?),
            CTA_PROTO_ICMPV6_TYPE => kind = Some(within!(CTA_PROTO_ICMPV6_TYPE, attr.get())?),
            CTA_PROTO_ICMPV6_CODE => code = Some(within!(CTA_PROTO_ICMPV6_CODE, attr.get())?),
            _ => {}
        }
    }
    let protocol = present!(CTA_PROTO_NUM, protocol)?;
    // Ignore fields that tuples of the protocol do not have.
    let detail = match (has_echo(protocol), src, dst) {
        (true, ..) if (id, kind, code) == (None, None, None) => Detail::None,
        (true, ..) => Detail::Icmp(IcmpEcho {
            id: present!(CTA_PROTO_ICMP_ID, id)?,
            kind: present!(CTA_PROTO_ICMP_TYPE, kind)?,
            code: present!(CTA_PROTO_ICMP_CODE, code)?,
        }),
        (false, None, None) => Detail::None,
        (false, ..) => Detail::Ports(
            present!(CTA_PROTO_SRC_PORT, src)?,
            present!(CTA_PROTO_DST_PORT, dst)?,
        ),
    };
    Ok((protocol, detail))
}

/// The attribute numbers of id, type and code.
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
        let (mut src4, mut dst4, mut src6, mut dst6) = (None, None, None, None);
        let mut attributes = nest.nest();
        while let Some(attr) = attributes.next()? {
            match attr.kind {
                CTA_IP_V4_SRC => src4 = Some(within!(CTA_IP_V4_SRC, attr.get())?),
                CTA_IP_V4_DST => dst4 = Some(within!(CTA_IP_V4_DST, attr.get())?),
                CTA_IP_V6_SRC => src6 = Some(within!(CTA_IP_V6_SRC, attr.get())?),
                CTA_IP_V6_DST => dst6 = Some(within!(CTA_IP_V6_DST, attr.get())?),
                _ => {}
            }
        }
        match (src4.or(dst4), src6.or(dst6)) {
            (_, None) => Ok(Self::V4(
                present!(CTA_IP_V4_SRC, src4)?,
                present!(CTA_IP_V4_DST, dst4)?,
            )),
            (None, _) => Ok(Self::V6(
                present!(CTA_IP_V6_SRC, src6)?,
                present!(CTA_IP_V6_DST, dst6)?,
            )),
            _ => Err(DecodeError::MixedFamilies),
        }
    }
}

/// The nest of two addresses of `N` bytes, `L` bytes in all. Written in one piece, like
/// [`port_nest`]: attribute by attribute, a tuple took a third of the user space instructions of a
/// mark.
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
fn port_nest(protocol: u8, src: [u8; 2], dst: [u8; 2]) -> [u8; PORTS] {
    let mut nest = [0; PORTS];
    for (at, header) in [
        (0, header(PORTS, CTA_TUPLE_PROTO | NLA_F_NESTED)),
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
