//! `-D` and `-F`.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::ops::ControlFlow;

use ctnetlink::{Change, ConntrackHandle, Report, Table};

use super::behind;
use super::failure::{Failure, PREFIX, Result};
use super::line::Line;
use super::list::{printer, some};
use super::matching::Matching;
use super::say;
use super::summary;

/// Deletes the flows that match, in one walk of the table, and prints each.
pub(crate) async fn delete(handle: &ConntrackHandle, line: Line, silent: bool) -> Result<()> {
    let deleted = matching(handle, line).await?;
    if !silent {
        summary(deleted, "flow entries have been deleted");
        some(deleted)?;
    }
    Ok(())
}

async fn matching(handle: &ConntrackHandle, mut line: Line) -> Result<u64> {
    let printer = printer(&mut line);
    let matching = Matching::of(line);
    let (mut behind, printing) = behind::start(printer, "-D")?;
    let deletes = handle.change_matching(matching.filter.clone(), move |flow| {
        matching.matches(flow).then(|| {
            behind.print(flow);
            Change::delete(flow)
        })
    });
    let report = deletes.on_progress(progress("deleted")).await;
    printing.end()?;
    counted(report?)
}

/// The number of changed flows. If one change failed, the command fails.
pub(crate) fn counted(report: Report) -> Result<u64> {
    let applied = report.applied;
    report.into_result()?;
    Ok(applied)
}

/// Shows the progress on a terminal, unless flows are printed there.
pub(crate) fn progress(verb: &'static str) -> impl FnMut(&Report) -> ControlFlow<()> + Send {
    let shown = stderr().is_terminal() && !stdout().is_terminal();
    move |report| {
        if shown {
            let applied = report.applied;
            _ = write!(stderr(), "\r{PREFIX}{applied} {verb} so far\x1b[K\r");
        }
        ControlFlow::Continue(())
    }
}

/// Empties the table, or removes one family.
pub(crate) async fn flush(handle: &ConntrackHandle, line: Line) -> Result<()> {
    let mut flush = handle.flush(Table::Conntrack);
    if let Some(family) = line.family {
        flush = flush.family(family);
    }
    flush.await.map_err(Failure::from)?;
    say::err(format_args!(
        "{PREFIX}connection tracking table has been emptied."
    ));
    Ok(())
}
