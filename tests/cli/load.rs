//! `-R`.

use crate::normal::normal;
use crate::population;
use crate::run::{Side, fed, run};
use crate::support::namespace::sysctl;

const LINES: usize = 131_070;

/// As many flows as most tables have room for.
pub fn many_lines() {
    // This setting belongs to the whole machine. It is not reset, because other tests run at the
    // same time.
    if let Err(error) = sysctl("nf_conntrack_max", "1048576") {
        eprintln!("nf_conntrack_max: {error}");
    }
    let lines: String = (0..LINES)
        .map(|n| {
            let (port, host) = (n % 65_535 + 1, n / 65_535);
            format!(
                "-A -t 3000 -u SEEN_REPLY,ASSURED -s 10.0.0.{host} -d 10.1.0.1 -r 10.1.0.1 -q \
                 10.0.0.{host} -p udp --sport {port} --dport 53 --reply-port-src 53 \
                 --reply-port-dst {port}\n"
            )
        })
        .collect();
    let loaded = fed(Side::Ours, "-R -", &lines);
    assert_eq!((loaded.code, &loaded.stderr[..]), (Some(0), ""));
    let counted = run(Side::Theirs, "conntrack", "-C");
    assert_eq!(counted.stdout.trim(), LINES.to_string());
    // Some of the flows again, which exist already.
    let some: String = lines.split_inclusive('\n').step_by(50).collect();
    let loaded = fed(Side::Ours, "-R -", &some);
    assert_eq!((loaded.code, &loaded.stderr[..]), (Some(0), ""));
    let deleted = run(Side::Ours, "conntrack", "-D -p udp --dport 53 -o id");
    assert_eq!(deleted.stdout.lines().count(), LINES);
    assert!(
        deleted
            .stderr
            .contains(&format!(": {LINES} flow entries have been deleted."))
    );
}

/// Both programs load what either has saved.
pub fn saved() {
    population::prepare();
    population::fill();
    let saved = run(Side::Ours, "conntrack", "-L -o save");
    assert_eq!(saved.stdout.lines().count(), population::count());
    let load = |side| {
        run(Side::Theirs, "conntrack", "-F");
        let loaded = fed(side, "-R -", &saved.stdout);
        (
            loaded,
            normal(&run(Side::Theirs, "conntrack", "-L -o labels")),
        )
    };
    let (theirs, ours) = (load(Side::Theirs), load(Side::Ours));
    assert_eq!(theirs, ours);
    for bad in [
        "-L\n",
        "-A -t 100 -s 10.8.0.7\n",
        "-I -t 500 -s 10.9.0.1 -d 10.9.0.2 -p 89\n-Z\n",
        // Abbreviated options, and options with the value in the same word, among plain ones.
        "-A -t500 -ptcp --src=10.9.0.1 --orig-d 10.9.0.2 --sport=7 --dport 8 --sta LISTEN -n -u ASSURED\n",
        "-I -t 500 lost -s 10.9.0.1 -d 10.9.0.2 -p 89 -g 10.9.0.3 -m0x7 -- -Z\n",
        "-It 500 -s 10.9.0.1 -d 10.9.0.2 -p 89\n",
        "-I conntrack -t 500\t-s 10.9.0.1 -d 10.9.0.2 --proto 89 --label-d\n",
        "-A -t 500 -s 10.9.0.1 -p 89 -d\n",
        "-A -t 500 -s10.9.0.1 -p 89 -d\n",
        "-A -t 500 -s 10.9.0.1 -d 10.9.0.2 -p 89 --mask\n",
        "-A -t 500 -s 10.9.0.1 -d 10.9.0.2 -p 89 -zQ\n",
        "-A -t 500 -s 10.9.0.1 -d 10.9.0.2 -p 89 --zero=5\n",
        "-A -t 500 -s \"10.9.0.1\" -d 10.9.0.2 -p 89\n# no flow\n\n  -D -s 10.9.0.1  \n",
    ] {
        let one = |side| {
            run(Side::Theirs, "conntrack", "-F");
            let loaded = normal(&fed(side, "-R -", bad));
            (loaded, normal(&run(Side::Theirs, "conntrack", "-L")))
        };
        assert_eq!(one(Side::Theirs), one(Side::Ours), "{bad}");
    }
}
