//! Counts the bytes that went to and came from each destination, as flows end.
//!
//! `sudo sysctl net.netfilter.nf_conntrack_{acct,timestamp}=1 && sudo cargo run --example accounting`; Ctrl-C prints the sums.
//!
//! The ends of flows have a stream of their own, and a reliable one: what has no room comes again, so that no
//! byte is missed. They can then come twice, hence the set of those that were counted. The other kinds have another
//! stream, which may lose some.

use std::collections::{HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::time::SystemTime;

use ctnetlink::{Event, EventKinds, Flow, FlowId};
use futures::TryStreamExt;

/// How many ends are remembered: a repeated one comes soon.
const REMEMBERED: usize = 100_000;

/// One end of one flow: the id alone may be used again, so it takes the time at which the flow began.
type End = (FlowId, SystemTime);

#[derive(Default)]
struct Sums {
    bytes: HashMap<IpAddr, u64>,
    counted: HashSet<End>,
    oldest: VecDeque<End>,
}

impl Sums {
    fn add(&mut self, flow: &Flow) {
        // Without timestamps an end that comes twice cannot be told from two: it counts twice.
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
