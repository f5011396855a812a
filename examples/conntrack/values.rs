//! Parses the values of options, as conntrack(8) does.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ctnetlink::{DccpState, EventKinds, Family, SctpState, Status, TcpState};

use super::failure::{Failure, Result};
use super::say;

fn bad(text: &str) -> Failure {
    Failure::usage(format!("Bad parameter `{text}'"))
}

/// strtoul(3) with base 0: text that is not a number is 0, and text after a number is ignored.
pub(crate) fn number(text: &str) -> u64 {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hexadecimal = digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"));
    let (digits, radix) = match (hexadecimal, digits.strip_prefix('0')) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) => (digits, 8),
        (None, None) => (digits, 10),
    };
    let value = leading(digits, radix);
    if negative {
        value.wrapping_neg()
    } else {
        value
    }
}

/// atoi(3).
pub(crate) fn decimal(text: &str) -> u64 {
    let text = text.trim_start();
    match text.strip_prefix('-') {
        Some(digits) => leading(digits, 10).wrapping_neg(),
        None => leading(text.strip_prefix('+').unwrap_or(text), 10),
    }
}

fn leading(digits: &str, radix: u32) -> u64 {
    let digits = digits.bytes();
    let digits = digits.map_while(|digit| char::from(digit).to_digit(radix));
    digits.fold(0, |value: u64, digit| {
        value
            .saturating_mul(radix.into())
            .saturating_add(digit.into())
    })
}

/// A value and its mask.
pub(crate) fn mark(text: &str) -> (u32, u32) {
    match text.split_once('/') {
        Some((value, mask)) => (number(value) as u32, number(mask) as u32),
        None => (number(text) as u32, u32::MAX),
    }
}

pub(crate) fn address(text: &str) -> Result<IpAddr> {
    text.parse()
        .ok()
        .or_else(|| short_address(text).map(IpAddr::from))
        .ok_or_else(|| Failure::usage(format!("Invalid IP address `{text}'")))
}

/// inet_aton(3): there may be fewer than four parts, then the last one fills the rest. Each part
/// may be in any base.
fn short_address(text: &str) -> Option<Ipv4Addr> {
    let mut parts = Vec::new();
    for part in text.split('.') {
        let digit = part.starts_with(|first: char| first.is_ascii_digit());
        parts.push(number(part).try_into().ok().filter(|_: &u32| digit)?);
    }
    let (last, first) = parts.split_last()?;
    let room = 32 - 8 * u32::try_from(first.len()).ok()?.min(4);
    let fits = first.len() < 4 && first.iter().all(|part| *part < 256);
    if !fits || u64::from(*last) >> room != 0 {
        return None;
    }
    let head = first
        .iter()
        .zip([24, 16, 8])
        .map(|(part, shift)| part << shift);
    Some(Ipv4Addr::from(head.sum::<u32>() + last))
}

/// An address, with an optional prefix length.
pub(crate) fn network(text: &str) -> Result<(IpAddr, Option<IpAddr>)> {
    let Some((text, length)) = text.split_once('/') else {
        return Ok((address(text)?, None));
    };
    let address = address(text)?;
    let bits = if address.is_ipv4() { 32 } else { 128 };
    let length = length.parse::<u32>().ok().filter(|length| *length <= bits);
    let length = length.ok_or_else(|| Failure::usage("Invalid netmask"))?;
    Ok((address, Some(prefix(address, length))))
}

/// The netmask of this length, in the address's family.
fn prefix(of: IpAddr, length: u32) -> IpAddr {
    match of {
        IpAddr::V4(_) => Ipv4Addr::from(u32::MAX.checked_shl(32 - length).unwrap_or(0)).into(),
        IpAddr::V6(_) => Ipv6Addr::from(u128::MAX.checked_shl(128 - length).unwrap_or(0)).into(),
    }
}

/// `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
pub(crate) fn target(text: &str) -> Result<(IpAddr, Option<u16>)> {
    let port = |port: &str| {
        let number = port.parse::<u16>().ok();
        number.ok_or_else(|| Failure::usage(format!("Invalid port `{port}'")))
    };
    if let Some((inner, tail)) = text.strip_prefix('[').and_then(|it| it.split_once("]:")) {
        return Ok((address(inner)?, Some(port(tail)?)));
    }
    match text.split_once(':') {
        // More than one colon means an IPv6 address.
        Some((head, tail)) if !tail.contains(':') => Ok((address(head)?, Some(port(tail)?))),
        _ => Ok((address(text)?, None)),
    }
}

