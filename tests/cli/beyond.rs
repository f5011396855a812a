//! What conntrack(8) cannot do.

use crate::run::{Shown, Side, fed, run};

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

/// `--where`: ranges, prefixes, one of several, not.
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

/// `--doctor` says what is right here and what is not.
pub fn doctor() {
    let shown = conntrack("--doctor");
    assert_eq!(shown.code, Some(0), "{}", shown.stdout);
    assert!(shown.stdout.contains("[ok]"), "{}", shown.stdout);
}

/// `-o json`: a flow a line, as the crate reads it.
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
