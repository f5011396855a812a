//! Tests the fake kernel with raw bytes, for cases that no lane reaches: queues, events, batches,
//! bad input.

mod bytes;
mod queues;
mod releases;

use super::{FakeSocket, Kernel};
use crate::flow::{NewFlow, Tuple};
use crate::wire::attr::Writer;
use crate::wire::message::{Frame, Request};
use crate::wire::uapi::*;

fn tuple(n: u16) -> Tuple {
    let [high, low] = n.to_be_bytes();
    let src = std::net::SocketAddr::new([10, 1, high, low].into(), 4000);
    Tuple::udp(src, "10.2.0.1:53".parse().unwrap()).unwrap()
}

/// The request that creates a flow, with an ACK.
fn create(n: u16, seq: u32) -> Vec<u8> {
    let flow = NewFlow::new(tuple(n), std::time::Duration::from_secs(60));
    let flags = NLM_F_CREATE | NLM_F_EXCL;
    let request = Request::new(IPCTNL_MSG_CT_NEW, flags, AF_INET);
    acked(request.with(|w: &mut Writer<'_>| flow.encode(w)), seq)
}

fn acked(request: Request, seq: u32) -> Vec<u8> {
    let mut bytes = request.finish(seq);
    bytes[6] |= NLM_F_ACK as u8;
    bytes
}

/// Receives everything that is queued: sequence number, type, and the errno of a verdict.
fn drain(socket: &FakeSocket) -> Vec<(u32, u16, Option<i32>)> {
    let mut seen = Vec::new();
    while let Ok(datagram) = socket.receive_now() {
        seen.extend(Frame::all(&datagram).map(|frame| {
            let verdict = frame.verdict().map(|verdict| verdict.errno);
            (frame.seq, frame.kind, verdict)
        }));
    }
    seen
}
