//! The mirror, on a kernel in the process.

mod actor;
mod faults;
mod healing;
mod looks;

use std::collections::HashMap;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, ready};
use std::thread;
use std::time::{Duration, Instant};

use ctnetlink::testing::{Kernel, KernelBuilder};
use ctnetlink::{
    Delta, Error, Flow, Mirror, MirrorReader, MirrorStats, RemovalCause, SyncCause, Tuple, Zone,
};
use futures::StreamExt;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::sleep;

use crate::{fill, new, run, udp};

/// Long enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

type Store = HashMap<(Tuple, Zone), Flow>;

/// A mirror that is polled by a task.
struct Watch {
    kernel: Kernel,
    reader: MirrorReader,
    told: Arc<Mutex<Told>>,
    task: JoinHandle<()>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a mirror has reported.
#[derive(Debug, Default)]
struct Told {
    /// The flows according to its deltas.
    store: Store,
    deltas: Vec<Delta>,
    errors: Vec<Error>,
    stats: MirrorStats,
}

impl Watch {
    fn new(kernel: &Kernel, mut mirror: Mirror) -> Self {
        let reader = mirror.reader();
        let told = Arc::new(Mutex::new(Told::default()));
        let shared = told.clone();
        let task = tokio::spawn(poll_fn(move |cx| {
            loop {
                let polled = mirror.poll_next_unpin(cx);
                let mut told = shared.lock().expect("a lock");
                told.stats = mirror.stats();
                match ready!(polled) {
                    Some(Ok(delta)) => told.take(delta),
                    Some(Err(error)) => told.errors.push(error),
                    None => return Poll::Ready(()),
                }
            }
        }));
        Self {
            kernel: kernel.clone(),
            reader,
            told,
            task,
        }
    }

    async fn of(kernel: &Kernel, builder: ctnetlink::MirrorBuilder) -> Self {
        Self::new(kernel, builder.await.expect("a mirror"))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().expect("a lock")
    }

    /// A flow that differs between the mirror and the table.
    fn difference(&self) -> Option<[Option<Flow>; 2]> {
        differ(&self.kernel.flows(), &self.reader.snapshot())
    }

    /// Waits until the mirror is in sync, and checks that it and its deltas equal the table.
    async fn in_sync(&self) {
        self.until(|| self.reader.is_synced()).await;
        assert_eq!(self.difference(), None);
        self.until(|| self.told().store == store(&self.kernel.flows()))
            .await;
    }

    /// Waits in real time, because threads work too, and the clock of the test is paused.
    async fn until(&self, is_so: impl Fn() -> bool) {
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            for _ in 0..10 {
                if is_so() {
                    return;
                }
                yield_now().await;
            }
            thread::sleep(Duration::from_micros(100));
            sleep(Duration::from_millis(10)).await;
        }
        let told = self.told().to_string();
        panic!("{:?}, {:?}: {told}", self.reader, self.difference());
    }
}

/// A kernel where all flows make events, also flows that are older than the mirror.
fn audible(with: impl FnOnce(KernelBuilder) -> KernelBuilder) -> Kernel {
    let kernel = Kernel::release("6.18").expect("a release");
    with(kernel.events(1)).build()
}

fn differ(one: &[Flow], other: &[Flow]) -> Option<[Option<Flow>; 2]> {
    let (one, other) = (&store(one), &store(other));
    let mut keys = one.keys().chain(other.keys());
    let key = keys.find(|key| one.get(key) != other.get(key))?;
    Some([one, other].map(|store| store.get(key).cloned()))
}

fn store(flows: &[Flow]) -> Store {
    let flows = flows.iter().cloned().map(bare);
    flows.map(|flow| ((flow.orig, flow.zone), flow)).collect()
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { errors, stats, .. } = self;
        let last = self.deltas.len().saturating_sub(20);
        write!(
            f,
            "{stats:?}, {errors:?}, at last {:?}",
            &self.deltas[last..]
        )
    }
}

impl Told {
    fn take(&mut self, delta: Delta) {
        match &delta {
            Delta::Added(flow) | Delta::Updated { after: flow, .. } => {
                let flow = bare(flow.clone());
                self.store.insert((flow.orig, flow.zone), flow);
            }
            Delta::Removed { flow, .. } => {
                self.store.remove(&(flow.orig, flow.zone));
            }
            _ => {}
        }
        self.deltas.push(delta);
    }

    fn syncs(&self) -> impl Iterator<Item = SyncCause> {
        self.deltas.iter().filter_map(|delta| match delta {
            Delta::SyncStarted { cause } => Some(*cause),
            _ => None,
        })
    }

    fn removals(&self) -> impl Iterator<Item = (Tuple, RemovalCause)> {
        self.deltas.iter().filter_map(|delta| match delta {
            Delta::Removed { flow, cause } => Some((flow.orig, *cause)),
            _ => None,
        })
    }
}

/// The flow without the fields that change without an event.
fn bare(mut flow: Flow) -> Flow {
    flow.timeout = None;
    flow.use_count = None;
    flow.counters_orig = None;
    flow.counters_reply = None;
    flow
}

async fn next(mirror: &mut Mirror) -> Delta {
    mirror.next().await.expect("it goes on").expect("a delta")
}

/// Runs the mirror until it is in sync.
async fn sync(mirror: &mut Mirror) -> Vec<Delta> {
    let mut deltas = Vec::new();
    loop {
        let delta = next(mirror).await;
        let is_synced = matches!(delta, Delta::Synced { .. });
        deltas.push(delta);
        if is_synced {
            return deltas;
        }
    }
}

#[test]
fn it_lists_and_listens() {
    run(async {
        let kernel = Kernel::new();
        fill(&kernel, 3);
        let handle = kernel.connect();
        let mut mirror = handle.mirror().await.unwrap();
        let reader = mirror.reader();
        assert!(!reader.is_synced());
        let deltas = sync(&mut mirror).await;
        assert_eq!(
            deltas[0],
            Delta::SyncStarted {
                cause: SyncCause::Start
            }
        );
        assert_eq!(deltas.len(), 5);
        assert_eq!(reader.len(), 3);
        assert!(reader.is_synced());

        handle.create(new(7).mark(9)).await.unwrap();
        assert!(!reader.is_synced(), "an event waits");
        let Delta::Added(flow) = next(&mut mirror).await else {
            panic!("a flow");
        };
        assert_eq!((flow.orig, flow.mark), (udp(7), Some(9)));
        handle.set_mark(udp(7), 10).await.unwrap();
        let Delta::Updated { before, after } = next(&mut mirror).await else {
            panic!("a change");
        };
        assert_eq!((before.mark, after.mark), (Some(9), Some(10)));
        assert_eq!(reader.get(udp(7)).unwrap().mark, Some(10));
        handle.delete(udp(7)).await.unwrap();
        let Delta::Removed { flow, cause } = next(&mut mirror).await else {
            panic!("an end");
        };
        assert_eq!(flow.orig, udp(7));
        assert!(matches!(
            cause,
            RemovalCause::Destroyed { port_id: Some(_) }
        ));
        assert_eq!(reader.len(), 3);
        kernel.advance(Duration::from_secs(1));
    });
}
