//! Properties of the public types for every input. Properties of the bytes are tested in the
//! modules.

use ctnetlink::{Bits, Flow, LabelMap, Labels, Masked, Nat, Status, Tuple};
use proptest::collection::vec;
use proptest::prelude::*;

fn labels() -> impl Strategy<Value = Labels> {
    any::<u128>().prop_map(Labels::from)
}

/// The laws of a masked write, for any type of bits.
fn masked_laws<T: Bits + std::fmt::Debug>(value: T, mask: T, old: T) -> Result<(), TestCaseError> {
    let masked = Masked::new(value, mask);
    prop_assert_eq!(masked.value(), value.and(mask));
    prop_assert_eq!(masked.mask(), mask);
    prop_assert_eq!(masked.excess(), value.and(mask.not()));
    let new = masked.apply(old);
    prop_assert_eq!(masked.apply(new), new);
    // As the kernel does, clear the bits of the mask, then toggle the bits of the value.
    prop_assert_eq!(new.and(mask.not()), old.and(mask.not()));
    prop_assert_eq!(new.and(mask), masked.value());
    let inside = Masked::new(masked.value(), mask);
    prop_assert!(inside.matches(new));
    prop_assert_eq!(inside.matches(old), new == old);
    // As in the kernel, a value with a bit outside of the mask matches no flow.
    let excess = masked.excess() != T::NONE;
    prop_assert_eq!(masked.matches(new), !excess);
    prop_assert_eq!(Masked::from(value).apply(old), value);
    prop_assert_eq!(Masked::new(value, T::NONE).apply(old), old);
    Ok(())
}

proptest! {
    #[test]
    fn masked_writes(value: u32, mask: u32, old: u32) {
        masked_laws(value, mask, old)?;
        let status = Status::from_bits_retain;
        masked_laws(status(value), status(mask), status(old))?;
    }

    #[test]
    fn masked_labels(value in labels(), mask in labels(), old in labels()) {
        masked_laws(value, mask, old)?;
    }

    #[test]
    fn labels_are_a_set(a in labels(), b in labels(), n in 0u8..128) {
        let members: Vec<u8> = a.iter().collect();
        prop_assert!(members.is_sorted());
        prop_assert_eq!(members.len(), a.len());
        prop_assert_eq!(a.is_empty(), members.is_empty());
        prop_assert_eq!(a.contains(n), members.contains(&n));
        prop_assert_eq!((a | b).contains(n), a.contains(n) || b.contains(n));
        prop_assert_eq!((a & b).contains(n), a.contains(n) && b.contains(n));
        prop_assert_eq!((a - b).contains(n), a.contains(n) && !b.contains(n));
        prop_assert_eq!((!a).contains(n), !a.contains(n));
        prop_assert_eq!(Labels::from(u128::from(a)), a);
        let again = members.iter().map(|n| Labels::bit(*n).unwrap());
        prop_assert_eq!(again.fold(Labels::EMPTY, |all, one| all | one), a);
    }

    #[test]
    fn a_label_has_its_bit(n: u8) {
        match Labels::bit(n) {
            Ok(label) => prop_assert_eq!(label.iter().collect::<Vec<_>>(), [n]),
            Err(_) => prop_assert!(n > 127),
        }
        prop_assert!(n <= 127 || !Labels::ALL.contains(n));
    }

    #[test]
    fn any_text_can_be_read_as_names_of_labels(text in "(?s).{0,200}") {
        let _ = LabelMap::parse(&text);
    }

    #[test]
    fn names_of_labels_are_found_again(bits in vec(0u8..128, 1..20)) {
        let text: String = bits.iter().map(|bit| format!("{bit} label-{bit} # no\n")).collect();
        let map = LabelMap::parse(&text);
        for bit in bits {
            let name = format!("label-{bit}");
            prop_assert_eq!(map.name(bit), Some(&*name));
            prop_assert_eq!(map.bit(&name), Some(bit));
            prop_assert_eq!(map.labels([&*name]).unwrap(), Labels::bit(bit).unwrap());
        }
    }

    #[test]
    fn any_bytes_can_be_taken_for_a_flow(bytes in vec(any::<u8>(), 0..300)) {
        if let Err(error) = Flow::from_message(&bytes) {
            prop_assert_eq!(error.bytes(), Some(&bytes[..]));
        }
    }

    #[test]
    fn a_captured_flow_with_damage_never_panics(
        line in 0usize..17,
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let replies = include_str!("golden/replies.txt");
        let (_, text) = replies.lines().filter_map(|line| line.split_once(' '))
            .filter(|(name, _)| !name.starts_with('#')).nth(line).unwrap();
        let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        let mut bytes: Vec<u8> = (0..text.len()).step_by(2).map(digits).collect();
        prop_assert!(Flow::from_message(&bytes).is_ok());
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(flow) = Flow::from_message(&bytes) {
            let _ = format!("{flow} {flow:#} {flow:?}");
        }
    }

    /// The address of a dual-stack socket names the IPv4 flow.
    #[test]
    fn mapped_addresses_are_of_ipv4(a: std::net::Ipv4Addr, b: std::net::Ipv4Addr, port: u16) {
        use std::net::{IpAddr, SocketAddr};
        let plain = [a, b].map(IpAddr::V4);
        let mapped = [a, b].map(|address| IpAddr::V6(address.to_ipv6_mapped()));
        let ends = |at: [IpAddr; 2]| at.map(|address| SocketAddr::new(address, port));
        for make in [Tuple::tcp, Tuple::udp, Tuple::udplite, Tuple::sctp, Tuple::dccp] {
            let [src, dst] = ends(mapped);
            let [plain_src, plain_dst] = ends(plain);
            let expected = make(plain_src, plain_dst).unwrap();
            prop_assert_eq!(make(src, dst).unwrap(), expected);
            prop_assert_eq!(make(src, plain_dst).unwrap(), expected);
        }
        let [[src, dst], [plain_src, plain_dst]] = [mapped, plain];
        prop_assert_eq!(Tuple::gre(src, dst, 1, 2).unwrap(), Tuple::gre(plain_src, plain_dst, 1, 2).unwrap());
        prop_assert_eq!(Tuple::generic(src, dst, 50).unwrap(), Tuple::generic(plain_src, plain_dst, 50).unwrap());
        prop_assert_eq!(Nat::to(src), Nat::to(plain_src));
        prop_assert_eq!(Nat::to_any(src..=dst), Nat::to_any(plain_src..=plain_dst));
    }

    #[test]
    fn families_do_not_mix(v4: std::net::Ipv4Addr, v6: std::net::Ipv6Addr, ports: (u16, u16)) {
        use std::net::SocketAddr;
        prop_assume!(v6.to_ipv4_mapped().is_none());
        let (a, b) = (SocketAddr::new(v4.into(), ports.0), SocketAddr::new(v6.into(), ports.1));
        for make in [Tuple::tcp, Tuple::udp, Tuple::udplite, Tuple::sctp, Tuple::dccp] {
            prop_assert!(make(a, b).is_err() && make(b, a).is_err());
            prop_assert!(make(a, a).is_ok() && make(b, b).is_ok());
        }
    }
}
