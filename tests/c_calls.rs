//! Every function of the C API from Rust: what it gives, what it refuses, and many threads while
//! bundles change.

#[path = "small.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod small;

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::PathBuf;
use std::ptr::{null, null_mut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use ed25519_dalek::SigningKey;
use medforge::*;
use medforge_packer::base::Vit;
use medforge_packer::export::{self, codes};
use medforge_runtime::bundle::{Trust, verify};
use medforge_runtime::classify::Classifier as Reference;
use medforge_runtime::image::RgbImage8;

const SIDE: u32 = 16;

/// Two bundles of one base: `a` with tasks task0 and task1 and codes, `b` with task2; their key in
/// PEM.
struct Fixture {
    a: Vec<u8>,
    b: Vec<u8>,
    pem: Vec<u8>,
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let vit: Vit = small::base(dir.path());
        let key = SigningKey::from_bytes(&[1; 32]);
        let module = |i: usize| small::lora(&vit, &format!("task{i}"), i * 11, i + 1, None);
        let options = |name: &str| small::options(name);
        let keys = [key.clone()];
        let a = export::build_bundle(&vit, &[module(0), module(1)], &options("a"), &keys).unwrap();
        let table = dir.path().join("codes.csv");
        let classes = {
            let trust = Trust::new(vec![key.verifying_key()], 1).unwrap();
            verify(a.clone(), &trust).unwrap().manifest().heads[0].classes.clone()
        };
        let mut text = "task,class,scheme,value,meaning\n".to_owned();
        for (i, class) in classes.iter().enumerate() {
            text += &format!("task0,{class},SCT,{i}0001,Meaning {i}\n");
        }
        std::fs::write(&table, text).unwrap();
        let a = codes::coded(a, &table, &keys).unwrap();
        let b = export::build_bundle(&vit, &[module(2)], &options("b"), &keys).unwrap();
        let pem = export::keys::to_pem(&key).public.as_bytes().to_vec();
        Fixture { a, b, pem, dir }
    }

    fn options(&self) -> OpenOptions {
        OpenOptions {
            trust_data: self.pem.as_ptr(),
            trust_length: self.pem.len(),
            ..OpenOptions::new()
        }
    }

    fn source(bytes: &[u8]) -> Source {
        Source { data: bytes.as_ptr(), length: bytes.len(), ..Source::new() }
    }

    fn open(&self) -> *mut Classifier {
        let mut classifier = null_mut();
        // SAFETY: structs and buffers that outlive the call.
        let status =
            unsafe { medforge_open_with(&Self::source(&self.a), &self.options(), &mut classifier) };
        assert_eq!(status, Status::Ok, "{}", last_error());
        classifier
    }

    fn reference(&self) -> Reference {
        let trust = Trust::from_pem(std::str::from_utf8(&self.pem).unwrap()).unwrap();
        Reference::load(verify(self.a.clone(), &trust).unwrap()).unwrap()
    }
}

fn pixels(seed: u32) -> Vec<u8> {
    (0..SIDE * SIDE * 3).map(|i| (i * (37 + seed) % 251) as u8).collect()
}

fn rgb(data: &[u8]) -> Image {
    Image {
        data: data.as_ptr().cast(),
        length: data.len(),
        rows: SIDE,
        columns: SIDE,
        photometric: PhotometricInterpretation::Rgb as u32,
        bits_allocated: 8,
        ..Image::new()
    }
}

fn text(pointer: *const c_char) -> String {
    // SAFETY: what the library lends is a string, or NULL.
    if pointer.is_null() {
        "NULL".into()
    } else {
        unsafe { CStr::from_ptr(pointer) }.to_str().unwrap().to_owned()
    }
}

fn last_error() -> String {
    text(medforge_last_error())
}

fn classified(
    classifier: *const Classifier,
    images: &[Image],
    options: &ClassifyOptions,
) -> Result<*mut Results, Status> {
    let mut results = null_mut();
    // SAFETY: what the caller gives is open and as long as it says.
    match unsafe {
        medforge_classify(classifier, images.as_ptr(), images.len(), options, &mut results)
    } {
        Status::Ok => Ok(results),
        other => {
            assert!(results.is_null(), "an output was written on failure");
            Err(other)
        }
    }
}

