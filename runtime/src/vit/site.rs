//! The linear layers of a network that modules adapt, by name.

use std::fmt;
use std::ops::Index;

/// A linear layer of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    /// The queries of attention.
    Q,
    /// The keys of attention.
    K,
    /// The values of attention.
    V,
    /// What follows attention.
    O,
    /// The first layer of the MLP.
    Fc1,
    /// The second layer of the MLP.
    Fc2,
}

/// A linear layer that modules adapt. It is shown by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Site {
    /// A layer of the block with this number; the first has 0.
    Block(usize, Layer),
    /// The layer after the last norm, of CLIP.
    Projection,
}

/// The name of [`Site::Projection`].
pub const PROJECTION: &str = "projection";

impl Layer {
    /// All of a block's, in the order in which they are computed.
    pub const ALL: [Layer; 6] = [Layer::Q, Layer::K, Layer::V, Layer::O, Layer::Fc1, Layer::Fc2];

    /// Its name within a block, in checkpoints and graphs.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Q => "attn.q",
            Layer::K => "attn.k",
            Layer::V => "attn.v",
            Layer::O => "attn.o",
            Layer::Fc1 => "mlp.fc1",
            Layer::Fc2 => "mlp.fc2",
        }
    }
}

impl Site {
    /// The name of its weight.
    pub fn weight(self) -> String {
        format!("{self}.weight")
    }

    /// The name of its bias.
    pub fn bias(self) -> String {
        format!("{self}.bias")
    }

    /// The name of its factor A, an input of graphs and a tensor of modules.
    pub fn lora_a(self) -> String {
        format!("{self}.lora_a")
    }

    /// The name of its factor B.
    pub fn lora_b(self) -> String {
        format!("{self}.lora_b")
    }

    /// The name of its magnitude scale.
    pub fn magnitude_scale(self) -> String {
        format!("{self}.lora_scale")
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Site::Block(block, layer) => write!(f, "blocks.{block}.{}", layer.name()),
            Site::Projection => f.write_str(PROJECTION),
        }
    }
}

/// One value for each linear layer of a block.
pub(super) struct ByLayer<T> {
    q: T,
    k: T,
    v: T,
    o: T,
    fc1: T,
    fc2: T,
}

impl<T> ByLayer<T> {
    /// Makes the value of each layer, until one fails.
    pub fn of<E>(mut each: impl FnMut(Layer) -> Result<T, E>) -> Result<Self, E> {
        Ok(ByLayer {
            q: each(Layer::Q)?,
            k: each(Layer::K)?,
            v: each(Layer::V)?,
            o: each(Layer::O)?,
            fc1: each(Layer::Fc1)?,
            fc2: each(Layer::Fc2)?,
        })
    }

    pub fn iter(&self) -> impl Iterator<Item = &T> {
        Layer::ALL.iter().map(|layer| &self[*layer])
    }
}

impl<T> Index<Layer> for ByLayer<T> {
    type Output = T;

    fn index(&self, layer: Layer) -> &T {
        match layer {
            Layer::Q => &self.q,
            Layer::K => &self.k,
            Layer::V => &self.v,
            Layer::O => &self.o,
            Layer::Fc1 => &self.fc1,
            Layer::Fc2 => &self.fc2,
        }
    }
}
