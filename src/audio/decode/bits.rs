//! Bits of a byte string, the first one first.
//!
//! In: bytes. Out: numbers of up to 32 bits. Refuses to read past the end.

/// A place between two bits.
#[derive(Clone, Copy)]
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    pub(super) fn at(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.position += count;
    }

    /// The next `count` bits, at most 32, as a number.
    pub(super) fn read(&mut self, count: usize) -> Option<u32> {
        let mut value = 0;
        for place in self.position..self.position + count {
            let byte = *self.bytes.get(place / 8)?;
            value = value << 1 | u32::from(byte >> (7 - place % 8) & 1);
        }
        self.position += count;
        Some(value)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        Some(self.read(1)? == 1)
    }
}