fn result(results: *const Results, index: usize) -> Classification {
    let mut found = Classification::new();
    // SAFETY: results that are not freed, and a local.
    assert_eq!(unsafe { medforge_results_get(results, index, &mut found) }, Status::Ok);
    found
}

#[test]
fn results_say_what_was_found_and_with_what() {
    let fixture = Fixture::new();
    let (classifier, reference) = (fixture.open(), fixture.reference());
    let (one, two) = (pixels(0), pixels(1));
    let options = ClassifyOptions { task: c"task0".as_ptr(), ..ClassifyOptions::new() };
    let results = classified(classifier, &[rgb(&one), rgb(&two)], &options).unwrap();
    let mut count = 0;
    // SAFETY: handles that are open, locals, and what the library lends.
    unsafe {
        assert_eq!(medforge_results_count(results, &mut count), Status::Ok);
        assert_eq!(count, 2);
        for (index, data) in [&one, &two].into_iter().enumerate() {
            let image = RgbImage8::new(data.clone(), SIDE, SIDE).unwrap();
            let expected = reference.classify(image.view(), Some("task0")).unwrap();
            let found = result(results, index);
            let probabilities = std::slice::from_raw_parts(found.probabilities, found.class_count);
            assert_eq!(probabilities, expected.probabilities);
            assert_eq!((text(found.task), found.top), ("task0".into(), expected.top().0));
            let names = std::slice::from_raw_parts(found.class_names, found.class_count);
            assert_eq!(
                names.iter().map(|name| text(*name)).collect::<Vec<_>>(),
                &*expected.classes
            );
            let codes = std::slice::from_raw_parts(found.class_codes, found.class_count);
            assert_eq!(
                (text(codes[1].scheme), text(codes[1].value)),
                ("SCT".into(), "10001".into())
            );
            assert_eq!(text(codes[1].meaning), "Meaning 1");
            assert_eq!(
                (text(found.bundle_id), text(found.composition_id)),
                (expected.bundle.to_string(), expected.composition.to_string())
            );
            assert_eq!(
                (found.module_count, text(*found.module_ids)),
                (1, expected.modules[0].id.clone())
            );
            assert_eq!((*found.module_weights, found.signer_count), (1.0, 1));
            assert_eq!(
                text(*found.signers),
                hex::encode(SigningKey::from_bytes(&[1; 32]).verifying_key().as_bytes())
            );
            assert_eq!(text(found.pixels_sha256), medforge_runtime::bundle::sha256_hex(data));
            assert_eq!(text(found.device_uid), expected.device_uid());
            assert!(
                found.base_ns > 0
                    && text(found.device_uid).starts_with("2.25.")
                    && text(found.device_uid).len() <= 64
            );
            let json: serde_json::Value = serde_json::from_str(&text(found.json)).unwrap();
            assert_eq!(json["classes"][0]["probability"], f64::from(expected.probabilities[0]));
            assert_eq!(json["pixels_sha256"], text(found.pixels_sha256).as_str());
            assert_eq!(json["signers"][0], text(*found.signers).as_str());
        }
        // A caller that was built when the struct was as it is now, and one that never set its
        // size.
        let mut short = Classification { struct_size: 8, ..Classification::new() };
        assert_eq!(medforge_results_get(results, 0, &mut short), Status::OutOfRange);
        assert!(last_error().contains("struct_size"), "{}", last_error());
        assert_eq!(
            medforge_results_get(results, 2, &mut Classification::new()),
            Status::OutOfRange
        );
        medforge_results_free(results);

        // Another composition is another device.
        let modules = [0, 1].map(|index| {
            let mut id = null();
            assert_eq!(medforge_module_id(classifier, index, &mut id), Status::Ok);
            id
        });
        let weights = [0.25, -0.5];
        let mut uids = Vec::new();
        for kind in [SelectionKind::Frozen, SelectionKind::Fusion, SelectionKind::Mixture] {
            let selection = Selection {
                kind: kind as u32,
                count: 2,
                modules: modules.as_ptr(),
                weights: weights.as_ptr(),
            };
            let options = ClassifyOptions { selection: &selection, ..options };
            let results = classified(classifier, &[rgb(&one)], &options).unwrap();
            uids.push(text(result(results, 0).device_uid));
            medforge_results_free(results);
        }
        uids.push(text(
            result(classified(classifier, &[rgb(&one)], &options).unwrap(), 0).device_uid,
        ));
        uids.sort();
        uids.dedup();
        assert_eq!(uids.len(), 4);
        let unknown = [c"unknown".as_ptr()];
        let selection = Selection { kind: 2, count: 1, modules: unknown.as_ptr(), weights: null() };
        let asked = ClassifyOptions { selection: &selection, ..options };
        assert_eq!(classified(classifier, &[rgb(&one)], &asked), Err(Status::UnknownModule));
        let selection = Selection { kind: 9, ..selection };
        let asked = ClassifyOptions { selection: &selection, ..options };
        assert_eq!(classified(classifier, &[rgb(&one)], &asked), Err(Status::Selection));
        assert_eq!(
            classified(classifier, &[rgb(&one)], &ClassifyOptions::new()),
            Err(Status::TaskNeeded)
        );

        let mut cancel = null_mut();
        assert_eq!(medforge_cancel_new(&mut cancel), Status::Ok);
        let asked = ClassifyOptions { cancel, timeout_ms: 60_000, ..options };
        medforge_results_free(classified(classifier, &[rgb(&one)], &asked).unwrap());
        assert_eq!(medforge_cancel_set(cancel), Status::Ok);
        assert_eq!(classified(classifier, &[rgb(&one)], &asked), Err(Status::Cancelled));
        medforge_cancel_free(cancel);
        medforge_close(classifier);
    }
}

