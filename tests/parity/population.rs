//! A table with flows of every kind, from requests, conntrack(8) and real traffic.

mod ours;
mod theirs;
mod traffic;

use std::fs;

use ctnetlink::ConntrackHandle;

use crate::support::namespace::sysctl;
use crate::support::nft;

/// Keeps the traffic's sockets open.
pub struct Population {
    /// The number of flows made by requests and by the tool. The table has at least as many.
    pub made: usize,
    _traffic: traffic::Open,
}

/// Fills the table of this thread's namespace.
pub async fn populate(handle: &ConntrackHandle) -> Population {
    slow_clocks();
    nft::labels().expect("a rule that uses labels");
    nft::track().expect("a rule that tracks");
    let ours = ours::create(handle).await;
    let theirs = theirs::insert();
    let traffic = traffic::start().await;
    Population {
        made: ours + theirs,
        _traffic: traffic,
    }
}

/// [`populate`] without traffic: only requests change the table.
pub async fn populate_by_requests(handle: &ConntrackHandle) {
    nft::labels().expect("a rule that uses labels");
    ours::create(handle).await;
    theirs::insert();
}

/// Flows from traffic must not time out during a test.
fn slow_clocks() {
    let directory = "/proc/sys/net/netfilter";
    for entry in fs::read_dir(directory).expect(directory).flatten() {
        let name = entry.file_name();
        let name = name.to_str().expect("a name");
        if name.contains("_timeout") && !name.contains("frag6") {
            sysctl(name, "3600").expect(name);
        }
    }
}
