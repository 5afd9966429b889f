//! Packs a base and modules into a signed bundle: graph, weights, factors, heads, golden vectors,
//! card, manifest.
//!
//! Refused: modules of another base or input size, two modules for one task, and whatever the
//! runtime would refuse. A bundle is verified and loaded, golden vectors and all, before it is
//! given out.

use ed25519_dalek::SigningKey;

use crate::Error;
use crate::base::Vit;
use crate::lora::Module;
use crate::merge::compose::sites;
use crate::merge::model::{Composition, Model};

mod check;
mod golden;
mod layout;
mod options;
mod pack;
mod tensors;

pub use options::{Options, Origin, Packed};
use pack::pack;

/// The bundle of `vit` and `modules`, one for each task, signed by `keys`. Its images have the size
/// that the modules were trained at.
///
/// # Errors
/// [`Error::Bundle`] for modules that cannot be in it; [`Error::ImageSize`]; [`Error::Runtime`].
pub fn build_bundle(
    vit: &Vit,
    modules: &[Module],
    options: &Options,
    keys: &[SigningKey],
) -> Result<Vec<u8>, Error> {
    let alone =
        |t: usize| (0..modules.len()).map(|m| f64::from(u8::from(m == t))).collect::<Vec<_>>();
    let weights = modules.iter().enumerate().map(|(t, m)| (m.card.task.clone(), alone(t)));
    let composition = Composition::Mixture {
        modules: modules.iter().map(sites).collect(),
        weights: weights.collect(),
    };
    let heads = modules.iter().map(|m| (m.card.task.clone(), m.head.clone())).collect();
    // A module that got more classes after it was measured is another classifier now.
    let measured = modules.iter().filter(|m| m.head.classes == m.card.classes);
    let measured =
        measured.filter_map(|m| Some((m.card.task.clone(), m.card.measured()?))).collect();
    let model = Model { heads, composition, routing: None };
    pack(vit, Packed { model: &model, modules, measured, origins: &[] }, options, keys)
}

/// The bundle of a merged model.
///
/// # Errors
/// As [`build_bundle`].
pub fn build_merged_bundle(
    vit: &Vit,
    packed: Packed,
    options: &Options,
    keys: &[SigningKey],
) -> Result<Vec<u8>, Error> {
    let there = |task: &String| packed.modules.iter().any(|module| module.card.task == *task);
    if let Some(missing) = packed.model.heads.keys().find(|task| !there(task)) {
        return Err(Error::Bundle {
            what: format!("no module is there for the merged model's task {missing}"),
        });
    }
    pack(vit, packed, options, keys)
}

fn pack(
    vit: &Vit,
    packed: Packed,
    options: &Options,
    keys: &[SigningKey],
) -> Result<Vec<u8>, Error> {
    packed.measured.iter().try_for_each(|(task, measured)| measured.check_intervals(task))?;
    let digest = vit.digest();
    let size = check(packed.modules, &digest)?;
    let graph = onnx::Graph::new(vit, size)?;
    let mut payload = BTreeMap::new();
    payload.insert("base.onnx".to_owned(), graph.without_weights());
    payload.insert("base.safetensors".to_owned(), write(&graph.tensors)?);
    drop(graph);
    let layout = Layout::new(vit, packed.model, packed.modules, &digest)?;
    let networks = layout.networks;
    let mut manifest = Manifest {
        format: manifest::FORMAT.into(),
        version: manifest::VERSION,
        name: options.name.clone(),
        counter: options.counter,
        created: output::now(),
        predecessor: options.predecessor.clone(),
        entries: Vec::new(),
        base: base(vit, digest, size),
        modules: Vec::new(),
        heads: Vec::new(),
        compositions: layout.compositions,
        routing: layout.routing,
        preprocessing: packed.modules[0].card.preprocessing.clone(),
        intended_use: options.intended_use.clone(),
        metrics: packed
            .measured
            .iter()
            .filter_map(|(task, m)| Some((task.clone(), main_result(m)?)))
            .collect(),
        measured: packed.measured,
        members: Vec::new(),
        int8: BTreeMap::new(),
        tool: manifest::Tool { name: "packer".into(), version: env!("CARGO_PKG_VERSION").into() },
    };
    for Origin { member, card } in packed.origins {
        let entry =
            card.as_ref().map(|card| (format!("cards/{}.md", sha256_hex(card)), card.clone()));
        manifest.members.push(manifest::Member {
            card: entry.as_ref().map(|(name, _)| name.clone()),
            ..member.clone()
        });
        payload.extend(entry);
    }
    for (module, factors) in layout.modules {
        payload.insert(module.entry.clone(), factors);
        manifest.modules.push(module);
    }
    if let Some(routing) = &packed.model.routing {
        payload.insert(manifest::PROTOTYPES.into(), write(&routing.tasks)?);
    }
    for (task, head) in &packed.model.heads {
        let entry = format!("heads/{task}.safetensors");
        payload.insert(entry.clone(), head.file()?);
        let card = packed.modules.iter().find(|m| m.card.task == *task).map(|m| &m.card);
        let trained = |class: &String| card.is_none_or(|card| card.classes.contains(class));
        manifest.heads.push(manifest::Head {
            task: task.clone(),
            entry,
            classes: head.classes.clone(),
            zero_shot: head.classes.iter().filter(|class| !trained(class)).cloned().collect(),
            codes: Vec::new(),
            calibration: head.familiar.as_ref().and(card).and_then(|card| stated(card, options)),
        });
    }
    payload.insert(
        "model_card.md".to_owned(),
        card::model_card(&manifest, packed.modules).into_bytes(),
    );
    payload.insert("sbom.json".to_owned(), sbom::sbom());
    // Golden vectors take long, so a bundle that no device would open gets none.
    manifest.entries = list(&payload);
    affordable(&manifest, &payload, &classify::Options::default())?;
    let preprocessing = &packed.modules[0].card.preprocessing;
    payload.insert(
        "golden.safetensors".to_owned(),
        write(&golden(vit, packed.model, &networks, preprocessing)?)?,
    );
    manifest.entries = list(&payload);
    let bytes = assemble(&manifest, &payload, keys)?;
    drop(payload);
    let trust = Trust::new(keys.iter().map(SigningKey::verifying_key).collect(), keys.len())?;
    Classifier::load(verify(bytes.clone(), &trust)?)?;
    Ok(bytes)
}

