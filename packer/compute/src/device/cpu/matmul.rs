//! Matrix products through the `gemm` crate.
//!
//! The one module of packer that allows unsafe code: `gemm` takes pointers and strides. Each call
//! is preceded by checks that the last element of every operand lies inside its slice.
#![allow(unsafe_code)]

use crate::device::{Form, Size};

use super::Real;

/// A product of fewer multiplications than this runs on the calling thread.
const PARALLEL: usize = 1 << 21;

/// C (+)= alpha * op(A) * op(B) for whole row-major matrices, on all threads of the pool.
pub fn product<T: Real>(
    c: &mut [T],
    add: bool,
    form: Form,
    size: Size,
    alpha: T,
    a: &[T],
    b: &[T],
) {
    let Size { m, n, k } = size;
    let a = match form {
        Form::Nn | Form::Nt => View::rows(a, k),
        Form::Tn => View::rows(a, m).transposed(),
    };
    let b = match form {
        Form::Nn | Form::Tn => View::rows(b, n),
        Form::Nt => View::rows(b, k).transposed(),
    };
    let parallel = m.saturating_mul(n).saturating_mul(k) > PARALLEL;
    run(c, n, add, size, alpha, a, b, parallel);
}

/// A matrix inside a slice: element (i, j) is at i*row + j*column.
#[derive(Clone, Copy)]
pub struct View<'a, T> {
    values: &'a [T],
    row: usize,
    column: usize,
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

/// C (+)= alpha * A * B on the calling thread, C's rows being `stride` apart.
pub fn product_in_place<T: Real>(
    c: &mut [T],
    stride: usize,
    add: bool,
    size: Size,
    alpha: T,
    a: View<T>,
    b: View<T>,
) {
    run(c, stride, add, size, alpha, a, b, false);
}

#[expect(clippy::too_many_arguments)]
fn run<T: Real>(
    c: &mut [T],
    stride: usize,
    add: bool,
    size: Size,
    alpha: T,
    a: View<T>,
    b: View<T>,
    parallel: bool,
) {
    let Size { m, n, k } = size;
    if m == 0 || n == 0 {
        return;
    }
    let end = (m - 1).checked_mul(stride).and_then(|start| start.checked_add(n));
    assert!(
        n <= stride && end.is_some_and(|end| end <= c.len()),
        "result of {m} x {n} does not fit {} values",
        c.len()
    );
    if k > 0 {
        a.check(m, k);
        b.check(k, n);
    }
    let parallelism = if parallel { gemm::Parallelism::Rayon(0) } else { gemm::Parallelism::None };
    let keep = if add { T::ONE } else { T::ZERO };
    // SAFETY: the checks above show that every element that gemm reads or writes lies inside its
    // slice; C is borrowed for writing, so it overlaps neither A nor B; gemm is given f32 or f64,
    // the two types that implement Real.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
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
