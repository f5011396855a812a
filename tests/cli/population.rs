//! A table of all kinds of flows.

use std::fs;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::run::{Side, fed, run};
use crate::support::nft;

/// The flows, as lines that `-R` reads.
const FLOWS: &str = "\
-I -t 3600 -s 10.3.0.1 -d 10.4.0.1 -p tcp --sport 1 --dport 2 --state ESTABLISHED -u SEEN_REPLY,ASSURED -m 5
-I -t 3600 -s 10.3.0.2 -d 10.4.0.2 -p tcp --sport 1 --dport 2 --state SYN_SENT -m 4294967295
-I -t 3600 -s 10.3.0.3 -d 10.4.0.3 -p udp --sport 1 --dport 2 -w 50
-I -t 3600 -s 10.3.0.4 -d 10.4.0.4 -p udp --sport 1 --dport 2 --orig-zone 51
-I -t 3600 -s 10.3.0.5 -d 10.4.0.5 -p udp --sport 1 --dport 2 --reply-zone 52
-I -t 3600 -s 10.3.0.6 -d 10.4.0.6 -p udp --sport 1 --dport 2 -u FIXED_TIMEOUT
-I -t 3600 -s 10.3.0.7 -d 10.4.0.7 -p udplite --sport 1 --dport 2 -m 0x10
-I -t 3600 -s 10.3.0.8 -d 10.4.0.8 -p sctp --sport 1 --dport 2 --state ESTABLISHED --orig-vtag 5 --reply-vtag 6
-I -t 3600 -s 10.3.0.10 -d 10.4.0.10 -p icmp --icmp-type 8 --icmp-code 0 --icmp-id 77
-I -t 3600 -s 10.3.0.11 -d 10.4.0.11 -p icmp --icmp-type 13 --icmp-code 0 --icmp-id 78
-I -t 3600 -s 10.3.0.12 -d 10.4.0.12 -p gre --srckey 5 --dstkey 9
-I -t 3600 -s 10.3.0.13 -d 10.4.0.13 -p 89
-I -t 3600 -s 10.3.0.14 -d 10.4.0.14 -p udp --sport 1 --dport 2 --src-nat 10.5.0.1:77
-I -t 3600 -s 10.3.0.15 -d 10.4.0.15 -p udp --sport 1 --dport 2 --dst-nat 10.5.0.2:78
-I -t 3600 -s 10.3.0.16 -d 10.4.0.16 -p udp --sport 1 --dport 2 --src-nat 10.5.0.3 --dst-nat 10.5.0.4
-I -t 3600 -s 10.3.0.17 -d 10.4.0.17 -r 10.4.0.18 -q 10.3.0.18 -p udp --sport 1 --dport 2 --reply-port-src 3 --reply-port-dst 4
-I -t 3600 -s 10.3.0.21 -d 10.4.0.21 -p udp --sport 1 --dport 2 --label-add label3,label100
-I -t 3600 -s fd00:3::1 -d fd00:4::1 -p tcp --sport 1 --dport 2 --state CLOSE_WAIT -u SEEN_REPLY
-I -t 3600 -s fd00:3::2 -d fd00:4::2 -p udp --sport 1 --dport 2 -w 53 -m 5
-I -t 3600 -s fd00:3::3 -d fd00:4::3 -p icmpv6 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9
-I -t 3600 -s fd00:3::4 -d fd00:4::4 -p udp --sport 1 --dport 2 --src-nat fd00:5::1
-I -t 3600 -s fd00:3::5 -d fd00:4::5 -p gre --srckey 0 --dstkey 0
";

/// Sets names for the labels, and rules that make room for them.
pub fn prepare() {
    name_all_labels();
    nft::labels().expect("a rule with labels");
}

/// Fills the table with our program, because conntrack(8) 1.4.7 crashes on labels in a file for
/// `-R`.
pub fn fill() {
    let emptied = run(Side::Theirs, "conntrack", "-F");
    assert_eq!(emptied.code, Some(0), "{}", emptied.stderr);
    let filled = fed(Side::Ours, "-R -", FLOWS);
    assert_eq!((filled.code, &filled.stderr[..]), (Some(0), ""));
}

/// The number of these flows.
pub fn count() -> usize {
    FLOWS.lines().count()
}

/// Gives this thread and its child processes an `/etc` where label n has the name `label<n>`.
fn name_all_labels() {
    let kept = ["/etc/protocols", "/etc/ld.so.cache"].map(|path| (path, fs::read(path)));
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
