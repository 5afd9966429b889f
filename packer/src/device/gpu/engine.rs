//! The queue of an adapter: buffers from a pool, pipelines compiled once, dispatches recorded into
//! one command buffer until somebody wants the result.
//!
//! Nothing here fails at once. The first thing that goes wrong (memory, a reset, a validation
//! error) is kept; from then on nothing is recorded any more and every read reports it, so that no
//! number can come out of a broken device.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use medforge_shaders::{ADD_SCALED, CONVERT, Element, FILL, Kernel, Setting, Settings};

use crate::Error;

use super::adapter::Adapter;
use super::pool::{Chunk, Pool};
use super::profile::{Profile, Record};
use super::tuning::Tuning;

/// One use of a kernel.
pub struct Call<'a> {
    pub kernel: &'static Kernel,
    pub settings: Settings<'a>,
    /// Values of the kernel's parameters; floats by their bits.
    pub params: &'a [u32],
    /// In the order of the bindings.
    pub buffers: &'a [&'a Chunk],
    pub groups: [u32; 3],
    /// Floating-point operations, for the profile.
    pub operations: u64,
}

/// A device, its queue and everything made for it.
pub struct Engine {
    pub adapter: Adapter,
    pub tuning: Tuning,
    /// The type of frozen weights and activations.
    pub precision: Element,
    device: wgpu::Device,
    queue: wgpu::Queue,
    fault: Arc<Mutex<Option<Fault>>>,
    pipelines: Mutex<HashMap<Key, Arc<Pipeline>>>,
    recorder: Mutex<Recorder>,
    pub(super) pool: Mutex<Pool>,
    poison: bool,
}

/// What broke the device.
#[derive(Clone, Debug)]
enum Fault {
    /// Bytes held when there was no more, and bytes asked for.
    Memory {
        held: u64,
        wanted: u64,
    },
    Lost(String),
    Invalid(String),
}

type Key = (&'static str, Vec<(&'static str, Setting)>);

struct Pipeline {
    pipeline: wgpu::ComputePipeline,
    layout: wgpu::BindGroupLayout,
    #[cfg(test)]
    source: String,
}

/// The command buffer being filled.
#[derive(Default)]
struct Recorder {
    // Before the encoder: a pass must end before its encoder does.
    pass: Option<wgpu::ComputePass<'static>>,
    encoder: Option<wgpu::CommandEncoder>,
    profile: Option<Profile>,
}

