//! The name of the process behind a netlink port. The kernel uses the process id as the port of the
//! process's first socket.

use std::collections::HashMap;
use std::sync::Mutex;

/// Each port is looked up once. Reading /proc for every event would cost more than everything else.
static KNOWN: Mutex<Option<HashMap<u32, Option<String>>>> = Mutex::new(None);

/// The maximum number of remembered ports.
const MOST: usize = 4096;

pub(crate) fn of_port(port: u32) -> Option<String> {
    let mut known = KNOWN
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    let known = known.get_or_insert_default();
    if known.len() >= MOST {
        known.clear();
    }
    known.entry(port).or_insert_with(|| look(port)).clone()
}

fn look(port: u32) -> Option<String> {
    by_id(port).or_else(|| by_inode(port))
}

fn by_id(process: u32) -> Option<String> {
    let name = std::fs::read_to_string(format!("/proc/{process}/comm")).ok()?;
    Some(name.trim_end().to_owned())
}

/// Searches the files of all processes for the socket's inode.
fn by_inode(port: u32) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/netlink").ok()?;
    let inode = table.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        // A netfilter socket with this port.
        let found = words.get(1) == Some(&"12") && words.get(2)?.parse() == Ok(port);
        found.then(|| words.last().copied()).flatten()
    })?;
    let wanted = format!("socket:[{inode}]");
    let processes = std::fs::read_dir("/proc").ok()?.flatten();
    let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut holders = ids.filter(|id| {
        let files = std::fs::read_dir(format!("/proc/{id}/fd"));
        files.is_ok_and(|files| {
            let mut targets = files
                .flatten()
                .filter_map(|file| file.path().read_link().ok());
            targets.any(|target| target.as_os_str() == wanted.as_str())
        })
    });
    by_id(holders.next()?)
}
