//! Compares `examples/conntrack` and `examples/nfct` with the original programs: the same command
//! line gives the same stdout, stderr and exit code.
//!
//! The examples are compiled into this binary, which starts itself under their names. Each test
//! runs in a fresh network namespace. Comparisons are skipped without the tools or without
//! namespaces; `CTNETLINK_TEST_STRICT=1` makes that a failure.

// A test binary exports nothing.
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

#[path = "../../examples/conntrack/main.rs"]
#[allow(dead_code)]
mod conntrack;

#[path = "../../examples/nfct/main.rs"]
#[allow(dead_code)]
mod nfct;

mod beyond;
mod cases;
mod differences;
mod events;
mod expecting;
mod load;
mod matrix;
mod nfct_beside;
mod normal;
mod population;
mod run;
mod usage;

use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::Trial;

use support::harness::Asked;
use support::namespace;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    match Path::new(&name).file_name().and_then(|name| name.to_str()) {
        Some("conntrack") => conntrack::run(arguments.collect()),
        Some("nfct") => nfct::run(arguments.collect()),
        _ => tests(),
    }
}

fn tests() -> ExitCode {
    let asked = Asked::from_args();
    let strict = std::env::var_os("CTNETLINK_TEST_STRICT").is_some_and(|value| value == "1");
    // This comes first, while the process has a single thread.
    let obstacle = namespace::enter().err();
    let missing = obstacle.clone().or_else(|| run::installed().err());
    if let Some(reason) = &missing {
        eprintln!("cli: comparisons with the tools are skipped: {reason}");
    }
    let mut trials = vec![Trial::test("usage::refused", || {
        usage::refused();
        Ok(())
    })];
    for (name, obstacle, test) in [
        ("beyond::conditions", &obstacle, beyond::conditions as fn()),
        ("beyond::doctor", &obstacle, beyond::doctor),
        ("beyond::watch", &obstacle, beyond::watch),
        ("beyond::terminal", &obstacle, beyond::terminal),
        ("beyond::lost", &obstacle, beyond::lost),
        ("beyond::reader_goes", &missing, beyond::reader_goes),
        #[cfg(feature = "serde")]
        ("beyond::json", &obstacle, beyond::json),
        ("usage::equal", &missing, usage::equal),
        ("matrix::reading", &missing, matrix::reading),
        ("matrix::settings", &missing, matrix::settings),
        ("matrix::changing", &missing, matrix::changing),
        ("matrix::expectations", &missing, matrix::expectations),
        ("matrix::differences", &missing, differences::still_there),
        ("load::many_lines", &missing, load::many_lines),
        ("load::saved", &missing, load::saved),
        ("expecting::beside", &missing, expecting::beside),
        ("expecting::events", &missing, expecting::events),
        ("events::beside", &missing, events::beside),
        ("nfct::beside", &missing, nfct_beside::beside),
        ("nfct::differences", &missing, nfct_beside::differences),
        (
            "nfct::without_rights",
            &missing,
            nfct_beside::without_rights,
        ),
    ] {
        let obstacle = obstacle.clone();
        let skipped = obstacle.is_some() && !strict;
        let trial = Trial::test(name, move || match obstacle {
            Some(reason) => Err(reason.into()),
            None => {
                namespace::isolated(test);
                Ok(())
            }
        });
        trials.push(trial.with_ignored_flag(skipped));
    }
    asked.run(trials)
}
