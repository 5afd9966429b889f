//! `--device`: where a command computes.

use crate::Error;
use crate::device::cpu::Cpu;
use crate::device::gpu::adapter::{self, Choice, Kind};
use crate::device::gpu::{Gpu, Options};
use crate::output;

/// A device that was opened.
pub enum Opened {
    Cpu(Cpu),
    Gpu(Gpu),
}

/// Evaluates `$body` with `$device` bound to the opened device, whichever it is.
macro_rules! on_device {
    ($opened:expr, $device:ident => $body:expr) => {
        match &$opened {
            $crate::cli::device::Opened::Cpu($device) => $body,
            $crate::cli::device::Opened::Gpu($device) => $body,
        }
    };
}
pub(super) use on_device;

/// The option itself, for every command that computes.
#[derive(clap::Args, Clone, Copy)]
pub struct DeviceArg {
    /// Where to compute: cpu, gpu, gpu:N of `packer devices`, or auto for a GPU if there is one
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    pub device: Choice,
}

impl DeviceArg {
    /// Opens the device; with `half` frozen weights and activations are f16, which only a GPU can.
    pub fn open(self, half: bool) -> Result<Opened, Error> {
        let number = match self.device {
            Choice::Cpu => None,
            Choice::Gpu(number) => Some(number),
            Choice::Auto => best().map(Some),
        };
        match number {
            Some(number) => {
                let gpu = Gpu::open(Options { number, half, ..Options::default() })?;
                let adapter = &gpu.engine().adapter;
                output::say(&format!(
                    "computing on gpu:{}, {} ({}, {})",
                    adapter.index, adapter.name, adapter.kind, adapter.backend
                ));
                Ok(Opened::Gpu(gpu))
            }
            None if half => {
                let what = "f16 needs a GPU; pass --device gpu, or leave it at f32".into();
                Err(Error::Option { name: "--precision", what })
            }
            None => Ok(Opened::Cpu(Cpu::new())),
        }
    }
}

/// The adapter that `auto` takes: a real GPU, never a driver that runs on the processor.
fn best() -> Option<usize> {
    let real = |a: &adapter::Adapter| {
        a.unusable.is_none() && matches!(a.kind, Kind::Discrete | Kind::Integrated | Kind::Virtual)
    };
    adapter::list().into_iter().find(real).map(|a| a.index)
}
