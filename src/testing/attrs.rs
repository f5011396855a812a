//! Parses the attributes of a request as `nla_parse` does: the last attribute of a type counts, and
//! unknown types and leftover bytes are skipped.

use super::words::{Refusal, Words};
use crate::wire::attr::align4;
use crate::wire::uapi::*;

/// More types than any nest of ctnetlink has.
const SLOTS: usize = 28;

/// The rule for the payload of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Any,
    /// At least this many bytes.
    Min(usize),
    /// A byte of at most this value.
    UpTo(u8),
    /// Attributes, or nothing.
    Nest,
    /// At most this many bytes.
    Binary(usize),
    /// A string of at most this many bytes, and a NUL.
    String(usize),
    Refused,
    /// A number with no other bits than these.
    Bits(u32),
}

use Rule::*;

/// The attributes of one nest, by type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attrs<'a> {
    found: [Option<(&'a [u8], u16)>; SLOTS],
    /// Do the policies check the values of numbers?
    ranges: bool,
}

/// The policy of a nest: one rule for each type, starting at 0.
pub(super) type Policy = [Rule];

pub(super) const FLOW: &Policy = &[
    Any,
    Nest,
    Nest,
    Min(4),
    Nest,
    Nest,
    Nest,
    Min(4),
    Min(4),
    Any,
    Any,
    Any,
    Min(4),
    Nest,
    Nest,
    Nest,
    Nest,
    Any,
    Min(2),
    Any,
    Any,
    Min(4),
    Binary(16),
    Binary(16),
    Any,
    Nest,
    Min(4),
    Refused,
];
pub(super) const TUPLE: &Policy = &[Any, Nest, Nest, Min(2)];
pub(super) const IP: &Policy = &[Any, Min(4), Min(4), Min(16), Min(16)];
pub(super) const PROTO: &Policy = &[
    Any,
    Min(1),
    Min(2),
    Min(2),
    Min(2),
    Min(1),
    Min(1),
    Min(2),
    Min(1),
    Min(1),
];
pub(super) const NAT: &Policy = &[Any, Min(4), Min(4), Nest, Min(16), Min(16)];
pub(super) const NAT_PROTO: &Policy = &[Any, Min(2), Min(2)];
pub(super) const HELP: &Policy = &[Any, String(15), Any];
pub(super) const PROTOINFO: &Policy = &[Any, Nest, Nest, Nest];
pub(super) const TCP: &Policy = &[Any, UpTo(9), UpTo(14), UpTo(14), Min(2), Min(2)];
pub(super) const SCTP: &Policy = &[Any, UpTo(8), Min(4), Min(4)];
pub(super) const DCCP: &Policy = &[Any, Min(1), Min(1), Min(8), Any];
pub(super) const NUMBERS: &Policy = &[Any, Min(4), Min(4), Min(4)];
pub(super) const EXPECT: &Policy = &[
    Any,
    Nest,
    Nest,
    Nest,
    Min(4),
    Min(4),
    String(15),
    Min(2),
    Bits(7),
    Min(4),
    Nest,
    String(63),
];
pub(super) const TIMEOUT: &Policy = &[Any, String(31), Min(2), Min(1), Nest];
pub(super) const SECONDS: &Policy = &[Min(4); 12];
pub(super) const HELPER: &Policy = &[Any, String(15), Any, Min(4), Any, Min(4), Min(4)];
pub(super) const HELPER_TUPLE: &Policy = &[Any, Min(2), Min(1)];
pub(super) const HELPER_POLICIES: &Policy = &[Any, Min(4), Any, Any, Any, Any];
pub(super) const HELPER_POLICY: &Policy = &[Any, String(15), Min(4), Min(4)];
pub(super) const EXPECT_NAT: &Policy = &[Any, Min(4), Nest];

impl<'a> Attrs<'a> {
    /// Parses `bytes`. Types beyond `last` are unknown, like those beyond the policy.
    pub(super) fn parse(bytes: &'a [u8], policy: &Policy, last: u16) -> Result<Self, i32> {
        Self::parse_nest(bytes, policy, last, true)
    }

    fn parse_nest(bytes: &'a [u8], policy: &Policy, last: u16, ranges: bool) -> Result<Self, i32> {
        match Self::parse_with_words(bytes, policy, last, ranges) {
            Ok((attrs, _)) => Ok(attrs),
            Err(refusal) => Err(refusal.errno),
        }
    }

    /// Like [`parse`](Self::parse), with the kernel's message for a refusal.
    pub(super) fn parse_with_words(
        mut bytes: &'a [u8],
        policy: &Policy,
        last: u16,
        ranges: bool,
    ) -> Result<(Self, Option<Words>), Refusal> {
        let whole = bytes.len();
        let mut found = [None; SLOTS];
        while let Some(&[l0, l1, k0, k1]) = bytes.first_chunk() {
            let len = usize::from(u16::from_ne_bytes([l0, l1]));
            let Some(payload) = bytes.get(4..len) else {
                break;
            };
            let kind = u16::from_ne_bytes([k0, k1]);
            let number = usize::from(kind & NLA_TYPE_MASK);
            if let Some(rule) = policy.get(number).filter(|_| number <= usize::from(last)) {
                let rule = &rule.with_ranges(ranges);
                if number > 0 {
                    rule.check(payload).map_err(|errno| Refusal {
                        errno,
                        words: Some(Words::refusing(*rule, payload, whole - bytes.len())),
                    })?;
                    found[number] = Some((payload, kind));
                }
            }
            bytes = &bytes[align4(len).min(bytes.len())..];
        }
        let attrs = Self { found, ranges };
        Ok((attrs, (!bytes.is_empty()).then_some(Words::LEFTOVER)))
    }

    /// The attributes inside the one of this type.
    pub(super) fn nest(&self, kind: u16, policy: &Policy) -> Result<Option<Attrs<'a>>, i32> {
        self.get(kind)
            .map(|payload| Attrs::parse_nest(payload, policy, u16::MAX, self.ranges))
            .transpose()
    }

    pub(super) fn get(&self, kind: u16) -> Option<&'a [u8]> {
        self.found[usize::from(kind)].map(|(payload, _)| payload)
    }

    pub(super) fn has(&self, kind: u16) -> bool {
        self.get(kind).is_some()
    }

    /// Was it sent with `NLA_F_NESTED`?
    pub(super) fn is_marked_nested(&self, kind: u16) -> bool {
        self.found[usize::from(kind)].is_some_and(|(_, kind)| kind & NLA_F_NESTED != 0)
    }

    pub(super) fn array<const N: usize>(&self, kind: u16) -> Option<[u8; N]> {
        self.get(kind)
            .and_then(|payload| payload.first_chunk().copied())
    }

    pub(super) fn u8(&self, kind: u16) -> Option<u8> {
        self.array::<1>(kind).map(|[byte]| byte)
    }

    pub(super) fn u16(&self, kind: u16) -> Option<u16> {
        self.array(kind).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&self, kind: u16) -> Option<u32> {
        self.array(kind).map(u32::from_be_bytes)
    }

    /// The bytes before the NUL.
    pub(super) fn string(&self, kind: u16) -> Option<&'a [u8]> {
        self.get(kind)
            .map(|bytes| bytes.split(|byte| *byte == 0).next().unwrap_or_default())
    }

    /// Three numbers, which must all be there.
    pub(super) fn numbers(&self) -> Result<[u32; 3], i32> {
        let number = |kind| self.u32(kind).ok_or(EINVAL);
        Ok([number(1)?, number(2)?, number(3)?])
    }
}

impl Rule {
    /// Without them, only the length of a number is checked.
    fn with_ranges(self, ranges: bool) -> Self {
        match self {
            UpTo(_) if !ranges => Min(1),
            Bits(_) if !ranges => Min(4),
            rule => rule,
        }
    }

    fn check(self, payload: &[u8]) -> Result<(), i32> {
        let len = payload.len();
        match self {
            Min(least) if len < least => Err(ERANGE),
            UpTo(most) => match payload.first() {
                Some(value) if *value <= most => Ok(()),
                _ => Err(ERANGE),
            },
            Nest if (1..4).contains(&len) => Err(ERANGE),
            Binary(most) if len > most => Err(ERANGE),
            String(most) if !payload[..len.min(most + 1)].contains(&0) => Err(EINVAL),
            String(most) if len > most + 1 => Err(ERANGE),
            Refused => Err(EINVAL),
            Bits(bits) => match payload.first_chunk() {
                Some(number) if u32::from_be_bytes(*number) & !bits == 0 => Ok(()),
                Some(_) => Err(EINVAL),
                None => Err(ERANGE),
            },
            _ => Ok(()),
        }
    }
}
