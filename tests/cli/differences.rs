//! Intended differences from conntrack(8) 1.4.7, and the reasons.

use crate::normal::normal;
use crate::population;
use crate::run::{Side, run};

struct Difference {
    /// The command lines begin with one of these words,
    commands: &'static [&'static str],
    /// and contain one word of each of these lists.
    words: &'static [&'static [&'static str]],
    reason: &'static str,
    /// A command line that shows the difference.
    shown: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        commands: &["-F"],
        words: &[&["-f "]],
        reason: "conntrack(8) empties the table of both families, whichever is named",
        shown: "-F -f ipv6",
    },
    Difference {
        commands: &["-L"],
        words: &[&["-p sctp"], &["--state FOO"]],
        reason: "conntrack(8) ends by a segmentation fault",
        shown: "-L -p sctp --state FOO",
    },
    Difference {
        commands: &["-L", "-D"],
        words: &[&["-p gre"], &["key"]],
        reason: "conntrack(8) compares no keys: it shows, and deletes, all flows of GRE",
        shown: "-D -p gre --srckey 5",
    },
    Difference {
        commands: &["-D"],
        words: &[&["-u '!", "-u UNREPLIED"]],
        reason: "conntrack(8) looks at the bits that have to be set alone, and deletes the others too",
        shown: "-D -u UNREPLIED",
    },
    Difference {
        commands: &["-L"],
        words: &[&["-u '!ASSURED,SEEN_REPLY'", "-u ASSURED -u SEEN_REPLY"]],
        reason: "conntrack(8) asks for bits that its own mask leaves out, and never finds a flow",
        shown: "-L -u '!ASSURED,SEEN_REPLY'",
    },
    Difference {
        commands: &["-L", "-U"],
        words: &[&["-m "], &["-u "]],
        reason: "conntrack(8) takes the number of the status for that of the mark; 1.4.8 does not",
        shown: "-U -s 10.3.0.1 -m 9 -u ASSURED",
    },
    Difference {
        commands: &["-L"],
        words: &[&["-m ", "-p ", "-s "], &["-j 1"]],
        reason: "conntrack(8) finds nothing by the address of any NAT with a second condition",
        shown: "-L -m 0 -j 10.5.0.2",
    },
    Difference {
        commands: &["-U"],
        words: &[&["-s 10.3.0.0/28", "-d 10.4.0.3"]],
        reason: "conntrack(8) does not find the flows of a zone again, and misses others after them",
        shown: "-U -d 10.4.0.3 -m 1",
    },
    Difference {
        commands: &["-U"],
        words: &[&["-n ", "-p icmp -m"]],
        reason: "conntrack(8) sends what the kernel does not take from an update",
        shown: "-U -p icmp -m 7",
    },
    Difference {
        commands: &["-U"],
        words: &[&["-u EXPECTED", "-u OFFLOAD"]],
        reason: "no request can set them; conntrack(8) counts such a flow as updated",
        shown: "-U -s 10.3.0.1 -u OFFLOAD",
    },
    Difference {
        commands: &["-I", "-A"],
        words: &[
            &["-n 10.7.0.9 ", "-g 10.7.0.9 "],
            &["-q 10.7.0.77", "-r 10.7.0.77", "--reply-port-dst 3"],
        ],
        reason: "with NAT the reply is the kernel's to make; conntrack(8) makes flows whose replies \
                 are not those of the translation",
        shown: "-I -t 100 -p udp -s 10.7.0.1 -d 10.7.0.2 --sport 1 --dport 2 -g 10.7.0.9 \
                -q 10.7.0.77 --reply-port-src 78 --reply-port-dst 3",
    },
    Difference {
        commands: &["-I", "-A"],
        words: &[&["-r 10.7.0.1 -q 10.7.0.2 --sport"]],
        reason: "conntrack(8) makes a flow of protocol 0",
        shown: "-I -t 100 -p udp -r 10.7.0.1 -q 10.7.0.2 --sport 35 --dport 36",
    },
    Difference {
        commands: &["-L", "-D", "-G", "-U", "-I", "-A", "-E"],
        words: &[&["-p "], &["--proto udp --sp "]],
        reason: "conntrack(8) takes the options of a protocol twice when it is named twice, and then knows \
                 them by their whole names alone",
        shown: "-L -p udp --proto udp --sp 1",
    },
];

/// The reason why the two programs are not compared.
pub fn reason(line: &str) -> Option<&'static str> {
    let meant = |difference: &&Difference| {
        let mut commands = difference.commands.iter();
        let mut words = difference.words.iter();
        commands.any(|command| line.starts_with(command))
            && words.all(|words| words.iter().any(|word| line.contains(word)))
    };
    let found = DIFFERENCES.iter().find(meant);
    found.map(|difference| difference.reason)
}

/// A difference that no longer exists must be removed from the table.
pub fn still_there() {
    population::prepare();
    for Difference {
        shown, reason: why, ..
    } in DIFFERENCES
    {
        assert_eq!(reason(shown), Some(*why), "{shown}");
        let one = |side| {
            population::fill();
            (
                normal(&run(side, "conntrack", shown)),
                crate::matrix::left(),
            )
        };
        assert_ne!(one(Side::Theirs), one(Side::Ours), "{shown}");
    }
}
