//! Which linear layers a module adapts: `q,v` by default, any of q, k, v, o, fc1, fc2, in all layers or the last few.

use std::str::FromStr;

use crate::base::VitConfig;

/// One kind of linear layer of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    Q,
    K,
    V,
    O,
    Fc1,
    Fc2,
}

/// Several kinds of linear layers, each named once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Targets(Vec<Target>);

impl Target {
    pub const ALL: [Target; 6] = [Target::Q, Target::K, Target::V, Target::O, Target::Fc1, Target::Fc2];

    /// As written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Target::Q => "q",
            Target::K => "k",
            Target::V => "v",
            Target::O => "o",
            Target::Fc1 => "fc1",
            Target::Fc2 => "fc2",
        }
    }

    /// As part of a site's name.
    pub fn piece(self) -> &'static str {
        match self {
            Target::Q => "attn.q",
            Target::K => "attn.k",
            Target::V => "attn.v",
            Target::O => "attn.o",
            Target::Fc1 => "mlp.fc1",
            Target::Fc2 => "mlp.fc2",
        }
    }

    /// (out, in) of the layer.
    pub fn shape(self, config: &VitConfig) -> (usize, usize) {
        match self {
            Target::Fc1 => (config.mlp, config.hidden),
            Target::Fc2 => (config.hidden, config.mlp),
            _ => (config.hidden, config.hidden),
        }
    }
}

impl Targets {
    /// The sites in the last `last_layers` blocks, or in all of them.
    pub fn sites(&self, config: &VitConfig, last_layers: Option<usize>) -> Vec<(String, Target)> {
        let first = config.layers.saturating_sub(last_layers.unwrap_or(config.layers));
        let blocks = first..config.layers;
        blocks.flat_map(|n| self.0.iter().map(move |t| (format!("blocks.{n}.{}", t.piece()), *t))).collect()
    }
}

impl FromStr for Targets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut targets = Vec::new();
        for name in text.split(',').map(str::trim) {
            match Target::ALL.into_iter().find(|t| t.name() == name) {
                Some(target) if targets.contains(&target) => return Err(format!("{name} is named twice")),
                Some(target) => targets.push(target),
                None => return Err(format!("{name:?} is none of q, k, v, o, fc1, fc2")),
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
