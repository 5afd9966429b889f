//! Training that is stopped by kill -9, by Ctrl-C or by a full disk. Nothing is left half-written,
//! and a resumed training gives the same bytes.
#![cfg(unix)]

use super::*;

/// A training of a few seconds.
const LONG: &str = "train --base base --data data --task tissue --epochs 60 --batch 4 --rank 2 \
                    --alpha 4 --lr 0.001 --out m";

fn assert_same_module(a: &Path, b: &Path) {
    for file in ["adapter_model.safetensors", "head.safetensors"] {
        assert!(
            std::fs::read(a.join("m").join(file)).unwrap()
                == std::fs::read(b.join("m").join(file)).unwrap(),
            "{file}"
        );
    }
}

#[test]
fn a_killed_training_goes_on_with_resume_and_ends_with_the_same_bytes() {
    let (whole, killed) = (workshop(), workshop());
    good(whole.path(), LONG);
    let at = killed.path();
    stopped(at, LONG, "m", |child| child.kill().unwrap());
    assert!(
        refused(at, 1, LONG).contains("--resume"),
        "a second start would forget the checkpoint"
    );
    assert!(
        refused(
            at,
            1,
            &format!("{} --resume", LONG.replace("--seed 0", "").replace("0.001", "0.002"))
        )
        .contains("settings")
    );
    good(at, &format!("{LONG} --resume"));
    assert!(!at.join("m.checkpoint").exists());
    assert_same_module(whole.path(), at);
}

#[test]
fn ctrl_c_keeps_a_checkpoint_and_nothing_else() {
    let (whole, interrupted) = (workshop(), workshop());
    good(whole.path(), LONG);
    let at = interrupted.path();
    let before = listing(at);
    let output = stopped(at, LONG, "m", |child| {
        let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
        assert!(kill.success());
    });
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(said(&output).contains("--resume"), "{}", said(&output));
    let left: Vec<PathBuf> = listing(at).into_iter().filter(|p| !before.contains(p)).collect();
    assert_eq!(left, [at.join("m.checkpoint")]);
    good(at, &format!("{LONG} --resume"));
    assert_same_module(whole.path(), at);
}

/// A limit on file sizes stands in for a full disk: writing fails in the middle of a file.
#[test]
fn a_full_disk_is_one_sentence_and_leaves_nothing() {
    let dir = with_bundle();
    let at = dir.path();
    let before = listing(at);
    for arguments in [
        format!("{TRAIN} --out full"),
        "bundle --base base --module m --key k.key --out full.medforge".to_owned(),
    ] {
        let script =
            format!("trap '' XFSZ; ulimit -f 4; exec {} {arguments}", env!("CARGO_BIN_EXE_packer"));
        let output = Command::new("sh")
            .args(["-c", &script])
            .current_dir(at)
            .env_remove("RUST_BACKTRACE")
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(1), "{arguments}: {}", said(&output));
        let last = said(&output).lines().last().unwrap_or_default().to_owned();
        assert!(last.starts_with("packer: ") && last.contains("full"), "{}", said(&output));
        assert_eq!(listing(at), before, "{arguments} left files behind");
    }
}
