//! The bytes of graphs, which bundles are signed over.

use prost::Message;

use super::*;
use crate::bundle::sha256_hex;
use crate::vit::{Mlp, Norms};

/// Of the small bases in `tests/golden`, as packer wrote them when it had a writer of its own.
#[test]
fn graphs_stay_byte_for_byte_the_same() {
    let vit = Shape { grid: 2, ..Shape::small() };
    let norms =
        |epsilon, first, layer_scale| Norms { epsilon, first, layer_scale, ..Shape::small().norms };
    let clip = Shape {
        grid: 4,
        mlp: Mlp { activation: Activation::QuickGelu, ..vit.mlp },
        norms: norms(1e-5, true, false),
        patch_bias: false,
        projection: Some(6),
        ..vit.clone()
    };
    let dinov2 = Shape { norms: norms(1e-6, false, true), ..vit.clone() };
    let vit = Shape { norms: norms(1e-12, false, false), ..vit };
    for (shape, digest) in [
        (vit, "bb42096bb2c6cc1b4f6790a4e3d07dbf0ba6606459013d7372911a3f7fa71234"),
        (dinov2, "d552114e57b242d619b914cc59bf20238dfd740140017327b30a173ce2f1e629"),
        (clip, "cd00a935f687b7c79cfb128e84b8042782b43e652eb771de7184771f6fcc29cc"),
    ] {
        assert_eq!(sha256_hex(&graph(&shape).encode_to_vec()), digest, "{shape:?}");
    }
}
