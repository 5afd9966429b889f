//! Which linear layers a module adapts: `q,v` by default, any of q, k, v, o, gate, fc1, fc2, in all
//! layers or the last few, those of a head that pools by attention (`pool.q` and so on), and CLIP's
//! visual projection.

use std::str::FromStr;

use medforge_runtime::vit::{Layer, Site};

use crate::Error;
use crate::base::VitConfig;

/// One kind of linear layer of a block, or a layer after the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Block(Layer),
    Pool(Layer),
    Projection,
}

/// Several kinds of linear layers, each named once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets(Vec<Target>);

impl Target {
    pub const ALL: [Target; 14] = [
        Target::Block(Layer::Q),
        Target::Block(Layer::K),
        Target::Block(Layer::V),
        Target::Block(Layer::O),
        Target::Block(Layer::Gate),
        Target::Block(Layer::Fc1),
        Target::Block(Layer::Fc2),
        Target::Pool(Layer::Q),
        Target::Pool(Layer::K),
        Target::Pool(Layer::V),
        Target::Pool(Layer::O),
        Target::Pool(Layer::Fc1),
        Target::Pool(Layer::Fc2),
        Target::Projection,
    ];

    /// As written on the command line.
    pub fn name(self) -> String {
        let last = |layer: Layer| layer.name().rsplit('.').next().unwrap_or_default();
        match self {
            Target::Block(layer) => last(layer).to_owned(),
            Target::Pool(layer) => format!("pool.{}", last(layer)),
            Target::Projection => "projection".to_owned(),
        }
    }

    /// The site of the block with this number, or the one after all blocks.
    fn site(self, block: usize) -> Site {
        match self {
            Target::Block(layer) => Site::Block(block, layer),
            Target::Pool(layer) => Site::Pool(layer),
            Target::Projection => Site::Projection,
        }
    }

    /// (out, in) of the layer.
    pub fn shape(self, config: &VitConfig) -> (usize, usize) {
        let (inputs, outputs) = config.shape(config.image_size).widths(self.site(0));
        (outputs, inputs)
    }

    /// What a base lacks that has no such layer.
    fn lack(self) -> &'static str {
        match self {
            Target::Block(_) => "its MLP has no gate; SwiGLU has one",
            Target::Pool(_) => "it does not pool by attention; SigLIP does",
            Target::Projection => "it has no projection; CLIP models have one",
        }
    }
}

impl Targets {
    /// The sites in the last `last_layers` blocks, or in all of them, and after them.
    ///
    /// # Errors
    /// [`Error::Targets`]: a layer that the base does not have.
    pub fn sites(
        &self,
        config: &VitConfig,
        last_layers: Option<usize>,
    ) -> Result<Vec<(String, Target)>, Error> {
        let there: Vec<Site> = config.shape(config.image_size).sites().collect();
        if let Some(target) = self.0.iter().find(|target| !there.contains(&target.site(0))) {
            let what = format!("the base has no {}: {}", target.name(), target.lack());
            return Err(Error::Targets { what });
        }
        let (within, after): (Vec<Target>, Vec<Target>) =
            self.0.iter().partition(|target| matches!(target, Target::Block(_)));
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
                    let all = Target::ALL.map(Target::name).join(", ");
                    return Err(format!("{name:?} is none of {all}"));
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
