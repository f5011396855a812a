//! The part of a filter that goes into a request, as attributes.

use super::kernel::{Pushed, Side};
use crate::flow::Flow;
use crate::wire::attr::Writer;
use crate::wire::uapi::*;

impl Pushed {
    /// Writes it for a flush: with an empty `CTA_FILTER`, for which kernels that could ignore a
    /// condition in a flush refuse the request.
    pub(crate) fn write_guarded(&self, w: &mut Writer<'_>) {
        self.write(w);
        w.nest(CTA_FILTER, |_| {});
    }

    pub(crate) fn write(&self, w: &mut Writer<'_>) {
        // Value and mask always both: before 5.15 the kernel ignores a mark without its mask.
        if let Some(mark) = self.mark {
            Flow::mark.put_masked(&mark.value(), &mark.mask(), w);
        }
        if let Some(status) = self.status {
            Flow::status.put_masked(&status.value(), &status.mask(), w);
        }
        Flow::zone.put_some(self.zone.as_ref(), w);
        let sides = [
            (&self.orig, CTA_FILTER_ORIG_FLAGS, CTA_TUPLE_ORIG),
            (&self.reply, CTA_FILTER_REPLY_FLAGS, CTA_TUPLE_REPLY),
        ];
        let sides = || sides.iter().filter(|(side, ..)| **side != Side::default());
        if sides().next().is_none() {
            return;
        }
        w.nest(CTA_FILTER, |w| {
            for (side, flags, _) in sides() {
                // The one number of the table that goes in the machine's own order.
                w.put(*flags, &side.flags().to_ne_bytes());
            }
        });
        for (side, _, tuple) in sides() {
            w.nest(*tuple, |w| side.write(w));
        }
    }
}

impl Side {
    fn is_icmpv6(&self) -> bool {
        self.protocol == Some(IPPROTO_ICMPV6)
    }

    /// The fields that the kernel shall compare.
    fn flags(&self) -> u32 {
        let [kind, code, id] = match self.is_icmpv6() {
            true => [
                CTA_FILTER_F_CTA_PROTO_ICMPV6_TYPE,
                CTA_FILTER_F_CTA_PROTO_ICMPV6_CODE,
                CTA_FILTER_F_CTA_PROTO_ICMPV6_ID,
            ],
            false => [
                CTA_FILTER_F_CTA_PROTO_ICMP_TYPE,
                CTA_FILTER_F_CTA_PROTO_ICMP_CODE,
                CTA_FILTER_F_CTA_PROTO_ICMP_ID,
            ],
        };
        let fields = [
            (self.src.is_some(), CTA_FILTER_F_CTA_IP_SRC),
            (self.dst.is_some(), CTA_FILTER_F_CTA_IP_DST),
            (self.protocol.is_some(), CTA_FILTER_F_CTA_PROTO_NUM),
            (self.src_port.is_some(), CTA_FILTER_F_CTA_PROTO_SRC_PORT),
            (self.dst_port.is_some(), CTA_FILTER_F_CTA_PROTO_DST_PORT),
            (self.icmp_type.is_some(), kind),
            (self.icmp_code.is_some(), code),
            (self.icmp_id.is_some(), id),
        ];
        fields
            .into_iter()
            .filter(|(there, _)| *there)
            .fold(0, |flags, (_, flag)| flags | flag)
    }

    fn write(&self, w: &mut Writer<'_>) {
        if self.src.or(self.dst).is_some() {
            w.nest(CTA_TUPLE_IP, |w| {
                w.put_some(CTA_IP_V4_SRC, self.src.as_ref());
                w.put_some(CTA_IP_V4_DST, self.dst.as_ref());
            });
        }
        let Some(protocol) = self.protocol else {
            return;
        };
        let [id, kind, code] = match self.is_icmpv6() {
            true => [
                CTA_PROTO_ICMPV6_ID,
                CTA_PROTO_ICMPV6_TYPE,
                CTA_PROTO_ICMPV6_CODE,
            ],
            false => [CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE],
        };
        w.nest(CTA_TUPLE_PROTO, |w| {
            w.put(CTA_PROTO_NUM, &protocol);
            w.put_some(CTA_PROTO_SRC_PORT, self.src_port.as_ref());
            w.put_some(CTA_PROTO_DST_PORT, self.dst_port.as_ref());
            w.put_some(id, self.icmp_id.as_ref());
            w.put_some(kind, self.icmp_type.as_ref());
            w.put_some(code, self.icmp_code.as_ref());
        });
    }
}
