//! The most that an adapter computes: multiply-adds in registers, with no memory in the way.

use std::time::Instant;

use medforge_packer::device::Device;
use medforge_packer::device::gpu::{Call, Gpu, Kernel};

const PEAK: Kernel = Kernel { name: "peak", source: include_str!("peak.wgsl") };
const STEPS: u32 = 4096;
const GROUPS: u32 = 512;

/// GFLOP/s, the best of five.
pub fn measure(gpu: &Gpu) -> Result<f64, Box<dyn std::error::Error>> {
    let out = gpu.zeros((GROUPS * 64) as usize * 4);
    let mut best = 0.0f64;
    for turn in 0..6 {
        let start = Instant::now();
        gpu.engine().run(Call {
            kernel: &PEAK,
            settings: &[],
            params: &[STEPS, 0.999f32.to_bits()],
            buffers: &[&out],
            groups: [GROUPS, 1, 1],
            operations: 0,
        });
        gpu.download(&gpu.zeros(1))?;
        // Eight vec4s, a multiplication and an addition each; the first turn compiles.
        let work = f64::from(STEPS) * f64::from(GROUPS) * 64.0 * 8.0 * 8.0 / 1e9;
        if turn > 0 {
            best = best.max(work / start.elapsed().as_secs_f64());
        }
    }
    Ok(best)
}
