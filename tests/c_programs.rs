//! Programs in C, C++ and Python over the shared library. They are compiled with every warning an
//! error, run, and run again under valgrind and AddressSanitizer. Also the library's binary
//! interface, which must not change unnoticed.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use medforge::*;
use medforge_runtime::bundle::{Trust, verify};
use medforge_runtime::classify::Classifier as Reference;
use medforge_runtime::image::RgbImage8;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder where cargo has put the shared library for this test.
fn library() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    assert!(deps.join(name()).exists(), "{} has no {}", deps.display(), name());
    deps
}

fn name() -> String {
    format!("{}medforge{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX)
}

fn bundle() -> PathBuf {
    root().join("tests/frozen/bundle.medforge")
}

fn key() -> PathBuf {
    root().join("tests/frozen/k.pub")
}

/// A picture of noise, as PNG.
fn picture(dir: &Path) -> (PathBuf, RgbImage8) {
    let data: Vec<u8> = (0..21 * 17 * 3).map(|i| (i * 7 % 251) as u8).collect();
    let path = dir.join("picture.png");
    image::RgbImage::from_raw(21, 17, data.clone()).unwrap().save(&path).unwrap();
    (path, RgbImage8::new(data, 21, 17).unwrap())
}

/// Compiles a program of the repository.
fn compiled(dir: &Path, compiler: &str, source: &str, flags: &[&str]) -> PathBuf {
    let program =
        dir.join(format!("{}{}", Path::new(source).file_stem().unwrap().display(), flags.len()));
    let output = Command::new(compiler)
        .args(["-pedantic", "-Wall", "-Wextra", "-Werror", "-g"])
        .args(flags)
        .arg("-I")
        .arg(root().join("ffi/include"))
        .arg(root().join(source))
        .arg("-L")
        .arg(library())
        .args(["-lmedforge", "-o"])
        .arg(&program)
        .output()
        .unwrap_or_else(|error| panic!("{compiler}: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    program
}

fn run(command: &mut Command) -> (bool, String) {
    let Output { status, stdout, stderr } =
        command.env("LD_LIBRARY_PATH", library()).output().unwrap();
    (
        status.success(),
        format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr)),
    )
}

fn good(command: &mut Command) -> String {
    let (fine, said) = run(command);
    assert!(fine, "{command:?}: {said}");
    said
}

#[test]
fn the_examples_compile_without_a_warning_and_classify() {
    let dir = tempfile::tempdir().unwrap();
    let (path, image) = picture(dir.path());
    let trust = Trust::from_pem(&std::fs::read_to_string(key()).unwrap()).unwrap();
    let reference =
        Reference::load(verify(std::fs::read(bundle()).unwrap(), &trust).unwrap()).unwrap();
    let expected = reference.classify(image.view(), None).unwrap();
    let programs = [
        compiled(dir.path(), "cc", "examples/c/classify.c", &["-std=c99"]),
        compiled(dir.path(), "c++", "examples/cpp/classify.cpp", &["-std=c++17"]),
        compiled(
            dir.path(),
            "c++",
            "examples/cpp/classify.cpp",
            &["-std=c++17", "-fno-exceptions", "-DMEDFORGE_NO_EXCEPTIONS"],
        ),
    ];
    for program in &programs {
        let said = good(Command::new(program).args([bundle(), key(), path.clone()]));
        let words: Vec<&str> = said.split_whitespace().collect();
        for (name, probability) in expected.classes.iter().zip(&expected.probabilities) {
            let at = words.iter().position(|word| word == name).unwrap_or_else(|| panic!("{said}"));
            assert!((words[at + 1].parse::<f32>().unwrap() - probability).abs() < 1e-5, "{said}");
        }
        let mut bytes = std::fs::read(bundle()).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        let changed = dir.path().join("changed");
        std::fs::write(&changed, bytes).unwrap();
        let (fine, said) = run(Command::new(program).args([changed, key(), path.clone()]));
        assert!(!fine && said.contains("BAD_CRC: refused (bad_crc)"), "{said}");
        let (fine, said) = run(Command::new(program).args([bundle(), key(), bundle()]));
        assert!(!fine && said.contains("neither a PNG nor a JPEG nor a TIFF"), "{said}");
    }
}

#[test]
fn every_call_runs_clean_under_valgrind_and_address_sanitizer() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = picture(dir.path());
    let plain = compiled(dir.path(), "cc", "tests/c/every_call.c", &["-std=c99"]);
    let arguments = [bundle(), key(), path];
    good(Command::new(&plain).args(&arguments));
    let required = std::env::var_os("MEDFORGE_REQUIRE_VALGRIND").is_some();
    match Command::new("valgrind").arg("--version").output() {
        // Threads of a pool end a moment after it, so that what is theirs is reachable still.
        Ok(_) => {
            let flags = [
                "-q",
                "--error-exitcode=9",
                "--leak-check=full",
                "--errors-for-leak-kinds=definite",
            ];
            good(Command::new("valgrind").args(flags).arg(&plain).args(&arguments));
        }
        Err(error) => assert!(!required, "valgrind: {error}"),
    }
    let probe = dir.path().join("probe.c");
    std::fs::write(&probe, "int main(void) { return 0; }").unwrap();
    let sanitizer = Command::new("cc")
        .arg("-fsanitize=address")
        .arg(&probe)
        .arg("-o")
        .arg(dir.path().join("probe"))
        .output();
    if sanitizer.is_ok_and(|output| output.status.success()) {
        let checked =
            compiled(dir.path(), "cc", "tests/c/every_call.c", &["-std=c99", "-fsanitize=address"]);
        good(Command::new(checked).args(&arguments));
    } else {
        assert!(!required, "cc has no AddressSanitizer")
    }
}

