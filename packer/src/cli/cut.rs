//! What a crop leaves away and how a batch is cut, in words.

use crate::train::Cut;

/// The least share of the images' area whose loss is worth a word.
pub(super) const LEAST_CUT: f64 = 0.005;

/// What the crop leaves away, in words; `cut` is its share of the images' area.
pub(super) fn cut_words(cut: f64) -> String {
    format!(
        "the centre crop leaves away {:.0} % of the images' area, which is never seen: --fit \
         squash or --fit pad keeps all",
        100.0 * cut
    )
}

/// How a batch is cut, in words.
pub(super) fn passes(cut: Cut, batch: usize) -> String {
    let passes = match batch.div_ceil(cut.per_pass) {
        1 => format!("{batch} images in one pass"),
        passes => format!("{batch} images in {passes} passes of at most {}", cut.per_pass),
    };
    if cut.recompute { format!("{passes}, blocks recomputed in the backward pass") } else { passes }
}
