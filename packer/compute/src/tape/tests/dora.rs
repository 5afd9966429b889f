//! Dropout and DoRA. The norms of a decomposed weight are constants to its gradient, so differences
//! tell the gradients of x, magnitude and bias alone; those of A and B are held against the same
//! layer with its gain written as a constant.

use super::*;

const RATE: f64 = 0.4;

fn dropout(images: usize) -> Dropout {
    Dropout { rate: RATE, seed: 1, step: 2, site: 3, first: 0, images }
}

/// (rows, inputs, outputs, rank), and the images that the rows are of.
const SIZES: [([usize; 4], usize); 4] =
    [([1, 1, 1, 1], 1), ([6, 5, 3, 2], 3), ([7, 4, 9, 1], 7), ([2, 17, 3, 4], 1)];

#[test]
fn dropout_in_a_low_rank_branch() {
    for ([rows, inputs, outputs, rank], images) in SIZES {
        let shapes =
            [(rows, inputs), (outputs, inputs), (1, outputs), (rank, inputs), (outputs, rank)];
        check("dropout", &shapes, |t, v| {
            let lora = LowRank::plain(v[3].clone(), v[4].clone(), 0.5);
            t.linear(
                &v[0],
                &v[1],
                Some(&v[2]),
                Some(&LowRank { dropout: Some(dropout(images)), ..lora }),
            )
        });
    }
}

/// The layer of a test: constants W, A and B, or parameters A and B.
struct Layer {
    size: [usize; 4],
    dropout: Option<Dropout>,
    biased: bool,
}

fn layers() -> Vec<Layer> {
    let of = |(size, images): ([usize; 4], usize)| {
        [(None, true), (None, false), (Some(dropout(images)), true), (Some(dropout(images)), false)]
            .map(|(dropout, biased)| Layer { size, dropout, biased })
    };
    SIZES.into_iter().flat_map(of).collect()
}

const SCALE: f64 = 0.75;

impl Layer {
    fn weight(&self) -> Var<D> {
        let [_, inputs, outputs, _] = self.size;
        Var::constant(Tensor::new(&D::poisoned(), &numbers(outputs * inputs, 41), outputs, inputs))
    }

    fn factors(&self) -> [Tensor<D>; 2] {
        let [_, inputs, outputs, rank] = self.size;
        let a = Tensor::new(&D::poisoned(), &numbers(rank * inputs, 42), rank, inputs);
        [a, Tensor::new(&D::poisoned(), &numbers(outputs * rank, 43), outputs, rank)]
    }

    /// The norm of each row of W + SCALE * B A.
    fn norms(&self) -> Vec<f64> {
        let [_, inputs, outputs, rank] = self.size;
        let [w, a, b] = [(outputs * inputs, 41), (rank * inputs, 42), (outputs * rank, 43)]
            .map(|(n, s)| numbers(n, s));
        let at = |o: usize, i: usize| {
            let change = |r: usize| f64::from(b[o * rank + r]) * f64::from(a[r * inputs + i]);
            f64::from(w[o * inputs + i]) + SCALE * (0..rank).map(change).sum::<f64>()
        };
        (0..outputs).map(|o| (0..inputs).map(|i| at(o, i).powi(2)).sum::<f64>().sqrt()).collect()
    }
}

#[test]
fn the_gradients_of_input_magnitude_and_bias_are_their_differences() {
    for layer in layers() {
        let [rows, inputs, outputs, _] = layer.size;
        let shapes = [(rows, inputs), (1, outputs), (1, outputs)];
        check("DoRA", &shapes[..if layer.biased { 3 } else { 2 }], |t, v| {
            let [a, b] = layer.factors().map(Var::constant);
            let lora = LowRank {
                magnitude: Some(v[1].clone()),
                dropout: layer.dropout,
                ..LowRank::plain(a, b, SCALE)
            };
            t.linear(&v[0], &layer.weight(), layer.biased.then(|| &v[2]), Some(&lora))
        });
    }
}

#[test]
fn value_and_gradients_of_the_factors_are_those_of_a_scaled_layer() {
    let device = D::poisoned();
    for layer in layers() {
        let [rows, inputs, outputs, _] = layer.size;
        let tensor = |values: &[f32], columns: usize| {
            Var::constant(Tensor::new(&device, values, values.len() / columns, columns))
        };
        let (x, magnitude, bias) =
            (numbers(rows * inputs, 44), numbers(outputs, 45), numbers(outputs, 46));
        let mask = layer.dropout.map_or(vec![1.0; x.len()], |dropout| dropout.mask(rows, inputs));
        let left: Vec<f32> = x.iter().zip(&mask).map(|(x, m)| x * m).collect();
        let lost: Vec<f32> = x.iter().zip(&left).map(|(x, l)| x - l).collect();
        let gain: Vec<f32> =
            magnitude.iter().zip(layer.norms()).map(|(m, n)| (f64::from(*m) / n) as f32).collect();
        let bias = layer.biased.then(|| tensor(&bias, outputs));
        let run = |decomposed: bool| {
            let tape = Tape::new(&device);
            let [a, b] = layer.factors().map(|factor| tape.parameter(factor));
            let plain = LowRank::plain(a.clone(), b.clone(), SCALE);
            let y = if decomposed {
                let magnitude = Some(tensor(&magnitude, outputs));
                let lora = LowRank { magnitude, dropout: layer.dropout, ..plain };
                tape.linear(&tensor(&x, inputs), &layer.weight(), bias.as_ref(), Some(&lora))
            } else {
                let rest =
                    tape.linear(&tensor(&lost, inputs), &layer.weight(), bias.as_ref(), None);
                let changed =
                    tape.linear(&tensor(&left, inputs), &layer.weight(), None, Some(&plain));
                tape.residual(&rest, &changed, Some(&tensor(&gain, outputs)))
            };
            let loss = weigh(&tape, &y);
            let value = device.values(&y.value.buffer).to_vec();
            let gradients = tape.backward(&loss);
            [
                value,
                device.values(gradients.of(&a).unwrap()).to_vec(),
                device.values(gradients.of(&b).unwrap()).to_vec(),
            ]
        };
        for (found, expected) in run(true).into_iter().zip(run(false)) {
            for (found, expected) in found.iter().zip(&expected) {
                let error = (found - expected).abs();
                assert!(
                    error < 1e-5 * (1.0 + expected.abs()),
                    "{:?}: {found} against {expected}",
                    layer.size
                );
            }
        }
    }
}

#[test]
fn a_row_of_zeros_stays_one() {
    let device = D::poisoned();
    let constant = |values: &[f32], rows: usize| {
        Var::constant(Tensor::new(&device, values, rows, values.len() / rows))
    };
    let lora = LowRank::plain(constant(&[1.0, 2.0], 1), constant(&[0.0, 1.0], 2), 1.0);
    let lora = LowRank { magnitude: Some(constant(&[3.0, 3.0], 1)), ..lora };
    let y = Tape::new(&device).linear(
        &constant(&[1.0, 1.0], 1),
        &constant(&[0.0, 0.0, 1.0, 0.0], 2),
        None,
        Some(&lora),
    );
    let values = device.values(&y.value.buffer);
    // (1 + 1, 2) has the norm sqrt 8 and the input (1, 1) the product 4 with it.
    assert!(values[0] == 0.0 && (values[1] - 3.0 * 4.0 / 8f64.sqrt()).abs() < 1e-9, "{values:?}");
}
