//! What is known of a GPU before it is opened.

use std::fmt;

use serde::Serialize;

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

/// An adapter and what it can do.
#[derive(Clone, Debug, Serialize)]
pub struct Adapter {
    /// Its place in the list of all adapters.
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
    /// Why the kernels cannot run on it, if they cannot.
    pub unusable: Option<String>,
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
