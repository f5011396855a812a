//! Updates by a filter: only flows that match are changed.

use std::collections::HashMap;
use std::time::Duration;

use ctnetlink::{
    ErrorKind, Filter, Flow, FlowKey, Labels, Masked, NewFlow, Patch, ProtoInfo, Report, Status,
    TcpState, Tuple,
};
use libtest_mimic::Trial;

use super::{Stock, all_applied, build, lasting, listed, named};
use crate::common::{connect, fill, new, udp};
use crate::filter::conditions;
use crate::support::nft;
use crate::support::release;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["matching::update":
        by_conditions_alone,
        labels,
        timeouts,
        status,
        tcp_state,
        several_things_at_once,
        what_fails_fails_alone,
        of_flows_without_room_for_labels,
        of_a_fixed_timeout,
    ]
}

fn label(n: u8) -> Labels {
    Labels::bit(n).expect("a label")
}

impl Stock {
    /// Checks that the matching flows were changed as by `change`, and that the others are
    /// unchanged.
    async fn updated(
        &mut self,
        filter: Filter,
        patch: Patch,
        holds: impl Fn(&Flow) -> bool,
        change: impl Fn(&mut Flow),
        what: &str,
    ) {
        let (mut matching, rest) = self.split(holds);
        assert!(!matching.is_empty() && !rest.is_empty(), "{what}");
        let report = self.handle.update_matching(filter, patch).await;
        all_applied(&report.expect(what), matching.len(), what);
        matching.iter_mut().for_each(change);
        matching.extend(rest);
        let now = listed(&self.handle).await;
        assert!(lasting(&now) == lasting(&matching), "{what}");
        self.flows = now;
    }
}

/// Sets bits of the mark. Every second condition is tested, those on marks first, while the flows
/// still have the marks that they compare.
async fn by_conditions_alone() {
    let mut stock = Stock::new().await;
    let mut conditions = conditions::all();
    conditions.sort_by_key(|it| !it.name.contains("mark"));
    for (n, condition) in (1..).zip(conditions).step_by(2) {
        let filter = build(&[&condition]).expect(condition.name);
        let mark = Masked::new(n << 8, 0x00ff_ff00);
        let patch = Patch::new().mark(mark);
        let marked = |flow: &mut Flow| flow.mark = flow.mark.map(|old| mark.apply(old));
        stock
            .updated(filter, patch, condition.holds, marked, condition.name)
            .await;
    }
}

async fn labels() {
    let mut stock = Stock::new().await;
    let [by] = named(["reply prefix v6"]);
    let labels = Masked::new(label(9), label(9) | label(3));
    let change = |flow: &mut Flow| {
        flow.labels = Some(labels.apply(flow.labels.unwrap_or_default()));
    };
    let patch = Patch::new().labels(labels);
    let filter = build(&[&by]).expect("a filter");
    stock
        .updated(filter, patch, by.holds, change, "labels")
        .await;
}

async fn timeouts() {
    let mut stock = Stock::new().await;
    let [by] = named(["masked mark"]);
    let patch = Patch::new().timeout(Duration::from_secs(600));
    let filter = build(&[&by]).expect("a filter");
    stock
        .updated(filter, patch, by.holds, |_| {}, "timeouts")
        .await;
    for flow in &stock.flows {
        let left = flow.timeout.expect("a timeout").as_secs();
        let due = if (by.holds)(flow) {
            540..=600
        } else {
            3500..=3600
        };
        assert!(due.contains(&left), "{flow}");
    }
}

/// Whatever status a flow had before.
async fn status() {
    let mut stock = Stock::new().await;
    let [by] = named(["source v4"]);
    let added = Status::SEEN_REPLY | Status::ASSURED;
    let patch = Patch::new().status(added);
    let filter = build(&[&by]).expect("a filter");
    let change = |flow: &mut Flow| flow.status |= added;
    stock
        .updated(filter, patch, by.holds, change, "status")
        .await;
}

async fn tcp_state() {
    let mut stock = Stock::new().await;
    let [by] = named(["TCP v6"]);
    let patch = Patch::new().tcp_state(TcpState::LAST_ACK);
    let filter = build(&[&by]).expect("a filter");
    let change = |flow: &mut Flow| match &mut flow.protoinfo {
        Some(ProtoInfo::Tcp(info)) => info.state = TcpState::LAST_ACK,
        other => panic!("{other:?}"),
    };
    stock
        .updated(filter, patch, by.holds, change, "states")
        .await;
}

async fn several_things_at_once() {
    let mut stock = Stock::new().await;
    let [by] = named(["TCP state"]);
    let labels = Masked::new(label(77), label(77));
    let patch = Patch::new()
        .mark(0x5555)
        .labels(labels)
        .status(Status::ASSURED)
        .tcp_state(TcpState::CLOSE)
        .timeout(Duration::from_secs(3600));
    let filter = build(&[&by]).expect("a filter");
    let change = |flow: &mut Flow| {
        flow.mark = Some(0x5555);
        flow.labels = Some(labels.apply(flow.labels.unwrap_or_default()));
        flow.status |= Status::ASSURED;
        let Some(ProtoInfo::Tcp(info)) = &mut flow.protoinfo else {
            panic!("{flow:?}");
        };
        info.state = TcpState::CLOSE;
    };
    stock
        .updated(filter, patch, by.holds, change, "several")
        .await;
}