#[cfg(unix)]
#[test]
fn a_child_of_fork_gets_a_code_and_the_parent_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let program = compiled(dir.path(), "cc", "tests/c/fork.c", &["-std=c99", "-pthread"]);
    assert!(
        good(Command::new(program).args([bundle(), key(), dir.path().into()])).contains("all good")
    );
}

#[test]
fn the_python_module_gives_what_the_library_gives() {
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = picture(dir.path());
    let script = root().join("tests/python/module.py");
    let said = good(Command::new("python3").arg(script).arg(library().join(name())).args([
        bundle(),
        key(),
        path,
    ]));
    assert!(said.contains("all good"), "{said}");
}

/// Symbols, sizes and codes of this version. With MEDFORGE_UPDATE_ABI set it is written anew: what
/// it had must stay, but for a new first number of the version.
#[test]
fn the_binary_interface_is_the_frozen_one() {
    let mut found = String::new();
    let header = std::fs::read_to_string(root().join("ffi/include/medforge.h")).unwrap();
    let functions: BTreeSet<&str> = header
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("medforge_") && header.contains(&format!("{word}(")))
        .collect();
    functions.iter().for_each(|function| writeln!(found, "function {function}").unwrap());
    let sizes = [
        ("medforge_source", size_of::<Source>()),
        ("medforge_open_options", size_of::<OpenOptions>()),
        ("medforge_image", size_of::<Image>()),
        ("medforge_lut", size_of::<Lut>()),
        ("medforge_selection", size_of::<Selection>()),
        ("medforge_classify_options", size_of::<ClassifyOptions>()),
        ("medforge_code", size_of::<Code>()),
        ("medforge_classification", size_of::<Classification>()),
        ("medforge_map", size_of::<Map>()),
        ("medforge_report_view", size_of::<ReportView>()),
        ("medforge_memory", size_of::<Memory>()),
        ("medforge_limits", size_of::<Limits>()),
    ];
    sizes.iter().for_each(|(name, size)| writeln!(found, "struct {name} {size}").unwrap());
    let numbers =
        header.lines().filter_map(|line| line.trim().strip_prefix("MEDFORGE_")?.strip_suffix(','));
    numbers.for_each(|number| writeln!(found, "number MEDFORGE_{number}").unwrap());
    let kept = root().join("ffi/abi.txt");
    if std::env::var_os("MEDFORGE_UPDATE_ABI").is_some() {
        std::fs::write(&kept, &found).unwrap();
    }
    let frozen = std::fs::read_to_string(&kept).unwrap();
    assert_eq!(found, frozen, "the binary interface differs from ffi/abi.txt");

    let Ok(symbols) =
        Command::new("nm").args(["-D", "--defined-only"]).arg(library().join(name())).output()
    else {
        return;
    };
    let symbols = String::from_utf8_lossy(&symbols.stdout).into_owned();
    let exported: BTreeSet<&str> =
        symbols.lines().filter_map(|line| line.split_whitespace().last()).collect();
    let ours: BTreeSet<&str> =
        exported.iter().copied().filter(|symbol| symbol.starts_with("medforge")).collect();
    assert_eq!(ours, functions, "the library exports other functions than the header has");
}
