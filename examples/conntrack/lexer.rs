//! Splits the command line into options, as getopt_long(3) does. Long options may be abbreviated,
//! and the options of a protocol are known after `-p`.

use std::ffi::{OsStr, OsString};

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
    parser: Parser,
    /// The protocol whose options are known.
    pub(crate) protocol: u8,
    /// All arguments, for messages.
    arguments: &'a [&'a OsStr],
}

fn text(argument: OsString) -> String {
    let lossy = |argument: OsString| argument.to_string_lossy().into_owned();
    argument.into_string().unwrap_or_else(lossy)
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(arguments: &'a [&'a OsStr]) -> Self {
        Self {
            parser: Parser::from_args(arguments),
            protocol: 0,
            arguments,
        }
    }

    /// The next option. Other arguments are skipped, as conntrack(8) does.
    pub(crate) fn next(&mut self) -> Result<Option<Token>> {
        loop {
            let token = match self.parser.next() {
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
    pub(crate) fn value(&mut self) -> Result<String> {
        self.parser.value().map(text).map_err(|_| {
            let option = self.current();
            Failure::usage(format!("option `{option}' requires an argument"))
        })
    }

    /// The argument of the last option, which ends the parsing.
    fn current(&mut self) -> String {
        // The rest of the argument, which lexopt keeps.
        self.parser.optional_value();
        let rest = self.parser.try_raw_args();
        let rest = rest.map_or(0, |rest| rest.as_slice().len());
        let at = self.arguments.len().checked_sub(rest + 1);
        let current = at.and_then(|at| self.arguments.get(at));
        current
            .map(|it| it.to_string_lossy().into())
            .unwrap_or_default()
    }

    /// The value, if one is attached or follows.
    pub(crate) fn maybe_value(&mut self) -> Option<String> {
        self.parser
            .optional_value()
            .map(text)
            .or_else(|| self.following())
    }

    /// The name of the table, if one follows a command. conntrack(8) 1.4.7 accepts an attached
    /// value, and ignores it.
    pub(crate) fn table(&mut self, command: Code) -> Option<String> {
        let takes = COMMANDS.iter().find(|(code, ..)| *code == command);
        if takes.is_some_and(|(.., takes)| *takes == Takes::Maybe) {
            self.parser.optional_value();
        }
        self.following()
    }

    /// The next argument, unless it is an option.
    fn following(&mut self) -> Option<String> {
        let mut rest = self.parser.try_raw_args()?;
        let next = rest.next_if(|next| !next.to_string_lossy().starts_with('-'));
        next.map(text)
    }
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
