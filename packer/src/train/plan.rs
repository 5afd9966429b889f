//! What a training will take, known before it begins. A step is run on a [`Meter`], which counts
//! its bytes; a batch is cut so that they stay within a bound.
//!
//! Refused: a bound that even one image at a time, with recomputed blocks, does not meet.

use serde::Serialize;

use crate::Error;
use crate::base::Vit;
use crate::device::Device;
use crate::device::meter::Meter;
use crate::tape::{Tape, Tensor as Matrix, Var};

use super::cut::Cut;
use super::fits::per_pass;
use super::settings::TrainSettings;
use super::step::Training;

/// How many images a training reads.
#[derive(Clone, Copy, Debug)]
pub struct ImageCounts {
    pub classes: usize,
    pub training: usize,
    pub validation: usize,
}

/// Bytes that a training takes, on the host and on the device, by what for. A GPU's driver is not
/// counted.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// The base as it was read, the base on the device unless they share their memory, and what is
    /// trained.
    pub weights: u64,
    /// AdamW's two moments of each trained weight.
    pub optimiser: u64,
    /// Activations and gradients of one pass, and buffers kept for the next.
    pub activations: u64,
    /// Pixels of all images in bytes, and of a batch as numbers.
    pub images: u64,
    /// Copies of the trained weights and moments while a checkpoint is written.
    pub checkpoint: u64,
    /// The program itself, its threads and their scratch.
    pub program: u64,
}

/// How a training will go through the device, and what it takes.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Plan {
    pub cut: Cut,
    pub memory: Memory,
}

impl Memory {
    /// All bytes together.
    pub fn total(&self) -> u64 {
        self.weights
            + self.optimiser
            + self.activations
            + self.images
            + self.checkpoint
            + self.program
    }
}

impl Plan {
    /// The fastest cut that keeps the process within `bound` bytes, to which the device is then
    /// held; the whole batch at once where there is no bound.
    ///
    /// # Errors
    /// [`Error::Memory`]: the least bound that would do is above this one.
    pub fn new<D: Device>(
        device: &D,
        vit: &Vit,
        settings: &TrainSettings,
        counts: ImageCounts,
        bound: Option<u64>,
    ) -> Result<Plan, Error> {
        let meter = Meter::new(device);
        let mut training = Training::new(&meter, vit, counts.classes, None, settings)?;
        let trained = 4 * training.parameters.lengths().map(|(_, len)| len as u64).sum::<u64>();
        let base = base_bytes(vit);
        let begun = meter.held().0;
        // Weights and two moments on the host, in the making of the file and in the file's bytes.
        // With a validation part the best epoch's weights too, which also stay.
        let copies = if counts.validation > 0 { 13 } else { 9 };
        let pixels = 3 * (settings.size * settings.size) as u64;
        let memory = Memory {
            weights: base + begun - 2 * trained,
            optimiser: 2 * trained,
            activations: 0,
            images: pixels * (counts.training + counts.validation + 4 * settings.batch) as u64,
            checkpoint: copies * trained,
            program: program(),
        };
        let percent = 100 + device.overhead();
        let mut with = |cut: Cut, activations: u64| {
            let cut = cut.on(device, vit, settings);
            meter.bound(begun + activations / percent * 100);
            training.cut(cut);
            measure(&mut training, settings, counts);
            let counted = meter.held().1 - begun;
            Plan {
                cut,
                memory: Memory { activations: (counted * percent).div_ceil(100), ..memory },
            }
        };
        let Some(bound) = bound else {
            let per_pass = per_pass(device, &vit.config, settings);
            return Ok(with(Cut { per_pass, recompute: false }, u64::MAX / 200));
        };
        let least = with(Cut { per_pass: 1, recompute: true }, 0)
            .memory
            .total()
            .max(base + reading(vit) + program());
        if least > bound {
            return Err(Error::Memory { bound, least });
        }
        let left = bound - memory.total();
        let mut candidates = Cut::candidates(settings.batch).map(|cut| with(cut, left));
        let plan = candidates.find(|plan| plan.memory.total() <= bound);
        device.bound(left + begun);
        Ok(plan.unwrap_or_else(|| with(Cut { per_pass: 1, recompute: true }, 0)))
    }
}

/// What the program, its threads and their scratch take beside everything that is counted. On two
/// threads 25 to 29 MiB were measured; the rest is room to spare.
fn program() -> u64 {
    (32 + 8 * rayon::current_num_threads() as u64) << 20
}

/// Bytes of the base's weights on the host.
pub(super) fn base_bytes(vit: &Vit) -> u64 {
    vit.tensors.values().map(|t| t.values.bytes()).sum()
}

/// Bytes that the largest tensor takes beside while it is read: in the file's type and in f32, and
/// once more where it is cut into three.
fn reading(vit: &Vit) -> u64 {
    36 * vit.tensors.values().map(|t| t.values.len() as u64).max().unwrap_or(0)
}

/// A step on a full batch, one on what is left at an epoch's end, and a validation.
pub(super) fn measure<D: Device + 'static>(
    training: &mut Training<D>,
    settings: &TrainSettings,
    counts: ImageCounts,
) {
    let each = 3 * settings.size * settings.size;
    let batch = settings.batch.min(counts.training).max(1);
    for images in [batch, counts.training % settings.batch] {
        // Passes repeat themselves: two and the rest show all that there is.
        let shown = images.min(2 * training.per_pass + images % training.per_pass);
        if shown > 0 {
            training.step(&vec![0.0; shown * each], &vec![0; shown], 1e-3, 1);
        }
    }
    for images in [counts.validation.min(training.at_once), counts.validation % training.at_once] {
        if images > 0 {
            let input = Matrix::frozen(training.device, &vec![0.0; images * each], images, each);
            let vars = training.parameters.constants();
            let sites = training.parameters.low_rank(&vars);
            training.logits(&Tape::new(training.device), &vars, &sites, &Var::constant(input));
        }
    }
}
