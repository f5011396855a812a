//! Which conditions events can be filtered by: those on attributes that they carry.

use super::Filter;
use super::conditions::{Conditions, ROWS};
use crate::error::{Error, Result};
use crate::event::EventKinds;

impl Filter {
    /// Refuses conditions on attributes that events of these kinds do not carry. Their result would
    /// not depend on the flow.
    pub(crate) fn check_events(&self, kinds: EventKinds, release: (u16, u16)) -> Result<()> {
        match self.0.undecidable(kinds, release) {
            Some((condition, kinds)) => Err(Error::invalid_input(format!(
                "filter: {condition}: events of {kinds} do not carry it; listen to other kinds, or \
                 get the flow"
            ))),
            None => Ok(()),
        }
    }
}

impl Conditions {
    /// A condition on a missing attribute, and the kinds of events that do not carry it.
    fn undecidable(
        &self,
        kinds: EventKinds,
        release: (u16, u16),
    ) -> Option<(&'static str, EventKinds)> {
        let own = ROWS.iter().filter(|row| (row.is_asked)(self));
        let own = own
            .map(|row| (row.name, kinds & row.in_events.absent_from(release)))
            .filter(|(_, absent)| !absent.is_empty());
        let inner = self.any_of.iter().flatten().chain(&self.not);
        own.chain(inner.filter_map(|filter| filter.0.undecidable(kinds, release)))
            .next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::{Labels, Masked, TcpState};
    use crate::{ErrorKind, FilterBuilder};

    #[test]
    fn what_events_do_not_carry_is_refused() {
        let (new, update, destroy) = (EventKinds::NEW, EventKinds::UPDATE, EventKinds::DESTROY);
        let labels = |filter: FilterBuilder| filter.labels(Masked::from(Labels::ALL));
        let helper = |filter: FilterBuilder| filter.has_helper();
        let state = |filter: FilterBuilder| filter.tcp_state(TcpState::ESTABLISHED);
        let mark = |filter: FilterBuilder| filter.mark(1).protocol(6).zone(0);
        let of_helper = |filter: FilterBuilder| filter.helper("ftp");
        let expected = |filter: FilterBuilder| filter.has_master();
        type Condition = fn(FilterBuilder) -> FilterBuilder;
        let old = (5, 4);
        let now = (6, 18);
        for (condition, kinds, release, name) in [
            (labels as Condition, new, now, None),
            (labels, update, now, Some("labels")),
            (labels, new | destroy, now, Some("labels")),
            (helper, new | update, now, None),
            (helper, destroy, now, Some("has_helper")),
            (state, EventKinds::FLOWS, now, None),
            (state, new | update, old, None),
            (state, destroy, old, Some("tcp_state")),
            (state, destroy, (5, 10), Some("tcp_state")),
            (state, destroy, (5, 11), None),
            (of_helper, new | update, now, None),
            (of_helper, destroy, now, Some("helper")),
            (expected, new, now, None),
            (expected, update, now, Some("has_master")),
            (expected, destroy, now, Some("has_master")),
            (mark, EventKinds::FLOWS, old, None),
        ] {
            let filter = condition(Filter::builder()).build().unwrap();
            let inside = [
                Filter::builder().not(filter.clone()).build().unwrap(),
                Filter::builder().any_of([filter.clone()]).build().unwrap(),
            ];
            for filter in inside.iter().chain([&filter]) {
                match (filter.check_events(kinds, release), name) {
                    (Ok(()), None) => {}
                    (Err(error), Some(name)) => {
                        assert_eq!(error.kind(), ErrorKind::InvalidInput);
                        let text = error.to_string();
                        assert!(
                            text.contains(name) && !text.contains("EventKinds"),
                            "{text}"
                        );
                    }
                    (other, _) => panic!("{other:?}: {filter:?} of {kinds:?}, {name:?}"),
                }
            }
        }
    }
}
