//! Which verbs work.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ctnetlink::{
    ConntrackHandle, ErrorKind, Family, Flow, Labels, Masked, NewFlow, Result as Answer, Table,
    Tuple,
};
use futures::TryStreamExt;
use libtest_mimic::Trial;

use crate::place::{Level, Place};
use crate::support::namespace::{block_on, isolated};
use crate::support::nft;
use crate::trial;

const HOUR: Duration = Duration::from_secs(3600);
/// Where the tests share a table, they take turns.
static TURN: Mutex<()> = Mutex::new(());

macro_rules! verbs {
    ($place:ident: $($verb:ident,)+) => {
        vec![$(verb(concat!("verbs::", stringify!($verb)), $place, $verb),)+]
    };
}

pub(crate) fn tests(place: Place) -> Vec<Trial> {
    if !place.administers() {
        return vec![trial("verbs::none", || {
            block_on(async { denied(ctnetlink::connect().map(drop)) });
            Ok(())
        })];
    }
    verbs![place:
        list,
        get,
        create,
        update,
        set_mark,
        set_labels,
        delete,
        flush,
    ]
}

fn verb<F>(name: &str, place: Place, verb: fn(ConntrackHandle) -> F) -> Trial
where
    F: Future<Output = ()> + 'static,
{
    let run = move || {
        block_on(async { verb(ctnetlink::connect().expect("a connection")).await });
    };
    trial(name, move || match place.level {
        Level::NetAdmin if !place.own => Err(
            "it would change the table of a network namespace that others may use; \
             CTNETLINK_LEVEL=net-admin says that none does"
                .into(),
        ),
        Level::NetAdmin => {
            let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
            run();
            Ok(())
        }
        _ => {
            isolated(run);
            Ok(())
        }
    })
}

/// The answer must say which right is lacking.
#[track_caller]
pub(crate) fn denied(answer: Answer<()>) {
    let error = answer.expect_err("an answer, without the right to one");
    assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
    assert!(error.to_string().contains("CAP_NET_ADMIN"), "{error}");
}

fn tuple(source: &str, destination: &str) -> Tuple {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    Tuple::udp(address(source), address(destination)).expect("one family")
}

fn v4() -> Tuple {
    tuple("192.0.2.1:4000", "192.0.2.2:53")
}

fn v6() -> Tuple {
    tuple("[2001:db8::1]:4000", "[2001:db8::2]:53")
}

pub(crate) async fn leave_a_flow(handle: &ConntrackHandle) {
    let created = handle.create(NewFlow::new(v4(), HOUR).mark(1)).await;
    created.expect("a flow");
}

pub(crate) async fn has_the_flow(handle: &ConntrackHandle) -> bool {
    handle.get(v4()).await.expect("an answer").is_some()
}

/// The flow as it stands.
async fn got(handle: &ConntrackHandle) -> Flow {
    let flow = handle.get(v4()).await.expect("an answer");
    flow.expect("the flow")
}

async fn clean(handle: &ConntrackHandle) {
    handle.delete(v4()).await.expect("a delete");
}

async fn list(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let flows = handle.list(Table::Conntrack).await.expect("a list");
    let flows: Vec<_> = flows.try_collect().await.expect("flows");
    assert!(flows.iter().any(|flow| flow.orig == v4()), "{flows:?}");
    clean(&handle).await;
}

async fn get(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    assert_eq!(got(&handle).await.mark, Some(1));
    clean(&handle).await;
}

async fn create(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let again = handle.create(NewFlow::new(v4(), HOUR)).await;
    assert!(again.is_err_and(|error| error.is_already_exists()));
    clean(&handle).await;
}

async fn update(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let updated = handle.update(v4()).timeout(Duration::from_secs(60)).await;
    updated.expect("an update");
    let timeout = got(&handle).await.timeout.expect("a timeout");
    assert!(timeout <= Duration::from_secs(60), "{timeout:?}");
    clean(&handle).await;
}

async fn set_mark(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let marked = handle.set_mark(v4(), Masked::new(0x20, 0xf0)).await;
    marked.expect("a mark");
    assert_eq!(got(&handle).await.mark, Some(0x21));
    clean(&handle).await;
}

/// With the rule that makes room for them, which needs no other right.
async fn set_labels(handle: ConntrackHandle) {
    let rule = nft::labels().expect("a rule");
    leave_a_flow(&handle).await;
    let labels = Labels::bit(100).expect("a label");
    handle.set_labels(v4(), labels).await.expect("labels");
    assert_eq!(got(&handle).await.labels, Some(labels));
    clean(&handle).await;
    rule.delete().expect("no rule");
}

async fn delete(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    clean(&handle).await;
    let again = handle.delete(v4()).await;
    assert!(again.is_err_and(|error| error.is_not_found()));
}

async fn flush(handle: ConntrackHandle) {
    leave_a_flow(&handle).await;
    let created = handle.create(NewFlow::new(v6(), HOUR)).await;
    created.expect("a flow");
    let flush = handle.flush(Table::Conntrack).family(Family::Ipv6);
    flush.await.expect("a flush");
    assert!(handle.get(v6()).await.expect("an answer").is_none());
    assert!(has_the_flow(&handle).await);
    handle.flush(Table::Conntrack).await.expect("a flush");
    assert!(!has_the_flow(&handle).await);
}
