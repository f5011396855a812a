//! Parts of a filter that can be decided early. Each matches every flow that the whole filter
//! matches.

use super::Filter;
use super::conditions::ROWS;
use super::row::InEvents;

impl Filter {
    /// The conditions on attributes that never change and that every event has: family, protocol,
    /// tuples and zone.
    pub(crate) fn lasting(&self) -> Self {
        self.with(|in_events| in_events == InEvents::Fixed)
    }

    /// The conditions that an update can decide: all except labels, master and state, which an
    /// update leaves out if they did not change.
    pub(crate) fn decidable_by_update(&self) -> Self {
        self.with(|in_events| {
            matches!(
                in_events,
                InEvents::Fixed | InEvents::Current | InEvents::NotInDestroy
            )
        })
    }

    /// Only the conditions on attributes that events carry in these ways.
    fn with(&self, kept: fn(InEvents) -> bool) -> Self {
        let mut all = self.0.clone();
        for row in ROWS.iter().filter(|row| !kept(row.in_events)) {
            (row.clear)(&mut all);
        }
        for filter in all.any_of.iter_mut().flatten() {
            *filter = filter.with(kept);
        }
        // A smaller filter in a `not` would exclude more flows.
        all.not.retain(|filter| filter.with(kept) == *filter);
        Self(all)
    }
}

#[cfg(test)]
mod tests {
    use crate::Filter;
    use crate::flow::{Masked, Status, TcpState};

    #[test]
    fn a_part_never_asks_for_more_than_the_whole() {
        let marked = || Filter::builder().mark(5).protocol(6);
        let web = || Filter::builder().protocol(6).orig_dst_port(443);
        let build = |filter: crate::FilterBuilder| filter.build().unwrap();
        let whole = build(
            web()
                .status(Masked::from(Status::ASSURED))
                .tcp_state(TcpState::ESTABLISHED)
                .any_of([build(marked()), build(web().mark(6))])
                .not(build(marked()))
                .not(build(Filter::builder().zone(5))),
        );
        let lasting = build(
            web()
                .any_of([build(Filter::builder().protocol(6)), build(web())])
                .not(build(Filter::builder().zone(5))),
        );
        assert_eq!(whole.lasting(), lasting);
        assert_eq!(lasting.lasting(), lasting);
        let part = whole.decidable_by_update();
        assert_eq!(part.tcp_state(), None);
        assert_eq!(part.status(), whole.status());
        let decided = build(marked().not(build(marked().zone(7))));
        assert_eq!(decided.decidable_by_update(), decided);
        assert!(build(Filter::builder().mark(5)).lasting().is_empty());
    }
}
