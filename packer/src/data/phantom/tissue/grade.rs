//! What a grade means in numbers.

/// Mean radius of the nuclei of epithelial cells.
pub(super) fn nuclear_size(g: f64) -> f64 {
    blend(g, 2.15, 3.15)
}

/// `low` at grade 0, `high` at grade 1, and evenly between.
pub(super) fn blend(g: f64, low: f64, high: f64) -> f64 {
    low + g * (high - low)
}
