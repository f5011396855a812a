//! Checks of the sources: imports point down only.

#[path = "layers/source.rs"]
mod source;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use source::{rows, tokens, top_level_paths};

/// Each module of the crate's root, with the other modules that it may use.
const LAYERS: [(&str, &[&str]); 20] = [
    ("wire", &[]),
    ("error", &["wire"]),
    ("flow", &["error", "wire"]),
    ("expectation", &["error", "flow", "wire"]),
    ("event", &["error", "expectation", "flow", "wire"]),
    // Its tests use the rules of the kernel in the process.
    ("filter", &["error", "event", "flow", "testing", "wire"]),
    ("stats", &["error", "wire"]),
    ("timeout", &["error", "flow", "wire"]),
    ("user_helper", &["error", "flow", "wire"]),
    ("preflight", &["filter", "stats"]),
    (
        "text",
        &[
            "error",
            "event",
            "expectation",
            "flow",
            "preflight",
            "stats",
            "timeout",
        ],
    ),
    ("testing", &["error", "flow", "wire"]),
    ("transport", &["error", "testing", "wire"]),
    (
        "stream",
        &[
            "error",
            "event",
            "expectation",
            "filter",
            "flow",
            "transport",
            "wire",
        ],
    ),
    (
        "request",
        &[
            "error",
            "event",
            "expectation",
            "filter",
            "flow",
            "preflight",
            "stats",
            "stream",
            "testing",
            "timeout",
            "transport",
            "user_helper",
            "wire",
        ],
    ),
    (
        "handle",
        &[
            "error",
            "expectation",
            "filter",
            "flow",
            "preflight",
            "request",
            "stats",
            "stream",
            "timeout",
            "transport",
            "user_helper",
        ],
    ),
    (
        "mirror",
        &[
            "error", "event", "filter", "flow", "handle", "request", "stream",
        ],
    ),
    ("connection", &["error", "handle", "testing", "transport"]),
    // Only documentation.
    ("guide", &[]),
    (
        "blocking",
        &[
            "connection",
            "error",
            "filter",
            "flow",
            "handle",
            "request",
            "stream",
        ],
    ),
];

/// A longer file must be split.
const LINES: usize = 400;

/// The paths in `text` that its layer may not use. `path` is the file, below `src`. `exports` has
/// the names that the root exports, with their modules.
fn violations(path: &str, text: &str, exports: &BTreeMap<String, String>) -> Vec<String> {
    let module: Vec<&str> = path
        .trim_end_matches(".rs")
        .trim_end_matches("/mod")
        .split('/')
        .collect();
    let layer = module[0];
    let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == layer) else {
        return vec![format!("{path}: the layers know no module {layer}")];
    };
    top_level_paths(&tokens(text), &module)
        .into_iter()
        .map(|name| exports.get(&name).cloned().unwrap_or(name))
        .filter(|used| used != layer && !below.contains(&used.as_str()))
        // Tests of every layer make messages by hand.
        .filter(|used| used != "wire" || !module.contains(&"tests"))
        .map(|used| format!("{path}: {layer} uses {used}"))
        .collect()
}

/// The names that the root exports. A glob exports the nouns, so all other names are nouns.
fn exports(root: &str) -> BTreeMap<String, String> {
    let mut exports = BTreeMap::new();
    for statement in root
        .split(';')
        .filter_map(|text| text.split_once("pub use "))
    {
        let (module, names) = statement.1.split_once("::").expect("a path");
        for name in names.split(|char: char| !char.is_alphanumeric()) {
            exports.insert(name.to_owned(), module.trim().to_owned());
        }
    }
    exports
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// The crate's sources: the path below `src`, and the text.
fn sources() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let files = files_below(&root).into_iter().map(|path| {
        let text = fs::read_to_string(&path).expect("a source file");
        let name = path.strip_prefix(&root).expect("a path below src");
        (name.to_str().expect("UTF-8").to_owned(), text)
    });
    files.collect()
}

