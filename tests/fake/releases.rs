//! Differences between kernel releases.

use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{ErrorKind, Filter, Masked, NewExpectation, NewFlow, Status, Table, Tuple};
use futures::TryStreamExt;

use crate::{new, run, udp};

const RELEASES: [&str; 11] = [
    "4.19", "5.4", "5.10", "5.15", "6.1", "6.6", "6.8", "6.12", "6.14", "6.18", "7.3",
];

fn kernel(release: &str) -> Kernel {
    Kernel::release(release).unwrap().build()
}

#[test]
fn a_release_is_what_uname_prints() {
    for release in RELEASES
        .iter()
        .chain(&["6.1.0-26-amd64", "5.15.167.4-microsoft"])
    {
        assert!(Kernel::release(release).is_ok(), "{release}");
    }
    for release in ["", "six", "4.18", "3.10.0-1160.el7"] {
        let error = Kernel::release(release).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{release}");
    }
}

/// Kernels ignore, invert or refuse different parts of a filter. The crate gives the same result on
/// all.
#[test]
fn a_filter_lists_and_removes_the_same_on_all() {
    run(async {
        for release in RELEASES {
            let kernel = kernel(release);
            let handle = kernel.connect();
            for n in 0..8 {
                handle
                    .create(new(n).mark(u32::from(n) % 4).zone(n / 4))
                    .await
                    .unwrap();
            }
            let v6 = |port: u16| {
                let source = std::net::SocketAddr::new("fd00::1".parse().unwrap(), port);
                Tuple::udp(source, "[fd00::2]:53".parse().unwrap()).unwrap()
            };
            for port in 1..4 {
                let flow = NewFlow::new(v6(port), Duration::from_secs(60));
                handle.create(flow.status(Status::ASSURED)).await.unwrap();
            }
            for (filter, met) in [
                (Filter::builder().mark(1).zone(1), 1),
                (Filter::builder().zone(1), 4),
                (
                    Filter::builder().status(Masked::new(Status::ASSURED, Status::ASSURED)),
                    3,
                ),
                (
                    Filter::builder().orig_src("fd00::1".parse::<std::net::IpAddr>().unwrap()),
                    3,
                ),
                (Filter::builder().orig_src(udp(3).src()), 1),
            ] {
                let filter = filter.build().unwrap();
                let flows = handle
                    .list(Table::Conntrack)
                    .filter(filter.clone())
                    .await
                    .unwrap();
                let flows: Vec<_> = flows.try_collect().await.unwrap();
                assert_eq!(flows.len(), met, "{release}: {filter:?}");
            }
            let filter = Filter::builder().zone(1).build().unwrap();
            handle.flush(Table::Conntrack).filter(filter).await.unwrap();
            assert_eq!(kernel.flows().len(), 7, "{release}");
        }
    });
}

#[test]
fn a_fixed_timeout_stays_since_6_0() {
    run(async {
        for release in RELEASES {
            let handle = kernel(release).connect();
            handle
                .create(new(1).status(Status::FIXED_TIMEOUT))
                .await
                .unwrap();
            let changed = handle.update(udp(1)).timeout(Duration::from_secs(5)).await;
            let old = matches!(release, "4.19" | "5.4" | "5.10" | "5.15");
            assert_eq!(changed.is_ok(), old, "{release}");
        }
    });
}

/// Protocols 33 and 136 lose their ports.
#[test]
fn trackers_that_are_gone() {
    run(async {
        for release in RELEASES {
            let handle = kernel(release).connect();
            let ends = ["10.0.0.1:5".parse().unwrap(), "10.0.0.2:6".parse().unwrap()];
            for (tuple, since) in [
                (
                    Tuple::dccp(ends[0], ends[1]).unwrap(),
                    ["6.18", "7.3"].as_slice(),
                ),
                (
                    Tuple::udplite(ends[0], ends[1]).unwrap(),
                    ["7.3"].as_slice(),
                ),
            ] {
                handle
                    .create(NewFlow::new(tuple, Duration::from_secs(60)))
                    .await
                    .unwrap();
                let flow = handle
                    .list(Table::Conntrack)
                    .await
                    .unwrap()
                    .try_next()
                    .await
                    .unwrap();
                let ports = flow.unwrap().orig.src_port();
                let gone = since.contains(&release);
                assert_eq!(ports, (!gone).then_some(5), "{release}");
                handle.flush(Table::Conntrack).await.unwrap();
            }
        }
    });
}

