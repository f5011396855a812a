//! Deletes by a filter: single conditions, and combinations.

use ctnetlink::Filter;
use libtest_mimic::Trial;

use super::{Stock, all_applied, build, named};
use crate::filter::conditions::{self, Condition};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["matching::delete":
        by_each_condition_on_a_tuple,
        by_each_condition_on_the_rest,
        by_conditions_in_pairs,
        by_alternatives_and_exceptions,
        of_none_that_matches,
    ]
}

/// One of this many pairs is tested, because each test walks the table twice.
const SAMPLE: usize = 31;

async fn by_each_condition_on_a_tuple() {
    let (of_tuples, _) = halves();
    by_each(of_tuples).await;
}

async fn by_each_condition_on_the_rest() {
    let (_, rest) = halves();
    by_each(rest).await;
}

/// All conditions: those on families, addresses and protocols, and the others.
fn halves() -> (Vec<Condition>, Vec<Condition>) {
    let mut all = conditions::all();
    let first = all.iter().position(|it| it.name == "zone");
    let rest = all.split_off(first.expect("a condition on the zone"));
    (all, rest)
}

async fn by_each(conditions: Vec<Condition>) {
    let mut stock = Stock::new().await;
    for condition in conditions {
        let Condition { name, holds, .. } = condition;
        let (gone, rest) = stock.split(holds);
        assert!(!gone.is_empty() && !rest.is_empty(), "{name}");
        let filter = build(&[&condition]).expect(name);
        let report = stock.handle.delete_matching(filter).await.expect(name);
        all_applied(&report, gone.len(), name);
        stock.lost(&gone, rest, name).await;
    }
}

async fn by_conditions_in_pairs() {
    let mut stock = Stock::new().await;
    let conditions = conditions::all();
    let pairs = conditions
        .iter()
        .enumerate()
        .flat_map(|(n, first)| conditions[..n].iter().map(move |second| (first, second)));
    let mut met = 0;
    for (first, second) in pairs.step_by(SAMPLE) {
        let Ok(filter) = build(&[first, second]) else {
            continue;
        };
        let name = format!("{}, {}", first.name, second.name);
        let (gone, rest) = stock.split(|flow| (first.holds)(flow) && (second.holds)(flow));
        let report = stock.handle.delete_matching(filter).await.expect(&name);
        all_applied(&report, gone.len(), &name);
        met += usize::from(!gone.is_empty());
        stock.lost(&gone, rest, &name).await;
    }
    assert!(met > 10, "{met} pairs with flows");
}

async fn by_alternatives_and_exceptions() {
    let mut stock = Stock::new().await;
    let [within, one, other, except] = named(["unanswered", "ICMP id", "GRE key", "no NAT"]);
    let either = [&one, &other].map(|it| build(&[it]).expect("a filter"));
    let filter = (within.add)(Filter::builder())
        .any_of(either)
        .not(build(&[&except]).expect("a filter"));
    let filter = filter.build().expect("a filter");
    let (gone, rest) = stock.split(|flow| {
        let either = (one.holds)(flow) || (other.holds)(flow);
        (within.holds)(flow) && either && !(except.holds)(flow)
    });
    assert!(!gone.is_empty());
    let report = stock.handle.delete_matching(filter).await;
    all_applied(
        &report.expect("a report"),
        gone.len(),
        "a filter of filters",
    );
    stock.lost(&gone, rest, "a filter of filters").await;
}

async fn of_none_that_matches() {
    let mut stock = Stock::new().await;
    let filter = Filter::builder().mark(0x7777).build().expect("a filter");
    let report = stock.handle.delete_matching(filter).await;
    all_applied(&report.expect("a report"), 0, "no flow");
    let all = stock.flows.clone();
    stock.lost(&[], all, "no flow").await;
}
