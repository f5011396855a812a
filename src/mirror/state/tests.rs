//! Tests the state against a model of the kernel. Whatever is lost, late or out of order: a mirror
//! that reports to be in sync is equal to the table, and so is the result of its deltas.

mod learning;
mod model;
mod reading;
mod storing;

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::event::Event;
use crate::flow::{Counters, Labels, TcpState};
use crate::mirror::delta::SyncCause;
use crate::mirror::merge;
use model::{Model, NUMBERS};

type Store = HashMap<Key, Flow>;

#[derive(Debug, Clone)]
enum Op {
    /// A flow begins, if there is none with its number: its number, its mark, and whether it has
    /// the same id as the last one.
    Create(u8, u32, bool),
    Mark(u8, u32),
    Labels(u8, Option<u8>),
    TcpState(u8, u8),
    Destroy(u8),
    /// This many of the waiting events are received.
    Hear(u8),
    HearTwice,
    /// All waiting events are lost, and the loss is reported.
    Overrun,
    /// A list begins, if none is in progress.
    List,
    /// The kernel walks over some flows of the list.
    Walk,
    /// The mirror reads this many of the flows that were walked.
    Read(u8),
    /// A part of the sweep after a list.
    Sweep,
    /// The list fails.
    Break,
    /// Flows are asked for, and the kernel answers.
    Ask,
    /// The answers are read.
    Answers,
    Tick,
}

fn op() -> impl Strategy<Value = Op> {
    let n = || 0..NUMBERS;
    prop_oneof![
        6 => (n(), 0..3u32, any::<bool>()).prop_map(|(n, mark, same)| Op::Create(n, mark, same)),
        3 => (n(), 0..3u32).prop_map(|(n, mark)| Op::Mark(n, mark)),
        2 => (n(), prop::option::of(0..3u8)).prop_map(|(n, label)| Op::Labels(n, label)),
        2 => (n(), 1..9u8).prop_map(|(n, state)| Op::TcpState(n, state)),
        5 => n().prop_map(Op::Destroy),
        6 => (1..6u8).prop_map(Op::Hear),
        1 => Just(Op::HearTwice),
        1 => Just(Op::Overrun),
        2 => Just(Op::List),
        5 => Just(Op::Walk),
        5 => (1..6u8).prop_map(Op::Read),
        5 => Just(Op::Sweep),
        1 => Just(Op::Break),
        2 => Just(Op::Ask),
        2 => Just(Op::Answers),
        1 => Just(Op::Tick),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn in_sync_is_equal(
        ops in prop::collection::vec(op(), 1..120),
        has_timestamps: bool,
        is_old in 0..4,
    ) {
        let mut model = Model::new(Filter::default(), usize::MAX);
        model.has_timestamps = has_timestamps;
        if is_old == 0 {
            // After years of lookups.
            model.state.round = u32::MAX - 1;
        }
        for op in ops {
            model.act(op);
            model.check();
        }
        model.settle();
    }

    #[test]
    fn in_sync_is_equal_with_a_filter(
        ops in prop::collection::vec(op(), 1..120),
        has_timestamps: bool,
        which in 0..5,
    ) {
        let filter = match which {
            0 => Filter::builder().mark(1),
            1 => Filter::builder().has_labels(Labels::bit(1).expect("a label")),
            2 => Filter::builder().tcp_state(TcpState::ESTABLISHED),
            3 => Filter::builder().mark(0),
            _ => Filter::builder().mark(1).protocol(17).orig_src_port(1..4),
        };
        let mut model = Model::new(filter.build().expect("a filter"), usize::MAX);
        model.has_timestamps = has_timestamps;
        for op in ops {
            model.act(op);
            model.check();
        }
        model.settle();
    }

    #[test]
    fn a_limit_is_kept(ops in prop::collection::vec(op(), 1..120), limit in 1..6usize) {
        let mut model = Model::new(Filter::default(), limit);
        for op in ops {
            model.act(op);
            model.check();
            prop_assert!(model.state.index.len() <= limit);
        }
    }
}

/// Losses that are not reported are found by later messages.
#[test]
fn losses_without_a_word() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.act(Op::Create(1, 1, false));
    model.act(Op::Create(2, 1, false));
    model.settle();
    // The end of one flow and the beginning of the next were lost: another id.
    model.act(Op::Destroy(1));
    model.events.clear();
    model.act(Op::Create(1, 2, false));
    model.act(Op::Hear(9));
    assert_eq!(model.state.stats.unreported, 1);
    assert!(model.told.iter().any(|delta| matches!(
        delta,
        Delta::Removed {
            cause: RemovalCause::Replaced,
            ..
        }
    )));
    // A lost beginning.
    model.act(Op::Create(3, 1, false));
    model.events.clear();
    model.act(Op::Mark(3, 2));
    model.act(Op::Hear(9));
    assert_eq!(model.state.stats.unreported, 2);
    // A lost end, found when the flow's timeout has passed.
    model.act(Op::Destroy(2));
    model.events.clear();
    model.now += Duration::from_secs(model::TIMEOUT + 2);
    model.settle();
    assert!(model.told.iter().any(|delta| matches!(
        delta,
        Delta::Removed {
            cause: RemovalCause::Gone,
            ..
        }
    )));
    assert_eq!(model.state.stats.syncs, 1, "no list was needed");
}

