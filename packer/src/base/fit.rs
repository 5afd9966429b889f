//! How images are prepared for other sizes and by other fits than a base's own.

use medforge_runtime::preprocess::{Preprocessing, Resize, Size};

use super::vit_config::VitConfig;
use crate::Error;

/// How images whose sides differ become square.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// By their centre; what is beside it is left away.
    Crop,
    /// By squeezing the longer side.
    Squash,
    /// By black beside them.
    Pad,
}

impl Fit {
    /// `own`, a base's preprocessing, with this fit.
    pub fn of(self, own: &Preprocessing) -> Preprocessing {
        let side = own.output_size();
        let resize = match (self, own.resize) {
            (Fit::Crop, Resize::ShortestEdge(_)) => own.resize,
            (Fit::Crop, Resize::Exact(edges) | Resize::Pad(edges)) => {
                Resize::ShortestEdge(edges.height.min(edges.width))
            }
            (Fit::Squash, _) => Resize::Exact(side),
            (Fit::Pad, _) => Resize::Pad(side),
        };
        Preprocessing { resize, crop: Some(side), ..own.clone() }
    }
}

/// The base's `preprocessing` for an input of `size` x `size`: resize and crop scaled alike.
pub fn preprocessing_for(
    config: &VitConfig,
    preprocessing: &Preprocessing,
    size: u32,
) -> Result<Preprocessing, Error> {
    config.check_size(size)?;
    let own = preprocessing.output_size();
    let scale = |edge: u32, own: u32| {
        let scaled = (f64::from(edge) * f64::from(size) / f64::from(own)).round() as u32;
        scaled.max(size)
    };
    let both = |edges: Size| Size {
        height: scale(edges.height, own.height),
        width: scale(edges.width, own.width),
    };
    let resize = match preprocessing.resize {
        Resize::ShortestEdge(edge) => Resize::ShortestEdge(scale(edge, own.height.min(own.width))),
        Resize::Exact(edges) => Resize::Exact(both(edges)),
        Resize::Pad(edges) => Resize::Pad(both(edges)),
    };
    let crop = Some(Size { height: size, width: size });
    Ok(Preprocessing { resize, crop, ..preprocessing.clone() })
}
