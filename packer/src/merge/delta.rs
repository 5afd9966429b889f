//! The change of one site as matrices, low rank or dense. It has a singular value decomposition and
//! a best approximation of a given rank.
//!
//! A product B*A of low rank is decomposed without multiplying it out: QR of B and of A^T, and the
//! SVD of the small core between them.

use faer::Mat;
use medforge_runtime::tensors::Tensor;

use super::Rank;
use crate::lora::Factors;

/// The merged delta [out, in] of one site.
pub enum Delta {
    /// B [out, rank] times A [rank, in].
    Product {
        b: Mat<f64>,
        a: Mat<f64>,
    },
    Dense(Mat<f64>),
    /// Directions, the most important first.
    Directions(Svd),
}

/// U * diag(s) * V^T with orthonormal columns, as many as the numerical rank.
pub struct Svd {
    pub u: Mat<f64>,
    pub s: Vec<f64>,
    pub v: Mat<f64>,
}

/// A site's factors, and how much of its squared norm they keep.
pub struct Kept {
    pub factors: Factors,
    pub kept: f64,
    pub total: f64,
}

/// Singular values below this fraction of the largest count as zero. Factors are stored in f32,
/// which resolves no more.
const RESOLUTION: f64 = f32::EPSILON as f64;

impl Delta {
    /// A dense delta of row-major values.
    pub fn rows(values: &[f64], columns: usize) -> Self {
        Delta::Dense(matrix(values, columns))
    }

    /// The sum of products of one shape. It is stacked if that has a lower rank than the matrix,
    /// and dense otherwise.
    pub fn sum(outputs: usize, inputs: usize, products: &[(Mat<f64>, Mat<f64>)]) -> Self {
        let rank: usize = products.iter().map(|(b, _)| b.ncols()).sum();
        if rank > outputs.min(inputs) {
            let mut dense = Mat::zeros(outputs, inputs);
            for (b, a) in products {
                dense += b * a;
            }
            return Delta::Dense(dense);
        }
        let bs: Vec<_> = products.iter().map(|(b, _)| b).collect();
        let ats: Vec<_> = products.iter().map(|(_, a)| a.transpose().to_owned()).collect();
        let a = beside(inputs, &ats.iter().collect::<Vec<_>>()).transpose().to_owned();
        Delta::Product { b: beside(outputs, &bs), a }
    }

    /// The singular value decomposition up to the numerical rank.
    pub fn svd(&self) -> Result<Svd, String> {
        match self {
            Delta::Product { b, a } => product_svd(b, a),
            Delta::Dense(dense) => svd(dense),
            Delta::Directions(Svd { u, s, v }) => {
                Ok(Svd { u: u.clone(), s: s.clone(), v: v.clone() })
            }
        }
    }

    /// The factors, with at most the given rank; a zero delta has rank 1.
    pub fn keep(self, rank: Rank) -> Result<Kept, String> {
        if let (Delta::Product { b, a }, Rank::Exact) = (&self, rank)
            && (1..=b.nrows().min(a.ncols())).contains(&b.ncols())
        {
            let total = product_norm(b, a);
            return Ok(Kept { factors: factors(b, a)?, kept: total, total });
        }
        let Svd { u, s, v } = self.svd()?;
        let most = match rank {
            Rank::Exact => s.len(),
            Rank::AtMost(rank) => rank.min(s.len()),
        };
        let square = |s: &[f64]| s.iter().map(|s| s * s).sum::<f64>();
        // Half of each singular value on either side keeps both factors in the range of f32.
        let b = Mat::from_fn(u.nrows(), most.max(1), |i, j| {
            if j < most { u[(i, j)] * s[j].sqrt() } else { 0.0 }
        });
        let a = Mat::from_fn(most.max(1), v.nrows(), |i, j| {
            if i < most { s[i].sqrt() * v[(j, i)] } else { 0.0 }
        });
        Ok(Kept { factors: factors(&b, &a)?, kept: square(&s[..most]), total: square(&s) })
    }
}

