//! What the kernel reports is learnt from some flows, and then expected of all.

use std::time::UNIX_EPOCH;

use super::super::*;
use super::Op;
use super::model::{self, Model, NUMBERS};
use crate::flow::{SynProxy, Timestamp, Tuple};
use crate::mirror::delta::SyncCause;

/// A list contains more flows than are looked up at once.
fn list_many(model: &mut Model) {
    for port in 0..=asks::AT_ONCE as u16 {
        let end = |port| ([10, 0, 0, 1], port).into();
        let orig = Tuple::tcp(end(port), end(53)).expect("a tuple");
        let flow = Flow::new(orig, orig.inverse());
        model.state.listed(&mut vec![flow], model.now);
    }
}

/// On an empty table, the mirror learns that the kernel has timestamps when it looks up the first
/// flow.
#[test]
fn what_the_first_lookup_tells_is_asked_of_the_others() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.has_timestamps = true;
    model.settle();
    (0..NUMBERS).for_each(|n| model.act(Op::Create(n, 1, false)));
    model.act(Op::Hear(u8::MAX));
    model.act(Op::Ask);
    assert_eq!(model.state.stats.asked, 1);
    // None of the flows has a time yet, whether it is changed meanwhile or not.
    model.act(Op::Mark(3, 2));
    model.act(Op::Answers);
    assert!(model.state.has_questions());
    model.act(Op::Ask);
    model.act(Op::Mark(4, 2));
    model.act(Op::Answers);
    model.settle();
    assert_eq!(model.state.stats.syncs, 1, "a list is not needed");
}

/// The flow that was looked up to learn what the kernel reports has ended before the answer.
#[test]
fn another_flow_is_looked_up_in_place_of_one_that_ended() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.has_timestamps = true;
    model.settle();
    model.act(Op::Create(0, 1, false));
    model.act(Op::Create(2, 1, false));
    model.act(Op::Hear(u8::MAX));
    model.act(Op::Destroy(0));
    model.act(Op::Hear(u8::MAX));
    model.act(Op::Ask);
    model.act(Op::Answers);
    model.check();
    model.settle();
}

/// All flows of the first list are older than the setting.
#[test]
fn timestamps_that_were_switched_on_are_noticed() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.act(Op::Create(1, 1, false));
    model.events.clear();
    model.settle();
    model.has_timestamps = true;
    model.act(Op::Create(2, 1, false));
    model.act(Op::Create(3, 1, false));
    model.settle();
    assert_eq!(model.state.stats.syncs, 1);
}

/// The lookup of a flow that is older than the setting says nothing about later flows, whether the
/// flow is changed meanwhile or not.
#[test]
fn lookups_of_older_flows_do_not_hide_a_setting() {
    for is_changed in [true, false] {
        let mut model = Model::new(Filter::default(), usize::MAX);
        model.act(Op::Create(1, 1, false));
        model.events.clear();
        model.settle();
        model.has_timestamps = true;
        model.now += Duration::from_secs(model::TIMEOUT + 2);
        model.act(Op::Tick);
        model.act(Op::Ask);
        assert_eq!(model.state.stats.asked, 1);
        if is_changed {
            model.act(Op::Mark(1, 2));
        }
        model.act(Op::Answers);
        model.act(Op::Create(3, 1, false));
        model.settle();
    }
}

#[test]
fn what_is_new_of_many_flows_is_listed() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.settle();
    list_many(&mut model);
    assert!(model.state.status().is_synced());
    let mut flow = model::flow(1);
    let start = UNIX_EPOCH;
    flow.set_timestamp(Timestamp { start, stop: None });
    model.state.learn(&flow, model.now);
    assert!(!model.state.status().is_synced());
    assert!(model.state.schedule.due().is_some());
    while model.state.next_delta().is_some() {}
    model.state.list_began(model.now);
    let cause = SyncCause::More;
    assert_eq!(model.state.next_delta(), Some(Delta::SyncStarted { cause }));
}

/// The events of a connection through SYNPROXY contain its data only some time after it began. The
/// table has the data from the start.
#[test]
fn where_some_go_through_a_proxy_the_others_are_asked_for() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.act(Op::Create(2, 1, false));
    model.settle();
    let asked = model.state.stats.asked;
    let mut flow = model::flow(4);
    flow.synproxy = Some(SynProxy::default());
    model.state.learnt.learn(&flow);
    assert!(
        !model.state.learnt.lacks(&model::flow(4)),
        "one that a program made"
    );
    flow.synproxy = Some(SynProxy::new(1, 2, 3));
    model.state.learnt.learn(&flow);
    model.act(Op::Create(0, 1, false));
    model.act(Op::Create(1, 1, false));
    model.settle();
    assert_eq!(model.state.stats.asked, asked + 1, "TCP alone");
}

/// What the list itself shows needs no second list, wherever in the list it is.
#[test]
fn what_the_first_list_tells_makes_no_second_one() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.state.list_began(model.now);
    list_many(&mut model);
    let mut flow = model::flow(2);
    flow.synproxy = Some(SynProxy::new(1, 2, 3));
    model.state.listed(&mut vec![flow], model.now);
    model.state.list_ended();
    while model.state.sweep(model.now) {}
    assert!(model.state.status().is_synced());
    assert!(model.state.schedule.due().is_none());
    assert!(!model.state.has_questions(), "all were listed");
}