/// The input size that the modules agree on.
fn check(modules: &[Module], digest: &str) -> Result<u32, Error> {
    let refuse = |what: String| Err(Error::Bundle { what });
    let Some(size) = modules.first().map(|first| first.card.image_size) else {
        return refuse("a bundle needs a module; name one with --module".into());
    };
    for (index, module) in modules.iter().enumerate() {
        let (card, task) = (&module.card, &module.card.task);
        if card.base_digest != digest {
            return refuse(format!(
                "the module for {task} was trained on another base ({})",
                card.base_digest
            ));
        }
        if card.image_size != size {
            let (own, first) = (card.image_size, &modules[0].card.task);
            return refuse(format!(
                "the module for {task} was trained at {own} pixels and the one for {first} at \
                 {size}"
            ));
        }
        if card.preprocessing != modules[0].card.preprocessing {
            let first = &modules[0].card.task;
            return refuse(format!(
                "the modules for {task} and {first} were trained on images prepared in different \
                 ways; train them with one --fit"
            ));
        }
        if module.sites.is_empty() {
            return refuse(format!(
                "the module for {task} adapts no site; train it with --targets"
            ));
        }
        if modules[..index].iter().any(|other| other.card.task == *task) {
            return refuse(format!(
                "two modules are for the task {task}; a bundle takes one for each task"
            ));
        }
    }
    Ok(size)
}

/// A module's calibration as the manifest has it.
fn stated(card: &ModuleCard, options: &Options) -> Option<manifest::Calibration> {
    let own = card.calibration.as_ref()?;
    Some(manifest::Calibration {
        temperature: own.temperature,
        error: own.error_after.value,
        threshold: own.threshold,
        least_probability: options.least_probability,
        n: own.images as u64,
    })
}

/// The main result, if it has an interval.
fn main_result(measured: &Measured) -> Option<manifest::Metric> {
    let m = measured.main()?;
    Some(manifest::Metric {
        name: m.name.clone(),
        value: m.value,
        low: m.low?,
        high: m.high?,
        n: measured.images,
    })
}

/// The factors as the runtime takes them: `lora_a` `[in, rank]`, `lora_b` `[rank, out]`, and of
/// DoRA `lora_scale` `[out]`, which is divided by the norms of the changed weight already.
fn factors(vit: &Vit, sites: &Sites) -> BTreeMap<String, Tensor> {
    let mut tensors = BTreeMap::new();
    for (site, factors) in sites {
        tensors.insert(format!("{site}.lora_a"), transposed(&factors.a));
        tensors.insert(format!("{site}.lora_b"), transposed(&factors.b));
        if let Some(scales) = factors.magnitude_scales(&vit.tensors[&format!("{site}.weight")]) {
            tensors.insert(format!("{site}.lora_scale"), Tensor::f32(vec![scales.len()], scales));
        }
    }
    tensors
}

