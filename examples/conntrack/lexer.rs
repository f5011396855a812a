//! Splits the command line into options, as getopt_long(3) does. Long options may be abbreviated,
//! and the options of a protocol are known after `-p`.

use std::borrow::Cow;
use std::ffi::OsString;

use lexopt::{Arg, Parser};

use super::failure::{Failure, Result};
use super::options::{COMMANDS, Code, OPTIONS, Takes};
use super::protocol;

/// The next item of the command line.
pub(crate) enum Token {
    Command(Code),
    Option(Code),
    /// An option of a protocol.
    Protocol(Code),
}

pub(crate) struct Lexer<'a> {
    /// All arguments, for messages.
    arguments: &'a [&'a str],
    /// The arguments that were not read yet.
    rest: &'a [&'a str],
    /// Reads the rest, from the first argument that is more than the name of an option. It copies
    /// each argument, which would take half the time of a file of lines.
    parser: Option<Parser>,
    /// The protocol whose options are known.
    pub(crate) protocol: u8,
}

fn text<'a>(argument: OsString) -> Cow<'a, str> {
    let lossy = |argument: OsString| argument.to_string_lossy().into_owned();
    Cow::Owned(argument.into_string().unwrap_or_else(lossy))
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(arguments: &'a [&'a str]) -> Self {
        Self {
            arguments,
            rest: arguments,
            parser: None,
            protocol: 0,
        }
    }

    /// The next option. Other arguments are skipped, as conntrack(8) does.
    pub(crate) fn next(&mut self) -> Result<Option<Token>> {
        if self.parser.is_none() {
            let Some((argument, rest)) = self.rest.split_first() else {
                return Ok(None);
            };
            if let Some(token) = plain(argument, self.protocol) {
                self.rest = rest;
                return Ok(Some(token));
            }
        }
        let rest = self.rest;
        let parser = self.parser.get_or_insert_with(|| Parser::from_args(rest));
        loop {
            let token = match parser.next() {
                Ok(Some(Arg::Short(letter))) => short(letter),
                Ok(Some(Arg::Long(name))) => long(name, self.protocol),
                Ok(Some(Arg::Value(_))) => continue,
                Ok(None) => return Ok(None),
                Err(_) => None,
            };
            return match token {
                Some(token) => Ok(Some(token)),
                None => Err(Failure::usage(format!(
                    "unknown option `{}'",
                    self.current()
                ))),
            };
        }
    }

    /// The required value of an option.
    pub(crate) fn value(&mut self) -> Result<Cow<'a, str>> {
        let value = match &mut self.parser {
            Some(parser) => parser.value().ok().map(text),
            None => self.take(|_| true),
        };
        value.ok_or_else(|| {
            let option = self.current();
            Failure::usage(format!("option `{option}' requires an argument"))
        })
    }

    /// The argument of the last option, which ends the parsing.
    fn current(&mut self) -> &'a str {
        let rest = match &mut self.parser {
            Some(parser) => {
                // The rest of the argument, which lexopt keeps.
                parser.optional_value();
                let rest = parser.try_raw_args();
                rest.map_or(0, |rest| rest.as_slice().len())
            }
            None => self.rest.len(),
        };
        let at = self.arguments.len().checked_sub(rest + 1);
        let current = at.and_then(|at| self.arguments.get(at));
        current.copied().unwrap_or_default()
    }

    /// The value, if one is attached or follows.
    pub(crate) fn maybe_value(&mut self) -> Option<Cow<'a, str>> {
        self.attached().or_else(|| self.following())
    }

    /// The name of the table, if one follows a command. conntrack(8) 1.4.7 ignores an attached value,
    /// and then the next argument too.
    pub(crate) fn table(&mut self, command: Code) -> Option<Cow<'a, str>> {
        let takes = COMMANDS.iter().find(|(code, ..)| *code == command);
        let may = takes.is_some_and(|(.., takes)| *takes == Takes::Maybe);
        match may && self.attached().is_some() {
            true => None,
            false => self.following(),
        }
    }

    /// The value in the same argument.
    fn attached(&mut self) -> Option<Cow<'a, str>> {
        self.parser.as_mut()?.optional_value().map(text)
    }

    /// The next argument, unless it is an option.
    fn following(&mut self) -> Option<Cow<'a, str>> {
        match &mut self.parser {
            Some(parser) => {
                let mut rest = parser.try_raw_args()?;
                let next = rest.next_if(|next| !next.to_string_lossy().starts_with('-'));
                next.map(text)
            }
            None => self.take(|next| !next.starts_with('-')),
        }
    }

    /// Takes the next argument, without the parser, if it is `wanted`.
    fn take(&mut self, wanted: impl Fn(&str) -> bool) -> Option<Cow<'a, str>> {
        let (next, rest) = self.rest.split_first().filter(|(next, _)| wanted(next))?;
        self.rest = rest;
        Some(Cow::Borrowed(next))
    }
}

/// An argument that is only the name of an option, the usual case.
fn plain(argument: &str, protocol: u8) -> Option<Token> {
    let name = argument.strip_prefix('-')?;
    if let Some(name) = name.strip_prefix('-') {
        return long(name, protocol);
    }
    let mut letters = name.chars();
    letters
        .next()
        .filter(|_| letters.next().is_none())
        .and_then(short)
}

fn short(letter: char) -> Option<Token> {
    // Other characters stand for options without a letter.
    if !letter.is_ascii_alphabetic() {
        return None;
    }
    if COMMANDS.iter().any(|(code, ..)| *code == letter) {
        return Some(Token::Command(letter));
    }
    let known = letter != 'W' && OPTIONS.iter().any(|(code, ..)| *code == letter);
    known.then_some(Token::Option(letter))
}

/// Finds an option by its whole name, or by a unique beginning.
fn long(name: &str, protocol: u8) -> Option<Token> {
    let exact = names(protocol).find(|(known, ..)| *known == name);
    let (_, kind, code) = exact.or_else(|| {
        let mut begun = names(protocol).filter(|(known, ..)| known.starts_with(name));
        let first = begun.next()?;
        let alone = begun.all(|other| (other.1, other.2) == (first.1, first.2));
        alone.then_some(first)
    })?;
    Some(match kind {
        0 => Token::Command(code),
        1 => Token::Option(code),
        _ => Token::Protocol(code),
    })
}

/// All long names, with their protocols and codes.
fn names(protocol: u8) -> impl Iterator<Item = (&'static str, u8, Code)> {
    let commands = COMMANDS.iter().map(|(code, long, _)| (*long, 0, *code));
    let options = OPTIONS
        .iter()
        .flat_map(|(code, names, _)| names.iter().map(|name| (*name, 1, *code)));
    let own = protocol::options(protocol)
        .iter()
        .filter(move |(code, _)| protocol::has(protocol, *code))
        .flat_map(|(code, names)| names.iter().map(|name| (*name, 2, *code)));
    own.chain(options).chain(commands)
}
