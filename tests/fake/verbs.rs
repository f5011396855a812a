//! Each verb, on a table with flows.

use std::time::Duration;

use ctnetlink::testing::Kernel;
use ctnetlink::{
    Change, ErrorKind, Filter, Flow, FlowKey, Labels, Masked, Nat, NewFlow, Outcome, Patch, Status,
    Table, TcpState, Tuple, Zone,
};

use crate::{fill, list, new, run, tcp, udp};

#[test]
fn a_flow_from_its_create_to_its_end() {
    run(async {
        let kernel = Kernel::release("6.18").unwrap().labels(true).build();
        let handle = kernel.connect();
        let flow = NewFlow::new(tcp(1), Duration::from_secs(600)).tcp_state(TcpState::ESTABLISHED);
        handle.create(flow.mark(5).zone(7)).await.unwrap();
        assert_eq!(handle.get(tcp(1)).await.unwrap(), None, "of zone 0");
        let key = FlowKey::from(tcp(1)).zone(7);
        let made = handle.get(key).await.unwrap().unwrap();
        assert_eq!((made.mark, made.zone), (Some(5), Zone::new(7)));
        assert_eq!(made.status, Status::CONFIRMED);
        assert_eq!(made.timeout, Some(Duration::from_secs(600)));
        assert_eq!(made.use_count, Some(2));

        handle.set_mark(key, Masked::new(0xf0, 0xf0)).await.unwrap();
        handle
            .set_labels(key, Labels::bit(3).unwrap())
            .await
            .unwrap();
        handle
            .update(key)
            .tcp_state(TcpState::FIN_WAIT)
            .await
            .unwrap();
        let [seen]: [Flow; 1] = list(&handle).await.unwrap().try_into().unwrap();
        assert_eq!(seen.mark, Some(0xf5));
        assert_eq!(seen.labels, Some(Labels::bit(3).unwrap()));
        assert_eq!(kernel.flows(), std::slice::from_ref(&seen));
        assert_eq!(
            handle
                .create(NewFlow::from(&seen))
                .await
                .unwrap_err()
                .kind(),
            ErrorKind::AlreadyExists
        );

        handle.delete(&seen).await.unwrap();
        assert!(handle.delete(&seen).await.unwrap_err().is_not_found());
        assert_eq!(kernel.flows(), []);
    });
}

#[test]
fn a_list_of_thousands_comes_whole() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 5000);
        let flows = list(&kernel.connect()).await.unwrap();
        assert_eq!(flows, kernel.flows());
        assert_eq!(flows.len(), 5000);
    });
}

#[test]
fn many_changes_at_once() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let report = handle
            .bulk((0..1000).map(|n| Change::Create(new(n))))
            .await
            .unwrap();
        assert_eq!(
            (report.applied, report.gone, report.failed.len()),
            (1000, 0, 0)
        );
        let marks = (0..1001).map(|n| Change::Update(udp(n).into(), Patch::new().mark(9)));
        let report = handle.bulk(marks).await.unwrap();
        assert_eq!((report.applied, report.gone), (1000, 1));
        let marked = Filter::builder().mark(9).build().unwrap();
        assert_eq!(
            handle
                .update_matching(marked.clone(), Patch::new().mark(8))
                .await
                .unwrap()
                .applied,
            1000
        );
        assert_eq!(handle.delete_matching(marked).await.unwrap().applied, 0);
        let deletes = (0..500).map(|n| Change::Delete(udp(n).into()));
        assert_eq!(handle.bulk(deletes).await.unwrap().applied, 500);
        assert_eq!(kernel.flows().len(), 500);
    });
}

#[test]
fn a_flush_removes_what_it_says() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        for n in 0..4 {
            handle.create(new(n).mark(u32::from(n) % 2)).await.unwrap();
        }
        let odd = Filter::builder().mark(1).build().unwrap();
        handle.flush(Table::Conntrack).filter(odd).await.unwrap();
        assert!(kernel.flows().iter().all(|flow| flow.mark == Some(0)));
        assert_eq!(kernel.flows().len(), 2);
        handle.flush(Table::Conntrack).await.unwrap();
        assert_eq!(kernel.flows(), []);
    });
}

