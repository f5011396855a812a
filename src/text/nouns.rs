//! `Display` of the small nouns, as they are in the line of a flow.

use std::fmt::{self, Write};

use bitflags::Flags;
use bitflags::iter::IterNames;

use super::line::Line;
use crate::flow::{Counters, Family, FlowId, Labels, Status, Tuple, Zone, ZoneDirection};

const UNKNOWN: &str = "unknown";

/// The name of a protocol in conntrack(8). It has none for most, and does not read `/etc/protocols`
/// here.
pub(super) fn protocol_name(protocol: u8) -> &'static str {
    match protocol {
        1 => "icmp",
        6 => "tcp",
        17 => "udp",
        33 => "dccp",
        47 => "gre",
        58 => "icmpv6",
        132 => "sctp",
        136 => "udplite",
        _ => UNKNOWN,
    }
}

impl Family {
    /// The word of `-f`: `ipv4` or `ipv6`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// `ipv4` or `ipv6`.
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `src=10.0.0.1 dst=10.0.0.2 sport=4000 dport=443`; `srckey=0x0 dstkey=0x5` for GRE,
/// `type=8 code=0 id=7` for ICMP.
///
/// Like conntrack(8), it writes 0 for fields of the protocol that the kernel did not send (the
/// ports of DCCP since Linux 6.17).
impl fmt::Display for Tuple {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line::write(f, |line| tuple(line, "", self))
    }
}

/// `of` is a prefix for the names of the addresses, because an expectation has three tuples in one
/// line.
pub(super) fn tuple(line: &mut Line<'_, '_>, of: &str, tuple: &Tuple) -> fmt::Result {
    line.write_str(of)?;
    line.write_str("src=")?;
    line.address(tuple.src())?;
    line.write_str(" ")?;
    line.write_str(of)?;
    line.write_str("dst=")?;
    line.address(tuple.dst())?;
    let src = tuple.src_port().unwrap_or_default();
    let dst = tuple.dst_port().unwrap_or_default();
    match protocol_name(tuple.protocol().number()) {
        UNKNOWN => Ok(()),
        "gre" => write!(line, " srckey={src:#x} dstkey={dst:#x}"),
        "icmp" | "icmpv6" => {
            let (kind, code, id) = tuple
                .icmp_echo()
                .map_or((0, 0, 0), |echo| (echo.kind(), echo.code(), echo.id()));
            write!(line, " type={kind} code={code} id={id}")
        }
        _ => {
            line.write_str(" sport=")?;
            line.number(src)?;
            line.write_str(" dport=")?;
            line.number(dst)
        }
    }
}

/// `zone=5`, `zone-orig=5` or `zone-reply=5`.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.direction() {
            ZoneDirection::Both => "zone",
            ZoneDirection::Orig => "zone-orig",
            ZoneDirection::Reply => "zone-reply",
        };
        write!(f, "{name}={}", self.id())
    }
}

/// `packets=3 bytes=180`.
impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Line::write(f, |line| counters(line, self))
    }
}

pub(super) fn counters(line: &mut Line<'_, '_>, counters: &Counters) -> fmt::Result {
    line.write_str("packets=")?;
    line.number(counters.packets)?;
    line.write_str(" bytes=")?;
    line.number(counters.bytes)
}

/// The kernel's words, `SEEN_REPLY,ASSURED`, as `-u` takes them; bits without a name as one
/// number (`0x10000`), and no bit as `UNSET`.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("UNSET");
        }
        words(f, self.iter_names(), |rest: Self| rest.bits())
    }
}

/// Writes the names of bits, separated by commas. Bits without a name are one number.
pub(super) fn words<B: Flags + Copy>(
    f: &mut fmt::Formatter<'_>,
    mut names: IterNames<B>,
    bits: fn(B) -> u32,
) -> fmt::Result {
    let mut comma = "";
    for (name, _) in names.by_ref() {
        write!(f, "{comma}{name}")?;
        comma = ",";
    }
    match bits(*names.remaining()) {
        0 => Ok(()),
        rest => write!(f, "{comma}{rest:#x}"),
    }
}

/// The numbers of the labels that are set: `3,127`. A [`LabelMap`](crate::LabelMap) has their
/// names.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        for label in self.iter() {
            write!(f, "{comma}{label}")?;
            comma = ",";
        }
        Ok(())
    }
}

/// The number that conntrack(8) prints.
impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        u32::from(*self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{SctpState, TcpState};

    #[test]
    fn nouns_read_as_in_a_line() {
        assert_eq!(Zone::new(5).to_string(), "zone=5");
        assert_eq!(Zone::orig(6).to_string(), "zone-orig=6");
        assert_eq!(Zone::reply(7).to_string(), "zone-reply=7");
        assert_eq!(Family::Ipv4.to_string(), "ipv4");
        assert_eq!(format!("{:<8}|", Family::Ipv6), "ipv6    |");
        assert_eq!(TcpState::SYN_SENT2.to_string(), "SYN_SENT2");
        assert_eq!(SctpState::from(42).to_string(), "42");
        assert_eq!(
            (Labels::bit(127).unwrap() | Labels::bit(3).unwrap()).to_string(),
            "3,127"
        );
        assert_eq!(Labels::EMPTY.to_string(), "");
    }

    #[test]
    fn status_reads_as_its_words() {
        assert_eq!(Status::empty().to_string(), "UNSET");
        let status = Status::ASSURED | Status::SEEN_REPLY;
        assert_eq!(status.to_string(), "SEEN_REPLY,ASSURED");
        let newer = Status::from_bits_retain(0x8003_0000);
        assert_eq!(newer.to_string(), "0x80030000");
        assert_eq!((newer | Status::DYING).to_string(), "DYING,0x80030000");
    }
}
