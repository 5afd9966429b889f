//! Result codes: one per cause, numbers that never change.

use std::ffi::{CStr, c_char};

use medforge_runtime::{Class, Error};

macro_rules! statuses {
    ($($number:literal $variant:ident $name:literal $meaning:literal;)*) => {
        /// What a function came to. Numbers are never reused: 1 to 19 are about the call, 50 to 59
        /// about the device and the question asked. From 100 on they say what was refused: those
        /// are the classes of the format's documentation, under the same names.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Status {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl Status {
            /// Every code with its name in C, such as "WRONG_KEY", and what it means.
            pub const ALL: &[(Status, &CStr, &str)] = &[$((
                Status::$variant,
                {
                    const NAME: &[u8] = &upper::<{ $name.len() + 1 }>($name);
                    match CStr::from_bytes_with_nul(NAME) {
                        Ok(name) => name,
                        Err(_) => c"UNKNOWN",
                    }
                },
                $meaning,
            ),)*];
        }
    };
}

medforge_runtime::refusal_classes! {
    statuses! {
        0 Ok "ok" "done";
        1 NullPointer "null_pointer" "a pointer is NULL that must not be";
        2 StringNotUtf8 "string_not_utf8" "a string is not UTF-8";
        3 Io "io" "a file cannot be read";
        4 Panic "panic" "a fault in the library itself; please report it";
        5 OutOfRange "out_of_range" "an index past the end";
        6 BufferTooSmall "buffer_too_small" "the caller's buffer is too small for the result";
        7 Other "other" "an error that has no code of its own in this version";
        9 Pixels "pixels" "width, height, stride and pointer do not make an image";
        10 Preprocessing "preprocessing"
            "the image cannot be brought to the size that the bundle asks for";
        11 Image "image" "an image file does not decode";
        12 DicomUnsupported "dicom_unsupported"
            "a DICOM file is not read here: its transfer syntax, or what its pixels are";
        13 OtherProcess "other_process"
            "the classifier was opened by the process that this one was forked from";
        51 Device "device" "the computation failed";
        52 UnknownTask "unknown_task" "the bundle has no such task";
        53 TaskNeeded "task_needed" "the bundle has several tasks and none was named";
        54 UnknownModule "unknown_module" "no such module is loaded";
        55 Selection "selection" "a selection of modules that cannot be run";
        56 Unchanged "unchanged" "a change of what a classifier runs with that was not made";
        57 Cancelled "cancelled" "the call was cancelled, or its deadline passed";
        58 Precision "precision" "the bundle does not run in as many bits as it was asked to";
        59 Memory "memory" "the system has less memory than is needed";
    }
}

impl Status {
    /// Its name, such as "WRONG_KEY".
    pub fn name(self) -> &'static str {
        c_name(self as u32).to_str().unwrap_or("UNKNOWN")
    }

    /// The code of a class: the same number.
    pub fn of(class: Class) -> Status {
        let number = u32::from(class as u16);
        let found = Status::ALL.iter().find(|(status, ..)| *status as u32 == number);
        found.map_or(Status::Other, |(status, ..)| *status)
    }
}

impl From<&Error> for Status {
    fn from(error: &Error) -> Status {
        match error {
            Error::Image { .. } => Status::Image,
            Error::DicomUnsupported { .. } => Status::DicomUnsupported,
            Error::Pixels { .. } => Status::Pixels,
            Error::Preprocessing { .. } => Status::Preprocessing,
            Error::OtherProcess { .. } => Status::OtherProcess,
            Error::Device { .. } => Status::Device,
            Error::UnknownTask { .. } => Status::UnknownTask,
            Error::TaskNeeded { .. } => Status::TaskNeeded,
            Error::UnknownModule { .. } => Status::UnknownModule,
            Error::Selection { .. } => Status::Selection,
            Error::Unchanged { .. } => Status::Unchanged,
            Error::Cancelled => Status::Cancelled,
            Error::Memory { .. } => Status::Memory,
            Error::Precision { .. } => Status::Precision,
            Error::InBatch { source, .. } => Status::from(&**source),
            other => other.class().map_or(Status::Other, Status::of),
        }
    }
}

/// The name of a result, such as "WRONG_KEY"; "UNKNOWN" for a number that is none. Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn medforge_result_name(result: u32) -> *const c_char {
    c_name(result).as_ptr()
}

fn c_name(number: u32) -> &'static CStr {
    let found = Status::ALL.iter().find(|(status, ..)| *status as u32 == number);
    found.map_or(c"UNKNOWN", |(_, name, _)| name)
}

/// `name` in upper case, and the NUL that ends it in C.
const fn upper<const LENGTH: usize>(name: &str) -> [u8; LENGTH] {
    let mut upper = [0; LENGTH];
    let mut at = 0;
    while at < name.len() {
        upper[at] = name.as_bytes()[at].to_ascii_uppercase();
        at += 1;
    }
    upper
}

/// The first number of the version: changes when programs must be changed.
pub const MEDFORGE_VERSION_MAJOR: u32 = 0;
/// The second number: changes when something is added.
pub const MEDFORGE_VERSION_MINOR: u32 = 1;
/// The third number: changes when something is mended.
pub const MEDFORGE_VERSION_PATCH: u32 = 0;

/// The version of the library, such as "0.1.0". Never NULL.
#[unsafe(no_mangle)]
pub extern "C" fn medforge_version() -> *const c_char {
    const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");
    VERSION.as_ptr().cast()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_class_has_its_code_under_its_name() {
        for (class, name, _) in Class::ALL {
            let status = Status::of(*class);
            assert_eq!(status as u32, u32::from(*class as u16), "{name}");
            assert_eq!(status.name(), name.to_uppercase());
        }
    }
}