#[test]
fn maps_come_with_the_same_answers_and_only_when_asked_for() {
    let fixture = Fixture::new();
    let (classifier, reference) = (fixture.open(), fixture.reference());
    let data = [pixels(0), pixels(1)];
    let images = [rgb(&data[0]), rgb(&data[1])];
    let options = ClassifyOptions { task: c"task0".as_ptr(), ..ClassifyOptions::new() };
    let plain = classified(classifier, &images, &options).unwrap();
    let mut explained = null_mut();
    let mut map = Map::new();
    // SAFETY: handles that are open, locals, and what the library lends.
    unsafe {
        assert_eq!(
            medforge_explain(classifier, images.as_ptr(), 2, &options, &mut explained),
            Status::Ok
        );
        for (index, data) in data.iter().enumerate() {
            let [without, with] = [plain, explained].map(|results| {
                let found = result(results, index);
                std::slice::from_raw_parts(found.probabilities, found.class_count)
            });
            assert_eq!(without, with);
            assert_eq!(medforge_results_map(explained, index, &mut map), Status::Ok);
            let image = RgbImage8::new(data.clone(), SIDE, SIDE).unwrap();
            let (selection, cancel) = Default::default();
            let (_, expected) =
                reference.explain(image.view(), Some("task0"), &selection, &cancel).unwrap();
            assert_eq!(
                std::slice::from_raw_parts(map.values, map.grid * map.grid),
                expected.values
            );
            assert_eq!(
                (map.grid, [map.left, map.top, map.width, map.height]),
                (expected.grid, expected.seen)
            );
        }
        assert_eq!(medforge_results_map(explained, 2, &mut map), Status::OutOfRange);
        assert_eq!(medforge_results_map(explained, 0, null_mut()), Status::NullPointer);
        let mut short = Map { struct_size: 8, ..Map::new() };
        assert_eq!(medforge_results_map(explained, 0, &mut short), Status::OutOfRange);
        assert!(last_error().contains("struct_size"), "{}", last_error());
        assert_eq!(medforge_results_map(plain, 0, &mut map), Status::OutOfRange);
        assert!(last_error().contains("medforge_explain"), "{}", last_error());
        let wrong = [rgb(&data[0]), Image { rows: 99, ..rgb(&data[1]) }];
        let mut none = null_mut();
        assert_eq!(
            medforge_explain(classifier, wrong.as_ptr(), 2, &options, &mut none),
            Status::Pixels
        );
        assert!(
            none.is_null() && last_error().starts_with("image 1 of the batch"),
            "{}",
            last_error()
        );
        medforge_results_free(plain);
        medforge_results_free(explained);
        medforge_close(classifier);
    }
}

