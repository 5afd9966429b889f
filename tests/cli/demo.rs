//! `packer demo`, small: its files, a page that needs no network, and next commands that work.

use super::*;

const SMALL: &str = "demo --images 24 --epochs 1 --out out";

#[test]
fn the_demonstration_leaves_a_report_a_bundle_and_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let (at, out, scratch) = (dir.path(), dir.path().join("out"), dir.path().join("scratch"));
    std::fs::create_dir(&scratch).unwrap();
    let output = packer(at, SMALL).env("TMPDIR", &scratch).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).lines().any(|line| line.starts_with("5/5")), "{}", said(&output));
    #[cfg(unix)]
    assert_eq!(listing(&scratch), Vec::<PathBuf>::new());

    let pictures = pictures_on_page(&out.join("report.html"));
    let files: Vec<PathBuf> = listing(&out).into_iter().filter(|path| path.is_file()).collect();
    assert_eq!(
        files.iter().filter(|path| path.parent().unwrap().ends_with("images")).count(),
        pictures
    );
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        assert!(
            !bytes.windows(11).any(|w| w == b"PRIVATE KEY"),
            "{} holds a secret key",
            file.display()
        );
    }

    let text = String::from_utf8(output.stdout).unwrap();
    for task in ["tissue-a", "tissue-b", "tissue-c"] {
        assert!(text.contains(&format!("{task}: balanced accuracy ")), "{text}");
        assert!(good(at, "inspect out/demo.medforge").contains(task));
    }
    let next: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  packer ")).collect();
    assert_eq!(next.len(), 5, "{text}");
    let said: Vec<String> =
        next.iter().map(|command| good(at, &as_a_shell_would(at, command))).collect();
    assert!(said[0].starts_with("verified") && said[2].lines().count() >= 4, "{said:?}");

    let before = listing(&out);
    assert!(refused(at, 1, SMALL).contains("--force"));
    assert_eq!(listing(&out), before);
    good(at, &format!("{SMALL} --force"));
    assert!(!out.join("more").exists(), "the old folder was kept");
    assert_eq!(
        listing(at).iter().filter(|path| path.parent() == Some(at)).count(),
        2,
        "something is left beside"
    );
}

/// The number of pictures on the page, which loads nothing and has all of its parts.
fn pictures_on_page(path: &Path) -> usize {
    let page = std::fs::read_to_string(path).unwrap();
    for outside in ["http:", "https:", "<script", "<link", "@import", "url("] {
        assert!(!page.contains(outside), "the page holds {outside}");
    }
    let pictures = page.matches(" src=\"").count();
    assert!(
        pictures >= 9 && pictures == page.matches(" src=\"data:image/png;base64,").count(),
        "{pictures}"
    );
    for word in [
        "synthetic",
        "Training loss",
        "linear probe",
        "colour alone",
        "tested at hospital c",
        "was refused",
    ] {
        assert!(page.contains(word), "the page has no {word}");
    }
    pictures
}

#[test]
fn the_seed_of_the_embedded_base_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    assert!(refused(dir.path(), 1, &format!("{SMALL} --seed 1000")).contains("trained on"));
    assert_eq!(listing(dir.path()), Vec::<PathBuf>::new());
}

/// The command with the one pattern `DIR/a-*.png` replaced by the files that it means.
fn as_a_shell_would(dir: &Path, command: &str) -> String {
    let Some((before, folder)) = command.strip_suffix("/a-*.png").and_then(|c| c.rsplit_once(' '))
    else {
        return command.to_owned();
    };
    let mut expanded = before.to_owned();
    for path in listing(&dir.join(folder)) {
        let name = path.file_name().unwrap().to_str().unwrap();
        if name.starts_with("a-") {
            expanded += &format!(" {folder}/{name}");
        }
    }
    expanded
}
