//! Prints the changed flows on a thread of its own, behind the thread that changes them.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use ctnetlink::Flow;

use super::printer::Printer;

/// The number of flows that are given to the printer at a time. Each time may wake it.
const TOGETHER: usize = 256;

/// The number of times that the printer may be behind.
const BEHIND: usize = 4;

/// Takes the flows to print. Dropping it ends the printer.
pub(crate) struct Behind {
    flows: Vec<Flow>,
    printer: SyncSender<Vec<Flow>>,
}

/// The printer's thread.
pub(crate) struct Printing(JoinHandle<io::Result<()>>);

/// Starts to print flows as changed by `command`.
pub(crate) fn start(printer: Printer, command: &'static str) -> io::Result<(Behind, Printing)> {
    let (sender, receiver) = sync_channel(BEHIND);
    let thread = thread::Builder::new().spawn(move || print(printer, command, receiver))?;
    let behind = Behind {
        flows: Vec::with_capacity(TOGETHER),
        printer: sender,
    };
    Ok((behind, Printing(thread)))
}

fn print(mut printer: Printer, command: &str, flows: Receiver<Vec<Flow>>) -> io::Result<()> {
    for flow in flows.iter().flatten() {
        printer.changed_flow(command, &flow)?;
    }
    printer.flush()
}

impl Behind {
    pub(crate) fn print(&mut self, flow: &Flow) {
        self.flows.push(flow.clone());
        if self.flows.len() == TOGETHER {
            let flows = std::mem::replace(&mut self.flows, Vec::with_capacity(TOGETHER));
            // A printer that has ended has failed, and reports that at the end.
            _ = self.printer.send(flows);
        }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        _ = self.printer.send(std::mem::take(&mut self.flows));
    }
}

impl Printing {
    /// Waits until all flows are printed. Call it after the [`Behind`] was dropped.
    pub(crate) fn end(self) -> io::Result<()> {
        match self.0.join() {
            Ok(printed) => printed,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}