/// The transpose of a matrix.
fn transposed(matrix: &Tensor) -> Tensor {
    let (rows, columns) = (matrix.shape[0], matrix.shape[1]);
    Tensor::f32(vec![columns, rows], onnx::transposed(&matrix.data, rows, columns))
}

/// The networks of a model as modules of a bundle, and who takes part in which task.
struct Layout<'a> {
    vit: &'a Vit,
    /// The base's digest.
    base: String,
    modules: Vec<(manifest::Module, Vec<u8>)>,
    compositions: Vec<manifest::Composition>,
    routing: Option<manifest::Routing>,
    /// By task: the networks whose features its golden vectors hold, by their place among the
    /// model's.
    networks: BTreeMap<String, Vec<usize>>,
}

impl<'a> Layout<'a> {
    fn new(vit: &'a Vit, model: &Model, members: &[Module], base: &str) -> Result<Self, Error> {
        let base = base.to_owned();
        let mut layout = Layout {
            vit,
            base,
            modules: Vec::new(),
            compositions: Vec::new(),
            routing: None,
            networks: BTreeMap::new(),
        };
        let of_task = |task: &String| members.iter().find(|m| m.card.task == *task);
        // With routing the base is the model's first network; the golden vectors of a task have it
        // only where the task is routed.
        let first = usize::from(model.routing.is_some());
        layout.routing = model
            .routing
            .as_ref()
            .map(|_| manifest::Routing { entry: manifest::PROTOTYPES.into() });
        match &model.composition {
            Composition::Fusion(sites) => {
                let joined = |kind: &str, of: &dyn Fn(&Module) -> &str| {
                    let all: BTreeSet<&str> = members.iter().map(of).collect();
                    let joined = all.iter().copied().collect::<Vec<_>>().join(", ");
                    let fits = joined.len() <= MAX_NAME;
                    if fits {
                        joined
                    } else {
                        format!("{} {kind}, named in model_card.md", all.len())
                    }
                };
                let contributor = joined("contributors", &|m| &m.card.contributor);
                let licence = joined("licences", &|m| &m.card.licence);
                let id = layout.add(sites, contributor, licence, "merged".into())?;
                for task in model.heads.keys() {
                    layout.compose(
                        task,
                        Mode::Fusion,
                        vec![manifest::Part { module: id.clone(), weight: 1.0 }],
                    );
                    layout.networks.insert(task.clone(), vec![first]);
                }
            }
            Composition::Mixture { modules, weights } => {
                if modules.len() != members.len() {
                    let what = format!(
                        "the mixture has {} modules, and {} are there",
                        modules.len(),
                        members.len()
                    );
                    return Err(Error::Bundle { what });
                }
                let mut ids = BTreeMap::new();
                for (task, weights) in weights {
                    let mut taking: Vec<usize> =
                        (0..weights.len()).filter(|&m| weights[m] != 0.0).collect();
                    if taking.is_empty() {
                        taking.push(0);
                    }
                    let (mut parts, mut networks) = (Vec::new(), Vec::new());
                    for &m in &taking {
                        if let Entry::Vacant(place) = ids.entry(m) {
                            let card = members[m].card.clone();
                            place.insert(layout.add(
                                &modules[m],
                                card.contributor,
                                card.licence,
                                card.task,
                            )?);
                        }
                        // One module alone says the same whatever its weight, as long as that is
                        // positive.
                        let weight =
                            if taking.len() == 1 && weights[m] > 0.0 { 1.0 } else { weights[m] };
                        // Two contributors may have sent the same module.
                        match parts
                            .iter_mut()
                            .find(|part: &&mut manifest::Part| part.module == ids[&m])
                        {
                            Some(part) => part.weight += weight,
                            None => {
                                parts.push(manifest::Part { module: ids[&m].clone(), weight });
                                networks.push(first + m);
                            }
                        }
                    }
                    let alone = parts.len() == 1 && parts[0].weight == 1.0;
                    layout.compose(task, if alone { Mode::Fusion } else { Mode::Mixture }, parts);
                    layout.networks.insert(task.clone(), networks);
                }
            }
            Composition::Routed { modules } => {
                if model.routing.is_none() {
                    return Err(Error::Bundle { what: "a routed model needs routing".into() });
                }
                let mut parts = Vec::new();
                for (sites, task) in modules.iter().zip(model.heads.keys()) {
                    let card = of_task(task).map(|m| m.card.clone());
                    let Some(card) = card else {
                        return Err(Error::Bundle {
                            what: format!("no module is there for the routed task {task}"),
                        });
                    };
                    let id = layout.add(sites, card.contributor, card.licence, task.clone())?;
                    parts.push(manifest::Part { module: id, weight: 1.0 });
                }
                for task in model.heads.keys() {
                    layout.compose(task, Mode::Routed, parts.clone());
                    layout.networks.insert(task.clone(), (0..=modules.len()).collect());
                }
            }
        }
        Ok(layout)
    }

