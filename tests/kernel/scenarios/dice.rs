//! Random choices. If all bytes are zero, the choices are the simplest.

#[derive(Debug)]
pub(super) struct Dice<'a>(std::slice::Iter<'a, u8>);

impl<'a> Dice<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes.iter())
    }

    fn byte(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    /// A number below this one.
    pub(super) fn below(&mut self, sides: u8) -> u8 {
        self.byte() % sides
    }

    /// Returns `true` once in this many times.
    pub(super) fn once_in(&mut self, sides: u8) -> bool {
        self.byte() % sides == sides - 1
    }

    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from_be_bytes([self.byte(), self.byte(), self.byte(), self.byte()])
    }
}
