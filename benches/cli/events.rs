//! `-E`, while marks change as fast as the kernel can.

use std::fs;
use std::io::{ErrorKind, Read};
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::message;
use crate::common::names::{AS_LISTED, names};
use crate::common::process::Outcome;
use crate::common::raw::{BATCH, Raw};
use crate::programs::{Side, number};

/// The number of flows whose marks change.
pub(crate) const FLOWS: usize = 1024;

const POLL: Duration = Duration::from_millis(50);

/// After this many polls without processor time, the program has handled all events.
const IDLE: u32 = 10;

/// How many of `changes` the program prints.
pub(crate) fn run(side: Side, changes: usize) -> Option<Outcome> {
    let mut command = side.command();
    let command = command.args(["-E", "-e", "UPDATES"]);
    let listening = listeners();
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
    let mut child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        child => child.expect("to run it"),
    };
    while listeners() == listening {
        sleep(POLL);
    }
    let start = Instant::now();
    change(changes);
    let (mut idle, mut before) = (0, 0);
    while idle < IDLE {
        sleep(POLL);
        let now = ticks(&child);
        idle = if now == before { idle + 1 } else { 0 };
        before = now;
    }
    let id = i32::try_from(child.id()).expect("an id");
    kill(Pid::from_raw(id), Signal::SIGINT).expect("to interrupt it");
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("its stderr");
    stderr.read_to_string(&mut said).expect("what it said");
    child.wait().expect("its end");
    let last = said.lines().last().unwrap_or_default();
    let outcome = Outcome::new(start, number(last));
    Some(Outcome {
        child: true,
        ..outcome
    })
}

fn change(changes: usize) {
    let mut socket = Raw::open();
    let names = names(&mut socket, AS_LISTED);
    let mut datagram = Vec::new();
    let mut at = 0;
    while at < changes {
        datagram.clear();
        let end = (at + BATCH).min(changes);
        for number in at + 1..=end {
            let flags = if number == end { message::ACK } else { 0 };
            names[number % FLOWS].set_mark(&mut datagram, flags, number as u32);
        }
        socket.send(&datagram);
        socket.acknowledged(end as u32);
        at = end;
    }
}

/// The number of listening netfilter sockets in this namespace.
fn listeners() -> usize {
    let table = fs::read_to_string("/proc/thread-self/net/netlink").expect("the sockets");
    let listening = |line: &&str| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.get(1) == Some(&"12") && words.get(3).is_some_and(|groups| *groups != "00000000")
    };
    table.lines().filter(listening).count()
}

/// The processor time that it has used.
fn ticks(child: &Child) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).expect("its state");
    // The fields after the name, which may contain spaces.
    let fields = stat
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace();
    let times = fields.skip(11).take(2);
    times.filter_map(|field| field.parse::<u64>().ok()).sum()
}
