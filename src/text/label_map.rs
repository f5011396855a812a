//! The names of labels.

use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

use crate::error::{Error, Result};
use crate::flow::Labels;

/// The names of labels, as in `connlabel.conf`: `-l`, `--label-add`, `--label-del` and `-o labels` use
/// them.
///
/// The kernel knows only numbers: labels work without names.
///
/// ```
/// # use ctnetlink::{LabelMap, Labels};
/// let map = LabelMap::parse("0 eth0-in\n1 eth0-out\n");
/// assert_eq!(map.name(1), Some("eth0-out"));
/// assert_eq!(map.labels(["eth0-in", "eth0-out"])?, Labels::from(0b11));
/// # Ok::<(), ctnetlink::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelMap(BTreeMap<u8, Box<str>>);

/// The file of conntrack(8) and iptables, then that of nft(8).
const PATHS: [&str; 2] = ["/etc/xtables/connlabel.conf", "/etc/connlabel.conf"];

impl LabelMap {
    /// Reads `/etc/xtables/connlabel.conf`, the file of conntrack(8) and iptables, or, if that does
    /// not exist, `/etc/connlabel.conf`, the file of nft(8).
    ///
    /// It blocks while it reads a small file.
    ///
    /// # Errors
    ///
    /// [`Io`](crate::ErrorKind::Io) if neither can be read.
    pub fn load() -> Result<Self> {
        read(&PATHS).map(|(_, text)| Self::parse(&text))
    }

    /// Reads another file. nft(8) reads only `/etc/connlabel.conf` (the directory is fixed when it
    /// is built). If both files exist, a program that uses the names of nft(8) should read that
    /// one.
    ///
    /// nft(8) differs: it ends a name at the first space, it shows both labels of a name that has
    /// two, and it stops at the first line that is not a label.
    ///
    /// It blocks while it reads a small file.
    ///
    /// # Errors
    ///
    /// [`Io`](crate::ErrorKind::Io) if it cannot be read.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref().display().to_string();
        read(&[&path]).map(|(_, text)| Self::parse(&text))
    }

    /// Parses the text of a `connlabel.conf`. Each line has the number of a label, 0 to 127, and
    /// its name; `#` begins a comment. If a label has two names, or a name has two labels, the
    /// first line counts. Other lines are skipped, as in conntrack(8).
    pub fn parse(text: &str) -> Self {
        let mut map = Self::default();
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim();
            let Some((bit, name)) = parse_line(line) else {
                continue;
            };
            if map.bit(name).is_none() {
                map.0.entry(bit).or_insert_with(|| name.into());
            }
        }
        map
    }

    /// The name of label `bit`.
    pub fn name(&self, bit: u8) -> Option<&str> {
        self.0.get(&bit).map(|name| &**name)
    }

    /// The label with this name.
    pub fn bit(&self, name: &str) -> Option<u8> {
        let mut labels = self.0.iter();
        labels.find_map(|(bit, known)| (**known == *name).then_some(*bit))
    }

    /// The names of the labels that are set, the lowest label first, as `-o labels` shows them.
    /// Labels without a name are left out.
    pub fn names(&self, labels: Labels) -> impl Iterator<Item = &str> {
        labels.iter().filter_map(|bit| self.name(bit))
    }

    /// The labels with these names.
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a name that is not in the map.
    pub fn labels<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<Labels> {
        let mut labels = Labels::EMPTY;
        for name in names {
            let bit = self.bit(name).ok_or_else(|| {
                Error::invalid_input(format!("label {name:?}: no label has this name"))
            })?;
            labels |= Labels::bit(bit)?;
        }
        Ok(labels)
    }
}

/// The first of the files that exists.
fn read<'a>(paths: &[&'a str]) -> Result<(&'a str, String)> {
    for path in paths {
        match fs::read_to_string(path) {
            Ok(text) => return Ok((path, text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io(format!("while reading {path}"), error)),
        }
    }
    let doing = format!("while reading {}", paths.join(" or "));
    Err(Error::io(doing, io::Error::from(io::ErrorKind::NotFound)))
}

fn parse_line(line: &str) -> Option<(u8, &str)> {
    let (number, name) = line.split_once(char::is_whitespace)?;
    let bit = match number.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16),
        None => number.parse(),
    };
    let bit = bit.ok().filter(|bit| *bit <= 127)?;
    Some((bit, name.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn refused(error: &Error, word: &str) {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(word), "{error}");
    }

    #[test]
    fn lines_are_a_number_and_a_name() {
        let text = "# c\n0 zero\n1\tone\n\n  2   two  \n3 three # why\n4 a b\r\n0x10 hex\n127 last";
        let map = LabelMap::parse(text);
        let all: Vec<_> = (0..=255)
            .filter_map(|bit| Some((bit, map.name(bit)?)))
            .collect();
        let expected = [
            (0, "zero"),
            (1, "one"),
            (2, "two"),
            (3, "three"),
            (4, "a b"),
            (16, "hex"),
            (127, "last"),
        ];
        assert_eq!(all, expected);
        for (bit, name) in expected {
            assert_eq!(map.bit(name), Some(bit));
        }
        assert_eq!(map.bit("One"), None);
    }

    #[test]
    fn the_first_of_two_counts() {
        let map = LabelMap::parse("1 a\n1 b\n2 a\n");
        assert_eq!(map, LabelMap::parse("1 a"));
    }

    #[test]
    fn no_line_is_no_name() {
        assert_eq!(LabelMap::parse(""), LabelMap::default());
        assert_eq!(LabelMap::parse("# only\n"), LabelMap::default());
    }

    #[test]
    fn a_line_that_is_something_else_is_passed_over() {
        for line in [
            "128 big", "-1 neg", "junk", "5", "1one", "0xzz y", "256 x", "one 1", "1.5 x",
        ] {
            let map = LabelMap::parse(&format!("0 zero\n{line}\n1 one\n"));
            assert_eq!(map, LabelMap::parse("0 zero\n1 one\n"), "{line}");
        }
    }

    #[test]
    fn names_and_labels_translate() {
        let map = LabelMap::parse("1 one\n3 three\n");
        let labels = Labels::from(0b1010);
        assert_eq!(map.labels(["three", "one"]).unwrap(), labels);
        assert_eq!(map.labels([]).unwrap(), Labels::EMPTY);
        let with_unnamed = labels | Labels::bit(2).unwrap();
        assert!(map.names(with_unnamed).eq(["one", "three"]));
        refused(&map.labels(["one", "two"]).unwrap_err(), "\"two\"");
    }

    #[test]
    fn any_file_can_be_read() {
        let path = std::env::temp_dir().join(format!("connlabel-{}.conf", std::process::id()));
        fs::write(&path, "7 seven\n128 too-high\n").unwrap();
        let map = LabelMap::from_path(&path);
        fs::remove_file(&path).unwrap();
        assert_eq!(map.unwrap().bit("seven"), Some(7));
        let error = LabelMap::from_path(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("connlabel-"), "{error}");
    }

    #[test]
    fn the_first_file_that_exists_is_read() {
        let (absent, present) = ("/nonexistent/connlabel.conf", "/proc/self/cmdline");
        assert_eq!(read(&[absent, present]).unwrap().0, present);
        let error = read(&[absent, absent]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains(absent), "{error}");
    }
}
