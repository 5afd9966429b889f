//! `include/medforge.h` is what cbindgen makes of the sources and of the table of result codes, and
//! every code has its name.

use std::path::Path;

use medforge::Status;

/// With MEDFORGE_UPDATE_HEADER set, the header is written anew instead.
#[test]
fn the_header_is_up_to_date() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    let place = tempfile::tempdir().unwrap();
    let codes = place.path().join("codes.rs");
    std::fs::write(&codes, code_enum()).unwrap();
    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_config(config)
        .with_src(codes)
        .with_src(root.join("src/status.rs"))
        .with_src(root.join("src/last_error.rs"))
        .with_src(root.join("src/log.rs"))
        .with_src(root.join("src/open/options.rs"))
        .with_src(root.join("src/open.rs"))
        .with_src(root.join("src/report.rs"))
        .with_src(root.join("src/selection.rs"))
        .with_src(root.join("src/image/structs.rs"))
        .with_src(root.join("src/results/structs.rs"))
        .with_src(root.join("src/results.rs"))
        .with_src(root.join("src/classifier/handle.rs"))
        .with_src(root.join("src/classifier.rs"))
        .with_src(root.join("src/classifier/lists.rs"))
        .with_src(root.join("src/classifier/tasks.rs"))
        .generate()
        .unwrap()
        .write(&mut made);
    let path = root.join("include/medforge.h");
    if std::env::var_os("MEDFORGE_UPDATE_HEADER").is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let kept = std::fs::read(&path).unwrap_or_default();
    assert!(
        kept == made,
        "include/medforge.h is out of date: run the tests once with MEDFORGE_UPDATE_HEADER=1 and \
         commit it"
    );
}

/// The enum of codes as a file of its own: cbindgen reads no macros.
fn code_enum() -> String {
    let mut text = "/// What a function came to. Numbers are never reused: 1 to 19 are about the \
                    call, 50 to 59 about\n\
                    /// the device and the question asked. From 100 on they say what was refused: \
                    those are the\n\
                    /// classes of the format's documentation, under the same names.\n\
                    #[repr(u32)]\npub enum Status {\n"
        .to_owned();
    for (status, _, meaning) in Status::ALL {
        let (first, rest) = meaning.split_at(1);
        let number = *status as u32;
        text += &format!("/// {}{rest}.\n{status:?} = {number},\n", first.to_uppercase());
    }
    text + "}\n"
}

#[test]
fn every_code_in_the_header_has_its_own_name() {
    let header =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("include/medforge.h"))
            .unwrap();
    let mut codes = 0;
    for line in header.lines().filter_map(|l| l.trim().strip_prefix("MEDFORGE_RESULT_")) {
        let Some((name, number)) = line.trim_end_matches(',').split_once(" = ") else { continue };
        // SAFETY: the function never returns NULL and its strings are static.
        let ours = unsafe {
            std::ffi::CStr::from_ptr(medforge::medforge_result_name(number.parse().unwrap()))
        };
        assert_eq!(ours.to_str().unwrap(), name);
        codes += 1;
    }
    assert!(codes > 30, "only {codes} codes were found in the header");
}
