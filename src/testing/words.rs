//! The extended ACK: the kernel's message and its attributes (`NETLINK_EXT_ACK`).

use super::attrs::Rule;
use crate::wire::attr::Writer;
use crate::wire::uapi::*;

/// `NL_POLICY_TYPE_ATTR_`, and the types of `NL_POLICY_TYPE_ATTR_TYPE`.
const TYPE: u16 = 1;
const MIN_VALUE_U: u16 = 4;
const MAX_VALUE_U: u16 = 5;
const MAX_LENGTH: u16 = 7;
const MASK: u16 = 12;
const U8: u32 = 2;
const U16: u32 = 3;
const U32: u32 = 4;
const BINARY: u32 = 10;
const NUL_STRING: u32 = 12;
const NESTED: u32 = 13;

/// `struct netlink_ext_ack`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words {
    pub(super) text: &'static str,
    /// The offset of the attribute that caused the error, in the attributes.
    pub(super) at: Option<usize>,
    /// The rule that the attribute violates.
    pub(super) rule: Option<Rule>,
}

/// Why a request is refused: an errno and, for a few reasons, the kernel's message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Refusal {
    pub(super) errno: i32,
    pub(super) words: Option<Words>,
}

impl Words {
    /// The message for leftover bytes after the last attribute, which are skipped.
    pub(super) const LEFTOVER: Self = Self {
        text: "bytes leftover after parsing attributes",
        at: None,
        rule: None,
    };

    /// The refusal of an attribute that violates its rule.
    pub(super) fn refusing(rule: Rule, payload: &[u8], at: usize) -> Self {
        match rule {
            Rule::Bits(_) if payload.len() >= 4 => Self {
                text: "reserved bit set",
                at: Some(at),
                rule: None,
            },
            rule => Self {
                text: "Attribute failed policy validation",
                at: Some(at),
                rule: Some(rule),
            },
        }
    }

    /// Writes the attributes after the ACK of a request with headers of this length.
    pub(super) fn write(self, headers: usize, w: &mut Writer<'_>) {
        let text: Vec<u8> = self.text.bytes().chain([0]).collect();
        w.put(NLMSGERR_ATTR_MSG, &text.into_boxed_slice());
        if let Some(at) = self.at {
            let offset = (headers + at) as u32;
            w.put(NLMSGERR_ATTR_OFFS, &offset.to_ne_bytes());
        }
        // There is no policy for an attribute that is always refused.
        if let Some(rule) = self.rule.filter(|rule| *rule != Rule::Refused) {
            w.nest(NLMSGERR_ATTR_POLICY, |w| rule.write(w));
        }
    }
}

impl Rule {
    /// `__netlink_policy_dump_write_attr`.
    fn write(self, w: &mut Writer<'_>) {
        let mut number = |kind: u16, value: u64| w.put(kind, &value.to_ne_bytes());
        let kind = match self {
            Self::Min(len @ 1..=4) => {
                let limit = u64::MAX >> (64 - 8 * len);
                number(MIN_VALUE_U, 0);
                number(MAX_VALUE_U, limit);
                match len {
                    1 => U8,
                    2 => U16,
                    _ => U32,
                }
            }
            Self::Bits(bits) => {
                number(MASK, bits.into());
                U32
            }
            Self::Nest => NESTED,
            Self::Binary(most) => {
                w.put(MAX_LENGTH, &(most as u32).to_ne_bytes());
                BINARY
            }
            Self::String(most) => {
                w.put(MAX_LENGTH, &(most as u32).to_ne_bytes());
                NUL_STRING
            }
            _ => return,
        };
        w.put(TYPE, &kind.to_ne_bytes());
    }
}