#[test]
fn images_of_every_kind_are_read_or_refused_by_name() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let options = ClassifyOptions { task: c"task0".as_ptr(), ..ClassifyOptions::new() };
    let data = pixels(3);
    let probabilities = |image: Image| {
        let results = classified(classifier, &[image], &options)?;
        let found = result(results, 0);
        // SAFETY: as many as there are, and freed once.
        let all =
            unsafe { std::slice::from_raw_parts(found.probabilities, found.class_count).to_vec() };
        unsafe { medforge_results_free(results) };
        Ok::<_, Status>(all)
    };
    let expected = probabilities(rgb(&data)).unwrap();
    // The same in planes, and as a PNG file.
    let planes: Vec<u8> = (0..3).flat_map(|c| data.iter().skip(c).step_by(3).copied()).collect();
    assert_eq!(probabilities(Image { planar: 1, ..rgb(&planes) }).unwrap(), expected);
    let png = export_png(&data);
    let file = Image {
        kind: ImageKind::File as u32,
        data: png.as_ptr().cast(),
        length: png.len(),
        ..Image::new()
    };
    assert_eq!(probabilities(file).unwrap(), expected);
    // Gray of sixteen bits, twelve of them stored, through a window that is the identity; then its
    // second frame.
    let gray: Vec<u8> = data.iter().step_by(3).copied().collect();
    let spread: Vec<u8> = gray.iter().flat_map(|v| u16::from(*v).to_le_bytes()).collect();
    let thrice: Vec<u8> = gray.iter().flat_map(|v| [*v; 3]).collect();
    let expected = probabilities(rgb(&thrice)).unwrap();
    let two = [vec![0; spread.len()], spread].concat();
    let words = Image {
        data: two.as_ptr().cast(),
        length: two.len(),
        rows: SIDE,
        columns: SIDE,
        frame: 1,
        bits_allocated: 16,
        bits_stored: 12,
        voi: ValuesOfInterest::LinearExact as u32,
        window_center: 127.5,
        window_width: 255.0,
        ..Image::new()
    };
    assert_eq!(probabilities(words).unwrap(), expected);
    assert_eq!(
        probabilities(Image {
            rescale_slope: -1.0,
            rescale_intercept: 255.0,
            photometric: 1,
            ..words
        })
        .unwrap(),
        expected
    );
    let entries: Vec<u16> = (0..256).collect();
    let lut = Lut { first_value: 0, bits: 8, count: 256, entries: entries.as_ptr() };
    assert_eq!(probabilities(Image { voi: 4, voi_lut: &lut, ..words }).unwrap(), expected);
    let palette = Image { palette: [&lut; 3], photometric: 4, voi: 0, ..words };
    assert_eq!(probabilities(palette).unwrap(), expected);

    let wrong: [(Image, Status, &str); 12] = [
        (Image { data: null(), ..rgb(&data) }, Status::NullPointer, "image.data"),
        (Image { struct_size: 4, ..rgb(&data) }, Status::OutOfRange, "struct_size"),
        (Image { kind: 7, ..rgb(&data) }, Status::Pixels, "kind"),
        (Image { rows: SIDE + 1, ..rgb(&data) }, Status::Pixels, "bytes"),
        (Image { frame: 1, ..rgb(&data) }, Status::Pixels, "bytes"),
        (Image { bits_allocated: 70_000, ..rgb(&data) }, Status::Pixels, "bits_allocated"),
        (Image { photometric: 9, ..rgb(&data) }, Status::Pixels, "photometric"),
        (Image { samples: 1, ..rgb(&data) }, Status::Pixels, "samples"),
        (Image { voi: 4, ..words }, Status::NullPointer, "voi_lut"),
        (Image { photometric: 4, ..words }, Status::NullPointer, "palette[0]"),
        (Image { kind: ImageKind::Dicom as u32, ..rgb(&data) }, Status::Image, "DICOM"),
        (Image { kind: ImageKind::File as u32, ..rgb(&data) }, Status::Image, "PNG"),
    ];
    for (image, status, word) in wrong {
        assert_eq!(probabilities(image), Err(status), "{word}: {}", last_error());
        assert!(last_error().contains(word), "{word}: {}", last_error());
    }
    let batch = [rgb(&data), Image { rows: 99, ..rgb(&data) }];
    assert_eq!(classified(classifier, &batch, &options), Err(Status::Pixels));
    assert!(last_error().starts_with("image 1 of the batch"), "{}", last_error());
    // SAFETY: open, and not used any more.
    unsafe { medforge_close(classifier) };
}

