//! A tuple on the wire: nests whose shape depends on family and protocol.

use super::{Addresses, Detail, Tuple};
use crate::flow::IcmpEcho;
use crate::wire::attr::{Attribute, DecodeError, Writer};
use crate::wire::table::{Codec, Context};
use crate::wire::uapi::*;

impl Codec for Tuple {
    #[inline]
    fn decode(attr: Attribute<'_>, cx: &mut Context) -> Result<Self, DecodeError> {
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
