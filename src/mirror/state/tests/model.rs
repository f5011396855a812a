//! A model of the kernel with a few flows: its table, its queued events, its walks and its answers.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use super::super::*;
use super::{Op, Store};
use crate::event::Event;
use crate::flow::{FlowKey, Labels, ProtoInfo, TcpState, Timestamp, Tuple, Zone};
use crate::mirror::index::Cursor;

pub(super) const NUMBERS: u8 = 8;
pub(super) const TIMEOUT: u64 = 600;

pub(super) struct Model {
    pub(super) state: State,
    pub(super) now: Duration,
    table: HashMap<u8, Flow>,
    /// Does the kernel note when a flow began?
    pub(super) has_timestamps: bool,
    last_id: u32,
    pub(super) events: VecDeque<Event>,
    heard: Option<Event>,
    walk: Option<Walk>,
    answers: Option<(Round, Answers)>,
    /// The deltas, and the flows that result from them.
    pub(super) told: Vec<Delta>,
    store: Store,
    filter: Filter,
}

type Answers = Vec<(FlowKey, Option<Flow>)>;

struct Walk {
    at: u8,
    read: VecDeque<Flow>,
}

/// One flow of each kind: TCP and UDP, in zones, with NAT.
pub(super) fn flow(n: u8) -> Flow {
    let end = |net: u8, port: u16| SocketAddr::new([10, net, 0, 1].into(), port);
    let tuple = |src, dst| match n % 2 {
        0 => Tuple::tcp(src, dst),
        _ => Tuple::udp(src, dst),
    };
    let orig = tuple(end(1, u16::from(n / 2)), end(2, 53)).expect("a tuple");
    let reply = match n % 3 {
        // With NAT.
        0 => tuple(end(3, 53), end(4, 1000 + u16::from(n))).expect("a tuple"),
        _ => orig.inverse(),
    };
    let mut flow = Flow::new(orig, reply);
    flow.zone = match n % 4 {
        1 => Zone::new(5),
        2 => Zone::orig(6),
        3 => Zone::reply(7),
        _ => Zone::default(),
    };
    flow.timeout = Some(Duration::from_secs(TIMEOUT));
    flow.mark = Some(0);
    flow
}

impl Model {
    pub(super) fn new(filter: Filter, limit: usize) -> Self {
        let settings = Settings {
            filter: filter.clone(),
            limit,
            recheck: None,
        };
        Self {
            state: State::new(Arc::new(Index::new()), settings),
            now: Duration::from_secs(1000),
            table: HashMap::new(),
            has_timestamps: false,
            last_id: 0,
            events: VecDeque::new(),
            heard: None,
            walk: None,
            answers: None,
            told: Vec::new(),
            store: Store::new(),
            filter,
        }
    }