fn export_png(data: &[u8]) -> Vec<u8> {
    let mut png = std::io::Cursor::new(Vec::new());
    let image = image::RgbImage::from_raw(SIDE, SIDE, data.to_vec()).unwrap();
    image.write_to(&mut png, image::ImageFormat::Png).unwrap();
    png.into_inner()
}

/// Lines of the log: level and text.
static LINES: Mutex<Vec<(u32, String)>> = Mutex::new(Vec::new());

unsafe extern "C" fn keep(level: u32, line: *const c_char, user: *mut c_void) {
    assert_eq!(user as usize, 42);
    LINES.lock().unwrap().push((level, text(line)));
}

#[test]
fn bundles_come_and_go_defaults_change_and_the_log_tells() {
    let fixture = Fixture::new();
    // SAFETY: handles that are open, locals, strings and what the library lends.
    unsafe {
        medforge_set_log(Some(keep), 42 as *mut c_void);
        let classifier = fixture.open();
        let (mut count, mut id, mut kind, mut weight) = (0, null(), 0, 0.0);
        assert_eq!(medforge_bundle_count(classifier, &mut count), Status::Ok);
        assert_eq!(medforge_bundle_id(classifier, 0, &mut id), Status::Ok);
        let first = text(id);
        let name = CString::new(first.clone()).unwrap();
        assert_eq!(medforge_manifest(classifier, name.as_ptr(), &mut id), Status::Ok);
        assert!(text(id).contains("\"name\":\"a\""));
        assert_eq!(medforge_manifest(classifier, c"none".as_ptr(), &mut id), Status::OutOfRange);
        assert_eq!(
            medforge_default(classifier, c"task1".as_ptr(), &mut kind, &mut count),
            Status::Ok
        );
        assert_eq!((kind, count), (SelectionKind::Fusion as u32, 1));
        assert_eq!(
            medforge_default_module(classifier, c"task1".as_ptr(), 0, &mut id, &mut weight),
            Status::Ok
        );
        assert_eq!((text(id).len(), weight), (64, 1.0));
        assert_eq!(
            medforge_default_module(classifier, c"task1".as_ptr(), 1, &mut id, &mut weight),
            Status::OutOfRange
        );
        let (mut scheme, mut value, mut meaning) = (null(), null(), null());
        let mut code = |task: &CStr, index| {
            let status = medforge_class_code(
                classifier,
                task.as_ptr(),
                index,
                &mut scheme,
                &mut value,
                &mut meaning,
            );
            (status, text(scheme), text(value), text(meaning))
        };
        assert_eq!(
            code(c"task0", 0),
            (Status::Ok, "SCT".into(), "00001".into(), "Meaning 0".into())
        );
        assert_eq!(code(c"task1", 0), (Status::Ok, "NULL".into(), "NULL".into(), "NULL".into()));
        assert_eq!(code(c"task1", 99).0, Status::OutOfRange);

        assert_eq!(
            medforge_set_default(
                classifier,
                c"task1".as_ptr(),
                &Selection { kind: 1, count: 0, modules: null(), weights: null() }
            ),
            Status::Ok
        );
        assert_eq!(
            medforge_default(classifier, c"task1".as_ptr(), &mut kind, &mut count),
            Status::Ok
        );
        assert_eq!((kind, count), (SelectionKind::Frozen as u32, 0));

        let (second, options) = (Fixture::source(&fixture.b), fixture.options());
        let before = memory(classifier);
        assert_eq!(medforge_add(classifier, &second, &options), Status::Ok, "{}", last_error());
        let after = memory(classifier);
        assert!(after.base == before.base && after.modules > before.modules);
        assert_eq!(medforge_add(classifier, &second, &options), Status::Unchanged);
        assert_eq!(medforge_task_count(classifier, &mut count), Status::Ok);
        assert_eq!(count, 3);
        assert_eq!(medforge_unload(classifier, name.as_ptr()), Status::Ok);
        assert_eq!(medforge_unload(classifier, name.as_ptr()), Status::Unchanged);
        assert_eq!(medforge_module_count(classifier, &mut count), Status::Ok);
        assert_eq!(count, 1);
        assert_eq!(
            medforge_replace(classifier, &Fixture::source(&fixture.a), &options),
            Status::Ok
        );
        assert_eq!(medforge_bundle_count(classifier, &mut count), Status::Ok);
        assert_eq!(medforge_bundle_id(classifier, 0, &mut id), Status::Ok);
        assert_eq!((count, text(id)), (1, first.clone()));
        medforge_set_log(None, null_mut());
        medforge_close(classifier);
        let lines = std::mem::take(&mut *LINES.lock().unwrap());
        let has =
            |level, words: &str| lines.iter().any(|(l, line)| *l == level && line.contains(words));
        assert!(
            has(Level::Info as u32, &format!("bundle {first}, a version 1, was accepted")),
            "{lines:?}"
        );
        assert!(
            has(Level::Info as u32, "was unloaded")
                && has(Level::Info as u32, "task task1 runs with Frozen"),
            "{lines:?}"
        );
        assert!(has(Level::Error as u32, "UNCHANGED: "), "{lines:?}");
    }
}

