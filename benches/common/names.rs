//! The keys of the flows in the table, in an order that is the same for all programs.

use std::time::Instant;

use ctnetlink::{ConntrackHandle, FlowKey};
use futures::TryStreamExt;

use super::message::{self, Message, Received};
use super::process::Outcome;
use super::raw::Raw;

/// The order in which requests name the flows: the number of places from one to the next.
pub type Stride = usize;

/// The order of a list, which is the order of the kernel's table.
pub const AS_LISTED: Stride = 1;
/// An order far from the kernel's, so that the next flow is not in the CPU's cache.
pub const SHUFFLED: Stride = 7919;

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

    /// Appends the request that sets the flow's mark to this number. The number is also the
    /// sequence number.
    pub fn set_mark(&self, out: &mut Vec<u8>, flags: u16, number: u32) {
        let mut request = Message::new(out, message::NEW, flags, number, self.family);
        request.copy(&self.tuple);
        if let Some(zone) = self.zone {
            request.put(message::ZONE, &zone.to_be_bytes());
        }
        request.put(message::MARK, &number.to_be_bytes());
    }

    /// Appends the request that gets the flow, with this sequence number.
    pub fn get(&self, out: &mut Vec<u8>, number: u32) {
        let mut request = Message::new(out, message::GET, 0, number, self.family);
        request.copy(&self.tuple);
        if let Some(zone) = self.zone {
            request.put(message::ZONE, &zone.to_be_bytes());
        }
    }
}

/// The keys of all flows.
pub fn names(socket: &mut Raw, stride: Stride) -> Vec<Name> {
    let mut names = Vec::new();
    socket.dump(
        |_| {},
        |datagram| names.extend(message::messages(datagram).map(|flow| Name::new(&flow))),
    );
    ordered(names, stride)
}

/// The same keys in the type of the crate.
pub async fn keys(handle: &ConntrackHandle, stride: Stride) -> Vec<FlowKey> {
    let flows = handle.list(ctnetlink::Table::Conntrack).await;
    let keys = flows.expect("a list").map_ok(|flow| FlowKey::from(&flow));
    ordered(keys.try_collect().await.expect("flows"), stride)
}

/// Marks all flows, each after the ACK for the one before. The messages are made beforehand, so
/// this measures only the kernel.
pub fn mark_one_by_one(stride: Stride) -> Outcome {
    let mut socket = Raw::open();
    let messages = (1..).zip(names(&mut socket, stride)).map(|(number, name)| {
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

fn ordered<T>(listed: Vec<T>, stride: Stride) -> Vec<T> {
    let len = listed.len();
    let mut places: Vec<_> = listed.into_iter().map(Some).collect();
    let stride = if len % stride == 0 { 1 } else { stride };
    let order = (0..len).map(|index| index * stride % len);
    order.filter_map(|index| places[index].take()).collect()
}
