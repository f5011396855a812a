//! Compares the fake kernel with the running one. Random sequences of requests are sent to both.
//! Their answers and their events must be the same bytes, except for ids and times.

mod addresses;
pub(crate) mod bytes;
mod dice;
mod requests;
pub(crate) mod sides;

use libtest_mimic::Trial;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestError, TestRunner};

use crate::support::{namespace, nft};
use dice::Dice;
use requests::Request;
use sides::{Answers, Fake, Real, Side};

/// This takes some seconds, mostly for flushes, which walk the table of the whole machine.
const CASES: u32 = 60;
/// The number of requests in a case.
const LENGTH: usize = 40;
/// The number of bytes that decide one request.
const BYTES: usize = 48;

pub(crate) fn tests() -> Vec<Trial> {
    let tests: [(&str, fn()); 2] = [
        ("scenarios::the_fake_answers_as_the_kernel", answer_alike),
        (
            "scenarios::addresses_of_ipv6",
            addresses::are_compared_alike,
        ),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            namespace::isolated(test);
            Ok(())
        })
    };
    tests.map(trial).into()
}

fn answer_alike() {
    let _labels = nft::labels().expect("a rule that uses labels");
    let config = Config {
        cases: CASES,
        // Each attempt walks the table at least twice.
        max_shrink_iters: 300,
        failure_persistence: Some(Box::new(FileFailurePersistence::Off)),
        ..Config::default()
    };
    let (real, fake) = (Real::open(), Fake::open());
    let case = vec(vec(any::<u8>(), BYTES), 1..LENGTH);
    TestRunner::new(config)
        .run(&case, |case| {
            compare(&real, &fake, &case).map_err(TestCaseError::fail)
        })
        // Not the bytes of the case, which explain nothing. The message shows the shortest failing
        // case.
        .unwrap_or_else(|failed| match failed {
            TestError::Fail(reason, _) => panic!("{reason}"),
            TestError::Abort(reason) => panic!("{reason}"),
        });
}

/// Sends the requests of a case to both, until they differ.
fn compare(real: &dyn Side, fake: &dyn Side, case: &[Vec<u8>]) -> Result<(), String> {
    // The counts of earlier cases do not belong to this one.
    let before = [real, fake].map(|side| {
        side.clear();
        side.counters()
    });
    let mut asked = Vec::new();
    for (number, bytes) in (1..).zip(case) {
        let request = Request::by(&mut Dice::new(bytes), number);
        asked.push(format!("{request:?}"));
        let [expected, found] = [(real, &before[0]), (fake, &before[1])]
            .map(|(side, before)| ask(side, &request, before));
        if expected != found {
            let asked = asked.join("\n");
            return Err(format!(
                "{asked}\nthe kernel:\n{expected}\nthe fake:\n{found}"
            ));
        }
    }
    Ok(())
}

/// The answers of one side. If the request has an id, the object is looked up first, because each
/// side has its own ids.
fn ask(side: &dyn Side, request: &Request, before: &[Vec<u8>]) -> Answers {
    let id = request.lookup().and_then(|lookup| {
        let answers = side.exchange(&lookup);
        bytes::id(answers.first()?)
    });
    let datagram = request.datagram(id);
    let answers = side.exchange(&datagram);
    Answers::of(request, [answers, side.heard()], before)
}