fn memory(classifier: *const Classifier) -> Memory {
    let mut memory = Memory::new();
    // SAFETY: open, and a local.
    assert_eq!(unsafe { medforge_memory_use(classifier, &mut memory) }, Status::Ok);
    memory
}

#[test]
fn verifying_reports_without_loading_and_options_are_carried_out() {
    let fixture = Fixture::new();
    let string = |path: PathBuf| CString::new(path.to_str().unwrap()).unwrap();
    // SAFETY: structs, strings and locals that outlive the calls.
    unsafe {
        let mut report = null_mut();
        let source = Fixture::source(&fixture.a);
        assert_eq!(
            medforge_verify(&source, &fixture.options(), &mut report),
            Status::Ok,
            "{}",
            last_error()
        );
        let mut view = ReportView::new();
        assert_eq!(medforge_report_get(report, &mut view), Status::Ok);
        assert_eq!(
            (text(view.name), view.counter, view.task_count, view.module_count),
            ("a".into(), 1, 2, 2)
        );
        let json: serde_json::Value = serde_json::from_str(&text(view.json)).unwrap();
        assert_eq!((json["id"].as_str(), view.signer_count), (Some(text(view.id).as_str()), 1));
        assert_eq!(json["manifest"]["intended_use"], text(view.intended_use).as_str());
        medforge_report_free(report);

        let path = string(fixture.dir.path().join("a.medforge"));
        std::fs::write(fixture.dir.path().join("a.medforge"), &fixture.a).unwrap();
        let state = string(fixture.dir.path().join("state.json"));
        let file = Source { path: path.as_ptr(), ..Source::new() };
        let remembered = OpenOptions {
            state_path: state.as_ptr(),
            threads: 2,
            spread_images: 1,
            ..fixture.options()
        };
        let mut classifier = null_mut();
        assert_eq!(
            medforge_open_with(&file, &remembered, &mut classifier),
            Status::Ok,
            "{}",
            last_error()
        );
        assert!(fixture.dir.path().join("state.json").exists());
        medforge_close(classifier);
        let int8 = OpenOptions { int8: 1, ..fixture.options() };
        assert_eq!(medforge_open_with(&file, &int8, &mut classifier), Status::Precision);
        for costly in [
            OpenOptions { most_bytes: 1, ..fixture.options() },
            OpenOptions { most_operations: 1, ..fixture.options() },
        ] {
            assert_eq!(medforge_open_with(&file, &costly, &mut classifier), Status::TooCostly);
            assert!(last_error().contains("are allowed"), "{}", last_error());
        }
        let mut limits = Limits::new();
        assert_eq!(medforge_limits_get(&mut limits), Status::Ok);
        assert!(limits.bundle == u64::from(u32::MAX) && limits.pixels > 1 << 20);
        let version =
            format!("{MEDFORGE_VERSION_MAJOR}.{MEDFORGE_VERSION_MINOR}.{MEDFORGE_VERSION_PATCH}");
        assert_eq!(text(medforge_version()), version);
    }
}

