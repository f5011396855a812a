//! What names the flows of the table in requests on them, in the order in which all programs ask for them.

use std::time::Instant;

use ctnetlink::{ConntrackHandle, FlowKey};
use futures::TryStreamExt;

use super::message::{self, Message, Received};
use super::process::Outcome;
use super::raw::Raw;

/// Not the order of the kernel's table, in which a walk finds the flows: it would find each beside the last.
pub const STRIDE: usize = 7919;

/// A flow's family, tuple and zone, as bytes.
pub struct Name {
    family: u8,
    tuple: Vec<u8>,
    pub zone: Option<u16>,
}

impl Name {
    fn new(flow: &Received<'_>) -> Self {
        let mut name = Self {
            family: flow.family(),
            tuple: Vec::new(),
            zone: None,
        };
        for (kind, attribute) in flow.attributes() {
            match kind {
                message::TUPLE_ORIG => name.tuple = attribute.to_vec(),
                message::ZONE => name.zone = Some(u16::from_be_bytes([attribute[4], attribute[5]])),
                _ => {}
            }
        }
        name
    }

    /// Appends the request to set the flow's mark to this number, under this number.
    pub fn set_mark(&self, out: &mut Vec<u8>, flags: u16, number: u32) {
        let mut request = Message::new(out, message::NEW, flags, number, self.family);
        request.copy(&self.tuple);
        if let Some(zone) = self.zone {
            request.put(message::ZONE, &zone.to_be_bytes());
        }
        request.put(message::MARK, &number.to_be_bytes());
    }
}

/// The names of all flows.
pub fn names(socket: &mut Raw) -> Vec<Name> {
    let mut names = Vec::new();
    socket.dump(
        |_| {},
        |datagram| names.extend(message::messages(datagram).map(|flow| Name::new(&flow))),
    );
    shuffled(names)
}

/// The same, as the crate names them.
pub async fn keys(handle: &ConntrackHandle) -> Vec<FlowKey> {
    let flows = handle.list(ctnetlink::Table::Conntrack).await;
    let keys = flows.expect("a list").map_ok(|flow| FlowKey::from(&flow));
    shuffled(keys.try_collect().await.expect("flows"))
}

/// Marks all flows, each when the one before is acknowledged. The messages are made beforehand: what remains is what
/// the kernel takes.
pub fn mark_one_by_one() -> Outcome {
    let mut socket = Raw::open();
    let messages = (1..).zip(names(&mut socket)).map(|(number, name)| {
        let mut bytes = Vec::new();
        name.set_mark(&mut bytes, message::ACK, number);
        (number, bytes)
    });
    let messages: Vec<_> = messages.collect();
    let start = Instant::now();
    for (number, message) in &messages {
        socket.send(message);
        socket.acknowledged(*number);
    }
    Outcome::new(start, messages.len())
}

fn shuffled<T>(ordered: Vec<T>) -> Vec<T> {
    let len = ordered.len();
    let mut places: Vec<_> = ordered.into_iter().map(Some).collect();
    let stride = if len % STRIDE == 0 { 1 } else { STRIDE };
    let order = (0..len).map(|index| index * stride % len);
    order.filter_map(|index| places[index].take()).collect()
}
