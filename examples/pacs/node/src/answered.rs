//! An image that was classified, as the report and the capture are made of it.

use dicom_object::DefaultDicomObject;
use medforge_runtime::classify::Classification;
use medforge_runtime::image::RgbImage8;

/// An image with its answer: what results are made of.
pub struct Answered {
    pub object: DefaultDicomObject,
    pub shown: RgbImage8,
    pub found: Classification,
    /// What was odd about the file, which was read all the same.
    pub notes: Vec<String>,
}
