//! The names in a family's files.

/// The names in a family's files, and of the modules that PEFT adapts.
#[derive(Debug)]
pub struct Names {
    /// What may stand in front of every name: the model's own, inside of a larger one.
    pub prefixes: &'static [&'static str],
    /// Where the blocks are: first as files have it, last as transformers 5's modules have it.
    pub blocks: &'static [&'static str],
    /// Our name for each part, inside of blocks and outside, and the names in files, ordered like
    /// `blocks`. `gated.fc1` and `gated.fc2` are the MLP's layers where it has a gate and they are
    /// called otherwise then. A name that ends in `_` is followed by `weight` without a point.
    pub parts: &'static [(&'static str, &'static [&'static str])],
    /// Names of layers that hold several parts, one under another.
    pub packed: &'static [(&'static str, &'static [&'static str])],
}

/// What parts are called that a family does not know: packer's own names.
pub static OWN: Names = Names {
    prefixes: &[],
    blocks: &[],
    parts: &[
        ("embed.cls", &["embeddings.cls_token"]),
        ("embed.registers", &["embeddings.register_tokens"]),
        ("embed.positions", &["embeddings.position_embeddings"]),
        ("embed.norm", &["embeddings.norm"]),
        ("attn.q_norm", &["attention.q_norm"]),
        ("attn.k_norm", &["attention.k_norm"]),
        ("scale1", &["layer_scale1.lambda1"]),
        ("mlp.gate", &["mlp.gate_proj"]),
        ("scale2", &["layer_scale2.lambda1"]),
        ("pool.probe", &["head.probe"]),
        ("pool.attn.q", &["head.attention.in_proj_", "head.attention.q_proj"]),
        ("pool.attn.k", &["head.attention.in_proj_", "head.attention.k_proj"]),
        ("pool.attn.v", &["head.attention.in_proj_", "head.attention.v_proj"]),
        ("pool.attn.o", &["head.attention.out_proj"]),
        ("pool.norm", &["head.layernorm"]),
        ("pool.mlp.fc1", &["head.mlp.fc1"]),
        ("pool.mlp.fc2", &["head.mlp.fc2"]),
        ("projection", &["visual_projection"]),
    ],
    packed: &[("head.attention.in_proj_", &["pool.attn.q", "pool.attn.k", "pool.attn.v"])],
};

/// timm's names. Its modules are called as its files are.
pub static TIMM: Names = Names {
    prefixes: &[],
    blocks: &["blocks"],
    parts: &[
        ("attn.q", &["attn.qkv", "attn.q_proj"]),
        ("attn.k", &["attn.qkv", "attn.k_proj"]),
        ("attn.v", &["attn.qkv", "attn.v_proj"]),
        ("attn.o", &["attn.proj"]),
        ("mlp.gate", &["mlp.fc1", "mlp.fc1_g"]),
        ("mlp.fc1", &["mlp.fc1"]),
        ("gated.fc1", &["mlp.fc1", "mlp.fc1_x"]),
        ("mlp.fc2", &["mlp.fc2"]),
        ("pool.attn.q", &["attn_pool.q"]),
        ("pool.attn.k", &["attn_pool.kv"]),
        ("pool.attn.v", &["attn_pool.kv"]),
        ("pool.attn.o", &["attn_pool.proj"]),
        ("pool.mlp.fc1", &["attn_pool.mlp.fc1"]),
        ("pool.mlp.fc2", &["attn_pool.mlp.fc2"]),
    ],
    packed: &[
        ("attn.qkv", &["attn.q", "attn.k", "attn.v"]),
        ("mlp.fc1", &["mlp.gate", "mlp.fc1"]),
        ("attn_pool.kv", &["pool.attn.k", "pool.attn.v"]),
    ],
};

impl Names {
    /// The names of one of our parts, in the order of the table; none for parts that it lacks.
    pub fn of(&self, part: &str, gated: bool) -> &'static [&'static str] {
        let own = |part: &str| self.parts.iter().find(|(ours, _)| *ours == part);
        let gated = match part {
            "mlp.fc1" if gated => own("gated.fc1"),
            "mlp.fc2" if gated => own("gated.fc2"),
            _ => None,
        };
        gated.or_else(|| own(part)).map_or(&[], |(_, names)| names)
    }

    /// The parts that the layer of this name holds, `part` among them; none if it holds that alone.
    /// A gate is in no layer of a network without one.
    pub fn holds(&self, name: &str, part: &str, gated: bool) -> Option<&'static [&'static str]> {
        let found = self.packed.iter().find(|(packed, parts)| {
            *packed == name && parts.contains(&part) && (gated || !parts.contains(&"mlp.gate"))
        });
        found.map(|(_, parts)| *parts)
    }
}
