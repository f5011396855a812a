//! Names of labels: conntrack(8) accepts only names, and nft(8) has its own file.

use std::fs;

use ctnetlink::LabelMap;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::tool::nft;

/// Other files that conntrack(8) reads.
const KEPT: [&str; 2] = ["/etc/protocols", "/etc/ld.so.cache"];

/// Gives this thread and its child processes an `/etc` where label n has the name `label<n>`.
pub fn name_all_labels() {
    let names: String = (0..128).map(|bit| format!("{bit} label{bit}\n")).collect();
    own_etc(&[("/etc/xtables/connlabel.conf", &names)]);
}

/// Gives this thread and its child processes an `/etc` with these files.
pub fn own_etc(files: &[(&str, &str)]) {
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
    fs::create_dir("/etc/xtables").expect("/etc/xtables");
    for (path, content) in files {
        fs::write(path, content).expect(path);
    }
}

/// The names in the file of nft(8) are the names that nft(8) uses. conntrack(8) reads another file.
pub async fn labels_of_nft_are_those_of_its_file() {
    let names = "# names\n\n0 zero\n1\tone\n  2   two  \n3 three # why\n0x10 hex\n127 last\n";
    own_etc(&[
        ("/etc/xtables/connlabel.conf", "0 other\n9 nine\n"),
        ("/etc/connlabel.conf", names),
    ]);
    let map = LabelMap::from_path("/etc/connlabel.conf").expect("the names");
    nft("add table ip t");
    let shown = |label: &str| {
        nft("add chain ip t c");
        nft(&format!("add rule ip t c ct label {label}"));
        let listed = nft("list chain ip t c");
        nft("delete chain ip t c");
        let rule = listed.lines().find(|line| line.contains("ct label"));
        rule.expect("the rule").trim().to_owned()
    };
    let mut named = 0;
    for bit in 0..128u8 {
        let by_number = shown(&bit.to_string());
        match map.name(bit) {
            Some(name) => {
                assert_eq!(by_number, format!("ct label \"{name}\""));
                assert_eq!(shown(name), by_number);
                assert_eq!(map.bit(name), Some(bit));
                named += 1;
            }
            None => assert_eq!(by_number, format!("ct label {bit}")),
        }
    }
    assert_eq!(named, 6);
    // conntrack(8) reads the other file. We do too, if it exists.
    let load = LabelMap::load().expect("the names");
    assert_eq!((load.name(0), load.name(9)), (Some("other"), Some("nine")));
    fs::remove_file("/etc/xtables/connlabel.conf").expect("to remove it");
    assert_eq!(LabelMap::load().expect("the names"), map);
}
