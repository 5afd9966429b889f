//! `--device`: where a command computes.

use crate::Error;
use crate::device::adapter::{Adapter, Kind};
use crate::device::choice::{self, Choice};
use crate::device::cpu::Cpu;
#[cfg(feature = "gpu")]
use crate::device::gpu::{Gpu, Options};
#[cfg(feature = "gpu")]
use crate::output;

/// A device that was opened.
pub enum Opened {
    Cpu(Cpu),
    #[cfg(feature = "gpu")]
    Gpu(Gpu),
}

/// Evaluates `$body` with `$device` bound to the opened device, whichever it is.
macro_rules! on_device {
    ($opened:expr, $device:ident => $body:expr) => {
        match &$opened {
            $crate::cli::device::Opened::Cpu($device) => $body,
            #[cfg(feature = "gpu")]
            $crate::cli::device::Opened::Gpu($device) => $body,
        }
    };
}
pub(super) use on_device;

/// The option itself, for every command that computes.
#[derive(clap::Args, Clone, Copy)]
pub struct DeviceArg {
    /// Where to compute: cpu, gpu, gpu:N of `packer devices`, or auto for a GPU if there is one
    #[arg(long, default_value = "auto", value_name = "DEVICE", value_parser = named)]
    pub device: Choice,
}

/// The device of a name.
fn named(text: &str) -> Result<Choice, String> {
    text.parse().map_err(|what: String| format!("{what} (`packer devices` lists the numbers)"))
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
            Some(number) => gpu(number, half),
            None if half => {
                let what = "f16 needs a GPU; pass --device gpu, or leave it at f32".into();
                Err(Error::Option { name: "--precision", what })
            }
            None => Ok(Opened::Cpu(Cpu::new())),
        }
    }
}

/// Opens the adapter of a number, or the best one, and says which it is.
#[cfg(feature = "gpu")]
fn gpu(number: Option<usize>, half: bool) -> Result<Opened, Error> {
    let gpu = Gpu::open(Options { number, half, ..Options::default() })?;
    let adapter = &gpu.engine().adapter;
    output::say(&format!(
        "computing on gpu:{}, {} ({}, {})",
        adapter.index, adapter.name, adapter.kind, adapter.backend
    ));
    Ok(Opened::Gpu(gpu))
}

#[cfg(not(feature = "gpu"))]
fn gpu(_: Option<usize>, _: bool) -> Result<Opened, Error> {
    let what = "names a GPU, and this packer was built without them; use --device cpu".into();
    Err(Error::Option { name: "--device", what })
}

/// The adapter that `auto` takes: a real GPU, never a driver that runs on the processor.
fn best() -> Option<usize> {
    let real = |a: &Adapter| {
        a.unusable.is_none() && matches!(a.kind, Kind::Discrete | Kind::Integrated | Kind::Virtual)
    };
    choice::adapters().into_iter().find(real).map(|a| a.index)
}
