//! A tuple on the wire: nests whose shape depends on family and protocol.

use super::{Addresses, Detail, Tuple, has_echo};
use crate::flow::IcmpEcho;
use crate::wire::attr::{Attribute, Attributes, DecodeError, Value, Writer, header};
use crate::wire::table::{Codec, Context};
use crate::wire::uapi::*;
use crate::wire::usual::{Usual, length};

/// The lengths of the nests of two addresses, of a protocol with two ports, and of one with three
/// ICMP fields.
const ADDRESSES_V4: usize = 4 + length(&[4, 4]);
const ADDRESSES_V6: usize = 4 + length(&[16, 16]);
const PORTS: usize = 4 + length(&[1, 2, 2]);
const ECHO: usize = 4 + length(&[1, 2, 1, 1]);

/// The lengths of tuples with ports.
const TUPLE_V4: usize = 4 + ADDRESSES_V4 + PORTS;
const TUPLE_V6: usize = 4 + ADDRESSES_V6 + PORTS;

impl Codec for Tuple {
    const NEST: usize = ADDRESSES_V4 + PORTS;

    /// The addresses of either family, and a protocol with ports or ICMP fields.
    #[inline(always)]
    fn usual(payload: &[u8]) -> Option<Self> {
        const V4_PORTS: usize = ADDRESSES_V4 + PORTS;
        const V4_ECHO: usize = ADDRESSES_V4 + ECHO;
        const V6_PORTS: usize = ADDRESSES_V6 + PORTS;
        const V6_ECHO: usize = ADDRESSES_V6 + ECHO;
        let len = payload.len();
        let mut usual = Usual::of(payload, len)?;
        let addresses = match len {
            V4_PORTS | V4_ECHO => {
                usual.enter(CTA_TUPLE_IP | NLA_F_NESTED, ADDRESSES_V4 - 4)?;
                let src = Value::read(usual.next(CTA_IP_V4_SRC, 4)?)?;
                let dst = Value::read(usual.next(CTA_IP_V4_DST, 4)?)?;
                Addresses::V4(src, dst)
            }
            V6_PORTS | V6_ECHO => {
                usual.enter(CTA_TUPLE_IP | NLA_F_NESTED, ADDRESSES_V6 - 4)?;
                let src = Value::read(usual.next(CTA_IP_V6_SRC, 16)?)?;
                let dst = Value::read(usual.next(CTA_IP_V6_DST, 16)?)?;
                Addresses::V6(src, dst)
            }
            _ => return None,
        };
        match len {
            V4_PORTS | V6_PORTS => Self::usual_ports(addresses, usual),
            _ => Self::usual_echo(addresses, usual),
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
        let zone = cx.clone().zone_of_direction().and_then(|zone| *zone);
        self.put(kind, zone, w);
    }
}

impl Tuple {
    /// Writes the tuple, with the zone of its direction if there is one.
    ///
    /// A tuple of the usual shape is a template, filled in: attribute by attribute, a tuple took a
    /// third of the user space instructions of a mark.
    #[inline]
    pub(in crate::flow) fn put(&self, kind: u16, zone: Option<u16>, w: &mut Writer<'_>) {
        const V4: [u8; TUPLE_V4] = template(4, [CTA_IP_V4_SRC, CTA_IP_V4_DST]);
        const V6: [u8; TUPLE_V6] = template(16, [CTA_IP_V6_SRC, CTA_IP_V6_DST]);
        match (&self.addresses, &self.detail, zone) {
            (Addresses::V4(src, dst), Detail::Ports(..), None) => {
                w.raw(&self.filled(V4, kind, src.octets(), dst.octets()));
            }
            (Addresses::V6(src, dst), Detail::Ports(..), None) => {
                w.raw(&self.filled(V6, kind, src.octets(), dst.octets()));
            }
            _ => self.encode_parts(kind, zone, w),
        }
    }

