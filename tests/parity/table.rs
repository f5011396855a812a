//! One table, as we show it and as conntrack(8) does.

use std::collections::HashMap;
use std::time::Instant;

use ctnetlink::{ConntrackHandle, Flow, LabelMap, Table};
use futures::TryStreamExt;

use crate::names::name_all_labels;
use crate::population::populate;
use crate::shown::Shown;
use crate::tool::{conntrack, shown};
use crate::wait::until_equal;

/// With fewer, the population has lost its variety.
const FLOWS: usize = 60;

/// Every field of the XML, of every flow, both ways.
pub async fn nouns_equal_the_xml() {
    name_all_labels();
    let handle = ctnetlink::connect().expect("a connection");
    let population = populate(&handle).await;

    let before = Instant::now();
    let ours = list(&handle).await;
    let ours: Vec<_> = ours.iter().map(Shown::from).collect();
    let theirs = shown("-L");
    let passed = before.elapsed().as_secs() + 1;

    assert!(ours.len() >= FLOWS.max(population.made), "{} flows", ours.len());
    assert_eq!(ours.len(), theirs.len());
    let mut theirs: HashMap<_, _> = theirs.into_iter().map(|flow| (flow.id, flow)).collect();
    for our in ours {
        let mut their = theirs.remove(&our.id).unwrap_or_else(|| panic!("ours alone: {our:#?}"));
        // Time may pass, and no more than did.
        sooner(&mut their.timeout, our.timeout, passed);
        sooner(&mut their.age, our.age, passed);
        assert_eq!(our, their, "ours, then theirs");
    }
}

/// Every line of `-L` and of `-L -o extended,id`, byte for byte.
pub async fn text_equals_the_listing() {
    name_all_labels();
    let handle = ctnetlink::connect().expect("a connection");
    let population = populate(&handle).await;
    let mut plain = Lines::default();
    let mut extended = Lines::default();
    until_equal(async || {
        let short = conntrack("-L");
        let flows = list(&handle).await;
        plain.compare(&flows, |flow| flow.to_string(), &short);
        extended.compare(&flows, |flow| format!("{flow:#}"), &conntrack("-L -o extended,id"));
        plain.done().and_then(|()| extended.done())
    })
    .await;
    assert!(plain.same.len() >= FLOWS.max(population.made));
}

/// Our names of labels are those that conntrack(8) goes by.
pub async fn labels_go_by_the_same_names() {
    name_all_labels();
    let handle = ctnetlink::connect().expect("a connection");
    let _population = populate(&handle).await;
    let names = LabelMap::load().expect("the names");
    let lines = conntrack("-L -o extended,id,labels");
    let theirs: HashMap<_, _> = lines.lines().filter_map(id_and_labels).collect();
    let mut labelled = 0;
    for flow in list(&handle).await {
        let Some(labels) = flow.labels else { continue };
        labelled += 1;
        let ours: Vec<_> = names.names(labels).collect();
        assert_eq!(names.labels(ours.iter().copied()).expect("their bits"), labels);
        let id = flow.id.expect("an id").to_string();
        assert_eq!(Some(&ours.join(",").as_str()), theirs.get(id.as_str()), "{flow}");
    }
    assert!(labelled >= 5, "{labelled} flows with labels");
    assert_eq!(theirs.len(), labelled);
}

async fn list(handle: &ConntrackHandle) -> Vec<Flow> {
    let flows = handle.list(Table::Conntrack).await.expect("a list");
    flows.try_collect().await.expect("all flows")
}

/// Sets `then` to `now` where it lies at most `passed` seconds apart, on either side: the tool
/// looks later, and counts whole seconds.
fn sooner(then: &mut Option<u64>, now: Option<u64>, passed: u64) {
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

/// The flows whose lines were equal in some look: each ticks at moments of its own, so there may
/// be no look in which all are.
#[derive(Default)]
struct Lines {
    same: HashMap<u32, String>,
    differ: Option<String>,
}

impl Lines {
    fn compare(&mut self, flows: &[Flow], line: impl Fn(&Flow) -> String, listing: &str) {
        let theirs: Vec<_> = listing.lines().collect();
        assert_eq!(flows.len(), theirs.len(), "flows, and lines of {listing}");
        self.differ = None;
        for flow in flows {
            let id = u32::from(flow.id.expect("an id"));
            let ours = line(flow);
            if theirs.contains(&ours.as_str()) {
                self.same.insert(id, ours);
            } else if !self.same.contains_key(&id) {
                let tuple = flow.orig.to_string();
                let near: Vec<_> = theirs.iter().filter(|their| their.contains(&tuple)).collect();
                self.differ = Some(format!("\n  ours:   {ours}\n  theirs: {near:#?}"));
            }
        }
    }

    fn done(&self) -> Result<(), String> {
        self.differ.clone().map_or(Ok(()), Err)
    }
}
