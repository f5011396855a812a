//! Adapts netlink-proto to our datagrams: a packet that is a whole exchange, and a codec that
//! cannot fail.
//!
//! netlink-proto maintains a map entry, a channel and a list entry for each message. Here one of
//! its messages stands for all requests of a datagram, so that this cost comes once per datagram
//! and not once per request.

use std::convert::Infallible;
use std::fmt::Debug;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use netlink_packet_core::{
    NetlinkDeserializable, NetlinkHeader, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use netlink_proto::NetlinkMessageCodec;

use super::socket::ControlSocket;
use crate::transport::window::MOST;
use crate::wire::message::{Frame, Request};
use crate::wire::uapi::*;

pub(super) type Message = NetlinkMessage<Packet>;
pub(super) type Connection = netlink_proto::Connection<Packet, ControlSocket, Codec>;

/// The payload of a netlink-proto message.
#[derive(Debug)]
pub(super) enum Packet {
    /// The requests of a datagram, without sequence numbers.
    Out(Vec<u8>),
    /// Messages that answer the requests.
    In(Bytes),
}

/// The parts of a request's sequence number: the number that netlink-proto gave the exchange, the
/// index of the request in the exchange, and whether it is the last one. The verdict on the last
/// request ends the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Number {
    pub(super) exchange: u32,
    pub(super) index: usize,
    is_last: bool,
}

const INDEX: u32 = MOST as u32;
const LAST: u32 = INDEX;
const EXCHANGE: u32 = 2 * INDEX;

impl Number {
    /// The largest exchange number for netlink-proto. The other half of the numbers is for single
    /// requests.
    pub(super) const EXCHANGES: u32 = u32::MAX / EXCHANGE / 2;

    pub(super) fn new(exchange: u32, index: usize, count: usize) -> Self {
        Self {
            exchange,
            index,
            is_last: index + 1 == count,
        }
    }

    pub(super) fn of(seq: u32) -> Self {
        Self {
            exchange: seq / EXCHANGE,
            index: (seq % INDEX) as usize,
            is_last: seq & LAST != 0,
        }
    }

    pub(super) fn seq(self) -> u32 {
        let last = if self.is_last { LAST } else { 0 };
        // The index is below INDEX, because that is the maximum number of requests in a datagram.
        self.exchange * EXCHANGE + last + self.index as u32
    }
}

impl Packet {
    /// The message that carries these requests.
    pub(super) fn out(requests: Vec<u8>) -> Message {
        let mut header = NetlinkHeader::default();
        // REQUEST makes netlink-proto expect an answer. Without the ACK flag, it takes the first
        // message without MULTI as the last one. The codec clears MULTI only for the message with
        // the verdict on the last request.
        header.flags = NLM_F_REQUEST;
        Message::new(header, NetlinkPayload::InnerMessage(Self::Out(requests)))
    }
}

impl NetlinkSerializable for Packet {
    /// Not used: the requests have their own headers.
    fn message_type(&self) -> u16 {
        NLMSG_NOOP
    }

    fn buffer_len(&self) -> usize {
        match self {
            Self::Out(requests) => requests.len(),
            Self::In(_) => 0,
        }
    }

    fn serialize(&self, datagram: &mut [u8]) {
        if let Self::Out(requests) = self {
            datagram.copy_from_slice(requests);
        }
    }
}

impl NetlinkDeserializable for Packet {
    type Error = Infallible;

    /// `messages` are whole, as [`Codec`] hands them over.
    fn deserialize(_: &NetlinkHeader, messages: &[u8]) -> Result<Self, Infallible> {
        Ok(Self::In(Bytes::copy_from_slice(messages)))
    }
}

/// Numbers the requests of a datagram, and splits received bytes into exchanges.
pub(super) struct Codec;