impl Engine {
    pub fn open(
        adapter: (Adapter, wgpu::Adapter),
        tuning: Tuning,
        precision: Element,
        budget: Option<u64>,
        poison: bool,
    ) -> Result<Arc<Self>, Error> {
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
        let fault = Arc::new(Mutex::new(None));
        let slot = fault.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            let what = match error {
                wgpu::Error::OutOfMemory { .. } => Fault::Memory { held: 0, wanted: 0 },
                other => Fault::Invalid(one_line(&other.to_string())),
            };
            lock(&slot).get_or_insert(what);
        }));
        let slot = fault.clone();
        device.set_device_lost_callback(move |reason, what| {
            // Dropping the device is reported as well; nobody is left to read it then.
            lock(&slot).get_or_insert(Fault::Lost(format!("{reason:?}: {}", one_line(&what))));
        });
        Ok(Arc::new(Engine {
            pool: Mutex::new(Pool::new(budget)),
            adapter,
            tuning,
            precision,
            device,
            queue,
            fault,
            pipelines: Mutex::default(),
            recorder: Mutex::default(),
            poison,
        }))
    }

    /// A buffer for `len` values of no particular content (NaN when poisoned).
    pub fn allocate(self: &Arc<Self>, len: usize, element: Element) -> Arc<Chunk> {
        let chunk = self.bare(len, element);
        if self.poison {
            self.fill(&chunk, f32::NAN);
        }
        chunk
    }

    /// A buffer that holds `bytes`, which are values of `element` or, for indices, of four bytes
    /// each.
    pub fn upload(self: &Arc<Self>, bytes: &[u8], len: usize, element: Element) -> Arc<Chunk> {
        // Never from the pool: the bytes are there before anything recorded so far has run.
        let size = padded(bytes.len() as u64);
        let buffer =
            self.create(size, wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC, true);
        let buffer = buffer.filter(|buffer| match buffer.get_mapped_range_mut(..) {
            Ok(mut view) => {
                view.slice(..bytes.len()).copy_from_slice(bytes);
                true
            }
            Err(_) => false,
        });
        if let Some(buffer) = &buffer {
            buffer.unmap();
        }
        Arc::new(Chunk::new(self.clone(), buffer, len, element, size, false))
    }

    pub fn fill(&self, chunk: &Chunk, value: f32) {
        let quads = chunk.quads();
        self.run(Call {
            kernel: &FILL,
            settings: &[("y", chunk.element.into())],
            params: &[quads, value.to_bits()],
            buffers: &[chunk],
            groups: self.over(quads as usize),
            operations: 0,
        });
    }

    /// `x` in another type, or a copy of it.
    pub fn convert(self: &Arc<Self>, x: &Chunk, element: Element) -> Arc<Chunk> {
        let y = self.allocate(x.len, element);
        let quads = x.quads().min(y.quads());
        self.run(Call {
            kernel: &CONVERT,
            settings: &[("x", x.element.into()), ("y", element.into())],
            params: &[quads],
            buffers: &[x, &y],
            groups: self.over(quads as usize),
            operations: 0,
        });
        y
    }

    /// into += alpha * x.
    pub fn add_scaled(&self, into: &Chunk, alpha: f32, x: &Chunk) {
        assert_eq!(into.len, x.len);
        let quads = x.quads().min(into.quads());
        self.run(Call {
            kernel: &ADD_SCALED,
            settings: &[("x", x.element.into()), ("y", into.element.into())],
            params: &[quads, alpha.to_bits()],
            buffers: &[x, into],
            groups: self.over(quads as usize),
            operations: 2 * x.len as u64,
        });
    }

    /// The groups of 64 invocations that go over a list of `count`.
    pub fn over(&self, count: usize) -> [u32; 3] {
        self.spread(count.div_ceil(64))
    }

    /// `groups` groups in a line, folded where a dimension is too short for them.
    pub fn spread(&self, groups: usize) -> [u32; 3] {
        let most = self.adapter.workgroups_per_dimension as usize;
        let lines = groups.div_ceil(most).max(1);
        [groups.div_ceil(lines) as u32, lines as u32, 1]
    }

    /// Records a dispatch.
    pub fn run(&self, call: Call) {
        if lock(&self.fault).is_some() || call.groups.contains(&0) {
            return;
        }
        let buffers: Option<Vec<&wgpu::Buffer>> =
            call.buffers.iter().map(|b| b.buffer.as_ref()).collect();
        let Some(buffers) = buffers else {
            // Its result would be whatever memory holds: never to be read.
            lock(&self.fault)
                .get_or_insert(Fault::Lost("a buffer could not be made or filled".into()));
            return;
        };
        let pipeline = self.pipeline(&call);
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

    /// The bytes of `chunk`, once everything recorded so far has run.
    pub fn read(&self, chunk: &Chunk) -> Result<Vec<u8>, Error> {
        let size = padded((chunk.len * chunk.element.size()) as u64);
        let target =
            self.create(size, wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ, false);
        self.check()?;
        let (Some(source), Some(target)) = (&chunk.buffer, target) else {
            return Err(Error::GpuLost { what: "a buffer is gone".into() });
        };
        let mut recorder = lock(&self.recorder);
        recorder.pass = None;
        let encoder = recorder
            .encoder
            .get_or_insert_with(|| self.device.create_command_encoder(&Default::default()));
        encoder.copy_buffer_to_buffer(source, 0, &target, 0, size);
        drop(recorder);
        self.submit();
        let (send, receive) = std::sync::mpsc::channel();
        target.map_async(wgpu::MapMode::Read, .., move |result| {
            let _ = send.send(result);
        });
        let waited =
            self.device.poll(wgpu::PollType::Wait { submission_index: None, timeout: None });
        self.check()?;
        let lost = |what: String| Error::GpuLost { what };
        waited.map_err(|e| lost(e.to_string()))?;
        // The wait above makes the driver's answer due; another thread that waits may be the one to
        // pass it on.
        let answer = receive.recv_timeout(std::time::Duration::from_secs(60));
        self.check()?;
        answer.map_err(|e| lost(e.to_string()))?.map_err(|e| lost(e.to_string()))?;
        let view = target.get_mapped_range(..).map_err(|e| lost(e.to_string()))?;
        lock(&self.pool).held -= size;
        Ok(view[..chunk.len * chunk.element.size()].to_vec())
    }

    /// Begins to count and time every dispatch.
    pub fn profile(&self) {
        self.submit();
        let timed = self.adapter.timestamps.then_some((&self.device, &self.queue));
        lock(&self.recorder).profile = Some(Profile::new(timed));
    }

    /// What was counted since [`Engine::profile`], once it has run.
    pub fn take_profile(self: &Arc<Self>) -> Result<Vec<Record>, Error> {
        let mut recorder = lock(&self.recorder);
        recorder.pass = None;
        let Some(profile) = recorder.profile.take() else { return Ok(Vec::new()) };
        let encoder = recorder
            .encoder
            .get_or_insert_with(|| self.device.create_command_encoder(&Default::default()));
        let resolved = profile.resolve(encoder);
        drop(recorder);
        match resolved {
            Some(buffer) => {
                let size = buffer.size();
                lock(&self.pool).held += size;
                let chunk = Chunk::new(
                    self.clone(),
                    Some(buffer),
                    size as usize / 4,
                    Element::F32,
                    size,
                    false,
                );
                let bytes = self.read(&chunk)?;
                Ok(profile.records(Some((&bytes, self.queue.get_timestamp_period()))))
            }
            None => {
                self.submit();
                Ok(profile.records(None))
            }
        }
    }

    /// Bytes held now and at most so far.
    pub fn memory(&self) -> (u64, u64) {
        let pool = lock(&self.pool);
        (pool.held, pool.peak)
    }

    /// Lowers the budget.
    pub fn bound(&self, bytes: u64) {
        lock(&self.pool).bound(bytes);
    }

    /// Bytes of the budget, if there is one, that nothing uses.
    pub fn memory_left(&self) -> Option<u64> {
        lock(&self.pool).left()
    }

    /// Pipelines compiled so far, and the source of each.
    #[cfg(test)]
    pub fn sources(&self) -> Vec<(String, String)> {
        let named = |((name, settings), p): (&Key, &Arc<Pipeline>)| {
            (format!("{name} {settings:?}"), p.source.clone())
        };
        lock(&self.pipelines).iter().map(named).collect()
    }

    /// Takes the device away, as a driver that resets does.
    #[cfg(test)]
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// What has gone wrong so far.
    pub fn check(&self) -> Result<(), Error> {
        match lock(&self.fault).clone() {
            None => Ok(()),
            Some(Fault::Memory { held, wanted }) => Err(Error::GpuMemory { held, wanted }),
            Some(Fault::Lost(what)) => Err(Error::GpuLost { what }),
            Some(Fault::Invalid(what)) => Err(Error::GpuInvalid { what }),
        }
    }

    fn bare(self: &Arc<Self>, len: usize, element: Element) -> Arc<Chunk> {
        let size = padded((len * element.size()) as u64);
        let reused = lock(&self.pool).take(size);
        let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC;
        let buffer = reused.or_else(|| self.create(size, usage, false));
        Arc::new(Chunk::new(self.clone(), buffer, len, element, size, true))
    }

    /// A new buffer; none where memory ends, which is noted.
    fn create(&self, size: u64, usage: wgpu::BufferUsages, mapped: bool) -> Option<wgpu::Buffer> {
        if lock(&self.fault).is_some() {
            return None;
        }
        let held = {
            let mut pool = lock(&self.pool);
            if !pool.admit(size)
                || size > self.adapter.largest_buffer.min(self.adapter.largest_binding)
            {
                let held = pool.held;
                drop(pool);
                lock(&self.fault).get_or_insert(Fault::Memory { held, wanted: size });
                return None;
            }
            pool.held
        };
        let descriptor =
            wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: mapped };
        let buffer = self.device.create_buffer(&descriptor);
        match &mut *lock(&self.fault) {
            None => Some(buffer),
            Some(fault) => {
                if let Fault::Memory { held: 0, .. } = fault {
                    *fault = Fault::Memory { held, wanted: size };
                }
                None
            }
        }
    }

    fn pipeline(&self, call: &Call) -> Arc<Pipeline> {
        let key = (call.kernel.name, call.settings.to_vec());
        let mut pipelines = lock(&self.pipelines);
        if let Some(pipeline) = pipelines.get(&key) {
            return pipeline.clone();
        }
        let source = call.kernel.specialise(call.settings);
        let entries: Vec<_> = source
            .lines()
            .filter(|line| line.starts_with("@group(0)"))
            .enumerate()
            .map(|(i, line)| wgpu::BindGroupLayoutEntry {
                binding: i as u32,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: wgpu::BufferBindingType::Storage {
                        read_only: line.contains("<storage, read>"),
                    },
                    has_dynamic_offset: false,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        assert_eq!(
            entries.len(),
            call.buffers.len(),
            "kernel {} has other bindings",
            call.kernel.name
        );
        let name = Some(call.kernel.name);
        let layout = self.device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: name,
            entries: &entries,
        });
        let module = self.device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: name,
            source: wgpu::ShaderSource::Wgsl(source.as_str().into()),
        });
        let whole = self.device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: name,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 4 * call.params.len() as u32,
        });
        let pipeline = self.device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
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
        pipelines
            .entry(key)
            .or_insert(Arc::new(Pipeline {
                pipeline,
                layout,
                #[cfg(test)]
                source,
            }))
            .clone()
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

/// Sizes are whole vec4s, and few enough different ones for the pool to find them again.
fn padded(bytes: u64) -> u64 {
    bytes.max(1).next_multiple_of(256)
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|e| e.into_inner())
}