#[test]
fn threads_without_measure_are_refused() {
    let fixture = Fixture::new();
    let source = Fixture::source(&fixture.a);
    let most = 4 * std::thread::available_parallelism().unwrap().get() as u32;
    let mut classifier = null_mut();
    for threads in [most + 1, 10_000, u32::MAX] {
        let options = OpenOptions { threads, ..fixture.options() };
        // SAFETY: all of it lives until the end of the test.
        assert_eq!(
            unsafe { medforge_open_with(&source, &options, &mut classifier) },
            Status::OutOfRange
        );
        assert!(
            last_error().contains(&format!("options.threads is {threads}")),
            "{}",
            last_error()
        );
    }
    let options = OpenOptions { threads: most, ..fixture.options() };
    // SAFETY: as above, and it is closed once.
    unsafe {
        assert_eq!(
            medforge_open_with(&source, &options, &mut classifier),
            Status::Ok,
            "{}",
            last_error()
        );
        medforge_close(classifier);
    }
}

#[test]
fn null_is_a_code_everywhere() {
    let fixture = Fixture::new();
    let classifier = fixture.open();
    let (source, options) = (Fixture::source(&fixture.a), fixture.options());
    let (mut index, mut kind, mut weight, mut string) = (0, 0, 0.0, null());
    let data = pixels(0);
    let image = rgb(&data);
    // SAFETY: NULL is what is tried; everything else is valid.
    unsafe {
        let n = null::<Classifier>();
        let calls = [
            medforge_bundle_count(n, &mut index),
            medforge_bundle_count(classifier, null_mut()),
            medforge_bundle_id(n, 0, &mut string),
            medforge_bundle_id(classifier, 0, null_mut()),
            medforge_manifest(n, c"x".as_ptr(), &mut string),
            medforge_manifest(classifier, null(), &mut string),
            medforge_task_count(n, &mut index),
            medforge_task_name(n, 0, &mut string),
            medforge_task_name(classifier, 0, null_mut()),
            medforge_module_count(n, &mut index),
            medforge_module_id(n, 0, &mut string),
            medforge_default(n, null(), &mut kind, &mut index),
            medforge_default(classifier, c"task0".as_ptr(), null_mut(), &mut index),
            medforge_default(classifier, c"task0".as_ptr(), &mut kind, null_mut()),
            medforge_default_module(n, null(), 0, &mut string, &mut weight),
            medforge_default_module(classifier, c"task0".as_ptr(), 0, null_mut(), &mut weight),
            medforge_default_module(classifier, c"task0".as_ptr(), 0, &mut string, null_mut()),
            medforge_class_count(n, null(), &mut index),
            medforge_class_count(classifier, c"task0".as_ptr(), null_mut()),
            medforge_class_name(n, null(), 0, &mut string),
            medforge_class_name(classifier, c"task0".as_ptr(), 0, null_mut()),
            medforge_class_code(n, null(), 0, &mut string, null_mut(), null_mut()),
            medforge_class_code(
                classifier,
                c"task0".as_ptr(),
                0,
                null_mut(),
                null_mut(),
                null_mut(),
            ),
            medforge_memory_use(n, &mut Memory::new()),
            medforge_memory_use(classifier, null_mut()),
            medforge_classify(n, &image, 1, null(), &mut null_mut()),
            medforge_classify(classifier, null(), 1, null(), &mut null_mut()),
            medforge_classify(classifier, &image, 1, null(), null_mut()),
            medforge_results_count(null(), &mut index),
            medforge_results_get(null(), 0, &mut Classification::new()),
            medforge_results_map(null(), 0, &mut Map::new()),
            medforge_explain(n, &image, 1, null(), &mut null_mut()),
            medforge_explain(classifier, null(), 1, null(), &mut null_mut()),
            medforge_explain(classifier, &image, 1, null(), null_mut()),
            medforge_open_with(null(), &options, &mut null_mut()),
            medforge_open_with(&source, null(), &mut null_mut()),
            medforge_open_with(&source, &options, null_mut()),
            medforge_open_with(&Source::new(), &options, &mut null_mut()),
            medforge_open_with(&source, &OpenOptions::new(), &mut null_mut()),
            medforge_add(n, &source, &options),
            medforge_add(classifier, null(), &options),
            medforge_replace(n, &source, &options),
            medforge_replace(classifier, &source, null()),
            medforge_unload(n, c"x".as_ptr()),
            medforge_unload(classifier, null()),
            medforge_set_default(n, c"task0".as_ptr(), null()),
            medforge_set_default(classifier, null(), null()),
            medforge_set_default(classifier, c"task0".as_ptr(), null()),
            medforge_verify(null(), &options, &mut null_mut()),
            medforge_verify(&source, &options, null_mut()),
            medforge_report_get(null(), &mut ReportView::new()),
            medforge_limits_get(null_mut()),
            medforge_cancel_new(null_mut()),
            medforge_cancel_set(null()),
            medforge_trust_follows(null(), c"x".as_ptr(), c"x".as_ptr(), null()),
        ];
        for (number, status) in calls.into_iter().enumerate() {
            assert_eq!(status, Status::NullPointer, "call {number}");
        }
        medforge_results_free(null_mut());
        medforge_report_free(null_mut());
        medforge_cancel_free(null_mut());
        medforge_close(classifier);
    }
}

