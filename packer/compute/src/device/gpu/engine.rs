//! The queue of an adapter: dispatches are recorded into one command buffer until somebody wants
//! the result.
//!
//! Nothing here fails at once. The first thing that goes wrong (memory, a reset, a validation
//! error) is kept. From then on nothing is recorded and every read reports it: no number comes out
//! of a broken device.

use std::sync::{Arc, Mutex};

use medforge_shaders::Element;

use crate::Error;
use crate::device::adapter::Adapter;

use super::call::Call;
use super::fault::{Fault, FirstFault};
use super::pipelines::{Pipeline, Pipelines};
use super::pool::{Pool, lock};
use super::profile::{Profile, Record};
use super::tuning::Tuning;

/// A device, its queue and everything made for it.
pub struct Engine {
    pub adapter: Adapter,
    pub tuning: Tuning,
    /// The type of frozen weights and activations.
    pub precision: Element,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    pub(super) fault: FirstFault,
    pipelines: Pipelines,
    pub(super) recorder: Mutex<Recorder>,
    pub(super) pool: Arc<Mutex<Pool>>,
    /// Fresh buffers are full of NaN.
    pub(super) poison: bool,
}

/// The command buffer being filled.
#[derive(Default)]
pub(super) struct Recorder {
    // Before the encoder: a pass must end before its encoder does.
    pub(super) pass: Option<wgpu::ComputePass<'static>>,
    pub(super) encoder: Option<wgpu::CommandEncoder>,
    pub(super) profile: Option<Profile>,
}

impl Engine {
    pub fn open(
        adapter: (Adapter, wgpu::Adapter),
        tuning: Tuning,
        precision: Element,
        budget: Option<u64>,
        poison: bool,
    ) -> Result<Self, Error> {
        let (adapter, raw) = adapter;
        let optional =
            wgpu::Features::SUBGROUP | wgpu::Features::SHADER_F16 | wgpu::Features::TIMESTAMP_QUERY;
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("medforge"),
            required_features: wgpu::Features::IMMEDIATES | (raw.features() & optional),
            required_limits: raw.limits(),
            ..Default::default()
        };
        let unusable = |e: wgpu::RequestDeviceError| Error::AdapterUnusable {
            adapter: adapter.name.clone(),
            what: format!("it gives no device: {e}"),
        };
        let (device, queue) =
            pollster::block_on(raw.request_device(&descriptor)).map_err(unusable)?;
        let fault = FirstFault::default();
        fault.watch(&device);
        Ok(Engine {
            pool: Arc::new(Mutex::new(Pool::new(budget))),
            adapter,
            tuning,
            precision,
            device,
            queue,
            fault,
            pipelines: Pipelines::default(),
            recorder: Mutex::default(),
            poison,
        })
    }

    /// Records a dispatch.
    pub fn run(&self, call: Call) {
        if self.fault.any() || call.groups.contains(&0) {
            return;
        }
        let buffers: Option<Vec<&wgpu::Buffer>> =
            call.buffers.iter().map(|b| b.buffer.as_ref()).collect();
        let Some(buffers) = buffers else {
            // Its result would be whatever memory holds: never to be read.
            self.fault.note(Fault::Lost("a buffer could not be made or filled".into()));
            return;
        };
        let pipeline = self.pipelines.get(&self.device, &call);
        let entries: Vec<_> = buffers
            .iter()
            .enumerate()
            .map(|(i, b)| wgpu::BindGroupEntry {
                binding: i as u32,
                resource: b.as_entire_binding(),
            })
            .collect();
        let bindings = self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.layout,
            entries: &entries,
        });
        let mut recorder = lock(&self.recorder);
        let Recorder { pass, encoder, profile } = &mut *recorder;
        let encoder =
            encoder.get_or_insert_with(|| self.device.create_command_encoder(&Default::default()));
        if let Some(profile) = profile {
            // A pass for each dispatch: time stamps stand at a pass's ends.
            *pass = None;
            let record = Record::new(&call);
            let mut own = encoder.begin_compute_pass(&profile.pass(record));
            dispatch(&mut own, &pipeline, &bindings, &call);
        } else {
            let pass = pass.get_or_insert_with(|| {
                encoder.begin_compute_pass(&Default::default()).forget_lifetime()
            });
            dispatch(pass, &pipeline, &bindings, &call);
        }
    }

    /// Hands what is recorded to the driver.
    pub fn submit(&self) {
        let mut recorder = lock(&self.recorder);
        recorder.pass = None;
        if let Some(encoder) = recorder.encoder.take() {
            self.queue.submit([encoder.finish()]);
        }
        drop(recorder);
        lock(&self.pool).age();
        let _ = self.device.poll(wgpu::PollType::Poll);
    }

    /// Pipelines compiled so far, and the source of each. For tests.
    pub fn sources(&self) -> Vec<(String, String)> {
        self.pipelines.sources()
    }

    /// Takes the device away, as a driver that resets does. For tests.
    pub fn destroy(&self) {
        self.device.destroy();
    }
}

fn dispatch(
    pass: &mut wgpu::ComputePass,
    pipeline: &Pipeline,
    bindings: &wgpu::BindGroup,
    call: &Call,
) {
    pass.set_pipeline(&pipeline.pipeline);
    pass.set_bind_group(0, bindings, &[]);
    if !call.params.is_empty() {
        pass.set_immediates(0, bytemuck::cast_slice(call.params));
    }
    let [x, y, z] = call.groups;
    pass.dispatch_workgroups(x, y, z);
}
