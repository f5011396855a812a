//! What each kernel does with the flush request that it gets.

use proptest::prelude::*;

use super::*;
use crate::filter::tests::arbitrary::{flow, flushed_by, met_by, neighbours};
use crate::flow::Flow;
use crate::testing::judge::{Kernel, RELEASES};

/// The flush request for a kernel that reports this release, and whether the kernel must compare
/// marks.
fn sent(flush: &Flush, believed: (u16, u16)) -> Option<(Vec<u8>, bool)> {
    match flush.plan(Release(believed.0, believed.1)).unwrap() {
        Plan::Flush(request) => Some((request.finish(SEQ), false)),
        Plan::Try { request, marks } => Some((request.finish(SEQ), marks)),
        Plan::OneByOne => None,
    }
}

/// Does the kernel's flush remove the flow? `None` if the flush is not sent, or is refused. Then
/// the flows are deleted one by one.
fn removed(kernel: Kernel, sent: &(Vec<u8>, bool), flow: &Flow) -> Option<bool> {
    let (request, marks) = sent;
    let probe = probe_of_marks().finish(SEQ);
    if *marks && kernel.hands_over(&probe, flow) != Err(EINVAL) {
        return None;
    }
    match kernel.removes(request, flow) {
        Ok(removed) => Some(removed),
        Err(EINVAL | EOPNOTSUPP) => None,
        Err(errno) => panic!("errno {errno} of a flush"),
    }
}

/// Kernels that may report this release: the release itself, newer kernels that understate it, and
/// older kernels, from 5.8 on, that overstate it.
fn possible(believed: (u16, u16)) -> impl Iterator<Item = Kernel> {
    Kernel::all().filter(move |it| it.release >= believed.min((5, 8)))
}

/// A flow, another flow, and a flush by conditions that the first flow meets: conditions that some
/// kernel compares, any conditions, or only the family.
fn case() -> impl Strategy<Value = (Flow, Flow, Flush)> {
    let kind = any::<(u8, u32, u32, bool)>();
    (flow(), flow(), kind).prop_map(|(flow, other, (kind, which, mask, family))| {
        // One to three conditions.
        let few = (0..3).fold(0, |few, n| few | 1 << (which >> (5 * n) & 31));
        let filter = match kind % 8 {
            0 => None,
            1 => Some(met_by(&flow, which, mask)),
            2..6 => Some(met_by(&flow, few, mask)),
            _ => Some(flushed_by(&flow, which, mask)),
        };
        let filter = filter.map(super::filter).filter(|it| !it.is_empty());
        let flush = Flush {
            family: family.then(|| flow.family()),
            filter,
            ..flush()
        };
        (flow, other, flush)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    /// The flush is refused, or removes all flows that match and no others.
    #[test]
    fn what_is_removed_at_once_is_what_matches((flow, other, flush) in case(), bit: u32) {
        let matches = |flow: &Flow| {
            flush.family.is_none_or(|family| family == flow.family())
                && flush.filter.as_ref().is_none_or(|filter| filter.matches(flow))
        };
        prop_assert!(matches(&flow));
        let [a, b, c] = neighbours(&flow, bit);
        for believed in RELEASES {
            let Some(sent) = sent(&flush, believed) else { continue };
            for kernel in possible(believed) {
                for flow in [&flow, &other, &a, &b, &c] {
                    let matched = matches(flow);
                    let removed = removed(kernel, &sent, flow).unwrap_or(matched);
                    prop_assert_eq!(removed, matched, "{:?} for {:?}: {:?}", kernel, believed, flush);
                }
            }
        }
    }

    /// Kernels that can compare the conditions get the flush, and accept it.
    #[test]
    fn what_a_kernel_compares_is_removed_at_once(flow in flow(), which in 1_u32..16, mask: u32) {
        let flush = flush().filter(filter(flushed_by(&flow, which, mask)));
        for release in [(6, 12), (6, 18)] {
            let sent = sent(&flush, release).expect("a flush");
            prop_assert_eq!(removed(Kernel::of(release), &sent, &flow), Some(true));
        }
        // Kernels that could ignore a condition refuse the request.
        let sent = sent(&flush, (6, 12)).expect("a flush");
        for kernel in Kernel::all().filter(|it| ((5, 8)..(6, 11)).contains(&it.release)) {
            prop_assert_eq!(removed(kernel, &sent, &flow), None, "{:?}", kernel);
        }
    }
}

/// A kernel that was built without marks would remove everything.
#[test]
fn without_marks_a_flush_by_them_is_not_sent() {
    let by_mark = flush().filter(filter(Filter::builder().mark(1)));
    let by_zone = flush().filter(filter(Filter::builder().zone(1)));
    let tuple = "10.0.0.1:1".parse().unwrap();
    let tuple = crate::flow::Tuple::udp(tuple, tuple).unwrap();
    let flow = Flow::new(tuple, tuple.inverse());
    for kernel in Kernel::all().filter(|it| it.release >= (6, 12)) {
        let [mark, zone] = [&by_mark, &by_zone].map(|flush| {
            let sent = sent(flush, kernel.release).expect("a flush");
            removed(kernel, &sent, &flow)
        });
        assert_eq!(mark, kernel.marks.then_some(false), "{kernel:?}");
        assert_eq!(zone, kernel.zones.then_some(false), "{kernel:?}");
    }
}
