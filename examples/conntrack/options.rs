//! The options, and the commands that accept them. The code of an option is one character: its
//! letter, or another character if it has none.

use super::failure::{Failure, Result};
use super::protocol;

pub(crate) type Code = char;

/// A set of options, with one bit for each code. All codes are ASCII.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Given(u128);

impl Given {
    pub(crate) fn push(&mut self, code: Code) {
        self.0 |= 1 << (code as u32 % 128);
    }

    /// The options with these codes.
    pub(crate) const fn of(codes: &str) -> Self {
        let (codes, mut all, mut at) = (codes.as_bytes(), 0, 0);
        while at < codes.len() {
            all |= 1 << (codes[at] % 128);
            at += 1;
        }
        Self(all)
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Does it lack none of `required`, and contain nothing else but `allowed`?
    fn is_within(self, required: Self, allowed: Self) -> bool {
        self.0 & required.0 == required.0 && self.0 & !(required.0 | allowed.0) == 0
    }

    pub(crate) fn contains(self, code: Code) -> bool {
        self.0 & 1 << (code as u32 % 128) != 0
    }
}

/// Does it take a value?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Takes {
    Nothing,
    Value,
    /// A value is optional.
    Maybe,
}

/// A command, which may be followed by a table.
pub(crate) const COMMANDS: &[(Code, &str, Takes)] = &[
    ('L', "dump", Takes::Maybe),
    ('I', "create", Takes::Maybe),
    ('A', "add", Takes::Maybe),
    ('D', "delete", Takes::Maybe),
    ('U', "update", Takes::Maybe),
    ('G', "get", Takes::Maybe),
    ('F', "flush", Takes::Maybe),
    ('E', "event", Takes::Maybe),
    ('C', "counter", Takes::Maybe),
    ('S', "stats", Takes::Nothing),
    ('V', "version", Takes::Nothing),
    ('h', "help", Takes::Nothing),
    // Beyond conntrack(8).
    ('?', "doctor", Takes::Nothing),
    ('~', "watch", Takes::Nothing),
];

/// The options in the order in which they are checked; the first error is reported. The first name
/// of each is used in messages.
pub(crate) const OPTIONS: &[(Code, &[&str], Takes)] = &[
    ('s', &["src", "orig-src"], Takes::Value),
    ('d', &["dst", "orig-dst"], Takes::Value),
    ('r', &["reply-src"], Takes::Value),
    ('q', &["reply-dst"], Takes::Value),
    ('p', &["protonum"], Takes::Value),
    ('t', &["timeout"], Takes::Value),
    ('u', &["status"], Takes::Value),
    ('z', &["zero"], Takes::Nothing),
    ('e', &["event-mask"], Takes::Value),
    ('[', &["tuple-src"], Takes::Value),
    (']', &["tuple-dst"], Takes::Value),
    ('{', &["mask-src"], Takes::Value),
    ('}', &["mask-dst"], Takes::Value),
    ('a', &["nat-range"], Takes::Value),
    ('m', &["mark"], Takes::Value),
    ('i', &["id"], Takes::Value),
    ('f', &["family"], Takes::Value),
    ('n', &["src-nat"], Takes::Maybe),
    ('g', &["dst-nat"], Takes::Maybe),
    ('o', &["output"], Takes::Value),
    ('c', &["secmark"], Takes::Value),
    ('b', &["buffer-size"], Takes::Value),
    ('j', &["any-nat"], Takes::Maybe),
    ('w', &["zone"], Takes::Value),
    ('l', &["label"], Takes::Value),
    ('<', &["label-add"], Takes::Value),
    ('>', &["label-del"], Takes::Maybe),
    ('(', &["orig-zone"], Takes::Value),
    (')', &["reply-zone"], Takes::Value),
    // Beyond conntrack(8).
    ('W', &["where"], Takes::Value),
];

/// The options that a command needs, and those that it accepts.
struct Rule {
    required: Given,
    allowed: Given,
    /// `-s` and `-d`, or `-r` and `-q`.
    pair: bool,
}

fn rule(command: Code, expectations: bool) -> Rule {
    /// The sets are made when the program is compiled.
    macro_rules! rule {
        ($required:literal, $allowed:literal, $pair:literal) => {
            const {
                Rule {
                    required: Given::of($required),
                    allowed: Given::of($allowed),
                    pair: $pair,
                }
            }
        };
    }
    match (command, expectations) {
        ('L', false) => rule!("", "sdrqpuz{}mfngocjwl()W", false),
        ('I' | 'A', false) => rule!("pt", "sdrqumngw<()", true),
        ('~', false) => rule!("", "sdrqpu{}mfngojwl()W", false),
        ('U', false) => rule!("", "sdrqptu{}mifngol<>W", false),
        ('D', false) => rule!("", "sdrqptu{}mifngowl()W", false),
        ('G', false) => rule!("p", "sdrqiol", true),
        ('F', false) => rule!("", "f", false),
        ('E', false) => rule!("", "sdrqpe{}mfngocbjwl()W", false),
        ('h', _) => rule!("", "p", false),
        ('L', true) => rule!("", "fo", false),
        ('I', true) => rule!("sdpt[]{}", "rqu", false),
        ('D' | 'G', true) => rule!("sdp", "rq", false),
        ('E', true) => rule!("", "o", false),
        _ => rule!("", "", false),
    }
}

/// Refuses options that exclude each other.
pub(crate) fn check(
    command: Code,
    expectations: bool,
    given: Given,
    protocol: u8,
    protocols: Given,
) -> Result<()> {
    let general = rule(command, expectations);
    let names = OPTIONS.iter().map(|(code, names, _)| (*code, names[0]));
    each(names, general.required, general.allowed, given)?;
    if general.pair {
        pair(given, ["src", "dst"], "")?;
    }
    protocol::check(protocol, command, expectations, protocols)
}

/// Checks each option in order: is it missing, or not accepted?
pub(crate) fn each<'a>(
    names: impl Iterator<Item = (Code, &'a str)>,
    required: Given,
    allowed: Given,
    given: Given,
) -> Result<()> {
    if given.is_within(required, allowed) {
        return Ok(());
    }
    for (code, name) in names {
        let given = given.contains(code);
        if !given && required.contains(code) {
            return Err(Failure::usage(format!(
                "You need to supply the `--{name}' option for this command"
            )));
        }
        if given && !required.contains(code) && !allowed.contains(code) {
            return Err(Failure::usage(format!(
                "Illegal option `--{name}' with this command"
            )));
        }
    }
    Ok(())
}

/// One of the two pairs must be complete: the original direction, with these names, or the reply,
/// with names of this ending.
pub(crate) fn pair(given: Given, names: [&str; 2], after: &str) -> Result<()> {
    let has = |code| given.contains(code);
    if has('s') && has('d') || has('r') && has('q') {
        return Ok(());
    }
    let [src, dst] = match (has('r') || has('q')) && !has('s') && !has('d') {
        true => ["src", "dst"].map(|end| format!("reply-{end}{after}")),
        false => names.map(str::to_owned),
    };
    Err(Failure::usage(format!(
        "you have to specify `--{src}' and `--{dst}'"
    )))
}