    /// Adds a module and gives its id.
    fn add(
        &mut self,
        sites: &Sites,
        contributor: String,
        licence: String,
        task: String,
    ) -> Result<String, Error> {
        let bytes = write(&factors(self.vit, sites))?;
        let id = sha256_hex(&bytes);
        let rank = sites.values().map(|f| f.a.shape[0]).max().unwrap_or(0);
        let module = manifest::Module {
            id: id.clone(),
            contributor,
            task,
            rank: u32::try_from(rank).unwrap_or(u32::MAX),
            sites: sites.keys().cloned().collect(),
            licence,
            base: self.base.clone(),
            entry: format!("modules/{id}.safetensors"),
        };
        if !self.modules.iter().any(|(known, _)| known.id == id) {
            self.modules.push((module, bytes));
        }
        Ok(id)
    }

    fn compose(&mut self, task: &str, mode: Mode, parts: Vec<manifest::Part>) {
        self.compositions.push(manifest::Composition { task: task.to_owned(), mode, parts });
    }
}

/// An image that is higher or wider than the input, what preprocessing makes of it, and what
/// packer's own forward pass makes of that for every task.
fn golden(
    vit: &Vit,
    model: &Model,
    networks: &BTreeMap<String, Vec<usize>>,
    preprocessing: &Preprocessing,
) -> Result<BTreeMap<String, Tensor>, Error> {
    let side = preprocessing.output_size().height as usize;
    let (rows, columns) = (side * 3 / 4 + 3, side * 5 / 4 + 5);
    // Waves that a shift by a pixel changes, and coarse ones that are left when it is made smaller.
    let wave = |i: usize| {
        let (row, column, channel) = (i / 3 / columns, i / 3 % columns, i % 3);
        let place = (3 * row + 7 * column + 11 * channel) as f64;
        127.5 + 80.0 * (0.05 * place).sin() + 40.0 * (2.0 * place).sin()
    };
    let levels: Vec<u8> = (0..rows * columns * 3).map(|i| wave(i) as u8).collect();
    let image = Tensor {
        shape: vec![rows, columns, 3],
        data: levels.iter().map(|&level| f32::from(level)).collect(),
        dtype: Dtype::F16,
    };
    let mut pixels = vec![0.0; 3 * side * side];
    preprocessing
        .apply(&RgbView::new(&levels, columns as u32, rows as u32, columns * 3)?, &mut pixels)?;
    let device = Cpu::<f32>::new();
    let feature = |sites: &Sites| Predictor::changed(&device, vit, sites, side).features(&pixels);
    let features = model.networks().iter().map(feature).collect::<Result<Vec<_>, _>>()?;
    let views: Vec<&[f32]> = features.iter().map(Vec::as_slice).collect();
    let mut tensors = BTreeMap::new();
    for task in model.heads.keys() {
        let shares: Vec<f32> =
            model.answer(&views, Some(task)).probabilities.iter().map(|p| *p as f32).collect();
        tensors.insert(format!("probabilities.{task}"), Tensor::f32(vec![1, shares.len()], shares));
        let rows: Vec<&[f32]> = networks[task].iter().map(|n| views[*n]).collect();
        tensors.insert(
            format!("feature.{task}"),
            Tensor::f32(vec![rows.len(), vit.config.features()], rows.concat()),
        );
    }
    tensors.insert("image".into(), image);
    tensors.insert("pixels".into(), Tensor::f32(vec![1, 3, side, side], pixels));
    Ok(tensors)
}

fn base(vit: &Vit, digest: String, size: u32) -> manifest::Base {
    let config = &vit.config;
    let small = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    manifest::Base {
        family: match config.family {
            Family::Clip => "clip".into(),
            Family::Dinov2 => "dinov2".into(),
            Family::Vit => "vit".into(),
        },
        digest,
        image_size: [size, size],
        feature_size: small(config.features()),
        layers: small(config.layers),
        heads: Some(small(config.heads)),
        licence: None,
    }
}

fn write(tensors: &BTreeMap<String, Tensor>) -> Result<Vec<u8>, Error> {
    let by_name = tensors.iter().map(|(name, tensor)| (name.as_str(), tensor));
    Ok(tensors::write(by_name, &BTreeMap::new())?)
}
