//! `--profile` in a packer that was built without GPUs: there is nothing to count.

use crate::Error;

use super::device::Opened;

/// Never made.
pub enum Profiling {}

impl Profiling {
    /// # Errors
    /// [`Error::Option`], always.
    pub fn of(_: &Opened) -> Result<Self, Error> {
        let what = "counts what is asked of a GPU, and this packer was built without them".into();
        Err(Error::Option { name: "--profile", what })
    }

    pub fn after(&mut self, _: usize) {
        match *self {}
    }

    pub fn table(self) -> Result<Option<String>, Error> {
        match self {}
    }
}
