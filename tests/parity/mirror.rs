//! A mirror after all kinds of traffic, compared with `conntrack -L`.

use std::time::Duration;

use tokio::time::sleep;

use crate::flows::connect;
use crate::population;
use crate::support::namespace::sysctl;
use crate::tool::conntrack;
use crate::wait::until_equal;

pub async fn lines_equal_the_listing() {
    sysctl("nf_conntrack_events", "1").expect("a setting");
    let handle = connect();
    let mirror = handle.mirror().await.expect("a mirror");
    let reader = mirror.reader();
    tokio::spawn(mirror.run());
    let population = population::populate(&handle).await;
    until_equal(async || {
        // The mirror's turn.
        sleep(Duration::from_millis(20)).await;
        let listed = sorted(conntrack("-L").lines().map(lasting));
        let held = reader.snapshot();
        let held = sorted(held.iter().map(|flow| lasting(&flow.to_string())));
        if !reader.is_synced() || held != listed {
            let not_in = |lines: &[String], of: &[String]| -> Vec<String> {
                lines
                    .iter()
                    .filter(|line| !of.contains(line))
                    .cloned()
                    .collect()
            };
            let (ours, theirs) = (not_in(&held, &listed), not_in(&listed, &held));
            let is_synced = reader.is_synced();
            return Err(format!(
                "in sync: {is_synced}, ours: {ours:#?}, theirs: {theirs:#?}"
            ));
        }
        assert!(held.len() >= population.made);
        for word in ["ESTABLISHED", "[ASSURED]", "helper=", "zone=", "icmp"] {
            assert!(held.iter().any(|line| line.contains(word)), "no {word}");
        }
        Ok(())
    })
    .await;
}

/// Without what changes without an event: the time that is left, and what is counted.
fn lasting(line: &str) -> String {
    const COUNTED: [&str; 4] = ["packets=", "bytes=", "delta-time=", "use="];
    let is_counted = |word: &str| COUNTED.iter().any(|of| word.starts_with(of));
    let words = line.split_whitespace().enumerate();
    let words = words.filter(|(at, word)| *at != 2 && !is_counted(word));
    words.map(|(_, word)| word).collect::<Vec<_>>().join(" ")
}

fn sorted(lines: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<_> = lines.collect();
    lines.sort();
    lines
}
