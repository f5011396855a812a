//! `-E`, both at once: the same events in the same words.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::normal;
use crate::population;
use crate::run::{Side, command, run, words};

const FORMS: &[&str] = &[
    "-E",
    "-E -o extended,id",
    "-E -o save",
    "-E -o xml",
    "-E -o xml,labels,ktimestamp",
    "-E -e NEW,DESTROY",
    "-E -e UPDATES -o labels",
    "-E -p tcp",
    "-E -s 10.7.0.0/24 -m 7",
    "-E -f ipv6 -o id",
    "-E -n",
    "-E -w 5",
    "-E -b 200000",
];

/// A program that listens, and where its output goes.
pub struct Listener {
    child: Child,
    files: [std::path::PathBuf; 2],
}

impl Listener {
    pub fn start(side: Side, line: &str, number: usize) -> Self {
        let name = |what| {
            let name = format!("cli-events-{}-{number}-{side:?}-{what}", std::process::id());
            std::env::temp_dir().join(name)
        };
        let files = [name("out"), name("err")];
        let before = listeners();
        let open = |index: usize| Stdio::from(File::create(&files[index]).expect("a file"));
        let mut program: Command = command(side, "conntrack");
        let child = program.args(words(line)).stdout(open(0)).stderr(open(1));
        let child = child.spawn().expect("to start conntrack");
        until(line, || listeners() > before);
        Self { child, files }
    }

    pub fn text(&self) -> String {
        std::fs::read_to_string(&self.files[0]).expect("what it printed")
    }

    pub fn end(mut self) -> (Vec<String>, String, Option<i32>) {
        let id = i32::try_from(self.child.id()).expect("an id");
        kill(Pid::from_raw(id), Signal::SIGINT).expect("to interrupt it");
        let status = self.child.wait().expect("its end");
        let stdout: Vec<_> = self.text().lines().map(normal::line).collect();
        let stderr = std::fs::read_to_string(&self.files[1]).expect("what it said");
        for file in &self.files {
            _ = std::fs::remove_file(file);
        }
        (stdout, stderr, status.code())
    }
}

/// How many sockets listen to netfilter in this namespace.
fn listeners() -> usize {
    let table = std::fs::read_to_string("/proc/thread-self/net/netlink").expect("the sockets");
    let listening = |line: &&str| {
        let words: Vec<_> = line.split_whitespace().collect();
        words.get(1) == Some(&"12") && words.get(3).is_some_and(|groups| *groups != "00000000")
    };
    table.lines().filter(listening).count()
}

#[track_caller]
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !done() {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "not in a minute: {what}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Those lines that the other side has not.
fn without<'a>(lines: &'a [String], others: &[String]) -> Vec<&'a String> {
    lines.iter().filter(|line| !others.contains(line)).collect()
}

pub fn beside() {
    population::prepare();
    let mut running = Vec::new();
    for (number, line) in FORMS.iter().enumerate() {
        let theirs = Listener::start(Side::Theirs, line, number);
        let ours = Listener::start(Side::Ours, line, number);
        running.push((line, theirs, ours));
    }
    for line in [
        "-I -t 100 -p tcp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 --state CLOSE -m 7",
        "-I -t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -w 5 --label-add label9",
        "-I -t 100 -p udp -s 10.7.0.3 -d 10.7.0.4 --sport 1 --dport 2 -n 10.7.0.9:5",
        "-I -t 100 -p icmpv6 -s fd00::1 -d fd00::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 7",
        "-I -t 100 -p sctp -s 10.7.0.5 -d 10.7.0.6 --sport 1 --dport 2 --state CLOSED --orig-vtag 1 --reply-vtag 2",
        "-U -s 10.7.0.1 -p tcp -u SEEN_REPLY,ASSURED -m 7",
        "-U -s 10.7.0.1 -p tcp -m 8",
        "-D -s 10.7.0.1 -p udp",
        "-D",
    ] {
        run(Side::Theirs, "conntrack", line);
    }
    // All of them have seen the last one, or will not see it.
    let last = |side: Side| {
        move || {
            let probe = run(side, "conntrack", "-C").stdout;
            probe.trim() == "0"
        }
    };
    until("the table is empty", last(Side::Theirs));
    until("all is printed", || {
        let all = running.iter();
        let mut pairs = all.map(|(_, theirs, ours)| (theirs.text(), ours.text()));
        pairs.all(|(theirs, ours)| theirs.lines().count() == ours.lines().count())
    });
    std::thread::sleep(Duration::from_millis(200));
    for (line, theirs, ours) in running {
        let (theirs, ours) = (theirs.end(), ours.end());
        let (theirs_alone, ours_alone) = (without(&theirs.0, &ours.0), without(&ours.0, &theirs.0));
        assert_eq!(theirs_alone, ours_alone, "{line}");
        assert_eq!(theirs.0, ours.0, "{line}");
        assert_eq!(theirs.2, ours.2, "{line}");
        if !line.contains("-b") {
            assert_eq!(theirs.1, ours.1, "{line}");
        }
    }
}
