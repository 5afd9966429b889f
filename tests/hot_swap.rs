//! What runs beside what: selections of modules, sets that change while threads classify, and
//! memory that stays where it is.

#[path = "small.rs"]
#[expect(dead_code, reason = "other tests use the rest")]
mod small;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use ed25519_dalek::SigningKey;
use medforge_packer::base::Vit;
use medforge_packer::export::build_bundle;
use medforge_packer::lora::Module;
use medforge_runtime::bundle::{self, Manifest, Trust, VerifiedBundle, frame};
use medforge_runtime::classify::{
    self, Cancel, Classification, Classifier, Cost, Mode, Row, Selection, WeightedModule,
};
use medforge_runtime::image::RgbImage8;
use medforge_runtime::tensors::{self, Tensor};
use medforge_runtime::{Class, Error};

/// Tests take turns: one of them looks at the memory of the process.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn vit() -> Vit {
    small::base(tempfile::tempdir().unwrap().path())
}

fn packed(vit: &Vit, name: &str, modules: &[Module]) -> Vec<u8> {
    let options = small::options(name);
    build_bundle(vit, modules, &options, &[key()]).unwrap()
}

fn verified(bytes: Vec<u8>) -> VerifiedBundle {
    bundle::verify(bytes, &Trust::new(vec![key().verifying_key()], 1).unwrap()).unwrap()
}

/// Five modules of five tasks, of unequal ranks.
fn five(vit: &Vit) -> Vec<Module> {
    (0..5).map(|i| small::lora(vit, &format!("task{i}"), i * 11, i + 1, None)).collect()
}

fn picture(seed: u32) -> RgbImage8 {
    RgbImage8::new((0..16 * 16 * 3).map(|i: u32| (i * (37 + seed) % 251) as u8).collect(), 16, 16)
        .unwrap()
}

/// The ids of the modules by their tasks.
fn ids(bundle: &VerifiedBundle) -> Vec<String> {
    let mut modules: Vec<_> =
        bundle.manifest().modules.iter().map(|m| (m.task.clone(), m.id.clone())).collect();
    modules.sort();
    modules.into_iter().map(|(_, id)| id).collect()
}

fn part(module: &str, weight: f64) -> WeightedModule {
    WeightedModule { module: module.into(), weight }
}

fn with(classifier: &Classifier, selection: &Selection) -> Result<Classification, Error> {
    classifier.classify_with(picture(0).view(), Some("task0"), selection, &Cancel::default())
}

#[track_caller]
fn assert_close(ours: &[f32], theirs: &[f32]) {
    let worst = ours.iter().zip(theirs).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(ours.len() == theirs.len() && worst < 1e-5, "{ours:?} and {theirs:?}");
}

