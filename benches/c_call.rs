//! What the C API costs over the Rust library: the same image by medforge_classify,
//! medforge_classify_rgb and `Classifier::classify`, in turns.
//!
//!     # a bundle as `runtime_speed make` writes it
//!     cargo bench --workspace --bench c_call -- BUNDLE KEY [ROUNDS]

use std::ffi::{CStr, CString};
use std::ptr::null_mut;
use std::time::Instant;

use medforge::*;
use medforge_runtime::bundle::{Trust, verify};
use medforge_runtime::classify::Classifier as Reference;
use medforge_runtime::image::RgbView;

const SIDE: u32 = 224;

fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [bundle, key, rest @ ..] = &arguments[..] else {
        return eprintln!("give BUNDLE KEY [ROUNDS]");
    };
    let rounds: usize =
        rest.first().map_or(60, |rounds| rounds.parse().expect("a number of rounds"));
    let trust = Trust::from_pem(&std::fs::read_to_string(key).expect("the key")).expect("a key");
    let bytes = std::fs::read(bundle).expect("the bundle");
    let reference = Reference::load(verify(bytes, &trust).expect("a bundle")).expect("it loads");
    let task = reference.active().tasks().next().expect("a task").to_owned();
    let [bundle, key, name] =
        [bundle.as_str(), key, &task].map(|text| CString::new(text).expect("a string"));
    let mut classifier = null_mut();
    // SAFETY: strings and a local.
    let status = unsafe { medforge_open(bundle.as_ptr(), key.as_ptr(), &mut classifier) };
    assert_eq!(status, Status::Ok);
    let pixels: Vec<u8> = (0..SIDE * SIDE * 3).map(|i| (i * 31 % 251) as u8).collect();
    let mut taken = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        let start = Instant::now();
        let view = RgbView::new(&pixels, SIDE, SIDE, SIDE as usize * 3).expect("an image");
        reference.classify(view, Some(&task)).expect("a result");
        taken[0].push(start.elapsed().as_secs_f64());
        taken[1].push(by_pixels(classifier, &name, &pixels));
        taken[2].push(by_image(classifier, &name, &pixels));
    }
    print(&taken);
    // SAFETY: open, and not used any more.
    unsafe { medforge_close(classifier) };
}

/// Seconds of one call of medforge_classify_rgb.
fn by_pixels(classifier: *mut Classifier, task: &CStr, pixels: &[u8]) -> f64 {
    let mut probabilities = [0.0_f32; 64];
    let (stride, out) = (SIDE as usize * 3, probabilities.as_mut_ptr());
    let (task, pixels) = (task.as_ptr(), pixels.as_ptr());
    let start = Instant::now();
    // SAFETY: as many pixels and as much room as is said.
    let status =
        unsafe { medforge_classify_rgb(classifier, task, pixels, SIDE, SIDE, stride, 64, out) };
    assert_eq!(status, Status::Ok);
    start.elapsed().as_secs_f64()
}

/// Seconds of one call of medforge_classify.
fn by_image(classifier: *mut Classifier, task: &CStr, pixels: &[u8]) -> f64 {
    let image = Image {
        data: pixels.as_ptr().cast(),
        length: pixels.len(),
        rows: SIDE,
        columns: SIDE,
        photometric: PhotometricInterpretation::Rgb as u32,
        bits_allocated: 8,
        ..Image::new()
    };
    let options = ClassifyOptions { task: task.as_ptr(), ..ClassifyOptions::new() };
    let start = Instant::now();
    let mut results = null_mut();
    // SAFETY: structs and pixels that outlive the calls; results are freed once.
    unsafe {
        let status = medforge_classify(classifier, &image, 1, &options, &mut results);
        assert_eq!(status, Status::Ok);
        medforge_results_free(results);
    }
    start.elapsed().as_secs_f64()
}

/// A row of the table for each way.
fn print(taken: &[Vec<f64>; 3]) {
    let names = [
        "Classifier::classify",
        "medforge_classify_rgb",
        "medforge_classify (with record and digest)",
    ];
    println!(
        "| call | ms (lowest to highest) | against Rust, median of each turn |\n|---|---|---|"
    );
    for (name, times) in names.iter().zip(taken) {
        let mut ratios: Vec<f64> =
            times.iter().zip(&taken[0]).map(|(ours, rust)| ours / rust).collect();
        let mut times: Vec<f64> = times.iter().map(|seconds| seconds * 1e3).collect();
        ratios.sort_by(f64::total_cmp);
        times.sort_by(f64::total_cmp);
        let middle = times.len() / 2;
        println!(
            "| {name} | {:.2} ({:.2} to {:.2}) | {:.4} |",
            times[middle],
            times[0],
            times[times.len() - 1],
            ratios[middle]
        );
    }
}
