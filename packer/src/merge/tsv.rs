//! Task singular vectors (TSV-Merge, Gargiulo et al. 2025, section 3.3): each delta's first
//! directions, made orthogonal between tasks.
//!
//! w_i d_i = U_i S_i V_i^T is cut to 1/n of the min(out, in) directions. U = [U_1, ..., U_n], and S
//! and V alike. U and V are replaced by the nearest orthonormal matrices, the polar factors P Q^T
//! of U = P D Q^T. Directions that two modules share have a zero in D and stay out. The result is
//! U' S V'^T. w_i = 1 unless given (the paper's alpha).

use faer::Mat;

use super::delta::{Delta, beside, product_svd, svd};
use super::site::Site;

pub fn merge(site: &Site) -> Result<Delta, String> {
    let most = (site.outputs.min(site.inputs) / site.parts.len()).max(1);
    let (mut us, mut s, mut vs) = (Vec::new(), Vec::new(), Vec::new());
    for part in &site.parts {
        let own = product_svd(&part.scaled(), &part.a)?;
        let kept = most.min(own.s.len());
        us.push(own.u.subcols(0, kept).to_owned());
        vs.push(own.v.subcols(0, kept).to_owned());
        s.extend_from_slice(&own.s[..kept]);
    }
    let u = orthonormal(&beside(site.outputs, &us.iter().collect::<Vec<_>>()))?;
    let v = orthonormal(&beside(site.inputs, &vs.iter().collect::<Vec<_>>()))?;
    let b = Mat::from_fn(site.outputs, s.len(), |i, j| u[(i, j)] * s[j]);
    Ok(Delta::sum(site.outputs, site.inputs, &[(b, v.transpose().to_owned())]))
}

/// The polar factor.
fn orthonormal(matrix: &Mat<f64>) -> Result<Mat<f64>, String> {
    let svd = svd(matrix)?;
    Ok(&svd.u * svd.v.transpose())
}