/// What a classifier is to several threads.
struct Shared(*mut Classifier);
// SAFETY: the library promises that a classifier may be used by several threads.
unsafe impl Sync for Shared {}

#[test]
fn eight_threads_classify_while_a_ninth_changes_what_runs() {
    let fixture = Fixture::new();
    let (shared, done) = (&Shared(fixture.open()), &AtomicBool::new(false));
    let ids: Vec<CString> = (0..2)
        .map(|index| {
            let mut id = null();
            // SAFETY: open, and a local.
            assert_eq!(unsafe { medforge_module_id(shared.0, index, &mut id) }, Status::Ok);
            CString::new(text(id)).unwrap()
        })
        .collect();
    let with = |id: &CString| {
        let modules = [id.as_ptr()];
        let selection = Selection { kind: 2, count: 1, modules: modules.as_ptr(), weights: null() };
        let options = ClassifyOptions {
            task: c"task0".as_ptr(),
            selection: &selection,
            ..ClassifyOptions::new()
        };
        let results = classified(shared.0, &[rgb(&pixels(0))], &options).unwrap();
        let found = result(results, 0);
        // SAFETY: as many as there are, and freed once.
        unsafe {
            let all = std::slice::from_raw_parts(found.probabilities, found.class_count).to_vec();
            medforge_results_free(results);
            all
        }
    };
    let expected: Vec<_> =
        ids.iter().map(|id| (id.to_str().unwrap().to_owned(), with(id))).collect();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            let expected = &expected;
            scope.spawn(move || {
                let data = pixels(0);
                while !done.load(Ordering::Relaxed) {
                    let options =
                        ClassifyOptions { task: c"task0".as_ptr(), ..ClassifyOptions::new() };
                    let results = classified(shared.0, &[rgb(&data)], &options).unwrap();
                    let found = result(results, 0);
                    // SAFETY: what the library lends until the results are freed.
                    unsafe {
                        let module = text(*found.module_ids);
                        let all =
                            std::slice::from_raw_parts(found.probabilities, found.class_count);
                        let (_, known) = expected.iter().find(|(id, _)| *id == module).unwrap();
                        assert_eq!(all, known);
                        medforge_results_free(results);
                    }
                }
            });
        }
        for round in 0..200 {
            let modules = [ids[round % 2].as_ptr()];
            let selection =
                Selection { kind: 2, count: 1, modules: modules.as_ptr(), weights: null() };
            // SAFETY: open, strings and structs that outlive the calls.
            unsafe {
                assert_eq!(
                    medforge_set_default(shared.0, c"task0".as_ptr(), &selection),
                    Status::Ok
                );
                if round % 50 == 0 {
                    assert_eq!(
                        medforge_add(shared.0, &Fixture::source(&fixture.b), &fixture.options()),
                        Status::Ok
                    );
                    let mut id = null();
                    for index in 0..2 {
                        assert_eq!(medforge_bundle_id(shared.0, index, &mut id), Status::Ok);
                        let mut manifest = null();
                        assert_eq!(medforge_manifest(shared.0, id, &mut manifest), Status::Ok);
                        if text(manifest).contains("\"name\":\"b\"") {
                            assert_eq!(medforge_unload(shared.0, id), Status::Ok);
                            break;
                        }
                    }
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    // SAFETY: every thread is done.
    unsafe { medforge_close(shared.0) };
}
