//! Every command with every option, beside conntrack(8).

use crate::differences;
use crate::normal::normal;
use crate::population;
use crate::run::{Shown, Side, run};
use crate::support::namespace;

/// Each option with a value that some flows meet, and one that none or other flows do.
const CONDITIONS: &[&str] = &[
    "",
    "-s 10.3.0.1",
    "-s 10.3.0.0/28",
    "-s fd00:3::/64",
    "-s 10.3.0.0 --mask-src 255.255.0.255",
    "-d 10.4.0.3",
    "-d 10.4.0.0/29",
    "-d 10.4.0.9 --mask-dst 255.255.255.7",
    "-r 10.4.0.18",
    "-q 10.3.0.18",
    "-s 10.3.0.1 -d 10.4.0.1",
    "-s 10.3.0.17 -d 10.4.0.17 -r 10.4.0.18 -q 10.3.0.18",
    "-p tcp",
    "-p udp",
    "-p udplite",
    "-p sctp",
    "-p dccp",
    "-p icmp",
    "-p icmpv6",
    "-p gre",
    "-p 89",
    "-p ospf",
    "-p tcp --sport 1",
    "-p tcp --dport 3",
    "-p tcp --state ESTABLISHED",
    "-p tcp --state LISTEN",
    "-p udp --reply-port-src 2",
    "-p udp --reply-port-dst 77",
    "-p udp --sport 1 --dport 2 --reply-port-src 3 --reply-port-dst 4",
    "-p udplite --sport 1",
    "-p sctp --state ESTABLISHED",
    "-p sctp --sport 1 --state CLOSED",
    "-p sctp --orig-vtag 5",
    "-p sctp --reply-vtag 6",
    "-p icmp --icmp-type 8",
    "-p icmp --icmp-type 13 --icmp-code 0 --icmp-id 78",
    "-p icmpv6 --icmpv6-type 128",
    "-p icmpv6 --icmpv6-id 10",
    "-p gre --srckey 5",
    "-p gre --srckey 0x5 --dstkey 9 --reply-key-src 9 --reply-key-dst 5",
    "-f ipv4",
    "-f ipv6",
    "-f ipv6 -p udp",
    "-m 5",
    "-m 0x5/0xf",
    "-m 0",
    "-m 16/3",
    "-u ASSURED",
    "-u SEEN_REPLY,ASSURED",
    "-u UNREPLIED",
    "-u '!ASSURED'",
    "-u '!ASSURED,SEEN_REPLY'",
    "-u FIXED_TIMEOUT",
    "-u EXPECTED",
    "-u OFFLOAD",
    "-u ASSURED -u SEEN_REPLY",
    "-u SRC_NAT,ASSURED",
    "-n",
    "-n 10.5.0.1",
    "-n 10.5.0.1:77",
    "-n 10.5.0.1:78",
    "-n '[fd00:5::1]:1'",
    "-g",
    "-g 10.5.0.2",
    "-g 10.5.0.2:78",
    "-n -g",
    "-n 10.5.0.3 -g 10.5.0.4",
    "-j",
    "-j 10.5.0.2",
    "-j 10.5.0.3",
    "-w 50",
    "-w 0",
    "-w 53 -p udp",
    "--orig-zone 51",
    "--reply-zone 52",
    "--zone 51",
    "-l label3",
    "-l label3,label100",
    "-l label3 -l label100",
    "-l label4",
    "-c 5",
    "-i 5",
    "-t 3600",
    "-z",
    "-e NEW",
    "-b 100",
    "--tuple-src 10.0.0.1",
    "--label-add label5",
    "--label-del",
    "-a 10.0.0.1",
];

const OUTPUTS: &[&str] = &[
    "",
    "-o extended",
    "-o id",
    "-o labels",
    "-o timestamp",
    "-o ktimestamp",
    "-o userspace",
    "-o save",
    "-o xml",
    "-o extended,id",
    "-o ext,lab,k",
    "-o xml,labels",
    "-o xml,ktimestamp,id",
    "-o xml -o extended",
    "-o id,save",
];

