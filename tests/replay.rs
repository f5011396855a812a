//! What the fuzz targets have found worth keeping, done again: an input a file, below `fuzz/corpus`.

#[path = "fuzz/bodies/mod.rs"]
mod bodies;

use std::fs;
use std::path::Path;

/// Runs a target on each of its files.
fn replay(target: &str, run: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let files = fs::read_dir(corpus.join(target)).expect("a corpus");
    let mut count = 0;
    for file in files {
        let path = file.expect("a file").path();
        eprintln!("{}", path.display());
        run(&fs::read(path).expect("its bytes"));
        count += 1;
    }
    assert!(count >= 5, "{count} inputs");
}

#[test]
fn messages() {
    replay("messages", bodies::messages::run);
}

#[test]
fn lane() {
    replay("lane", bodies::lane::run);
}

#[test]
fn filters() {
    replay("filters", bodies::filters::run);
}

#[test]
fn labels() {
    replay("labels", bodies::labels::run);
}

#[test]
fn mirror() {
    replay("mirror", bodies::mirror::run);
}

#[test]
fn events() {
    replay("events", bodies::events::run);
}
