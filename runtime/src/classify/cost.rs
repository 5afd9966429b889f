//! What a bundle costs, known from its manifest, its graph and the shapes of its tensors before
//! anything is made of them.
//!
//! Refused: a graph of other sizes than the manifest says, and more memory or work than
//! [`Options::most`] allows: for all that is in memory together, for one
//! image under the default of its task, and for the golden vectors.

use std::collections::{BTreeMap, BTreeSet};

use super::graph;
use super::options::{Cost, GOLDEN_IMAGES, Options};
use crate::bundle::description::require;
use crate::bundle::manifest::{self, Composition, Manifest, Mode};
use crate::error::Refusal;
use crate::tensors::{self, View};
use crate::vit::{Shape, Site, Taken};
use crate::{Class, Error};

/// What a bundle takes.
#[derive(Debug, PartialEq)]
pub(super) struct Counted {
    /// Bytes of the file, of the base and of a call.
    base: u128,
    /// Bytes of all that comes with the bundle and is no base.
    pub modules: u128,
    /// Multiply-adds of the costliest task's default.
    image: u128,
    /// Multiply-adds of the golden vectors, each network once.
    golden: u128,
}

impl Counted {
    /// Counts what a bundle of this manifest and `length` takes on a base of this shape, given the
    /// tensors of an entry. No value of a tensor is read.
    ///
    /// # Errors
    /// [`Class::Contradiction`] where the manifest denies the graph, and the classes of tensor
    /// files.
    pub fn new<'a>(
        manifest: &Manifest,
        length: usize,
        views: impl Fn(&str) -> Result<BTreeMap<String, View<'a>>, Error>,
        shape: &Shape,
        options: &Options,
    ) -> Result<Self, Error> {
        agrees(manifest, shape)?;
        let (pass, modules) = (shape.base(options.precision), modules(manifest, &views, shape)?);
        let mut counted = Counted {
            base: 0,
            modules: modules.values().map(|(taken, _)| taken.bytes).sum(),
            image: 0,
            golden: 0,
        };
        let ranks = counted.compositions(manifest, pass, &modules, shape.feature() as u128);
        let (threads, precision) = (options.threads.count() as u128, options.precision);
        let activations = shape.activations(precision, threads, options.spread, ranks);
        let base = views("base.safetensors")?;
        let half = |name: &str| base.get(name).is_some_and(View::is_half);
        let (saved, room) = shape.halved(precision, half);
        counted.base = pass.bytes - saved + activations + threads * room + length as u128;
        // The file's values, most of them in half of the bytes that they have in memory.
        let own = manifest.entries.iter().filter(|entry| !entry.name.starts_with("base."));
        counted.modules += own.map(|entry| 2 * u128::from(entry.length)).sum::<u128>();
        Ok(counted)
    }

    /// Counts the networks of all compositions, given what one `pass` of the base takes. Returns
    /// the largest rank of any of them.
    fn compositions(
        &mut self,
        manifest: &Manifest,
        pass: Taken,
        modules: &ByModule,
        feature: u128,
    ) -> u128 {
        // The networks that golden vectors are made with; the frozen base is none of a module's.
        let mut networks: BTreeSet<Option<&str>> = BTreeSet::new();
        let mut ranks = modules.values().map(|(_, rank)| *rank).max().unwrap_or(0);
        let classes: BTreeMap<_, _> =
            manifest.heads.iter().map(|head| (&head.task, head.classes.len() as u128)).collect();
        for Composition { task, mode, parts } in &manifest.compositions {
            let classes = classes.get(task).copied().unwrap_or(0);
            let known = || parts.iter().filter_map(|part| modules.get(part.module.as_str()));
            let together = known().fold(Taken::default(), |sum, (module, _)| sum + *module);
            let alone = matches!(&parts[..], [part] if part.weight == 1.0);
            let count = match mode {
                Mode::Fusion => 1,
                Mode::Mixture => parts.len() as u128,
                Mode::Routed => 1 + parts.len() as u128,
            };
            let base = count * pass.operations + together.operations;
            self.image = self.image.max(base + count * classes * feature + feature * feature);
            if *mode == Mode::Fusion && !alone {
                // A network of its own, laid out from factors that are joined first.
                self.modules += 2 * together.bytes;
                self.golden += pass.operations + together.operations;
                ranks = ranks.max(known().map(|(_, rank)| rank).sum());
            } else {
                networks.extend(parts.iter().map(|part| Some(part.module.as_str())));
                networks.extend((*mode == Mode::Routed).then_some(None));
            }
        }
        let added = |id: &Option<&str>| {
            id.and_then(|id| modules.get(id)).map_or(0, |(taken, _)| taken.operations)
        };
        self.golden += networks.iter().map(|id| pass.operations + added(id)).sum::<u128>();
        ranks
    }

    /// Refuses what is more than `most`, `beside` bytes of other bundles' modules.
    ///
    /// # Errors
    /// [`Class::TooCostly`].
    pub fn within(&self, most: Cost, beside: u128) -> Result<(), Error> {
        let golden = u128::from(most.operations) * u128::from(GOLDEN_IMAGES);
        let table = [
            ("it", "bytes of memory", self.base + self.modules + beside, u128::from(most.bytes)),
            ("an image", "multiply-adds", self.image, u128::from(most.operations)),
            ("its golden vectors", "multiply-adds", self.golden, golden),
        ];
        for (what, unit, found, allowed) in table {
            if found > allowed {
                let what = format!(
                    "{what} would take {:.1e} {unit}, and {:.1e} are allowed; take a smaller base \
                     or fewer modules, or allow \
                     more where it is opened",
                    found as f64, allowed as f64
                );
                return Err(Refusal::new(Class::TooCostly, what).into());
            }
        }
        Ok(())
    }
}

