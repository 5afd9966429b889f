//! Huffman tables (ITU-T T.81, annex C and F.2.2.3): a look at nine bits finds most symbols, and
//! the rest goes by length.

use super::bits::Bits;
use super::{Fault, damaged};

const SHORT: u32 = 9;

/// A table to decode with.
pub(super) struct Table {
    /// By the next bits: the symbol, and how many of them are its code; no bits where the code is
    /// longer, or none.
    short: [(u8, u8); 1 << SHORT],
    /// By length, from 1: one more than the last code, moved to 16 bits.
    ends: [u32; 17],
    /// By length: what turns a code into the place of its symbol.
    places: [i32; 17],
    symbols: Vec<u8>,
}

impl Table {
    /// From the 16 counts of codes by length and the symbols in their order; `largest` is the
    /// largest symbol.
    pub(super) fn new(table: Option<&[u8]>, largest: u8) -> Result<Table, Fault> {
        let wrong = || damaged("a Huffman table is damaged");
        let table = table.ok_or_else(|| damaged("a Huffman table is missing"))?;
        let (counts, symbols) = table.split_first_chunk::<16>().ok_or_else(wrong)?;
        if symbols.iter().any(|&symbol| symbol > largest) {
            return Err(wrong());
        }
        let mut built = Table {
            short: [(0, 0); 1 << SHORT],
            ends: [0; 17],
            places: [0; 17],
            symbols: symbols.to_vec(),
        };
        let (mut code, mut place) = (0u32, 0usize);
        for length in 1..=16u32 {
            built.places[length as usize] = place as i32 - code as i32;
            for _ in 0..counts[length as usize - 1] {
                let &symbol = symbols.get(place).ok_or_else(wrong)?;
                if code >> length != 0 {
                    return Err(wrong());
                }
                if length <= SHORT {
                    let first = (code << (SHORT - length)) as usize;
                    built.short[first..first + (1 << (SHORT - length))]
                        .fill((symbol, length as u8));
                }
                code += 1;
                place += 1;
            }
            built.ends[length as usize] = code << (16 - length);
            code <<= 1;
        }
        Ok(built)
    }

    /// The next symbol.
    #[inline]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Result<u8, Fault> {
        let next = bits.peek16();
        let (symbol, length) = self.short[(next >> (16 - SHORT)) as usize];
        if length > 0 {
            bits.take(length.into())?;
            return Ok(symbol);
        }
        let length = (SHORT + 1..=16).find(|&length| next < self.ends[length as usize]);
        let length = length.ok_or_else(|| bits.no_code())?;
        let place = (next >> (16 - length)) as i32 + self.places[length as usize];
        bits.take(length)?;
        self.symbols
            .get(place as usize)
            .copied()
            .ok_or_else(|| damaged("a Huffman table is damaged"))
    }
}
