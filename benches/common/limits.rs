//! The kernel's limits for the table, which apply to the whole machine.

use std::fs;
use std::sync::Mutex;

use nix::sys::signal::{SigSet, Signal};

const MAX: &str = "/proc/sys/net/netfilter/nf_conntrack_max";
const BUCKETS: &str = "/proc/sys/net/netfilter/nf_conntrack_buckets";
/// Additional room for other flows.
const SPARE: usize = 1000;
/// Flows per bucket. The kernel refuses flows if a chain is too long; this is its old default.
const FLOWS_PER_BUCKET: usize = 4;

/// The values to restore.
static CHANGED: Mutex<Vec<(&str, usize)>> = Mutex::new(Vec::new());

/// Restores the limits when it is dropped, and when a signal ends the process.
pub struct Limits;

impl Limits {
    /// Makes room for `flows` flows if there is too little. Call it on the first thread, before
    /// there are others, outside of the namespace to fill.
    pub fn make_room(flows: usize) -> Result<Self, String> {
        let limits = Self;
        let buckets = flows / FLOWS_PER_BUCKET;
        let short: Vec<_> = [(BUCKETS, buckets), (MAX, flows + SPARE)]
            .into_iter()
            .filter(|(path, wanted)| read(path).is_some_and(|present| present < *wanted))
            .collect();
        if !short.is_empty() {
            restore_on_signals();
        }
        for (path, wanted) in short {
            let present = read(path).expect("it was read just now");
            CHANGED.lock().expect("no panic").push((path, present));
            if let Err(error) = fs::write(path, wanted.to_string()) {
                CHANGED.lock().expect("no panic").pop();
                return Err(format!(
                    "{flows} flows need {path} = {wanted}, which only root of the machine can set: {error}"
                ));
            }
            eprintln!("{path}: {present}, now {wanted}, restored at the end");
        }
        Ok(limits)
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        restore();
    }
}

fn read(path: &str) -> Option<usize> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

fn restore() {
    let Ok(mut changed) = CHANGED.lock() else {
        return;
    };
    while let Some((path, before)) = changed.pop() {
        if let Err(error) = fs::write(path, before.to_string()) {
            eprintln!("{path} could not be restored to {before}: {error}");
        }
    }
}

/// Block the signals here and in all later threads, so that the waiting thread gets them.
fn restore_on_signals() {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    signals.thread_block().expect("to block signals");
    std::thread::spawn(move || {
        if let Ok(signal) = signals.wait() {
            restore();
            std::process::exit(128 + signal as i32);
        }
    });
}