/// The thin SVD up to the numerical rank.
pub fn svd(matrix: &Mat<f64>) -> Result<Svd, String> {
    let (rows, columns) = (matrix.nrows(), matrix.ncols());
    if rows == 0 || columns == 0 {
        return Ok(Svd { u: Mat::zeros(rows, 0), s: Vec::new(), v: Mat::zeros(columns, 0) });
    }
    let full = matrix
        .thin_svd()
        .map_err(|_| "the singular value decomposition did not converge".to_owned())?;
    let values: Vec<f64> = (0..rows.min(columns)).map(|i| full.S()[i]).collect();
    let rank = values.iter().take_while(|s| **s > RESOLUTION * values[0]).count();
    let first = |m: faer::MatRef<'_, f64>| m.subcols(0, rank).to_owned();
    Ok(Svd { u: first(full.U()), s: values[..rank].to_vec(), v: first(full.V()) })
}

/// The SVD of B*A.
pub fn product_svd(b: &Mat<f64>, a: &Mat<f64>) -> Result<Svd, String> {
    if b.ncols() >= b.nrows().min(a.ncols()) {
        return svd(&(b * a));
    }
    let (qb, rb) = qr(b);
    let (qa, ra) = qr(&a.transpose().to_owned());
    let Svd { u, s, v } = svd(&(rb * ra.transpose()))?;
    Ok(Svd { u: qb * u, s, v: qa * v })
}

/// Q [rows, k] with orthonormal columns and R [k, columns], k the smaller side; their product is
/// the matrix.
pub fn qr(matrix: &Mat<f64>) -> (Mat<f64>, Mat<f64>) {
    if matrix.nrows() == 0 || matrix.ncols() == 0 {
        return (Mat::zeros(matrix.nrows(), 0), Mat::zeros(0, matrix.ncols()));
    }
    let qr = matrix.qr();
    (qr.compute_thin_Q(), qr.thin_R().to_owned())
}

/// The matrices, all of `rows` rows, side by side.
pub fn beside(rows: usize, parts: &[&Mat<f64>]) -> Mat<f64> {
    let mut whole = Mat::zeros(rows, parts.iter().map(|p| p.ncols()).sum());
    let mut first = 0;
    for part in parts {
        whole.subcols_mut(first, part.ncols()).copy_from(part);
        first += part.ncols();
    }
    whole
}

/// The matrix of row-major values.
pub fn matrix(values: &[f64], columns: usize) -> Mat<f64> {
    Mat::from_fn(values.len() / columns, columns, |i, j| values[i * columns + j])
}

/// A matrix's values, row by row.
pub fn values(matrix: &Mat<f64>) -> Vec<f64> {
    (0..matrix.nrows()).flat_map(|i| (0..matrix.ncols()).map(move |j| matrix[(i, j)])).collect()
}

/// A matrix's values in a computed basis, row by row. Rounding errors become zero, since a zero has
/// no vote.
pub fn resolved(matrix: &Mat<f64>) -> Vec<f64> {
    let least = RESOLUTION * matrix.norm_max();
    values(matrix).into_iter().map(|v| if v.abs() > least { v } else { 0.0 }).collect()
}

/// The squared norm of B*A: the sum of the products of both Gram matrices.
fn product_norm(b: &Mat<f64>, a: &Mat<f64>) -> f64 {
    let (gb, ga) = (b.transpose() * b, a * a.transpose());
    let sum: f64 = values(&gb).iter().zip(values(&ga)).map(|(x, y)| x * y).sum();
    sum.max(0.0)
}

fn factors(b: &Mat<f64>, a: &Mat<f64>) -> Result<Factors, String> {
    let tensor = |m: &Mat<f64>| {
        let data: Vec<f32> = values(m).into_iter().map(|v| v as f32).collect();
        if data.iter().all(|v| v.is_finite()) {
            Ok(Tensor::f32(vec![m.nrows(), m.ncols()], data))
        } else {
            Err("the result is too large for f32; use smaller weights".to_owned())
        }
    };
    Ok(Factors::plain(tensor(a)?, tensor(b)?))
}

#[cfg(test)]
mod tests;
