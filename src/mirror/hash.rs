//! The hash function for keys. The standard one takes longer than all other work for an event.

use std::hash::{BuildHasher, Hasher, RandomState};

/// Builds hashers with a random secret. Remote hosts choose keys by the packets that they send, and
/// must not be able to choose keys that collide.
#[derive(Debug, Clone)]
pub(super) struct Keyed {
    start: u64,
    factor: u64,
}

/// Multiplies each word into the state, and folds the upper half of the product into the lower
/// half.
#[derive(Debug)]
pub(super) struct Folding {
    state: u64,
    factor: u64,
}

impl Default for Keyed {
    fn default() -> Self {
        let random = RandomState::new();
        Self {
            start: random.hash_one(0),
            factor: random.hash_one(1) | 1,
        }
    }
}

impl BuildHasher for Keyed {
    type Hasher = Folding;

    fn build_hasher(&self) -> Folding {
        Folding {
            state: self.start,
            factor: self.factor,
        }
    }
}

impl Folding {
    fn fold(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.factor);
        self.state = product as u64 ^ (product >> 64) as u64;
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        for some in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..some.len()].copy_from_slice(some);
            self.fold(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.fold(word.into());
    }

    fn write_u16(&mut self, word: u16) {
        self.fold(word.into());
    }

    fn write_u32(&mut self, word: u32) {
        self.fold(word.into());
    }

    fn write_u64(&mut self, word: u64) {
        self.fold(word);
    }

    fn write_u128(&mut self, word: u128) {
        self.fold(word as u64);
        self.fold((word >> 64) as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.fold(word as u64);
    }

    fn write_isize(&mut self, word: isize) {
        self.fold(word as u64);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;
    use crate::flow::Tuple;
    use crate::mirror::entry::Key;

    fn keys() -> impl Iterator<Item = Key> {
        let addresses = (0..256).flat_map(|n: u32| (0..256).map(move |port: u16| (n, port)));
        addresses.map(|(n, port)| {
            let src = SocketAddr::new(Ipv4Addr::from(n << 8).into(), port << 8);
            let dst = SocketAddr::new([192, 0, 2, 1].into(), 53);
            let tuple = Tuple::udp(src, dst).expect("one family");
            Key { tuple, zone: 0 }
        })
    }

    /// For 65 536 similar keys, any 16 bits of the hash should have about 41 400 distinct values.
    #[test]
    fn keys_that_are_alike_are_spread() {
        let hasher = Keyed::default();
        for shift in [0, 4, 25, 32, 48] {
            let of = |key| (hasher.hash_one(key) >> shift) as u16;
            let distinct: HashSet<u16> = keys().map(of).collect();
            let many = distinct.len();
            assert!((40_500..42_500).contains(&many), "{shift}: {many}");
        }
        let whole: HashSet<u64> = keys().map(|key| hasher.hash_one(key)).collect();
        assert_eq!(whole.len(), 65_536);
    }

    #[test]
    fn each_has_secrets_of_its_own() {
        let key = keys().next().expect("a key");
        let of = |_| Keyed::default().hash_one(key);
        let distinct: HashSet<u64> = (0..100).map(of).collect();
        assert!(distinct.len() > 90);
    }
}
