//! The settings of the namespace, from /proc.

use std::fs;
use std::os::unix::fs::MetadataExt;

use tokio::sync::oneshot;

use crate::error::{Error, Result};
use crate::preflight::Facts;
use crate::transport::netns::Namespace;

/// The inode of the initial user namespace (PROC_USER_INIT_INO).
const INITIAL_USER_NAMESPACE: u64 = 0xefff_fffd;

/// The values in the files.
#[derive(Debug, Default)]
struct Settings {
    initial_user_namespace: Option<bool>,
    accounting: Option<u64>,
    timestamps: Option<u64>,
    events: Option<u64>,
    rmem_max: Option<u64>,
    buckets: Option<u64>,
    tcp_be_liberal: Option<u64>,
    tcp_loose: Option<u64>,
}

/// Reads on a new thread, because files may block, and /proc shows the namespace of the thread that
/// reads.
pub(super) async fn read(namespace: &Namespace, facts: &mut Facts) -> Result<()> {
    let namespace = namespace.clone();
    let (sender, settings) = oneshot::channel();
    std::thread::Builder::new()
        .name("ctnetlink-preflight".into())
        .spawn(move || {
            // A setting that cannot be read is unknown.
            let settings = namespace.within(Settings::read).unwrap_or_default();
            // If the send fails, the caller was dropped.
            let _ = sender.send(settings);
        })
        .map_err(|cause| Error::io("starting a thread", cause))?;
    settings.await.unwrap_or_default().tell(facts);
    Ok(())
}

impl Settings {
    fn read() -> Self {
        let conntrack = |name: &str| number(&format!("netfilter/nf_conntrack_{name}"));
        let user = fs::metadata("/proc/thread-self/ns/user");
        Self {
            initial_user_namespace: user.ok().map(|file| file.ino() == INITIAL_USER_NAMESPACE),
            accounting: conntrack("acct"),
            timestamps: conntrack("timestamp"),
            events: conntrack("events"),
            rmem_max: number("core/rmem_max"),
            buckets: conntrack("buckets"),
            tcp_be_liberal: conntrack("tcp_be_liberal"),
            tcp_loose: conntrack("tcp_loose"),
        }
    }

    fn tell(self, facts: &mut Facts) {
        let is_on = |number: Option<u64>| number.map(|number| number != 0);
        facts.initial_user_namespace = self.initial_user_namespace;
        facts.accounting = is_on(self.accounting);
        facts.timestamps = is_on(self.timestamps);
        facts.events = self.events.and_then(|mode| mode.try_into().ok());
        facts.rmem_max = self.rmem_max;
        facts.buckets = self.buckets;
        facts.tcp_be_liberal = is_on(self.tcp_be_liberal);
        facts.tcp_loose = is_on(self.tcp_loose);
    }
}

fn number(name: &str) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/sys/net/{name}"));
    text.ok()?.trim().parse().ok()
}
