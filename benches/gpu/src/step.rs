//! A whole training step beside its matrix products alone.

use std::time::Instant;

use medforge_packer::base::Vit;
use medforge_packer::device::gpu::{Gpu, Record};
use medforge_packer::train::{Method, Stepper, TrainSettings};

pub struct Measured {
    pub text: String,
    pub json: serde_json::Value,
}

/// The first step (compilation included), then in turns three whole steps and three with each
/// dispatch timed.
pub fn measure(
    gpu: &Gpu,
    vit: &Vit,
    batch: usize,
    size: usize,
) -> Result<Measured, Box<dyn std::error::Error>> {
    let start = Instant::now();
    let mut stepper = Stepper::new(gpu, vit, 2, &settings(batch, size))?;
    let pixels: Vec<f32> = (0..batch * 3 * size * size).map(|i| (i as f32 * 0.37).sin()).collect();
    let labels: Vec<u32> = (0..batch as u32).map(|i| i % 2).collect();
    let mut step = |number| stepper.step(&pixels, &labels, 1e-3, number);
    step(1)?;
    let first = start.elapsed().as_secs_f64();
    let (mut whole, mut products, mut stamped) = (Vec::new(), Vec::new(), Vec::new());
    let mut records: Vec<Record> = Vec::new();
    for turn in 0..3 {
        let start = Instant::now();
        step(2 + 2 * turn)?;
        whole.push(start.elapsed().as_secs_f64());
        gpu.engine().profile();
        step(3 + 2 * turn)?;
        records = gpu.engine().take_profile()?;
        let seconds = |keep: fn(&Record) -> bool| {
            records.iter().filter(|r| keep(r)).filter_map(|r| r.nanoseconds).sum::<f64>() / 1e9
        };
        products.push(seconds(|r| r.kernel == "matmul"));
        stamped.push(seconds(|_| true));
    }
    let [whole, products, stamped] = [whole, products, stamped].map(super::median);
    Ok(measured(batch, size, Seconds { first, whole, products, stamped }, &records))
}

/// LoRA of rank 16 on q and v.
fn settings(batch: usize, size: usize) -> TrainSettings {
    TrainSettings {
        size,
        epochs: 1,
        batch,
        learning_rate: 1e-3,
        weight_decay: 0.01,
        warm_up: 0.1,
        augment: Default::default(),
        seed: 0,
        method: Method::Lora {
            rank: 16,
            alpha: 16.0,
            targets: "q,v".into(),
            last_layers: None,
            dora: false,
            dropout: 0.0,
        },
    }
}

/// Seconds of the first step, and medians of a whole step, its products and all its dispatches.
struct Seconds {
    first: f64,
    whole: f64,
    products: f64,
    stamped: f64,
}

fn measured(batch: usize, size: usize, seconds: Seconds, records: &[Record]) -> Measured {
    let Seconds { first, whole, products, stamped } = seconds;
    let operations: u64 = records.iter().map(|r| r.operations).sum();
    let bytes: u64 = records.iter().map(|r| r.bytes).sum();
    let text = format!(
        "A training step of {batch} images at {size} pixels (LoRA of rank 16 on q and v): \
         {whole:.3} s, of which its {} \
         products {products:.3} s by time stamps: {:.2} x its products ({stamped:.3} s of {} \
         dispatches, {:.1} GFLOP, {:.1} GB \
         moved). From opening the weights to the end of the first step {first:.2} s.\n",
        records.iter().filter(|r| r.kernel == "matmul").count(),
        whole / products,
        records.len(),
        operations as f64 / 1e9,
        bytes as f64 / 1e9,
    );
    let json = serde_json::json!({
        "seconds": whole, "products_seconds": products, "stamped_seconds": stamped,
            "first_step_seconds": first,
        "dispatches": records.len(), "operations": operations, "bytes": bytes,
            "ratio": whole / products,
    });
    Measured { text, json }
}
