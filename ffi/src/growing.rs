//! Structs that may grow: each begins with its size, so that programs built against an older header
//! go on working.

use crate::last_error::Failure;
use crate::pointer::{input, output};
use crate::status::Status;

/// A struct whose first field is its size as the caller knows it, in bytes.
///
/// # Safety
/// It is `repr(C)`, its first field is a `usize`, and all zeros are a valid value of it.
pub unsafe trait Growing: Copy {
    /// Its size in the first version that had it.
    const LEAST: usize;

    /// All zeros, but for the size.
    fn new() -> Self {
        // SAFETY: the trait's promise.
        let mut value: Self = unsafe { std::mem::zeroed() };
        // SAFETY: the first field is a usize.
        unsafe { (&raw mut value).cast::<usize>().write(size_of::<Self>()) };
        value
    }
}

/// What is at `pointer`: as much as the caller knows, zeros beyond.
///
/// # Safety
/// `pointer` is NULL or points to as many readable bytes as the struct's first field says.
pub unsafe fn read<T: Growing>(pointer: *const T, name: &str) -> Result<T, Failure> {
    let pointer = input(pointer, name)?;
    // SAFETY: every such struct begins with its size.
    let size = unsafe { pointer.cast::<usize>().read_unaligned() };
    let known = check::<T>(size, name)?;
    let mut value = T::new();
    // SAFETY: as many bytes as both know.
    unsafe {
        std::ptr::copy_nonoverlapping(pointer.cast::<u8>(), (&raw mut value).cast::<u8>(), known)
    };
    Ok(value)
}

/// The bytes of a `T` at `pointer` that the caller knows.
///
/// # Safety
/// As for [`read`].
pub unsafe fn room<T: Growing>(pointer: *mut T, name: &str) -> Result<usize, Failure> {
    let pointer = output(pointer, name)?;
    // SAFETY: every such struct begins with its size.
    check::<T>(unsafe { pointer.cast::<usize>().read_unaligned() }, name)
}

/// Writes the first `known` bytes of `value`, but for the size.
///
/// # Safety
/// `pointer` is not NULL and as many bytes can be written there.
pub unsafe fn write<T: Growing>(value: &T, pointer: *mut T, known: usize) {
    let size = size_of::<usize>();
    // SAFETY: the caller's promise; `known` is no more than the size of `T`.
    unsafe {
        let (from, to) = ((&raw const *value).cast::<u8>(), pointer.cast::<u8>());
        std::ptr::copy_nonoverlapping(from.add(size), to.add(size), known - size);
    }
}

fn check<T: Growing>(size: usize, name: &str) -> Result<usize, Failure> {
    if size >= T::LEAST {
        Ok(size.min(size_of::<T>()))
    } else {
        let text = format!(
            "{name}->struct_size is {size}: set it to the size of the struct before the call"
        );
        Err(Failure::new(Status::OutOfRange, text))
    }
}
