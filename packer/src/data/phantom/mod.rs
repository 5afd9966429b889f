//! Phantoms: synthetic pictures of stained tissue, for demonstrations and tests that need no
//! patient.
//!
//! Three classes (regular, atypical, invasive) differ by the size, density and disorder of glands
//! and nuclei. Each class has its own grade. Patients vary about it, and images about their
//! patient, so that neighbouring classes overlap a little. Stain strength varies from patient to
//! patient and from image to image, whatever the class.
//!
//! The pictures depend on the hospital, the size and the seed alone: the same bytes on every
//! platform. They are drawings, not evidence about real tissue.

mod hospital;
mod sheet;
mod tissue;

use medforge_runtime::image::RgbImage8;
use rayon::prelude::*;

pub use hospital::{HOSPITALS, Hospital};

use super::part::Split;
use super::progress::Progress;
use crate::output::NewFolder;
use crate::png_file::{self, Compression};
use crate::random::{Purpose, Stream};
use crate::{Error, interrupt};

/// The classes, sorted as [`Dataset`](super::Dataset) sorts them.
pub const CLASSES: [&str; 3] = ["atypical", "invasive", "regular"];
/// The grade of each class.
const GRADES: [f64; 3] = [0.50, 0.84, 0.16];
/// Standard deviation of the grade between patients of a class, and between images of a patient.
const GRADE_SPREAD: [f64; 2] = [0.06, 0.06];
/// Standard deviation of the logarithm of each stain's strength between patients, and between
/// images of a patient.
const STAIN_SPREAD: [f64; 2] = [0.18, 0.14];
const IMAGES_PER_PATIENT: usize = 8;
/// The fraction of each class's patients that is tested on.
const TEST_FRACTION: f64 = 0.3;
/// Every data set of phantoms has this file.
pub const MARKER: &str = "splits.csv";
/// The sides that an image may have, in pixels.
pub const SIDES: std::ops::RangeInclusive<usize> = 32..=1024;
/// How many images a hospital may have.
pub const IMAGES: std::ops::RangeInclusive<usize> = 12..=1_000_000;

/// What one picture shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Specimen {
    pub hospital: &'static Hospital,
    /// Index into [`CLASSES`].
    pub label: usize,
    /// The patient's number at the hospital.
    pub patient: usize,
    /// The picture's number at the hospital.
    pub image: usize,
    pub split: Split,
}

/// The pictures of a hospital: as many of each class, up to eight of a patient. 30 % of each
/// class's patients are the test split.
///
/// # Errors
/// [`Error::Phantom`] for a number outside [`IMAGES`].
pub fn specimens(hospital: &'static Hospital, images: usize) -> Result<Vec<Specimen>, Error> {
    if !IMAGES.contains(&images) {
        let what = format!(
            "{images} images of a hospital; it must be {} to {}",
            IMAGES.start(),
            IMAGES.end()
        );
        return Err(Error::Phantom { what });
    }
    let mut specimens = Vec::with_capacity(images);
    let mut before = 0;
    for label in 0..CLASSES.len() {
        let count = (images + CLASSES.len() - 1 - label) / CLASSES.len();
        let patients = count.div_ceil(IMAGES_PER_PATIENT).max(2);
        let tested = ((TEST_FRACTION * patients as f64).round() as usize).max(1);
        for i in 0..count {
            let patient = i % patients;
            let split = if patient < tested { Split::Test } else { Split::Train };
            specimens.push(Specimen {
                hospital,
                label,
                patient: before + patient,
                image: specimens.len(),
                split,
            });
        }
        before += patients;
    }
    Ok(specimens)
}

/// Draws one picture, `side` pixels wide and high.
///
/// # Errors
/// [`Error::Phantom`] for a side outside [`SIDES`].
pub fn draw(specimen: &Specimen, side: usize, seed: u64) -> Result<RgbImage8, Error> {
    if !SIDES.contains(&side) {
        let what = format!(
            "images of {side} pixels a side; it must be {} to {}",
            SIDES.start(),
            SIDES.end()
        );
        return Err(Error::Phantom { what });
    }
    // The hospital's name is a part of the address, so that no two hospitals share a patient.
    let hospital =
        specimen.hospital.name.bytes().fold(0u64, |all, byte| all << 8 | u64::from(byte));
    let address = |purpose, number: usize| Stream::at(seed, purpose, hospital, number as u64);
    let mut patient = address(Purpose::Patient, specimen.patient);
    let mut tissue = address(Purpose::Tissue, specimen.image);
    let mut camera = address(Purpose::Camera, specimen.image);

    let [between, within] = GRADE_SPREAD;
    let grade = GRADES[specimen.label] + between * patient.normal() + within * tissue.normal();
    let [between, within] = STAIN_SPREAD;
    let strength =
        [(); 2].map(|()| libm::exp(between * patient.normal() + within * camera.normal()));
    let sheet = tissue::tissue(grade, side, &mut tissue);
    specimen.hospital.photograph(&sheet, strength, &mut camera)
}

/// Writes a data set to the folder `out`: `HOSPITAL/CLASS/NUMBER.png`, `images` of each hospital,
/// and splits.csv with patients as groups. Returns the number of images.
///
/// # Errors
/// As [`specimens`] and [`draw`]; [`Error::Io`], [`Error::Interrupted`].
pub fn write(
    out: NewFolder,
    hospitals: &[&'static Hospital],
    images: usize,
    side: usize,
    seed: u64,
) -> Result<usize, Error> {
    let (out, folder) = (out.path().to_owned(), out.begin()?);
    let mut all = Vec::new();
    for hospital in hospitals {
        for class in CLASSES {
            let path = folder.path().join(hospital.name).join(class);
            std::fs::create_dir_all(&path).map_err(|e| Error::io(&out, e))?;
        }
        all.extend(specimens(hospital, images)?);
    }
    let progress = Progress::new("phantoms", all.len());
    all.par_iter().try_for_each(|specimen| {
        interrupt::check()?;
        let bytes = png(&draw(specimen, side, seed)?)?;
        let path = specimen.path();
        std::fs::write(folder.path().join(&path), bytes)
            .map_err(|e| Error::io(out.join(&path), e))?;
        progress.step();
        Ok::<(), Error>(())
    })?;
    let mut table = String::from("path,label,group,split\n");
    for specimen in &all {
        let (class, split) = (CLASSES[specimen.label], specimen.split.name());
        table += &format!("{},{class},{},{split}\n", specimen.path(), specimen.group());
    }
    folder.write(MARKER, table.as_bytes())?;
    folder.commit()?;
    Ok(all.len())
}

/// The PNG file of an image.
///
/// # Errors
/// [`Error::Phantom`] where it cannot be encoded.
pub fn png(image: &RgbImage8) -> Result<Vec<u8>, Error> {
    png_file::encode(image.data(), image.width(), image.height(), Compression::Fast)
        .map_err(|e| Error::Phantom { what: format!("a picture cannot be encoded: {e}") })
}

impl Specimen {
    /// The patient's name: unique over all hospitals.
    pub fn group(&self) -> String {
        format!("{}-{:04}", self.hospital.name, self.patient)
    }

    /// The picture's path in a data set.
    pub fn path(&self) -> String {
        format!("{}/{}/{:06}.png", self.hospital.name, CLASSES[self.label], self.image)
    }
}

#[cfg(test)]
mod tests;
