//! Sets of addresses as conditions, and the getters of a filter.

use super::conditions::check;
use super::*;
use crate::flow::{Family, Masked, Protocol};

#[test]
fn sets_of_addresses() {
    let set: PrefixSet = ["10.0.0.1", "10.0.0.2", "fd00::/64"]
        .into_iter()
        .map(|text| text.parse::<PrefixSet>().unwrap())
        .collect();
    let both = on(|b| b.orig_src(set.clone()).orig_dst(set.clone()));
    check(
        &both,
        &[tcp(), udp6()],
        &[of(Tuple::udp(
            "10.0.0.1:1".parse().unwrap(),
            "10.0.0.3:1".parse().unwrap(),
        )
        .unwrap())],
    );
    assert_eq!(both.family(), None);
    // Two sets become the addresses in both, which may be of one family.
    let narrow = on(|b| b.orig_src(set.clone()).orig_src(net("10.0.0.0/8")));
    assert_eq!(narrow.family(), Some(Family::Ipv4));
    assert_eq!(narrow.orig_src().map(PrefixSet::len), Some(2));
    // An address of any type. IPv4-mapped ones are IPv4 addresses.
    let one = std::net::Ipv4Addr::new(10, 0, 0, 1);
    for filter in [
        on(|b| b.orig_src(one)),
        on(|b| b.orig_src(one.to_ipv6_mapped())),
        on(|b| b.orig_src(std::net::IpAddr::from(one))),
        on(|b| b.orig_src(ipnet::Ipv4Net::from(one))),
        on(|b| b.orig_src(net("::ffff:10.0.0.1/128"))),
    ] {
        assert_eq!(filter, on(|b| b.orig_src(net("10.0.0.1/32"))));
    }
}

/// A filter that is built from the getters of another is equal to it.
#[test]
fn getters_and_builders_give_it_back() {
    let filter = on(|b| {
        b.protocol(Protocol::TCP)
            .orig_src(net("10.0.0.0/8"))
            .reply_dst_port(1024..)
            .mark(Masked::new(1, 3))
            .nat(NatKind::Any)
            .helper("ftp")
            .any_of([on(|b| b.zone(1)), on(|b| b.zone(2))])
            .not(on(|b| b.has_master()))
    });
    let again = Filter::builder()
        .family(filter.family().unwrap())
        .protocol(filter.protocol().unwrap())
        .orig_src(filter.orig_src().unwrap().clone())
        .reply_dst_port(filter.reply_dst_port().unwrap())
        .mark(filter.mark().unwrap())
        .nat(NatKind::Any)
        .helper(filter.helper().unwrap());
    let lists = filter.any_of();
    let again = lists.fold(again, |all, list| all.any_of(list.iter().cloned()));
    let again = filter.not().iter().cloned().fold(again, FilterBuilder::not);
    assert_eq!(again.build().unwrap(), filter);
    assert!(filter.any_nat() && !filter.has_helper() && !filter.has_master());
    assert_eq!(filter.to_builder().build().unwrap(), filter);
    let narrower = filter.to_builder().mark(2 | 1);
    assert!(narrower.build().is_err(), "it has mark 1 under 3");
}
