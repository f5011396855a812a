//! The options that a protocol adds after `-p`.

use super::failure::{Failure, Result};
use super::options::{Code, Given, each, pair};

/// The names of protocols that conntrack(8) has itself, in upper or lower case.
const BUILT_IN: [(&str, u8); 8] = [
    ("icmp", 1),
    ("tcp", 6),
    ("udp", 17),
    ("dccp", 33),
    ("gre", 47),
    ("icmpv6", 58),
    ("sctp", 132),
    ("udplite", 136),
];

/// A built-in name, a name in `/etc/protocols`, or a number.
pub(crate) fn number(text: &str) -> Result<u8> {
    let built_in = BUILT_IN
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text));
    built_in
        .map(|(_, number)| *number)
        .or_else(|| in_etc(|number, names| names.contains(&text).then_some(number)))
        .or_else(|| text.parse().ok())
        .ok_or_else(|| Failure::usage(format!("`{text}' unsupported protocol")))
}

/// Its name in the help.
pub(crate) fn name(number: u8) -> String {
    built_in(number)
        .map(str::to_owned)
        .or_else(|| {
            in_etc(|known, names| (known == number).then(|| names.first().map(|it| (*it).into())))
                .flatten()
        })
        .unwrap_or_else(|| "unknown".into())
}

/// Searches `/etc/protocols`.
fn in_etc<T>(mut wanted: impl FnMut(u8, &[&str]) -> Option<T>) -> Option<T> {
    let text = std::fs::read_to_string("/etc/protocols").unwrap_or_default();
    text.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (name, number) = (words.next()?, words.next()?.parse().ok()?);
        let mut names = vec![name];
        names.extend(words);
        wanted(number, &names)
    })
}

/// Ports or keys of the four tuples, in this order: original, reply, mask, expected.
const PORTS: &[(Code, &[&str])] = &[
    ('s', &["sport", "orig-port-src"]),
    ('d', &["dport", "orig-port-dst"]),
    ('r', &["reply-port-src"]),
    ('q', &["reply-port-dst"]),
    ('m', &["mask-port-src"]),
    ('n', &["mask-port-dst"]),
    ('t', &["tuple-port-src"]),
    ('u', &["tuple-port-dst"]),
    ('S', &["state"]),
    ('v', &["orig-vtag"]),
    ('w', &["reply-vtag"]),
    ('R', &["role"]),
];

const KEYS: &[(Code, &[&str])] = &[
    ('s', &["srckey", "orig-key-src"]),
    ('d', &["dstkey", "orig-key-dst"]),
    ('r', &["reply-key-src"]),
    ('q', &["reply-key-dst"]),
    ('m', &["mask-key-src"]),
    ('n', &["mask-key-dst"]),
    ('t', &["tuple-key-src"]),
    ('u', &["tuple-key-dst"]),
];

const ICMP: &[(Code, &[&str])] = &[
    ('T', &["icmp-type"]),
    ('C', &["icmp-code"]),
    ('I', &["icmp-id"]),
];

const ICMPV6: &[(Code, &[&str])] = &[
    ('T', &["icmpv6-type"]),
    ('C', &["icmpv6-code"]),
    ('I', &["icmpv6-id"]),
];

/// The options of a protocol.
pub(crate) fn options(protocol: u8) -> &'static [(Code, &'static [&'static str])] {
    match protocol {
        6 => &PORTS[..9],
        17 | 136 => &PORTS[..8],
        33 | 132 => PORTS,
        47 => KEYS,
        1 => ICMP,
        58 => ICMPV6,
        _ => &[],
    }
}

/// Is the option in the protocol's list?
pub(crate) fn has(protocol: u8, code: Code) -> bool {
    match code {
        'v' | 'w' => protocol == 132,
        'R' => protocol == 33,
        _ => true,
    }
}

/// Refuses options of the protocol that do not fit the command, and missing options that it needs.
pub(crate) fn check(protocol: u8, command: Code, expectations: bool, given: Given) -> Result<()> {
    let icmp = matches!(protocol, 1 | 58);
    let is_created = command == 'I' || command == 'A' && !expectations;
    let (required, allowed) = match (command, expectations) {
        ('U', false) if protocol == 132 => const { (Given::of(""), Given::of("sdrqSTCIvw")) },
        ('L' | 'E' | 'D' | 'U' | '~', false) => const { (Given::of(""), Given::of("sdrqSTCI")) },
        ('G', false) => const { (Given::of(""), Given::of("sdrqSI")) },
        ('I' | 'A', false) => const { (Given::of(""), Given::of("sdrqI")) },
        ('I', true) => const { (Given::of("sdmntu"), Given::of("")) },
        ('D' | 'G', true) => const { (Given::of("sdrq"), Given::of("")) },
        _ => return Ok(()),
    };
    let own = match protocol {
        1 | 58 if !expectations && (is_created || command == 'G') => const { Given::of("TC") },
        6 if is_created && !expectations => const { Given::of("S") },
        33 if is_created && expectations => const { Given::of("R") },
        33 if is_created => const { Given::of("SR") },
        132 if is_created && expectations => const { Given::of("vw") },
        132 if is_created => const { Given::of("Svw") },
        _ => const { Given::of("") },
    };
    let required = required.and(own);
    let own = options(protocol).iter();
    let own = own.filter(|(code, _)| has(protocol, *code));
    each(
        own.map(|(code, names)| (*code, names[0])),
        required,
        allowed,
        given,
    )?;
    let ported = !options(protocol).is_empty() && !icmp;
    if ported && !expectations && matches!(command, 'G' | 'I' | 'A') {
        let names = options(protocol);
        let after = if protocol == 47 { "-key" } else { "-port" };
        pair(given, [names[0].1[0], names[1].1[0]], after)?;
    }
    Ok(())
}

/// The name of conntrack(8), not of `/etc/protocols`.
pub(crate) fn built_in(number: u8) -> Option<&'static str> {
    let found = BUILT_IN.iter().find(|(_, known)| *known == number);
    found.map(|(name, _)| *name)
}
