//! Reads the `# Errors` of the handle's documentation.

use std::collections::BTreeSet;

const SOURCES: &[(&str, &str)] = &[
    ("ConntrackHandle", include_str!("../../../src/handle.rs")),
    (
        "ConntrackHandle",
        include_str!("../../../src/handle/beside.rs"),
    ),
    (
        "ConntrackHandle",
        include_str!("../../../src/handle/events.rs"),
    ),
    (
        "ConntrackHandle",
        include_str!("../../../src/handle/many.rs"),
    ),
    (
        "Expectations",
        include_str!("../../../src/handle/beside/expectations.rs"),
    ),
    (
        "TimeoutPolicies",
        include_str!("../../../src/handle/beside/timeouts.rs"),
    ),
    (
        "UserHelpers",
        include_str!("../../../src/handle/beside/user_helpers.rs"),
    ),
];

/// The type, its verb (or again the type, for errors of all its verbs), and the kind.
pub(super) fn errors() -> BTreeSet<(String, String, String)> {
    let mut errors = BTreeSet::new();
    for (of, source) in SOURCES {
        let mut section = String::new();
        let mut in_errors = false;
        for line in source.lines().map(str::trim) {
            if let Some(doc) = line.strip_prefix("///") {
                // The errors of all verbs of a type have no title.
                let of_all = doc.contains("errors of every verb");
                match doc.trim().strip_prefix("# ") {
                    Some(title) => in_errors = title == "Errors",
                    None if of_all => in_errors = true,
                    None if in_errors => section.push_str(doc),
                    None => {}
                }
            } else if let Some(name) = named(line) {
                for kind in kinds(&section) {
                    errors.insert(((*of).to_owned(), name.to_owned(), kind.to_owned()));
                }
                section.clear();
                in_errors = false;
            }
        }
    }
    errors
}

/// The name of the item that a line declares.
fn named(line: &str) -> Option<&str> {
    let begun = line.strip_prefix("pub struct ");
    let begun = begun.or_else(|| line.strip_prefix("pub fn "))?;
    begun
        .split(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
}

/// The kinds that a section links to.
fn kinds(section: &str) -> impl Iterator<Item = &str> {
    let links = section.split("ErrorKind::").skip(1);
    links.filter_map(|link| link.split(')').next())
}
