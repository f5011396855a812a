//! The command line of the test programs that have a `main` of their own.

use std::env;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// What was asked for. The standard harness takes several filters, `libtest-mimic` takes one: the filters are kept
/// apart here.
pub struct Asked {
    arguments: Arguments,
    filters: Vec<String>,
}

/// Options whose value is the next argument.
const WITH_VALUE: [&str; 6] = [
    "--test-threads",
    "--logfile",
    "--skip",
    "--color",
    "--format",
    "-Z",
];

impl Asked {
    pub fn from_args() -> Self {
        let mut given = env::args();
        let mut options: Vec<_> = given.next().into_iter().collect();
        let mut filters = Vec::new();
        while let Some(argument) = given.next() {
            if WITH_VALUE.contains(&argument.as_str()) {
                options.push(argument);
                options.extend(given.next());
            } else if argument.starts_with('-') {
                options.push(argument);
            } else {
                filters.push(argument);
            }
        }
        Self {
            arguments: Arguments::from_iter(options),
            filters,
        }
    }

    /// Runs those of the trials that were asked for.
    pub fn run(&self, trials: impl IntoIterator<Item = Trial>) -> ExitCode {
        let trials = trials.into_iter().filter(|trial| self.wants(trial.name()));
        libtest_mimic::run(&self.arguments, trials.collect()).exit_code()
    }

    fn wants(&self, name: &str) -> bool {
        let fits = |filter: &String| match self.arguments.exact {
            true => name == filter,
            false => name.contains(filter),
        };
        self.filters.is_empty() || self.filters.iter().any(fits)
    }
}
