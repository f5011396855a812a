//! `--watch`: the current flows that match. On a terminal, it draws a table every second. Otherwise
//! it prints a line for each change: `+` for a new flow, `~` for a change, `-` for an end. Not in
//! conntrack(8).

use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

use ctnetlink::{ConntrackHandle, Delta, Mirror, MirrorReader, SyncCause};
use futures::{FutureExt, StreamExt};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::failure::{Failure, PREFIX, Result};
use super::line::Line;
use super::list::printer;
use super::matching::Matching;
use super::printer::Printer;
use super::say;

const REDRAW: Duration = Duration::from_secs(1);

/// The number of rows if the terminal does not report it.
const ROWS: usize = 24;

/// After this many changes without a pause, check for a signal.
const AT_ONCE: u32 = 256;

/// Runs until a signal ends it.
pub(crate) async fn watch(handle: &ConntrackHandle, mut line: Line) -> Result<()> {
    let signals = Signals {
        interrupt: signal(SignalKind::interrupt())?,
        terminate: signal(SignalKind::terminate())?,
    };
    let printer = printer(&mut line);
    let matching = Matching::of(line);
    let mirror = handle.mirror().filter(matching.filter.clone()).await?;
    match stdout().is_terminal() {
        true => table(mirror, matching, printer, signals).await,
        false => changes(mirror, matching, printer, signals).await,
    }
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Prints a line for each change.
async fn changes(
    mut mirror: Mirror,
    matching: Matching,
    mut printer: Printer,
    mut signals: Signals,
) -> Result<()> {
    let mut without_pause = 0;
    loop {
        without_pause += 1;
        let ready = match without_pause < AT_ONCE {
            true => mirror.next().now_or_never(),
            false => None,
        };
        let delta = match ready {
            Some(delta) => delta,
            None => {
                without_pause = 0;
                printer.flush()?;
                tokio::select! {
                    biased;
                    () = signals.any() => break,
                    delta = mirror.next() => delta,
                }
            }
        };
        let (sign, flow) = match delta {
            None => return Err(Failure::operation("the connection is closed")),
            Some(Err(error)) => {
                // The mirror tries again.
                say::err(format_args!("{PREFIX}WARNING: {error}"));
                continue;
            }
            Some(Ok(Delta::Added(flow))) => ('+', flow),
            Some(Ok(Delta::Updated { after, .. })) => ('~', after),
            Some(Ok(Delta::Removed { flow, .. })) => ('-', flow),
            Some(Ok(delta)) => {
                printer.flush()?;
                tell(&delta);
                continue;
            }
        };
        if matching.matches(&flow) {
            printer.signed_flow(sign, &flow)?;
        }
    }
    printer.flush()?;
    Ok(())
}

fn tell(delta: &Delta) {
    match delta {
        Delta::SyncStarted {
            cause: SyncCause::Lost { events },
        } => say::err(format_args!(
            "{PREFIX}WARNING: {events} events were lost; the table is listed again."
        )),
        Delta::Synced { flows, .. } => {
            say::err(format_args!("{PREFIX}{flows} flow entries, in sync."));
        }
        _ => {}
    }
}

/// The rows that fit on the terminal.
async fn table(
    mirror: Mirror,
    matching: Matching,
    mut printer: Printer,
    mut signals: Signals,
) -> Result<()> {
    let reader = mirror.reader();
    let mut running = tokio::spawn(mirror.run());
    // Turn off line wrapping and the cursor.
    write!(stdout(), "\x1b[?7l\x1b[?25l\x1b[2J")?;
    let ended = loop {
        draw(&reader, &matching, &mut printer)?;
        tokio::select! {
            () = signals.any() => break Ok(()),
            ended = &mut running => break match ended {
                Ok(ended) => ended.map_err(Failure::from),
                Err(error) => Err(Failure::operation(&error.to_string())),
            },
            () = tokio::time::sleep(REDRAW) => {}
        }
    };
    writeln!(stdout(), "\x1b[?7h\x1b[?25h")?;
    ended
}

fn draw(reader: &MirrorReader, matching: &Matching, printer: &mut Printer) -> Result<()> {
    let rows = std::env::var("LINES").ok();
    let rows = rows.and_then(|rows| rows.parse().ok()).unwrap_or(ROWS);
    let counts = reader.counts();
    let state = if reader.is_synced() {
        "in sync"
    } else {
        "not in sync"
    };
    let protocols: String = counts
        .protocols
        .iter()
        .map(|(protocol, flows)| format!(", {protocol} {flows}"))
        .collect();
    let flows = counts.flows;
    printer.text(format_args!(
        "\x1b[H{flows} flow entries{protocols}; {state}\x1b[K\n"
    ))?;
    let shown = reader
        .find(&matching.filter)
        .filter(|flow| matching.matches(flow))
        .take(rows.saturating_sub(2));
    for flow in shown {
        printer.text("\x1b[K")?;
        printer.flow_in_row(&flow)?;
    }
    printer.text("\x1b[J")?;
    printer.flush()?;
    Ok(())
}
