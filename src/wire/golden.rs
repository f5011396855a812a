//! Golden bytes for the tests of every layer, from a little-endian machine.

const REPLIES: &str = include_str!("../../tests/golden/replies.txt");

/// The bytes of a hexadecimal text. Spaces, and the rest of a line after a `#`, are ignored.
pub(crate) fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or_default().chars())
        .filter(|char| !char.is_whitespace())
        .map(|char| char.to_digit(16).expect("a hexadecimal digit"))
        .collect();
    assert!(digits.len() % 2 == 0, "half a byte in {text}");
    digits
        .chunks(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}

/// A message of the kernel.
pub(crate) fn reply(name: &str) -> Vec<u8> {
    let (_, text) = replies()
        .find(|(known, _)| *known == name)
        .unwrap_or_else(|| panic!("no reply {name}"));
    bytes(text)
}

/// The messages of the kernel, by name.
pub(crate) fn replies() -> impl Iterator<Item = (&'static str, &'static str)> {
    REPLIES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
}

#[track_caller]
pub(crate) fn assert_bytes(actual: &[u8], golden: &str) {
    let hex = |bytes: &[u8]| -> String {
        let words = bytes.chunks(4).map(|word| {
            let word: String = word.iter().map(|byte| format!("{byte:02x}")).collect();
            word + "\n"
        });
        words.collect()
    };
    assert_eq!(hex(actual), hex(&bytes(golden)));
}
