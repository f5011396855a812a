//! Counts the bytes to and from each destination, as flows end.
//!
//! `sudo sysctl net.netfilter.nf_conntrack_{acct,timestamp}=1 && sudo cargo run --example accounting`; Ctrl-C prints the sums.
//!
//! The ends of flows are read from their own stream, which is reliable: events that have no room
//! are repeated, so that no byte is missed. An end can then come twice, so the program remembers
//! the ends that it has counted. The other events are read from another stream, which may lose
//! some.

#[macro_use]
#[path = "common/println.rs"]
mod println;

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::SystemTime;

use ctnetlink::{Event, EventKinds, Flow, FlowId};
use futures::TryStreamExt;

/// The number of ends to remember. A repeated event comes soon.
const REMEMBERED: usize = 100_000;

/// Identifies the end of a flow. The kernel may reuse an id, so this includes the start time.
type End = (FlowId, SystemTime);

#[derive(Default)]
struct Sums {
    bytes: HashMap<IpAddr, u64>,
    counted: HashSet<End>,
    oldest: VecDeque<End>,
}

impl Sums {
    fn add(&mut self, flow: &Flow) {
        // Without timestamps, a repeated end looks like a second flow, and counts twice.
        if let Some(end) = flow.id.zip(flow.timestamp().map(|times| times.start)) {
            if !self.counted.insert(end) {
                return;
            }
            self.oldest.push_back(end);
            if self.oldest.len() > REMEMBERED {
                self.oldest.pop_front().map(|end| self.counted.remove(&end));
            }
        }
        let both = [flow.counters_orig, flow.counters_reply];
        let bytes: u64 = both.iter().flatten().map(|counters| counters.bytes).sum();
        *self.bytes.entry(flow.orig.dst()).or_default() += bytes;
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let handle = ctnetlink::connect().await?;
    let mut ends = handle
        .events()
        .kinds(EventKinds::DESTROY)
        .reliable()
        .await?;
    let mut begins = handle.events().kinds(EventKinds::NEW).await?;
    let mut sums = Sums::default();
    let mut begun = 0;
    let mut stop = std::pin::pin!(tokio::signal::ctrl_c());
    loop {
        tokio::select! {
            ended = &mut stop => {
                ended?;
                break;
            }
            event = ends.try_next() => match event? {
                Some(Event::Destroy { flow, .. }) => sums.add(&flow),
                Some(_) => {} // What was lost comes again.
                None => break,
            },
            event = begins.try_next() => match event? {
                Some(Event::New { .. }) => begun += 1,
                Some(Event::Overrun { lost }) => eprintln!("{lost} new flows were not seen"),
                Some(_) => {}
                None => break,
            },
        }
    }
    println!("{begun} flows began");
    for (destination, bytes) in &sums.bytes {
        println!("{destination} {bytes} bytes");
    }
    Ok(())
}
