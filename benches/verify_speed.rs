//! How fast a bundle is verified, beside SHA-256 alone over the same bytes: both on one thread, in
//! turns.
//!
//!     cargo bench --workspace --bench verify_speed -- --megabytes 350

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use clap::Parser;
use cpu_time::ProcessTime;
use ed25519_dalek::SigningKey;
use medforge_runtime::bundle::{Manifest, Trust, assemble, frame, list, verify};
use sha2::{Digest, Sha256};

#[derive(Parser)]
struct Args {
    /// Size of the bundle, in millions of bytes
    #[arg(long, default_value_t = 350)]
    megabytes: usize,
    #[arg(long, default_value_t = 9)]
    rounds: usize,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args = Args::parse();
    let (bytes, trust) = bundle(args.megabytes * 1_000_000)?;
    let mut taken = [vec![], vec![]];
    for _ in 0..args.rounds {
        taken[0].push(timed(|| Sha256::digest(&bytes)));
        let copy = bytes.clone();
        taken[1].push(timed(|| verify(copy, &trust).expect("the bundle is good")));
    }
    println!("| | seconds (lowest to highest) | CPU seconds | MB/s |\n|---|---|---|---|");
    for (name, times) in ["SHA-256 alone", "verify"].iter().zip(&mut taken) {
        times.sort_unstable();
        let (low, (middle, cpu), high) =
            (times[0].0, times[times.len() / 2], times[times.len() - 1].0);
        let rate = bytes.len() as f64 / 1e6 / middle.as_secs_f64();
        let [low, middle, high, cpu] = [low, middle, high, cpu].map(|t| t.as_secs_f64());
        println!("| {name} | {middle:.3} ({low:.3} to {high:.3}) | {cpu:.3} | {rate:.0} |");
    }
    let middle = |times: &[(Duration, Duration)]| times[times.len() / 2].0.as_secs_f64();
    println!(
        "\nverify runs at {:.2} x the speed of SHA-256 alone",
        middle(&taken[0]) / middle(&taken[1])
    );
    Ok(())
}

/// Wall and processor time of `work`; what it made is given back to the system afterwards.
fn timed<T>(work: impl FnOnce() -> T) -> (Duration, Duration) {
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    let made = black_box(work());
    let taken = (wall.elapsed(), cpu.elapsed());
    drop(made);
    taken
}

/// The corpus's good bundle with so many bytes of weights, signed.
fn bundle(size: usize) -> Result<(Vec<u8>, Trust), Box<dyn std::error::Error>> {
    let good =
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/corpus/good.medforge"))?;
    let entries = frame::parse(&good)?;
    let mut manifest: Manifest = serde_json::from_slice(&good[entries[0].1.clone()])?;
    let mut payload: BTreeMap<String, Vec<u8>> = entries[2..]
        .iter()
        .map(|(name, range)| (name.clone(), good[range.clone()].to_vec()))
        .collect();
    let weights = (0..size).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    payload.insert("base.safetensors".into(), weights);
    manifest.entries = list(&payload);
    let key = SigningKey::from_bytes(&[1; 32]);
    let trust = Trust::new(vec![key.verifying_key()], 1)?;
    Ok((assemble(&manifest, &payload, &[key])?, trust))
}
