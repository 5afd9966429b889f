//! The WGSL compute kernels, one file each; every file's header says what it computes, how it is bound and why its tile
//! has the shape it has. Nothing is run here: packer's devices compile and dispatch them.
#![forbid(unsafe_code)]

/// A kernel's name and source.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    pub name: &'static str,
    pub source: &'static str,
}

/// C = A * B^T, the product of a linear layer.
pub const MATMUL_NT: Kernel = Kernel { name: "matmul_nt", source: include_str!("kernels/matmul_nt.wgsl") };

/// x * Phi(x), element by element.
pub const GELU: Kernel = Kernel { name: "gelu", source: include_str!("kernels/gelu.wgsl") };

/// Every kernel.
pub const ALL: [Kernel; 2] = [MATMUL_NT, GELU];

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use naga::valid::{Capabilities, ValidationFlags, Validator};

    use super::*;

    #[test]
    fn naga_accepts_every_kernel() {
        for kernel in ALL {
            let module = naga::front::wgsl::parse_str(kernel.source)
                .unwrap_or_else(|e| panic!("{}: {}", kernel.name, e.emit_to_string(kernel.source)));
            Validator::new(ValidationFlags::all(), Capabilities::empty())
                .validate(&module)
                .unwrap_or_else(|e| panic!("{}: {}", kernel.name, e.emit_to_string(kernel.source)));
            assert_eq!(module.entry_points.len(), 1, "{}", kernel.name);
        }
    }

    /// Tint refuses what naga lets pass (barriers in non-uniform control flow); run where the program is installed.
    #[test]
    fn tint_accepts_every_kernel() {
        for kernel in ALL {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/kernels/{}.wgsl", kernel.name));
            let Ok(output) = Command::new("tint").args(["--format", "wgsl"]).arg(path).output() else { return };
            assert!(output.status.success(), "{}: {}", kernel.name, String::from_utf8_lossy(&output.stderr));
        }
    }

    #[test]
    fn every_file_is_named_and_has_a_header() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/kernels");
        assert_eq!(std::fs::read_dir(folder).unwrap().count(), ALL.len());
        for kernel in ALL {
            assert!(kernel.source.starts_with("//"), "{} does not open with what it computes", kernel.name);
        }
    }
}
