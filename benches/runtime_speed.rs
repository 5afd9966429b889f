//! The runtime's half of `benches/runtime.py`, which asks the other runtimes in turns: this one
//! does what it is told on standard input, a line each, and answers on standard output in a line of
//! JSON.
//!
//!     # b16, b16-f16 (weights that f16 holds), or a Hugging Face folder: bundles, a key and the
//!     # graph for the peer
//!     runtime_speed make b16 DIR
//!     # one bundle of one module, for images of SIDE pixels, and a key
//!     runtime_speed single FOLDER DIR SIDE
//!     runtime_speed serve BUNDLE KEY THREADS [int8|SIDE]

use std::fs;
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use cpu_time::ProcessTime;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePublicKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use half::f16;
use medforge_packer::base::Vit;
use medforge_packer::export::{Options as Pack, build_bundle, onnx};
use medforge_packer::lora::Module;
use medforge_runtime::bundle::{self, Bytes, Trust};
use medforge_runtime::classify::{
    Classifier, Mode, Options, Precision, Selection, Spread, Threads, Times, WeightedModule,
};
use medforge_runtime::image::{RgbImage8, RgbView};
use serde_json::{Value, json};

#[path = "../tests/small.rs"]
#[expect(dead_code, reason = "its smallest network is for tests")]
mod small;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Modules of each bundle, their rank, and the last blocks that those of `last.medforge` adapt.
const MODULES: usize = 16;
const RANK: usize = 16;
const LAST: usize = 4;

/// The task whose default is set to what is asked for.
const TASK: &str = "task00";

fn main() -> Result<()> {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["make", base, dir] => make(base, Path::new(dir)),
        ["single", base, dir, side] => single(base, Path::new(dir), side.parse()?),
        ["serve", bundle, key, threads] => {
            serve(bundle, key, threads.parse()?, Precision::F32, SIDE)
        }
        ["serve", bundle, key, threads, "int8"] => {
            serve(bundle, key, threads.parse()?, Precision::Int8, SIDE)
        }
        ["serve", bundle, key, threads, side] => {
            serve(bundle, key, threads.parse()?, Precision::F32, side.parse()?)
        }
        _ => Err(
            "give make BASE DIR, single FOLDER DIR SIDE, or serve BUNDLE KEY THREADS [int8|SIDE]"
                .into(),
        ),
    }
}

fn make(base: &str, dir: &Path) -> Result<()> {
    fs::create_dir_all(dir)?;
    let vit = match base {
        "b16" | "b16-f16" => {
            fs::write(
                dir.join("config.json"),
                r#"{"model_type": "vit", "hidden_size": 768, "num_hidden_layers": 12,
                "num_attention_heads": 12, "intermediate_size": 3072, "image_size": 224,
                "patch_size": 16}"#,
            )?;
            fs::write(
                dir.join("preprocessor_config.json"),
                r#"{"size": {"height": 224, "width": 224}, "resample": 3,
                "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}"#,
            )?;
            let mut vit = Vit::random(dir, 1)?;
            for stored in vit.tensors.values_mut().filter(|_| base == "b16-f16") {
                let mut tensor = stored.read();
                tensor.data.iter_mut().for_each(|v| *v = f16::from_f32(*v).to_f32());
                *stored = tensor.into();
            }
            vit
        }
        folder => Vit::open(Path::new(folder))?,
    };
    let key = key(dir)?;
    fs::write(dir.join("base.onnx"), onnx::Graph::new(&vit, SIDE)?.self_contained())?;
    for (name, count, layers) in
        [("one", 1, None), ("all", MODULES, None), ("last", MODULES, Some(LAST))]
    {
        pack(&vit, dir, name, (0..count).map(|i| module(&vit, i, layers, SIDE)).collect(), &key)?;
    }
    Ok(())
}

fn single(base: &str, dir: &Path, side: u32) -> Result<()> {
    fs::create_dir_all(dir)?;
    let vit = Vit::open(Path::new(base))?;
    let key = key(dir)?;
    pack(&vit, dir, "one", vec![module(&vit, 0, None, side)], &key)
}

