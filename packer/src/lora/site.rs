//! The shapes of sites.

use super::Target;
use crate::base::{PROJECTION, VitConfig};

/// The shape (out, in) of the linear layer at `site`; none if the base has no such site.
pub fn site_shape(config: &VitConfig, site: &str) -> Option<(usize, usize)> {
    if site == PROJECTION {
        return config.projection.map(|_| Target::Projection.shape(config));
    }
    let (n, piece) = site.strip_prefix("blocks.")?.split_once('.')?;
    let target = Target::ALL.into_iter().find(|t| t.piece() == piece)?;
    let known = n.parse::<usize>().is_ok_and(|i| i < config.layers && i.to_string() == n);
    known.then(|| target.shape(config))
}
