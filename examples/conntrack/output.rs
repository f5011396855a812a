//! `-o`: the forms of output.

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
    /// Beyond conntrack(8): a flow a line.
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
    // What a process has caused is shown in any case.
    ("userspace", Form(|_| {})),
    ("save", Form(|it| it.save = true)),
    #[cfg(feature = "serde")]
    ("json", Form(|it| it.json = true)),
];

impl Output {
    /// Adds a list of forms.
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
