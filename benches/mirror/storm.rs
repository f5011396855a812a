//! A table in which everything changes as fast as the kernel can.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use ctnetlink::{Change, Flow, FlowKey, Labels, NewFlow, Patch, Table};
use futures::TryStreamExt;

use crate::common::raw::Raw;
use crate::common::support::nft;
use crate::common::{current_thread, fill, process};

/// Hidden: makes this process the storm.
pub(crate) const CHANGER: &str = "--changer";

/// The number of changes in one bulk request.
const MANY: usize = 8192;

/// The process that makes the storms. Each line of its input begins or ends a storm. After each
/// storm, it prints the number of changes and their time in nanoseconds.
pub(crate) fn run_changer(flows: usize) {
    process::begin();
    let is_on = Arc::new(AtomicBool::new(false));
    let (sender, storms) = channel();
    let shared = is_on.clone();
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines() {
            if !shared.fetch_xor(true, Ordering::SeqCst) {
                sender.send(()).expect("the storm");
            }
        }
    });
    current_thread().block_on(async {
        let handle = ctnetlink::connect().await.expect("a connection");
        let known = handle.list(Table::Conntrack).await.expect("a list");
        let known: Vec<Flow> = known.try_collect().await.expect("flows");
        assert_eq!(known.len(), flows, "flows to begin with");
        println!("ready");
        let mut turn = 0;
        while storms.recv().is_ok() {
            let (start, mut made) = (Instant::now(), 0);
            while is_on.load(Ordering::SeqCst) {
                let changes: Vec<_> = (turn..turn + MANY)
                    .map(|turn| change(&known, turn))
                    .collect();
                turn += MANY;
                let report = handle.bulk(changes).await.expect("a report");
                assert_eq!(report.failed_total, 0, "{:?}", report.failed.first());
                made += report.applied;
            }
            println!("{made} {}", start.elapsed().as_nanos());
        }
    });
}

/// Each flow begins, gets a mark, labels, another mark and no labels, and ends.
fn change(known: &[Flow], turn: usize) -> Change {
    let (number, round) = (turn % known.len(), turn / known.len());
    let flow = &known[number];
    let key = FlowKey::orig(flow.orig).zone(flow.zone);
    let mark = round as u32;
    let label = Labels::bit((round % 128) as u8).expect("a label");
    match (round + number) % 6 {
        0 => Change::Create(NewFlow::from(flow).mark(mark)),
        1 | 3 => Change::Update(key, Patch::new().mark(mark)),
        2 => Change::Update(key, Patch::new().labels(label)),
        4 => Change::Update(key, Patch::new().labels(Labels::default())),
        _ => Change::Delete(key),
    }
}

/// Makes flows that have room for labels, in an otherwise empty table.
pub(crate) fn fill(flows: usize) {
    Raw::open().flush();
    nft::labels().expect("a rule on labels");
    fill::fill(flows);
}

/// The process that changes the table.
pub(crate) struct Changer {
    child: Child,
    said: BufReader<ChildStdout>,
}

impl Changer {
    pub(crate) fn ready(flows: usize) -> Self {
        let bench = std::env::current_exe().expect("the path of the bench");
        let mut child = Command::new(bench)
            .args([CHANGER, &flows.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let said = BufReader::new(child.stdout.take().expect("its output"));
        let mut changer = Self { child, said };
        assert_eq!(changer.hear(), "ready\n");
        changer
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.said.read_line(&mut line).expect("a line");
        line
    }

    pub(crate) fn turn(&mut self) {
        let ear = self.child.stdin.as_mut().expect("its input");
        ear.write_all(b"\n").expect("to tell it");
    }

    /// Ends the storm, and returns the number of changes and their time.
    pub(crate) fn over(&mut self) -> (usize, Duration) {
        let said = self.hear();
        let mut numbers = said
            .split_whitespace()
            .map(|word| word.parse().expect("a number"));
        let mut number = || numbers.next().expect("two numbers");
        (number() as usize, Duration::from_nanos(number()))
    }
}

impl Drop for Changer {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        self.child.wait().expect("its end");
    }
}
