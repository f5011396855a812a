//! `-E` of both programs at the same time prints the same lines.

use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::differences::reason;
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
    "-E -l label9",
    "-E -m 0",
    "-E -b 200000",
];

/// A program that listens, and the file of its output.
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

/// The number of listening netfilter sockets in this namespace.
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

/// The lines that the other side does not have.
fn without<'a>(lines: &'a [String], others: &[String]) -> Vec<&'a String> {
    lines.iter().filter(|line| !others.contains(line)).collect()
}

/// With `CTNETLINK_TEST_MATRIX=full`, each of these runs with each of the conditions.
const OUTPUTS: &[&str] = &[
    "",
    "-o extended",
    "-o id",
    "-o save",
    "-o xml",
    "-o labels",
    "-o xml,labels,id",
    "-o extended,labels,id",
];

const CONDITIONS: &[&str] = &[
    "",
    "-e NEW",
    "-e UPDATES",
    "-e DESTROY",
    "-e NEW,UPDATES",
    "-e ALL",
    "-p tcp",
    "-p udp",
    "-p sctp",
    "-p icmpv6",
    "-p tcp --sport 1",
    "-p tcp --dport 3",
    "-p tcp --state CLOSE",
    "-s 10.7.0.1",
    "-s 10.7.0.0/24",
    "-d 10.7.0.2",
    "-d fd00::2",
    "-r 10.7.0.2",
    "-q 10.7.0.1",
    "-m 7",
    "-m 7/0xf",
    "-m 0",
    "-f ipv4",
    "-f ipv6",
    "-n",
    "-n 10.7.0.9",
    "-g",
    "-j",
    "-w 5",
    "--orig-zone 5",
    "-l label9",
    "-s 10.7.0.1 -p udp -w 5",
    "-e NEW -p tcp -m 7",
];

/// Command lines that listen at the same time.
fn rounds() -> Vec<Vec<String>> {
    let mut rounds = vec![FORMS.iter().map(|line| (*line).to_owned()).collect()];
    if std::env::var_os("CTNETLINK_TEST_MATRIX").is_some_and(|value| value == "full") {
        rounds.extend(OUTPUTS.iter().map(|output| {
            let lines = CONDITIONS.iter().map(|condition| {
                let words = ["-E", output, condition].into_iter();
                let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
                words.join(" ")
            });
            lines.filter(|line| reason(line).is_none()).collect()
        }));
    }
    rounds
}

pub fn beside() {
    population::prepare();
    for lines in rounds() {
        heard(&lines);
    }
}

fn heard(lines: &[String]) {
    let mut running = Vec::new();
    for (number, line) in lines.iter().enumerate() {
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
    // All programs have printed the last event, or never will.
    let last = |side: Side| {
        move || {
            let probe = run(side, "conntrack", "-C").stdout;
            probe.trim() == "0"
        }
    };
    until("the table is empty", last(Side::Theirs));
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(20) {
        let all = running.iter();
        let mut pairs = all.map(|(_, theirs, ours)| (theirs.text(), ours.text()));
        if pairs.all(|(theirs, ours)| theirs.lines().count() == ours.lines().count()) {
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    let mut differ = String::new();
    for (line, theirs, ours) in running {
        let (theirs, ours) = (theirs.end(), ours.end());
        let is_same =
            theirs.0 == ours.0 && theirs.2 == ours.2 && (theirs.1 == ours.1 || line.contains("-b"));
        if !is_same {
            let alone = (without(&theirs.0, &ours.0), without(&ours.0, &theirs.0));
            let said = (&theirs.1, theirs.2, &ours.1, ours.2);
            differ += &format!("{line}: {alone:#?} {said:?}\n");
        }
    }
    assert!(differ.is_empty(), "{differ}");
}
