//! Only regular files of a limited size are read. Pipes and devices never end, folders are no
//! files, and files that are too large are not loaded. Errors about a file are short and fit on one
//! line.

use std::io::Write;
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};

use super::*;

/// Each file that commands read, with a command that reads it.
fn reads() -> Vec<(&'static str, String)> {
    let train = format!("{TRAIN} --out no");
    let bundle = "bundle --base base --module m --key k.key --out no".to_owned();
    let verify = "verify b.medforge --trust k.pub".to_owned();
    let mut reads: Vec<(&str, String)> = vec![
        ("packer.toml", "devices".into()),
        ("options.toml", "devices --config options.toml".into()),
        ("base/config.json", train.clone()),
        ("base/preprocessor_config.json", train.clone()),
        ("base/model.safetensors", train.clone()),
        ("data/splits.csv", train.clone()),
        ("images.npz", "train --base base --data images.npz --task t --out no".into()),
        ("m/adapter_config.json", bundle.clone()),
        ("m/adapter_model.safetensors", bundle.clone()),
        ("m/head.safetensors", bundle.clone()),
        ("m/module.json", bundle.clone()),
        ("codes.csv", format!("{bundle} --codes codes.csv")),
        ("k.key", bundle),
        ("k.key", "sign b.medforge --key k.key --out no".into()),
        ("b.medforge", "sign b.medforge --key k.key --out no".into()),
        ("signature", "sign b.medforge --import-signature signature --out no".into()),
        ("b.medforge", verify.clone()),
        ("b.medforge", "inspect b.medforge".into()),
        ("k.pub", verify.clone()),
        ("state.json", format!("{verify} --state state.json")),
        ("k.pub", "trust k.pub".into()),
        ("ec.key", "export-oms b.medforge --trust k.pub --ec-key ec.key --out no".into()),
        (
            "contributors.toml",
            "forge init F --base base --trust contributors.toml --key k.key".into(),
        ),
        ("F/forge.zip", "forge log F".into()),
        ("c.zip", "forge push G c.zip".into()),
    ];
    reads.push(("no.checkpoint", format!("{train} --resume")));
    reads
}

/// Puts something in the place of a file, and gives its name.
type Putting = fn(&Path);