/// Each command that changes nothing, with each condition and with each form of output.
pub fn reading() {
    population::prepare();
    population::fill();
    let mut unequal = Vec::new();
    for command in ["-L", "-L dying", "-L unconfirmed", "-C", "-S", "-V"] {
        for condition in CONDITIONS {
            compare(&format!("{command} {condition}"), &mut unequal, || {});
        }
        for output in OUTPUTS {
            compare(&format!("{command} {output}"), &mut unequal, || {});
        }
    }
    for condition in CONDITIONS {
        compare(&format!("-G {condition}"), &mut unequal, || {});
        compare(&format!("-L -p udp -m 0 {condition}"), &mut unequal, || {});
    }
    for key in KEYS {
        for output in OUTPUTS {
            compare(&format!("-G {key} {output}"), &mut unequal, || {});
        }
    }
    for (acct, stamps) in [("0", "0"), ("1", "0"), ("0", "1")] {
        namespace::sysctl("nf_conntrack_acct", acct).expect("nf_conntrack_acct");
        namespace::sysctl("nf_conntrack_timestamp", stamps).expect("nf_conntrack_timestamp");
        population::fill();
        for output in OUTPUTS {
            compare(&format!("-L {output}"), &mut unequal, || {});
        }
    }
    none(unequal);
}

/// Whole tuples, of all protocols.
const KEYS: &[&str] = &[
    "-p tcp -s 10.3.0.1 -d 10.4.0.1 --sport 1 --dport 2",
    "-p tcp -s 10.3.0.1 -d 10.4.0.1 --sport 1 --dport 3",
    "-p tcp -s 10.3.0.1 -d 10.4.0.1 --sport 1 --dport 2 --state CLOSE",
    "-p tcp -s 10.3.0.1 -d 10.4.0.1 --sport 1 --dport 2 -i 5",
    "-p tcp -s 10.3.0.1 -d 10.4.0.1",
    "-p tcp -s fd00:3::1 -d fd00:4::1 --sport 1 --dport 2",
    "-p udp -s 10.3.0.21 -d 10.4.0.21 --sport 1 --dport 2",
    "-p udp -s 10.3.0.21 -d 10.4.0.21 --sport 1 --dport 2 -l label3",
    "-p udplite -s 10.3.0.7 -d 10.4.0.7 --sport 1 --dport 2",
    "-p sctp -s 10.3.0.8 -d 10.4.0.8 --sport 1 --dport 2",
    "-p icmp -s 10.3.0.10 -d 10.4.0.10 --icmp-type 8 --icmp-code 0 --icmp-id 77",
    "-p icmp -s 10.3.0.10 -d 10.4.0.10 --icmp-type 8",
    "-p icmpv6 -s fd00:3::3 -d fd00:4::3 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 9",
    "-p gre -s 10.3.0.12 -d 10.4.0.12 --srckey 5 --dstkey 9",
    "-p gre -s 10.3.0.12 -d 10.4.0.12 --srckey 5",
    "-p 89 -s 10.3.0.13 -d 10.4.0.13",
    "-p 89 -s 10.3.0.13 -d 10.4.0.14",
];

