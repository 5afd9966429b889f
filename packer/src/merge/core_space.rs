//! Core space (Panariello et al. 2025, section 4): deltas in one small basis for outputs and one
//! for inputs, then TIES.
//!
//! U is the left singular basis of [w_1 s_1 B_1, ..., w_n s_n B_n] and V the right one of [A_1;
//! ...; A_n]; w_i d_i = U M_i V^T with M_i = U^T (w_i s_i B_i) A_i V, without loss. TIES (trim to
//! `density`, elect, disjoint mean) merges the M_i; the result is U M V^T. A linear merge of the
//! M_i would be task arithmetic, and TSV of them TSV of the deltas, so TIES is used inside. w_i = 1
//! unless given.

use super::Options;
use super::delta::{Delta, beside, matrix, resolved, svd};
use super::site::Site;
use super::ties::{elect, trim};

pub fn merge(site: &Site, options: &Options) -> Result<Delta, String> {
    let bs: Vec<_> = site.parts.iter().map(|part| part.scaled()).collect();
    let ats: Vec<_> = site.parts.iter().map(|part| part.a.transpose().to_owned()).collect();
    let u = svd(&beside(site.outputs, &bs.iter().collect::<Vec<_>>()))?.u;
    let v = svd(&beside(site.inputs, &ats.iter().collect::<Vec<_>>()))?.u;
    if u.ncols() == 0 || v.ncols() == 0 {
        return Ok(Delta::sum(site.outputs, site.inputs, &[]));
    }
    let core = |(b, at): (&faer::Mat<f64>, &faer::Mat<f64>)| {
        let mut core = resolved(&((u.transpose() * b) * (at.transpose() * &v)));
        trim(&mut core, options.density);
        core
    };
    let cores: Vec<_> = bs.iter().zip(&ats).map(core).collect();
    Ok(Delta::Product { b: &u * matrix(&elect(&cores), v.ncols()), a: v.transpose().to_owned() })
}
