//! Events: a stream over a listening socket.

use std::future::IntoFuture;
use std::sync::Arc;

use super::{RequestFuture, Verb};
use crate::error::{Error, Result};
use crate::event::EventKinds;
use crate::filter::bpf::SocketFilter;
use crate::filter::{Filter, KernelFilter};
use crate::stream::EventStream;
use crate::transport::Lanes;
use crate::transport::listen::{Listen, Listener};
use crate::wire::uapi::{BPF_MAXINSNS, ENOMEM};

const EVENTS: Verb = Verb {
    name: "events",
    doing: "listening to events",
};

/// The default size of the queue: room for 13 107 events.
const RECEIVE_BUFFER: usize = 8 * 1024 * 1024;

/// Awaiting it gives an [`EventStream`]. `.into_future()` gives the future itself, for
/// `tokio::spawn`, `block_on`, `join_all` and `FuturesUnordered`.
///
/// See [`ConntrackHandle::events`](crate::ConntrackHandle::events).
#[derive(Debug, Clone)]
#[must_use = "nothing is received before it is awaited"]
pub struct Events {
    lanes: Arc<Lanes>,
    kinds: EventKinds,
    filter: Filter,
    receive_buffer: usize,
    reliable: bool,
    all_namespaces: bool,
}

impl Events {
    pub(crate) fn new(lanes: Arc<Lanes>) -> Self {
        Self {
            lanes,
            kinds: EventKinds::default(),
            filter: Filter::default(),
            receive_buffer: RECEIVE_BUFFER,
            reliable: false,
            all_namespaces: false,
        }
    }

    /// The kinds of events, `-e`; without it, [`EventKinds::FLOWS`]. The kernel does not make other
    /// events, unless another program listens to them.
    pub fn kinds(mut self, kinds: EventKinds) -> Self {
        self.kinds = kinds;
        self
    }

    /// Receives only the events of flows that match: `-p`, `-s`, `-m` and the others. A second call
    /// replaces the filter.
    ///
    /// A socket filter (classic BPF, on every kernel) drops the other events before they take room
    /// in the queue. It compares family, protocol, addresses with their prefixes, ports and ranges,
    /// ICMP fields, zone, mark and status under their masks, and
    /// [`any_of`](crate::FilterBuilder::any_of) and [`not`](crate::FilterBuilder::not) of these, as
    /// far as they fit into the kernel's limits: 4096 instructions, and `net.core.optmem_max`,
    /// which is enough for some 1000 before Linux 6.8. [`EventStream::kernel_filtered`] returns
    /// what it compares. Every event that arrives is compared with the whole filter again.
    ///
    /// A filter compares what the event contains. An event without a mark counts as mark 0, and one
    /// without a zone as zone 0. An [`UPDATE`](EventKinds::UPDATE) contains the state of the
    /// protocol only if it changed. Without it, an event matches no
    /// [`tcp_state`](crate::FilterBuilder::tcp_state) (`sctp_state`, `dccp_state`), and every
    /// [`not`](crate::FilterBuilder::not) of one. So a filter on a state passes the changes into
    /// that state, and no other changes of a flow in that state. Conditions on fields that events
    /// of a kind never contain are refused: labels and a master of [`UPDATE`](EventKinds::UPDATE)
    /// and [`DESTROY`](EventKinds::DESTROY), a helper of `DESTROY`, and before Linux 5.11 the state
    /// of `DESTROY`.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }

    /// Asks for this many bytes of queue, `-b`; the kernel doubles the number. The default is 8
    /// MiB. This is room for 13 107 events of 1280 bytes each, as the kernel counts them: 65 ms at
    /// 200 000 events a second.
    ///
    /// More than `net.core.rmem_max` needs `CAP_NET_ADMIN` in the initial user namespace
    /// (`SO_RCVBUFFORCE`). Without that right, the size is limited: [`EventStream::receive_buffer`]
    /// returns it. The kernel uses memory only for the events that wait, not for the whole size.
    pub fn receive_buffer(mut self, bytes: usize) -> Self {
        self.receive_buffer = bytes;
        self
    }

