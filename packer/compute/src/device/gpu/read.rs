//! What comes back from an adapter: the bytes of a buffer, and what was counted and timed.

use medforge_shaders::Element;

use crate::Error;

use super::buffers::padded;
use super::engine::Engine;
use super::pool::{Chunk, lock};
use super::profile::{Profile, Record};

impl Engine {
    /// The bytes of `chunk`, once everything recorded so far has run.
    pub fn read(&self, chunk: &Chunk) -> Result<Vec<u8>, Error> {
        let size = padded((chunk.len * chunk.element.size()) as u64);
        let target =
            self.create(size, wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ, false);
        self.fault.check()?;
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
        self.fault.check()?;
        let lost = |what: String| Error::GpuLost { what };
        waited.map_err(|e| lost(e.to_string()))?;
        // The wait above makes the driver's answer due; another thread that waits may be the one to
        // pass it on.
        let answer = receive.recv_timeout(std::time::Duration::from_secs(60));
        self.fault.check()?;
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
    pub fn take_profile(&self) -> Result<Vec<Record>, Error> {
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
                    self.pool.clone(),
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
}