/// Signs every bundle; its public half is written beside them.
fn key(dir: &Path) -> Result<SigningKey> {
    let key = SigningKey::from_bytes(&[1; 32]);
    fs::write(dir.join("k.pub"), key.verifying_key().to_public_key_pem(LineEnding::LF)?)?;
    Ok(key)
}

/// The module of the task of this number, for images of `side` pixels.
fn module(vit: &Vit, number: usize, layers: Option<usize>, side: u32) -> Module {
    let mut module = small::lora(vit, &format!("task{number:02}"), number * 7, RANK, layers);
    module.alpha = 0.1;
    (module.card.image_size, module.card.preprocessing) =
        (side, vit.preprocessing_for(side).expect("a size for this base"));
    module
}

fn pack(vit: &Vit, dir: &Path, name: &str, modules: Vec<Module>, key: &SigningKey) -> Result<()> {
    let options = Pack {
        name: name.into(),
        counter: 1,
        predecessor: None,
        intended_use: "benchmarks".into(),
        least_probability: 0.0,
    };
    let bundle = build_bundle(vit, &modules, &options, std::slice::from_ref(key))?;
    Ok(fs::write(dir.join(format!("{name}.medforge")), bundle)?)
}

/// What is measured: a classifier, its bundle for others like it, and an image.
struct Served<'a> {
    bundle: &'a str,
    trust: Trust,
    options: Options,
    classifier: Classifier,
    picture: RgbImage8,
}

fn serve(bundle: &str, key: &str, threads: usize, precision: Precision, side: u32) -> Result<()> {
    let trust = Trust::from_pem(&fs::read_to_string(key)?)?;
    let options = Options {
        threads: match threads {
            1 => Threads::Caller,
            n => Threads::Own(n.try_into().expect("above zero")),
        },
        spread: Spread::Layers,
        precision,
        ..Options::default()
    };
    let (start, cpu) = (Instant::now(), ProcessTime::now());
    let bytes = match threads {
        1 => Bytes::read(Path::new(bundle))?,
        _ => Bytes::read_on_two_threads(Path::new(bundle))?,
    };
    let read = start.elapsed().as_secs_f64();
    let verified = bundle::verify(bytes, &trust)?;
    let verify = start.elapsed().as_secs_f64() - read;
    let classifier = match precision {
        Precision::F32 => Classifier::load_with(&verified, options.clone())?,
        // The bundle does not say what eight bits cost random weights.
        Precision::Int8 => Classifier::rehearse(&verified, options.clone())?.0,
    };
    drop(verified);
    answer(json!({ "wall": start.elapsed().as_secs_f64(), "cpu": cpu.elapsed().as_secs_f64(),
            "resident": resident(), "read": read, "verify": verify }))?;
    let picture =
        RgbImage8::new((0..side * side * 3).map(|i| (i * 31 % 251) as u8).collect(), side, side)?;
    let served = Served { bundle, trust, options, classifier, picture };
    let mut last = String::new();
    for line in std::io::stdin().lock().lines() {
        answer(served.reply(&line?, &mut last)?)?;
    }
    Ok(())
}

