//! The page's section on where predictions come from.

use super::super::explain::Explained;
use crate::report::{Block, Gallery, Picture, Prediction};

/// Some images with what speaks for their predictions. The page may show the images or not.
pub(super) fn section(explained: &[Explained], with_images: bool) -> Vec<Block> {
    if explained.is_empty() {
        return vec![];
    }
    let picture = |one: &Explained| Picture {
        png: one.shown.clone(),
        truth: Some(one.truth.clone()),
        prediction: Some(Prediction { class: one.predicted.clone(), probability: one.probability }),
        source: one.image.clone(),
    };
    let (what, which) = if with_images {
        (
            "Each image as the base sees it, and below it what",
            "The images are of patients, as --with-images asked: give this page to nobody who may \
             not see them.",
        )
    } else {
        ("For some images, what", "No image is on this page; --with-images would put them here.")
    };
    vec![
        Block::Heading("Where predictions come from".into()),
        Block::Note(format!(
            "{which} An image's name here is the first 16 hex digits of the SHA-256 of its file \
             (sha256sum finds it again). The file's own name may tell who the patient is. Images \
             in a MedMNIST file have their part and row."
        )),
        Block::Text(format!(
            "{what} speaks for the predicted class (gradient times input, patch by patch): most \
             where it is yellow, nothing where there is no colour. Wrong answers come first, \
             those whose truth seemed least likely before others; then right ones of each class. \
             A map shows what sways the module. It is no segmentation, and no evidence that an \
             answer is right. It says little about a class that is told by what is missing."
        )),
        Block::Gallery(Gallery {
            caption: format!("{} images", explained.len()),
            pictures: explained.iter().map(picture).collect(),
        }),
    ]
}
