//! Rules of the kernel that programs rarely meet.

use ctnetlink::testing::Kernel;
use ctnetlink::{ErrorKind, Filter, Flow, FlowKey, Masked, Status, Table};
use futures::TryStreamExt;

use crate::{list, new, run, tcp, udp};

/// A flow can have another flow as its master. It stays when the master ends.
#[test]
fn masters() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        let child = || new(2).master(udp(1));
        let orphan = handle.create(child()).await.unwrap_err();
        assert!(orphan.is_not_found(), "{orphan}");
        handle.create(new(1)).await.unwrap();
        handle.create(child()).await.unwrap();
        let made = handle.get(udp(2)).await.unwrap().unwrap();
        assert_eq!(made.master(), Some(&udp(1)));
        assert!(made.status.contains(Status::EXPECTED));
        let master = handle.get(udp(1)).await.unwrap().unwrap();
        assert_eq!(master.use_count, Some(3), "the child holds it");
        let of_it = Filter::builder().master(udp(1)).build().unwrap();
        let flows = handle.list(Table::Conntrack).filter(of_it);
        let flows: Vec<Flow> = flows.await.unwrap().try_collect().await.unwrap();
        assert_eq!(flows.len(), 1);
        handle.delete(udp(1)).await.unwrap();
        let [left]: [Flow; 1] = kernel.flows().try_into().unwrap();
        assert_eq!(left.master(), Some(&udp(1)));
    });
}

/// Bits that are set cannot be cleared, so this crate sends the current bits together with the new
/// ones. The kernel's own bits are refused.
#[test]
fn status() {
    run(async {
        let kernel = Kernel::new();
        let handle = kernel.connect();
        handle.create(new(1)).await.unwrap();
        handle.update(udp(1)).status(Status::ASSURED).await.unwrap();
        handle
            .update(udp(1))
            .status(Status::SEEN_REPLY)
            .await
            .unwrap();
        let both = Status::CONFIRMED | Status::ASSURED | Status::SEEN_REPLY;
        assert_eq!(kernel.flows()[0].status, both);
        // A request without the current bits is EBUSY.
        let socket = kernel.socket();
        let mut request = bytes(&kernel, 8);
        socket.send(&request).unwrap();
        assert_eq!(verdict(&socket.receive_now().unwrap()), 16);
        request = bytes(&kernel, both.bits());
        socket.send(&request).unwrap();
        assert_eq!(verdict(&socket.receive_now().unwrap()), 0);
        assert_eq!(kernel.flows()[0].status, both);
    });
}

/// The request that sets only the status of flow 1.
fn bytes(kernel: &Kernel, status: u32) -> Vec<u8> {
    assert_eq!(kernel.flows()[0].orig, udp(1));
    let attr = |kind: u16, payload: &[u8]| {
        let mut attr = (payload.len() as u16 + 4).to_ne_bytes().to_vec();
        attr.extend_from_slice(&kind.to_ne_bytes());
        attr.extend_from_slice(payload);
        attr.resize(attr.len().next_multiple_of(4), 0);
        attr
    };
    let addresses = [attr(1, &[10, 1, 0, 1]), attr(2, &[10, 2, 0, 1])].concat();
    let ports = [
        attr(1, &[17]),
        attr(2, &4000_u16.to_be_bytes()),
        attr(3, &53_u16.to_be_bytes()),
    ];
    let tuple = [attr(0x8001, &addresses), attr(0x8002, &ports.concat())].concat();
    let body = [attr(0x8001, &tuple), attr(3, &status.to_be_bytes())].concat();
    // IPCTNL_MSG_CT_NEW, NLM_F_REQUEST | NLM_F_ACK, and the family.
    let mut message = (20 + body.len() as u32).to_ne_bytes().to_vec();
    message.extend_from_slice(&0x0100_u16.to_ne_bytes());
    message.extend_from_slice(&5_u16.to_ne_bytes());
    message.extend_from_slice(&[0; 8]);
    message.extend_from_slice(&[2, 0, 0, 0]);
    message.extend_from_slice(&body);
    message
}

/// The errno of an acknowledgment.
fn verdict(datagram: &[u8]) -> i32 {
    let errno = datagram[16..].first_chunk().expect("an acknowledgment");
    -i32::from_ne_bytes(*errno)
}

/// It ignores marks. None is set or compared, and a flush by a mark does not remove other flows.
#[test]
fn a_kernel_without_marks() {
    run(async {
        let kernel = Kernel::release("6.18").unwrap().without_marks().build();
        let handle = kernel.connect();
        for n in 0..3 {
            handle.create(new(n).mark(5)).await.unwrap();
        }
        assert!(
            list(&handle)
                .await
                .unwrap()
                .iter()
                .all(|flow| flow.mark.is_none())
        );
        let marked = Filter::builder().mark(5).build().unwrap();
        handle
            .flush(Table::Conntrack)
            .filter(marked.clone())
            .await
            .unwrap();
        assert_eq!(handle.delete_matching(marked).await.unwrap().applied, 0);
        assert_eq!(kernel.flows().len(), 3, "an absent mark is 0");
        let unmarked = Filter::builder().mark(Masked::new(0, 5)).build().unwrap();
        assert_eq!(handle.delete_matching(unmarked).await.unwrap().applied, 3);
    });
}

/// It refuses zones.
#[test]
fn a_kernel_without_zones() {
    run(async {
        let kernel = Kernel::release("6.18").unwrap().without_zones().build();
        let handle = kernel.connect();
        handle.create(new(1)).await.unwrap();
        let refused = handle.create(new(2).zone(3)).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        let key = FlowKey::from(tcp(1)).zone(3);
        let refused = handle.get(key).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unsupported);
        // A list by zone requests all flows, and compares them here.
        for (zone, met) in [(0, 1), (3, 0)] {
            let filter = Filter::builder().zone(zone).build().unwrap();
            let flows = handle.list(Table::Conntrack).filter(filter);
            let flows: Vec<Flow> = flows.await.unwrap().try_collect().await.unwrap();
            assert_eq!(flows.len(), met, "zone {zone}");
        }
        let zoned = Filter::builder().zone(3).build().unwrap();
        handle.flush(Table::Conntrack).filter(zoned).await.unwrap();
        assert_eq!(kernel.flows().len(), 1);
    });
}
