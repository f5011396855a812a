//! Requests that this crate does not send, or not in this form.

use super::*;
use crate::testing::RequestFault;

fn dump(seq: u32) -> Vec<u8> {
    Request::new(IPCTNL_MSG_CT_GET, NLM_F_DUMP, AF_UNSPEC).finish(seq)
}

fn of_flows(kernel: &Kernel, flows: u16) -> FakeSocket {
    let socket = FakeSocket::open(kernel);
    for n in 0..flows {
        socket.send(&create(n, 1)).unwrap();
        drain(&socket);
    }
    socket
}

/// An error does not stop the later requests, and each gets its own answer.
#[test]
fn a_batch_is_worked_off_to_its_end() {
    let socket = of_flows(&Kernel::new(), 0);
    let batch = [create(1, 1), create(1, 2), create(2, 3)].concat();
    socket.send(&batch).unwrap();
    let answers = [(1, Some(0)), (2, Some(EEXIST)), (3, Some(0))];
    assert_eq!(
        drain(&socket),
        answers.map(|(seq, errno)| (seq, NLMSG_ERROR, errno))
    );
}

#[test]
fn without_the_right_the_first_alone_is_answered() {
    let kernel = Kernel::new();
    let socket = of_flows(&kernel, 0);
    kernel.on_request(0, RequestFault::Denied);
    socket.send(&[create(1, 1), create(2, 2)].concat()).unwrap();
    assert_eq!(drain(&socket), [(1, NLMSG_ERROR, Some(EPERM))]);
    assert_eq!(
        socket.join_group(1).unwrap_err().raw_os_error(),
        Some(EPERM)
    );
}

/// A second dump is refused while the first is in progress.
#[test]
fn a_socket_has_one_dump_at_a_time() {
    let socket = of_flows(&Kernel::new(), 300);
    socket.send(&[dump(7), dump(8)].concat()).unwrap();
    let seen = drain(&socket);
    assert!(seen.contains(&(8, NLMSG_ERROR, Some(EBUSY))));
    assert_eq!(
        seen.iter()
            .filter(|it| (it.0, it.1) == (7, IPCTNL_MSG_CT_NEW))
            .count(),
        300
    );
    assert_eq!(seen.last().map(|it| (it.0, it.1)), Some((7, NLMSG_DONE)));
    socket.send(&dump(9)).unwrap();
    assert_eq!(drain(&socket).len(), 301);
}

/// The first datagram has the size of a page, the others of the reader's buffer, and DONE has its
/// own datagram.
#[test]
fn datagrams_of_a_dump() {
    let kernel = Kernel::new();
    let filler = of_flows(&kernel, 1000);
    drop(filler);
    let socket = FakeSocket::open(&kernel);
    socket.send(&dump(1)).unwrap();
    let mut sizes = Vec::new();
    while let Ok(datagram) = socket.receive_now() {
        sizes.push(datagram.len());
    }
    assert!((3400..=3776).contains(&sizes[0]), "{sizes:?}");
    assert!((32_000..=32_448).contains(&sizes[1]), "{sizes:?}");
    assert_eq!(sizes.last(), Some(&20));
}

/// With a full queue a dump begins without a walk, answers ENOBUFS, and goes on in the receives.
#[test]
fn a_deferred_dump() {
    for (release, told) in [("6.18", true), ("6.1", true), ("5.10", false)] {
        let kernel = Kernel::release(release).unwrap().build();
        let socket = of_flows(&kernel, 50);
        socket.set_receive_queue(0);
        // A bare header is a request that does nothing, and gets an ACK.
        let mut bytes = 16_u32.to_ne_bytes().to_vec();
        bytes.extend_from_slice(&IPCTNL_MSG_CT_GET.to_ne_bytes());
        bytes.extend_from_slice(&(NLM_F_REQUEST | NLM_F_ACK).to_ne_bytes());
        bytes.extend_from_slice(&[0; 8]);
        bytes.extend_from_slice(&dump(3));
        socket.send(&bytes).unwrap();
        socket.set_receive_queue(100_000);
        let seen = drain(&socket);
        assert_eq!(
            seen.contains(&(3, NLMSG_ERROR, Some(ENOBUFS))),
            told,
            "{release}"
        );
        assert_eq!(
            seen.iter().filter(|it| it.1 == IPCTNL_MSG_CT_NEW).count(),
            50,
            "{release}"
        );
        assert_eq!(seen.last().map(|it| it.1), Some(NLMSG_DONE), "{release}");
    }
}

/// An error contains the request, unless the socket asked for short errors.
#[test]
fn errors_echo_the_request() {
    let socket = of_flows(&Kernel::new(), 1);
    socket.send(&create(0, 5)).unwrap();
    assert_eq!(socket.receive_now().unwrap().len(), 36);
    socket.set_cap_ack(false);
    let request = create(0, 5);
    socket.send(&request).unwrap();
    let answer = socket.receive_now().unwrap();
    assert_eq!(answer[20..], request);
}

proptest::proptest! {
    /// No request breaks anything, and the existing flows can still be read.
    #[test]
    fn any_bytes_can_be_sent(
        kinds in proptest::collection::vec((0_u16..8, 0_u16..0x700, proptest::prelude::any::<u64>()), 1..20),
        noise in proptest::collection::vec(proptest::prelude::any::<(u16, u8)>(), 0..30),
    ) {
        for release in ["4.19", "5.10", "6.18"] {
            let kernel = Kernel::release(release).unwrap().labels(true).build();
            let socket = of_flows(&kernel, 3);
            for (kind, flags, seed) in &kinds {
                let subsystem = if seed & 1 == 0 { 0x0100 } else { 0x0200 };
                let mut bytes = create(*kind, 9);
                bytes[4..6].copy_from_slice(&(subsystem | kind).to_ne_bytes());
                bytes[6..8].copy_from_slice(&(flags | NLM_F_REQUEST).to_ne_bytes());
                for (place, value) in &noise {
                    let place = 16 + usize::from(*place) % (bytes.len() - 16);
                    bytes[place] = *value;
                }
                socket.send(&bytes).unwrap();
                drain(&socket);
            }
            kernel.flows();
        }
    }
}
