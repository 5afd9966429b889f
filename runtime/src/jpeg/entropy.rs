//! The blocks of a scan from its compressed data (ITU-T T.81, F.2 and G.2).

use super::bits::Bits;
use super::head::{Scan, ScanComponent};
use super::huffman::Table;
use super::idct::Sample;
use super::planes::{Blocks, Layout, Plane, ZIGZAG};
use super::{Fault, damaged};

/// What decodes a scan.
pub(super) struct Entropy<'a> {
    scan: &'a Scan<'a>,
    state: State<'a>,
    /// For each component of the scan, where the scan needs them.
    dc: Vec<Table>,
    ac: Vec<Table>,
}

struct State<'a> {
    bits: Bits<'a>,
    /// The last DC coefficient of each component of the scan.
    last: [i32; 4],
    /// Blocks to come that have nothing new in this scan.
    ended: u32,
}

impl<'a> Entropy<'a> {
    pub(super) fn new(scan: &'a Scan<'a>) -> Self {
        let state = State { bits: Bits::new(scan.data), last: [0; 4], ended: 0 };
        Entropy { scan, state, dc: Vec::new(), ac: Vec::new() }
    }

    /// Whole blocks, each at once; `steps` are of the components of the scan, in zigzag order. Says
    /// whether bytes are left at the end.
    pub(super) fn sequential<S: Sample>(
        mut self,
        layouts: &[Layout],
        steps: &[[i32; 64]],
        planes: &mut [Plane<S>],
    ) -> Result<bool, Fault> {
        for component in &self.scan.components {
            self.dc.push(Table::new(component.dc, 15)?);
            self.ac.push(Table::new(component.ac, 255)?);
        }
        let Entropy { scan, mut state, dc, ac } = self;
        walk(scan, layouts, &mut state, |state, at, place| {
            let coefficients = state.whole(&dc[at], &ac[at], at, &steps[at])?;
            planes[scan.components[at].index].put(place, &coefficients);
            Ok(())
        })
    }

    /// A band of the coefficients of each block, or one bit more of them. Says whether bytes are
    /// left at the end.
    pub(super) fn progressive(
        mut self,
        layouts: &[Layout],
        blocks: &mut [Blocks<'_>],
    ) -> Result<bool, Fault> {
        for component in &self.scan.components {
            match (self.scan.first, self.scan.high) {
                (0, 0) => self.dc.push(Table::new(component.dc, 15)?),
                (0, _) => {}
                _ => self.ac.push(Table::new(component.ac, 255)?),
            }
        }
        let Entropy { scan, mut state, dc, ac } = self;
        walk(scan, layouts, &mut state, |state, at, place| {
            let block = blocks[scan.components[at].index].at(place);
            match (scan.first, scan.high) {
                (0, 0) => block[0] = (state.dc(&dc[at], at)? << scan.low) as i16,
                (0, _) => block[0] |= (state.bits.next(1)? << scan.low) as i16,
                (_, 0) => state.band(&ac[at], scan, block)?,
                _ => state.refine(&ac[at], scan, block)?,
            }
            Ok(())
        })
    }
}

/// Goes through the blocks of a scan in their order, and starts again where the scan does. `visit`
/// gets the component's place in the scan, and the block's across and down. Says whether bytes are
/// left at the end.
fn walk<'a>(
    scan: &Scan<'a>,
    layouts: &[Layout],
    state: &mut State<'a>,
    mut visit: impl FnMut(&mut State<'a>, usize, [usize; 2]) -> Result<(), Fault>,
) -> Result<bool, Fault> {
    let alone = scan.components.len() == 1;
    let first = &layouts[scan.components[0].index];
    let [across, down] = if alone { first.used } else { first.units };
    let blocks =
        |component: &ScanComponent| layouts[component.index].unit.iter().product::<usize>();
    let line = across * if alone { 1 } else { scan.components.iter().map(blocks).sum() };
    let restart = usize::from(scan.restart);
    for unit in 0..across * down {
        if restart > 0 && unit > 0 && unit % restart == 0 {
            state.no_more_blocks()?;
            state.bits.restart()?;
            state.last = [0; 4];
        }
        let (x, y) = (unit % across, unit / across);
        if alone {
            visit(state, 0, [x, y])?;
            continue;
        }
        for (at, component) in scan.components.iter().enumerate() {
            let [wide, high] = layouts[component.index].unit;
            for block in 0..wide * high {
                visit(state, at, [x * wide + block % wide, y * high + block / wide])?;
            }
        }
    }
    state.no_more_blocks()?;
    state.bits.end(line)
}

impl State<'_> {
    /// A run of blocks must not go on where there are none.
    fn no_more_blocks(&self) -> Result<(), Fault> {
        match self.ended {
            0 => Ok(()),
            more => Err(damaged(format!("its data is of {more} blocks more than there are"))),
        }
    }

