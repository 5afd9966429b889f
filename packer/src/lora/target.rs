//! Which linear layers a module adapts: `q,v` by default, any of q, k, v, o, fc1, fc2, in all
//! layers or the last few, and CLIP's visual projection.

use std::str::FromStr;

use medforge_runtime::vit::{Layer, Site};

use crate::Error;
use crate::base::VitConfig;

/// One kind of linear layer of a block, or the projection after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Q,
    K,
    V,
    O,
    Fc1,
    Fc2,
    Projection,
}

/// Several kinds of linear layers, each named once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets(Vec<Target>);

impl Target {
    pub const ALL: [Target; 7] =
        [Target::Q, Target::K, Target::V, Target::O, Target::Fc1, Target::Fc2, Target::Projection];

    /// As written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Target::Q => "q",
            Target::K => "k",
            Target::V => "v",
            Target::O => "o",
            Target::Fc1 => "fc1",
            Target::Fc2 => "fc2",
            Target::Projection => "projection",
        }
    }

    /// The site of the block with this number, or the one after all blocks.
    fn site(self, block: usize) -> Site {
        let layer = match self {
            Target::Q => Layer::Q,
            Target::K => Layer::K,
            Target::V => Layer::V,
            Target::O => Layer::O,
            Target::Fc1 => Layer::Fc1,
            Target::Fc2 => Layer::Fc2,
            Target::Projection => return Site::Projection,
        };
        Site::Block(block, layer)
    }

    /// (out, in) of the layer.
    pub fn shape(self, config: &VitConfig) -> (usize, usize) {
        let (inputs, outputs) = config.shape(config.image_size).widths(self.site(0));
        (outputs, inputs)
    }
}

impl Targets {
    /// The sites in the last `last_layers` blocks, or in all of them, and after them.
    ///
    /// # Errors
    /// [`Error::Targets`]: the projection of a base that has none.
    pub fn sites(
        &self,
        config: &VitConfig,
        last_layers: Option<usize>,
    ) -> Result<Vec<(String, Target)>, Error> {
        let (after, within): (Vec<Target>, Vec<Target>) =
            self.0.iter().partition(|t| **t == Target::Projection);
        if !after.is_empty() && config.projection.is_none() {
            return Err(Error::Targets {
                what: "the base has no projection; CLIP models have one".into(),
            });
        }
        let first = config.layers.saturating_sub(last_layers.unwrap_or(config.layers));
        let blocks = first..config.layers;
        let blocks = blocks.flat_map(|n| within.iter().map(move |t| (t.site(n).to_string(), *t)));
        Ok(blocks.chain(after.iter().map(|t| (t.site(0).to_string(), *t))).collect())
    }
}

impl FromStr for Targets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut targets = Vec::new();
        for name in text.split(',').map(str::trim) {
            match Target::ALL.into_iter().find(|t| t.name() == name) {
                Some(target) if targets.contains(&target) => {
                    return Err(format!("{name} is named twice"));
                }
                Some(target) => targets.push(target),
                None => {
                    return Err(format!("{name:?} is none of q, k, v, o, fc1, fc2, projection"));
                }
            }
        }
        targets.sort();
        Ok(Targets(targets))
    }
}

impl std::fmt::Display for Targets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.iter().map(|t| t.name()).collect::<Vec<_>>().join(","))
    }
}
