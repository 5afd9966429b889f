//! Dispatches counted, and timed where the adapter has time stamps.

use super::call::Call;

/// One dispatch.
#[derive(Clone, Debug)]
pub struct Record {
    pub kernel: &'static str,
    /// Floating-point operations.
    pub operations: u64,
    /// Bytes of the buffers that it reads and writes, each counted once.
    pub bytes: u64,
    /// Where the adapter has time stamps.
    pub nanoseconds: Option<f64>,
}

/// Dispatches since profiling began.
pub struct Profile {
    records: Vec<Record>,
    timer: Option<Timer>,
}

struct Timer {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
}

impl Record {
    pub fn new(call: &Call) -> Self {
        let bytes = call.buffers.iter().map(|b| (b.len * b.element.size()) as u64).sum();
        Record { kernel: call.kernel.name, operations: call.operations, bytes, nanoseconds: None }
    }
}

impl Profile {
    pub fn new(timed: Option<(&wgpu::Device, &wgpu::Queue)>) -> Self {
        let timer = timed.map(|(device, _)| Timer {
            queries: device.create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: wgpu::QUERY_SET_MAX_QUERIES,
            }),
            resolved: device.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: u64::from(wgpu::QUERY_SET_MAX_QUERIES) * 8,
                usage: wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
        });
        Profile { records: Vec::new(), timer }
    }

    /// Counts a dispatch and describes the pass that it gets for itself. Past the queries' number
    /// it goes untimed.
    pub fn pass(&mut self, record: Record) -> wgpu::ComputePassDescriptor<'_> {
        let first = 2 * self.records.len() as u32;
        self.records.push(record);
        let timer = self.timer.as_ref().filter(|_| first + 1 < wgpu::QUERY_SET_MAX_QUERIES);
        wgpu::ComputePassDescriptor {
            label: None,
            timestamp_writes: timer.map(|t| wgpu::ComputePassTimestampWrites {
                query_set: &t.queries,
                beginning_of_pass_write_index: Some(first),
                end_of_pass_write_index: Some(first + 1),
            }),
        }
    }

    /// Records the reading of the time stamps; the buffer that they come to.
    pub fn resolve(&self, encoder: &mut wgpu::CommandEncoder) -> Option<wgpu::Buffer> {
        let timer = self.timer.as_ref()?;
        let count = (2 * self.records.len() as u32).min(wgpu::QUERY_SET_MAX_QUERIES);
        if count > 0 {
            encoder.resolve_query_set(&timer.queries, 0..count, &timer.resolved, 0);
        }
        Some(timer.resolved.clone())
    }

    /// Every dispatch; `stamps` are the bytes of the time stamps and the nanoseconds of one tick.
    pub fn records(mut self, stamps: Option<(&[u8], f32)>) -> Vec<Record> {
        if let Some((bytes, period)) = stamps {
            let ticks: Vec<u64> =
                bytes.as_chunks::<8>().0.iter().map(|chunk| u64::from_le_bytes(*chunk)).collect();
            for (record, ends) in self.records.iter_mut().zip(ticks.as_chunks::<2>().0) {
                record.nanoseconds =
                    Some(ends[1].saturating_sub(ends[0]) as f64 * f64::from(period));
            }
        }
        self.records
    }
}
