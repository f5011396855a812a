//! No kernel leaves out a flow that matches: its result ⊇ matches.

use proptest::prelude::*;

use super::super::kernel::{Capabilities, KernelFilter, RequestFilter};
use super::arbitrary::{flow, met_by, under};
use super::*;
use crate::flow::Family;
use crate::testing::judge::Kernel;
use crate::wire::message::Request;
use crate::wire::uapi::*;

fn request(pushed: &RequestFilter, family: Option<Family>) -> Vec<u8> {
    let family = family.map_or(AF_UNSPEC, Family::number);
    Request::new(IPCTNL_MSG_CT_GET, NLM_F_DUMP, family)
        .with(|w| pushed.write(w))
        .finish(1)
}

/// The request for a list that this kernel accepts. Conditions that it refuses are left out.
fn accepted(kernel: Kernel, filter: &Filter, flow: &Flow) -> Result<Vec<u8>, i32> {
    let mut pushed = RequestFilter::new(filter, filter.family(), Capabilities::of(kernel.release));
    loop {
        let request = request(&pushed, filter.family());
        match kernel.hands_over(&request, flow) {
            Ok(_) => return Ok(request),
            Err(errno) => pushed = pushed.after_refusal(errno).ok_or(errno)?,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn of_matches(flow in flow(), other in flow(), which: u32, mask: u32) {
        let filter = met_by(&flow, which, mask).build();
        let filter = filter.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert!(filter.matches(&flow), "{:?}", filter);
        let ancient = Kernel::of((0, 0));
        for kernel in Kernel::all().chain([ancient]) {
            let request = accepted(kernel, &filter, &flow)
                .map_err(|errno| TestCaseError::fail(format!("{kernel:?}: {errno}")))?;
            // A flow that matches is returned.
            prop_assert_eq!(kernel.hands_over(&request, &flow), Ok(true), "{:?} {:?}", kernel, filter);
            // Another flow may be returned or not, but one that matches is.
            let is_there = kernel.hands_over(&request, &other) == Ok(true);
            prop_assert!(is_there || !filter.matches(&other));
        }
    }

    /// The kernel does compare the conditions that it is said to compare: a flow that fails only
    /// one of them is not returned.
    #[test]
    fn what_is_pushed_is_compared(mut flow in flow(), mask: u32, which in 0usize..3) {
        let can = Capabilities::of((6, 18));
        let (filter, change): (_, fn(&mut Flow)) = match which {
            0 => (on(|b| b.mark(under(flow.mark.unwrap_or(0), mask | 1))),
                |flow| flow.mark = Some(flow.mark.unwrap_or(0) ^ 1)),
            1 => (on(|b| b.zone(flow.zone.id())),
                |flow| flow.zone = (flow.zone.id() ^ 1).into()),
            _ => (on(|b| b.status(flow.status.into())),
                |flow| flow.status ^= crate::flow::Status::ASSURED),
        };
        let pushed = RequestFilter::new(&filter, None, can);
        prop_assert_ne!(pushed.conditions(), KernelFilter::empty());
        change(&mut flow);
        let handed = Kernel::of((6, 18)).hands_over(&request(&pushed, None), &flow);
        prop_assert_eq!(handed, Ok(false));
    }
}

/// A kernel without zones refuses a list with a zone, and answers it without.
#[test]
fn some_kernel_refuses() {
    let filter = on(|b| b.zone(5));
    let pushed = RequestFilter::new(&filter, None, Capabilities::of((6, 18)));
    let kernel = Kernel {
        zones: false,
        ..Kernel::of((6, 18))
    };
    let refused = kernel.hands_over(&request(&pushed, None), &tcp());
    assert_eq!(refused, Err(EOPNOTSUPP));
    assert!(accepted(kernel, &filter, &tcp()).is_ok());
}