    pub(super) fn act(&mut self, op: Op) {
        match op {
            Op::Create(n, mark, same_id) => self.create(n, mark, same_id),
            Op::Mark(n, mark) => self.change(n, |flow| flow.mark = Some(mark), |_| {}),
            Op::Labels(n, label) => {
                let labels = label.map(|label| Labels::bit(label).expect("a label"));
                // Cleared labels are left out.
                self.change(
                    n,
                    |flow| flow.labels = labels,
                    |event| event.labels = labels,
                );
            }
            Op::TcpState(n, state) if n % 2 == 0 => {
                let info = Some(ProtoInfo::from(TcpState::from(state)));
                let (to, said) = (info.clone(), info);
                self.change(
                    n,
                    |flow| flow.protoinfo = to,
                    |event| event.protoinfo = said,
                );
            }
            Op::TcpState(..) => {}
            Op::Destroy(n) => {
                if let Some(flow) = self.table.remove(&n) {
                    let flow = said(&flow);
                    self.events.push_back(Event::Destroy {
                        flow,
                        port_id: None,
                        nsid: None,
                    });
                }
            }
            Op::Hear(many) => self.hear(many.into()),
            Op::HearTwice => {
                if let Some(event) = self.heard.clone() {
                    // A repeated event describes the current flow: a live flow has no end event.
                    let is_past = match (&event, event.flow()) {
                        (Event::Destroy { .. }, Some(flow)) => self.lives(flow),
                        (_, Some(flow)) => !self.lives(flow),
                        _ => true,
                    };
                    if !is_past && self.events.is_empty() {
                        self.state.events(&mut vec![event], self.now);
                    }
                }
            }
            Op::Overrun => {
                let lost = self.events.len() as u64;
                self.events.clear();
                self.events.push_back(Event::Overrun { lost });
            }
            Op::List if self.walk.is_none() && !self.state.is_sweeping() => {
                self.state.list_began(self.now);
                self.walk = Some(Walk {
                    at: 0,
                    read: VecDeque::new(),
                });
            }
            Op::List => {}
            Op::Walk => self.walk(),
            Op::Read(many) => self.read(many.into()),
            Op::Sweep => {
                self.state.sweep(self.now);
            }
            Op::Break => {
                if self.walk.take().is_some() {
                    self.state.list_failed(self.now);
                }
            }
            Op::Ask if self.answers.is_none() => {
                if let Some((round, keys)) = self.state.questions() {
                    let answers = keys.into_iter().map(|key| (key, self.find(&key)));
                    self.answers = Some((round, answers.collect()));
                }
            }
            Op::Ask => {}
            Op::Answers => {
                if let Some((round, answers)) = self.answers.take() {
                    // The events that were sent before the answers, and maybe more.
                    self.hear(usize::MAX);
                    for (key, flow) in answers {
                        self.state.answered(round, &key, flow, self.now);
                    }
                    self.state.answers_ended(self.now);
                }
            }
            Op::Tick => {
                self.now += Duration::from_secs(1);
                self.state.tick(self.now);
            }
        }
        while let Some(delta) = self.state.next_delta() {
            self.apply(&delta);
            self.told.push(delta);
        }
    }

    fn create(&mut self, n: u8, mark: u32, same_id: bool) {
        if self.table.contains_key(&n) {
            return;
        }
        self.last_id += 1;
        let mut flow = flow(n);
        let id = match same_id {
            true => u32::from(n),
            false => 1000 + self.last_id,
        };
        flow.id = Some(FlowId::from(id));
        flow.mark = Some(mark);
        if self.has_timestamps {
            let start = UNIX_EPOCH + Duration::from_secs(self.last_id.into());
            flow.set_timestamp(Timestamp { start, stop: None });
        }
        if n % 2 == 0 {
            flow.protoinfo = Some(TcpState::SYN_SENT.into());
        }
        let mut event = said(&flow);
        event.protoinfo = flow.protoinfo.clone();
        self.table.insert(n, flow);
        self.events.push_back(Event::New {
            flow: event,
            port_id: None,
            nsid: None,
        });
    }

    fn change(&mut self, n: u8, change: impl FnOnce(&mut Flow), say: impl FnOnce(&mut Flow)) {
        if let Some(flow) = self.table.get_mut(&n) {
            change(flow);
            let mut flow = said(flow);
            say(&mut flow);
            self.events.push_back(Event::Update {
                flow,
                port_id: None,
                nsid: None,
            });
        }
    }

    fn hear(&mut self, many: usize) {
        let mut some: Vec<Event> = self.events.drain(..many.min(self.events.len())).collect();
        self.heard = some.last().or(self.heard.as_ref()).cloned();
        self.state.events(&mut some, self.now);
    }

    fn walk(&mut self) {
        if let Some(walk) = self.walk.as_mut().filter(|walk| walk.at < NUMBERS) {
            let flow = self.table.get(&walk.at);
            walk.at += 1;
            walk.read
                .extend(flow.filter(|flow| self.filter.matches(flow)).cloned());
        }
    }

    fn read(&mut self, many: usize) {
        let Some(walk) = &mut self.walk else { return };
        let many = many.min(walk.read.len());
        if many > 0 {
            let mut flows = walk.read.drain(..many).collect();
            self.state.listed(&mut flows, self.now);
        } else if walk.at == NUMBERS {
            self.walk = None;
            self.hear(usize::MAX);
            self.state.list_ended();
        }
    }

    /// The current flow of this key.
    fn find(&self, key: &FlowKey) -> Option<Flow> {
        let key = Key::named(key).owned();
        let found = self
            .table
            .values()
            .find(|flow| Key::orig(flow).owned() == key);
        found.cloned()
    }

