//! The fields of a tuple that kernels compare, one row each.

use std::net::Ipv4Addr;

use super::kernel::KernelFilter;
use crate::wire::attr::Writer;
use crate::wire::uapi::*;

/// Declares the fields in the order in which they are written: the name, the attribute, the bit of
/// `CTA_FILTER_ORIG_FLAGS` and `CTA_FILTER_REPLY_FLAGS`, and the name of the condition in each
/// direction.
macro_rules! fields {
    ($($nest:ident { $($field:ident: $ty:ty = $attribute:ident, $flag:ident, $orig:ident $reply:ident;)+ })+) => {
        /// The compared fields of one tuple. All except addresses need the protocol.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        pub(super) struct Side {
            $($(pub(super) $field: Option<$ty>,)+)+
        }

        impl Side {
            /// The fields that the kernel is to compare, as its bits.
            pub(super) fn flags(&self) -> u32 {
                let mut flags = 0;
                $($(if self.$field.is_some() {
                    flags |= $flag;
                })+)+
                flags
            }

            /// The conditions of these fields: on the original tuple, and on the reply tuple.
            pub(super) fn conditions(&self) -> [KernelFilter; 2] {
                let mut conditions = [KernelFilter::empty(); 2];
                $($(if self.$field.is_some() {
                    conditions[0] |= KernelFilter::$orig;
                    conditions[1] |= KernelFilter::$reply;
                })+)+
                conditions
            }

            pub(super) fn write(&self, w: &mut Writer<'_>) {
                $(if $(self.$field.is_some() ||)+ false {
                    w.nest($nest, |w| {
                        $(w.put_some($attribute, self.$field.as_ref());)+
                    });
                })+
            }
        }
    };
}

fields! {
    CTA_TUPLE_IP {
        src: Ipv4Addr = CTA_IP_V4_SRC, CTA_FILTER_F_CTA_IP_SRC, ORIG_SRC REPLY_SRC;
        dst: Ipv4Addr = CTA_IP_V4_DST, CTA_FILTER_F_CTA_IP_DST, ORIG_DST REPLY_DST;
    }
    CTA_TUPLE_PROTO {
        protocol: u8 = CTA_PROTO_NUM, CTA_FILTER_F_CTA_PROTO_NUM, PROTOCOL PROTOCOL;
        src_port: u16 = CTA_PROTO_SRC_PORT, CTA_FILTER_F_CTA_PROTO_SRC_PORT, ORIG_SRC_PORT REPLY_SRC_PORT;
        dst_port: u16 = CTA_PROTO_DST_PORT, CTA_FILTER_F_CTA_PROTO_DST_PORT, ORIG_DST_PORT REPLY_DST_PORT;
        icmp_id: u16 = CTA_PROTO_ICMP_ID, CTA_FILTER_F_CTA_PROTO_ICMP_ID, ICMP_ID ICMP_ID;
        icmp_type: u8 = CTA_PROTO_ICMP_TYPE, CTA_FILTER_F_CTA_PROTO_ICMP_TYPE, ICMP_TYPE ICMP_TYPE;
        icmp_code: u8 = CTA_PROTO_ICMP_CODE, CTA_FILTER_F_CTA_PROTO_ICMP_CODE, ICMP_CODE ICMP_CODE;
        icmpv6_id: u16 = CTA_PROTO_ICMPV6_ID, CTA_FILTER_F_CTA_PROTO_ICMPV6_ID, ICMP_ID ICMP_ID;
        icmpv6_type: u8 = CTA_PROTO_ICMPV6_TYPE, CTA_FILTER_F_CTA_PROTO_ICMPV6_TYPE, ICMP_TYPE ICMP_TYPE;
        icmpv6_code: u8 = CTA_PROTO_ICMPV6_CODE, CTA_FILTER_F_CTA_PROTO_ICMPV6_CODE, ICMP_CODE ICMP_CODE;
    }
}