impl NetlinkMessageCodec for Codec {
    fn decode<T>(src: &mut BytesMut) -> io::Result<Option<NetlinkMessage<T>>>
    where
        T: NetlinkDeserializable + Debug,
    {
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_MULTI;
        let mut len = 0;
        for frame in Frame::all(src) {
            let number = Number::of(frame.seq);
            if len > 0 && number.exchange != header.sequence_number {
                break;
            }
            header.sequence_number = number.exchange;
            len += frame.stride();
            if frame.is_verdict_of(frame.seq) && number.is_last {
                header.flags = 0;
            }
        }
        if len == 0 {
            // It is unknown which request this answers. The lane ends all requests that are left
            // without an answer.
            src.clear();
            return Ok(None);
        }
        let len = len.min(src.len());
        let inner = T::deserialize(&header, &src[..len]).map_err(io::Error::other)?;
        src.advance(len);
        let payload = NetlinkPayload::InnerMessage(inner);
        Ok(Some(NetlinkMessage::new(header, payload)))
    }

    fn encode<T>(message: NetlinkMessage<T>, datagram: &mut BytesMut) -> io::Result<()>
    where
        T: NetlinkSerializable + Debug,
    {
        if let NetlinkPayload::InnerMessage(requests) = &message.payload {
            datagram.resize(requests.buffer_len(), 0);
            requests.serialize(datagram);
            let exchange = message.header.sequence_number;
            Request::number(datagram, |index, is_last| {
                let number = Number {
                    exchange,
                    index,
                    is_last,
                };
                number.seq()
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request::new(IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL, AF_INET)
            .with(|w| w.put(CTA_MARK, &7_u32))
    }

    fn sent(exchange: u32, requests: Vec<Request>) -> BytesMut {
        let mut bytes = Vec::new();
        for request in requests {
            request.append_to(&mut bytes);
        }
        let mut message = Packet::out(bytes);
        message.header.sequence_number = exchange;
        message.finalize();
        let mut datagram = BytesMut::new();
        Codec::encode(message, &mut datagram).unwrap();
        datagram
    }

    /// netlink-proto writes the number of the exchange, and the codec the rest.
    #[test]
    fn requests_leave_as_they_were_made() {
        let get = || Request::new(IPCTNL_MSG_CT_GET, 0, AF_INET);
        let seq = |index| Number::new(3, index, 3).seq();
        let mut silent = request().finish(seq(0));
        silent[6..8].copy_from_slice(&(NLM_F_REQUEST | NLM_F_CREATE | NLM_F_EXCL).to_ne_bytes());
        assert_eq!(
            sent(3, vec![request(), get(), request()]),
            [silent, get().finish(seq(1)), request().finish(seq(2))].concat()
        );
    }

    #[test]
    fn a_number_tells_exchange_and_index() {
        for exchange in [1, 2, 77, 2 * Number::EXCHANGES] {
            for count in [1, 2, MOST] {
                for index in 0..count {
                    let number = Number::new(exchange, index, count);
                    assert_eq!(Number::of(number.seq()), number);
                    assert_eq!(number.is_last, index + 1 == count);
                }
            }
        }
    }

    fn decoded(datagram: &[u8]) -> Vec<Message> {
        let mut rest = BytesMut::from(datagram);
        std::iter::from_fn(|| Codec::decode(&mut rest).unwrap()).collect()
    }

    fn ack(number: Number) -> Vec<u8> {
        let mut ack = vec![0; 36];
        ack[0] = 36;
        ack[4..6].copy_from_slice(&NLMSG_ERROR.to_ne_bytes());
        ack[8..12].copy_from_slice(&number.seq().to_ne_bytes());
        ack
    }

    /// The verdict on the last request ends an exchange, and no other does.
    #[test]
    fn answers_come_an_exchange_at_a_time() {
        let acks = |exchange| (0..2).map(move |index| ack(Number::new(exchange, index, 2)));
        let found = decoded(&acks(1).chain(acks(2).take(1)).collect::<Vec<_>>().concat());
        let found: Vec<_> = found
            .into_iter()
            .map(|message| match message.payload {
                NetlinkPayload::InnerMessage(Packet::In(bytes)) => {
                    let header = message.header;
                    (header.sequence_number, header.flags, bytes.len())
                }
                _ => panic!("no answers"),
            })
            .collect();
        assert_eq!(found, [(1, 0, 72), (2, NLM_F_MULTI, 36)]);
    }

    proptest::proptest! {
        #[test]
        fn no_datagram_ends_the_connection(bytes in proptest::collection::vec(0u8.., 0..200)) {
            decoded(&bytes);
        }
    }
}
