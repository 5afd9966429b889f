//! The gpu device's products beside burn's wgpu back end, and a training step beside its products
//! alone; one adapter, one run, in turns. Prints a table in Markdown, or JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use burn::tensor::backend::Backend;
use burn::tensor::{Tensor, TensorData};
use clap::Parser;
use cpu_time::ProcessTime;
use medforge_packer::base::Vit;
use medforge_packer::device::gpu::{Gpu, Options};
use medforge_packer::device::{Device, Form, Size};

mod peak;
mod step;

type Peer = burn::backend::Wgpu;

/// Compare the gpu device with burn's wgpu back end
#[derive(Parser)]
struct Args {
    /// The adapter, as `packer devices` numbers it; burn takes its default one
    #[arg(long, default_value_t = 0)]
    adapter: usize,
    /// Turns for each product
    #[arg(long, default_value_t = 5)]
    turns: usize,
    /// A base for the training step, such as ViT-S/14
    #[arg(long)]
    base: Option<PathBuf>,
    /// Images in the training step
    #[arg(long, default_value_t = 32)]
    batch: usize,
    /// Side of the images in pixels
    #[arg(long, default_value_t = 112)]
    size: usize,
    #[arg(long)]
    json: bool,
}

/// Rows of a batch of eight images of 197 tokens, with the layers of ViT-B and of the attention of
/// ViT-Ti.
const ROWS: usize = 1576;
const LAYERS: [(usize, usize); 4] = [(576, 192), (768, 768), (3072, 768), (768, 3072)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let gpu = Gpu::open(Options { number: Some(args.adapter), ..Options::default() })?;
    let adapter = &gpu.engine().adapter;
    let peak = peak::measure(&gpu)?;
    let mut report =
        BTreeMap::from([("adapter", serde_json::json!(adapter)), ("peak_gflops", peak.into())]);
    let mut text = format!(
        "{} ({}, {}); {peak:.1} GFLOP/s measured with multiply-adds in registers\n\n\
         | product | ours, GFLOP/s | of the peak | ours, per CPU-second | burn, GFLOP/s | burn, \
         per CPU-second | ratio per CPU-second (lowest, highest) |\n\
         |---|---|---|---|---|---|---|\n",
        adapter.name, adapter.backend, adapter.driver
    );
    let mut rows = Vec::new();
    for (n, k) in LAYERS {
        for form in [Form::Nn, Form::Nt] {
            eprintln!("{form:?} {ROWS} x {n} x {k}");
            let row = product(&gpu, form, Size { m: ROWS, n, k }, args.turns)?;
            text += &format!(
                "| {form:?} {ROWS} x {n} x {k} | {:.1} | {:.0} % | {:.1} | {:.1} | {:.1} | {:.2} \
                 ({:.2}, {:.2}) |\n",
                row["ours"],
                100.0 * row["ours"] / peak,
                row["ours_cpu"],
                row["burn"],
                row["burn_cpu"],
                row["ratio"],
                row["ratio_low"],
                row["ratio_high"]
            );
            rows.push(
                serde_json::json!({ "form": format!("{form:?}"), "n": n, "k": k, "values": row }),
            );
        }
    }
    report.insert("products", rows.into());
    if let Some(base) = &args.base {
        let step = step::measure(&gpu, &Vit::open(base)?, args.batch, args.size)?;
        text += &format!("\n{}", step.text);
        report.insert("step", step.json);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?)
    } else {
        print!("{text}")
    }
    Ok(())
}

/// GFLOP per second of wall time and of processor time, ours and burn's, in turns: medians, and the
/// range of the ratio.
fn product(
    gpu: &Gpu,
    form: Form,
    size: Size,
    turns: usize,
) -> Result<BTreeMap<&'static str, f64>, Box<dyn std::error::Error>> {
    let Size { m, n, k } = size;
    let numbers = |len: usize| {
        (0..len).map(|i| ((i * 7919) % 1013) as f32 / 1013.0 - 0.5).collect::<Vec<f32>>()
    };
    let (a, b) = (numbers(m * k), numbers(n * k));
    let (ours_a, ours_b) = (gpu.upload(&a), gpu.upload(&b));
    let device = Default::default();
    let stored = if form == Form::Nt { [n, k] } else { [k, n] };
    let burn_a = Tensor::<Peer, 2>::from_data(TensorData::new(a, [m, k]), &device);
    let burn_b = Tensor::<Peer, 2>::from_data(TensorData::new(b, stored), &device);
    let ours = || gpu.matmul(form, size, 1.0, &ours_a, &ours_b);
    let burns = || match form {
        Form::Nt => burn_a.clone().matmul(burn_b.clone().transpose()),
        _ => burn_a.clone().matmul(burn_b.clone()),
    };
    // The same values, and pipelines compiled and tuned before anything is timed.
    let values = gpu.download(&ours())?;
    let peer = burns().into_data().to_vec::<f32>().map_err(|e| format!("{e:?}"))?;
    let apart = values.iter().zip(&peer).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(apart < 1e-3 * k as f32, "ours and burn's differ by {apart}");
    for _ in 0..2 {
        drop(burns());
    }
    Peer::sync(&device).map_err(|e| format!("{e:?}"))?;
    let work = 2.0 * (m * n * k) as f64 / 1e9;
    let repeats = (20.0 / work).ceil() as usize;
    let mut rates: [Vec<f64>; 4] = Default::default();
    for _ in 0..turns {
        let ours = timed(|| {
            for _ in 0..repeats {
                ours();
            }
            gpu.submit();
            gpu.download(&gpu.zeros(1)).map(drop).map_err(|e| e.to_string())
        })?;
        let burns = timed(|| {
            for _ in 0..repeats {
                drop(burns());
            }
            Peer::sync(&device).map_err(|e| format!("{e:?}"))
        })?;
        for (list, seconds) in rates.iter_mut().zip([ours.0, ours.1, burns.0, burns.1]) {
            list.push(work * repeats as f64 / seconds);
        }
    }
    Ok(summary(rates))
}

/// The row of a product: the medians of each rate, and of the ratio per CPU-second with its range.
fn summary(rates: [Vec<f64>; 4]) -> BTreeMap<&'static str, f64> {
    let ratios: Vec<f64> = rates[1].iter().zip(&rates[3]).map(|(ours, burn)| ours / burn).collect();
    let fold = |f: fn(f64, f64) -> f64| ratios.iter().copied().reduce(f).unwrap_or(f64::NAN);
    let (low, high) = (fold(f64::min), fold(f64::max));
    let [wall, cpu, peer_wall, peer_cpu] = rates.map(median);
    BTreeMap::from([
        ("ours", wall),
        ("ours_cpu", cpu),
        ("burn", peer_wall),
        ("burn_cpu", peer_cpu),
        ("ratio", median(ratios)),
        ("ratio_low", low),
        ("ratio_high", high),
    ])
}

/// Seconds of wall time and of processor time.
fn timed(work: impl FnOnce() -> Result<(), String>) -> Result<(f64, f64), String> {
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    work()?;
    Ok((wall.elapsed().as_secs_f64(), cpu.elapsed().as_secs_f64()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
