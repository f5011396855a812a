//! The measured programs.

use std::hint::black_box;

use ctnetlink::{Change, ConntrackHandle, Flow, FlowKey, Patch, Table, Zone};
use futures::stream::{self, StreamExt, TryStreamExt};

use crate::apply;
use crate::common::{current_thread, names};

/// Flows in the table.
pub(crate) const TABLE: usize = 4000;

/// The large number of flows is this multiple of the small one.
pub(crate) const MORE: usize = 4;

/// The most flows that a program uses.
const MOST: usize = 4 * TABLE * MORE;

/// A zone without flows.
const NO_ZONE: Zone = Zone::new(7);

const TCP: &[u8] = include_bytes!("../captured/tcp4.bin");

pub(crate) struct Program {
    pub(crate) name: &'static str,
    pub(crate) few: usize,
}

const DECODE: &str = "decode_tcp_flow";
const LIST: &str = "listed_flow";
const BULK: &str = "bulk_mark";
const BULK_MISSING: &str = "bulk_mark_some_missing";
const CONTROL: &str = "control_mark";
const IN_FLIGHT: &str = "control_mark_in_flight";
const GET: &str = "mirror_get";
const EVENT: &str = "event";
const APPLY: &str = "mirror_event";

/// The programs on a full table. Where other threads work too, each flow is used many times, because
/// these do not always do the same.
pub(crate) const ON_A_TABLE: [Program; 7] = [
    Program {
        name: DECODE,
        few: 10_000,
    },
    // A multiple of the table, because it makes whole lists.
    Program {
        name: LIST,
        few: TABLE,
    },
    Program {
        name: BULK,
        few: 4 * TABLE,
    },
    Program {
        name: BULK_MISSING,
        few: 4 * TABLE,
    },
    Program {
        name: CONTROL,
        few: TABLE / MORE,
    },
    Program {
        name: IN_FLIGHT,
        few: TABLE / MORE,
    },
    Program {
        name: GET,
        few: 4 * TABLE,
    },
];

/// The programs that fill the table themselves. Each flow has three events.
pub(crate) const ON_THEIR_OWN: [Program; 2] = [
    Program {
        name: EVENT,
        few: 3 * TABLE / MORE,
    },
    Program {
        name: APPLY,
        few: 3 * TABLE / MORE,
    },
];

/// Runs a program with this many flows or events.
pub(crate) fn run(name: &str, flows: usize) {
    match name {
        DECODE => decode(flows),
        LIST => current_thread().block_on(async {
            let handle = connect().await;
            for _ in 0..flows / TABLE {
                list(&handle).await;
            }
        }),
        BULK => current_thread().block_on(async {
            let handle = connect().await;
            bulk(&handle, keys(&handle, flows).await, 0).await;
        }),
        BULK_MISSING => current_thread().block_on(async {
            let handle = connect().await;
            let mut keys = keys(&handle, flows).await;
            let missing = keys.iter_mut().step_by(10);
            let gone = missing.len() as u64;
            missing.for_each(|key| *key = key.zone(NO_ZONE));
            bulk(&handle, keys, gone).await;
        }),
        CONTROL => current_thread().block_on(async {
            let handle = connect().await;
            control(&handle, keys(&handle, flows).await).await;
        }),
        IN_FLIGHT => current_thread().block_on(async {
            let handle = connect().await;
            in_flight(&handle, keys(&handle, flows).await).await;
        }),
        GET => current_thread().block_on(get(flows)),
        EVENT => drop(apply::stream(flows / 3)),
        APPLY => drop(apply::mirror(flows / 3)),
        _ => panic!("{name} is not a program of this bench"),
    }
}

fn decode(flows: usize) {
    for _ in 0..flows {
        black_box(Flow::from_message(black_box(TCP)).expect("a flow"));
    }
}

async fn list(handle: &ConntrackHandle) {
    let flows = handle.list(Table::Conntrack).await.expect("a list");
    let count = flows.try_fold(0, |count, flow| {
        black_box(flow);
        async move { Ok(count + 1) }
    });
    assert_eq!(count.await.expect("flows"), TABLE);
}

async fn bulk(handle: &ConntrackHandle, keys: Vec<FlowKey>, gone: u64) {
    let count = keys.len() as u64;
    let changes = (1_u32..)
        .zip(keys)
        .map(|(mark, key)| Change::Update(key, Patch::new().mark(mark)));
    let report = handle.bulk(changes).await.expect("a bulk");
    assert_eq!(
        (report.applied, report.gone),
        (count - gone, gone),
        "{report:?}"
    );
}

async fn control(handle: &ConntrackHandle, keys: Vec<FlowKey>) {
    for (mark, key) in (1..).zip(keys) {
        handle.set_mark(key, mark).await.expect("a mark");
    }
}

async fn in_flight(handle: &ConntrackHandle, keys: Vec<FlowKey>) {
    let marks = stream::iter((1..).zip(keys))
        .map(|(mark, key)| Ok(handle.set_mark(key, mark).into_future()))
        .try_buffer_unordered(128)
        .try_for_each(|()| async { Ok::<_, ctnetlink::Error>(()) });
    marks.await.expect("marks");
}

async fn get(flows: usize) {
    let handle = connect().await;
    let keys = keys(&handle, flows).await;
    let mirror = handle.mirror().await.expect("a mirror");
    let reader = mirror.reader();
    let mirror = tokio::spawn(mirror.run());
    reader.synced().await.expect("a mirror");
    mirror.abort();
    for key in keys {
        black_box(reader.get(black_box(key))).expect("a flow");
    }
}

async fn connect() -> ConntrackHandle {
    ctnetlink::connect().await.expect("a connection")
}

/// The keys of this many flows, beginning anew at the end of the table. It always makes as many, so
/// that this is not counted.
async fn keys(handle: &ConntrackHandle, flows: usize) -> Vec<FlowKey> {
    let keys = names::keys(handle, names::AS_LISTED).await;
    assert_eq!(keys.len(), TABLE);
    let mut keys: Vec<_> = keys.into_iter().cycle().take(MOST).collect();
    assert!(flows <= MOST);
    keys.truncate(flows);
    keys
}
