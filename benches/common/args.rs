//! The command line.

/// What to measure.
pub struct Args {
    /// Flows in the table.
    pub flows: usize,
    /// The number of rounds.
    pub rounds: usize,
    /// The measured program that this process runs, if it is one.
    pub program: Option<String>,
}

/// Hidden: makes this process one of the measured programs.
pub const PROGRAM: &str = "--program";
pub const FLOWS: &str = "--flows";

impl Args {
    /// Reads the command line. The default number of flows is `flows`.
    pub fn read(flows: usize) -> Self {
        let mut args = Self {
            flows,
            rounds: 3,
            program: None,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            let mut value = || {
                words
                    .next()
                    .unwrap_or_else(|| usage(&format!("{word} needs a value")))
            };
            match word.as_str() {
                // The argument that cargo adds.
                "--bench" => {}
                FLOWS => args.flows = number(&value()),
                "--rounds" => args.rounds = number(&value()),
                PROGRAM => args.program = Some(value()),
                _ => usage(&format!("{word} is not known")),
            }
        }
        args
    }
}

fn number(word: &str) -> usize {
    match word.replace('_', "").parse() {
        Ok(number) if number > 0 => number,
        _ => usage(&format!("{word} is not a number of 1 or more")),
    }
}

fn usage(what: &str) -> ! {
    eprintln!("{what}; options: --flows N, --rounds N");
    std::process::exit(2)
}
