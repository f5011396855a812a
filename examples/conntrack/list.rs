//! `-L` and `-G`.

use ctnetlink::{ConntrackHandle, FlowKey, Table};
use futures::TryStreamExt;

use super::failure::{Failure, Result};
use super::line::{self, Line};
use super::matching::Matching;
use super::printer::Printer;
use super::{summary, tuple};

/// Reads the whole table. With `-z`, it zeroes the counters of each flow that it has printed.
pub(crate) async fn list(handle: &ConntrackHandle, mut line: Line) -> Result<()> {
    if line.status.is_some_and(|(_, mask)| mask.is_empty()) {
        // The kernel refuses an empty mask.
        return Err(Failure::errno(22));
    }
    let table = match line.table {
        line::Table::Dying => Table::Dying,
        line::Table::Unconfirmed => Table::Unconfirmed,
        _ => Table::Conntrack,
    };
    let mut printer = printer(&mut line);
    let zero = line.has('z');
    let matching = Matching::of(line);
    let mut list = handle.list(table).filter(matching.filter.clone());
    if let Some(family) = matching.family() {
        list = list.family(family);
    }
    let mut flows = list.await?;
    let mut shown = 0u64;
    while let Some(flow) = flows.try_next().await? {
        if !matching.matches(&flow) {
            continue;
        }
        if zero {
            // A flow that has ended meanwhile has no counters left.
            _ = handle.get(&flow).zero_counters().await?;
        }
        printer.flow(&flow)?;
        shown += 1;
    }
    printer.end("conntrack")?;
    summary(shown, "flow entries have been shown");
    Ok(())
}

/// Gets one flow by its tuple.
pub(crate) async fn get(handle: &ConntrackHandle, mut line: Line) -> Result<()> {
    let orig = tuple::of(&line.orig, &line).filter(|_| line.orig.whole());
    let key = match (orig.transpose()?, tuple::of_reply(&line).transpose()?) {
        (Some(orig), _) => FlowKey::orig(orig),
        (None, Some(reply)) => FlowKey::reply(reply),
        (None, None) => return Err(Failure::errno(22)),
    };
    let mut printer = printer(&mut line);
    let matching = Matching::of(line);
    let flow = handle.get(key).await?;
    let flow = flow.ok_or_else(|| Failure::operation("such conntrack doesn't exist"))?;
    let shown = u64::from(matching.matches(&flow));
    if shown == 1 {
        printer.flow(&flow)?;
    }
    printer.flush()?;
    summary(shown, "flow entries have been shown");
    some(shown)
}

/// It is a failure if nothing was done.
pub(crate) fn some(count: u64) -> Result<()> {
    match count {
        0 => Err(Failure::Nothing),
        _ => Ok(()),
    }
}

/// Creates the printer for a line. The names of labels are read only if they are needed.
pub(crate) fn printer(line: &mut Line) -> Printer {
    // A line that names labels prints them too, except for deleted flows.
    let named = ['l', '<', '>'].iter().any(|code| line.has(*code));
    line.output.labels |= named && line.command != Some('D');
    let labels = match line.output.labels {
        true => line.label_map().clone(),
        false => Default::default(),
    };
    Printer::new(line.output, labels)
}
