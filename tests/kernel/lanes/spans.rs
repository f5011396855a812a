//! The spans and events of tracing.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use ctnetlink::{Change, Family, Filter, FilterBuilder, Patch, Status, Table};
use libtest_mimic::Trial;
use tracing_core::dispatcher::{Dispatch, set_default};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{Event, LevelFilter, Metadata, Subscriber};

use super::{connect, fill, list, new, rest, udp};
use crate::filter::truth::release;
use crate::trials;

pub(super) fn tests() -> Vec<Trial> {
    trials!("lanes::spans":
        a_request_is_a_span,
        a_message_is_nothing,
        a_request_for_many_flows_is_a_span,
        a_request_by_a_filter_is_a_span_with_that_of_its_list,
        the_lines_of_a_plain_subscriber_are_those_of_the_docs,
    )
}

type Fields = BTreeMap<&'static str, String>;

/// Records the spans and events of the crate.
#[derive(Default, Clone)]
struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    spans: Vec<Fields>,
    events: Vec<&'static str>,
    kinds: Vec<&'static Metadata<'static>>,
    /// The entered spans, the innermost last.
    entered: Vec<Id>,
}

struct Note<'a>(&'a mut Fields);

impl Visit for Note<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("ctnetlink")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut fields = Fields::from([("name", span.metadata().name().to_owned())]);
        span.record(&mut Note(&mut fields));
        let mut noted = self.0.lock().unwrap();
        noted.spans.push(fields);
        noted.kinds.push(span.metadata());
        Id::from_u64(noted.spans.len() as u64)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let fields = &mut self.0.lock().unwrap().spans[at(span)];
        values.record(&mut Note(fields));
    }

    fn event(&self, event: &Event<'_>) {
        let name = event.metadata().name();
        self.0.lock().unwrap().events.push(name);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn enter(&self, span: &Id) {
        self.0.lock().unwrap().entered.push(span.clone());
    }

    fn exit(&self, span: &Id) {
        let left = self.0.lock().unwrap().entered.pop();
        assert_eq!(left.as_ref(), Some(span));
    }

    fn current_span(&self) -> Current {
        let noted = self.0.lock().unwrap();
        match noted.entered.last() {
            Some(span) => Current::new(span.clone(), noted.kinds[at(span)]),
            None => Current::none(),
        }
    }
}

fn at(span: &Id) -> usize {
    span.into_u64() as usize - 1
}

impl Notes {
    /// The spans since the last call. Each must be the span of a request, with one event at its
    /// end.
    fn take(&self) -> Vec<Fields> {
        let Noted { spans, events, .. } = std::mem::take(&mut *self.0.lock().unwrap());
        // One event ends each span.
        assert_eq!(events.len(), spans.len(), "{events:?}");
        for span in &spans {
            assert_eq!(span["name"], "ctnetlink", "{span:?}");
            assert_eq!(span["netns"], spans[0]["netns"], "{span:?}");
        }
        spans
    }
}

/// The only span: verb, family and outcome; its sequence number.
#[track_caller]
fn one(notes: &Notes, verb: &str, family: Option<&str>, outcome: &str) -> u32 {
    let spans = notes.take();
    let [span] = &spans[..] else {
        panic!("{verb}: {spans:?}");
    };
    assert_eq!(span["verb"], verb);
    assert_eq!(span.get("family").map(String::as_str), family);
    assert_eq!(span["outcome"], outcome);
    let seq = span
        .get("seq")
        .unwrap_or_else(|| panic!("no seq: {span:?}"));
    seq.parse().expect("a number")
}

