//! `-R`: the command lines of a file.

use std::ffi::OsString;
use std::io::Read;
use std::iter::Peekable;
use std::sync::{Arc, Mutex, PoisonError};

use ctnetlink::{Change, ConntrackHandle, Report};

use super::failure::{Failure, Result};
use super::line::{Line, Table};
use super::options::COMMANDS;
use super::{create, delete, update};

/// All lines are read before the first is carried out, so that a bad one changes nothing.
pub(crate) fn read(path: &str) -> Result<Arc<str>> {
    let mut text = String::new();
    let done = match path {
        "-" => std::io::stdin().read_to_string(&mut text),
        _ => std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text)),
    };
    done.map_err(|_| Failure::usage(format!("Failed to open file {path} for reading")))?;
    for line in text.lines() {
        parse(line)?;
    }
    Ok(text.into())
}

/// A line that does something, as a command line.
fn parse(text: &str) -> Result<Option<Line>> {
    let text = text.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let mut words = words(text);
    if words.first().is_some_and(|word| word == "conntrack") {
        words.remove(0);
    }
    let line = Line::read(words)?;
    match line.command {
        Some('I' | 'A' | 'U' | 'D' | 'F') if line.table == Table::Conntrack => Ok(Some(line)),
        Some('D') => Ok(Some(line)),
        Some(code) => {
            let name = COMMANDS.iter().find(|(it, ..)| *it == code);
            let name = name.map_or("", |(_, name, _)| name);
            let shown = if code.is_alphabetic() {
                format!("-{code}")
            } else {
                format!("--{name}")
            };
            Err(Failure::usage(format!(
                "Cannot use command `{shown}' with --load-file"
            )))
        }
        None => Ok(None),
    }
}

/// Words, as a shell splits them; double quotes keep spaces.
fn words(text: &str) -> Vec<OsString> {
    let mut words = Vec::new();
    let mut word = String::new();
    let (mut quoted, mut begun) = (false, false);
    for letter in text.chars() {
        match letter {
            '"' => {
                quoted = !quoted;
                begun = true;
            }
            _ if letter.is_whitespace() && !quoted => {
                if std::mem::take(&mut begun) {
                    words.push(std::mem::take(&mut word).into());
                }
            }
            _ => {
                word.push(letter);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word.into());
    }
    words
}

/// The lines that are left, taken from two threads.
type Lines = Arc<Mutex<Peekable<Box<dyn Iterator<Item = Line> + Send>>>>;

/// Carries them out, in their order; those that create are sent many at a time.
pub(crate) async fn carry_out(handle: &ConntrackHandle, text: Arc<str>) -> Result<()> {
    let mut from = 0;
    let lines = std::iter::from_fn(move || {
        while from < text.len() {
            let rest = &text[from..];
            let length = rest.find('\n').map_or(rest.len(), |at| at + 1);
            from += length;
            // They were read before.
            if let Ok(Some(line)) = parse(&rest[..length]) {
                return Some(line);
            }
        }
        None
    });
    let lines: Box<dyn Iterator<Item = Line> + Send> = Box::new(lines);
    let lines: Lines = Arc::new(Mutex::new(lines.peekable()));
    loop {
        let next = lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .peek()
            .map(|it| it.command);
        match next {
            None => return Ok(()),
            Some(Some(code @ ('I' | 'A'))) => creates(handle, &lines, code).await?,
            Some(_) => {
                let line = lines.lock().unwrap_or_else(PoisonError::into_inner).next();
                if let Some(line) = line {
                    other(handle, line).await?;
                }
            }
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

/// As many lines as have the same command. A flow that is there already ends it at `-I`.
async fn creates(handle: &ConntrackHandle, lines: &Lines, code: char) -> Result<()> {
    let failed = Arc::new(Mutex::new(None));
    let (source, unbuilt) = (lines.clone(), failed.clone());
    let changes = std::iter::from_fn(move || {
        let mut lines = source.lock().unwrap_or_else(PoisonError::into_inner);
        let line = lines.next_if(|line| line.command == Some(code))?;
        match create::new_flow(&line) {
            Ok(flow) => Some(Change::create(flow)),
            Err(failure) => {
                *unbuilt.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
                None
            }
        }
    });
    let ends = move |report: &Report| match report.failed_total > 0
        || (code == 'I' && report.exists > 0)
    {
        true => std::ops::ControlFlow::Break(()),
        false => std::ops::ControlFlow::Continue(()),
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