#[test]
fn imports_point_down() {
    let sources = sources();
    let (_, root) = sources.iter().find(|(path, _)| path == "lib.rs").unwrap();
    let exports = exports(root);
    assert_eq!(exports["Error"], "error");
    let found: Vec<String> = sources
        .iter()
        .filter(|(path, _)| path != "lib.rs")
        .flat_map(|(path, text)| violations(path, text, &exports))
        .collect();
    assert_eq!(found, [""; 0], "{found:#?}");
}

#[test]
fn imports_that_point_up_are_caught() {
    let exports = exports("pub use flow::*;\npub use error::{Error, Result};");
    let caught = |path, text| violations(path, text, &exports).len();
    for (path, text) in [
        ("wire/attr.rs", "use crate::error::Error;"),
        ("wire/attr.rs", "fn f() -> crate::Result<()> { loop {} }"),
        ("wire/attr.rs", "use super::super::flow::Flow;"),
        ("wire/mod.rs", "use super::flow;"),
        (
            "wire/attr.rs",
            "mod tests { use super::super::super::flow::Flow; }",
        ),
        ("flow/nat.rs", "use crate::transport::Lanes;"),
        ("flow/nat.rs", "use crate::filter::Filter;"),
        (
            "filter/kernel.rs",
            "use crate::transport::release::Release;",
        ),
        (
            "flow/nat.rs",
            "use crate::{error::Error, text::{self, LabelMap}};",
        ),
        (
            "flow/nat.rs",
            "macro_rules! m { () => { $crate::request::get::find() } }",
        ),
        (
            "flow/mod.rs",
            "const A: &str = \"\\\"\"; const B: char = '\"'; use crate::text::address;",
        ),
        ("transport/walk.rs", "use crate::flow::Flow;"),
        ("stream.rs", "use super::request::Table;"),
        ("request/list.rs", "use crate::handle::ConntrackHandle;"),
        ("text/flow.rs", "use crate::wire::uapi;"),
        ("text/tests.rs", "use crate::{wire, request};"),
        ("nowhere/mod.rs", ""),
    ] {
        assert_eq!(caught(path, text), 1, "{path}: {text}");
    }
    for (path, text) in [
        (
            "wire/attr.rs",
            "use super::uapi; use crate::wire::table; mod tests { use super::*; }",
        ),
        (
            "wire/attr.rs",
            "/// [`Flow`](crate::flow::Flow)\n// use crate::flow;\n/* crate::flow */",
        ),
        (
            "wire/attr.rs",
            "const A: &str = \"use crate::flow;\"; const B: &str = r#\"\"crate::flow\"#;",
        ),
        (
            "request/get.rs",
            "use super::super::stream; use crate::{flow::Flow, error::{Error, Result}};",
        ),
        (
            "flow/nat.rs",
            "fn f<'a>(x: &'a str) -> crate::Result<&'a str> { Ok(x) }",
        ),
    ] {
        assert_eq!(caught(path, text), 0, "{path}: {text}");
    }
}

#[test]
fn an_attribute_has_one_row() {
    let mut seen = BTreeMap::<String, Vec<String>>::new();
    for (path, text) in sources() {
        for name in rows(&tokens(&text)) {
            seen.entry(name).or_default().push(path.clone());
        }
    }
    let twice: Vec<_> = seen.iter().filter(|(_, places)| places.len() > 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    for name in ["CTA_MARK", "CTA_TIMESTAMP_EVENT", "CTA_PROTOINFO_TCP_STATE"] {
        assert!(seen.contains_key(name), "{name} has no row: {seen:?}");
    }
}

#[test]
fn rows_are_found() {
    let text = "attributes! {\n/// What. CTA_NOT => this: u8\npub struct A { #[x] CTA_A [mask CTA_M] => a: u8, }
                boxed rare: R { CTA_B => b: Option<u8>, } }
                attributes! { pub struct B { CTA_A => a: u8, } }
                match kind { CTA_C => c(), _ => {} }";
    assert_eq!(rows(&tokens(text)), ["CTA_A", "CTA_B", "CTA_A"]);
}

