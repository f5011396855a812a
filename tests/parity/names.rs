//! Names for the labels: conntrack(8) knows labels by name alone.

use std::fs;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// What conntrack(8) reads, beside the file of names.
const KEPT: [&str; 2] = ["/etc/protocols", "/etc/ld.so.cache"];

/// Gives this thread, and what it starts, an `/etc` in which label n is named `label<n>`.
pub fn name_all_labels() {
    let kept = KEPT.map(|path| (path, fs::read(path)));
    unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace");
    let none = None::<&str>;
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).expect("to keep mounts from the other namespaces");
    mount(none, "/etc", Some("tmpfs"), MsFlags::empty(), none).expect("an /etc of our own");
    for (path, content) in kept {
        if let Ok(content) = content {
            fs::write(path, content).expect(path);
        }
    }
    let names: String = (0..128).map(|bit| format!("{bit} label{bit}\n")).collect();
    fs::create_dir("/etc/xtables").expect("/etc/xtables");
    fs::write("/etc/xtables/connlabel.conf", names).expect("connlabel.conf");
}
