//! How flows are stored, and shown.

use super::super::*;
use super::Op;
use super::model::{self, Model};
use crate::event::Event;
use crate::flow::{Flow, FlowKey, Tuple};
use crate::mirror::entry::Entry;

/// A reader takes the time of the mirror's last work, which may be older than the flow.
#[test]
fn a_flow_never_has_more_time_left_than_it_was_listed_with() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    model.act(Op::Create(1, 1, false));
    model.settle();
    let flow = model::flow(1);
    let key = FlowKey::orig(flow.orig).zone(flow.zone);
    let found = model.state.index.get(&key, 0).expect("the flow");
    assert_eq!(found.timeout, Some(Duration::from_secs(model::TIMEOUT)));
}

#[test]
fn a_key_with_another_id_names_another_flow() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    // One with NAT and one without.
    model.act(Op::Create(1, 1, true));
    model.act(Op::Create(3, 1, true));
    model.settle();
    for n in [1, 3] {
        let flow = model::flow(n);
        for key in [FlowKey::orig(flow.orig), FlowKey::reply(flow.reply)] {
            let key = key.zone(flow.zone);
            let found = |id: u32| model.state.index.get(&key.id(id.into()), 0).is_some();
            assert!(found(n.into()), "{key:?}");
            assert!(!found(99), "{key:?}");
        }
    }
}

/// The names of helpers are stored once.
#[test]
fn words_are_interned() {
    let mut names = Interner::default();
    let mut flow = model::flow(1);
    flow.set_helper(crate::flow::Helper::new("ftp"));
    let entry = |flow: &Flow, names: &mut Interner| {
        let mut flow = flow.clone();
        let notes = Notes::of(&mut flow, names, 0);
        Entry::of(&mut flow, notes)
    };
    let entries: Vec<_> = (0..3).map(|_| entry(&flow, &mut names)).collect();
    assert_eq!(names.len(), 1);
    for entry in &entries {
        assert!(entry.bare().rare.is_none(), "no box of its own");
        assert_eq!(entry.show(0).helper(), flow.helper());
    }
    // Unused names are removed.
    drop(entries);
    for n in 0..1000 {
        flow.set_helper(crate::flow::Helper::new(format!("h{n}")));
        entry(&flow, &mut names);
    }
    assert!(names.len() <= 64, "{}", names.len());
}

/// An update leaves out what cannot change: the time of the start and the security context.
#[test]
fn what_an_update_leaves_out_stays() {
    for has_secctx in [false, true] {
        let mut model = Model::new(Filter::default(), usize::MAX);
        let start = std::time::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_000_000_001);
        let mut flow = model::flow(1);
        flow.set_timestamp(crate::flow::Timestamp { start, stop: None });
        if has_secctx {
            flow.set_secctx(crate::flow::SecCtx::new("system_u"));
        }
        model.state.listed(&mut vec![flow.clone()], Duration::ZERO);
        let mut said = model::flow(1);
        said.mark = Some(77);
        let said = Event::Update {
            flow: said,
            port_id: None,
            nsid: None,
        };
        model.state.events(&mut vec![said], Duration::ZERO);
        let kept = model.state.index.by_orig(Key::orig(&flow));
        let kept = kept.expect("the flow").entry().map(|entry| entry.show(0));
        let kept = kept.expect("the flow");
        assert_eq!(kept.mark, Some(77));
        assert_eq!(kept.timestamp(), flow.timestamp());
        assert_eq!(kept.secctx(), flow.secctx());
    }
}

#[test]
fn a_flow_takes_little() {
    // The goal is 320 bytes in total, of which the index takes about 30.
    assert!(size_of::<Option<Entry>>() <= 256, "{}", size_of::<Entry>());
}

/// Few flows are left in many chunks. All of them are checked within 16 ticks.
#[test]
fn the_last_of_many_flows_are_checked_in_time() {
    const ALL: u32 = 300_000;
    let mut model = Model::new(Filter::default(), usize::MAX);
    let flow = |n: u32| {
        let client = (std::net::Ipv4Addr::from(0x0a00_0000 + n), 1).into();
        let tuple = Tuple::udp(client, ([192, 0, 2, 1], 2).into()).expect("one family");
        let mut flow = Flow::new(tuple, tuple.inverse());
        (flow.id, flow.timeout) = (Some(n.into()), Some(Duration::from_secs(60)));
        flow
    };
    for n in 0..ALL {
        model.state.listed(&mut vec![flow(n)], Duration::ZERO);
    }
    let is_last = |n: &u32| n % 400 == 0;
    let ends = (0..ALL).filter(|n| !is_last(n)).map(|n| Event::Destroy {
        flow: flow(n),
        port_id: None,
        nsid: None,
    });
    model.state.events(&mut ends.collect(), Duration::ZERO);
    for _ in 0..16 {
        model.state.tick(Duration::from_secs(100));
    }
    let (_, keys) = model.state.questions().expect("a round");
    assert_eq!(keys.len(), (0..ALL).filter(is_last).count());
}

/// After years of lookups, a round begins while flows are swept that the list did not contain.
#[test]
fn rounds_are_not_counted_anew_during_a_sweep() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    let state = &mut model.state;
    state.round = u32::MAX / 2;
    for listed in [&[1, 2][..], &[1]] {
        state.list_began(Duration::ZERO);
        for n in listed {
            state.listed(&mut vec![model::flow(*n)], Duration::ZERO);
        }
        state.list_ended();
        // Years pass.
        state.round += u32::MAX / 2;
        state.asks.push(&model::flow(1));
        assert!(state.questions().is_some());
        while state.sweep(Duration::ZERO) {}
        state.answers_ended(Duration::ZERO);
    }
    assert_eq!(state.index.len(), 1);
}

/// The sweep stops as soon as nothing is left for it.
#[test]
fn a_list_that_contained_all_needs_no_sweep() {
    let mut model = Model::new(Filter::default(), usize::MAX);
    let state = &mut model.state;
    let now = Duration::ZERO;
    for numbers in [[1, 2], [2, 3]] {
        state.list_began(now);
        let mut flows = numbers.map(model::flow).to_vec();
        state.listed(&mut flows, now);
        state.list_ended();
        let has_old = numbers == [2, 3];
        assert_eq!(state.sweep(now), has_old, "flow 1 is not in this list");
        while state.sweep(now) {}
        assert!(state.status().is_synced());
        assert_eq!(state.index.len(), 2);
    }
}
