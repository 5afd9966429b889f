//! Counts of known bases, and of what a hostile one would be made of.

use super::*;
use crate::classify::Cost;
use crate::vit::{Activation, Mlp, Norms};

fn shape(
    hidden: usize,
    mlp: usize,
    heads: usize,
    blocks: usize,
    [patch, grid]: [usize; 2],
) -> Shape {
    let norms = Norms { first: true, ..Shape::small().norms };
    let mlp = Mlp { width: mlp, activation: Activation::Gelu, gated: false };
    let (patch_bias, projection) = (false, Some(1280));
    Shape {
        patch,
        grid,
        hidden,
        blocks,
        heads,
        mlp,
        norms,
        patch_bias,
        projection,
        ..Shape::small()
    }
}

/// Its parameters are those that its authors give: 1.84 thousand million.
#[test]
fn four_times_the_largest_known_base_is_allowed_and_little_more() {
    let big = shape(1664, 8192, 16, 48, [14, 16]);
    let base = big.base(Precision::F32);
    assert!((1.84e9..1.85e9).contains(&(base.bytes as f64 / 4.0)), "{base:?}");
    // SwiGLU of 8192 and 4096 values has as many weights as two layers of 6144.
    let fine = Shape { projection: None, ..shape(1536, 6144, 24, 40, [14, 37]) };
    let Cost { bytes, operations } = Cost::default();
    let activations = big.activations(Precision::F32, 1, Spread::Layers, 16);
    let of = |most: u64, one: u128| most as f64 / one as f64;
    assert!((4.0..4.3).contains(&of(bytes, base.bytes + activations)), "{base:?}");
    assert!((4.0..4.3).contains(&of(operations, fine.base(Precision::F32).operations)), "{base:?}");
}

/// Among them mixtures of three at the size that DINOv2 was made for.
#[test]
fn what_packer_takes_is_allowed() {
    let work = |shape: Shape| shape.base(Precision::F32).operations;
    let most = u128::from(Cost::default().operations);
    assert!(work(shape(1024, 4096, 16, 24, [16, 64])) < most);
    assert!(work(shape(1024, 4096, 16, 24, [14, 64])) < most);
    assert!(3 * work(shape(1024, 4096, 16, 24, [14, 37])) < most);
}

/// ViT-L/16 at 224 pixels: 61.6 thousand million in the table of its authors' code, which counts no
/// exponentials and no filling up.
#[test]
fn a_known_base_takes_what_is_known_of_it() {
    let large = shape(1024, 4096, 16, 24, [16, 14]);
    let operations = large.base(Precision::F32).operations as f64;
    assert!((60e9..64e9).contains(&operations), "{operations}");
}

#[test]
fn small_patches_narrow_heads_and_ranks_of_one_cost_what_they_take() {
    let operations = |shape: Shape| shape.base(Precision::F32).operations as f64;
    let (coarse, fine) = (shape(64, 64, 1, 2, [16, 14]), shape(64, 64, 1, 2, [1, 224]));
    assert!(operations(fine) > 10_000.0 * operations(coarse));
    let narrow = shape(64, 64, 64, 2, [16, 14]);
    assert!(operations(narrow) > 3.0 * operations(shape(64, 64, 1, 2, [16, 14])));
    let wide = shape(64, 64, 1, 2, [16, 14]);
    assert_eq!(wide.adapter(|_| 0), Taken::default());
    assert!(wide.adapter(|_| 1).bytes > 12 * 4 * 64 * 16);
    // Widths of a file of 4 GiB, and sides that a graph may name.
    let (wide, side) = (u32::MAX as usize, 1 << 16);
    let huge = shape(wide, wide, wide, 3, [1, side]);
    assert!(huge.base(Precision::F32).operations > 1 << 100);
}