/// A flow that ends during a list is not added again by flows that the kernel walked before its
/// end.
#[test]
fn an_end_during_a_list_is_an_end() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.act(Op::Create(1, 1, false));
    model.act(Op::List);
    (0..NUMBERS).for_each(|_| model.act(Op::Walk));
    model.act(Op::Destroy(1));
    model.act(Op::Hear(9));
    (0..NUMBERS).for_each(|_| model.act(Op::Read(1)));
    assert_eq!(model.state.index.len(), 0);
    model.settle();
}

/// A list can be older than the event that leaves the labels out.
#[test]
fn labels_that_are_cleared_during_a_list_are_cleared() {
    for is_known in [true, false] {
        let mut model = Model::new(Filter::default(), usize::MAX);
        model.act(Op::Create(5, 0, false));
        model.act(Op::Labels(5, Some(0)));
        if !is_known {
            model.act(Op::Overrun);
            model.act(Op::Hear(u8::MAX));
        }
        model.act(Op::List);
        (0..NUMBERS).for_each(|_| model.act(Op::Walk));
        model.act(Op::Labels(5, None));
        model.settle();
    }
}

/// The kernel gives a flow the id of an earlier flow with the same key, if it has the same place in
/// memory. A list that contains the earlier one says nothing about the later one.
#[test]
fn a_list_of_an_earlier_flow_with_the_same_id_adds_nothing() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.has_timestamps = true;
    model.act(Op::Create(1, 0, true));
    model.act(Op::Labels(1, Some(0)));
    model.act(Op::List);
    (0..NUMBERS).for_each(|_| model.act(Op::Walk));
    model.act(Op::Destroy(1));
    model.act(Op::Create(1, 0, true));
    model.settle();
}

/// The same, where the end of the earlier flow was lost.
#[test]
fn a_flow_that_begins_again_with_the_same_id_is_looked_up() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.has_timestamps = true;
    model.act(Op::Create(0, 0, true));
    model.act(Op::Labels(0, Some(0)));
    model.settle();
    model.act(Op::Destroy(0));
    model.act(Op::Overrun);
    model.act(Op::List);
    (0..NUMBERS).for_each(|_| model.act(Op::Walk));
    model.act(Op::Create(0, 0, true));
    model.settle();
}