/// Each command that changes the table, with each condition, and what it leaves behind.
pub fn changing() {
    population::prepare();
    let mut unequal = Vec::new();
    for condition in CONDITIONS {
        compare(&format!("-D {condition}"), &mut unequal, population::fill);
        compare(&format!("-F {condition}"), &mut unequal, population::fill);
        compare(
            &format!("-U -s 10.3.0.1 -m 9 {condition}"),
            &mut unequal,
            population::fill,
        );
        compare(
            &format!("-I -s 10.7.0.1 -d 10.7.0.2 -t 100 -p 89 {condition}"),
            &mut unequal,
            population::fill,
        );
    }
    for output in OUTPUTS {
        compare(
            &format!("-D -p tcp {output}"),
            &mut unequal,
            population::fill,
        );
        compare(
            &format!("-U -s 10.3.0.1 -m 9 {output}"),
            &mut unequal,
            population::fill,
        );
    }
    for change in UPDATES {
        compare(&format!("-U {change}"), &mut unequal, population::fill);
    }
    for key in KEYS {
        for command in ["-I", "-A"] {
            compare(
                &format!("{command} -t 100 {key}"),
                &mut unequal,
                population::fill,
            );
        }
        compare(&format!("-D {key}"), &mut unequal, population::fill);
    }
    for new in NEW {
        for command in ["-I", "-A"] {
            compare(&format!("{command} {new}"), &mut unequal, population::fill);
        }
    }
    none(unequal);
}

const UPDATES: &[&str] = &[
    "-s 10.3.0.1 -t 77",
    "-s 10.3.0.1 -m 5",
    "-s 10.3.0.1 -m 0xf0/0xf",
    "-s 10.3.0.1 -m 6/0",
    "-s 10.3.0.2 -u ASSURED",
    "-s 10.3.0.2 -u UNSET",
    "-s 10.3.0.1 -u ASSURED",
    "-s 10.3.0.2 -u SEEN_REPLY,ASSURED,FIXED_TIMEOUT",
    "-s 10.3.0.1 -p tcp --state CLOSE",
    "-s 10.3.0.1 -p tcp --state ESTABLISHED",
    "-s 10.3.0.8 -p sctp --state CLOSED --orig-vtag 5 --reply-vtag 6",
    "-s 10.3.0.21 --label-add label7",
    "-s 10.3.0.21 --label-add label3",
    "-s 10.3.0.21 --label-del label3",
    "-s 10.3.0.21 --label-del",
    "-s 10.3.0.21 --label-del label9",
    "-s 10.3.0.77 -m 1",
    "-d 10.4.0.3 -m 1",
    "-f ipv6 -p icmpv6 -m 3",
    "",
];

const NEW: &[&str] = &[
    "",
    "-p tcp",
    "-p tcp -t 100",
    "-t 100 -p tcp -s 10.7.0.1 -d 10.7.0.2 --state CLOSE",
    "-t 100 -p tcp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 --state CLOSE",
    "-t 100 -p tcp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 --state LISTEN",
    "-t 100 -p tcp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 --state NONE -u ASSURED",
    "-t 100 -p tcp -r 10.7.0.1 -q 10.7.0.2 --reply-port-src 1 --reply-port-dst 2 --state CLOSE",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -m 7/3",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -w 9",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 --orig-zone 9",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 --reply-zone 9",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -w 9 --orig-zone 9",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -u EXPECTED",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -u OFFLOAD",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -n",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -n 10.7.0.9",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -n 10.7.0.9:99",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -g 10.7.0.9:99",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -n 10.7.0.9 -g 10.7.0.8:9",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -n 10.7.0.9 -r 10.7.0.2 -q 10.7.0.7",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -n fd00::1",
    "-t 100 -p udp -s fd00::1 -d fd00::2 --sport 1 --dport 2 -g '[fd00::9]:77'",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 --label-add label9",
    "-t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -l label9",
    "-t 100 -p udp -s 10.7.0.1 -d fd00::2 --sport 1 --dport 2",
    "-t 100 -p udp -s 10.7.0.1/24 -d 10.7.0.2 --sport 1 --dport 2",
    "-t 100 -p udplite -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2",
    "-t 100 -p sctp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 --state CLOSED",
    "-t 100 -p sctp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 --state CLOSED --orig-vtag 1 --reply-vtag 2",
    "-t 100 -p dccp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 --state OPEN",
    "-t 100 -p dccp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 --state OPEN --role client",
    "-t 100 -p icmp -s 10.7.0.1 -d 10.7.0.2 --icmp-type 8 --icmp-code 0",
    "-t 100 -p icmp -s 10.7.0.1 -d 10.7.0.2 --icmp-type 3 --icmp-code 0",
    "-t 100 -p icmp -s 10.7.0.1 -d 10.7.0.2 --icmp-type 8",
    "-t 100 -p icmpv6 -s fd00::1 -d fd00::2 --icmpv6-type 128 --icmpv6-code 0 --icmpv6-id 7",
    "-t 100 -p gre -s 10.7.0.1 -d 10.7.0.2 --srckey 7 --dstkey 8",
    "-t 100 -p gre -s 10.7.0.1 -d 10.7.0.2",
    "-t 100 -p 89 -s 10.7.0.1 -d 10.7.0.2 -a 10.0.0.1",
    "-t x -p 89 -s 10.7.0.1 -d 10.7.0.2",
    "-t -1 -p 89 -s 10.7.0.1 -d 10.7.0.2",
    "-t 100 -p 89 -s 10.7.0.1 -d 10.7.0.2 -o xml",
    "-t 100 -p 89 -s 10.7.0.1 -d 10.7.0.2 -n 10.7.0.5:5",
];

