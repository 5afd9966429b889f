//! `packer devices`: the GPUs that `--device` can name.

use crate::device::adapter::Adapter;
use crate::device::choice;
use crate::{Error, output};

/// List the GPUs of this machine, the best first, with what they can do
#[derive(clap::Args)]
#[command(after_help = "Example:\n  packer devices\n\n\
    --device gpu:N takes the GPU of number N, gpu the first, auto the first that is not a software \
    driver, else the\n\
    processor. Nothing listed? Install the GPU's driver (Vulkan on Linux, DX12 or Vulkan on \
    Windows, Metal on macOS).")]
pub struct Args {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub fn run(args: Args) -> Result<(), Error> {
    let adapters = choice::adapters();
    if args.json {
        let json =
            serde_json::to_string_pretty(&adapters).expect("a list of adapters is plain data");
        return output::print(&format!("{json}\n"));
    }
    let mut text = String::from("cpu     the processor\n");
    text.extend(adapters.iter().map(describe));
    output::print(&text)
}

fn describe(a: &Adapter) -> String {
    let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
    let memory = a.memory.map_or("unknown".into(), |bytes| format!("{:.1} GiB", gib(bytes)));
    let has = [("f16", a.shader_f16), ("subgroups", a.subgroups), ("time stamps", a.timestamps)];
    let features: Vec<&str> = has.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
    let features = if features.is_empty() { "none".to_owned() } else { features.join(", ") };
    let unusable = a
        .unusable
        .as_ref()
        .map_or(String::new(), |what| format!("        cannot be used: {what}\n"));
    format!(
        "gpu:{:<3} {} ({}, {}, {})\n        memory {memory}, largest buffer {:.1} GiB, largest \
         binding {:.2} GiB, \
         workgroup memory {} KiB, subgroups of {} to {}\n        features: {features}\n{unusable}",
        a.index,
        a.name,
        a.kind,
        a.backend,
        a.driver,
        gib(a.largest_buffer),
        gib(a.largest_binding),
        a.workgroup_memory / 1024,
        a.subgroup[0],
        a.subgroup[1],
    )
}
