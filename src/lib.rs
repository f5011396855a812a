//! An async client of the Linux connection tracking table: list, get, create, mark, label, delete
//! and flush flows, from tokio.
//!
//! # Example
//!
//! ```standalone_crate
//! # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
//! # fn main() { in_namespace(async |_| {
//! use ctnetlink::Table;
//! use futures::TryStreamExt;
//!
//! let (connection, handle) = ctnetlink::new_connection()?;
//! // The connection moves the requests of the handle and its clones; spawn it off.
//! tokio::spawn(connection);
//!
//! let mut flows = handle.list(Table::Conntrack).await?;
//! while let Some(flow) = flows.try_next().await? {
//!     println!("{flow}"); // the line that conntrack(8) prints
//! }
//! # Ok(()) }) }
//! ```
//!
//! # Verbs
//!
//! | conntrack(8) | here |
//! |---|---|
//! | `-L` | [`handle.list(Table::Conntrack)`](ConntrackHandle::list) |
//! | `-L` with `-p -s -d --mask-src -m -l -w -u` and others | [`handle.list(..).filter(Filter)`](List::filter) |
//! | `-L dying`, `-L unconfirmed` | [`handle.list(Table::Dying)`](Table::Dying), [`Table::Unconfirmed`] |
//! | `-f FAMILY` | [`List::family`], [`Flush::family`] |
//! | `-G` | [`handle.get(key)`](ConntrackHandle::get) |
//! | `-z` | [`Get::zero_counters`], flow by flow |
//! | `-I` | [`handle.create(NewFlow)`](ConntrackHandle::create) |
//! | `-U` | [`handle.update(key)`](ConntrackHandle::update) |
//! | `-U -m` | [`handle.set_mark(key, mark)`](ConntrackHandle::set_mark) |
//! | `-U --label-add --label-del` | [`handle.set_labels(key, labels)`](ConntrackHandle::set_labels) |
//! | `-D` with a tuple | [`handle.delete(key)`](ConntrackHandle::delete) |
//! | `-D` with conditions | [`handle.delete_matching(Filter)`](ConntrackHandle::delete_matching), or [`handle.flush(..).filter(Filter)`](Flush::filter) |
//! | `-U` with conditions | [`handle.update_matching(Filter, Patch)`](ConntrackHandle::update_matching) |
//! | `--load-file` | [`handle.bulk(changes)`](ConntrackHandle::bulk) |
//! | (not there) | [`handle.get_many(keys)`](ConntrackHandle::get_many) |
//! | `-E` with `-e -b`, and the conditions of `-L` | [`handle.events()`](ConntrackHandle::events) |
//! | `-E expect` | [`handle.events().kinds(EventKinds::EXPECTATIONS)`](EventKinds::EXPECTATIONS) |
//! | `-F` | [`handle.flush(Table::Conntrack)`](ConntrackHandle::flush) |
//! | `-L -G -I -U -D -F expect` | [`handle.expectations()`](ConntrackHandle::expectations) |
//! | `-C` | [`handle.stats()`](ConntrackHandle::stats) |
//! | `-S`, `-S expect` | [`handle.cpu_stats()`](ConntrackHandle::cpu_stats), [`Expectations::cpu_stats`] |
//! | `nfct list`, `get`, `add`, … `timeout` | [`handle.timeouts()`](ConntrackHandle::timeouts) |
//! | `nfct list`, `get`, `add`, … `helper` | [`handle.user_helpers()`](ConntrackHandle::user_helpers) |
//! | (not there) | [`handle.mirror()`](ConntrackHandle::mirror): a copy in memory, which repairs itself after losses |
//! | (not there) | [`handle.preflight()`](ConntrackHandle::preflight): what is missing here, and the cure |
//! | `-s -d -p --sport --dport` | [`Tuple`], [`FlowKey`] |
//! | `-r -q` | [`FlowKey::reply`], [`NewFlow::reply`] |
//! | `-w` | [`Zone`], [`FlowKey::zone`], [`NewFlow::zone`] |
//! | `-o extended,id` | `format!("{flow:#}")` |
//!
//! A key names one flow: a `&`[`Flow`] from a list, a [`Tuple`], or a [`FlowKey`].
//!
//! # Behaviour
//!
//! The [`guide`] has a page on each subject. In short:
//!
//! - **Lanes.** Requests on single flows share one socket and one task, and waiting requests are
//!   sent together. Each list, flush, bulk request and event stream has its own socket. No walk of
//!   the table runs on a thread of the runtime. [`guide::performance`] helps to choose a verb.
//! - **Many at once.** Bulk requests send 64 changes at a time, with one ACK for all. A [`Report`]
//!   has the results.
//! - **One at a time, opening, order.** The kernel serves one ctnetlink request at a time, for the
//!   whole machine. Requests on one flow are sent in the order of their first polls.
//!   [`new_connection`] does not wait for the kernel's lock. See [`guide::loss`].
//! - **Back-pressure.** The kernel waits for the reader of a list. No channel is unbounded.
//! - **Loss.** No loss is silent. It is reported by [`ErrorKind::Overrun`], [`ErrorKind::Timeout`],
//!   [`ErrorKind::Decode`], and for events by [`Event::Overrun`] with the exact number. The stream
//!   goes on.
//! - **Filters.** The conditions that the running kernel compares correctly go into the request,
//!   and every flow that arrives is compared again. See [`guide::filters`].
//! - **Cancellation.** To cancel, drop the future or the stream. If a future is dropped before its
//!   request is sent, nothing happens; if it is dropped later, the request may have taken effect.
//!   Dropping a stream ends its walk.
//! - **Safety.** Bad input is an [`ErrorKind::InvalidInput`] that names the part, before anything is
//!   sent. A create never changes a flow, an update never creates one, a delete without a whole
//!   tuple cannot be built, and a flush never removes more than it was asked to.
//! - **Absent and zero.** An attribute that the kernel did not send is `None`; mark 0, timeout 0 and
//!   no labels are values. Unknown attributes are skipped, unknown states and status bits kept.
//!
//! # Tracing
//!
//! Each request is a span `ctnetlink` at debug level. Its fields are the subject of the request
//! (`verb`, `netns`, `family`, `key`, `filter`), the conditions that the kernel compared
//! (`kernel_filtered`), the `report` of a bulk request and the `outcome`. It ends with one event,
//! which has the time that the request took. A plain subscriber (`tracing_subscriber::fmt`,
//! `RUST_LOG=ctnetlink=debug`) shows one line for each request:
//!
//! ```text
//! DEBUG ctnetlink{verb="create" netns=1445 family="ipv4" key=src=10.1.0.1 dst=10.2.0.1 sport=4000 dport=53 seq=1 outcome="ok"}: ctnetlink: done elapsed=303.162µs
//! DEBUG ctnetlink{verb="set_mark" netns=1445 family="ipv4" key=src=10.1.0.2 dst=10.2.0.1 sport=4000 dport=53 seq=2 outcome=NotFound}: ctnetlink: done elapsed=133.997µs
//! DEBUG ctnetlink{verb="delete_matching" netns=1445}:ctnetlink{verb="list" netns=1445 filter=mark=0x0 kernel_filtered=MARK seq=1 outcome="ok"}: ctnetlink: done elapsed=28.247128ms
//! DEBUG ctnetlink{verb="delete_matching" netns=1445 report=1 applied, 0 gone, 0 failed outcome="ok"}: ctnetlink: done elapsed=28.988983ms
//! ```
//!
//! Losses are logged at warn level: events that were lost, a receive queue that overflowed, a
//! mirror that lists the table again. Each gap and each overflow is a line, but each stream and
//! each connection logs at most one line per second. Lines in between are held back, and counted in
//! the next line or the last one: `gaps` and `times` are the numbers of losses that a line stands
//! for. A mirror waits at least half a second before it lists again.
//!
//! ```text
//! WARN ctnetlink: events were lost lost=39 gaps=1 total=39
//! WARN ctnetlink: the mirror lists the table again cause=Lost { events: 39 }
//! WARN ctnetlink: the control connection's receive queue overflowed times=1
//! ```
//!
//! Nothing is logged per message.
//!
//! # Runtime
//!
//! Requests are awaited in a tokio runtime with time, current-thread or multi-thread; events need
//! one with I/O too (`enable_all`). Under a paused clock (`start_paused`) a request does not time
//! out while a thread of this crate works for it.
//!
//! # Rights
//!
//! `CAP_NET_ADMIN` in the user namespace that owns the network namespace: root, or any user in a
//! user namespace of their own (`unshare -Urn`). Opening fails at once without it. The right is
//! needed for as long as requests are made.
//!
//! # Kernels
//!
//! Linux 4.19 and later; tested on 5.10, 6.1, 6.12, 6.18 and 7.3. Which conditions of a filter the
//! kernel compares, in a list and in a flush, depends on its release. This changes only the time
//! that a request takes: see [`KernelFilter`] and [`Flush::filter`].
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | gives |
//! |---|---|
//! | `netlink-packet` | conversions between [`Flow`] and `ConntrackMessage` of netlink-packet-netfilter |
//! | `serde` | `Serialize` and `Deserialize` for the nouns, [`NewFlow`], [`Patch`] and [`Filter`] |
//! | `blocking` | [`blocking::Client`]: the table for programs without a runtime |
//! | `testing` | `testing::Kernel`: a connection tracking table in the process, to test programs on |
//!
//! With `serde`, the JSON of a flow is a public format: see [`guide::json`].

