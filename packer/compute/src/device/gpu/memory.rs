//! How much memory an adapter has, which wgpu does not tell: asked of Vulkan itself; unknown
//! elsewhere.
#![expect(unsafe_code, reason = "the question goes through wgpu's raw Vulkan handles")]

/// Bytes of the adapter's own memory.
#[cfg(not(any(target_os = "macos", target_os = "ios")))]
pub fn total(adapter: &wgpu::Adapter) -> Option<u64> {
    // SAFETY: the handle is only read, while `adapter` keeps it alive; nothing is destroyed through
    // it.
    unsafe {
        let raw = adapter.as_hal::<wgpu::hal::api::Vulkan>()?;
        let instance = raw.shared_instance().raw_instance();
        let properties = instance.get_physical_device_memory_properties(raw.raw_physical_device());
        let heaps = &properties.memory_heaps[..properties.memory_heap_count as usize];
        // Bit 0 of a heap's flags: memory of the device itself (Vulkan specification,
        // VkMemoryHeapFlagBits).
        heaps.iter().filter(|heap| heap.flags.as_raw() & 1 != 0).map(|heap| heap.size).max()
    }
}

/// Bytes of the adapter's own memory: Metal shares the system's.
#[cfg(any(target_os = "macos", target_os = "ios"))]
pub fn total(_adapter: &wgpu::Adapter) -> Option<u64> {
    None
}
