//! The same traffic, heard by us and by `conntrack -E`: the same events, in the same order.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::Duration;

use ctnetlink::{Change, Event, EventKinds, EventStream, NewExpectation, NewFlow, Table, Tuple};
use futures::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{sleep, timeout};

use crate::flows::{connect, tcp_between};
use crate::population;
use crate::shown::Shown;
use crate::tool::command;
use crate::xml::Element;

pub async fn lines_equal_the_tools() {
    let tool = Listener::start("-E -o extended,id,timestamp,userspace").await;
    let events = traffic().await;
    let theirs = tool.stop(events.len()).await;
    let theirs: Vec<String> = theirs.lines().map(without_time_and_name).collect();
    let ours: Vec<String> = events
        .iter()
        .map(|event| without_time_and_name(&format!("{event:#}")))
        .collect();
    same(&ours, &theirs);
    for word in [
        "[NEW]",
        "[UPDATE]",
        "[DESTROY]",
        "helper=",
        "mark=42",
        "zone=",
    ] {
        assert!(ours.iter().any(|line| line.contains(word)), "no {word}");
    }
    // Those of a packet come from nobody, those of a request from its program.
    for userspace in [true, false] {
        let mut is = ours.iter().map(|line| line.contains("[USERSPACE] portid="));
        assert!(is.any(|is| is == userspace));
    }
}

pub async fn plain_lines_equal_the_tools() {
    let tool = Listener::start("-E").await;
    let events = traffic().await;
    let theirs = tool.stop(events.len()).await;
    let theirs: Vec<String> = theirs.lines().map(without_time_and_name).collect();
    let ours: Vec<String> = events.iter().map(Event::to_string).collect();
    same(&ours, &theirs);
}

pub async fn nouns_equal_the_xml() {
    let tool = Listener::start("-E -o xml,ktimestamp").await;
    let events = traffic().await;
    let document = Element::read(&tool.stop(events.len()).await);
    let theirs: Vec<(String, Shown)> = document
        .children
        .iter()
        .map(|flow| (flow.attribute("type").to_owned(), Shown::flow(flow)))
        .collect();
    let ours: Vec<(String, Shown)> = events
        .iter()
        .map(|event| {
            let kind = match event {
                Event::New { .. } => "new",
                Event::Update { .. } => "update",
                Event::Destroy { .. } => "destroy",
                other => panic!("{other}"),
            };
            let mut shown = Shown::from(event.flow().expect("a flow"));
            // They go by names that this document was not asked for.
            shown.labels.clear();
            (kind.to_owned(), shown)
        })
        .collect();
    same(&ours, &theirs);
}

pub async fn expectations_equal_the_tools() {
    let tool = Listener::start("-E expect").await;
    let handle = connect();
    let events = handle.events().kinds(EventKinds::EXPECTATIONS).await;
    let mut events = events.expect("a stream");
    assert_eq!(listeners(), 2, "the tool and us");
    let expectations = handle.expectations();
    let mut expected = Vec::new();
    for n in 1..=3 {
        let control = tcp_between(&format!("10.77.0.1:{n}"), "10.77.0.2:21");
        let master = NewFlow::new(control, Duration::from_secs(600)).helper("ftp");
        handle.create(master).await.expect("a master");
        let data = tcp_between("10.77.0.2:0", &format!("10.77.0.1:{}", 1000 + n));
        let new = NewExpectation::new(control, data);
        expectations.create(new).await.expect("an expectation");
        expected.push((control, data));
    }
    // By a request, by its timeout, and with its master.
    expectations.delete(expected[0].1).await.expect("its end");
    let update = expectations.update(expected[1].1, Duration::ZERO);
    update.await.expect("an update");
    handle.delete(expected[2].0).await.expect("a delete");
    let mut ours = Vec::new();
    while ours.len() < 6 {
        ours.push(next(&mut events).await.to_string());
    }
    let theirs = tool.stop(ours.len()).await;
    let theirs: Vec<String> = theirs.lines().map(without_time_and_name).collect();
    assert_eq!(ours, theirs);
}

