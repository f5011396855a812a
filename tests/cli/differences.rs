//! Where ours is meant to differ from conntrack(8) 1.4.7, and why.

use crate::normal::normal;
use crate::population;
use crate::run::{Side, run};

/// What a command line has in it, one of all words of each, and the reason.
const DIFFERENCES: &[(&[&str], &str)] = &[
    (
        &["-F ", "-f "],
        "conntrack(8) empties the table of both families, whichever is named",
    ),
    (
        &["-p sctp", "--state FOO"],
        "conntrack(8) ends by a segmentation fault",
    ),
];

/// The reason why the two are not compared.
pub fn reason(line: &str) -> Option<&'static str> {
    let found = DIFFERENCES
        .iter()
        .find(|(words, _)| words.iter().all(|word| line.contains(word)));
    found.map(|(_, reason)| *reason)
}

/// One command line for each, that shows it.
const SHOWN: &[&str] = &["-F -f ipv6", "-L -p sctp --state FOO"];

/// A difference that has gone is to leave the table.
pub fn still_there() {
    population::prepare();
    for line in SHOWN {
        assert!(reason(line).is_some(), "{line}");
        let one = |side| {
            population::fill();
            let shown = normal(&run(side, "conntrack", line));
            (shown, crate::matrix::left())
        };
        assert_ne!(one(Side::Theirs), one(Side::Ours), "{line}");
    }
    assert_eq!(SHOWN.len(), DIFFERENCES.len());
}