#[test]
fn no_file_is_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["src", "tests", "examples", "benches"].map(|name| root.join(name));
    let long: Vec<String> = files
        .iter()
        .filter(|directory| directory.exists())
        .flat_map(|directory| files_below(directory))
        .filter_map(|path| {
            let lines = fs::read_to_string(&path)
                .expect("a source file")
                .lines()
                .count();
            (lines > LINES).then(|| format!("{}: {lines}", path.display()))
        })
        .collect();
    assert_eq!(long, [""; 0], "more than {LINES} lines");
}

/// Our own harnesses accept any number of filters, as libtest's does.
#[test]
fn each_harness_reads_its_command_line_in_one_way() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let own: Vec<_> = files_below(&tests)
        .into_iter()
        .filter(|path| path.ends_with("main.rs"))
        .map(|path| fs::read_to_string(path).expect("a source file"))
        .filter(|text| text.contains("libtest_mimic::"))
        .collect();
    assert!(own.len() >= 4, "{}", own.len());
    assert!(own.iter().all(|text| text.contains("Asked::from_args()")));
}

#[test]
fn nothing_is_unsafe() {
    let found: Vec<_> = sources()
        .into_iter()
        .filter(|(_, text)| tokens(text).iter().any(|token| token == "unsafe"))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(found, [""; 0]);
    let hidden = tokens("// unsafe\nlet a = \"unsafe\"; unsafe {}");
    assert_eq!(hidden, ["let", "a", "=", ";", "unsafe", "{", "}"]);
}

/// The page of a builder says what awaiting it gives, and how to get the future itself.
#[test]
fn each_builder_says_what_awaiting_it_gives() {
    let mut builders = 0;
    for (path, text) in sources() {
        for (at, _) in text.match_indices("impl IntoFuture for ") {
            let name = text[at..].split_whitespace().nth(3).expect("a name");
            let declared = text.find(&format!("pub struct {name} {{")).expect(name);
            let page = text[..declared].rsplit("\n\n").next().unwrap_or_default();
            let words: Vec<_> = page
                .split_whitespace()
                .filter(|word| *word != "///")
                .collect();
            let page = words.join(" ");
            assert!(
                page.contains("Awaiting it gives "),
                "{path}: {name}: {page}"
            );
            assert!(
                page.contains("`.into_future()` gives the future itself, for `tokio::spawn`"),
                "{path}: {name}"
            );
            builders += 1;
        }
    }
    assert!(builders >= 12, "{builders}");
}

/// A new field breaks no program, because programs use the constructors.
#[test]
fn structs_with_public_fields_are_non_exhaustive() {
    let mut seen = 0;
    for (path, text) in sources() {
        for (at, _) in text.match_indices("pub struct ") {
            let (line, rest) = text[at..].split_once('\n').unwrap_or_default();
            let indent = at - text[..at].rfind('\n').map_or(0, |end| end + 1);
            let is_code = text[at - indent..at].trim().is_empty();
            // For a macro, the attribute is where the macro is used.
            if !is_code || !line.ends_with('{') || line.contains('$') {
                continue;
            }
            let end = format!("\n{}}}", " ".repeat(indent));
            let body = rest.split(end.as_str()).next().unwrap_or_default();
            let is_row = |line: &str| line.contains(" => ") && !line.contains("//");
            let public = |line: &str| line.contains("pub ") && !line.contains("//");
            if !body.lines().any(|line| public(line) || is_row(line)) {
                continue;
            }
            let head = text[..at].rsplit("\n\n").next().unwrap_or_default();
            assert!(head.contains("#[non_exhaustive]"), "{path}: {line}");
            seen += 1;
        }
    }
    assert!(seen >= 25, "{seen}");
}
