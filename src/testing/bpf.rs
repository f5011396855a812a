//! Runs socket filters: the part of classic BPF that message filters use.

use crate::wire::attr::align4;
use crate::wire::bpf::Instruction;
use crate::wire::uapi::*;

const BPF_SIZE: u16 = 0x18;
const BPF_MODE: u16 = 0xe0;
const HEAD: usize = 4;

/// Does the program accept the message? An invalid program accepts nothing.
pub(super) fn passes(program: &[Instruction], message: &[u8]) -> bool {
    run(program, message).is_some_and(|length| length > 0)
}

/// The result of the program; `None` if it loads beyond the message, or does not return.
fn run(program: &[Instruction], message: &[u8]) -> Option<u32> {
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0);
    // Jumps only go forward, so each instruction runs at most once.
    while let Some(Instruction { code, jt, jf, k }) = program.get(at) {
        at += 1;
        match code & 0x07 {
            BPF_LD if code & BPF_MODE == BPF_IMM => a = *k,
            BPF_LD if code & BPF_MODE == BPF_ABS && *k == SKF_AD_NLATTR => {
                a = find(message, a as usize..message.len(), x);
            }
            BPF_LD if code & BPF_MODE == BPF_ABS && *k == SKF_AD_NLATTR_NEST => {
                a = nested(message, a as usize).map_or(0, |nest| find(message, nest, x));
            }
            BPF_LD if code & BPF_MODE == BPF_ABS => a = load(message, *k, code & BPF_SIZE)?,
            BPF_LD => a = load(message, x.checked_add(*k)?, code & BPF_SIZE)?,
            BPF_LDX => x = *k,
            BPF_ALU => a &= *k,
            BPF_MISC => x = a,
            BPF_JMP if code & 0xf0 == BPF_JA => at = at.checked_add(*k as usize)?,
            BPF_JMP => {
                let met = match code & 0xf0 {
                    BPF_JEQ => a == *k,
                    BPF_JGT => a > *k,
                    _ => a >= *k,
                };
                at += usize::from(if met { *jt } else { *jf });
            }
            _ => return Some(*k),
        }
    }
    None
}

fn load(message: &[u8], at: u32, size: u16) -> Option<u32> {
    let rest = message.get(at as usize..)?;
    Some(match size {
        BPF_B => u32::from(*rest.first()?),
        BPF_H => u32::from(u16::from_be_bytes(*rest.first_chunk()?)),
        _ => u32::from_be_bytes(*rest.first_chunk()?),
    })
}

/// The range of the payload of the attribute at this offset.
fn nested(message: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let len = message.get(at..)?.first_chunk::<2>()?;
    let end = at + usize::from(u16::from_ne_bytes(*len));
    (at + HEAD <= end && end <= message.len()).then_some(at + HEAD..end)
}

/// The offset of the attribute of this type; 0 if there is none (`nla_find`).
fn find(message: &[u8], place: std::ops::Range<usize>, kind: u32) -> u32 {
    let mut at = place.start;
    while let Some(attr) = nested(message, at).filter(|attr| attr.end <= place.end) {
        let found = u16::from_ne_bytes([message[at + 2], message[at + 3]]) & NLA_TYPE_MASK;
        if u32::from(found) == kind {
            return at as u32;
        }
        at += align4(attr.end - at);
    }
    0
}
