//! List: a walk of the table, as a stream of flows.

use std::future::IntoFuture;
use std::sync::Arc;

use super::{RequestFuture, Verb};
use crate::flow::Family;
use crate::stream::FlowStream;
use crate::transport::Lanes;
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
    /// Flows that ended, whose end a reliable listener has yet to hear, `conntrack -L dying`.
    /// `IPCTNL_MSG_CT_GET_DYING` (Linux 3.9).
    Dying,
    /// Flows whose first packet is still under way, `conntrack -L unconfirmed`.
    /// `IPCTNL_MSG_CT_GET_UNCONFIRMED` (Linux 3.9); empty from 5.19 on.
    Unconfirmed,
}

/// A list of flows to be: see [`ConntrackHandle::list`](crate::ConntrackHandle::list).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is awaited"]
pub struct List {
    lanes: Arc<Lanes>,
    table: Table,
    family: Option<Family>,
}

impl List {
    pub(crate) fn new(lanes: Arc<Lanes>, table: Table) -> Self {
        Self {
            lanes,
            table,
            family: None,
        }
    }

    /// One family alone, `-f`; without it, both in one walk.
    pub fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }
}

fn request(table: Table, family: Option<Family>) -> Request {
    let kind = match table {
        Table::Conntrack => IPCTNL_MSG_CT_GET,
        Table::Dying => IPCTNL_MSG_CT_GET_DYING,
        Table::Unconfirmed => IPCTNL_MSG_CT_GET_UNCONFIRMED,
    };
    Request::new(kind, NLM_F_DUMP, family.map_or(AF_UNSPEC, Family::number))
}

impl IntoFuture for List {
    type Output = crate::Result<FlowStream>;
    type IntoFuture = RequestFuture<FlowStream>;

    fn into_future(self) -> RequestFuture<FlowStream> {
        LIST.run(self.lanes.clone(), self.family, move |task| async move {
            let walk = task.walk(request(self.table, self.family))?;
            FlowStream::open(task.lanes, walk, self.family, LIST.doing).await
        })
    }
}

#[cfg(all(test, target_endian = "little"))]
mod tests {
    use super::*;
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
            assert_bytes(&request(table, family).finish(SEQ), &golden);
        }
    }
}
