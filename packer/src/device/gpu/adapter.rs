//! Which GPUs there are, and which one is taken.
//!
//! Refused: a device that does not exist, an adapter that lacks a feature or a limit that the
//! kernels need.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::Error;

/// Where packer computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// A discrete GPU, else an integrated one, else the processor. Never a software driver.
    Auto,
    Cpu,
    /// The adapter of this number in `packer devices`; without one the best, software drivers last.
    Gpu(Option<usize>),
}

/// How an adapter computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Discrete,
    Integrated,
    Virtual,
    Other,
    /// A driver that runs on the processor: for tests.
    Software,
}

/// An adapter, as `packer devices` lists it.
#[derive(Clone, Debug, Serialize)]
pub struct Adapter {
    /// N in `--device gpu:N`.
    pub index: usize,
    pub name: String,
    pub kind: Kind,
    pub backend: String,
    pub driver: String,
    /// Bytes of memory of its own, where the driver tells.
    pub memory: Option<u64>,
    pub largest_buffer: u64,
    pub largest_binding: u64,
    pub workgroup_memory: u32,
    pub workgroups_per_dimension: u32,
    pub subgroup: [u32; 2],
    pub shader_f16: bool,
    pub subgroups: bool,
    pub timestamps: bool,
    /// Why packer cannot use it, if it cannot.
    pub unusable: Option<String>,
}

/// What the kernels need: name, value.
const NEEDED: [(&str, u64); 5] = [
    ("storage buffers per shader stage", 8),
    ("bytes of workgroup memory", 16 * 1024),
    ("invocations per workgroup", 64),
    ("bytes of immediates", 64),
    ("bytes of a storage binding", 64 << 20),
];

/// Every adapter, the best first.
pub fn list() -> Vec<Adapter> {
    found().into_iter().map(|(description, _)| description).collect()
}

/// The adapter of a number, or the best one.
pub(super) fn choose(number: Option<usize>) -> Result<(Adapter, wgpu::Adapter), Error> {
    let mut found = found();
    let names = if found.is_empty() {
        "no GPU was found".to_owned()
    } else {
        let named = |(a, _): &(Adapter, wgpu::Adapter)| format!("gpu:{} is {}", a.index, a.name);
        found.iter().map(named).collect::<Vec<_>>().join(", ")
    };
    let index = number.unwrap_or(0);
    if index >= found.len() {
        return Err(Error::NoAdapter {
            wanted: number.map_or("gpu".into(), |n| format!("gpu:{n}")),
            found: names,
        });
    }
    let (description, adapter) = found.swap_remove(index);
    match &description.unusable {
        Some(what) => Err(Error::AdapterUnusable { adapter: description.name, what: what.clone() }),
        None => Ok((description, adapter)),
    }
}

fn found() -> Vec<(Adapter, wgpu::Adapter)> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
    descriptor.memory_budget_thresholds.for_resource_creation = Some(95);
    let backends = descriptor.backends;
    let instance = wgpu::Instance::new(descriptor);
    let adapters = pollster::block_on(instance.enumerate_adapters(backends));
    let mut found: Vec<_> =
        adapters.into_iter().map(|adapter| (describe(&adapter), adapter)).collect();
    // Stable: among equals the system's order stays. A usable adapter goes before one that is not.
    found.sort_by_key(|(a, _)| (a.unusable.is_some(), a.kind));
    for (index, (adapter, _)) in found.iter_mut().enumerate() {
        adapter.index = index;
    }
    found
}

