//! `-R`: the command lines of a file.

use std::io::Read;
use std::iter::{Flatten, Peekable};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::vec::IntoIter;

use ctnetlink::{Change, ConntrackHandle, NewFlow, Report};

use super::failure::{Failure, Result};
use super::line::{Line, Table};
use super::options::COMMANDS;
use super::{create, delete, update};

/// The action of a line. Most lines are creates, the largest variant.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Asked {
    /// A create, from `-I` or `-A`. If it cannot be built, it fails when its turn comes.
    Create(char, Result<NewFlow>),
    Other(Box<Line>),
}

/// The number of lines that a thread parses at a time.
const AT_ONCE: usize = 4096;

/// All lines are parsed before the first is carried out, so that a file with a bad line changes
/// nothing.
pub(crate) fn read(path: &str) -> Result<Vec<Vec<Asked>>> {
    let mut text = String::new();
    let done = match path {
        "-" => std::io::stdin().read_to_string(&mut text),
        _ => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    };
    done.map_err(|_| Failure::usage(format!("Failed to open file {path} for reading")))?;
    let lines: Vec<&str> = text.lines().collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = lines.len().div_ceil(cores).max(AT_ONCE);
    thread::scope(|scope| {
        let parts: Vec<_> = lines
            .chunks(share)
            .map(|lines| scope.spawn(|| parse_all(lines)))
            .collect();
        let joined = parts.into_iter().map(|part| match part.join() {
            Ok(part) => part,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}

fn parse_all(lines: &[&str]) -> Result<Vec<Asked>> {
    let mut all = Vec::with_capacity(lines.len());
    let mut arguments = Vec::new();
    for line in lines {
        all.extend(parse(line, &mut arguments)?);
    }
    Ok(all)
}

/// The action of a line; `None` for an empty line. The memory of `arguments` is used again.
fn parse<'a>(text: &'a str, arguments: &mut Vec<&'a str>) -> Result<Option<Asked>> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let line = match plain_words(text, arguments) {
        true => read_line(arguments)?,
        false => {
            let words = words(text);
            let arguments: Vec<_> = words.iter().map(String::as_str).collect();
            read_line(&arguments)?
        }
    };
    Ok(match (line.command, line.table) {
        (None, _) => None,
        (Some(code @ ('I' | 'A')), Table::Conntrack) => {
            Some(Asked::Create(code, create::new_flow(&line)))
        }
        (Some('U' | 'F'), Table::Conntrack) | (Some('D'), _) => Some(Asked::Other(Box::new(line))),
        (Some(code), _) => {
            let name = COMMANDS.iter().find(|(it, ..)| *it == code);
            let name = name.map_or("", |(_, name, _)| name);
            let shown = if code.is_alphabetic() {
                format!("-{code}")
            } else {
                format!("--{name}")
            };
            return Err(Failure::usage(format!(
                "Cannot use command `{shown}' with --load-file"
            )));
        }
    })
}

fn read_line(arguments: &[&str]) -> Result<Line> {
    match arguments {
        [name, words @ ..] if *name == "conntrack" => Line::read(words),
        words => Line::read(words),
    }
}

/// Splits a line into words, if it has no quotes. Most lines have none.
fn plain_words<'a>(text: &'a str, words: &mut Vec<&'a str>) -> bool {
    words.clear();
    let mut begin = 0;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => return false,
            _ if byte.is_ascii_whitespace() => {
                words.extend(Some(&text[begin..at]).filter(|word| !word.is_empty()));
                begin = at + 1;
            }
            _ => {}
        }
    }
    words.extend(Some(&text[begin..]).filter(|word| !word.is_empty()));
    true
}

/// Splits a line into words. Double quotes keep spaces.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut begun) = (false, false);
    for letter in text.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            _ if letter.is_ascii_whitespace() && !quoted => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word));
                }
            }
            _ => {
                word.push(letter);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

/// The remaining lines, which two threads take from.
type Rest = Arc<Mutex<Peekable<Flatten<IntoIter<Vec<Asked>>>>>>;

/// Carries out the lines in order. Creates are sent many at a time.
pub(crate) async fn carry_out(handle: &ConntrackHandle, asked: Vec<Vec<Asked>>) -> Result<()> {
    let rest: Rest = Arc::new(Mutex::new(asked.into_iter().flatten().peekable()));
    loop {
        let line = {
            let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
            match rest.peek() {
                None => return Ok(()),
                Some(Asked::Create(code, _)) => Err(*code),
                Some(Asked::Other(_)) => Ok(rest.next()),
            }
        };
        match line {
            Err(code) => creates(handle, &rest, code).await?,
            Ok(Some(Asked::Other(line))) => other(handle, *line).await?,
            Ok(_) => {}
        }
    }
}

async fn other(handle: &ConntrackHandle, line: Line) -> Result<()> {
    match (line.command, line.table) {
        (Some('D'), Table::Expect) => super::expect::delete(handle, line).await,
        (Some('D'), _) => delete::delete(handle, line, true).await,
        (Some('U'), _) => update::update(handle, line, true).await,
        _ => delete::flush(handle, line).await,
    }
}

/// Carries out a run of lines with the same command. With `-I`, a flow that exists already ends it.
async fn creates(handle: &ConntrackHandle, rest: &Rest, code: char) -> Result<()> {
    let failed = Arc::new(Mutex::new(None));
    let (source, unbuilt) = (rest.clone(), failed.clone());
    let changes = std::iter::from_fn(move || {
        let mut rest = source.lock().unwrap_or_else(PoisonError::into_inner);
        let same = |asked: &Asked| matches!(asked, Asked::Create(it, _) if *it == code);
        match rest.next_if(same)? {
            Asked::Create(_, Ok(flow)) => Some(Change::create(flow)),
            Asked::Create(_, Err(failure)) => {
                *unbuilt.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                None
            }
            Asked::Other(_) => None,
        }
    });
    let ends = move |report: &Report| match report.failed_total > 0
        || (code == 'I' && report.exists > 0)
    {
        true => ControlFlow::Break(()),
        false => ControlFlow::Continue(()),
    };
    let report = handle.bulk(changes).on_progress(ends).await?;
    if code == 'I' && report.exists > 0 {
        return Err(Failure::operation(
            "Such conntrack exists, try -U to update",
        ));
    }
    report.into_result()?;
    match failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}
