//! One table, as the crate and conntrack(8) show it.

use std::collections::HashMap;
use std::time::Instant;

use ctnetlink::{ConntrackHandle, Flow, LabelMap, Table};
use futures::TryStreamExt;

use crate::names::name_all_labels;
use crate::population::populate;
use crate::shown::Shown;
use crate::tool::{conntrack, shown};
use crate::wait::until_equal;

/// With fewer flows, the population would lack variety.
const FLOWS: usize = 60;

/// Every field of every flow in the XML, in both directions.
pub async fn nouns_equal_the_xml() {
    name_all_labels();
    let handle = ctnetlink::connect().await.expect("a connection");
    let population = populate(&handle).await;

    // A late TCP ACK may arrive between the two lists.
    until_equal(async || {
        let before = Instant::now();
        let ours = list(&handle).await;
        let ours: Vec<_> = ours.iter().map(Shown::from).collect();
        let theirs = shown("-L");
        let passed = before.elapsed().as_secs() + 1;

        assert!(
            ours.len() >= FLOWS.max(population.made),
            "{} flows",
            ours.len()
        );
        assert_eq!(ours.len(), theirs.len());
        let mut theirs: HashMap<_, _> = theirs.into_iter().map(|flow| (flow.id, flow)).collect();
        for our in ours {
            let their = theirs.remove(&our.id);
            let mut their = their.ok_or_else(|| format!("ours alone: {our:#?}"))?;
            // Times may differ, but not by more than the time that has passed.
            forgive(&mut their.timeout, our.timeout, passed);
            forgive(&mut their.age, our.age, passed);
            if our != their {
                return Err(format!("\n  ours:   {our:?}\n  theirs: {their:?}"));
            }
        }
        Ok(())
    })
    .await;
}

/// Every line of `-L` and of `-L -o extended,id`, byte for byte, except for the time that passes
/// between the two lists.
pub async fn text_equals_the_listing() {
    name_all_labels();
    let handle = ctnetlink::connect().await.expect("a connection");
    let population = populate(&handle).await;
    until_equal(async || {
        let start = Instant::now();
        let plain = conntrack("-L");
        let flows = list(&handle).await;
        let lines: Vec<_> = flows.iter().map(|flow| format!("{flow}")).collect();
        let extended: Vec<_> = flows.iter().map(|flow| format!("{flow:#}")).collect();
        let theirs = conntrack("-L -o extended,id");
        let passed = start.elapsed().as_secs() + 1;

        assert!(flows.len() >= FLOWS.max(population.made));
        same_lines(&lines, &plain, passed)?;
        same_lines(&extended, &theirs, passed)
    })
    .await;
}

/// conntrack(8) uses the same label names as we do.
pub async fn labels_go_by_the_same_names() {
    name_all_labels();
    let handle = ctnetlink::connect().await.expect("a connection");
    let _population = populate(&handle).await;
    let names = LabelMap::load().expect("the names");
    let lines = conntrack("-L -o extended,id,labels");
    let theirs: HashMap<_, _> = lines.lines().filter_map(id_and_labels).collect();
    let mut labelled = 0;
    for flow in list(&handle).await {
        let Some(labels) = flow.labels else { continue };
        labelled += 1;
        let ours: Vec<_> = names.names(labels).collect();
        assert_eq!(
            names.labels(ours.iter().copied()).expect("their bits"),
            labels
        );
        let id = flow.id.expect("an id").to_string();
        assert_eq!(
            Some(&ours.join(",").as_str()),
            theirs.get(id.as_str()),
            "{flow}"
        );
    }
    assert!(labelled >= 5, "{labelled} flows with labels");
    assert_eq!(theirs.len(), labelled);
}

async fn list(handle: &ConntrackHandle) -> Vec<Flow> {
    let flows = handle.list(Table::Conntrack).await.expect("a list");
    flows.try_collect().await.expect("all flows")
}

/// Sets `then` to `now` if they differ by at most `passed` seconds.
fn forgive(then: &mut Option<u64>, now: Option<u64>, passed: u64) {
    if let (Some(one), Some(other)) = (*then, now) {
        if one.abs_diff(other) <= passed {
            *then = now;
        }
    }
}

fn id_and_labels(line: &str) -> Option<(&str, &str)> {
    let (_, rest) = line.split_once(" id=")?;
    rest.split_once(" labels=")
}

/// Has the tool printed exactly these lines?
fn same_lines(ours: &[String], listing: &str, passed: u64) -> Result<(), String> {
    let theirs: Vec<_> = listing.lines().map(Line::new).collect();
    assert_eq!(
        ours.len(),
        theirs.len(),
        "our lines, and those of {listing}"
    );
    // A line contains the tuples of its flow, so no two lines are the same.
    let theirs: HashMap<_, _> = theirs
        .iter()
        .map(|line| (&line.words, &line.times))
        .collect();
    for line in ours {
        let ours = Line::new(line);
        let close = |(one, other): (&u64, &u64)| one.abs_diff(*other) <= passed;
        let same = theirs.get(&ours.words).is_some_and(|theirs| {
            theirs.len() == ours.times.len() && theirs.iter().zip(&ours.times).all(close)
        });
        if !same {
            return Err(format!("ours alone: {line}\n{listing}"));
        }
    }
    Ok(())
}

/// A line and its times: the timeout, which is the last number before the addresses, and the age.
struct Line {
    words: String,
    times: Vec<u64>,
}

impl Line {
    fn new(line: &str) -> Self {
        let mut words: Vec<_> = line.split(' ').collect();
        let mut times = Vec::new();
        let addresses = words.iter().position(|word| word.starts_with("src="));
        let head = &mut words[..addresses.expect("addresses")];
        let timeout = head
            .iter_mut()
            .rev()
            .find_map(|word| Some((word.parse().ok()?, word)));
        if let Some((seconds, word)) = timeout {
            times.push(seconds);
            *word = "TIMEOUT";
        }
        for word in &mut words {
            if let Some(age) = word.strip_prefix("delta-time=") {
                times.push(age.parse().expect("seconds"));
                *word = "delta-time=AGE";
            }
        }
        Self {
            words: words.join(" "),
            times,
        }
    }
}
