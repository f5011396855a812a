//! Other namespaces: requests affect only the namespace of their handle.

use ctnetlink::{Change, ConntrackHandle, Filter, IpNet, Options, Patch, Table};
use libtest_mimic::Trial;

use super::{all_applied, lasting, listed};
use crate::common::{alone, connect, namespace, new, udp};

pub(super) fn tests() -> Vec<Trial> {
    alone!("matching::elsewhere": flows_of_others_stay,)
}

const FLOWS: u16 = 200;

/// Creates the flows, the first half with mark 1.
async fn fill(handle: &ConntrackHandle) {
    let marked = |n| new(n).mark(u32::from(n < FLOWS / 2));
    let created = handle.bulk((0..FLOWS).map(move |n| Change::Create(marked(n))));
    all_applied(&created.await.expect("a report"), FLOWS.into(), "all");
}

async fn flows_of_others_stay() {
    let other = namespace();
    let here = connect();
    let there = Options::new().network_namespace(other);
    let there = there.connect().await.expect("a connection");
    fill(&here).await;
    fill(&there).await;
    let mark = || Filter::builder().mark(1).build().expect("a filter");
    let source = || {
        let net = IpNet::from(udp(FLOWS - 1).src());
        Filter::builder().orig_src(net).build().expect("a filter")
    };
    let half = usize::from(FLOWS / 2);
    for (ours, theirs) in [(&here, &there), (&there, &here)] {
        let before = lasting(&listed(theirs).await);
        let stay = async || assert!(lasting(&listed(theirs).await) == before);

        let patch = Patch::new().timeout(std::time::Duration::from_secs(60));
        let report = ours.update_matching(mark(), patch).await;
        all_applied(&report.expect("a report"), half, "updates");
        stay().await;
        let report = ours.delete_matching(source()).await;
        all_applied(&report.expect("a report"), 1, "a delete");
        stay().await;
        // At once, and one by one.
        let flush = ours.flush(Table::Conntrack).filter(mark());
        flush.await.expect("a flush");
        assert_eq!(listed(ours).await.len(), half - 1);
        stay().await;
        let not = Filter::builder().not(mark()).build().expect("a filter");
        let flush = ours.flush(Table::Conntrack).filter(not);
        flush.await.expect("a flush");
        assert!(listed(ours).await.is_empty());
        stay().await;
        fill(ours).await;
    }
}
