//! Options that conntrack(8) does not have.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::events::until;
use crate::run::{Shown, Side, command, fed, run, words};

fn fill() {
    let lines: String = (1..=9)
        .map(|n| {
            format!(
                "-A -t 100 -s 10.0.0.{n} -d 10.1.0.1 -p udp --sport {n} --dport 53 -m {n}\n\
                 -A -t 100 -s fd00::{n} -d fd00:1::1 -p udp --sport {n} --dport 53\n"
            )
        })
        .collect();
    let loaded = fed(Side::Ours, "-R -", &lines);
    assert_eq!((loaded.code, &loaded.stderr[..]), (Some(0), ""));
}

fn conntrack(line: &str) -> Shown {
    run(Side::Ours, "conntrack", line)
}

/// `--where`: ranges, prefixes, alternatives, negation.
pub fn conditions() {
    fill();
    for (condition, count) in [
        ("family=ipv6", 9),
        ("orig_src=10.0.0.0/30", 3),
        ("orig_src=10.0.0.8/31,fd00::1", 3),
        ("protocol=udp orig_src_port=3-5", 6),
        ("mark=1/1", 5),
        ("any_of(mark=1 | mark=2 | orig_src=fd00::7)", 3),
        ("family=ipv4 not(protocol=udp orig_src_port=-4)", 5),
        ("not(family=ipv6) not(mark=9)", 8),
        ("protocol=tcp", 0),
        ("nat=none status='!ASSURED'", 18),
    ] {
        let condition = condition.replace('\'', "");
        let shown = conntrack(&format!("-L --where '{condition}'"));
        assert_eq!(
            shown.stdout.lines().count(),
            count,
            "{condition}: {}",
            shown.stderr
        );
    }
    let updated = conntrack("-U -m 77 --where 'family=ipv6 protocol=udp orig_src_port=7-'");
    assert_eq!(
        updated.stdout.matches(" mark=77 ").count(),
        3,
        "{}",
        updated.stderr
    );
    let deleted = conntrack("-D -p udp --where 'not(mark=77)'");
    assert!(
        deleted
            .stderr
            .ends_with("15 flow entries have been deleted.\n"),
        "{}",
        deleted.stderr
    );
    assert_eq!(conntrack("-C").stdout, "3\n");
}

/// `--doctor` prints what works here and what does not.
pub fn doctor() {
    let shown = conntrack("--doctor");
    assert_eq!(shown.code, Some(0), "{}", shown.stdout);
    assert!(shown.stdout.contains("[ok]"), "{}", shown.stdout);
}

/// A running program with its output in a file. Dropping this ends it.
struct Going {
    child: Child,
    path: PathBuf,
}

impl Going {
    fn start(mut program: Command, name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("cli-{name}-{}", std::process::id()));
        let file = File::create(&path).expect("a file");
        let both = file.try_clone().expect("the same file");
        let child = program.stdin(Stdio::null()).stdout(file).stderr(both);
        let child = child.spawn().expect("to start it");
        Self { child, path }
    }

    fn ours(line: &str, name: &str) -> Self {
        let mut program = command(Side::Ours, "conntrack");
        program.args(words(line));
        Self::start(program, name)
    }

    /// On a new terminal.
    fn on_terminal(line: &str, name: &str) -> Self {
        let program = command(Side::Ours, "conntrack");
        let program = program.get_program().to_str().expect("UTF-8").to_owned();
        let mut script = Command::new("script");
        let line = format!("{program} {line}");
        script.args([
            "--quiet",
            "--return",
            "--flush",
            "--command",
            &line,
            "/dev/null",
        ]);
        Self::start(script, name)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.path).expect("its output")).into_owned()
    }

    fn says(&self, what: &str) {
        until(what, || self.text().contains(what));
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("an id");
        kill(Pid::from_raw(id), signal).expect("to signal it");
    }

    /// Ends it, and returns its output and its exit code.
    fn end(&mut self) -> (String, Option<i32>) {
        self.signal(Signal::SIGINT);
        let status = self.child.wait().expect("its end");
        (self.text(), status.code())
    }
}

impl Drop for Going {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
        _ = std::fs::remove_file(&self.path);
    }
}

/// `--watch` without a terminal: the flows that match, and their changes.
pub fn watch() {
    fill();
    let mut watch = Going::ours("--watch -p udp -s 10.0.0.0/24 -m 7/7", "watch");
    watch.says(": 1 flow entries, in sync.\n");
    for line in [
        "-U -s 10.0.0.3 -m 7",
        "-U -s fd00::3 -m 7",
        "-I -t 100 -s 10.0.0.77 -d 10.1.0.1 -p udp --sport 1 --dport 53 -m 7",
        "-U -s 10.0.0.77 -m 15",
        "-D -s 10.0.0.77",
    ] {
        assert_eq!(conntrack(line).code, Some(0), "{line}");
    }
    watch.says("- udp ");
    let (text, code) = watch.end();
    assert_eq!(code, Some(0), "{text}");
    let flows = text.lines().filter(|line| line.contains("src="));
    let flows = flows.map(|line| {
        let word = |begin: &str| {
            let mut words = line.split(' ').filter(|word| word.starts_with(begin));
            words.next().unwrap_or_default().to_owned()
        };
        (line[..2].to_owned(), word("src="), word("mark="))
    });
    let expected = [
        ("+ ", "src=10.0.0.7", "mark=7"),
        ("+ ", "src=10.0.0.3", "mark=7"),
        ("+ ", "src=10.0.0.77", "mark=7"),
        ("~ ", "src=10.0.0.77", "mark=15"),
        ("- ", "src=10.0.0.77", "mark=15"),
    ];
    let expected = expected.map(|(sign, src, mark)| (sign.into(), src.into(), mark.into()));
    let mut flows: Vec<(String, String, String)> = flows.collect();
    // The mirror looks up what events leave out, so a line can come again with counters.
    flows.dedup_by(|next, before| next.0 == "~ " && (&next.1, &next.2) == (&before.1, &before.2));
    assert_eq!(flows, expected, "{text}");
    let refused = conntrack("--watch -t 5");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
}