#[test]
fn a_helper_can_be_taken_away_until_7_3() {
    run(async {
        let tuple = Tuple::tcp(([10, 0, 0, 1], 4000).into(), ([10, 0, 0, 2], 21).into()).unwrap();
        for release in RELEASES {
            let handle = kernel(release).connect();
            let flow = NewFlow::new(tuple, Duration::from_secs(60)).helper("ftp");
            handle.create(flow).await.unwrap();
            let update = handle.update(tuple).helper("").await;
            let flow = handle.get(tuple).await.unwrap().unwrap();
            if release == "7.3" {
                let error = update.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                assert!(
                    error.to_string().contains("cannot remove a flow's helper"),
                    "{error}"
                );
                assert!(flow.helper().is_some_and(|helper| &*helper.name == "ftp"));
            } else {
                update.unwrap();
                assert!(flow.helper().is_none_or(|helper| helper.name.is_empty()));
            }
        }
    });
}

/// On Debian's 5.10, no expectation has the id in a delete.
#[test]
fn an_expectation_is_deleted_on_all() {
    run(async {
        let control = Tuple::tcp(([10, 0, 0, 1], 4000).into(), ([10, 0, 0, 2], 21).into()).unwrap();
        let data = Tuple::tcp(([10, 0, 0, 2], 0).into(), ([10, 0, 0, 1], 10_000).into()).unwrap();
        for release in RELEASES {
            let handle = kernel(release).connect();
            let flow = NewFlow::new(control, Duration::from_secs(60)).helper("ftp");
            handle.create(flow).await.unwrap();
            let expectations = handle.expectations();
            let new = NewExpectation::new(control, data);
            expectations.create(new.clone()).await.unwrap();
            let first = expectations.get(data).await.unwrap().unwrap();
            expectations.delete(&first).await.expect(release);
            assert_eq!(expectations.get(data).await.unwrap(), None);
            // Another expectation with this tuple does not have the id.
            expectations.create(new).await.unwrap();
            let second = expectations.get(data).await.unwrap().unwrap();
            assert_ne!(first.id, second.id);
            let error = expectations.delete(&first).await.unwrap_err();
            assert!(error.is_not_found(), "{release}: {error}");
            assert!(expectations.get(data).await.unwrap().is_some());
            expectations.delete(data).await.expect(release);
            assert_eq!(expectations.get(data).await.unwrap(), None);
        }
    });
}

/// Older kernels forget the class, unless the helper is named.
#[test]
fn an_expectation_has_the_class_of_its_helper() {
    run(async {
        let control = Tuple::tcp(([10, 0, 0, 1], 4000).into(), ([10, 0, 0, 2], 21).into()).unwrap();
        let data = Tuple::tcp(([10, 0, 0, 2], 0).into(), ([10, 0, 0, 1], 10_000).into()).unwrap();
        for release in RELEASES {
            let handle = kernel(release).connect();
            let flow = NewFlow::new(control, Duration::from_secs(60)).helper("sip");
            handle.create(flow).await.unwrap();
            let expectations = handle.expectations();
            let old = matches!(release, "4.19" | "5.4" | "5.10");
            for (helper, class, expected) in [
                (None, 1, Ok(if old { 0 } else { 1 })),
                (None, 4, if old { Ok(0) } else { Err(()) }),
                (Some("sip"), 1, Ok(1)),
                (Some("sip"), 4, Err(())),
                (Some("nobody"), 1, if old { Err(()) } else { Ok(1) }),
            ] {
                let mut new = NewExpectation::new(control, data).class(class);
                if let Some(helper) = helper {
                    new = new.helper(helper);
                }
                let created = expectations.create(new).await;
                let found = expectations.get(data).await.unwrap();
                let case = format!("{release}: {helper:?} {class}");
                assert_eq!(created.is_ok(), found.is_some(), "{case}");
                assert_eq!(found.map(|it| it.class).ok_or(()), expected, "{case}");
                expectations.flush().await.unwrap();
            }
        }
    });
}

#[test]
fn a_flow_whose_helper_was_removed_expects_nothing() {
    run(async {
        let control = Tuple::tcp(([10, 0, 0, 1], 4000).into(), ([10, 0, 0, 2], 21).into()).unwrap();
        let data = Tuple::tcp(([10, 0, 0, 2], 0).into(), ([10, 0, 0, 1], 10_000).into()).unwrap();
        // Since 7.3 it cannot be removed.
        for release in &RELEASES[..RELEASES.len() - 1] {
            let handle = kernel(release).connect();
            let flow = NewFlow::new(control, Duration::from_secs(60)).helper("ftp");
            handle.create(flow).await.unwrap();
            handle.update(control).helper("").await.unwrap();
            let expectations = handle.expectations();
            let created = expectations
                .create(NewExpectation::new(control, data))
                .await;
            match created {
                Ok(()) => assert!(matches!(*release, "4.19" | "5.4" | "5.10"), "{release}"),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Unsupported, "{release}"),
            }
            assert_eq!(expectations.get(data).await.unwrap(), None, "{release}");
        }
    });
}
