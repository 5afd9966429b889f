//! Pipelines, each compiled once: the first time its kernel is asked for with its settings.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use medforge_shaders::{Kernel, Setting};

use super::call::Call;
use super::pool::lock;

/// A kernel's name and its settings.
type Key = (&'static str, Vec<(&'static str, Setting)>);

/// A compiled kernel.
pub struct Pipeline {
    kernel: &'static Kernel,
    pub pipeline: wgpu::ComputePipeline,
    pub layout: wgpu::BindGroupLayout,
}

/// What was compiled so far.
#[derive(Default)]
pub struct Pipelines(Mutex<HashMap<Key, Arc<Pipeline>>>);

impl Pipelines {
    /// The pipeline of a call, compiled where there is none yet.
    pub fn get(&self, device: &wgpu::Device, call: &Call) -> Arc<Pipeline> {
        let key = (call.kernel.name, call.settings.to_vec());
        let mut pipelines = lock(&self.0);
        pipelines.entry(key).or_insert_with(|| Arc::new(compile(device, call))).clone()
    }

    /// The source of each pipeline, under its kernel and settings. For tests.
    pub fn sources(&self) -> Vec<(String, String)> {
        let named = |((name, settings), p): (&Key, &Arc<Pipeline>)| {
            (format!("{name} {settings:?}"), p.kernel.specialise(settings))
        };
        lock(&self.0).iter().map(named).collect()
    }
}

fn compile(device: &wgpu::Device, call: &Call) -> Pipeline {
    let source = call.kernel.specialise(call.settings);
    let entries = bindings(&source);
    let name = call.kernel.name;
    assert_eq!(entries.len(), call.buffers.len(), "kernel {name} has other bindings");
    let name = Some(name);
    let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
        label: name,
        entries: &entries,
    });
    let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
        label: name,
        source: wgpu::ShaderSource::Wgsl(source.into()),
    });
    let whole = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
        label: name,
        bind_group_layouts: &[Some(&layout)],
        immediate_size: 4 * call.params.len() as u32,
    });
    let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: name,
        layout: Some(&whole),
        module: &module,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            // Every kernel writes its workgroup memory before it reads it.
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    });
    Pipeline { kernel: call.kernel, pipeline, layout }
}

/// The bindings that a kernel's source declares, in order.
fn bindings(source: &str) -> Vec<wgpu::BindGroupLayoutEntry> {
    let declared = source.lines().filter(|line| line.starts_with("@group(0)"));
    let entry = |(i, line): (usize, &str)| wgpu::BindGroupLayoutEntry {
        binding: i as u32,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only: line.contains("<storage, read>") },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    };
    declared.enumerate().map(entry).collect()
}
