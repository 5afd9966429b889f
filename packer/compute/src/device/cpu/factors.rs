//! Products of whole matrices. A right factor that is stored in 16 bits is widened panel by panel
//! into room that is used again: the result has the bits that it would have with the whole factor
//! in f32.

use rayon::prelude::*;

use crate::device::{Form, Size, Stored};

use super::matmul::{Product, View};
use super::pool::{Chunk, Content};
use super::{Cpu, Real, here, rows_mut};

/// Values of a panel at most, if it has the fewest columns.
const PANEL: usize = 1 << 22;

/// A panel has a multiple of so many columns, which vectors of every width divide, and at least so
/// many.
const COLUMNS: usize = 96;

/// What is to be done with two matrices: alpha * op(A) * op(B), written or added.
pub struct Factors<T> {
    pub form: Form,
    pub size: Size,
    pub alpha: T,
    pub add: bool,
}

impl<T: Real> Factors<T> {
    /// Writes C, or adds to it.
    pub fn multiply(&self, cpu: &Cpu<T>, a: &Chunk<T>, b: &Chunk<T>, c: &mut [T]) {
        let Factors { form, size, .. } = *self;
        let a = cpu.read(a);
        match (&b.content, here(b)) {
            (Content::Stored(stored), None) if form != Form::Tn => {
                self.by_panels(cpu, &a, stored, c);
            }
            _ => self.of(Product::whole(form, size, &a, &cpu.read(b))).write(c, size.n),
        }
    }

    fn by_panels(&self, cpu: &Cpu<T>, a: &[T], b: &Stored, c: &mut [T]) {
        let Size { m, n, k } = self.size;
        let width = panel_columns(self.size);
        let mut scratch = cpu.take(width * k);
        for first in (0..n).step_by(width) {
            let columns = width.min(n - first);
            let panel = &mut scratch[..columns * k];
            let view = if self.form == Form::Nt {
                rows_mut(panel, k, |row, rows| T::widen(b, (first + row) * k, rows));
                View::rows(panel, k).transposed()
            } else {
                panel
                    .par_chunks_mut(columns)
                    .enumerate()
                    .for_each(|(row, out)| T::widen(b, row * n + first, out));
                View::rows(panel, columns)
            };
            let product = Product::of(Size { m, n: columns, k }, View::rows(a, k), view);
            self.of(product).write(&mut c[first..], n);
        }
        drop(cpu.wrap(scratch));
    }

    fn of<'a>(&self, product: Product<'a, T>) -> Product<'a, T> {
        let product = product.times(self.alpha);
        if self.add { product.added() } else { product }
    }
}

/// Columns of B [size.k, size.n] that are widened at once.
pub fn panel_columns(size: Size) -> usize {
    let panels = (size.n * size.k).div_ceil(PANEL).max(1);
    size.n.div_ceil(panels).next_multiple_of(COLUMNS).min(size.n)
}
