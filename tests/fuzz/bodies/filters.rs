//! A filter from JSON or from a binary format: lists and deletes have the same result on every
//! release.

use ctnetlink::testing::Kernel;
use ctnetlink::{ErrorKind, Filter, Flow, Labels, Status, Table, Tuple};
use futures::TryStreamExt;

use super::{kept, list, shown};

const RELEASES: [&str; 5] = ["4.19", "5.10", "6.1", "6.12", "6.18"];

#[cfg(feature = "serde")]
pub(crate) fn run(data: &[u8]) {
    let Some((first, data)) = data.split_first() else {
        return;
    };
    let read = match first & 0x80 {
        0 => serde_json::from_slice(data).ok(),
        _ => postcard::from_bytes(data).ok(),
    };
    if let Some(filter) = read {
        with(
            &filter,
            RELEASES[usize::from(first & 0x7f) % RELEASES.len()],
        );
    }
}

#[cfg(not(feature = "serde"))]
pub(crate) fn run(_: &[u8]) {}

fn with(filter: &Filter, release: &str) {
    shown(filter);
    kept(filter);
    super::run(async {
        let kernel = kernel(release);
        let handle = kernel.connect();
        let all = list(&handle).await.expect("a list");
        let meant: Vec<_> = all
            .iter()
            .filter(|flow| filter.matches(flow))
            .cloned()
            .collect();
        // A list without a family accepts every filter.
        let Ok(found) = handle.list(Table::Conntrack).filter(filter.clone()).await else {
            panic!("{filter} is refused");
        };
        assert_eq!(
            found.try_collect::<Vec<_>>().await.expect("flows"),
            meant,
            "{filter}"
        );
        match handle.delete_matching(filter.clone()).await {
            Ok(report) => assert_eq!(report.applied, meant.len() as u64, "{filter}"),
            // Only an empty filter is refused.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                assert_eq!(*filter, Filter::default());
                return;
            }
        }
        let left: Vec<_> = all
            .into_iter()
            .filter(|flow| !filter.matches(flow))
            .collect();
        assert_eq!(kernel.flows(), left, "{filter}");
        let _ = handle.events().filter(filter.clone()).await;
    });
}

fn kernel(release: &str) -> Kernel {
    let kernel = Kernel::release(release)
        .expect("a release")
        .labels(true)
        .build();
    for n in 0..12u8 {
        let v4 = (
            ([10, 0, 0, n], 4000 + u16::from(n)).into(),
            ([10, 9, 0, 1], 53).into(),
        );
        let v6 = (
            ([0xfd00, 0, 0, 0, 0, 0, 0, n.into()], 4000).into(),
            ([0xfd00, 0, 0, 0, 0, 0, 9, 1], 53).into(),
        );
        let (src, dst) = if n % 3 == 0 { v6 } else { v4 };
        let tuple = match n % 2 {
            0 => Tuple::udp(src, dst),
            _ => Tuple::tcp(src, dst),
        };
        let tuple = tuple.expect("one family");
        let mut flow = Flow::new(tuple, tuple.inverse());
        flow.mark = Some(n.into());
        flow.zone = u16::from(n / 4).into();
        flow.labels = Some(Labels::from(u128::from(n)));
        flow.status = if n % 4 == 0 {
            Status::ASSURED | Status::SEEN_REPLY
        } else {
            Status::empty()
        } | Status::CONFIRMED;
        kernel.insert(&flow).expect("a flow");
    }
    kernel
}