/// By id, what a module takes laid out, and its largest rank.
type ByModule<'a> = BTreeMap<&'a str, (Taken, u128)>;

fn modules<'m, 'a>(
    manifest: &'m Manifest,
    views: impl Fn(&str) -> Result<BTreeMap<String, View<'a>>, Error>,
    shape: &Shape,
) -> Result<ByModule<'m>, Error> {
    let one = |module: &'m manifest::Module| {
        let views = views(&module.entry)?;
        let rank = |site: Site| {
            let shape = views.get(&site.lora_a()).map(|view| &view.shape);
            shape.and_then(|shape| shape.last()).copied().unwrap_or(0)
        };
        let largest = shape.sites().map(rank).max().unwrap_or(0);
        Ok((module.id.as_str(), (shape.adapter(rank), largest as u128)))
    };
    manifest.modules.iter().map(one).collect()
}

/// For packers, not devices: whether `options` allow what a bundle of this manifest and payload
/// takes. Nothing else is checked, and the payload need not be complete.
///
/// # Errors
/// [`Class::TooCostly`]; [`Error::Refused`] for a graph that devices would not take.
pub fn affordable(
    manifest: &Manifest,
    payload: &BTreeMap<String, Vec<u8>>,
    options: &Options,
) -> Result<(), Error> {
    let entry = |name: &str| payload.get(name).map_or(&[][..], Vec::as_slice);
    let views = |name: &str| tensors::views(entry(name), name);
    let shape = graph::read(entry("base.onnx"), &views("base.safetensors")?)?;
    let length = payload.values().map(Vec::len).sum();
    Counted::new(manifest, length, views, &shape, options)?.within(options.most, 0)
}

/// Whether the manifest says of the base what the graph says.
fn agrees(manifest: &Manifest, shape: &Shape) -> Result<(), Error> {
    let base = &manifest.base;
    for (what, graph, stated) in [
        ("rows of an image", shape.side(), Some(base.image_size[0])),
        ("columns of an image", shape.side(), Some(base.image_size[1])),
        ("values of a feature", shape.feature(), Some(base.feature_size)),
        ("blocks", shape.blocks, Some(base.layers)),
        ("heads", shape.heads, base.heads),
    ] {
        require(stated.is_none_or(|stated| stated as usize == graph), || {
            format!("base.onnx has {graph} {what}, and base says {}", stated.unwrap_or(0))
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