/// On a terminal, the table is drawn again and again, and a bulk request prints its progress.
pub fn terminal() {
    if !Path::new("/usr/bin/script").exists() {
        assert!(
            std::env::var_os("CTNETLINK_TEST_STRICT").is_none(),
            "no script(1)"
        );
        return;
    }
    fill();
    let watch = Going::on_terminal("--watch", "terminal");
    watch.says("18 flow entries, udp 18; in sync");
    assert_eq!(conntrack("-D -f ipv6").code, Some(0));
    watch.says("9 flow entries, udp 9; in sync");
    drop(watch);
    let bulk = Going::on_terminal("-D -p udp >/dev/null", "progress");
    bulk.says("9 flow entries have been deleted.");
    assert!(bulk.text().contains(" deleted so far"), "{}", bulk.text());
}

/// `-E` reports lost events, and goes on.
pub fn lost() {
    let mut events = Going::ours("-E -e NEW -b 4096", "lost");
    events.says("NOTICE: Netlink socket buffer size");
    events.signal(Signal::SIGSTOP);
    let lines: String = (1..=5000)
        .map(|n| format!("-I -t 100 -s 10.0.0.1 -d 10.1.0.1 -p udp --sport {n} --dport 53\n"))
        .collect();
    assert_eq!(fed(Side::Ours, "-R -", &lines).code, Some(0));
    events.signal(Signal::SIGCONT);
    events.says(" events were lost here");
    let line = "-I -t 100 -s 10.0.0.2 -d 10.1.0.1 -p udp --sport 1 --dport 53";
    assert_eq!(conntrack(line).code, Some(0));
    events.says("[NEW] udp      17 100 src=10.0.0.2 ");
    let (text, code) = events.end();
    assert_eq!(code, Some(0));
    let number = |end: &str| -> u64 {
        let line = text.lines().filter(|line| line.contains(end));
        let numbers = line.filter_map(|line| {
            let (head, _) = line.split_once(end)?;
            head.split_whitespace().last()?.parse::<u64>().ok()
        });
        numbers.sum()
    };
    let (lost, shown) = (
        number(" events were lost here"),
        number(" flow events have been shown"),
    );
    assert_eq!(lost + shown, 5001, "{lost} lost, {shown} shown");
}

/// The reader of a pipe may close it: no panic, and no message.
pub fn reader_goes() {
    let lines: String = (1..=5000)
        .map(|n| format!("-I -t 100 -s 10.0.0.1 -d 10.1.0.1 -p udp --sport {n} --dport 53\n"))
        .collect();
    assert_eq!(fed(Side::Ours, "-R -", &lines).code, Some(0));
    for line in ["-L", "-L -o xml", "-E -b 4096", "-U -m 7", "-D"] {
        let mut program = command(Side::Ours, "conntrack");
        let program = program.args(words(line)).stdout(Stdio::piped());
        let mut child = program.stderr(Stdio::piped()).spawn().expect("to start it");
        let mut stdout = BufReader::new(child.stdout.take().expect("its output"));
        if line.starts_with("-E") {
            let mut stderr = BufReader::new(child.stderr.take().expect("its stderr"));
            stderr
                .read_line(&mut String::new())
                .expect("that it listens");
            // Events until it ends.
            drop(stdout);
            until(line, || {
                run(
                    Side::Theirs,
                    "conntrack",
                    "-U -m 5 -s 10.0.0.1 -p udp --sport 7",
                );
                run(
                    Side::Theirs,
                    "conntrack",
                    "-U -m 6 -s 10.0.0.1 -p udp --sport 7",
                );
                child.try_wait().expect("its state").is_some()
            });
            let mut rest = String::new();
            std::io::Read::read_to_string(&mut stderr, &mut rest).expect("what it said");
            assert_eq!(rest, "", "{line}");
            continue;
        }
        stdout.read_line(&mut String::new()).expect("a line");
        drop(stdout);
        let output = child.wait_with_output().expect("its end");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), &said[..]), (Some(1), ""), "{line}");
    }
    for line in ["-h", "-V", "-C", "-S"] {
        let shown = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" >/dev/full"])
            .arg(command(Side::Ours, "conntrack").get_program())
            .arg(line)
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&shown.stderr);
        assert_eq!(shown.status.code(), Some(1), "{line}: {said}");
        assert!(said.contains("No space left"), "{line}: {said}");
    }
}

/// `-o json`: one flow per line, which the crate can read.
#[cfg(feature = "serde")]
pub fn json() {
    fill();
    let shown = conntrack("-L -f ipv4 -o json");
    let flows: Vec<ctnetlink::Flow> = shown
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("a flow"))
        .collect();
    assert_eq!(flows.len(), 9);
    let mut marks: Vec<_> = flows.iter().filter_map(|flow| flow.mark).collect();
    marks.sort_unstable();
    assert_eq!(marks, (1..=9).collect::<Vec<_>>());
}