const PUT: [(&str, Putting); 4] = [
    ("a pipe", |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
    ("a link to a device", |path| symlink("/dev/zero", path).unwrap()),
    ("a folder", |path| std::fs::create_dir(path).unwrap()),
    ("a file without end", |path| std::fs::File::create(path).unwrap().set_len(1 << 40).unwrap()),
];

/// Standard error and exit code of a command that must end soon.
fn ended(dir: &Path, arguments: &str) -> (String, Option<i32>) {
    let mut child = packer(dir, arguments);
    let pipe = std::process::Stdio::piped;
    let mut child = child.stdout(pipe()).stderr(pipe()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > Duration::from_secs(120) {
            child.kill().unwrap();
            panic!("packer {arguments} goes on and on");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = child.wait_with_output().unwrap();
    (said(&output), output.status.code())
}

#[test]
fn what_is_read_is_a_regular_file_of_a_size() {
    let dir = with_bundle();
    let at = dir.path();
    let list = std::fs::read_to_string(at.join("data/splits.csv")).unwrap();
    let row = list.lines().find(|row| row.ends_with(",train")).unwrap();
    let image = format!("data/{}", row.split(',').next().unwrap());
    let mut all = reads();
    all.push((image.as_str(), format!("{TRAIN} --out no")));
    all.push((image.as_str(), format!("classify b.medforge --trust k.pub {image}")));
    std::fs::create_dir(at.join("F")).unwrap();
    std::fs::write(
        at.join("contributors.toml"),
        "[[contributor]]\nname = \"a\"\nkey = \"k.pub\"\n",
    )
    .unwrap();
    good(at, "forge init G --base base --trust contributors.toml --key k.key");
    for (file, arguments) in all {
        let (path, aside) = (at.join(file), at.join("aside"));
        let there = path.exists();
        if there {
            std::fs::rename(&path, &aside).unwrap();
        }
        for (kind, put) in PUT {
            put(&path);
            let (said, code) = ended(at, &arguments);
            let name = Path::new(file).file_name().unwrap().to_str().unwrap();
            assert!(
                matches!(code, Some(1..=3)),
                "{file}, {kind}: packer {arguments}: {code:?} {said}"
            );
            // The refused bundle is the one that was named.
            let named = said.contains(name) || said.contains("refused (too_large)");
            assert!(named, "{file}, {kind}: packer {arguments}: {said}");
            assert_eq!(said.trim_end().lines().count(), 1, "{file}, {kind}: {said}");
            if path.is_dir() {
                std::fs::remove_dir(&path).unwrap()
            } else {
                std::fs::remove_file(&path).unwrap()
            }
        }
        if there {
            std::fs::rename(&aside, &path).unwrap();
        }
        assert!(!at.join("no").exists(), "packer {arguments}");
    }
    good(at, "verify b.medforge --trust k.pub");
}

#[test]
fn a_link_to_a_file_is_read_and_so_is_standard_input_from_one() {
    let dir = with_bundle();
    let at = dir.path();
    symlink("b.medforge", at.join("link.medforge")).unwrap();
    good(at, "verify link.medforge --trust k.pub");
    let verify = |input: std::process::Stdio| {
        packer(at, "verify /dev/stdin --trust k.pub").stdin(input).output().unwrap()
    };
    let output = verify(std::fs::File::open(at.join("b.medforge")).unwrap().into());
    assert!(output.status.success(), "{}", said(&output));
    let output = verify(std::process::Stdio::piped());
    assert!(said(&output).contains("/dev/stdin: it is a pipe"), "{}", said(&output));
}

/// Names and values that are as long and hostile as a file allows.
#[test]
fn no_error_is_endless_or_drives_a_terminal() {
    let dir = workshop();
    let at = dir.path();
    let hostile = [
        "n".repeat(5000),
        "\u{1b}[2J\u{202e}\u{200b}".repeat(1000),
        "a b ".repeat(5000),
        "n ".repeat(480),
    ];
    let config = std::fs::read_to_string(at.join("base/config.json")).unwrap();
    let list = std::fs::read_to_string(at.join("data/splits.csv")).unwrap();
    for name in &hostile {
        let quoted = serde_json::to_string(name).unwrap();
        let tensors =
            format!("{{{quoted}:{{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}}}");
        let mut weights = std::fs::File::create(at.join("other.safetensors")).unwrap();
        weights.write_all(&(tensors.len() as u64).to_le_bytes()).unwrap();
        weights.write_all(tensors.as_bytes()).unwrap();
        weights.write_all(&[0; 4]).unwrap();
        let weights = std::fs::read(at.join("other.safetensors")).unwrap();
        let first = list.lines().nth(1).unwrap();
        let label = first.split(',').nth(1).unwrap();
        for (file, text) in [
            ("base/config.json", config.replace("\"vit\"", &quoted).into_bytes()),
            ("base/model.safetensors", weights),
            (
                "data/splits.csv",
                list.replacen(first, &first.replacen(label, &name.replace(' ', "_"), 1), 1)
                    .into_bytes(),
            ),
            ("data/splits.csv", list.replacen("path", name, 1).into_bytes()),
            ("packer.toml", format!("[train]\n{quoted} = 1\n").into_bytes()),
            ("packer.toml", format!("[train]\ndata = {name}\n").into_bytes()),
        ] {
            let before = std::fs::read(at.join(file)).ok();
            std::fs::write(at.join(file), text).unwrap();
            let sentence = refused(at, 1, &format!("{TRAIN} --out no"));
            assert!(sentence.chars().count() < 1200, "{file}: {sentence}");
            assert!(
                sentence
                    .trim_end()
                    .chars()
                    .all(|c| c == ' ' || c.escape_debug().len() == 1 || "\"'\\".contains(c)),
                "{file}: {sentence}"
            );
            assert!(sentence.matches('n').count() < 400, "{file}: {sentence}");
            assert!(sentence.matches("n ").count() < 170, "{file}: {sentence}");
            match before {
                Some(before) => std::fs::write(at.join(file), before).unwrap(),
                None => std::fs::remove_file(at.join(file)).unwrap(),
            }
        }
    }
}
