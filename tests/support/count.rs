//! Counts the resources of this process, for tests of leaks.

use std::collections::HashSet;
use std::fs;

/// Open file descriptors, without the one that this look takes itself.
pub fn open_fds() -> usize {
    entries("/proc/self/fd") - 1
}

/// Threads. One that has been joined can be counted for a moment yet: poll.
pub fn threads() -> usize {
    entries("/proc/self/task")
}

/// Threads whose name begins with `prefix`. The kernel keeps 15 bytes of a name.
pub fn threads_named(prefix: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task")
        .expect("/proc/self/task")
        .flatten();
    // A thread may end between the two reads.
    tasks
        .flat_map(|task| fs::read_to_string(task.path().join("comm")))
        .filter(|name| name.starts_with(prefix))
        .count()
}

/// Bound netlink sockets of this process that are in the network namespace of this thread.
pub fn netlink_sockets() -> usize {
    let table =
        fs::read_to_string("/proc/thread-self/net/netlink").expect("/proc/thread-self/net/netlink");
    let inodes: HashSet<_> = table
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    let fds = fs::read_dir("/proc/self/fd")
        .expect("/proc/self/fd")
        .flatten();
    fds.flat_map(|fd| fs::read_link(fd.path()))
        .filter_map(|target| {
            Some(
                target
                    .to_str()?
                    .strip_prefix("socket:[")?
                    .strip_suffix(']')?
                    .to_owned(),
            )
        })
        .filter(|inode| inodes.contains(inode.as_str()))
        .count()
}

fn entries(directory: &str) -> usize {
    fs::read_dir(directory).expect(directory).count()
}
