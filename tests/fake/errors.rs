//! The errors in the documentation of each verb. Each has a case here that causes it.

mod cases;
mod documented;

use std::collections::BTreeSet;

use crate::run;

#[test]
fn each_happens_as_documented() {
    run(async {
        let mut wrong = Vec::new();
        for case in cases::all() {
            let error = (case.fails)().await;
            let kind = error.as_ref().map(|error| format!("{:?}", error.kind()));
            if kind.as_deref() != Some(case.kind) {
                wrong.push(format!(
                    "{}::{} {}: {error:?}",
                    case.of, case.verb, case.kind
                ));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    });
}

#[test]
fn none_is_without_a_case() {
    let documented = documented::errors();
    let tried: BTreeSet<_> = cases::all()
        .map(|case| (case.of, case.verb, case.kind))
        .chain(
            cases::ON_THE_REAL_KERNEL.map(|(of, verb, kind, test, source)| {
                assert!(source.contains(&format!("async fn {test}()")), "{test}");
                (of, verb, kind)
            }),
        )
        .map(|(of, verb, kind)| (of.to_owned(), verb.to_owned(), kind.to_owned()))
        .collect();
    let missing: Vec<_> = documented.difference(&tried).collect();
    assert!(missing.is_empty(), "documented, and not tried: {missing:?}");
    let unsaid: Vec<_> = tried.difference(&documented).collect();
    assert!(unsaid.is_empty(), "tried, and not documented: {unsaid:?}");
}