    /// The template with this tuple, which has ports. `L` is its length, `N` that of an address.
    #[inline]
    fn filled<const L: usize, const N: usize>(
        &self,
        mut nest: [u8; L],
        kind: u16,
        src: [u8; N],
        dst: [u8; N],
    ) -> [u8; L] {
        let ports = L - PORTS;
        nest[..4].copy_from_slice(&header(L, kind | NLA_F_NESTED));
        nest[12..12 + N].copy_from_slice(&src);
        nest[16 + N..ports].copy_from_slice(&dst);
        nest[ports + 8] = self.protocol;
        if let Detail::Ports(src, dst) = &self.detail {
            nest[ports + 16..ports + 18].copy_from_slice(src);
            nest[ports + 24..ports + 26].copy_from_slice(dst);
        }
        nest
    }

    /// Writes a tuple of any shape.
    fn encode_parts(&self, kind: u16, zone: Option<u16>, w: &mut Writer<'_>) {
        w.nest(kind, |w| {
            w.nest(CTA_TUPLE_IP, |w| match &self.addresses {
                Addresses::V4(src, dst) => {
                    w.put(CTA_IP_V4_SRC, src);
                    w.put(CTA_IP_V4_DST, dst);
                }
                Addresses::V6(src, dst) => {
                    w.put(CTA_IP_V6_SRC, src);
                    w.put(CTA_IP_V6_DST, dst);
                }
            });
            w.nest(CTA_TUPLE_PROTO, |w| {
                w.put(CTA_PROTO_NUM, &self.protocol);
                match &self.detail {
                    Detail::None => {}
                    Detail::Ports(src, dst) => {
                        w.put(CTA_PROTO_SRC_PORT, src);
                        w.put(CTA_PROTO_DST_PORT, dst);
                    }
                    Detail::Icmp(echo) => {
                        let [id, kind, code] = icmp_attributes(self.protocol);
                        w.put(id, &echo.id);
                        w.put(kind, &echo.kind);
                        w.put(code, &echo.code);
                    }
                }
            });
            w.put_some(CTA_TUPLE_ZONE, zone.as_ref());
        });
    }

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

    #[inline(always)]
    fn usual_echo(addresses: Addresses, mut usual: Usual<'_>) -> Option<Self> {
        usual.enter(CTA_TUPLE_PROTO | NLA_F_NESTED, ECHO - 4)?;
        let protocol = u8::read(usual.next(CTA_PROTO_NUM, 1)?)?;
        let [id, kind, code] = icmp_attributes(protocol);
        let id = Value::read(usual.next(id, 2)?)?;
        let kind = Value::read(usual.next(kind, 1)?)?;
        let code = Value::read(usual.next(code, 1)?)?;
        has_echo(protocol).then_some(Self {
            addresses,
            protocol,
            detail: Detail::Icmp(IcmpEcho { id, kind, code }),
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

/// The nest of a tuple with ports: only the headers of its attributes, for addresses of this
/// length.
const fn template<const L: usize>(address: usize, [src, dst]: [u16; 2]) -> [u8; L] {
    let ports = L - PORTS;
    let nest = [0; L];
    let nest = with_header(nest, 4, ports - 4, CTA_TUPLE_IP | NLA_F_NESTED);
    let nest = with_header(nest, 8, 4 + address, src);
    let nest = with_header(nest, 12 + address, 4 + address, dst);
    let nest = with_header(nest, ports, PORTS, CTA_TUPLE_PROTO | NLA_F_NESTED);
    let nest = with_header(nest, ports + 4, 5, CTA_PROTO_NUM);
    let nest = with_header(nest, ports + 12, 6, CTA_PROTO_SRC_PORT);
    with_header(nest, ports + 20, 6, CTA_PROTO_DST_PORT)
}

const fn with_header<const L: usize>(
    mut nest: [u8; L],
    at: usize,
    len: usize,
    kind: u16,
) -> [u8; L] {
    [nest[at], nest[at + 1], nest[at + 2], nest[at + 3]] = header(len, kind);
    nest
}