    /// Makes the kernel repeat the events that this stream had no room for.
    ///
    /// `NETLINK_BROADCAST_ERROR` and `NETLINK_NO_ENOBUFS`. The end of each flow arrives sooner or
    /// later. Until then the kernel keeps the flow in the dying table, which counts towards
    /// `nf_conntrack_max`: a reader that has stopped can fill the table. New flows and changes are
    /// merged: an event that had no room comes with the next event of its flow, as an event of that
    /// kind or as `New`. All other listeners on the host get the repeated events too.
    ///
    /// Losses are still reported and counted. The [`Overrun`](crate::Event::Overrun) comes when the
    /// queue is next empty, or when all events that were queued when the loss was noticed are read.
    ///
    /// For accounting, listen to [`DESTROY`](EventKinds::DESTROY) alone, reliably, and to the other
    /// kinds with another stream.
    pub fn reliable(mut self) -> Self {
        self.reliable = true;
        self
    }

    /// Also receives the events of other network namespaces: all to which the connection's
    /// namespace has given an id (`ip netns set NAME ID`, `RTM_NEWNSID`).
    ///
    /// `NETLINK_LISTEN_ALL_NSID`. [`Event::nsid`](crate::Event::nsid) is that id; events of the
    /// connection's own namespace have none. Namespaces without an id are left out: give them one.
    /// This needs `CAP_NET_BROADCAST` in the user namespaces that own the connection's namespace
    /// and each of the others. Requests still go to the connection's own namespace.
    pub fn all_namespaces(mut self) -> Self {
        self.all_namespaces = true;
        self
    }
}

impl IntoFuture for Events {
    type Output = Result<EventStream>;
    type IntoFuture = RequestFuture<EventStream>;

    fn into_future(self) -> RequestFuture<EventStream> {
        let family = self.filter.family();
        EVENTS.run(self.lanes.clone(), family, move |task| async move {
            let Self { kinds, filter, .. } = self;
            if !EventKinds::all().contains(kinds) {
                return Err(Error::invalid_input(format!(
                    "kinds: {kinds} has unknown bits"
                )));
            }
            if kinds.groups().next().is_none() {
                return Err(Error::invalid_input("kinds: the set is empty"));
            }
            if !filter.is_empty() && kinds.intersects(EventKinds::EXPECTATIONS) {
                return Err(Error::invalid_input(
                    "filter: it is one of flows, and kinds has expectations: listen to them with \
                     another stream",
                ));
            }
            let release = task.lanes.release;
            filter.check_events(kinds, (release.0, release.1))?;
            let listen = Listen {
                groups: kinds.groups().collect(),
                program: None,
                receive_buffer: self.receive_buffer,
                reliable: self.reliable,
                all_namespaces: self.all_namespaces,
            };
            let (listener, by_kernel) = listener(&task.lanes, listen, &filter)?;
            Ok(EventStream::new(listener, filter, by_kernel))
        })
    }
}

/// Listens with as much of the filter as the kernel accepts. `net.core.optmem_max` limits the size
/// of a program, and the kernel's form of the program is larger than ours.
fn listener(
    lanes: &Lanes,
    mut listen: Listen,
    filter: &Filter,
) -> Result<(Listener, KernelFilter)> {
    let mut most = BPF_MAXINSNS;
    loop {
        let compiled = SocketFilter::within(filter, most);
        let (program, by_kernel) = compiled
            .map(|filter| (filter.program, filter.conditions))
            .unzip();
        let length = program.as_ref().map_or(0, Vec::len);
        listen.program = program;
        match lanes.listen(&listen) {
            Err(error) if length > 0 && error.errno() == Some(ENOMEM) => most = length * 3 / 4,
            listener => return Ok((listener?, by_kernel.unwrap_or_default())),
        }
    }
}
