//! What a training learns from.

use crate::data::Images;
use crate::lora::Head;

/// The images of a training, and a head that stays as it is.
#[derive(Clone, Copy)]
pub struct Examples<'a> {
    /// Class names, in the order of the images' labels.
    pub classes: &'a [String],
    pub images: &'a Images,
    /// Indices into `images`.
    pub training: &'a [usize],
    /// Indices into `images`; the best epoch on these is kept, the last one if there are none.
    pub validation: &'a [usize],
    /// A head of texts that stays as it is; else a linear one is trained.
    pub head: Option<&'a Head>,
}
