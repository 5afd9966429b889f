//! Which GPUs there are, and which one is taken.
//!
//! Refused: a device that does not exist, an adapter that lacks a feature or a limit that the
//! kernels need.

use crate::Error;
use crate::device::adapter::{Adapter, Kind};

/// What the kernels need: name, value.
const NEEDED: [(&str, u64); 5] = [
    ("storage buffers per shader stage", 8),
    ("bytes of workgroup memory", 16 * 1024),
    ("invocations per workgroup", 64),
    ("bytes of immediates", 64),
    ("bytes of a storage binding", 64 << 20),
];

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

/// Every adapter with its description, the best first.
pub(super) fn found() -> Vec<(Adapter, wgpu::Adapter)> {
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
}
