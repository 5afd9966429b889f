//! The GPUs that tests compute on, each in every form of its kernels.
//!
//! Where there is no adapter the tests say so and pass, unless MEDFORGE_REQUIRE_GPU=1 says that
//! there must be one.

use std::sync::OnceLock;

use crate::device::gpu::forms::{self, Variant};

/// Every usable adapter in every form that can run on it, opened once.
pub(crate) fn variants() -> &'static [Variant] {
    static VARIANTS: OnceLock<Vec<Variant>> = OnceLock::new();
    VARIANTS.get_or_init(|| {
        let variants = forms::variants().unwrap();
        if variants.is_empty() {
            let required = std::env::var("MEDFORGE_REQUIRE_GPU").is_ok_and(|v| v == "1");
            assert!(!required, "MEDFORGE_REQUIRE_GPU=1, and no usable GPU adapter is here");
            eprintln!("NO GPU ADAPTER IS HERE: the gpu device is NOT tested");
        }
        variants
    })
}
