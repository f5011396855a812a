//! `-o`: the output formats.

use super::failure::{Failure, Result};
use super::values;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) xml: bool,
    pub(crate) extended: bool,
    pub(crate) timestamp: bool,
    pub(crate) id: bool,
    pub(crate) ktimestamp: bool,
    pub(crate) labels: bool,
    pub(crate) save: bool,
    /// Not in conntrack(8): one flow per line.
    #[cfg(feature = "serde")]
    pub(crate) json: bool,
}

#[derive(Clone, Copy)]
struct Form(fn(&mut Output));

const FORMS: &[(&str, Form)] = &[
    ("xml", Form(|it| it.xml = true)),
    ("extended", Form(|it| it.extended = true)),
    ("timestamp", Form(|it| it.timestamp = true)),
    ("id", Form(|it| it.id = true)),
    ("ktimestamp", Form(|it| it.ktimestamp = true)),
    ("labels", Form(|it| it.labels = true)),
    // Events that a process has caused are shown in any case.
    ("userspace", Form(|_| {})),
    ("save", Form(|it| it.save = true)),
    #[cfg(feature = "serde")]
    ("json", Form(|it| it.json = true)),
];

impl Output {
    /// Adds a list of formats.
    pub(crate) fn add(&mut self, text: &str) -> Result<()> {
        for Form(set) in values::words(text, FORMS)? {
            set(self);
        }
        let save = Self {
            save: true,
            ..Self::default()
        };
        if self.save && *self != save {
            return Err(Failure::Failed(
                "cannot combine save output with any other output type, use -o save only".into(),
            ));
        }
        Ok(())
    }
}
