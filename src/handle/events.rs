//! The verb for events.

use super::ConntrackHandle;
use crate::request::Events;

impl ConntrackHandle {
    /// Listens to the events of the table, as a stream.
    ///
    /// `conntrack -E`, with [`kinds`](Events::kinds) `-e`, with [`filter`](Events::filter) `-p`,
    /// `-s`, `-m` and the others, with [`receive_buffer`](Events::receive_buffer) `-b`; the groups
    /// `NFNLGRP_CONNTRACK_NEW`, `_UPDATE` and `_DESTROY`. Each stream has its own socket, and
    /// receives everything that happens after this future completes. When events are lost, the
    /// stream reports their number: see [`EventStream`](crate::EventStream).
    ///
    /// # Which flows
    ///
    /// `net.netfilter.nf_conntrack_events` says which flows of a namespace make events: with 1,
    /// those that begin while it is 1; with 2 (the default since Linux 5.19), those that begin
    /// while a program listens; with 0, none. With 2, the kernel keeps one switch for the whole
    /// host: when the last listener of one network namespace stops, new flows of all namespaces
    /// make no events, although programs elsewhere still listen. If streams are open in several
    /// namespaces, set it to 1. A flow that began before then never makes an event, not even at its
    /// end. To follow a whole table, set it to 1 at boot. Rules can choose kinds for a flow (`ct
    /// event set`).
    ///
    /// # Errors
    ///
    /// - [`InvalidInput`](crate::ErrorKind::InvalidInput) for no kinds, and for a filter on fields
    ///   that events of these kinds do not contain;
    /// - [`PermissionDenied`](crate::ErrorKind::PermissionDenied) without `CAP_NET_ADMIN`, or for
    ///   [`all_namespaces`](Events::all_namespaces) without `CAP_NET_BROADCAST`.
    ///
    /// # Cancellation
    ///
    /// Dropping the future or the stream closes the socket.
    ///
    /// ```standalone_crate
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/doctest.rs"));
    /// # fn main() { in_namespace(async |handle| {
    /// use std::time::Duration;
    /// use ctnetlink::{Event, EventKinds, Filter, NewFlow, Tuple};
    /// use futures::StreamExt;
    ///
    /// let dns = Filter::builder().protocol(17).orig_dst_port(53).build()?;
    /// let kinds = EventKinds::NEW | EventKinds::DESTROY;
    /// let mut events = handle.events().kinds(kinds).filter(dns).await?;
    ///
    /// let tuple = Tuple::udp("10.0.0.1:5000".parse()?, "10.0.0.2:53".parse()?)?;
    /// handle.create(NewFlow::new(tuple, Duration::from_secs(60))).await?;
    /// while let Some(event) = events.next().await {
    ///     match event {
    ///         Ok(Event::New { flow, .. }) => {
    ///             println!("began: {flow}");
    ///             # assert_eq!(flow.orig, tuple);
    ///             # break;
    ///         }
    ///         Ok(Event::Destroy { flow, .. }) => println!("ended: {flow}"),
    ///         Ok(Event::Overrun { lost }) => println!("{lost} events were lost"),
    ///         Ok(other) => println!("{other}"),
    ///         // One that cannot be read; the stream goes on, unless its socket failed.
    ///         Err(error) => eprintln!("{error}"),
    ///     }
    /// }
    /// # Ok(()) }) }
    /// ```
    pub fn events(&self) -> Events {
        Events::new(self.lanes.clone())
    }
}
