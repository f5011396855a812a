//! Programs that a test starts, and that end with it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use async_nats::jetstream::consumer::pull::OrderedConfig;
use async_nats::jetstream::{ErrorCode, context::GetStreamErrorKind};
use conntrack_exporter::message::Message;
use ctnetlink::ConntrackHandle;
use futures::StreamExt;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::namespace::block_on;

const PATIENCE: Duration = Duration::from_secs(60);

/// A process, in the network namespace of the thread that starts it.
pub struct Process(Child);

impl Process {
    pub fn start(command: &mut Command) -> Self {
        let child = command.stdin(Stdio::null()).spawn();
        Self(child.unwrap_or_else(|error| panic!("{command:?}: {error}")))
    }

    /// A process, and its output.
    pub fn start_read(command: &mut Command) -> (Self, ChildStdout) {
        let mut process = Self::start(command.stdout(Stdio::piped()));
        let output = process.0.stdout.take().expect("a pipe");
        (process, output)
    }

    /// Starts the exporter with `serve`.
    pub fn serve(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conntrack-exporter"));
        Self::start(command.arg("serve").args(arguments))
    }

    /// Stops it, waits for its end, and returns whether it succeeded.
    pub fn stop(mut self) -> bool {
        self.signal(Signal::SIGTERM);
        self.0.wait().expect("its end").success()
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.id().try_into().expect("a pid"));
        kill(pid, signal).expect("to signal it");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The output of `fleet`.
pub fn fleet(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_conntrack-exporter"))
        .arg("fleet")
        .args(arguments)
        .output()
        .expect("the program");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).expect("text")
}

/// Waits for a condition.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(met) = condition() {
            return met;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        sleep(Duration::from_millis(20));
    }
}

/// The status and the body of an HTTP answer; `None` if no server answers.
pub fn get(address: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, body.to_owned()))
}

/// A number on the metrics page, by its name with its labels.
pub fn number(address: &str, name: &str) -> Option<f64> {
    let (_, page) = get(address, "/metrics")?;
    let value = |line: &str| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok();
    page.lines().find_map(value)
}

/// A handle to the table of this thread's namespace.
pub fn connect() -> ConntrackHandle {
    let (connection, handle) = ctnetlink::new_connection().expect("a connection");
    tokio::spawn(connection);
    handle
}

/// Starts a JetStream server for this namespace.
pub fn nats_server(scratch: &Scratch) -> Process {
    let directory = scratch.join("jetstream");
    Process::start(Command::new("nats-server").args(["-a", "0.0.0.0", "-js", "-sd", &directory]))
}

/// All messages of the stream, the oldest first. There are none before an exporter has created it.
pub fn stream(url: &str) -> Vec<Message> {
    block_on(async {
        let client = async_nats::connect(url).await.expect("the server");
        let context = async_nats::jetstream::new(client);
        let stream = match context
            .get_stream("conntrack")
            .await
            .map_err(|it| it.kind())
        {
            Err(GetStreamErrorKind::JetStream(error))
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                return Vec::new();
            }
            stream => stream.expect("the stream"),
        };
        let consumer = stream.create_consumer(OrderedConfig::default()).await;
        let consumer = consumer.expect("a consumer");
        let mut left = consumer.cached_info().num_pending;
        let mut messages = consumer.messages().await.expect("messages");
        let mut all = Vec::new();
        while left > 0 {
            let message = messages
                .next()
                .await
                .expect("a message")
                .expect("a message");
            left = message.info().expect("numbers").pending;
            all.push(serde_json::from_slice(&message.payload).expect("a message of ours"));
        }
        all
    })
}

/// The time up to which everything was reported, as the next run with this spool would read it.
pub fn told_until(scratch: &Scratch, spool: &str) -> Option<u64> {
    let bytes = fs::read(scratch.0.join(spool).join("journal")).ok()?;
    Some(u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?))
}

/// Sets a value below /proc/sys of this thread's namespace.
pub fn set(name: &str, value: &str) {
    fs::write(format!("/proc/sys/{name}"), value).unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// An empty directory for the test, which is removed at its end.
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("exporter-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory");
        Self(path)
    }

    pub fn join(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a plain path").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