#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(not(target_os = "linux"))]
compile_error!("ctnetlink speaks to the Linux kernel: it can be built for Linux alone");

#[macro_use]
mod wire;
mod error;
#[macro_use]
mod flow;
#[cfg(feature = "blocking")]
pub mod blocking;
mod connection;
mod event;
mod expectation;
mod filter;
#[cfg(any(doc, doctest))]
pub mod guide;
mod handle;
mod mirror;
mod preflight;
mod request;
mod stats;
mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod text;
mod timeout;
mod transport;
mod user_helper;

pub use connection::{Connection, Options, connect, new_connection};
pub use error::{Error, ErrorKind, Result};
pub use event::{Event, EventKinds};
pub use expectation::{
    Expectation, ExpectationFlags, ExpectationId, ExpectationKey, ExpectationNat, NewExpectation,
    TupleMask,
};
pub use filter::{Filter, FilterBuilder, KernelFilter, NatKind, Ports, PrefixSet};
pub use flow::*;
pub use handle::{ConntrackHandle, Expectations, TimeoutPolicies, UserHelpers};
pub use ipnet::IpNet;
pub use mirror::{
    Counts, Delta, Mirror, MirrorBuilder, MirrorChanged, MirrorFlows, MirrorReader, MirrorState,
    MirrorStats, MirrorSynced, OpenMirror, RemovalCause, RunMirror, SyncCause,
};
pub use preflight::{Check, Facts, Finding, Preflight, Severity};
pub use request::{
    Bulk, Change, Create, Delete, Events, Flush, FlushExpectations, Get, GetMany, List,
    ListExpectations, Outcome, Report, RequestFuture, Table, Update,
};
pub use stats::{
    CpuCounters, CpuStats, ExpectationCounters, ExpectationTotals, StatsMeter, TableCounters,
    TableStats, TableTotals,
};
pub use stream::{Backlog, EventStats, EventStream, ExpectationStream, FlowStream, FoundStream};
pub use text::LabelMap;
pub use timeout::{
    DccpTimeouts, SctpTimeouts, SingleTimeout, TcpTimeouts, TimeoutPolicy, Timeouts, TwoWayTimeouts,
};
pub use transport::netns::NetworkNamespace;
pub use user_helper::{ExpectationPolicy, UserHelper, UserHelperKey};
pub use wire::attr::DecodeError;