/// A flow that makes room for another in a full table. The limit is the machine's, and each
/// namespace has as many.
pub async fn an_early_drop_equals_the_tools() {
    let handle = connect();
    let flow = |n: u32| {
        let [_, high, mid, low] = n.to_be_bytes();
        let tuple = Tuple::udp(
            ([10, high, mid, low], 4000).into(),
            ([10, 77, 0, 2], 53).into(),
        );
        NewFlow::new(tuple.expect("one family"), Duration::from_secs(600))
    };
    let max = handle
        .stats()
        .await
        .expect("statistics")
        .max
        .expect("a limit");
    let report = handle
        .bulk((0..max).map(move |n| Change::Create(flow(n))))
        .await;
    assert_eq!(report.expect("a report").applied, u64::from(max));
    let tool = Listener::start("-E").await;
    let mut events = handle.events().await.expect("a stream");
    handle.create(flow(max)).await.expect("room for one more");
    let mut ours = vec![next(&mut events).await];
    while !matches!(ours.last(), Some(Event::New { .. })) {
        ours.push(next(&mut events).await);
    }
    let dropped = |event: &Event| matches!(event, Event::Destroy { .. });
    assert!(
        ours.len() > 1 && ours.iter().rev().skip(1).all(dropped),
        "{ours:?}"
    );
    let theirs = tool.stop(ours.len()).await;
    let theirs = theirs.lines().map(without_time_and_name);
    let theirs: Vec<_> = theirs.map(|line| line.trim().to_owned()).collect();
    let ours: Vec<_> = ours
        .iter()
        .map(|event| event.to_string().trim().to_owned())
        .collect();
    assert_eq!(ours, theirs);
}

#[track_caller]
fn same<T: PartialEq + std::fmt::Debug>(ours: &[T], theirs: &[T]) {
    for (n, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
        assert_eq!(ours, theirs, "event {n}");
    }
    // A last packet of the connections that ended may still make a flow after what we waited for.
    assert!(
        ours.len() <= theirs.len(),
        "{} of them are missing",
        ours.len() - theirs.len()
    );
    assert!(ours.len() > 100, "{}", ours.len());
}

/// Packets of all kinds, our changes, and the end of it all; what we hear of it.
async fn traffic() -> Vec<Event> {
    let handle = connect();
    let mut events = handle.events().await.expect("a stream");
    assert_eq!(listeners(), 2, "the tool and us");
    let population = population::populate(&handle).await;
    let tuple = tcp_between("10.77.0.1:1", "10.77.0.2:2");
    let flow = NewFlow::new(tuple, Duration::from_secs(600));
    handle.create(flow.clone()).await.expect("a flow");
    handle.set_mark(tuple, 9).await.expect("a mark");
    handle.set_mark(tuple, 0).await.expect("a mark");
    let update = handle.update(tuple).timeout(Duration::from_secs(99));
    update.await.expect("a timeout");
    handle.delete(tuple).await.expect("the end");
    let soon = NewFlow::new(tuple, Duration::from_secs(1));
    handle.create(soon).await.expect("a flow");
    // The kernel collects a flow whose time is over when it comes across it.
    while handle.get(tuple).await.expect("an answer").is_some() {
        sleep(Duration::from_millis(50)).await;
    }
    drop(population);
    handle.flush(Table::Conntrack).await.expect("a flush");
    handle.create(flow).await.expect("the last flow");
    handle.delete(tuple).await.expect("its end");
    let mut heard = Vec::new();
    let mut ends = 0;
    while ends < 3 {
        let event = next(&mut events).await;
        let is_end = matches!(&event, Event::Destroy { flow, .. } if flow.orig == tuple);
        ends += usize::from(is_end);
        heard.push(event);
    }
    heard
}

async fn next(events: &mut EventStream) -> Event {
    let next = timeout(Duration::from_secs(20), events.next()).await;
    let next = next.expect("an event in time");
    next.expect("the stream goes on").expect("an event")
}

/// Their time is that of hearing, ours that of the event; and we know no program's name.
fn without_time_and_name(line: &str) -> String {
    let line = line.split_once('\t').map_or(line, |(_, line)| line);
    let line = line.split_once(" progname=").map_or(line, |(line, _)| line);
    line.to_owned()
}

/// The tool at work.
struct Listener {
    child: Child,
    output: PathBuf,
}

impl Listener {
    /// Starts it, and waits until it listens.
    async fn start(arguments: &str) -> Self {
        let name = format!(
            "ctnetlink-{:?}-{}",
            std::thread::current().id(),
            std::process::id()
        );
        let output = std::env::temp_dir().join(name.replace(['(', ')'], ""));
        let file = File::create(&output).expect("a file");
        let child = command("conntrack", arguments)
            .stdout(file)
            .stderr(Stdio::null())
            .spawn()
            .expect("to start conntrack(8)");
        while listeners() == 0 {
            sleep(Duration::from_millis(5)).await;
        }
        Self { child, output }
    }

    /// Waits until it has written as many lines as we heard events; ends it in good order, and gives
    /// what it wrote.
    async fn stop(mut self, lines: usize) -> String {
        let written = || {
            let output = fs::read_to_string(&self.output).expect("its output");
            let shown = output.lines().filter(|line| line.contains("src"));
            output.ends_with('\n') && shown.count() >= lines
        };
        for _ in 0..2000 {
            if written() {
                break;
            }
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
fn listeners() -> usize {
    let table = fs::read_to_string("/proc/thread-self/net/netlink").expect("the sockets");
    let columns = table
        .lines()
        .skip(1)
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    columns
        .filter(|columns| columns[1] == "12" && columns[3] != "00000000")
        .count()
}