pub(crate) fn family(text: &str) -> Result<Family> {
    // Only the beginning is compared.
    [Family::Ipv4, Family::Ipv6]
        .into_iter()
        .find(|family| text.starts_with(family.as_str()))
        .ok_or_else(|| Failure::usage(format!("`{text}' unsupported protocol")))
}

/// A list of words. Each may be abbreviated, in upper or lower case.
pub(crate) fn words<T: Copy>(text: &str, known: &[(&str, T)]) -> Result<Vec<T>> {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let (word, after) = match rest.split_once(',') {
            Some((word, after)) => (word, Some(after)),
            None => (rest, None),
        };
        let begins = |name: &str| {
            let name = name.get(..word.len());
            !word.is_empty() && name.is_some_and(|name| name.eq_ignore_ascii_case(word))
        };
        match known.iter().find(|(name, _)| begins(name)) {
            Some((_, value)) => found.push(*value),
            None => return Err(bad(if word.is_empty() { rest } else { word })),
        }
        match after {
            Some(after) => rest = after,
            None => return Ok(found),
        }
    }
}

pub(crate) fn kinds(text: &str) -> Result<EventKinds> {
    let known = [
        ("ALL", EventKinds::FLOWS),
        ("NEW", EventKinds::NEW),
        ("UPDATES", EventKinds::UPDATE),
        ("DESTROY", EventKinds::DESTROY),
    ];
    let kinds = words(text, &known)?;
    Ok(kinds
        .into_iter()
        .fold(EventKinds::empty(), |all, kind| all | kind))
}

/// The bits to set, and the bits of the mask.
pub(crate) fn status(text: &str) -> Result<(Status, Status)> {
    const NONE: Status = Status::empty();
    const KNOWN: &[(&str, (Status, Status))] = &[
        ("ASSURED", (Status::ASSURED, Status::ASSURED)),
        ("SEEN_REPLY", (Status::SEEN_REPLY, Status::SEEN_REPLY)),
        ("UNSET", (NONE, NONE)),
        (
            "FIXED_TIMEOUT",
            (Status::FIXED_TIMEOUT, Status::FIXED_TIMEOUT),
        ),
        ("EXPECTED", (Status::EXPECTED, Status::EXPECTED)),
        ("OFFLOAD", (Status::OFFLOAD, Status::OFFLOAD)),
        ("HW_OFFLOAD", (Status::HW_OFFLOAD, Status::HW_OFFLOAD)),
        ("SRC_NAT", (Status::SRC_NAT, NONE)),
        ("DST_NAT", (Status::DST_NAT, NONE)),
        ("UNREPLIED", (NONE, Status::SEEN_REPLY)),
        ("!ASSURED", (NONE, Status::ASSURED)),
        ("!SEEN_REPLY", (NONE, Status::SEEN_REPLY)),
        ("!UNSET", (NONE, NONE)),
        ("!FIXED_TIMEOUT", (NONE, Status::FIXED_TIMEOUT)),
        ("!EXPECTED", (NONE, Status::EXPECTED)),
        ("!OFFLOAD", (NONE, Status::OFFLOAD)),
        ("!HW_OFFLOAD", (NONE, Status::HW_OFFLOAD)),
    ];
    let mut all = (NONE, NONE);
    for (set, mask) in words(text, KNOWN)? {
        for (name, bit) in [("SRC_NAT", Status::SRC_NAT), ("DST_NAT", Status::DST_NAT)] {
            if set == bit {
                let option = name.to_lowercase().replace('_', "-");
                say::err(format_args!(
                    "WARNING: ignoring {name}, use --{option} instead"
                ));
            }
        }
        all.0 |= set & mask;
        all.1 |= mask;
    }
    Ok(all)
}

/// The state of a protocol, by its printed name.
pub(crate) fn state(protocol: u8, text: &str) -> Result<u8> {
    let words = |name: fn(u8) -> Option<&'static str>| {
        (0..=u8::MAX).find(|number| name(*number) == Some(text))
    };
    let (what, found) = match protocol {
        6 if text == "LISTEN" => ("", Some(TcpState::SYN_SENT2.number())),
        6 => (
            "unknown TCP",
            words(|number| TcpState::new(number).as_str()),
        ),
        132 => (
            "Unknown SCTP",
            words(|number| SctpState::new(number).as_str()),
        ),
        _ => (
            "Unknown DCCP",
            words(|number| DccpState::new(number).as_str()),
        ),
    };
    found.ok_or_else(|| Failure::usage(format!("{what} state `{text}'")))
}

/// The role of the original direction of a DCCP flow.
pub(crate) fn role(text: &str) -> Result<u8> {
    match text {
        "client" => Ok(0),
        "server" => Ok(1),
        _ => Err(Failure::usage(format!("Unknown DCCP role `{text}'"))),
    }
}