/// The commands on expectations, with each option.
pub fn expectations() {
    population::prepare();
    let fill = || {
        population::fill();
        for line in [
            "-I -p udp -s 10.0.0.1 -d 10.0.0.2 --sport 1000 --dport 69 -t 3600",
            "-F expect",
        ] {
            run(Side::Theirs, "conntrack", line);
        }
    };
    let mut unequal = Vec::new();
    for command in ["-L", "-C", "-S", "-G", "-D", "-F", "-I", "-A", "-U"] {
        for condition in CONDITIONS.iter().chain(OUTPUTS) {
            compare(&format!("{command} expect {condition}"), &mut unequal, fill);
        }
    }
    none(unequal);
}

fn none(unequal: Vec<String>) {
    assert!(
        unequal.is_empty(),
        "{} command lines differ:\n{}",
        unequal.len(),
        unequal.join("\n")
    );
}

/// Runs both on a table that `fill` makes; what they show and what they leave has to be the same,
/// unless it is meant to differ.
fn compare(line: &str, unequal: &mut Vec<String>, fill: impl Fn()) {
    let line = line.trim();
    if differences::reason(line).is_some() {
        return;
    }
    let one = |side| {
        fill();
        let shown = normal(&run(side, "conntrack", line));
        (shown, left())
    };
    let (theirs, ours) = (one(Side::Theirs), one(Side::Ours));
    if theirs == ours {
        return;
    }
    eprintln!("{line}\n{}", differ(&theirs, &ours));
    unequal.push(format!("{line}\n{}", differ(&theirs, &ours)));
}

/// The table, and how many expectations there are.
pub fn left() -> Shown {
    normal(&run(Side::Theirs, "conntrack", "-L"))
}

fn differ(theirs: &(Shown, Shown), ours: &(Shown, Shown)) -> String {
    let lines = |it: &(Shown, Shown)| -> Vec<String> {
        let (shown, left) = it;
        let parts = [&shown.stdout, &shown.stderr, &left.stdout];
        let names = ["stdout", "stderr", "left"];
        let lines = parts
            .into_iter()
            .zip(names)
            .flat_map(|(text, name)| text.lines().map(move |line| format!("{name}: {line}")));
        lines
            .chain([format!("exit code: {:?}", shown.code)])
            .collect()
    };
    let (theirs, ours) = (lines(theirs), lines(ours));
    let gone = theirs.iter().filter(|line| !ours.contains(line));
    let new = ours.iter().filter(|line| !theirs.contains(line));
    let gone = gone.map(|line| format!("  theirs {line}\n"));
    gone.chain(new.map(|line| format!("  ours   {line}\n")))
        .collect()
}
