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

/// A form of its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    /// With all that is not in the plain line.
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

    /// What we have for an event: text to be compared with [`theirs`](Self::theirs).
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
                // They go by names that this document was not asked for.
                shown.labels.clear();
                format!("{kind} {shown:?}")
            }
        }
    }

    /// What the tool has written, event by event.
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

/// Their time is that of hearing, ours that of the event; and we know no program's name.
fn without_time_and_name(line: &str) -> String {
    let line = line.split_once('\t').map_or(line, |(_, line)| line);
    let line = line.split_once(" progname=").map_or(line, |(line, _)| line);
    line.to_owned()
}

/// The tool at work, once for each form.
pub(super) struct Listeners(Vec<(Form, Listener)>);

struct Listener {
    child: Child,
    output: PathBuf,
}

impl Listeners {
    /// Starts it in these forms, and waits until all listen; `table` is "" or "expect".
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

    /// Waits until each has written of as many events as we heard; ends them in good order, and
    /// holds what they wrote against what we heard.
    pub(super) async fn heard_the_same(self, ours: &[Event]) {
        for (form, listener) in self.0 {
            let theirs = form.theirs(&listener.stop(ours.len()).await);
            // A last packet of what ended may still make a flow after what we waited for.
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

    /// What it wrote, of so many events at least.
    async fn stop(mut self, events: usize) -> String {
        let written = || {
            let output = fs::read_to_string(&self.output).expect("its output");
            // Each event is a line, and the document's head has none of them.
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

/// How many netfilter sockets of this namespace listen to events.
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