    fn lives(&self, flow: &Flow) -> bool {
        let found = self.find(&FlowKey::from(flow));
        found.is_some_and(|found| found.id == flow.id)
    }

    fn apply(&mut self, delta: &Delta) {
        match delta {
            Delta::Added(flow) => {
                let before = self.store.insert(Key::orig(flow).owned(), flow.clone());
                assert_eq!(before, None);
            }
            Delta::Updated { before, after } => {
                let known = self.store.insert(Key::orig(after).owned(), after.clone());
                assert_eq!(known.as_ref().map(bare), Some(bare(before)));
            }
            Delta::Removed { flow, .. } => {
                let known = self.store.remove(&Key::orig(flow).owned());
                assert_eq!(known.map(|known| known.id), Some(flow.id));
            }
            Delta::SyncStarted { .. } | Delta::Synced { .. } => {}
        }
    }

    /// Checks what must be true at any time.
    pub(super) fn check(&self) {
        let held = self.held();
        let store: Store = self
            .store
            .iter()
            .map(|(key, it)| (*key, bare(it)))
            .collect();
        assert_eq!(store, held, "the deltas give the same");
        assert_eq!(held.len(), self.state.index.len());
        for flow in held.values() {
            let found = self.state.index.by_reply(Key::reply(flow));
            let key = found.and_then(|found| Some(found.entry()?.key().owned()));
            assert_eq!(key, Some(Key::orig(flow).owned()), "found by its answers");
        }
        let unsure = self.unsure();
        let counted = self.state.sync.unsure();
        assert!(counted >= unsure, "{counted} of {unsure} are counted");
        let is_at_rest = self.events.is_empty() && self.answers.is_none();
        if self.state.status().is_synced() && is_at_rest && !self.state.has_questions() {
            assert_eq!(held, self.wanted(), "in sync");
        }
    }

    /// Delivers everything that is in flight.
    pub(super) fn settle(&mut self) {
        for _ in 0..10 * TIMEOUT {
            self.act(Op::Hear(u8::MAX));
            (0..=2 * NUMBERS).for_each(|_| {
                self.act(Op::Walk);
                self.act(Op::Read(1));
            });
            while self.state.is_sweeping() {
                self.act(Op::Sweep);
            }
            self.act(Op::Ask);
            self.act(Op::Answers);
            self.act(Op::Tick);
            if self.state.schedule.due().is_some_and(|due| due <= self.now) {
                self.act(Op::List);
            }
            let is_done = self.state.status().is_synced() && self.walk.is_none();
            if is_done && !self.state.has_questions() && self.state.schedule.due().is_none() {
                return self.check();
            }
        }
        panic!("it does not come to rest: {:?}", self.state.status());
    }

    fn held(&self) -> Store {
        let mut held = Store::new();
        let mut seen = HashSet::new();
        let mut cursor = Cursor::default();
        while self.state.index.walk(&mut cursor, |entry| {
            assert!(seen.insert(entry.key().owned()), "twice");
            held.insert(entry.key().owned(), bare(&entry.show(0)));
        }) {}
        held
    }

    /// The number of flows that a sweep must look at.
    fn unsure(&self) -> usize {
        let round = self.state.sync.round();
        let mut unsure = 0;
        let mut cursor = Cursor::default();
        while self.state.index.walk(&mut cursor, |entry| {
            let Notes { touched, heard, .. } = entry.notes;
            let is_old = touched < round;
            unsure += usize::from(is_old || heard.is_lacking() || heard.by_events());
        }) {}
        unsure
    }

    fn wanted(&self) -> Store {
        let flows = self.table.values();
        flows
            .filter(|flow| self.filter.matches(flow))
            .map(|flow| (Key::orig(flow).owned(), bare(flow)))
            .collect()
    }
}

/// The part of a flow that every event contains.
fn said(flow: &Flow) -> Flow {
    let mut flow = flow.clone();
    flow.mark = flow.mark.filter(|mark| *mark != 0);
    flow.labels = None;
    flow.protoinfo = None;
    flow.set_timestamp(None);
    flow
}

/// The flow without the fields that change without an event, and with no mark as mark 0.
fn bare(flow: &Flow) -> Flow {
    let mut flow = flow.clone();
    flow.timeout = None;
    flow.mark = flow.mark.filter(|mark| *mark != 0);
    flow
}