async fn a_request_is_a_span() {
    let handle = connect();
    let notes = Notes::default();
    let _guard = set_default(&Dispatch::new(notes.clone()));

    handle.create(new(1)).await.expect("a flow");
    let first = one(&notes, "create", Some("ipv4"), "ok");
    handle.get(udp(1)).await.expect("an answer");
    let key = notes.0.lock().unwrap().spans[0]["key"].clone();
    assert_eq!(key, udp(1).to_string());
    assert!(one(&notes, "get", Some("ipv4"), "ok") > first);
    handle.set_mark(udp(1), 7).await.expect("a mark");
    one(&notes, "set_mark", Some("ipv4"), "ok");
    let update = handle.update(udp(1)).status(Status::ASSURED);
    update.await.expect("a status");
    one(&notes, "update", Some("ipv4"), "ok");
    let gone = handle.set_labels(udp(2), ctnetlink::Labels::EMPTY).await;
    gone.expect_err("gone");
    one(&notes, "set_labels", Some("ipv4"), "NotFound");
    handle.delete(udp(1)).await.expect("a delete");
    one(&notes, "delete", Some("ipv4"), "ok");
    drop(list(&handle).await);
    one(&notes, "list", None, "ok");
    let flush = handle.flush(Table::Conntrack).family(Family::Ipv6);
    flush.await.expect("a flush");
    one(&notes, "flush", Some("ipv6"), "ok");

    // A request that is refused before it is sent has no number.
    handle.update(udp(1)).await.expect_err("nothing to change");
    let spans = notes.take();
    assert_eq!(spans[0]["outcome"], "InvalidInput");
    assert_eq!(spans[0].get("seq"), None);

    drop(handle.get(udp(1)));
    assert_eq!(notes.take().len(), 0);
}

async fn a_message_is_nothing() {
    let handle = connect();
    let notes = Notes::default();
    let _guard = set_default(&Dispatch::new(notes.clone()));
    fill(&handle, 300).await;
    assert_eq!(notes.take().len(), 300);
    assert_eq!(rest(list(&handle).await).await, 300);
    assert_eq!(notes.take().len(), 1);
}

/// The verb and outcome of the spans since the last call. Only walks have a number, because the
/// others send many messages.
fn verbs(notes: &Notes) -> Vec<(String, String)> {
    let spans = notes.take().into_iter();
    let verbs = spans.map(|mut span| {
        let verb = span.remove("verb").expect("a verb");
        let walks = ["list", "flush"].contains(&verb.as_str());
        assert!(walks || !span.contains_key("seq"), "{span:?}");
        (verb, span.remove("outcome").expect("an outcome"))
    });
    verbs.collect()
}

#[track_caller]
fn are<const N: usize>(notes: &Notes, spans: [(&str, &str); N]) {
    let spans = spans.map(|(verb, outcome)| (verb.to_owned(), outcome.to_owned()));
    assert_eq!(verbs(notes), spans);
}

async fn a_request_for_many_flows_is_a_span() {
    let handle = connect();
    let notes = Notes::default();
    let _guard = set_default(&Dispatch::new(notes.clone()));
    let create = |n| Change::Create(new(n));
    let made = handle.bulk((0..300).map(create)).await;
    assert_eq!(made.expect("a report").applied, 300);
    are(&notes, [("bulk", "ok")]);
    let again = futures::stream::iter((0..300).map(create));
    let again = handle.bulk_stream(again).await.expect("a report");
    assert_eq!((again.exists, again.failed_total), (300, 0));
    are(&notes, [("bulk", "ok")]);
    let found = handle.get_many((0..300).map(udp)).await;
    drop(found.expect("a stream"));
    are(&notes, [("get_many", "ok")]);
    let keys = futures::stream::iter([udp(1)]);
    drop(handle.get_many_stream(keys).await.expect("a stream"));
    are(&notes, [("get_many", "ok")]);
}