/// The flow that the answer to a lookup contains has ended, and the mirror knew an earlier one.
#[test]
fn an_end_of_another_flow_is_an_end() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.act(Op::Create(1, 0, false));
    model.act(Op::Hear(1));
    model.act(Op::Ask);
    model.act(Op::Tick);
    model.act(Op::Destroy(1));
    model.act(Op::Create(1, 0, false));
    model.act(Op::Overrun);
    model.act(Op::Answers);
    model.act(Op::List);
    model.act(Op::Ask);
    model.act(Op::Destroy(1));
    model.settle();
}

/// A late event of an end, with the id of an earlier flow, says nothing about the known flow.
#[test]
fn a_late_end_of_an_earlier_flow_ends_nothing() {
    for is_read in [false, true] {
        let mut model = Model::new(Filter::default(), usize::MAX);
        model.act(Op::Create(1, 1, false));
        model.settle();
        let mut flow = model::flow(1);
        flow.id = Some(FlowId::from(7));
        model.act(Op::List);
        (0..NUMBERS).for_each(|_| model.act(Op::Walk));
        if is_read {
            model.act(Op::Read(1));
        }
        model.events.push_back(Event::Destroy {
            flow,
            port_id: None,
            nsid: None,
        });
        model.act(Op::Hear(1));
        model.check();
        (0..=NUMBERS).for_each(|_| model.act(Op::Read(1)));
        assert_eq!(model.state.index.len(), 1);
        model.settle();
        let is_removed = |delta: &Delta| matches!(delta, Delta::Removed { .. });
        assert!(!model.told.iter().any(is_removed));
    }
}

/// The end of a flow was lost, and the answer to an older lookup arrives during the list.
#[test]
fn an_answer_older_than_the_list_brings_nothing_back() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.act(Op::Create(2, 0, false));
    model.act(Op::Create(0, 0, false));
    model.act(Op::Hear(1));
    model.act(Op::Ask);
    model.act(Op::Destroy(2));
    model.act(Op::Overrun);
    model.act(Op::Hear(1));
    model.act(Op::List);
    model.settle();
}

/// A list is newer than the counters of the last list, but not than those of a lookup during it.
#[test]
fn counters_of_a_list_only_grow() {
    let with = |packets: Option<u64>| {
        let mut flow = model::flow(1);
        flow.counters_orig = packets.map(|packets| Counters::new(packets, 60 * packets));
        flow
    };
    let merge = |known, listed| {
        let (flow, doubt) = merge::refreshed(&with(known), with(listed));
        (flow.counters_orig.map(|counters| counters.packets), doubt)
    };
    assert_eq!(merge(Some(3), Some(5)), (Some(5), false));
    assert_eq!(merge(Some(7), Some(5)), (Some(7), false));
    assert_eq!(merge(Some(7), None), (Some(7), false));
    assert_eq!(
        merge(None, Some(5)),
        (None, true),
        "of an earlier flow, maybe"
    );
}

/// A removed flow that another one replaced has the time that it had left.
#[test]
fn a_replaced_flow_has_the_time_that_was_left() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.act(Op::Create(1, 1, false));
    model.settle();
    model.act(Op::Destroy(1));
    model.events.clear();
    model.act(Op::Create(1, 1, false));
    model.act(Op::Hear(1));
    let left = model.told.iter().find_map(|delta| match delta {
        Delta::Removed { flow, .. } => flow.timeout,
        _ => None,
    });
    assert!(left.expect("a flow") <= Duration::from_secs(model::TIMEOUT));
}

#[test]
fn a_list_that_was_spoiled_is_made_again() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.act(Op::Create(1, 1, false));
    model.act(Op::List);
    model.act(Op::Create(2, 1, false));
    model.act(Op::Overrun);
    model.settle();
    let causes: Vec<_> = model
        .told
        .iter()
        .filter_map(|delta| match delta {
            Delta::SyncStarted { cause } => Some(*cause),
            _ => None,
        })
        .collect();
    let [SyncCause::Start, SyncCause::Lost { events }] = causes[..] else {
        panic!("{causes:?}");
    };
    assert_eq!(events, 2);
}
