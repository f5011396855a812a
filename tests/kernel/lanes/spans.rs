//! What tracing sees.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use ctnetlink::{Family, Status, Table};
use libtest_mimic::Trial;
use tracing_core::dispatcher::{Dispatch, set_default};
use tracing_core::field::{Field, Visit};
use tracing_core::span::{Attributes, Current, Id, Record};
use tracing_core::{Event, Metadata, Subscriber};

use super::{connect, fill, list, new, rest, udp};
use crate::trials;

pub(super) fn tests() -> Vec<Trial> {
    trials!("lanes::spans":
        a_request_is_a_span,
        a_message_is_nothing,
    )
}

type Fields = BTreeMap<&'static str, String>;

/// Notes spans and events of the crate.
#[derive(Default, Clone)]
struct Notes(Arc<Mutex<Noted>>);

#[derive(Default)]
struct Noted {
    spans: Vec<Fields>,
    events: Vec<&'static str>,
    kinds: Vec<&'static Metadata<'static>>,
    /// Where we are, the innermost last.
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
    /// The spans since the last look: all of them must be a request's, and nothing else be noted.
    fn take(&self) -> Vec<Fields> {
        let Noted { spans, events, .. } = std::mem::take(&mut *self.0.lock().unwrap());
        assert!(events.is_empty(), "{events:?}");
        for span in &spans {
            assert_eq!(span["name"], "ctnetlink", "{span:?}");
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
    assert_eq!(one(&notes, "get", Some("ipv4"), "ok"), first + 1);
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

    // Refused before it is sent: a request that has no number.
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
