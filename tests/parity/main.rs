//! Parity with conntrack(8) and nfct(8): each shows what the other writes, with the same text.
//!
//! Each test runs on its own thread in a fresh network namespace. Without the tools, or if no
//! namespace can be created, the tests are skipped; `CTNETLINK_TEST_STRICT=1` makes that a failure.

// A test binary exports nothing.
#![allow(unreachable_pub)]

#[path = "../support/mod.rs"]
mod support;

mod beside;
mod events;
mod flows;
mod matching;
mod mirror;
mod names;
mod our_creates;
mod our_deletes;
mod our_updates;
mod population;
mod shown;
mod table;
mod their_writes;
mod tool;
mod wait;
mod xml;

use std::future::Future;
use std::process::ExitCode;

use libtest_mimic::Trial;

use support::harness::Asked;
use support::namespace;

fn main() -> ExitCode {
    let asked = Asked::from_args();
    let strict = std::env::var_os("CTNETLINK_TEST_STRICT").is_some_and(|value| value == "1");
    // This comes first, while the process has a single thread.
    let obstacle = namespace::enter().and_then(|()| tool::installed()).err();
    if let Some(reason) = &obstacle {
        eprintln!("parity: all tests are skipped: {reason}");
    }
    let skip = obstacle.is_some() && !strict;
    let trials = trials(obstacle).into_iter();
    asked.run(trials.map(|trial| trial.with_ignored_flag(skip)).collect())
}

macro_rules! all {
    ($obstacle:ident: $($module:ident::$test:ident,)+) => {
        vec![$(trial(
            concat!(stringify!($module), "::", stringify!($test)),
            &$obstacle,
            $module::$test,
        ),)+]
    };
}

fn trials(obstacle: Option<String>) -> Vec<Trial> {
    all![obstacle:
        table::nouns_equal_the_xml,
        table::text_equals_the_listing,
        table::labels_go_by_the_same_names,
        names::labels_of_nft_are_those_of_its_file,
        events::traffic_equals_the_tools,
        events::expectations_equal_the_tools,
        events::an_early_drop_equals_the_tools,
        our_updates::mark,
        our_updates::labels,
        our_updates::timeout,
        our_updates::status,
        our_updates::tcp_state,
        our_updates::everything_at_once,
        our_creates::translation,
        our_creates::translation_to_a_range,
        our_creates::zones,
        our_deletes::delete,
        our_deletes::flush,
        our_deletes::flush_of_one_family,
        matching::deletes,
        matching::flushes,
        matching::updates,
        their_writes::create,
        their_writes::translation,
        their_writes::zones,
        their_writes::update,
        their_writes::labels,
        their_writes::delete,
        their_writes::flush,
        beside::lines_of_expectations,
        beside::their_expectations,
        beside::statistics,
        beside::timeout_policies,
        beside::their_timeout_policies,
        beside::default_timeouts,
        mirror::lines_equal_the_listing,
    ]
}

fn trial<F>(name: &str, obstacle: &Option<String>, test: fn() -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    let obstacle = obstacle.clone();
    Trial::test(name, move || match obstacle {
        Some(reason) => Err(reason.into()),
        None => {
            namespace::isolated(move || namespace::block_on(test()));
            Ok(())
        }
    })
}
