//! The first thing that goes wrong on an adapter. It is kept, and every read after it reports it.

use std::sync::{Arc, Mutex};

use crate::Error;

use super::pool::lock;

/// What broke the device.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Bytes held when there was no more, and bytes asked for.
    Memory {
        held: u64,
        wanted: u64,
    },
    Lost(String),
    Invalid(String),
}

/// The place of the first fault, shared with the driver's callbacks.
#[derive(Clone, Default)]
pub struct FirstFault(Arc<Mutex<Option<Fault>>>);

impl FirstFault {
    /// Notes from now on what `device` reports by itself.
    pub fn watch(&self, device: &wgpu::Device) {
        let slot = self.clone();
        device.on_uncaptured_error(Arc::new(move |error| {
            slot.note(match error {
                wgpu::Error::OutOfMemory { .. } => Fault::Memory { held: 0, wanted: 0 },
                other => Fault::Invalid(one_line(&other.to_string())),
            });
        }));
        let slot = self.clone();
        device.set_device_lost_callback(move |reason, what| {
            // Dropping the device is reported as well; nobody is left to read it then.
            slot.note(Fault::Lost(format!("{reason:?}: {}", one_line(&what))));
        });
    }

    /// Keeps `fault` unless there was one before.
    pub fn note(&self, fault: Fault) {
        lock(&self.0).get_or_insert(fault);
    }

    /// Whether anything has gone wrong.
    pub fn any(&self) -> bool {
        lock(&self.0).is_some()
    }

    /// Fills in the sizes that a driver leaves out when its memory is full.
    pub fn complete(&self, bytes_held: u64, bytes_wanted: u64) {
        if let Some(Fault::Memory { held: held @ 0, wanted }) = &mut *lock(&self.0) {
            (*held, *wanted) = (bytes_held, bytes_wanted);
        }
    }

    /// # Errors
    /// What has gone wrong so far.
    pub fn check(&self) -> Result<(), Error> {
        match lock(&self.0).clone() {
            None => Ok(()),
            Some(Fault::Memory { held, wanted }) => Err(Error::GpuMemory { held, wanted }),
            Some(Fault::Lost(what)) => Err(Error::GpuLost { what }),
            Some(Fault::Invalid(what)) => Err(Error::GpuInvalid { what }),
        }
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
