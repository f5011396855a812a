//! A tuple as the kernel stores it, with its decoder and encoder.

use super::attrs::{self, Attrs};
use super::release::Release;
use crate::wire::attr::Writer;
use crate::wire::uapi::*;

/// `nf_conntrack_tuple`. For ICMP, the id is in the source, and type and code are in the
/// destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Tuple {
    pub(super) family: u8,
    pub(super) protocol: u8,
    pub(super) src: [u8; 16],
    pub(super) dst: [u8; 16],
    pub(super) src_part: u16,
    pub(super) dst_part: u16,
}

/// `nf_conntrack_zone`: a number, for both directions or for one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Zone {
    pub(super) id: u16,
    /// The only direction that it is for: 0 is the original, 1 the reply.
    pub(super) only: Option<usize>,
}

/// All fields, including the zone.
pub(super) const WHOLE: u32 = 0xfff;

const ZONE: u32 = 1 << 2;
const PARTS: u32 = 0xff0;

impl Zone {
    pub(super) fn in_direction(self, direction: usize) -> u16 {
        match self.only {
            Some(only) if only != direction => 0,
            _ => self.id,
        }
    }
}

impl Tuple {
    /// Parses the fields in `fields` from a tuple attribute (`ctnetlink_parse_tuple_filter`).
    pub(super) fn parse(
        release: &Release,
        given: &[u8],
        family: u8,
        fields: u32,
        zone: Option<(&mut Zone, usize)>,
    ) -> Result<Self, i32> {
        let given = Attrs::parse(given, attrs::TUPLE, u16::MAX)?;
        if ![AF_INET, AF_INET6].contains(&family) {
            return Err(EOPNOTSUPP);
        }
        let mut tuple = Self {
            family,
            protocol: 0,
            src: [0; 16],
            dst: [0; 16],
            src_part: 0,
            dst_part: 0,
        };
        if fields & (CTA_FILTER_F_CTA_IP_SRC | CTA_FILTER_F_CTA_IP_DST) != 0 {
            let ip = given.nest(CTA_TUPLE_IP, attrs::IP)?.ok_or(EINVAL)?;
            tuple.parse_ip(&ip, fields)?;
        }
        if fields & CTA_FILTER_F_CTA_PROTO_NUM != 0 {
            let proto = given.get(CTA_TUPLE_PROTO).ok_or(EINVAL)?;
            tuple.parse_proto(release, proto, fields)?;
        } else if fields & PARTS != 0 {
            return Err(EINVAL);
        }
        if let (true, Some(number)) = (fields & ZONE != 0, given.u16(CTA_TUPLE_ZONE)) {
            let (zone, direction) = zone.ok_or(EINVAL)?;
            if zone.id != 0 {
                return Err(EINVAL);
            }
            if !release.zones {
                return Err(EOPNOTSUPP);
            }
            let only = Some(direction);
            *zone = Zone { id: number, only };
        }
        Ok(tuple)
    }

    fn parse_ip(&mut self, ip: &Attrs<'_>, fields: u32) -> Result<(), i32> {
        for (field, v4, v6, place) in [
            (
                CTA_FILTER_F_CTA_IP_SRC,
                CTA_IP_V4_SRC,
                CTA_IP_V6_SRC,
                &mut self.src,
            ),
            (
                CTA_FILTER_F_CTA_IP_DST,
                CTA_IP_V4_DST,
                CTA_IP_V6_DST,
                &mut self.dst,
            ),
        ] {
            if fields & field == 0 {
                continue;
            }
            if self.family == AF_INET {
                place[..4].copy_from_slice(&ip.array::<4>(v4).ok_or(EINVAL)?);
            } else {
                *place = ip.array(v6).ok_or(EINVAL)?;
            }
        }
        Ok(())
    }

    fn parse_proto(&mut self, release: &Release, given: &[u8], fields: u32) -> Result<(), i32> {
        // Fields of other protocols are ignored.
        let number = Attrs::parse(given, &attrs::PROTO[..2], u16::MAX)?;
        self.protocol = number.u8(CTA_PROTO_NUM).ok_or(EINVAL)?;
        let wants = |field: u32| fields & field != 0;
        if release.has_ports(self.protocol) {
            let given = Attrs::parse(given, &attrs::PROTO[..4], u16::MAX)?;
            if wants(CTA_FILTER_F_CTA_PROTO_SRC_PORT) {
                self.src_part = given.u16(CTA_PROTO_SRC_PORT).ok_or(EINVAL)?;
            }
            if wants(CTA_FILTER_F_CTA_PROTO_DST_PORT) {
                self.dst_part = given.u16(CTA_PROTO_DST_PORT).ok_or(EINVAL)?;
            }
            return Ok(());
        }
        let Some((id, kind, code)) = icmp_attributes(self.protocol) else {
            return Ok(());
        };
        let shift = if self.protocol == IPPROTO_ICMP { 6 } else { 9 };
        let given = Attrs::parse(given, attrs::PROTO, u16::MAX)?;
        let [mut high, mut low] = [0, 0];
        if wants(1 << shift) {
            high = given.u8(kind).ok_or(EINVAL)?;
            answer_type(self.protocol, high).ok_or(EINVAL)?;
        }
        if wants(2 << shift) {
            low = given.u8(code).ok_or(EINVAL)?;
        }
        if wants(4 << shift) {
            self.src_part = given.u16(id).ok_or(EINVAL)?;
        }
        self.dst_part = u16::from_be_bytes([high, low]);
        Ok(())
    }