#[test]
fn every_selection_gives_what_its_parts_give() {
    let _turn = turn();
    let vit = vit();
    let bundle = verified(packed(&vit, "five", &five(&vit)));
    let ids = ids(&bundle);
    let classifier = Classifier::load(bundle).unwrap();
    let run = |selection: Selection| with(&classifier, &selection).unwrap();
    let one = |i: usize| run(Selection::module(&ids[i]));

    let default = run(Selection::Default);
    assert_eq!(default, one(0), "the default of a task is its own module");
    let frozen = run(Selection::Frozen);
    assert!(frozen.modules.is_empty() && frozen.probabilities != default.probabilities);
    let zero = run(Selection::Composition(Mode::Fusion, vec![part(&ids[3], 0.0)]));
    assert_close(&zero.probabilities, &frozen.probabilities);

    // Fusion: the sum of the deltas, of unequal ranks and with a negative weight, as one module
    // that was merged beforehand.
    let weights = [0.5, -1.0, 0.25];
    let parts = |mode| {
        Selection::Composition(mode, (0..3).map(|i| part(&ids[i + 1], weights[i])).collect())
    };
    let fused = run(parts(Mode::Fusion));
    let all = five(&vit);
    let mut merged = small::lora(&vit, "merged", 0, 2 + 3 + 4, None);
    for (site, factors) in &mut merged.sites {
        let from = |i: usize| &all[i + 1].sites[site];
        factors.a.data = (0..3).flat_map(|i| from(i).a.data.clone()).collect();
        let rows = factors.b.shape[0];
        let row = |r: usize| {
            (0..3).flat_map(move |i| {
                let rank = all_rank(i);
                from(i).b.data[r * rank..][..rank]
                    .iter()
                    .map(move |v| v * weights[i] as f32)
                    .collect::<Vec<_>>()
            })
        };
        factors.b.data = (0..rows).flat_map(row).collect();
    }
    fn all_rank(i: usize) -> usize {
        i + 2
    }
    let merged_bundle = verified(packed(&vit, "merged", &[merged]));
    let merged_id = merged_bundle.manifest().modules[0].id.clone();
    classifier.add(merged_bundle).unwrap();
    assert_close(&fused.probabilities, &run(Selection::module(&merged_id)).probabilities);

    // Mixture: the weighted sum of the passes, brought to one.
    let mixed = run(parts(Mode::Mixture));
    let mut sum = vec![0.0; 2];
    for (i, weight) in weights.iter().enumerate() {
        one(i + 1)
            .probabilities
            .iter()
            .zip(&mut sum)
            .for_each(|(p, s)| *s += weight * f64::from(*p));
    }
    sum.iter_mut().for_each(|s| *s = s.max(0.0));
    let total: f64 = sum.iter().sum();
    let expected: Vec<f32> =
        sum.iter().map(|s| if total > 1e-12 { s / total } else { 0.5 } as f32).collect();
    assert_close(&mixed.probabilities, &expected);
    let kept: Vec<_> = mixed.modules.iter().map(|m| (m.id.clone(), m.weight)).collect();
    assert_eq!(kept, (0..3).map(|i| (ids[i + 1].clone(), weights[i])).collect::<Vec<_>>());

    // Rows: each its own image, task and modules, as each alone.
    let selections = [
        Selection::Default,
        parts(Mode::Mixture),
        Selection::Frozen,
        parts(Mode::Fusion),
        Selection::module(&ids[4]),
    ];
    let rows: Vec<Row> = selections
        .iter()
        .enumerate()
        .map(|(i, s)| Row { image: i % 2, task: Some("task0"), selection: s.clone() })
        .collect();
    let (first, second) = (picture(0), picture(1));
    let images = [first.view(), second.view()];
    let together = classifier.active().classify_rows(&images, &rows, &Cancel::default()).unwrap();
    for (row, found) in rows.iter().zip(&together) {
        let alone = classifier
            .classify_with(images[row.image], row.task, &row.selection, &Cancel::default())
            .unwrap();
        assert_eq!(*found, alone);
    }
    let mut compositions: Vec<_> = together.iter().map(|found| found.composition.clone()).collect();
    compositions.sort();
    compositions.dedup();
    assert_eq!(compositions.len(), rows.len(), "every composition has an id of its own");
}

#[test]
fn selections_that_cannot_be_run_are_named() {
    let _turn = turn();
    let vit = vit();
    let bundle = verified(packed(&vit, "five", &five(&vit)));
    let ids = ids(&bundle);
    let classifier = Classifier::load(bundle).unwrap();
    let composed = |mode, parts| Selection::Composition(mode, parts);
    let cases = [
        (Selection::module("nobody"), "no module \"nobody\""),
        (composed(Mode::Fusion, vec![]), "it has no modules"),
        (composed(Mode::Mixture, vec![part(&ids[0], f64::NAN)]), "is NaN"),
        (composed(Mode::Fusion, vec![part(&ids[0], 1.0), part(&ids[0], 2.0)]), "takes part twice"),
        (
            composed(Mode::Mixture, (0..300).map(|i| part(&i.to_string(), 1.0)).collect()),
            "300 modules",
        ),
        (composed(Mode::Routed, vec![part(&ids[0], 1.0)]), "nothing can be routed"),
    ];
    for (selection, words) in cases {
        let before = with(&classifier, &Selection::Default).unwrap();
        let error = with(&classifier, &selection).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert!(classifier.set_default("task0", &selection).is_err());
        assert_eq!(with(&classifier, &Selection::Default).unwrap(), before);
    }
    assert!(matches!(
        classifier.set_default("task9", &Selection::Frozen),
        Err(Error::UnknownTask { .. })
    ));
    let row = |image| Row { image, task: Some("task0"), ..Row::default() };
    let picture = picture(0);
    let error = classifier
        .active()
        .classify_rows(&[picture.view()], &[row(0), row(1)], &Cancel::default())
        .unwrap_err();
    assert!(matches!(error, Error::InBatch { index: 1, .. }), "{error}");
}

#[test]
fn a_cancelled_call_ends_and_the_next_one_runs() {
    let _turn = turn();
    let vit = vit();
    let classifier = Classifier::load(verified(packed(&vit, "five", &five(&vit)))).unwrap();
    let expected = with(&classifier, &Selection::Default).unwrap();
    let flag = Arc::new(AtomicBool::new(true));
    for cancel in
        [Cancel::by(flag), Cancel::at(Instant::now()), Cancel::default().or_at(Instant::now())]
    {
        let error = classifier
            .classify_with(picture(0).view(), Some("task0"), &Selection::Default, &cancel)
            .unwrap_err();
        assert!(matches!(error, Error::Cancelled), "{error}");
        assert_eq!(with(&classifier, &Selection::Default).unwrap(), expected);
    }
}