/// The keys of the failures. Checks that they are the keys of these flows, and that all errors have
/// this kind and contain this text.
fn failed<'a>(
    report: &Report,
    flows: impl IntoIterator<Item = &'a Flow>,
    kind: ErrorKind,
    name: &str,
) {
    let mut due: HashMap<_, _> = flows
        .into_iter()
        .map(|it| (FlowKey::from(it), it))
        .collect();
    assert_eq!(report.failed_total, due.len() as u64, "{report}");
    assert_eq!(report.failed.len(), due.len());
    for (key, error) in &report.failed {
        assert!(due.remove(key).is_some(), "{key:?}: {error}");
        assert_eq!(error.kind(), kind, "{error}");
        let text = error.to_string();
        assert!(
            text.contains(name) && text.contains("updating a flow"),
            "{text}"
        );
    }
}

/// Only TCP flows have a TCP state.
async fn what_fails_fails_alone() {
    let stock = Stock::new().await;
    let [by] = named(["unanswered"]);
    let (matching, rest) = stock.split(by.holds);
    let (mut tcp, others): (Vec<_>, Vec<_>) =
        matching.into_iter().partition(|it| it.orig.protocol() == 6);
    assert!(tcp.len() > 20 && others.len() > 64);
    let patch = Patch::new().tcp_state(TcpState::FIN_WAIT).mark(5);
    let filter = build(&[&by]).expect("a filter");
    let report = stock.handle.update_matching(filter, patch).await;
    let report = report.expect("a report");
    failed(&report, &others, ErrorKind::InvalidInput, "protocol");
    assert_eq!((report.applied, report.gone), (tcp.len() as u64, 0));
    assert!(report.incomplete.is_none());
    for flow in &mut tcp {
        flow.mark = Some(5);
        let Some(ProtoInfo::Tcp(info)) = &mut flow.protoinfo else {
            panic!("{flow:?}");
        };
        info.state = TcpState::FIN_WAIT;
    }
    let expected = tcp.iter().chain(&others).chain(&rest);
    assert!(lasting(&listed(&stock.handle).await) == lasting(expected));
    assert!(report.into_result().is_err());
}

/// Flows that were created before a rule used labels have no room for them. The kernel sets the
/// mark before it tries to set the labels.
async fn of_flows_without_room_for_labels() {
    let handle = connect();
    fill(&handle, 100).await;
    nft::labels().expect("a rule that uses labels");
    for n in 100..200 {
        handle.create(new(n)).await.expect("a flow");
    }
    let patch = Patch::new().labels(label(100)).mark(3);
    let port = Filter::builder().protocol(17).orig_dst_port(53).build();
    let report = handle.update_matching(port.expect("a filter"), patch).await;
    let report = report.expect("a report");
    let flows = listed(&handle).await;
    let (with, without): (Vec<_>, Vec<_>) = flows.into_iter().partition(|it| it.labels.is_some());
    assert_eq!((with.len(), without.len()), (100, 100));
    failed(&report, &without, ErrorKind::LabelsUnavailable, "ct label");
    assert_eq!((report.applied, report.gone), (100, 0));
    assert!(with.iter().all(|it| it.labels == Some(label(100))));
    let first: Vec<Tuple> = (0..100).map(udp).collect();
    assert!(without.iter().all(|it| first.contains(&it.orig)));
    assert!(with.iter().chain(&without).all(|it| it.mark == Some(3)));
}

/// The kernel answers with EPERM, as it does without the right, also for the first flow.
async fn of_a_fixed_timeout() {
    let handle = connect();
    let fixed = |n: u16| n < 30 || n % 3 == 0;
    for n in 0..200 {
        let flow = match fixed(n) {
            true => new(n).status(Status::FIXED_TIMEOUT),
            false => new(n),
        };
        handle.create(NewFlow::mark(flow, 1)).await.expect("a flow");
    }
    let mark = Filter::builder().mark(1).build().expect("a filter");
    let patch = Patch::new().timeout(Duration::from_secs(60));
    let report = handle.update_matching(mark, patch).await;
    let report = report.expect("a report");
    let flows = listed(&handle).await;
    let are_kept = release::refuses_fixed_timeouts();
    let is_fixed = |flow: &&Flow| are_kept && flow.status.contains(Status::FIXED_TIMEOUT);
    let stay = flows.iter().filter(is_fixed);
    failed(&report, stay, ErrorKind::PermissionDenied, "FIXED_TIMEOUT");
    let applied = (0..200).filter(|n| !are_kept || !fixed(*n)).count();
    assert_eq!((report.applied, report.gone), (applied as u64, 0));
    for flow in &flows {
        let is_short = flow.timeout.expect("a timeout") <= Duration::from_secs(60);
        assert_eq!(is_short, !is_fixed(&flow), "{flow}");
    }
}
