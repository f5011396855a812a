//! Tests of decoding events.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample;

use super::*;
use crate::flow::Tuple;
use crate::flow::tests::{arbitrary, message};
#[cfg(target_endian = "little")]
use crate::wire::golden::{replies, reply};
use crate::{DecodeError, ErrorKind};

/// The event message for a flow.
fn event(flow: &Flow, kind: u16, flags: u16, port: u32) -> Vec<u8> {
    let mut bytes = message(flow);
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..8].copy_from_slice(&flags.to_ne_bytes());
    bytes[12..16].copy_from_slice(&port.to_ne_bytes());
    bytes
}

fn udp() -> Flow {
    let tuple = Tuple::udp("10.0.0.1:1".parse().unwrap(), "10.0.0.2:2".parse().unwrap()).unwrap();
    Flow::new(tuple, tuple.inverse())
}

proptest! {
    #[test]
    fn type_and_flags_tell_the_kind(flow in arbitrary::flow(), port: u32) {
        let port_id = Some(port).filter(|port| *port != 0);
        let nsid = None;
        for (kind, flags, expected) in [
            (0x0100, 0x600, Event::New { flow: flow.clone(), port_id, nsid }),
            (0x0100, 0, Event::Update { flow: flow.clone(), port_id, nsid }),
            (0x0102, 0, Event::Destroy { flow: flow.clone(), port_id, nsid }),
        ] {
            let read = Event::from_message(&event(&flow, kind, flags, port)).unwrap();
            prop_assert_eq!(&read, &expected);
            prop_assert_eq!(read.flow(), Some(&flow));
            prop_assert_eq!(read.port_id(), port_id);
            prop_assert_eq!(read.time(), flow.event_timestamp().copied());
        }
    }

    /// What was in the place of an event, whole or half decoded, is not part of the next one.
    #[test]
    fn an_event_replaces_what_was_there(
        flows in vec(arbitrary::flow(), 2),
        kinds in vec((sample::select(vec![0x0100_u16, 0x0102, 0x0200, 0x0202]), any::<bool>()), 2),
        cut in any::<sample::Index>(),
    ) {
        let messages: Vec<_> = flows.iter().zip(&kinds)
            .map(|(flow, (kind, is_new))| event(flow, *kind, if *is_new { 0x600 } else { 0 }, 1))
            .collect();
        let mut place = Event::blank();
        let mut first = messages[0].clone();
        for _ in 0..2 {
            for message in [&first, &messages[1]] {
                let frame = Frame::first(message).unwrap().unwrap();
                let read = place.read(&frame, Some(3));
                prop_assert_eq!(read.map(|()| place.clone()), Event::decode(&frame, Some(3)));
            }
            first.truncate(20 + cut.index(first.len() - 19));
            let len = u32::try_from(first.len()).unwrap();
            first[..4].copy_from_slice(&len.to_ne_bytes());
        }
    }

    #[test]
    fn any_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        if let Err(error) = Event::from_message(&bytes) {
            prop_assert_eq!(error.kind(), ErrorKind::Decode);
            prop_assert_eq!(error.bytes(), Some(&bytes[..]));
        }
    }

    /// After the header, to change attributes.
    #[test]
    fn any_attributes_never_panic(bytes in vec(any::<u8>(), 0..400), flags: u16, delete: bool) {
        let mut message = vec![0; 20];
        message.extend(bytes);
        let len = u32::try_from(message.len()).unwrap();
        message[..4].copy_from_slice(&len.to_ne_bytes());
        let kind = if delete { IPCTNL_MSG_CT_DELETE } else { IPCTNL_MSG_CT_NEW };
        message[4..6].copy_from_slice(&kind.to_ne_bytes());
        message[6..8].copy_from_slice(&flags.to_ne_bytes());
        let _ = Event::from_message(&message).map(|event| format!("{event} {event:#}"));
    }

    #[test]
    fn damaged_events_never_panic(
        flow in arbitrary::flow(),
        flips in vec((0.0..1.0_f64, 0u8..8), 1..6),
        part in 0.0..1.0_f64,
    ) {
        let mut bytes = event(&flow, IPCTNL_MSG_CT_DELETE, 0, 1);
        for (at, bit) in flips {
            let at = (bytes.len() as f64 * at) as usize;
            bytes[at] ^= 1 << bit;
        }
        let _ = Event::from_message(&bytes);
        let _ = Event::from_message(&bytes[..(bytes.len() as f64 * part) as usize]);
    }
}

