//! The words of families and protocols.

use ctnetlink::{Family, Protocol};

use super::failure::{Failure, Result};

pub(crate) fn family(word: &str) -> Result<Family> {
    match word {
        "inet" => Ok(Family::Ipv4),
        "inet6" => Ok(Family::Ipv6),
        _ => Err(Failure::new("unknown layer 3 protocol")),
    }
}

/// A name in `/etc/protocols`, or one of nfct's own.
pub(crate) fn protocol(word: &str) -> Result<Protocol> {
    let number = match word {
        "icmpv6" => Some(58),
        "generic" => Some(255),
        _ => in_etc(word),
    };
    let number = number.ok_or_else(|| Failure::new("unknown layer 4 protocol"))?;
    Ok(Protocol::new(number))
}

fn in_etc(word: &str) -> Option<u8> {
    let text = std::fs::read_to_string("/etc/protocols").unwrap_or_default();
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (name, number) = (words.next()?, words.next()?);
        let named = name == word || words.any(|alias| alias == word);
        number.parse().ok().filter(|_| named)
    })
}

/// The protocols of helpers.
pub(crate) fn helped(word: &str) -> Result<Protocol> {
    match word {
        "tcp" => Ok(Protocol::TCP),
        "udp" => Ok(Protocol::UDP),
        _ => Err(Failure::new("unsupported layer 4 protocol")),
    }
}

/// atoi(3) as a 32-bit number: text that is not a number is 0.
pub(crate) fn number(text: &str) -> u32 {
    let text = text.trim_start();
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = digits.chars().map_while(|digit| digit.to_digit(10));
    let value = digits.fold(0_u64, |value, digit| {
        value.saturating_mul(10).saturating_add(digit.into())
    });
    match negative {
        true => value.wrapping_neg() as u32,
        false => value as u32,
    }
}
