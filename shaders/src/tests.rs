//! Every kernel in the specialisations that matter: naga accepts it, and tint where that program is
//! installed.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use naga::valid::{Capabilities, ValidationFlags, Validator};

use super::*;

type Case = Vec<(&'static str, Setting)>;

/// The values of a setting that are validated.
#[derive(Clone, Copy)]
enum Values {
    Types,
    Flags,
    Numbers(&'static [u32]),
}
use Values::{Flags, Numbers, Types};

const LANES: Values = Numbers(&[1, 64]);
const WIDTHS: Values = Numbers(&[4, 32, 64]);
const KEYS: Values = Numbers(&[16, 32]);
const KINDS: Values = Numbers(&[1, 2, 3, 4]);

/// Settings by name, each with the values that are validated.
type Varied = &'static [(&'static str, Values)];

/// Kernels with their settings; `matmul`'s are varied one after another.
const SPECIALISED: &[(&[&str], Varied)] = &[
    (&["activation"], &[("x", Types), ("y", Types), ("activation", KINDS), ("backward", Flags)]),
    (&["adamw"], &[("scaled", Flags)]),
    (&["attention"], &[("x", Types), ("width", WIDTHS), ("keys", KEYS)]),
    (
        &["attention_backward_kv", "attention_backward_q"],
        &[("x", Types), ("g", Types), ("width", WIDTHS), ("keys", KEYS)],
    ),
    (&["column_sum"], &[("x", Types), ("y", Types), ("dot", Flags)]),
    (&["cross_entropy", "cross_entropy_backward"], &[("x", Types)]),
    (&["fill"], &[("y", Types)]),
    (
        &["gated"],
        &[("g", Types), ("u", Types), ("y", Types), ("activation", KINDS), ("backward", Flags)],
    ),
    (&["patch_mean"], &[("x", Types), ("cls", Flags), ("backward", Flags)]),
    (&["rotate"], &[("x", Types), ("table", Types), ("backward", Flags)]),
    (&["colour", "cutout", "finite", "image_mean", "loss_scale"], &[]),
    (&["warp"], &[("backward", Flags)]),
    (
        &["l2_normalise"],
        &[("x", Types), ("y", Types), ("vec", Flags), ("lanes", LANES), ("backward", Flags)],
    ),
    (
        &["layer_norm"],
        &[
            ("x", Types),
            ("weight", Types),
            ("y", Types),
            ("affine", Flags),
            ("vec", Flags),
            ("lanes", LANES),
        ],
    ),
    (
        &["layer_norm_backward"],
        &[("dy", Types), ("x", Types), ("gain", Types), ("vec", Flags), ("lanes", LANES)],
    ),
    (&["add_scaled", "convert"], &[("x", Types), ("y", Types)]),
    (&["patches", "rows", "token_moments"], &[("x", Types), ("y", Types), ("backward", Flags)]),
    (
        &["residual"],
        &[
            ("x", Types),
            ("y", Types),
            ("z", Types),
            ("scale", Types),
            ("sum", Flags),
            ("scaled", Flags),
            ("vec", Flags),
        ],
    ),
    (&["softmax"], &[("x", Types), ("y", Types), ("vec", Flags), ("lanes", LANES)]),
    (
        &["softmax_backward"],
        &[("dy", Types), ("y", Types), ("dx", Types), ("vec", Flags), ("lanes", LANES)],
    ),
    (
        &["tokens"],
        &[
            ("x", Types),
            ("weight", Types),
            ("y", Types),
            ("cls", Flags),
            ("registers", Flags),
            ("positions", Flags),
            ("backward", Flags),
        ],
    ),
];

/// The specialisations of a kernel that are validated: every combination of its flags and types,
/// and typical numbers.
fn cases(kernel: &Kernel) -> Vec<Case> {
    if kernel.name == "matmul" {
        return matmul_cases();
    }
    let found = SPECIALISED.iter().find(|(names, _)| names.contains(&kernel.name));
    let (_, settings) = found.unwrap_or_else(|| {
        panic!("no specialisation of {} is validated: name them here", kernel.name)
    });
    product(&settings.iter().map(|(name, values)| (*name, values.all())).collect::<Vec<_>>())
}

impl Values {
    fn all(self) -> Vec<Setting> {
        match self {
            Types => [Element::F32, Element::F16].map(Setting::from).into(),
            Flags => [false, true].map(Setting::from).into(),
            Numbers(numbers) => numbers.iter().map(|n| Setting::from(*n)).collect(),
        }
    }
}

/// Every form and tile, with types, vec4 access and epilogue varied one after another.
fn matmul_cases() -> Vec<Case> {
    let bases = product(&[
        ("form", Numbers(&[0, 1, 2]).all()),
        ("tile", Numbers(&[0, 1, 2]).all()),
        ("rows", Numbers(&[8, 16, 32]).all()),
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
    changes.extend([3, 4].map(|kind| vec![("activation", Setting::Number(kind))]));
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
