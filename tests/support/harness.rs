//! The command line of the tests' own harness: like libtest's, with any number of filters.

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Options whose value is the next argument.
const WITH_VALUE: [&str; 6] = [
    "--color",
    "--format",
    "--logfile",
    "--skip",
    "--test-threads",
    "-Z",
];

/// The tests that the command line selects.
#[derive(Debug, Clone)]
pub struct Asked {
    arguments: Arguments,
    filters: Vec<String>,
}

impl Asked {
    pub fn from_args() -> Self {
        Self::of(env::args().collect())
    }

    /// Takes the filters out of the arguments, because libtest-mimic accepts only one.
    pub fn of(all: Vec<String>) -> Self {
        let (mut others, mut filters) = (Vec::new(), Vec::new());
        let mut all = all.into_iter();
        others.extend(all.next());
        while let Some(argument) = all.next() {
            match argument.as_str() {
                "--" => filters.extend(all.by_ref()),
                option if WITH_VALUE.contains(&option) => {
                    others.push(argument);
                    others.extend(all.next());
                }
                option if option.starts_with('-') => others.push(argument),
                _ => filters.push(argument),
            }
        }
        Self {
            arguments: Arguments::from_iter(others),
            filters,
        }
    }

    /// Is the test of this name selected?
    pub fn has(&self, name: &str) -> bool {
        let is_met = |filter: &String| match self.arguments.exact {
            true => name == filter,
            false => name.contains(filter.as_str()),
        };
        self.filters.is_empty() || self.filters.iter().any(is_met)
    }

    /// Runs the selected tests.
    pub fn run(self, mut trials: Vec<Trial>) -> ExitCode {
        trials.retain(|trial| self.has(trial.name()));
        libtest_mimic::run(&self.arguments, trials).exit_code()
    }
}
