//! The Gram matrices that RegMean needs from a contributor. At each site of a module, this is the
//! mean over tokens of x x^T, where x is the layer's input with the module in place. They are
//! second moments of features of patients' images.
//!
//! Refused: features that are not finite.

use std::cell::RefCell;
use std::collections::BTreeMap;

use faer::linalg::matmul::matmul;
use faer::{Accum, Mat, MatRef, Par};
use medforge_runtime::tensors::Tensor;

use crate::base::Vit;
use crate::data::Images;
use crate::device::Device;
use crate::lora::Module;
use crate::predict::{Predictor, batch};
use crate::tape::Var;
use crate::{Error, interrupt};

/// The Gram matrices of a module.
#[derive(Clone, Debug)]
pub struct Grams {
    /// By site, [in, in].
    pub sites: BTreeMap<String, Tensor>,
}

/// By site: a buffer, the sum of x x^T, and the number of x.
type Sums = BTreeMap<String, (Mat<f32>, Mat<f64>, usize)>;

impl Grams {
    /// Measures them on `images`. `step` is called once for each image.
    ///
    /// # Errors
    /// [`Error::Merge`] for values that are not finite; errors of the device.
    pub fn measure<D: Device + 'static>(
        device: &D,
        vit: &Vit,
        module: &Module,
        images: &Images,
        mut step: impl FnMut(),
    ) -> Result<Self, Error> {
        let size = module.card.image_size as usize;
        let predictor = Predictor::new(device, vit, Some(module), size);
        let sums: RefCell<Result<Sums, Error>> = RefCell::new(Ok(Sums::new()));
        let observe = |site: &str, x: &Var<D>| {
            let mut sums = sums.borrow_mut();
            let (Ok(sums_so_far), Some(factors)) = (sums.as_mut(), module.sites.get(site)) else {
                return;
            };
            match device.download(&x.value.buffer) {
                Ok(rows) => add(sums_so_far, site, &rows, factors.a.shape[1]),
                Err(error) => *sums = Err(error.into()),
            }
        };
        let all: Vec<usize> = (0..images.len()).collect();
        let mut pixels = Vec::new();
        for some in all.chunks(batch(device, &vit.config, size)) {
            interrupt::check()?;
            images.batch(some, None, &mut pixels)?;
            predictor.features_observed(&pixels, &observe)?;
            some.iter().for_each(|_| step());
        }
        let mean = |(site, (_, sum, count)): (String, (Mat<f32>, Mat<f64>, usize))| {
            let side = sum.nrows();
            let values: Vec<f32> = (0..side * side)
                .map(|i| (sum[(i / side, i % side)] / count as f64) as f32)
                .collect();
            if values.iter().all(|v| v.is_finite()) {
                Ok((site, Tensor::f32(vec![side, side], values)))
            } else {
                Err(Error::Merge { what: format!("what goes into {site} is not finite") })
            }
        };
        Ok(Grams { sites: sums.into_inner()?.into_iter().map(mean).collect::<Result<_, _>>()? })
    }
}

/// Adds a batch. Its product is in single precision, the sum over batches in double.
fn add(sums: &mut Sums, site: &str, rows: &[f32], inputs: usize) {
    let x = MatRef::from_row_major_slice(rows, rows.len() / inputs, inputs);
    let (part, sum, count) = sums
        .entry(site.to_owned())
        .or_insert_with(|| (Mat::zeros(inputs, inputs), Mat::zeros(inputs, inputs), 0));
    matmul(part.as_mut(), Accum::Replace, x.transpose(), x, 1.0, Par::Seq);
    for j in 0..inputs {
        for i in 0..inputs {
            sum[(i, j)] += f64::from(part[(i, j)]);
        }
    }
    *count += x.nrows();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::cpu::Cpu;
    use crate::gpu_variants::variants;
    use crate::merge::composition_tests::setting;
    use crate::train::tests::data;

    #[test]
    fn a_matrix_is_the_mean_of_products_on_every_device() {
        let (vit, modules, _) = setting();
        let module = &modules[1];
        let (_dir, data) = data();
        let images =
            Images::load(&data, &[0, 1, 2, 3, 4], &vit.preprocessing_for(8).unwrap()).unwrap();
        let exact = Cpu::<f64>::poisoned();
        let mut done = 0;
        let expected = Grams::measure(&exact, &vit, module, &images, || done += 1).unwrap();
        assert_eq!(done, 5);
        assert!(expected.sites.keys().eq(module.sites.keys()));
        // By hand at one site, from the rows themselves.
        let site = module.sites.keys().next().unwrap();
        let (rows, mut pixels) = (RefCell::new(Vec::new()), Vec::new());
        images.batch(&[0, 1, 2, 3, 4], None, &mut pixels).unwrap();
        let keep = |at: &str, x: &Var<Cpu<f64>>| {
            if at == site {
                rows.borrow_mut().extend(exact.download(&x.value.buffer).unwrap());
            }
        };
        Predictor::new(&exact, &vit, Some(module), 8).features_observed(&pixels, &keep).unwrap();
        let (rows, side) = (rows.into_inner(), expected.sites[site].shape[0]);
        let count = rows.len() / side;
        for (i, found) in expected.sites[site].data.iter().enumerate() {
            let products =
                rows.chunks_exact(side).map(|x| f64::from(x[i / side]) * f64::from(x[i % side]));
            let mean = products.sum::<f64>() / count as f64;
            assert!(
                (f64::from(*found) - mean).abs() < 1e-5 * (1.0 + mean.abs()),
                "{i}: {found} {mean}"
            );
        }
        let close = |found: Grams| {
            for (site, tensor) in &expected.sites {
                for (e, f) in tensor.data.iter().zip(&found.sites[site].data) {
                    assert!((e - f).abs() < 1e-3 * (1.0 + e.abs()), "{site}: {f} {e}");
                }
            }
        };
        close(Grams::measure(&Cpu::<f32>::poisoned(), &vit, module, &images, || ()).unwrap());
        for variant in variants().iter().filter(|v| !v.half) {
            close(Grams::measure(&variant.gpu, &vit, module, &images, || ()).unwrap());
        }
    }
}
