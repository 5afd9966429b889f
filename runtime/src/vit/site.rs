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
    /// The gate of the MLP, where it has one (SwiGLU).
    Gate,
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
    /// A layer of the head that pools by attention, of SigLIP.
    Pool(Layer),
    /// The layer after pooling, of CLIP.
    Projection,
}

/// The name of [`Site::Projection`].
pub const PROJECTION: &str = "projection";

impl Layer {
    /// All that a block may have, in the order in which they are computed.
    pub const ALL: [Layer; 7] =
        [Layer::Q, Layer::K, Layer::V, Layer::O, Layer::Gate, Layer::Fc1, Layer::Fc2];

    /// Its name within a block, in checkpoints and graphs.
    pub fn name(self) -> &'static str {
        match self {
            Layer::Q => "attn.q",
            Layer::K => "attn.k",
            Layer::V => "attn.v",
            Layer::O => "attn.o",
            Layer::Gate => "mlp.gate",
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
            Site::Pool(layer) => write!(f, "pool.{}", layer.name()),
            Site::Projection => f.write_str(PROJECTION),
        }
    }
}

/// One value for each linear layer of a block or of a head that pools.
pub(super) struct ByLayer<T>([Option<T>; Layer::ALL.len()]);

impl<T> ByLayer<T> {
    /// Makes the value of each of `layers`, until one fails.
    pub fn of<E>(
        layers: impl IntoIterator<Item = Layer>,
        mut each: impl FnMut(Layer) -> Result<T, E>,
    ) -> Result<Self, E> {
        let mut by_layer = ByLayer(Layer::ALL.map(|_| None));
        for layer in layers {
            by_layer.0[layer as usize] = Some(each(layer)?);
        }
        Ok(by_layer)
    }

    /// The values, in the order of [`Layer::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().flatten()
    }
}

impl<T> Index<Layer> for ByLayer<T> {
    type Output = T;

    /// The value of a layer that the network has.
    fn index(&self, layer: Layer) -> &T {
        self.0[layer as usize].as_ref().expect("the network has this layer")
    }
}
