//! Every kernel in the specialisations that matter: naga accepts it, and tint where that program is
//! installed.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use naga::valid::{Capabilities, ValidationFlags, Validator};

use super::*;

type Case = Vec<(&'static str, Setting)>;

/// The specialisations of a kernel that are validated: every combination of its flags and types,
/// and typical numbers.
fn cases(kernel: &Kernel) -> Vec<Case> {
    let numbers = |n: &[u32]| n.iter().map(|n| Setting::from(*n)).collect::<Vec<_>>();
    let settings = match kernel.name {
        "activation" => {
            vec![("x", types()), ("y", types()), ("quick", flags()), ("backward", flags())]
        }
        "adamw" => vec![("scaled", flags())],
        "attention" => {
            vec![("x", types()), ("width", numbers(&[4, 32, 64])), ("keys", numbers(&[16, 32]))]
        }
        "attention_backward_kv" | "attention_backward_q" => {
            vec![
                ("x", types()),
                ("g", types()),
                ("width", numbers(&[4, 32, 64])),
                ("keys", numbers(&[16, 32])),
            ]
        }
        "column_sum" => vec![("x", types()), ("y", types()), ("dot", flags())],
        "cross_entropy" | "cross_entropy_backward" => vec![("x", types())],
        "fill" => vec![("y", types())],
        "colour" | "cutout" | "finite" | "image_mean" | "loss_scale" => vec![],
        "warp" => vec![("backward", flags())],
        "l2_normalise" => {
            vec![
                ("x", types()),
                ("y", types()),
                ("vec", flags()),
                ("lanes", numbers(&[1, 64])),
                ("backward", flags()),
            ]
        }
        "layer_norm" => vec![
            ("x", types()),
            ("weight", types()),
            ("y", types()),
            ("affine", flags()),
            ("vec", flags()),
            ("lanes", numbers(&[1, 64])),
        ],
        "layer_norm_backward" => {
            vec![
                ("dy", types()),
                ("x", types()),
                ("gain", types()),
                ("vec", flags()),
                ("lanes", numbers(&[1, 64])),
            ]
        }
        "matmul" => return matmul_cases(),
        "add_scaled" | "convert" => vec![("x", types()), ("y", types())],
        "patches" | "rows" | "token_moments" => {
            vec![("x", types()), ("y", types()), ("backward", flags())]
        }
        "residual" => vec![
            ("x", types()),
            ("y", types()),
            ("z", types()),
            ("scale", types()),
            ("sum", flags()),
            ("scaled", flags()),
            ("vec", flags()),
        ],
        "softmax" => {
            vec![("x", types()), ("y", types()), ("vec", flags()), ("lanes", numbers(&[1, 64]))]
        }
        "softmax_backward" => {
            vec![
                ("dy", types()),
                ("y", types()),
                ("dx", types()),
                ("vec", flags()),
                ("lanes", numbers(&[1, 64])),
            ]
        }
        "tokens" => vec![("x", types()), ("weight", types()), ("y", types())],
        other => panic!("no specialisation of {other} is validated: name them here"),
    };
    product(&settings)
}

/// Every form and tile, with types, vec4 access and epilogue varied one after another.
fn matmul_cases() -> Vec<Case> {
    let numbers = |n: &[u32]| n.iter().map(|n| Setting::from(*n)).collect::<Vec<_>>();
    let bases = product(&[
        ("form", numbers(&[0, 1, 2])),
        ("tile", numbers(&[0, 1, 2])),
        ("rows", numbers(&[8, 16, 32])),
    ]);
    let plain = [
        ("a", Setting::Element(Element::F32)),
        ("b", Setting::Element(Element::F32)),
        ("c", Setting::Element(Element::F32)),
        ("bias", Setting::Element(Element::F32)),
        ("vec_a", true.into()),
        ("vec_b", true.into()),
        ("vec_c", true.into()),
        ("accumulate", false.into()),
        ("biased", false.into()),
        ("activation", 0.into()),
    ];
    let mut changes: Vec<Vec<(&'static str, Setting)>> =
        vec![vec![], vec![("biased", true.into()), ("activation", 1.into())]];
    changes.extend(
        ["a", "b", "c", "bias"].map(|t| vec![(t, Element::F16.into()), ("biased", true.into())]),
    );
    changes.extend(["vec_a", "vec_b", "vec_c"].map(|flag| {
        vec![
            (flag, false.into()),
            ("accumulate", true.into()),
            ("biased", true.into()),
            ("activation", 2.into()),
        ]
    }));
    let with = |base: &Case, change: &Vec<(&'static str, Setting)>| {
        let plain = plain.iter().filter(|(name, _)| change.iter().all(|(other, _)| other != name));
        base.iter().chain(plain).chain(change).copied().collect::<Case>()
    };
    bases
        .iter()
        .flat_map(|base| changes.iter().map(|change| with(base, change)).collect::<Vec<_>>())
        .collect()
}

fn types() -> Vec<Setting> {
    [Element::F32, Element::F16].map(Setting::from).into()
}

fn flags() -> Vec<Setting> {
    [false, true].map(Setting::from).into()
}

/// Every combination of the values of each setting.
fn product(settings: &[(&'static str, Vec<Setting>)]) -> Vec<Case> {
    settings.iter().fold(vec![Vec::new()], |cases, (name, values)| {
        let longer = |case: &Case| {
            values
                .iter()
                .map(|v| case.iter().copied().chain([(*name, *v)]).collect::<Case>())
                .collect::<Vec<_>>()
        };
        cases.iter().flat_map(longer).collect()
    })
}

#[test]
fn naga_accepts_every_kernel() {
    let capabilities =
        Capabilities::IMMEDIATES | Capabilities::SUBGROUP | Capabilities::SHADER_FLOAT16;
    for kernel in ALL {
        for case in cases(kernel) {
            let source = kernel.specialise(&case);
            let module = naga::front::wgsl::parse_str(&source).unwrap_or_else(|e| {
                panic!("{} {case:?}: {}", kernel.name, e.emit_to_string(&source))
            });
            Validator::new(ValidationFlags::all(), capabilities).validate(&module).unwrap_or_else(
                |e| panic!("{} {case:?}: {}", kernel.name, e.emit_to_string(&source)),
            );
            assert_eq!(module.entry_points.len(), 1, "{}", kernel.name);
        }
    }
}

/// Tint refuses what naga lets pass (barriers in non-uniform control flow); run where the program
/// is installed.
#[test]
fn tint_accepts_every_kernel() {
    if Command::new("tint")
        .arg("--help")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_err()
    {
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
            let output =
                Command::new("tint").args(["--format", "wgsl"]).arg(&path).output().unwrap();
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
        assert!(
            kernel.source.starts_with("//"),
            "{} does not open with what it computes",
            kernel.name
        );
    }
}
