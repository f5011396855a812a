//! Conversions to and from the messages of netlink-packet-netfilter.

use netlink_packet_core::{NetlinkBuffer, ParseableParametrized};
use netlink_packet_netfilter::conntrack::{ConntrackAttribute, ConntrackMessage};

use super::message;
use crate::flow::*;
use crate::wire::golden::{bytes, replies};

const HEADERS: usize = 20;

/// The message as that crate reads it from the socket.
fn theirs(message: &[u8]) -> ConntrackMessage {
    let kind = NetlinkBuffer::new(message).message_type() as u8;
    ConntrackMessage::parse_with_param(&message[HEADERS..], kind).expect("their reading")
}

fn flows() -> impl Iterator<Item = (&'static str, Vec<u8>)> {
    replies()
        .map(|(name, text)| (name, bytes(text)))
        .filter(|(_, message)| message[5] == 1)
}

#[test]
fn a_flow_is_read_from_their_message() {
    for (name, message) in flows() {
        assert_eq!(
            Flow::try_from(&theirs(&message)).unwrap(),
            Flow::from_message(&message).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn their_message_is_made_from_a_flow() {
    for (name, bytes) in flows() {
        let flow = Flow::from_message(&bytes).unwrap();
        let made = ConntrackMessage::try_from(&flow).unwrap();
        assert_eq!(made, theirs(&message(&flow)), "{name}");
        assert_eq!(Flow::try_from(&made).unwrap(), flow, "{name}");
        let ConntrackMessage::New(attributes) = made else {
            panic!("{name}: {made:?}");
        };
        let mark = attributes.iter().find_map(|attribute| match attribute {
            ConntrackAttribute::CtaMark(mark) => Some(*mark),
            _ => None,
        });
        assert_eq!(mark, flow.mark, "{name}");
    }
}

#[test]
fn a_message_without_tuples_is_no_flow() {
    let empty = ConntrackMessage::New(Vec::new());
    let error = Flow::try_from(&empty).unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::Decode);
}