#[test]
fn translation_is_set_up_by_a_create_alone() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let nat = Nat::to([192, 0, 2, 1]).port(5000);
        handle.create(new(1).source_nat(nat)).await.unwrap();
        let [flow]: [Flow; 1] = kernel.flows().try_into().unwrap();
        assert_eq!(flow.reply.dst().to_string(), "192.0.2.1");
        assert_eq!(flow.reply.dst_port(), Some(5000));
        assert!(
            flow.status
                .contains(Status::SRC_NAT | Status::SRC_NAT_DONE | Status::DST_NAT_DONE)
        );
        // The reply tuple of that flow is in use.
        let same = NewFlow::new(udp(2), Duration::from_secs(9)).source_nat(nat);
        assert!(handle.create(same).await.unwrap_err().is_already_exists());
    });
}

#[test]
fn the_clock_ends_flows() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        handle
            .create(NewFlow::new(udp(1), Duration::from_secs(10)))
            .await
            .unwrap();
        handle
            .create(NewFlow::new(udp(2), Duration::from_secs(20)))
            .await
            .unwrap();
        handle
            .create(NewFlow::new(udp(3), Duration::ZERO))
            .await
            .unwrap();
        kernel.advance(Duration::from_millis(9_500));
        let left = handle.get(udp(1)).await.unwrap().unwrap().timeout;
        assert_eq!(left, Some(Duration::ZERO), "half a second is no second");
        kernel.advance(Duration::from_millis(500));
        assert_eq!(handle.get(udp(1)).await.unwrap(), None);
        assert_eq!(kernel.flows().len(), 1);
    });
}

#[test]
fn a_table_that_is_full_takes_no_more() {
    run(async {
        let kernel = Kernel::release("6.18").unwrap().max_flows(2).build();
        fill(&kernel, 2);
        let error = kernel.connect().create(new(9)).await.unwrap_err();
        assert_eq!(error.errno(), Some(12));
        kernel.packet(udp(9), 100);
        assert_eq!(kernel.flows().len(), 2);
    });
}

#[test]
fn without_rules_there_are_no_labels() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        handle
            .create(new(1).labels(Labels::bit(1).unwrap()))
            .await
            .unwrap();
        assert_eq!(kernel.flows()[0].labels, None);
        let error = handle
            .set_labels(udp(1), Labels::bit(1).unwrap())
            .await
            .unwrap_err();
        assert_eq!(error.errno(), Some(28));
    });
}

#[test]
fn a_flow_put_in_is_shown_as_it_is() {
    run(async {
        let kernel = Kernel::new();
        let mut flow = Flow::new(
            tcp(1),
            Tuple::tcp(
                "10.2.0.1:53".parse().unwrap(),
                "10.9.9.9:1".parse().unwrap(),
            )
            .unwrap(),
        );
        flow.mark = Some(7);
        flow.status = Status::CONFIRMED | Status::ASSURED | Status::SRC_NAT | Status::OFFLOAD;
        flow.labels = Some(Labels::bit(100).unwrap());
        flow.counters_orig = Some(ctnetlink::Counters::new(3, 400));
        flow.zone = Zone::orig(4);
        flow.id = Some(99.into());
        kernel.insert(&flow).unwrap();
        let [seen]: [Flow; 1] = kernel.flows().try_into().unwrap();
        flow.counters_reply = Some(ctnetlink::Counters::default());
        flow.use_count = Some(1);
        flow.synproxy = Some(ctnetlink::SynProxy::default());
        assert_eq!(seen, flow);
        assert!(kernel.insert(&flow).unwrap_err().is_already_exists());
        assert_eq!(list(&kernel.connect()).await.unwrap(), [seen]);
    });
}

#[test]
fn kernels_are_apart_and_clones_are_one() {
    run(async {
        let (one, other) = (Kernel::new(), Kernel::new());
        one.clone().connect().create(new(1)).await.unwrap();
        assert_eq!((one.flows().len(), other.flows().len()), (1, 0));
    });
}

/// Failures beyond those that a report keeps are counted in the same way.
#[test]
fn failures_beyond_those_kept_are_told_alike() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 1100);
        let handle = kernel.connect();
        let patch = Patch::new().mark(7).labels(Labels::bit(3).unwrap());
        let changes = (0..1100).map(move |n| Change::update(udp(n), patch.clone()));
        let (told, heard) = std::sync::mpsc::channel();
        let bulk = handle.bulk(changes).on_item(move |_, outcome| {
            let Outcome::Failed(error) = outcome else {
                panic!("{outcome:?}");
            };
            told.send((error.kind(), error.is_partial())).unwrap();
        });
        let report = bulk.await.unwrap();
        assert_eq!((report.failed_total, report.partial), (1100, 1100));
        assert_eq!(report.failed.len(), ctnetlink::Report::KEPT);
        let all: Vec<_> = heard.iter().collect();
        assert_eq!(all, vec![(ErrorKind::LabelsUnavailable, true); 1100]);
    });
}
