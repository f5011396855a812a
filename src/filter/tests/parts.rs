//! Filters inside filters.

use super::*;

#[test]
fn alternatives_and_exceptions() {
    let web = || on(|b| b.protocol(6).orig_dst_port(443));
    let dns = || on(|b| b.protocol(17).orig_dst_port(53));
    let marked = |flow: Flow| Flow {
        mark: Some(1),
        ..flow
    };
    let either = on(|b| b.any_of([web(), dns()]));
    assert!(either.matches(&tcp()) && either.matches(&udp6()));
    let and = on(|b| b.any_of([web(), dns()]).mark(1));
    assert!(and.matches(&marked(udp6())) && !and.matches(&udp6()));
    let two = on(|b| b.any_of([web(), dns()]).any_of([dns(), on(|b| b.mark(1))]));
    assert!(two.matches(&udp6()) && two.matches(&marked(tcp())) && !two.matches(&tcp()));
    let none = on(|b| b.not(web()).not(dns()));
    assert!(!none.matches(&tcp()) && !none.matches(&udp6()));
    assert!(on(|b| b.not(none.clone())).matches(&tcp()));
}
