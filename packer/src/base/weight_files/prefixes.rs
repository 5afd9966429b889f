//! What trainings put in front of the name of every tensor: wrappers for several GPUs and for the
//! compiler, and the part of a larger network that the base was.

use std::collections::BTreeMap;

const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "backbone."];
/// Heads of self-distillation beside a `backbone.` (DINO, iBOT), which are no part of a base.
const HEADS: [&str; 3] = ["head.", "dino_head.", "ibot_head."];

/// `tensors` by their names without a prefix that all have. Beside a `backbone.`, heads are left
/// out.
pub fn without<T>(mut tensors: BTreeMap<String, T>) -> BTreeMap<String, T> {
    while let Some(prefix) = PREFIXES.into_iter().find(|prefix| is_common(&tensors, prefix)) {
        tensors = tensors
            .into_iter()
            .filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor)))
            .collect();
    }
    tensors
}

fn is_common<T>(tensors: &BTreeMap<String, T>, prefix: &str) -> bool {
    let head = |name: &str| prefix == "backbone." && HEADS.iter().any(|h| name.starts_with(h));
    tensors.keys().any(|name| name.starts_with(prefix))
        && tensors.keys().all(|name| name.starts_with(prefix) || head(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stripped(names: &[&str]) -> Vec<String> {
        without(names.iter().map(|name| ((*name).to_owned(), ())).collect()).into_keys().collect()
    }

    #[test]
    fn what_all_names_begin_with_goes() {
        assert_eq!(stripped(&["module.a", "module.b.c"]), ["a", "b.c"]);
        assert_eq!(stripped(&["module.backbone.a"]), ["a"]);
        assert_eq!(stripped(&["module.a", "b"]), ["b", "module.a"]);
        assert_eq!(stripped(&["backbone.a", "dino_head.mlp.0.weight"]), ["a"]);
        assert_eq!(stripped(&["backbone.a", "neck.b"]), ["backbone.a", "neck.b"]);
        assert_eq!(stripped(&["head.a"]), ["head.a"]);
        assert!(stripped(&[]).is_empty());
    }
}
