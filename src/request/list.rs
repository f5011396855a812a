//! List: walks the table, and streams its flows.

use std::future::IntoFuture;
use std::sync::Arc;

use super::{RequestFuture, Verb};
use crate::error::{Error, Result};
use crate::filter::Filter;
use crate::filter::kernel::{Capabilities, RequestFilter};
use crate::flow::Family;
use crate::stream::{FlowStream, Items, StreamFilter};
use crate::transport::Lanes;
use crate::transport::release::Release;
use crate::wire::message::Request;
use crate::wire::uapi::*;

const LIST: Verb = Verb {
    name: "list",
    doing: "listing the table",
};

/// The tables that the kernel keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Table {
    /// The flows: what `conntrack -L` lists.
    Conntrack,
    /// Flows that ended, and whose destroy event a reliable listener has not received yet,
    /// `conntrack -L dying`.
    /// `IPCTNL_MSG_CT_GET_DYING` (Linux 3.9).
    Dying,
    /// Flows whose first packet has not left yet, `conntrack -L unconfirmed`.
    /// `IPCTNL_MSG_CT_GET_UNCONFIRMED` (Linux 3.9); empty from 5.19 on.
    Unconfirmed,
}

/// Awaiting it gives a [`FlowStream`]. `.into_future()` gives the future itself, for
/// `tokio::spawn`, `block_on`, `join_all` and `FuturesUnordered`.
///
/// See [`ConntrackHandle::list`](crate::ConntrackHandle::list).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is awaited"]
pub struct List {
    lanes: Arc<Lanes>,
    table: Table,
    family: Option<Family>,
    filter: Filter,
}

impl List {
    pub(crate) fn new(lanes: Arc<Lanes>, table: Table) -> Self {
        Self {
            lanes,
            table,
            family: None,
            filter: Filter::default(),
        }
    }

    /// Lists only this family, `-f`. Without it, one walk lists both.
    pub fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    /// Lists only flows that match. A second call replaces the filter.
    ///
    /// The request contains the conditions that the kernel compares correctly.
    /// [`FlowStream::kernel_filtered`] returns them. Every flow that arrives is compared with the
    /// whole filter again.
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = filter;
        self
    }
}

/// The family of the requested flows, if it is only one.
pub(super) fn one_family(family: Option<Family>, filter: &Filter) -> Result<Option<Family>> {
    match (family, filter.family()) {
        (Some(listed), Some(filtered)) if listed != filtered => Err(Error::invalid_input(format!(
            "filter: it is of {filtered}, in a list of {listed}"
        ))),
        (listed, filtered) => Ok(listed.or(filtered)),
    }
}

/// The part of the filter that goes into the request.
fn pushed(
    table: Table,
    family: Option<Family>,
    filter: &Filter,
    release: Release,
) -> RequestFilter {
    match table {
        Table::Conntrack => {
            let can = Capabilities::of((release.0, release.1));
            RequestFilter::new(filter, family, can)
        }
        // Dumps of the other tables have no filter, and on some kernels they ignore the family.
        Table::Dying | Table::Unconfirmed => RequestFilter::default(),
    }
}

fn request(table: Table, family: Option<Family>, pushed: &RequestFilter) -> Request {
    let kind = match table {
        Table::Conntrack => IPCTNL_MSG_CT_GET,
        Table::Dying => IPCTNL_MSG_CT_GET_DYING,
        Table::Unconfirmed => IPCTNL_MSG_CT_GET_UNCONFIRMED,
    };
    let family = family.map_or(AF_UNSPEC, Family::number);
    Request::new(kind, NLM_F_DUMP, family).with(|w| pushed.write(w))
}

impl IntoFuture for List {
    type Output = Result<FlowStream>;
    type IntoFuture = RequestFuture<FlowStream>;