    /// The tuple of the replies without NAT (`nf_ct_invert_tuple`).
    pub(super) fn inverse(self) -> Self {
        let mut inverse = Self {
            src: self.dst,
            dst: self.src,
            ..self
        };
        let [kind, code] = self.dst_part.to_be_bytes();
        if icmp_attributes(self.protocol).is_some() {
            let kind = answer_type(self.protocol, kind).unwrap_or(kind);
            inverse.dst_part = u16::from_be_bytes([kind, code]);
        } else {
            (inverse.src_part, inverse.dst_part) = (self.dst_part, self.src_part);
        }
        inverse
    }

    /// Is it equal to the given tuple in these fields? The kernel may invert the comparison of
    /// addresses, and compares ports only for TCP and UDP (`ctnetlink_filter_match_tuple`).
    pub(super) fn has_fields_of(&self, given: &Self, fields: u32, inverts: bool) -> bool {
        let wants = |field: u32| fields & field != 0;
        let mut has = true;
        let addresses = [
            (CTA_FILTER_F_CTA_IP_SRC, self.src == given.src),
            (CTA_FILTER_F_CTA_IP_DST, self.dst == given.dst),
        ];
        for (field, same) in addresses {
            has &= !wants(field) || same != inverts;
        }
        has &= !wants(CTA_FILTER_F_CTA_PROTO_NUM) || self.protocol == given.protocol;
        let [kind, code] = self.dst_part.to_be_bytes();
        let [given_kind, given_code] = given.dst_part.to_be_bytes();
        let same_source = self.src_part == given.src_part;
        let parts = match self.protocol {
            IPPROTO_TCP | IPPROTO_UDP => [
                (CTA_FILTER_F_CTA_PROTO_SRC_PORT, same_source),
                (
                    CTA_FILTER_F_CTA_PROTO_DST_PORT,
                    self.dst_part == given.dst_part,
                ),
                (0, true),
            ],
            IPPROTO_ICMP | IPPROTO_ICMPV6 => {
                let first = if self.protocol == IPPROTO_ICMP {
                    1 << 6
                } else {
                    1 << 9
                };
                [
                    (first, kind == given_kind),
                    (first << 1, code == given_code),
                    (first << 2, same_source),
                ]
            }
            _ => [(0, true); 3],
        };
        has && parts.iter().all(|(field, same)| !wants(*field) || *same)
    }

    /// Writes the nest of the tuple's two parts (`ctnetlink_dump_tuples`).
    pub(super) fn write(&self, release: &Release, w: &mut Writer<'_>) {
        w.nest(CTA_TUPLE_IP, |w| {
            if self.family == AF_INET {
                let [src, dst] = [self.src, self.dst].map(v4);
                w.put(CTA_IP_V4_SRC, &src);
                w.put(CTA_IP_V4_DST, &dst);
            } else {
                w.put(CTA_IP_V6_SRC, &self.src);
                w.put(CTA_IP_V6_DST, &self.dst);
            }
        });
        w.nest(CTA_TUPLE_PROTO, |w| {
            w.put(CTA_PROTO_NUM, &self.protocol);
            if release.has_ports(self.protocol) {
                w.put(CTA_PROTO_SRC_PORT, &self.src_part);
                w.put(CTA_PROTO_DST_PORT, &self.dst_part);
            } else if let Some((id, kind, code)) = icmp_attributes(self.protocol) {
                let [own_kind, own_code] = self.dst_part.to_be_bytes();
                w.put(id, &self.src_part);
                w.put(kind, &own_kind);
                w.put(code, &own_code);
            }
        });
    }
}

pub(super) fn v4(address: [u8; 16]) -> [u8; 4] {
    let [a, b, c, d, ..] = address;
    [a, b, c, d]
}

/// Id, type and code.
pub(super) fn icmp_attributes(protocol: u8) -> Option<(u16, u16, u16)> {
    match protocol {
        IPPROTO_ICMP => Some((CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE)),
        IPPROTO_ICMPV6 => Some((
            CTA_PROTO_ICMPV6_ID,
            CTA_PROTO_ICMPV6_TYPE,
            CTA_PROTO_ICMPV6_CODE,
        )),
        _ => None,
    }
}

/// The type of the reply to this type, or of the request for it.
fn answer_type(protocol: u8, kind: u8) -> Option<u8> {
    Some(match (protocol, kind) {
        (IPPROTO_ICMP, 0) => 8,
        (IPPROTO_ICMP, 8) => 0,
        (IPPROTO_ICMP, 13 | 15 | 17) | (IPPROTO_ICMPV6, 128 | 139) => kind + 1,
        (IPPROTO_ICMP, 14 | 16 | 18) | (IPPROTO_ICMPV6, 129 | 140) => kind - 1,
        _ => return None,
    })
}
