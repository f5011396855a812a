//! `-R`.

use crate::run::{Side, fed, run};
use crate::support::namespace::sysctl;

const LINES: usize = 131_070;

/// As many as tables most often have room for.
pub fn many_lines() {
    // Of the whole machine, and not to be made smaller again: other tests run beside.
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
    // Once more: all are there.
    let loaded = fed(Side::Ours, "-R -", &lines);
    assert_eq!((loaded.code, &loaded.stderr[..]), (Some(0), ""));
    let deleted = run(Side::Ours, "conntrack", "-D -p udp --dport 53 -o id");
    assert_eq!(deleted.stdout.lines().count(), LINES);
    assert!(
        deleted
            .stderr
            .contains(&format!(": {LINES} flow entries have been deleted."))
    );
}