    fn into_future(self) -> RequestFuture<FlowStream> {
        let family = self.family.or(self.filter.family());
        LIST.run_for_long(self.lanes.clone(), family, move |task| async move {
            let family = one_family(self.family, &self.filter)?;
            let mut pushed = pushed(self.table, family, &self.filter, task.lanes.release);
            loop {
                let wanted = StreamFilter::new(family, self.filter.clone(), pushed.conditions());
                task.show("filter", &self.filter);
                task.show("kernel_filtered", &pushed.conditions().shown());
                let walk = task.walk(request(self.table, family, &pushed)).await;
                let opened = walk.and_then(|(walk, first)| {
                    let items = Items::open(task.lanes.clone(), walk, first, LIST.doing)?;
                    Ok(FlowStream::new(items, wanted))
                });
                let errno = opened.as_ref().err().and_then(Error::errno);
                match errno.and_then(|errno| pushed.after_refusal(errno)) {
                    Some(less) => pushed = less,
                    None => return opened,
                }
            }
        })
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;
    use crate::filter::{FilterBuilder, NatKind};
    use crate::transport::walk::SEQ;
    use crate::wire::golden::assert_bytes;

    #[test]
    fn of_each_table_and_family() {
        let (v4, v6) = (Some(Family::Ipv4), Some(Family::Ipv6));
        for (table, family, golden) in [
            (Table::Conntrack, None, "0101 0503 01000000 00000000  00"),
            (Table::Conntrack, v4, "0101 0503 01000000 00000000  02"),
            (Table::Conntrack, v6, "0101 0503 01000000 00000000  0a"),
            (Table::Dying, None, "0601 0503 01000000 00000000  00"),
            (Table::Unconfirmed, v6, "0701 0503 01000000 00000000  0a"),
        ] {
            let golden = format!("14000000 {golden} 00 0000");
            let request = request(table, family, &RequestFilter::default());
            assert_bytes(&request.finish(SEQ), &golden);
        }
    }

    fn build(filter: FilterBuilder) -> Filter {
        filter.build().unwrap()
    }

    /// The request for this list on a kernel of this release.
    fn filtered(table: Table, filter: &Filter, release: Release) -> Vec<u8> {
        let family = one_family(None, filter).unwrap();
        let pushed = pushed(table, family, filter, release);
        request(table, family, &pushed).finish(SEQ)
    }

    const NEW: Release = Release(6, 18);

    #[test]
    fn of_tcp_to_one_port() {
        let filter = Filter::builder().family(Family::Ipv4).protocol(6);
        let filter = build(filter.orig_dst_port(443));
        let golden = "38000000 0101 0503 01000000 00000000  02 00 0000
            0c00 1980  0800 0100 28000000
            1800 0180  1400 0280  0500 0100 06000000  0600 0300 01bb 0000";
        assert_bytes(&filtered(Table::Conntrack, &filter, NEW), golden);
        // A filter is not sent to a kernel that would ignore it, or for a table without filters.
        let plain = "14000000 0101 0503 01000000 00000000  02 00 0000";
        assert_bytes(&filtered(Table::Conntrack, &filter, Release(5, 7)), plain);
        let plain = "14000000 0601 0503 01000000 00000000  02 00 0000";
        assert_bytes(&filtered(Table::Dying, &filter, NEW), plain);
    }

    #[test]
    fn of_mark_status_and_zone() {
        let filter = Filter::builder().mark(5).nat(NatKind::None).zone(7);
        let golden = "3c000000 0101 0503 01000000 00000000  00 00 0000
            0800 0800 00000005  0800 1500 ffffffff
            0800 0300 00000000  0800 1a00 00000030
            0600 1200 0007 0000";
        assert_bytes(&filtered(Table::Conntrack, &build(filter), NEW), golden);
    }

    #[test]
    fn of_addresses_both_ways() {
        let net = |text: &str| text.parse::<ipnet::IpNet>().unwrap();
        let filter = Filter::builder()
            .orig_src(net("10.0.0.1/32"))
            .orig_dst(net("10.0.0.0/8"))
            .protocol(17)
            .reply_src(net("10.0.0.2/32"))
            .reply_dst_port(53);
        let golden = "68000000 0101 0503 01000000 00000000  02 00 0000
            1400 1980  0800 0100 09000000  0800 0200 29000000
            1c00 0180  0c00 0180  0800 0100 0a000001  0c00 0280  0500 0100 11000000
            2400 0280  0c00 0180  0800 0100 0a000002
                       1400 0280  0500 0100 11000000  0600 0300 0035 0000";
        assert_bytes(&filtered(Table::Conntrack, &build(filter), NEW), golden);
    }

    #[test]
    fn of_an_icmpv6_query() {
        let filter = Filter::builder().protocol(58);
        let filter = build(filter.icmp_type(128).icmp_code(0).icmp_id(7));
        let golden = "48000000 0101 0503 01000000 00000000  0a 00 0000
            0c00 1980  0800 0100 080e0000
            2800 0180  2400 0280  0500 0100 3a000000
                0600 0700 0007 0000  0500 0800 80000000  0500 0900 00000000";
        assert_bytes(&filtered(Table::Conntrack, &filter, NEW), golden);
    }

    #[test]
    fn two_families_are_refused() {
        let six = build(Filter::builder().family(Family::Ipv6));
        let refused = one_family(Some(Family::Ipv4), &six).unwrap_err();
        assert_eq!(refused.kind(), crate::ErrorKind::InvalidInput);
        assert_eq!(one_family(None, &six).unwrap(), Some(Family::Ipv6));
        let any = Filter::default();
        assert_eq!(
            one_family(Some(Family::Ipv4), &any).unwrap(),
            Some(Family::Ipv4)
        );
    }
}
