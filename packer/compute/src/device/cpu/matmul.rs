//! Matrix products through the `gemm` crate.
//!
//! Unsafe code is allowed here: `gemm` takes pointers and strides. Before each call it is checked
//! that the last element of every operand lies inside its slice. [`Columns`] of one matrix are
//! written from several threads: they have no element in common.
#![allow(unsafe_code)]

use std::marker::PhantomData;

use crate::device::{Form, Size};

use super::Real;

/// A product of fewer multiplications than this runs on the calling thread.
const PARALLEL: usize = 1 << 21;

/// A matrix inside a slice: element (i, j) is at i*row + j*column.
#[derive(Clone, Copy)]
pub struct View<'a, T> {
    values: &'a [T],
    row: usize,
    column: usize,
}

/// Some columns of a row-major matrix, to write products into; rows are `stride` apart.
pub struct Columns<'a, T> {
    first: *mut T,
    rows: usize,
    width: usize,
    stride: usize,
    matrix: PhantomData<&'a mut [T]>,
}

// SAFETY: nothing else reaches these columns while the matrix is borrowed.
unsafe impl<T: Send> Send for Columns<'_, T> {}

impl<'a, T> Columns<'a, T> {
    /// The columns of a matrix whose rows have `stride` values, in parts of `width`.
    pub fn of(matrix: &'a mut [T], stride: usize, width: usize) -> Vec<Self> {
        assert!(width > 0 && stride.is_multiple_of(width) && matrix.len().is_multiple_of(stride));
        let rows = matrix.len() / stride;
        let parts = if rows == 0 { 0 } else { stride / width };
        let start = matrix.as_mut_ptr();
        // SAFETY: there is a row, which has `stride` values.
        let part = |i: usize| unsafe { start.add(i * width) };
        let part = |i| Columns { first: part(i), rows, width, stride, matrix: PhantomData };
        (0..parts).map(part).collect()
    }
}

/// alpha * A * B with A m x k and B k x n: to be written, or added to what is there.
#[derive(Clone, Copy)]
pub struct Product<'a, T> {
    size: Size,
    alpha: T,
    a: View<'a, T>,
    b: View<'a, T>,
    add: bool,
}

impl<'a, T> View<'a, T> {
    /// Rows `stride` apart.
    pub fn rows(values: &'a [T], stride: usize) -> Self {
        View { values, row: stride, column: 1 }
    }

    pub fn transposed(self) -> Self {
        View { values: self.values, row: self.column, column: self.row }
    }

    fn check(&self, rows: usize, columns: usize) {
        let last = (rows - 1).checked_mul(self.row).zip((columns - 1).checked_mul(self.column));
        let last = last.and_then(|(row, column)| row.checked_add(column));
        let inside = last.is_some_and(|last| last < self.values.len());
        assert!(
            inside,
            "operand of {rows} x {columns} reaches past its {} values",
            self.values.len()
        );
    }
}

impl<'a, T: Real> Product<'a, T> {
    /// A * B.
    pub fn of(size: Size, a: View<'a, T>, b: View<'a, T>) -> Self {
        Product { size, alpha: T::ONE, a, b, add: false }
    }

    /// op(A) * op(B) of whole row-major matrices.
    pub fn whole(form: Form, size: Size, a: &'a [T], b: &'a [T]) -> Self {
        let Size { m, n, k } = size;
        let a = match form {
            Form::Nn | Form::Nt => View::rows(a, k),
            Form::Tn => View::rows(a, m).transposed(),
        };
        let b = match form {
            Form::Nn | Form::Tn => View::rows(b, n),
            Form::Nt => View::rows(b, k).transposed(),
        };
        Product::of(size, a, b)
    }

    pub fn times(self, alpha: T) -> Self {
        Product { alpha, ..self }
    }

    /// The product as something to add to C.
    pub fn added(self) -> Self {
        Product { add: true, ..self }
    }

    /// Writes C, whose rows are `stride` apart, on all threads of the pool if it is large.
    pub fn write(self, c: &mut [T], stride: usize) {
        let Size { m, n, k } = self.size;
        let parallel = m.saturating_mul(n).saturating_mul(k) > PARALLEL;
        let parallelism =
            if parallel { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
        self.run(c, stride, parallelism);
    }

    /// Writes C, whose rows are `stride` apart, on the calling thread.
    pub fn write_here(self, c: &mut [T], stride: usize) {
        self.run(c, stride, gemm::Parallelism::None);
    }

    /// Writes the rows of `c` from `row` on, on the calling thread.
    pub fn write_columns(self, c: &mut Columns<T>, row: usize) {
        let Size { m, n, .. } = self.size;
        if m == 0 || n == 0 {
            return;
        }
        let inside = row.checked_add(m).is_some_and(|end| end <= c.rows);
        assert!(inside && n <= c.width, "result of {m} x {n} does not fit its columns");
        // SAFETY: these rows and columns are inside the matrix, and nothing else reaches them.
        unsafe {
            let first = c.first.add(row * c.stride);
            self.call(first, c.stride, gemm::Parallelism::None);
        }
    }

    fn run(self, c: &mut [T], stride: usize, parallelism: gemm::Parallelism) {
        let Size { m, n, .. } = self.size;
        if m == 0 || n == 0 {
            return;
        }
        let end = (m - 1).checked_mul(stride).and_then(|start| start.checked_add(n));
        assert!(
            n <= stride && end.is_some_and(|end| end <= c.len()),
            "result of {m} x {n} does not fit {} values",
            c.len()
        );
        // SAFETY: the check above shows that all of C lies inside its slice, which is borrowed for
        // writing.
        unsafe { self.call(c.as_mut_ptr(), stride, parallelism) }
    }

    /// # Safety
    /// m rows of n values, `stride` apart, may be written from `c` on; they overlap neither A nor
    /// B.
    unsafe fn call(self, c: *mut T, stride: usize, parallelism: gemm::Parallelism) {
        let Product { size: Size { m, n, k }, alpha, a, b, add } = self;
        if k > 0 {
            a.check(m, k);
            b.check(k, n);
        }
        let keep = if add { T::ONE } else { T::ZERO };
        // SAFETY: the checks above show that every element of A and B that gemm reads lies inside
        // its slice; the caller promises the same for C; gemm is given f32 or f64, the two types
        // that implement Real.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                c,
                1,
                stride as isize,
                add,
                a.values.as_ptr(),
                a.column as isize,
                a.row as isize,
                b.values.as_ptr(),
                b.column as isize,
                b.row as isize,
                keep,
                alpha,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
}
