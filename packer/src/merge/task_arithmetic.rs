//! Task arithmetic (Ilharco et al. 2023, section 2): sum_i w_i d_i, with w_i = 1 unless given (the
//! paper's lambda).
//!
//! Exact: the factors are stacked, B = [w_1 s_1 B_1, ..., w_n s_n B_n] and A = [A_1; ...; A_n].

use super::delta::Delta;
use super::site::Site;

pub fn merge(site: &Site) -> Result<Delta, String> {
    let products: Vec<_> = site.parts.iter().map(|part| (part.scaled(), part.a.clone())).collect();
    Ok(Delta::sum(site.outputs, site.inputs, &products))
}
