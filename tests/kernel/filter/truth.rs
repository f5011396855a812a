//! Each condition, and pairs of them, compared with a test of all flows of the table.

use std::fs;

use ctnetlink::{ConntrackHandle, Filter, Flow, KernelFilter, Table};
use libtest_mimic::Trial;

use super::conditions::{self, Condition};
use super::population::{FLOWS, populate};
use super::{all, connect, filtered};

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["filter":
        each_condition_alone,
        conditions_in_pairs,
        alternatives_and_exceptions,
    ]
}

/// One of this many pairs is tested, because each test walks the table.
const SAMPLE: usize = 11;

/// A connection, and all flows of the table.
pub(crate) async fn table() -> (ConntrackHandle, Vec<Flow>) {
    let handle = connect();
    populate(&handle).await;
    let flows = all(handle.list(Table::Conntrack).await.expect("a stream")).await;
    assert_eq!(flows.len(), usize::from(FLOWS));
    (handle, flows)
}

/// The ids of the flows, sorted. They are unique as long as the table does not change.
pub(crate) fn ids<'a>(flows: impl IntoIterator<Item = &'a Flow>) -> Vec<u32> {
    let ids = flows.into_iter().map(|flow| flow.id.expect("an id").into());
    let mut ids: Vec<u32> = ids.collect();
    ids.sort_unstable();
    ids
}

/// The release of this kernel.
pub(crate) fn release() -> (u16, u16) {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").expect("a release");
    let mut numbers = text.split(|char: char| !char.is_ascii_digit());
    let mut number = || numbers.next().and_then(|n| n.parse().ok());
    (number().expect("a number"), number().expect("a number"))
}

/// The conditions that this kernel can compare, by its release.
fn comparable() -> KernelFilter {
    let release = release();
    let mut can = KernelFilter::FAMILY | KernelFilter::MARK;
    can.set(KernelFilter::STATUS, release >= (5, 15));
    can.set(KernelFilter::ZONE, release >= (6, 8));
    let tuples = KernelFilter::all() - can - KernelFilter::STATUS - KernelFilter::ZONE;
    can.set(tuples, release >= (5, 8));
    can
}

async fn each_condition_alone() {
    let (handle, flows) = table().await;
    let can = comparable();
    for Condition {
        name,
        add,
        holds,
        by_kernel,
    } in conditions::all()
    {
        let expected: Vec<&Flow> = flows.iter().filter(|flow| holds(flow)).collect();
        let some = !expected.is_empty() && expected.len() < flows.len();
        assert!(some, "{name}: {} flows test nothing", expected.len());
        let filter = add(Filter::builder()).build().expect(name);
        let listed = filtered(&handle, filter).await;
        assert_eq!(listed.kernel_filtered(), by_kernel & can, "{name}");
        assert_eq!(ids(&all(listed).await), ids(expected), "{name}");
    }
}

async fn conditions_in_pairs() {
    let (handle, flows) = table().await;
    let conditions = conditions::all();
    let pairs = conditions
        .iter()
        .enumerate()
        .flat_map(|(n, first)| conditions[..n].iter().map(move |second| (first, second)));
    let (mut walks, mut matched) = (0, 0);
    for (n, (first, second)) in pairs.enumerate() {
        let name = format!("{}, {}", first.name, second.name);
        let holds = |flow: &&Flow| (first.holds)(flow) && (second.holds)(flow);
        let expected = ids(flows.iter().filter(holds));
        let both = (second.add)((first.add)(Filter::builder())).build();
        let Ok(both) = both else {
            // A pair that is refused as a contradiction must be one.
            assert_eq!(expected, [], "{name}: {both:?}");
            continue;
        };
        assert_eq!(
            ids(flows.iter().filter(|flow| both.matches(flow))),
            expected,
            "{name}"
        );
        if n % SAMPLE == 0 {
            assert_eq!(
                ids(&all(filtered(&handle, both).await).await),
                expected,
                "{name}"
            );
            walks += 1;
            matched += usize::from(!expected.is_empty());
        }
    }
    assert!(
        walks > 40 && matched > 20,
        "{walks} walks, {matched} with flows"
    );
}

async fn alternatives_and_exceptions() {
    let (handle, flows) = table().await;
    let conditions = conditions::all();
    let named = |name: &str| {
        let found = conditions.iter().find(|condition| condition.name == name);
        found.expect(name)
    };
    let build = |condition: &Condition| {
        (condition.add)(Filter::builder())
            .build()
            .expect("a filter")
    };
    for (within, one, other, except) in [
        (
            "masked mark",
            "source v4",
            "UDP v6 reply source port",
            "zone",
        ),
        ("family v6", "source v6", "TCP v6", "helper"),
        ("unanswered", "ICMP id", "GRE key", "no NAT"),
    ] {
        let [within, one, other, except] = [within, one, other, except].map(named);
        let filter = (within.add)(Filter::builder())
            .any_of([build(one), build(other)])
            .not(build(except));
        let holds = |flow: &&Flow| {
            (within.holds)(flow)
                && ((one.holds)(flow) || (other.holds)(flow))
                && !(except.holds)(flow)
        };
        let expected = ids(flows.iter().filter(holds));
        assert!(!expected.is_empty(), "{}", within.name);
        let listed = filtered(&handle, filter.build().expect("a filter")).await;
        // The kernel does not compare the alternatives.
        assert_eq!(listed.kernel_filtered(), within.by_kernel & comparable());
        assert_eq!(ids(&all(listed).await), expected, "{}", within.name);
    }
}
