//! `conntrack -E`, in each of its output formats.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use ctnetlink::Event;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::sleep;

use super::expected;
use crate::shown::Shown;
use crate::support::patience;
use crate::tool::command;
use crate::xml::Element;

/// A format of the tool's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    /// With everything that the plain line leaves out.
    Extended,
    Xml,
}

impl Form {
    pub(super) const ALL: [Self; 3] = [Self::Plain, Self::Extended, Self::Xml];

    fn options(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Extended => "-o extended,id,timestamp,userspace",
            Self::Xml => "-o xml,ktimestamp",
        }
    }

    /// Our text for an event, to be compared with [`theirs`](Self::theirs).
    pub(super) fn ours(self, event: &Event) -> String {
        match self {
            Self::Plain => event.to_string(),
            Self::Extended => without_time_and_name(&format!("{event:#}")),
            Self::Xml => {
                let kind = match event {
                    Event::New { .. } | Event::ExpectNew { .. } => "new",
                    Event::Update { .. } => "update",
                    Event::Destroy { .. } | Event::ExpectDestroy { .. } => "destroy",
                    other => panic!("{other}"),
                };
                if let Some(expectation) = event.expectation() {
                    return format!("{kind} {:?}", expected::children(expectation));
                }
                let mut shown = Shown::from(event.flow().expect("a flow"));
                // The document has labels only by name, and names were not requested.
                shown.labels.clear();
                format!("{kind} {shown:?}")
            }
        }
    }

    /// The tool's output, split into events.
    fn theirs(self, written: &str) -> Vec<String> {
        match self {
            Self::Plain | Self::Extended => written.lines().map(without_time_and_name).collect(),
            Self::Xml => {
                let document = Element::read(written);
                let shown = document.children.iter().map(|it| {
                    let kind = it.attribute("type");
                    match document.name.as_str() {
                        "expect" => format!("{kind} {:?}", it.children),
                        _ => format!("{kind} {:?}", Shown::flow(it)),
                    }
                });
                shown.collect()
            }
        }
    }
}

/// The tool prints the time of receiving, and we print the time of the event. We do not know the
/// program's name.
fn without_time_and_name(line: &str) -> String {
    let line = line.split_once('\t').map_or(line, |(_, line)| line);
    let line = line.split_once(" progname=").map_or(line, |(line, _)| line);
    line.to_owned()
}

/// Running processes of the tool, one for each format.
pub(super) struct Listeners(Vec<(Form, Listener)>);

struct Listener {
    child: Child,
    output: PathBuf,
}

impl Listeners {
    /// Starts the tool in these formats, and waits until all listen. `table` is "" or "expect".
    pub(super) async fn start(forms: &[Form], table: &str) -> Self {
        let mut all = Vec::new();
        for form in forms {
            let listener = Listener::start(&format!("-E {table} {}", form.options()));
            all.push((*form, listener));
            while listeners() < all.len() {
                sleep(Duration::from_millis(5)).await;
            }
        }
        Self(all)
    }

    /// Waits until each has written as many events as we received, ends them, and compares their
    /// output with our events.
    pub(super) async fn heard_the_same(self, ours: &[Event]) {
        for (form, listener) in self.0 {
            let theirs = form.theirs(&listener.stop(ours.len()).await);
            // A last packet of a closed connection may still create a flow after the awaited
            // events.
            assert!(theirs.len() >= ours.len(), "{form:?}: {theirs:#?}");
            let ours = ours.iter().map(|event| form.ours(event));
            for (n, (ours, theirs)) in ours.zip(&theirs).enumerate() {
                assert_eq!(&ours, theirs, "{form:?}: event {n}");
            }
        }
    }
}

impl Listener {
    fn start(arguments: &str) -> Self {
        let name = format!(
            "ctnetlink-{:?}-{}-{}",
            std::thread::current().id(),
            std::process::id(),
            arguments.len(),
        );
        let output = std::env::temp_dir().join(name.replace(['(', ')'], ""));
        let file = File::create(&output).expect("a file");
        let child = command("conntrack", arguments)
            .stdout(file)
            .stderr(Stdio::null())
            .spawn()
            .expect("to start conntrack(8)");
        Self { child, output }
    }

    /// Ends the tool after this many events, and returns its output.
    async fn stop(mut self, events: usize) -> String {
        let written = || {
            let output = fs::read_to_string(&self.output).expect("its output");
            // Each event is one line, and the head of the document contains no event.
            let shown = output.lines().filter(|line| line.contains("src"));
            output.ends_with('\n') && shown.count() >= events
        };
        let start = Instant::now();
        while !written() {
            let output = || fs::read_to_string(&self.output).expect("its output");
            let left = start.elapsed() < patience::secs(20);
            assert!(left, "{events} were to come: {}", output());
            sleep(Duration::from_millis(10)).await;
        }
        let pid = Pid::from_raw(self.child.id().try_into().expect("a process id"));
        kill(pid, Signal::SIGTERM).expect("to end it");
        self.child.wait().expect("its end");
        let heard = fs::read_to_string(&self.output).expect("its output");
        fs::remove_file(&self.output).expect("to remove a file");
        heard
    }
}

/// The number of netfilter sockets of this namespace that listen to events.
pub(super) fn listeners() -> usize {
    let table = fs::read_to_string("/proc/thread-self/net/netlink").expect("the sockets");
    let columns = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns
        .filter(|columns| columns[1] == "12" && columns[3] != "00000000")
        .count()
}
