//! KnOTS (Stoica et al. 2024, section 4): deltas aligned by one SVD, then TIES.
//!
//! The deltas stand side by side: [w_1 d_1, ..., w_n d_n] = U S [V_1^T, ..., V_n^T], with one basis
//! U of outputs for all. TIES (trim to `density`, elect, disjoint mean) merges the S V_i^T, as in
//! the authors' code. With S inside, values are trimmed by their effect on the delta. The result is
//! U times the merge. w_i = 1 unless given.
//!
//! The wide matrix is never made: with B = [w_i s_i B_i] = Q R and A_i^T = Q_i R_i it is Q [R^(1)
//! R_1^T, ...] diag(Q_i)^T, R^(i) being the columns of R for module i, and only the small middle is
//! decomposed.

use super::Options;
use super::delta::{Delta, beside, matrix, qr, resolved, svd};
use super::site::Site;
use super::ties::{elect, trim};

pub fn merge(site: &Site, options: &Options) -> Result<Delta, String> {
    let bs: Vec<_> = site.parts.iter().map(|part| part.scaled()).collect();
    let (q, r) = qr(&beside(site.outputs, &bs.iter().collect::<Vec<_>>()));
    let inputs: Vec<_> = site.parts.iter().map(|part| qr(&part.a.transpose().to_owned())).collect();
    let mut first = 0;
    let mut cores = Vec::new();
    for (part, (_, ri)) in site.parts.iter().zip(&inputs) {
        cores.push(r.subcols(first, part.b.ncols()) * ri.transpose());
        first += part.b.ncols();
    }
    let core = svd(&beside(q.ncols(), &cores.iter().collect::<Vec<_>>()))?;
    if core.s.is_empty() {
        return Ok(Delta::sum(site.outputs, site.inputs, &[]));
    }
    let scaled =
        faer::Mat::from_fn(core.s.len(), core.v.nrows(), |i, j| core.s[i] * core.v[(j, i)]);
    let mut first = 0;
    let mut aligned = Vec::new();
    for (qi, _) in &inputs {
        let mut part = resolved(&(scaled.subcols(first, qi.ncols()) * qi.transpose()));
        trim(&mut part, options.density);
        aligned.push(part);
        first += qi.ncols();
    }
    Ok(Delta::Product { b: q * core.u, a: matrix(&elect(&aligned), site.inputs) })
}