impl Served<'_> {
    /// Does what a line asks for. `last` is the line that set the default.
    fn reply(&self, line: &str, last: &mut String) -> Result<Value> {
        let (classifier, image) = (&self.classifier, self.picture.view());
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            ["swap", count] => swap(classifier, image, count.parse()?),
            ["many", count] => many(classifier, image, count.parse()?),
            ["batch", spread, count] => {
                let spread = if spread == "images" { Spread::Images } else { Spread::Layers };
                let verified = bundle::verify(fs::read(self.bundle)?, &self.trust)?;
                let options = Options { spread, ..self.options.clone() };
                let other = Classifier::load_with(&verified, options)?;
                let views = vec![image; count.parse()?];
                timed(|| other.classify_batch(&views, Some(TASK)).map(|_| ()))
            }
            ["memory"] => {
                let memory = classifier.memory();
                Ok(json!({ "base": memory.base, "modules": memory.modules,
                    "scratch": memory.scratch, "resident": resident() }))
            }
            _ => {
                if line != last {
                    classifier.set_default(TASK, &selection(classifier, &words)?)?;
                    line.clone_into(last);
                }
                let mut times = Times::default();
                let mut reply = timed(|| {
                    classifier.classify(image, Some(TASK)).map(|found| times = found.times)
                })?;
                reply["preprocessing"] = json!(times.preprocessing.as_secs_f64());
                Ok(reply)
            }
        }
    }
}

/// `none`, `one`, `fusion K`, `mixture K`.
fn selection(classifier: &Classifier, words: &[&str]) -> Result<Selection> {
    let active = classifier.active();
    let ids: Vec<&str> = active.modules().collect();
    let parts = |count: &str| -> Result<Vec<WeightedModule>> {
        let count = count.parse()?;
        Ok(ids
            .iter()
            .take(count)
            .map(|id| WeightedModule { module: (*id).into(), weight: 1.0 / count as f64 })
            .collect())
    };
    Ok(match words {
        ["none"] => Selection::Frozen,
        ["one"] => Selection::module(ids[0]),
        ["fusion", count] => Selection::Composition(Mode::Fusion, parts(count)?),
        ["mixture", count] => Selection::Composition(Mode::Mixture, parts(count)?),
        _ => return Err(format!("{words:?} is not known").into()),
    })
}

/// The time of each of `count` swaps while another thread classifies without a pause.
fn swap(classifier: &Classifier, image: RgbView, count: usize) -> Result<Value> {
    let active = classifier.active();
    let selections: Vec<Selection> = active.modules().take(5).map(Selection::module).collect();
    let (done, failed, calls) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    let mut taken: Vec<f64> = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let result = classifier.classify(image, Some(TASK));
                calls.fetch_add(1, Ordering::Relaxed);
                failed.fetch_add(usize::from(result.is_err()), Ordering::Relaxed);
            }
        });
        let mut taken = Vec::with_capacity(count);
        for i in 0..count {
            let start = Instant::now();
            classifier.set_default(TASK, &selections[i % selections.len()])?;
            taken.push(start.elapsed().as_secs_f64());
        }
        done.store(true, Ordering::Relaxed);
        Ok::<_, medforge_runtime::Error>(taken)
    })?;
    taken.sort_by(f64::total_cmp);
    let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize];
    Ok(json!({ "median": at(0.5), "p99": at(0.99), "most": at(1.0), "calls": calls.into_inner(),
            "failed": failed.into_inner() }))
}

/// Resident memory after a warm-up and after `count` classifications.
fn many(classifier: &Classifier, image: RgbView, count: usize) -> Result<Value> {
    for _ in 0..count / 10 {
        classifier.classify(image, Some(TASK))?;
    }
    let before = resident();
    for _ in 0..count {
        classifier.classify(image, Some(TASK))?;
    }
    Ok(json!({ "before": before, "after": resident() }))
}

fn timed(work: impl FnOnce() -> std::result::Result<(), medforge_runtime::Error>) -> Result<Value> {
    let (start, cpu) = (Instant::now(), ProcessTime::now());
    work()?;
    Ok(json!({ "wall": start.elapsed().as_secs_f64(), "cpu": cpu.elapsed().as_secs_f64() }))
}

fn answer(reply: Value) -> Result<()> {
    println!("{reply}");
    Ok(std::io::stdout().flush()?)
}

/// Bytes of this process in memory, where the system tells.
fn resident() -> Option<usize> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split_whitespace().nth(1)?.parse::<usize>().ok()? * 4096)
}

/// Side of the images where nothing is said: the base's, so that resizing is as cheap as it can be.
const SIDE: u32 = 224;