    fn dc(&mut self, table: &Table, at: usize) -> Result<i32, Fault> {
        let size = table.symbol(&mut self.bits)?;
        let difference = self.bits.signed(size.into())?;
        self.last[at] = self.last[at].wrapping_add(difference);
        Ok(self.last[at])
    }

    /// A block's coefficients times their steps, in the order of its rows.
    fn whole(
        &mut self,
        dc: &Table,
        ac: &Table,
        at: usize,
        steps: &[i32; 64],
    ) -> Result<[i32; 64], Fault> {
        let mut block = [0; 64];
        block[0] = i32::from(self.dc(dc, at)? as i16) * steps[0];
        let mut k = 1;
        while k < 64 {
            let symbol = ac.symbol(&mut self.bits)?;
            let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
            match (zeros, size) {
                (15, 0) if k > 48 => return Err(beyond()),
                (15, 0) => k += 16,
                (_, 0) => break,
                _ => {
                    k += zeros;
                    let place = ZIGZAG.get(k).ok_or_else(beyond)?;
                    block[usize::from(*place)] = self.bits.signed(size)? * steps[k];
                    k += 1;
                }
            }
        }
        Ok(block)
    }

    /// The first bits of a band.
    fn band(&mut self, table: &Table, scan: &Scan<'_>, block: &mut [i16; 64]) -> Result<(), Fault> {
        if self.ended > 0 {
            self.ended -= 1;
            return Ok(());
        }
        let (mut k, last) = (usize::from(scan.first), usize::from(scan.last));
        while k <= last {
            let symbol = table.symbol(&mut self.bits)?;
            let (zeros, size) = (symbol >> 4, u32::from(symbol & 15));
            match (zeros, size) {
                (15, 0) if k + 15 > last => return Err(beyond()),
                (15, 0) => k += 16,
                (_, 0) => {
                    self.ended = self.run(zeros)? - 1;
                    break;
                }
                _ => {
                    k += usize::from(zeros);
                    if k > last {
                        return Err(beyond());
                    }
                    block[usize::from(ZIGZAG[k])] = (self.bits.signed(size)? << scan.low) as i16;
                    k += 1;
                }
            }
        }
        Ok(())
    }

    /// One bit more of a band: of the coefficients that are there, and new ones of one bit.
    fn refine(
        &mut self,
        table: &Table,
        scan: &Scan<'_>,
        block: &mut [i16; 64],
    ) -> Result<(), Fault> {
        let (mut k, last, bit) =
            (usize::from(scan.first), usize::from(scan.last), 1i16 << scan.low);
        while self.ended == 0 && k <= last {
            let symbol = table.symbol(&mut self.bits)?;
            let (mut zeros, size) = (symbol >> 4, symbol & 15);
            let new = match (zeros, size) {
                (15, 0) => 0,
                (_, 0) => {
                    self.ended = self.run(zeros)?;
                    break;
                }
                (_, 1) => {
                    if self.bits.next(1)? == 1 {
                        bit
                    } else {
                        -bit
                    }
                }
                _ => return Err(damaged("a new coefficient has more than one bit")),
            };
            loop {
                if k > last {
                    // Sixteen zeros may be more than are left.
                    if new != 0 { return Err(beyond()) } else { break }
                }
                let coefficient = &mut block[usize::from(ZIGZAG[k])];
                k += 1;
                if *coefficient != 0 {
                    self.more(coefficient, bit)?;
                } else if zeros > 0 {
                    zeros -= 1;
                } else {
                    *coefficient = new;
                    break;
                }
            }
        }
        if self.ended > 0 {
            self.ended -= 1;
            for &place in &ZIGZAG[k..=last] {
                let coefficient = &mut block[usize::from(place)];
                if *coefficient != 0 {
                    self.more(coefficient, bit)?;
                }
            }
        }
        Ok(())
    }

    /// The next bit of a coefficient that is there.
    fn more(&mut self, coefficient: &mut i16, bit: i16) -> Result<(), Fault> {
        if self.bits.next(1)? == 1 && *coefficient & bit == 0 {
            *coefficient = coefficient.wrapping_add(if *coefficient < 0 { -bit } else { bit });
        }
        Ok(())
    }

    /// How many blocks end here, from this one (T.81, table G.1).
    fn run(&mut self, size: u8) -> Result<u32, Fault> {
        Ok((1 << size) + if size > 0 { self.bits.next(size.into())? } else { 0 })
    }
}

#[cold]
fn beyond() -> Fault {
    damaged("its data holds more coefficients than a block")
}