fn describe(adapter: &wgpu::Adapter) -> Adapter {
    let (info, limits, features) = (adapter.get_info(), adapter.limits(), adapter.features());
    let lacks = lacks(&limits, features);
    Adapter {
        index: 0,
        name: info.name,
        kind: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => Kind::Discrete,
            wgpu::DeviceType::IntegratedGpu => Kind::Integrated,
            wgpu::DeviceType::VirtualGpu => Kind::Virtual,
            wgpu::DeviceType::Other => Kind::Other,
            wgpu::DeviceType::Cpu => Kind::Software,
        },
        backend: info.backend.to_str().to_owned(),
        driver: [info.driver, info.driver_info].join(" ").trim().to_owned(),
        memory: super::memory::total(adapter),
        largest_buffer: limits.max_buffer_size,
        largest_binding: limits.max_storage_buffer_binding_size,
        workgroup_memory: limits.max_compute_workgroup_storage_size,
        workgroups_per_dimension: limits.max_compute_workgroups_per_dimension,
        subgroup: [info.subgroup_min_size, info.subgroup_max_size],
        shader_f16: features.contains(wgpu::Features::SHADER_F16),
        subgroups: features.contains(wgpu::Features::SUBGROUP),
        timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        unusable: (!lacks.is_empty()).then(|| lacks.join(", ")),
    }
}

/// What the kernels need and an adapter does not have.
fn lacks(limits: &wgpu::Limits, features: wgpu::Features) -> Vec<String> {
    let has = [
        u64::from(limits.max_storage_buffers_per_shader_stage),
        u64::from(limits.max_compute_workgroup_storage_size),
        u64::from(limits.max_compute_invocations_per_workgroup),
        u64::from(limits.max_immediate_size),
        limits.max_storage_buffer_binding_size,
    ];
    let mut lacks: Vec<String> = NEEDED
        .iter()
        .zip(has)
        .filter(|((_, needed), has)| has < needed)
        .map(|((name, needed), has)| format!("{has} {name} where {needed} are needed"))
        .collect();
    if !features.contains(wgpu::Features::IMMEDIATES) {
        lacks.push("no immediates".into());
    }
    lacks
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Choice::Auto),
            None if text == "cpu" => Ok(Choice::Cpu),
            None if text == "gpu" => Ok(Choice::Gpu(None)),
            Some(("gpu", number)) if number.bytes().all(|b| b.is_ascii_digit()) => match number
                .parse()
            {
                Ok(number) => Ok(Choice::Gpu(Some(number))),
                Err(_) => {
                    Err("give the adapter's number after gpu:, as `packer devices` lists it".into())
                }
            },
            _ => Err("use cpu, gpu, gpu:N (see `packer devices`) or auto".into()),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Choice::Auto => f.write_str("auto"),
            Choice::Cpu => f.write_str("cpu"),
            Choice::Gpu(None) => f.write_str("gpu"),
            Choice::Gpu(Some(n)) => write!(f, "gpu:{n}"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Kind::Discrete => "discrete",
            Kind::Integrated => "integrated",
            Kind::Virtual => "virtual",
            Kind::Other => "other",
            Kind::Software => "software",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_adapter_lacks_is_named() {
        let enough = wgpu::Limits { max_immediate_size: 64, ..wgpu::Limits::defaults() };
        assert_eq!(lacks(&enough, wgpu::Features::IMMEDIATES), Vec::<String>::new());
        assert_eq!(lacks(&enough, wgpu::Features::empty()), ["no immediates"]);
        let small = wgpu::Limits { max_compute_workgroup_storage_size: 4096, ..enough };
        let lacks = lacks(&small, wgpu::Features::IMMEDIATES);
        assert_eq!(lacks, ["4096 bytes of workgroup memory where 16384 are needed"]);
    }

    #[test]
    fn device_names() {
        assert_eq!("auto".parse(), Ok(Choice::Auto));
        assert_eq!("cpu".parse(), Ok(Choice::Cpu));
        assert_eq!("gpu".parse(), Ok(Choice::Gpu(None)));
        assert_eq!("gpu:3".parse(), Ok(Choice::Gpu(Some(3))));
        for wrong in
            ["", "cuda", "gpu:", "gpu:-1", "gpu:1x", "gpu:99999999999999999999", "cpu:0", "GPU"]
        {
            assert!(wrong.parse::<Choice>().is_err(), "{wrong}");
        }
        for choice in [Choice::Auto, Choice::Cpu, Choice::Gpu(None), Choice::Gpu(Some(2))] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
    }
}
