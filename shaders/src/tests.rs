//! Every kernel in the specialisations that matter: naga accepts it, and tint where that program is installed.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use naga::valid::{Capabilities, ValidationFlags, Validator};

use super::*;

type Case = Vec<(&'static str, Setting)>;

const TYPES: [Element; 2] = [Element::F32, Element::F16];

/// The specialisations of a kernel that are validated: every combination of its flags and types, and typical numbers.
fn cases(kernel: &Kernel) -> Vec<Case> {
    match kernel.name {
        "activation" => product(&[
            ("x", TYPES.map(Setting::from).into()),
            ("y", TYPES.map(Setting::from).into()),
            ("quick", flags()),
            ("backward", flags()),
        ]),
        other => panic!("no specialisation of {other} is validated: name them here"),
    }
}

fn flags() -> Vec<Setting> {
    [false, true].map(Setting::from).into()
}

/// Every combination of the values of each setting.
fn product(settings: &[(&'static str, Vec<Setting>)]) -> Vec<Case> {
    settings.iter().fold(vec![Vec::new()], |cases, (name, values)| {
        let longer = |case: &Case| {
            values.iter().map(|v| case.iter().copied().chain([(*name, *v)]).collect::<Case>()).collect::<Vec<_>>()
        };
        cases.iter().flat_map(longer).collect()
    })
}

#[test]
fn naga_accepts_every_kernel() {
    let capabilities = Capabilities::IMMEDIATES | Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16;
    for kernel in ALL {
        for case in cases(kernel) {
            let source = kernel.specialise(&case);
            let module = naga::front::wgsl::parse_str(&source)
                .unwrap_or_else(|e| panic!("{} {case:?}: {}", kernel.name, e.emit_to_string(&source)));
            Validator::new(ValidationFlags::all(), capabilities)
                .validate(&module)
                .unwrap_or_else(|e| panic!("{} {case:?}: {}", kernel.name, e.emit_to_string(&source)));
            assert_eq!(module.entry_points.len(), 1, "{}", kernel.name);
        }
    }
}

/// Tint refuses what naga lets pass (barriers in non-uniform control flow); run where the program is installed.
#[test]
fn tint_accepts_every_kernel() {
    if Command::new("tint").arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
        eprintln!("tint is not installed: only naga has read the kernels");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    for kernel in ALL {
        for (i, case) in cases(kernel).into_iter().enumerate() {
            let mut source = kernel.specialise(&case);
            if source.contains("subgroup") {
                // Tint wants the line that naga refuses.
                source.insert_str(0, "enable subgroups;\n");
            }
            let path = folder.path().join(format!("{}_{i}.wgsl", kernel.name));
            std::fs::write(&path, &source).unwrap();
            let output = Command::new("tint").args(["--format", "wgsl"]).arg(&path).output().unwrap();
            let mut numbered = String::new();
            if !output.status.success() {
                for (n, line) in source.lines().enumerate() {
                    writeln!(numbered, "{:4} {line}", n + 1).unwrap();
                }
            }
            let error = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{} {case:?}: {error}\n{numbered}", kernel.name);
        }
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
