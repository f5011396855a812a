use super::*;
use crate::wire::attr::Writer;
use crate::wire::golden::assert_bytes;

fn hook(name: Option<&str>) -> Hook {
    let mut bytes = Vec::new();
    let mut w = Writer(&mut bytes);
    w.put(NFNLA_HOOK_HOOKNUM, &NF_INET_PRE_ROUTING);
    w.put_some(
        NFNLA_HOOK_FUNCTION_NAME,
        name.map(Box::<str>::from).as_ref(),
    );
    function(Attributes(&bytes)).unwrap()
}

#[test]
fn conntrack_is_known_by_its_function() {
    assert_eq!(hook(Some("ipv4_conntrack_in")), Some(true));
    assert_eq!(hook(Some("ipv6_conntrack_in")), Some(true));
    assert_eq!(hook(Some("ipv4_conntrack_in.llvm.123")), Some(true));
    assert_eq!(hook(Some("ipv4_conntrack_defrag")), Some(false));
    assert_eq!(hook(None), None);
    assert_eq!(judge(&[]), Some(false));
    assert_eq!(judge(&[Some(false), Some(true), None]), Some(true));
    assert_eq!(judge(&[Some(false), None]), None);
    assert_eq!(judge(&[Some(false)]), Some(false));
}

#[test]
fn what_is_asked() {
    assert_bytes(
        &request(Family::Ipv6).finish(1),
        "1c000000 000c 0503 01000000 00000000  0a 00 0000  0800 0100 00000000",
    );
}
