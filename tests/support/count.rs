//! Counts the resources of this process, for tests of leaks.

use std::collections::HashSet;
use std::fs;

/// The open file descriptors, without the one that the count itself needs.
pub fn open_fds() -> usize {
    entries("/proc/self/fd") - 1
}

/// The threads. A thread that was joined may still be counted for a moment, so poll.
pub fn threads() -> usize {
    entries("/proc/self/task")
}

/// The threads whose names begin with `prefix`. The kernel keeps 15 bytes of a name.
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

/// The bound netlink sockets of this process in the network namespace of this thread.
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