#[test]
fn bundles_come_and_go_and_the_base_stays() {
    let _turn = turn();
    let vit = vit();
    let all = five(&vit);
    let first = verified(packed(&vit, "first", &all[..2]));
    let (first_id, first_modules) = (first.id().to_owned(), ids(&first));
    let classifier = Classifier::load(first).unwrap();
    let before = classifier.memory();
    let kept = classifier.active();
    let second = packed(&vit, "second", &all[1..4]);

    let error = classifier.add(verified(second)).unwrap_err().to_string();
    assert!(error.contains("nothing was changed") && error.contains("task1"), "{error}");
    let second = verified(packed(&vit, "second", &all[2..4]));
    let second_id = second.id().to_owned();
    classifier.add(second).unwrap();
    assert_eq!(
        classifier.active().tasks().collect::<Vec<_>>(),
        ["task0", "task1", "task2", "task3"]
    );
    assert_eq!(classifier.memory().base, before.base, "one base for both");
    assert!(classifier.memory().modules > before.modules);
    let found = classifier.classify(picture(0).view(), Some("task2")).unwrap();
    assert_eq!(&*found.bundle, second_id);
    assert_eq!(kept.tasks().count(), 2, "a set that was taken does not change");

    // A default that needs a module of the other bundle.
    classifier.set_default("task2", &Selection::module(&first_modules[0])).unwrap();
    let error = classifier.unload(&first_id).unwrap_err().to_string();
    assert!(error.contains("default of task task2 needs"), "{error}");
    classifier.set_default("task2", &Selection::Frozen).unwrap();
    classifier.unload(&first_id).unwrap();
    assert_eq!(classifier.active().tasks().collect::<Vec<_>>(), ["task2", "task3"]);
    assert!(matches!(
        classifier.classify(picture(0).view(), Some("task0")),
        Err(Error::UnknownTask { .. })
    ));
    let old = Row { task: Some("task0"), ..Row::default() };
    let picture = picture(0);
    assert!(
        kept.classify_rows(&[picture.view()], &[old], &Cancel::default()).is_ok(),
        "who still has the old set uses it"
    );

    for (id, words) in [(second_id.as_str(), "the only bundle"), ("nothing", "there is no bundle")]
    {
        let error = classifier.unload(id).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
    let third = verified(packed(&vit, "third", &all[4..]));
    classifier.replace(third).unwrap();
    assert_eq!(classifier.active().tasks().collect::<Vec<_>>(), ["task4"]);
    assert_eq!(classifier.memory().base, before.base);
    drop(kept);

    let other = small::base(tempfile::tempdir().unwrap().path());
    let other =
        Vit { tensors: other.tensors.into_iter().map(|(n, t)| (n, doubled(t))).collect(), ..other };
    let foreign = packed(&other, "foreign", &[small::lora(&other, "lung", 1, 2, None)]);
    let error = classifier.add(verified(foreign.clone())).unwrap_err().to_string();
    assert!(error.contains("the bundle is for base"), "{error}");
    classifier.replace(verified(foreign)).unwrap();
    assert_eq!(classifier.active().tasks().collect::<Vec<_>>(), ["lung"]);
}

fn doubled(tensor: Tensor) -> Tensor {
    Tensor { data: tensor.data.iter().map(|v| v * 0.5).collect(), ..tensor }
}

/// `bytes` with one payload entry changed, and signed again.
fn forged(bytes: &[u8], entry: &str, change: impl FnOnce(&mut Vec<u8>)) -> VerifiedBundle {
    let parsed = frame::parse(bytes).unwrap();
    let mut payload: BTreeMap<String, Vec<u8>> = parsed
        .iter()
        .skip(2)
        .map(|(name, range)| (name.clone(), bytes[range.clone()].to_vec()))
        .collect();
    change(payload.get_mut(entry).unwrap());
    let manifest: Manifest = serde_json::from_slice(&bytes[parsed[0].1.clone()]).unwrap();
    let manifest = Manifest { entries: bundle::list(&payload), ..manifest };
    verified(bundle::assemble(&manifest, &payload, &[key()]).unwrap())
}

#[test]
fn what_cannot_be_added_changes_nothing() {
    let _turn = turn();
    let vit = vit();
    let all = five(&vit);
    let classifier = Classifier::load(verified(packed(&vit, "first", &all[..2]))).unwrap();
    let bytes = packed(&vit, "second", &all[2..4]);
    let head = "heads/task2.safetensors";
    type Change<'a> = &'a dyn Fn(&mut Vec<u8>);
    let hostile: [(&str, &str, Change); 5] = [
        ("golden.safetensors", "GoldenMismatch", &|bytes| {
            let mut all = tensors::read(bytes, "golden").unwrap();
            all.get_mut("probabilities.task2").unwrap().data[0] = 0.123;
            *bytes =
                tensors::write(all.iter().map(|(n, t)| (n.as_str(), t)), &BTreeMap::new()).unwrap();
        }),
        (head, "NanWeight", &|bytes| {
            let end = bytes.len() - 2;
            bytes[end..].copy_from_slice(&[0xff, 0xff]);
        }),
        (head, "StTrailing", &|bytes| bytes.push(0)),
        (head, "St", &|bytes| bytes.truncate(20)),
        ("base.onnx", "Onnx", &|bytes| bytes.truncate(100)),
    ];
    let (tasks, memory) =
        (|| classifier.active().tasks().map(String::from).collect::<Vec<_>>(), classifier.memory());
    let before = with(&classifier, &Selection::Default).unwrap();
    let known = tasks();
    for (entry, class, change) in hostile {
        let error = classifier.add(forged(&bytes, entry, change)).unwrap_err();
        assert!(
            error.is_refusal() && format!("{:?}", error.class()).contains(class),
            "{entry}: {error:?}"
        );
        assert_eq!((tasks(), classifier.memory()), (known.clone(), memory));
        assert_eq!(with(&classifier, &Selection::Default).unwrap(), before);
        assert!(classifier.replace(forged(&bytes, entry, change)).is_err());
        assert_eq!(with(&classifier, &Selection::Default).unwrap(), before);
    }
    classifier.add(verified(bytes)).unwrap();
}

/// With a limit that the first bundle just meets, a second one is above it until the first has
/// left.
#[test]
fn modules_of_all_bundles_are_counted_together() {
    let _turn = turn();
    let vit = vit();
    let all = five(&vit);
    let (one, two) = (packed(&vit, "first", &all[..2]), packed(&vit, "second", &all[2..4]));
    let within = |bytes| classify::Options {
        most: Cost { bytes, ..Cost::default() },
        ..classify::Options::default()
    };
    let fits = |bytes| Classifier::load_with(&verified(one.clone()), within(bytes)).is_ok();
    let (mut below, mut least) = (0, Cost::default().bytes);
    while least - below > 1 {
        let middle = below.midpoint(least);
        if fits(middle) { least = middle } else { below = middle }
    }
    let classifier = Classifier::load_with(&verified(one.clone()), within(least)).unwrap();
    let error = classifier.add(verified(two.clone())).unwrap_err();
    assert_eq!(error.class(), Some(Class::TooCostly), "{error}");
    assert_eq!(classifier.active().tasks().count(), 2);
    let roomy = Classifier::load_with(&verified(one), within(2 * least)).unwrap();
    roomy.add(verified(two)).unwrap();
    assert_eq!(roomy.active().tasks().count(), 4);
}

/// Resident memory in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

#[cfg(not(target_os = "linux"))]
fn resident() -> usize {
    0
}

#[test]
fn eight_threads_classify_while_defaults_are_swapped_ten_thousand_times() {
    let _turn = turn();
    const SWAPS: usize = 10_000;
    let vit = vit();
    let bundle = verified(packed(&vit, "five", &five(&vit)));
    let ids = ids(&bundle);
    let classifier = Classifier::load(bundle).unwrap();
    let by_module: BTreeMap<String, Classification> = ids
        .iter()
        .map(|id| (id.clone(), with(&classifier, &Selection::module(id)).unwrap()))
        .collect();
    let (done, classified) = (AtomicBool::new(false), AtomicUsize::new(0));
    let (mut warm, mut seen) = (0, Vec::new());
    std::thread::scope(|scope| {
        let classify = || {
            let mut seen = std::collections::BTreeSet::new();
            while !done.load(Ordering::Relaxed) {
                let found = classifier.classify(picture(0).view(), Some("task0")).unwrap();
                let id = &found.modules[0].id;
                assert_eq!(found, by_module[id], "a result is exactly what its record says");
                seen.insert(id.clone());
                classified.fetch_add(1, Ordering::Relaxed);
            }
            seen
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(classify)).collect();
        for swap in 0..SWAPS {
            classifier.set_default("task0", &Selection::module(&ids[swap % 5])).unwrap();
            // Threads get their turns between some swaps, so that every module is met.
            if swap % 50 == 0 {
                let before = classified.load(Ordering::Relaxed);
                while classified.load(Ordering::Relaxed) < before + 8
                    && !threads.iter().any(|t| t.is_finished())
                {
                    std::thread::yield_now();
                }
            }
            if swap == SWAPS / 5 {
                warm = resident();
            }
        }
        done.store(true, Ordering::Relaxed);
        seen = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
    });
    let grown = resident().saturating_sub(warm);
    assert!(grown <= 2 << 20, "memory grew by {grown} bytes");
    let met: std::collections::BTreeSet<_> = seen.into_iter().flatten().collect();
    assert_eq!(met.len(), 5, "every module was met by some call");
    assert!(classified.into_inner() > 1000);
}
