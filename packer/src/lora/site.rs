//! The shapes of sites.

use crate::base::VitConfig;

/// The shape (out, in) of the linear layer at `site`; none if the base has no such site.
pub fn site_shape(config: &VitConfig, site: &str) -> Option<(usize, usize)> {
    let shape = config.shape(config.image_size);
    let (inputs, outputs) = shape.widths(shape.site(site)?);
    Some((outputs, inputs))
}
