//! DELLA (Deep et al. 2024, section 3): drop by magnitude (MagPrune), elect, fuse.
//!
//! In each row (the inputs of one output) of w_i d_i the n values are ranked by magnitude, r = 0
//! for the largest. The value of rank r is dropped with probability p_r = p - e/2 + r e/n, where p
//! = 1 - `density` and e = `window`. If it stays, it is divided by 1 - p_r. Then signs are elected
//! and the disjoint mean is taken, as in TIES. w_i = 1 unless given (the paper's lambda). With a
//! density of 1 nothing is dropped.

use super::Options;
use super::delta::Delta;
use super::site::Site;
use super::ties::elect;
use crate::random::Stream;

pub fn merge(site: &Site, options: &Options) -> Result<Delta, String> {
    let mut parts = site.dense();
    for (values, part) in parts.iter_mut().zip(&site.parts) {
        let mut stream = site.stream(part, "delta");
        for row in values.chunks_exact_mut(site.inputs) {
            drop(row, options, &mut stream);
        }
    }
    Ok(Delta::rows(&elect(&parts), site.inputs))
}

/// MagPrune on one row.
fn drop(row: &mut [f64], options: &Options, stream: &mut Stream) {
    if options.density >= 1.0 {
        return;
    }
    let mut order: Vec<usize> = (0..row.len()).collect();
    order.sort_by(|x, y| row[*y].abs().total_cmp(&row[*x].abs()));
    for (rank, place) in order.into_iter().enumerate() {
        let stays = options.density + options.window * (0.5 - rank as f64 / row.len() as f64);
        row[place] = if stream.unit() < stays { row[place] / stays } else { 0.0 };
    }
}