async fn a_request_by_a_filter_is_a_span_with_that_of_its_list() {
    let handle = connect();
    fill(&handle, 100).await;
    let notes = Notes::default();
    let _guard = set_default(&Dispatch::new(notes.clone()));
    let on =
        |add: fn(FilterBuilder) -> FilterBuilder| add(Filter::builder()).build().expect("a filter");
    let (mark, port) = (
        || on(|b| b.mark(0)),
        || on(|b| b.protocol(17).orig_dst_port(53)),
    );
    let patch = Patch::new().mark(0);
    let updated = handle.update_matching(mark(), patch.clone()).await;
    assert_eq!(updated.expect("a report").applied, 100);
    {
        let noted = notes.0.lock().unwrap();
        let [update, list] = &noted.spans[..] else {
            panic!("{:?}", noted.spans);
        };
        assert_eq!(update["report"], "100 applied, 0 gone, 0 failed");
        assert_eq!(list["filter"], "mark=0x0");
        assert_eq!(list["kernel_filtered"], "MARK");
    }
    are(&notes, [("update_matching", "ok"), ("list", "ok")]);
    let deleted = handle.delete_matching(on(|b| b.mark(1))).await;
    assert_eq!(deleted.expect("a report").applied, 0);
    are(&notes, [("delete_matching", "ok"), ("list", "ok")]);

    // It is refused, and nothing is sent.
    let updated = handle.update_matching(mark(), Patch::new()).await;
    updated.expect_err("a patch that changes nothing");
    are(&notes, [("update_matching", "InvalidInput")]);
    let deleted = handle.delete_matching(Filter::default()).await;
    deleted.expect_err("an empty filter");
    are(&notes, [("delete_matching", "InvalidInput")]);
    let flush = |filter| handle.flush(Table::Conntrack).filter(filter);
    flush(Filter::default()).await.expect_err("an empty filter");
    flush(on(|b| b.family(Family::Ipv4)))
        .family(Family::Ipv6)
        .await
        .expect_err("two families");
    are(
        &notes,
        [("flush", "InvalidInput"), ("flush", "InvalidInput")],
    );

    // One request if the kernel compares the filter, otherwise a list and deletes.
    let one_by_one = [("flush", "ok"), ("delete_matching", "ok"), ("list", "ok")];
    flush(on(|b| b.mark(1))).await.expect("a flush");
    match release() >= (6, 12) {
        true => are(&notes, [("flush", "ok")]),
        false => are(&notes, one_by_one),
    }
    flush(port()).await.expect("a flush");
    are(&notes, one_by_one);
    assert_eq!(rest(list(&handle).await).await, 0);
}

/// The text that a subscriber has written.
#[derive(Default, Clone)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The line without the numbers that change each time.
fn without_numbers(line: &str) -> String {
    let words = line.split(' ').map(|word| {
        let word = word.rsplit_once('{').map_or(word, |(_, word)| word);
        match word.split_once('=') {
            Some((name @ ("netns" | "seq" | "elapsed"), _)) => name,
            _ => word,
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

async fn the_lines_of_a_plain_subscriber_are_those_of_the_docs() {
    let handle = connect();
    let written = Written::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::DEBUG)
        .with_ansi(false)
        .without_time()
        .with_writer({
            let written = written.clone();
            move || written.clone()
        })
        .finish();
    let guard = set_default(&Dispatch::new(subscriber));
    handle.create(new(1)).await.expect("a flow");
    let updated = handle.set_mark(udp(2), 7).await;
    updated.expect_err("no such flow");
    let marked = Filter::builder().mark(0).build().expect("a filter");
    let deleted = handle.delete_matching(marked).await;
    assert_eq!(deleted.expect("a report").applied, 1);
    drop(guard);

    let written = String::from_utf8(written.0.lock().unwrap().clone()).expect("text");
    let docs = include_str!("../../../src/lib.rs");
    let docs: Vec<String> = docs
        .lines()
        .filter_map(|line| line.strip_prefix("//! DEBUG "))
        .map(|line| without_numbers(&format!("DEBUG {line}")))
        .collect();
    let lines: Vec<String> = written
        .lines()
        .map(|line| without_numbers(line.trim()))
        .collect();
    assert_eq!(lines, docs, "{written}");
}
