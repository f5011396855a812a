//! Compares `examples/nfct` with nfct(8).

use crate::run::{Shown, Side, command, run, words};
use crate::support::namespace;

/// These run one after the other on the same state.
const LINES: &str = "

help
list
list foo
list timeout
list timeout x
timeout list
list helper
list helper x
version list
list version
ver list
version
version x
v x
x v
-V
help x
list help
foo timeout
timeout foo
'' timeout
list ''
LIST timeout
lists timeout
list timeouts
add timeout
add timeout a
add timeout a inet
add timeout a inet tcp
add timeout b inet tcp SYN_SENT
add timeout b inet tcp foo 5
add timeout b inet TCP foo 5
add timeout b inet tcp SYN_SENT 5 established 6
add timeout b inet tcp CLOSE 7
add timeout b inet udp REPLIED 7
add timeout c inet6 udp REPLIED 0x5
add timeout d inet udp unreplied x
add timeout d inet udp unreplied 010
list timeout
get timeout b
get timeout zz
get timeout
get timeout a b
delete timeout
delete timeout a
delete timeout b c
add timeout e ipx tcp
add timeout e INET tcp
add timeout e inet foo
add timeout e inet 6
add timeout e inet generic TIMEOUT 77
add timeout f inet icmp TIMEOUT 5
add timeout g inet6 icmpv6 timeout 5
add timeout g2 inet ICMPV6 timeout 5
add timeout g3 inet6 ipv6-icmp timeout 5
add timeout h inet sctp CLOSED 5 COOKIE_WAIT 6
add timeout i inet dccp REQUEST 5
add timeout i inet dccp foo 5
add timeout j inet udplite UNREPLIED 5
add timeout k inet gre UNREPLIED 5 replied 6
add timeout l inet ospf
add timeout l inet ospf TIMEOUT 5
add timeout m inet TCP SYN_SENT2 5 RETRANS 7 UNACKNOWLEDGED 8
add timeout r inet tcp SYN_SENT 0
add timeout u inet tcp SYN_RECV 5 SYN_RECV 6
add timeout w inet tcp FIN_WAIT 1 CLOSE_WAIT 2 LAST_ACK 3 TIME_WAIT 4 CLOSE 5
add timeout x inet sctp COOKIE_ECHOED 1 ESTABLISHED 2 SHUTDOWN_SENT 3 SHUTDOWN_RECD 4 SHUTDOWN_ACK_SENT 5
add timeout nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn inet tcp CLOSE 5
list timeout
get timeout h
delete timeout h
get timeout h
flush timeout x
flush timeout
list timeout
a t v inet tcp close 7
l ti
g t v
d t v
de timeout v
def timeout
dis timeout
e timeout
t l
a
a t
default-get timeout
default-get timeout inet
default-get timeout inet tcp
default-get timeout inet tcp x
default-get timeout inet6 udp
default-get timeout inet generic
default-get timeout inet icmp
default-get timeout inet6 icmpv6
default-get timeout inet sctp
default-get timeout inet dccp
default-get timeout inet gre
default-get timeout inet udplite
default-get timeout inet ospf
default-get timeout inet foo
default-get timeout foo tcp
default-set timeout
default-set timeout inet
default-set timeout inet tcp
default-set timeout inet tcp ESTABLISHED
default-set timeout inet udp foo 5
default-set timeout inet tcp ESTABLISHED 100 CLOSE 5
default-get timeout inet tcp
default-set timeout inet generic TIMEOUT 55
default-get timeout inet generic
default-set timeout inet6 icmp TIMEOUT 55
default-set timeout foo icmp TIMEOUT 55
disable timeout x
add helper
add helper ftp inet
add helper ftp inet tcp
add helper ftp inet tcp x
add helper foo inet tcp
add helper ftp inet udp
add helper ftp inet foo
add helper ftp foo tcp
add helper amanda inet udp
add helper rpc inet6 udp
add helper ssdp inet tcp
delete helper
delete helper ftp
delete helper ftp inet
delete helper ftp inet tcp
delete helper ftp inet tcp x
delete helper ftp foo
delete helper ftp inet foo
get helper
get helper ftp
get helper ftp inet tcp
get helper ftp inet tcp x
flush helper
flush helper x
disable helper
disable helper ftp inet
disable helper ftp inet tcp
disable helper ftp inet tcp x
disable helper foo inet tcp
disable helper ftp inet foo
default-set helper
default-get helper
helper list
helper add ftp inet tcp";

/// Lines that differ on purpose, and the reason.
const DIFFERENCES: &[(&str, &str)] = &[
    (
        "add timeout nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn inet tcp CLOSE 5",
        "the kernel cuts a name short in silence; ours refuses it",
    ),
    (
        "add timeout q inet tcp SYN_SENT -5",
        "more seconds than the kernel can hold become few; ours refuses them",
    ),
    (
        "default-get timeout inet sctp",
        "nfct(8) does not know the states of heartbeats, which Linux has since 4.3",
    ),
];

/// A difference that no longer exists must be removed from the table.
pub fn differences() {
    for (line, reason) in DIFFERENCES {
        let one = |side| namespace::isolated(move || run(side, "nfct", line));
        assert_ne!(one(Side::Theirs), one(Side::Ours), "{line}: {reason}");
    }
}

/// Each side runs in its own namespace.
fn all(side: Side) -> Vec<(&'static str, Shown)> {
    namespace::isolated(move || {
        let lines = LINES.lines().skip(1);
        let one = |line| {
            let mut shown = run(side, "nfct", line);
            // See `DIFFERENCES`.
            let known = |line: &&str| !line.contains(".HEARTBEAT_");
            shown.stdout = shown.stdout.split_inclusive('\n').filter(known).collect();
            (line, shown)
        };
        lines.map(one).collect()
    })
}

/// The output of each line is the same.
pub fn beside() {
    for (theirs, ours) in all(Side::Theirs).into_iter().zip(all(Side::Ours)) {
        assert_eq!(theirs, ours);
    }
}

/// Only root has the right.
pub fn without_rights() {
    for line in [
        "list timeout",
        "add timeout x inet tcp close 4",
        "get timeout x",
        "delete timeout x",
        "flush timeout",
        "default-get timeout inet tcp",
        "default-set timeout inet tcp close 5",
        "list helper",
        "flush helper",
    ] {
        let one = |side| {
            let nobody = ["--bounding-set=-all", "--inh-caps=-all"];
            let program = command(side, "nfct");
            let mut command = std::process::Command::new("setpriv");
            let command = command.args(nobody).arg(program.get_program());
            let output = command.args(words(line)).output().expect("setpriv");
            (output.status.code(), String::from_utf8(output.stderr))
        };
        assert_eq!(one(Side::Theirs), one(Side::Ours), "{line}");
    }
}
