//! Flush: removes all flows, or those of one family.

use std::future::IntoFuture;
use std::sync::Arc;

use super::{RequestFuture, Table, Verb};
use crate::error::{Error, Result};
use crate::flow::Family;
use crate::transport::Lanes;
use crate::transport::release::Release;
use crate::transport::walk::SEQ;
use crate::wire::message::{Frame, Request};
use crate::wire::uapi::*;

const FLUSH: Verb = Verb {
    name: "flush",
    doing: "flushing the table",
};

/// The first release whose flush looks at the family (ctnetlink_flush_conntrack).
const HONOURS_FAMILY: Release = Release(5, 3);

/// A flush to be: see [`ConntrackHandle::flush`](crate::ConntrackHandle::flush).
#[derive(Debug, Clone)]
#[must_use = "nothing is sent before it is awaited"]
pub struct Flush {
    lanes: Arc<Lanes>,
    table: Table,
    family: Option<Family>,
}

impl Flush {
    pub(crate) fn new(lanes: Arc<Lanes>, table: Table) -> Self {
        Self {
            lanes,
            table,
            family: None,
        }
    }

    /// One family alone, `-f` (Linux 5.3); the flows of the other stay. Without it, both go.
    ///
    /// An older kernel would remove both: there the flush is refused, as
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    pub fn family(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }
}

/// The message, where the kernel of this release would do with it what was asked, and no more.
fn request(table: Table, family: Option<Family>, release: Release) -> Result<Request> {
    if table != Table::Conntrack {
        return Err(Error::invalid_input(format!(
            "table: the kernel flushes none but Conntrack, and {table:?} was asked for"
        )));
    }
    if family.is_some() && release < HONOURS_FAMILY {
        return Err(Error::unsupported(
            "before Linux 5.3 the kernel would flush both families; delete the flows of a list",
        ));
    }
    let family = family.map_or(AF_UNSPEC, Family::number);
    // In version 0 the kernel would not look at the family, and remove all flows.
    Ok(Request::new(IPCTNL_MSG_CT_DELETE, 0, family).version(NFNETLINK_V1))
}

impl IntoFuture for Flush {
    type Output = Result<()>;
    type IntoFuture = RequestFuture<()>;

    fn into_future(self) -> RequestFuture<()> {
        FLUSH.run(self.lanes.clone(), self.family, move |task| async move {
            let request = request(self.table, self.family, task.lanes.release)?;
            let mut walk = task.walk(request)?;
            while let Some(datagram) = walk.next().await {
                let datagram = datagram?;
                let mut ends = Frame::all(&datagram).filter(|frame| frame.is_verdict_of(SEQ));
                if let Some(verdict) = ends.next().and_then(|frame| frame.verdict()) {
                    return Error::check(verdict);
                }
            }
            Err(Error::unanswered())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    const V4: Option<Family> = Some(Family::Ipv4);

    #[test]
    fn never_sent_where_it_would_take_more() {
        for old in [Release(0, 0), Release(4, 19), Release(5, 2)] {
            let refused = request(Table::Conntrack, V4, old).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Unsupported);
            assert!(request(Table::Conntrack, None, old).is_ok());
        }
        for new in [Release(5, 3), Release(6, 18)] {
            assert!(request(Table::Conntrack, V4, new).is_ok());
        }
        for table in [Table::Dying, Table::Unconfirmed] {
            let refused = request(table, None, Release(6, 18)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidInput);
        }
    }
}

#[cfg(all(test, target_endian = "little"))]
mod golden {
    use super::*;
    use crate::wire::golden::assert_bytes;

    /// Without any attribute, and in version 1: in version 0 either would remove both families.
    #[test]
    fn of_both_families_and_of_each() {
        for (family, golden) in [
            (None, "14000000 0201 0500 01000000 00000000  00 01 0000"),
            (
                Some(Family::Ipv4),
                "14000000 0201 0500 01000000 00000000  02 01 0000",
            ),
            (
                Some(Family::Ipv6),
                "14000000 0201 0500 01000000 00000000  0a 01 0000",
            ),
        ] {
            let request = request(Table::Conntrack, family, Release(6, 18)).unwrap();
            assert_bytes(&request.finish(SEQ), golden);
        }
    }
}
