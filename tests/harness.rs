//! The command line of the tests' own harnesses.

// This binary uses a part of it, and exports nothing.
#![allow(dead_code, unreachable_pub)]

#[path = "support/harness.rs"]
mod harness;

use harness::Asked;

const NAMES: [&str; 4] = ["events::new", "events::gone", "bulk::new", "verbs::get"];

/// The tests that these arguments select.
fn asked(arguments: &[&str]) -> Vec<&'static str> {
    let program = std::iter::once(&"tests");
    let asked = Asked::of(program.chain(arguments).map(ToString::to_string).collect());
    NAMES.into_iter().filter(|name| asked.has(name)).collect()
}

#[test]
fn any_number_of_filters() {
    assert_eq!(asked(&[]), NAMES);
    assert_eq!(asked(&["events"]), ["events::new", "events::gone"]);
    assert_eq!(asked(&["bulk", "get"]), ["bulk::new", "verbs::get"]);
    assert_eq!(asked(&["bulk", "nothing"]), ["bulk::new"]);
    assert_eq!(asked(&["nothing", "else"]), [""; 0]);
}

#[test]
fn the_value_of_an_option_is_no_filter() {
    for option in [
        ["--test-threads", "2"],
        ["--skip", "verbs"],
        ["--format", "terse"],
        ["--color", "never"],
    ] {
        let [name, value] = option;
        assert_eq!(asked(&[name, value, "bulk"]), ["bulk::new"], "{option:?}");
    }
    assert_eq!(asked(&["--test-threads=2", "-q", "bulk"]), ["bulk::new"]);
    assert_eq!(asked(&["--", "bulk"]), ["bulk::new"]);
}

#[test]
fn exact_ones() {
    assert_eq!(asked(&["--exact", "bulk", "events::new"]), ["events::new"]);
}

/// libtest-mimic still reads the other arguments.
#[test]
fn those_that_are_not_asked_for_do_not_run() {
    use libtest_mimic::Trial;
    let trials = |names: &[&str]| -> Vec<Trial> {
        let trial = |name: &&str| Trial::test(*name, || Err("it ran".into()));
        names.iter().map(trial).collect()
    };
    let run = |arguments: &[&str], trials| {
        // These tests must fail, and their output would look like an unexpected failure.
        let quiet = ["--logfile", "/dev/null"];
        let arguments = arguments.iter().chain(&quiet).map(ToString::to_string);
        let code = Asked::of(arguments.collect()).run(trials);
        format!("{code:?}")
    };
    let good = format!("{:?}", std::process::ExitCode::SUCCESS);
    assert_eq!(run(&["tests", "one", "two"], trials(&["three"])), good);
    assert_ne!(run(&["tests", "one", "two"], trials(&["two"])), good);
    let skipped = run(&["tests", "one", "two", "--skip", "two"], trials(&["two"]));
    assert_eq!(skipped, good);
}
