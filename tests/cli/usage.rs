//! Bad command lines, without a kernel.

use crate::run::{Side, run};

/// Command lines, and their error messages.
const REFUSED: &[(&str, &str)] = &[
    ("-L foo", "unknown type `foo'"),
    ("-L -L", "Invalid commands combination"),
    ("-D -L", "Invalid commands combination"),
    ("-V -L", "Invalid commands combination"),
    ("-X", "unknown option `-X'"),
    ("--xyz", "unknown option `--xyz'"),
    ("--d", "unknown option `--d'"),
    ("-L --mask 1", "unknown option `--mask'"),
    ("-L --sport 5", "unknown option `--sport'"),
    ("-L --src", "option `--src' requires an argument"),
    ("-L -s", "option `-s' requires an argument"),
    ("-Vx", "unknown option `-Vx'"),
    ("-R", "unknown option `-R'"),
    ("-L -R x", "unknown option `-R'"),
    (
        "-R /nonexistent",
        "Failed to open file /nonexistent for reading",
    ),
    ("-L -p foo", "`foo' unsupported protocol"),
    ("-L -p 256", "`256' unsupported protocol"),
    ("-L -p Ospf", "`Ospf' unsupported protocol"),
    ("-L -f ipv5", "`ipv5' unsupported protocol"),
    ("-L -p tcp --state foo", "unknown TCP state `foo'"),
    (
        "-L -p tcp --state established",
        "unknown TCP state `established'",
    ),
    ("-L -p dccp --state FOO", "Unknown DCCP state `FOO'"),
    (
        "-L -p dccp --role client",
        "Illegal option `--role' with this command",
    ),
    (
        "-L -p sctp --orig-vtag 1",
        "Illegal option `--orig-vtag' with this command",
    ),
    ("-L -s foo", "Invalid IP address `foo'"),
    ("-L -s 10.3.0.0/33", "Invalid netmask"),
    ("-L -s 10.3.0.0/x", "Invalid netmask"),
    (
        "-L -r 10.4.0.0/24",
        "CIDR notation unavailable for `--reply-src'",
    ),
    ("-L -s 10.3.0.1 -d fd00::1", "mismatched address family"),
    ("-L -f ipv4 -s fd00::1", "mismatched address family"),
    (
        "-L --mask-src 255.255.255.0",
        "Can't use --mask-src without --src",
    ),
    ("-L -n 10.5.0.1:x", "Invalid port `x'"),
    ("-L -n 10.5.0.1:99999", "Invalid port `99999'"),
    ("-L -n :77", "Invalid IP address `'"),
    (
        "-L -j -n",
        "cannot specify `--src-nat' or `--dst-nat' with `--any-nat'",
    ),
    ("-L -u FOO", "Bad parameter `FOO'"),
    ("-L -u ASSURED,FOO", "Bad parameter `FOO'"),
    ("-L -o foo", "Bad parameter `foo'"),
    ("-L -o extended,,id", "Bad parameter `,id'"),
    ("-E -e FOO", "Bad parameter `FOO'"),
    ("-L -i 5", "Illegal option `--id' with this command"),
    ("-L -t 5", "Illegal option `--timeout' with this command"),
    (
        "-L -b 5",
        "Illegal option `--buffer-size' with this command",
    ),
    ("-C -p tcp", "Illegal option `--protonum' with this command"),
    ("-D -j", "Illegal option `--any-nat' with this command"),
    ("-U -w 5", "Illegal option `--zone' with this command"),
    (
        "-G -p tcp -s 10.0.0.1 -d 10.0.0.2 -w 5",
        "Illegal option `--zone' with this command",
    ),
    (
        "-L -z -s 10.3.0.1",
        "Can't use -z with filtering parameters",
    ),
    (
        "-D dying",
        "Can't do that command with tables `dying' and `unconfirmed'",
    ),
    ("-A expect", "Can't do --add on expectations"),
    ("-U expect", "Can't do --update on expectations"),
    (
        "-G",
        "You need to supply the `--protonum' option for this command",
    ),
    ("-G -p tcp", "you have to specify `--src' and `--dst'"),
    (
        "-G -p tcp -s 10.0.0.1 -d 10.0.0.2",
        "you have to specify `--sport' and `--dport'",
    ),
    (
        "-G -p gre -s 10.0.0.1 -d 10.0.0.2",
        "you have to specify `--srckey' and `--dstkey'",
    ),
    (
        "-G -p icmp -s 10.0.0.1 -d 10.0.0.2",
        "You need to supply the `--icmp-type' option for this command",
    ),
    (
        "-I -p tcp",
        "You need to supply the `--timeout' option for this command",
    ),
    (
        "-I -p tcp -t 5 -s 10.0.0.1 -d 10.0.0.2",
        "You need to supply the `--state' option for this command",
    ),
    (
        "-I expect",
        "You need to supply the `--src' option for this command",
    ),
    (
        "-D expect -s 1.2.3.4 -d 1.2.3.5 -p tcp",
        "You need to supply the `--sport' option for this command",
    ),
];

const MORE: &str = "Try `conntrack -h' or 'conntrack --help' for more information.";

/// Each is refused with this message and exit code 2.
pub fn refused() {
    for (line, words) in REFUSED {
        let shown = run(Side::Ours, "conntrack", line);
        let expected = format!("conntrack v1.4.7 (conntrack-tools): {words}\n{MORE}\n");
        assert_eq!((shown.stderr, shown.code), (expected, Some(2)), "{line}");
        assert_eq!(shown.stdout, "", "{line}");
    }
    for line in [
        "-L --where foo=1",
        "-L --where mark",
        "-L --where not(mark=1",
    ] {
        let shown = run(Side::Ours, "conntrack", line);
        assert_eq!(shown.code, Some(2), "{line}");
        assert!(
            shown.stderr.contains("Bad condition `"),
            "{line}: {}",
            shown.stderr
        );
    }
}

/// The messages and the help equal those of the tool.
pub fn equal() {
    let helps = ["", "-h", "foo", "-V", "-h expect", "-V expect"];
    let protocols = [
        "tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "gre", "89", "200",
    ];
    let protocols = protocols.map(|name| format!("-h -p {name}"));
    let lines = REFUSED.iter().map(|(line, _)| *line).chain(helps);
    for line in lines.chain(protocols.iter().map(|line| &line[..])) {
        let (theirs, ours) = (
            run(Side::Theirs, "conntrack", line),
            run(Side::Ours, "conntrack", line),
        );
        assert_eq!(theirs, ours, "{line}");
    }
}
