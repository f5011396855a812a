//! Flushes by a filter: in one request if the kernel compares all of it, otherwise one by one.

use ctnetlink::{
    Family, Filter, FilterBuilder, Flow, KernelFilter, Masked, NatKind, Status, Table,
};
use libtest_mimic::Trial;

use super::{Stock, build};
use crate::filter::conditions::{self, Condition};
use crate::filter::population::these;

pub(super) fn tests() -> Vec<Trial> {
    crate::trials!["matching::flush":
        by_what_the_kernel_compares,
        by_several_conditions_that_the_kernel_compares,
        by_what_it_does_not_compare,
    ]
}

/// The conditions that a kernel compares in a flush.
const IN_A_FLUSH: KernelFilter = KernelFilter::FAMILY
    .union(KernelFilter::MARK)
    .union(KernelFilter::STATUS)
    .union(KernelFilter::ZONE);

/// Flushes, and checks that exactly the flows for which `holds` is true are gone.
async fn flush(stock: &mut Stock, name: &str, filter: Filter, holds: impl Fn(&Flow) -> bool) {
    let (gone, rest) = stock.split(holds);
    assert!(!gone.is_empty() && !rest.is_empty(), "{name}");
    let flush = stock.handle.flush(Table::Conntrack).filter(filter);
    flush.await.expect(name);
    stock.lost(&gone, rest, name).await;
}

async fn by_each(conditions: impl IntoIterator<Item = Condition>) {
    let mut stock = Stock::new().await;
    for condition in conditions {
        let filter = build(&[&condition]).expect(condition.name);
        flush(&mut stock, condition.name, filter, condition.holds).await;
    }
}

/// The conditions that the kernel compares completely in a flush, and the others.
fn conditions() -> (Vec<Condition>, Vec<Condition>) {
    // Of an address it compares only the family, and of a zone of one direction only the number.
    let in_part = [
        "prefix v4",
        "source v6",
        "destination v6",
        "reply prefix v6",
        "original zone",
    ];
    conditions::all().into_iter().partition(|it| {
        !it.by_kernel.is_empty() && IN_A_FLUSH.contains(it.by_kernel) && !in_part.contains(&it.name)
    })
}

async fn by_what_the_kernel_compares() {
    let (at_once, _) = conditions();
    assert_eq!(at_once.len(), 13);
    by_each(at_once).await;
}

async fn by_what_it_does_not_compare() {
    let (_, one_by_one) = conditions();
    assert_eq!(one_by_one.len(), 30);
    by_each(one_by_one).await;
}

async fn by_several_conditions_that_the_kernel_compares() {
    type Case = (
        &'static str,
        fn(FilterBuilder) -> FilterBuilder,
        fn(&Flow) -> bool,
    );
    let cases: [Case; 4] = [
        (
            "mark and family",
            |b| b.family(Family::Ipv6).mark(Masked::new(0x10, 0x10)),
            |f| f.family() == Family::Ipv6 && f.mark.is_some_and(|mark| mark & 0x10 != 0),
        ),
        (
            "zone and status",
            |b| b.zone(5).status(these(Status::ASSURED)),
            |f| f.zone.id() == 5 && f.status.contains(Status::ASSURED),
        ),
        (
            "no translation, mark and zone 0",
            |b| b.zone(0).mark(0).nat(NatKind::None),
            |f| {
                let translated = Status::SRC_NAT | Status::DST_NAT;
                f.zone.id() == 0 && f.mark == Some(0) && !f.status.intersects(translated)
            },
        ),
        (
            "all of them",
            |b| {
                let b = b.family(Family::Ipv4).zone(6).mark(Masked::new(0, 0x10));
                b.status(Masked::new(Status::empty(), Status::SRC_NAT))
            },
            |f| {
                let zoned = f.family() == Family::Ipv4 && f.zone.id() == 6;
                let unmarked = f.mark.is_some_and(|mark| mark & 0x10 == 0);
                zoned && unmarked && !f.status.contains(Status::SRC_NAT)
            },
        ),
    ];
    let mut stock = Stock::new().await;
    for (name, add, holds) in cases {
        let filter = add(Filter::builder()).build().expect(name);
        flush(&mut stock, name, filter, holds).await;
    }
}
