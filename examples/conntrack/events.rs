//! `-E`.

use ctnetlink::{ConntrackHandle, Event, EventKinds};
use futures::{FutureExt, TryStreamExt};
use tokio::signal::unix::{SignalKind, signal};

use super::failure::{PREFIX, Result};
use super::line::{Line, Table};
use super::list::printer;
use super::matching::Matching;
use super::say;
use super::summary;

/// After this many events without a pause, check for a signal.
const AT_ONCE: u32 = 256;

/// Prints events until a signal ends it. It reports losses, and goes on.
pub(crate) async fn events(handle: &ConntrackHandle, mut line: Line) -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let expectations = line.table == Table::Expect;
    let root = if expectations { "expect" } else { "conntrack" };
    let mut printer = printer(&mut line);
    let mut events = handle.events().kinds(match expectations {
        true => EventKinds::EXPECTATIONS,
        false => line.kinds,
    });
    let buffer = line.buffer;
    // The events of ends have no labels, and a stream refuses to compare them: they are compared here.
    let is_told = !line.has('l');
    let matching = Matching::of(line);
    if !expectations && is_told {
        events = events.filter(matching.filter.clone());
    }
    if let Some(bytes) = buffer {
        events = events.receive_buffer(bytes);
    }
    let mut events = events.await?;
    if buffer.is_some() {
        let granted = events.receive_buffer()?;
        say::err(format_args!(
            "NOTICE: Netlink socket buffer size has been set to {granted} bytes."
        ));
    }
    let mut shown = 0u64;
    let mut without_pause = 0;
    loop {
        without_pause += 1;
        let ready = match without_pause < AT_ONCE {
            true => events.try_next().now_or_never(),
            false => None,
        };
        let event = match ready {
            Some(event) => event?,
            None => {
                without_pause = 0;
                printer.flush()?;
                tokio::select! {
                    biased;
                    _ = interrupt.recv() => break,
                    _ = terminate.recv() => break,
                    event = events.try_next() => event?,
                }
            }
        };
        match event {
            None => break,
            Some(Event::Overrun { lost }) => {
                say::err(format_args!(
                    "{PREFIX}WARNING: {lost} events were lost here; a larger -b loses fewer."
                ));
            }
            Some(event) => {
                if event.flow().is_none_or(|flow| matching.matches(flow)) {
                    printer.event(&event)?;
                    shown += 1;
                }
            }
        }
    }
    printer.end(root)?;
    summary(
        shown,
        match expectations {
            true => "expectation events have been shown",
            false => "flow events have been shown",
        },
    );
    Ok(())
}