#[test]
fn what_is_no_event_is_told() {
    for kind in [0x0101, 0x0103, 2, 0x0a00] {
        let error = Event::from_message(&event(&udp(), kind, 0, 0)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        let cause = error.decode_error();
        assert!(matches!(cause, Some(DecodeError::NoEvent { kind: told }) if *told == kind));
    }
}

#[test]
fn kinds_are_groups() {
    let groups = |kinds: EventKinds| kinds.groups().collect::<Vec<_>>();
    assert_eq!(groups(EventKinds::default()), [1, 2, 3]);
    assert_eq!(groups(EventKinds::NEW), [1]);
    assert_eq!(groups(EventKinds::UPDATE), [2]);
    assert_eq!(groups(EventKinds::DESTROY), [3]);
    assert_eq!(groups(EventKinds::EXPECTATIONS), [4, 6]);
    assert_eq!(groups(EventKinds::all()), [1, 2, 3, 4, 6]);
    assert_eq!(groups(EventKinds::empty()), [0; 0]);
}

/// The messages of the kernel, as conntrack(8) would print them.
#[cfg(target_endian = "little")]
#[test]
fn recorded_events() {
    let line = |name| Event::from_message(&reply(name)).unwrap().to_string();
    for (name, word) in [
        ("new_tcp", "    [NEW] tcp      6 "),
        ("update_tcp", " [UPDATE] tcp      6 "),
        ("destroy", "[DESTROY] "),
    ] {
        assert!(line(name).starts_with(word), "{}", line(name));
    }
    let events =
        replies().filter(|(name, _)| name.starts_with("new_") || name.starts_with("update"));
    for (name, _) in events {
        let event = Event::from_message(&reply(name)).unwrap();
        assert_eq!(event.nsid(), None);
        let alternate = format!("{event:#}");
        let time = event.time().map_or("", |_| "[");
        assert!(alternate.starts_with(time), "{alternate}");
    }
}

#[test]
fn the_line_of_an_event() {
    let mut flow = udp();
    flow.id = Some(7.into());
    let event = Event::Update {
        flow,
        port_id: Some(31151),
        nsid: None,
    };
    assert_eq!(
        event.to_string(),
        " [UPDATE] udp      17 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 [UNREPLIED] src=10.0.0.2 \
         dst=10.0.0.1 sport=2 dport=1 [USERSPACE] portid=31151"
    );
    assert_eq!(
        format!("{event:#}"),
        " [UPDATE] ipv4     2 udp      17 src=10.0.0.1 dst=10.0.0.2 sport=1 dport=2 [UNREPLIED] \
         src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1 id=7 [USERSPACE] portid=31151"
    );
    let mut flow = udp();
    let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_micros(1_700_000_000_000_042);
    flow.set_event_timestamp(Some(time));
    let event = Event::New {
        flow,
        port_id: None,
        nsid: None,
    };
    assert_eq!(
        format!("{event:#}"),
        "[1700000000.000042]\t    [NEW] ipv4     2 udp      17 src=10.0.0.1 dst=10.0.0.2 sport=1 \
         dport=2 [UNREPLIED] src=10.0.0.2 dst=10.0.0.1 sport=2 dport=1"
    );
    assert_eq!(
        Event::Overrun { lost: 834 }.to_string(),
        "[OVERRUN] lost=834"
    );
}
