//! Reverse-mode automatic differentiation over a device. It knows operations, not models.
//!
//! Each operation computes its value at once. If a gradient is wanted through it, it leaves a
//! closure on the tape, which turns the gradient of its result into gradients of its operands. A
//! value that no closure keeps is freed with the last [`Var`] that holds it: frozen layers cost no
//! memory but what their own backward needs. What a norm, an activation or a gate gives is computed
//! again from its own input where a gradient needs it. Of a part that is
//! [recomputed](Tape::recomputed) only the input is kept.

use std::cell::RefCell;

use crate::device::{Activation, Device, Stored};

mod dora;
mod dropout;
mod image;
mod linear;
mod ops;
pub use dropout::Dropout;
pub use linear::LowRank;
#[cfg(test)]
mod tests;

/// A row-major matrix on a device.
#[derive(Clone)]
pub struct Tensor<D: Device> {
    pub buffer: D::Buffer,
    pub rows: usize,
    pub columns: usize,
}

/// A value in a computation: constant, or with a place on the tape.
#[derive(Clone)]
pub struct Var<D: Device> {
    pub value: Tensor<D>,
    node: Option<Node>,
    again: Option<Kept<D>>,
}

/// What a backward pass needs of a value: its buffer, or what it is computed from a second time, to
/// the same bits.
#[derive(Clone)]
enum Kept<D: Device> {
    Buffer(D::Buffer),
    /// Layer normalisation of each row of x.
    Norm {
        x: D::Buffer,
        gain: D::Buffer,
        bias: D::Buffer,
        epsilon: f64,
    },
    Activation {
        kind: Activation,
        x: D::Buffer,
    },
    /// An activation of g, times u.
    Gated {
        kind: Activation,
        g: D::Buffer,
        u: D::Buffer,
    },
}

/// The place of a variable on its tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node(usize);

/// The record of one forward pass.
pub struct Tape<D: Device> {
    device: D,
    /// Nodes below this one are another tape's, whose gradients this one adds to.
    first: usize,
    backward: RefCell<Vec<Option<Backward<D>>>>,
}

/// Gradients by node, while they are being added up and after.
pub struct Gradients<D: Device> {
    device: D,
    slots: Vec<Option<D::Buffer>>,
}

type Backward<D> = Box<dyn FnOnce(&D, &<D as Device>::Buffer, &mut Gradients<D>)>;

impl<D: Device> Tensor<D> {
    /// A matrix with `values` in row-major order.
    pub fn new(device: &D, values: &[f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns);
        Tensor { buffer: device.upload(values), rows, columns }
    }

    /// A matrix that is never trained, in the device's lower precision where it has one.
    pub fn frozen(device: &D, values: &[f32], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns);
        Tensor { buffer: device.upload_frozen(values), rows, columns }
    }

    /// Frozen weights as they are stored.
    pub fn stored(device: &D, values: &Stored, rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns);
        Tensor { buffer: device.upload_stored(values), rows, columns }
    }

    /// `buffer` in the shape of this one.
    fn like(&self, buffer: D::Buffer) -> Self {
        Tensor { buffer, rows: self.rows, columns: self.columns }
    }
}

impl<D: Device> Var<D> {
    /// A value that wants no gradient.
    pub fn constant(value: Tensor<D>) -> Self {
        Var { value, node: None, again: None }
    }

    /// This value, which `kept` gives a second time. What it holds is kept for this value's own
    /// gradient anyway: where none is wanted, the buffer is the least.
    fn computed_again(self, kept: Kept<D>) -> Self {
        let again = self.node.map(|_| kept);
        Var { again, ..self }
    }

    /// The same values as a matrix of other sides.
    pub fn reshaped(&self, rows: usize, columns: usize) -> Self {
        assert_eq!(rows * columns, self.value.rows * self.value.columns);
        // A gradient is a list of values, whatever its sides: it goes to the same place.
        Var {
            value: Tensor { buffer: self.value.buffer.clone(), rows, columns },
            node: self.node,
            again: None,
        }
    }

    fn needs_gradient(&self) -> bool {
        self.node.is_some()
    }
}

impl<D: Device + 'static> Tape<D> {
    pub fn new(device: &D) -> Self {
        Tape::after(device, 0)
    }

    /// A value whose gradient is wanted.
    pub fn parameter(&self, value: Tensor<D>) -> Var<D> {
        Var { value, node: Some(self.push(None)), again: None }
    }

    /// The gradients of `loss`, a single value, to every parameter it came from. The tape is used
    /// up.
    pub fn backward(self, loss: &Var<D>) -> Gradients<D> {
        assert_eq!((loss.value.rows, loss.value.columns), (1, 1), "a loss is one value");
        let one = self.device.loss_gradient();
        self.backward_from([(loss, one)])
    }

    /// The gradients to every parameter of a loss that was computed elsewhere from `results`, given
    /// its gradient to each of these. The tape is used up.
    pub fn backward_from<'a>(
        self,
        results: impl IntoIterator<Item = (&'a Var<D>, D::Buffer)>,
    ) -> Gradients<D> {
        let mut gradients = Gradients { device: self.device.clone(), slots: Vec::new() };
        self.unwind(results, &mut gradients);
        gradients
    }

    /// The result of `part`, of whose inside nothing is kept: the backward pass runs it again when
    /// its gradient is due (Chen et al. 2016, arXiv 1604.06174, section 3). `part` keeps the
    /// variables that go into it, of this tape, and must compute the same each time; every gradient
    /// is then what it would be without, bit for bit.
    pub fn recomputed(&self, part: impl Fn(&Tape<D>) -> Var<D> + 'static) -> Var<D> {
        let once = Tape::after(&self.device, self.first + self.backward.borrow().len());
        let result = part(&once);
        drop(once);
        let node = result.node.map(|_| {
            self.push(Some(Box::new(move |device, dy, gradients| {
                let own = gradients.slots.len();
                let tape = Tape::after(device, own);
                let result = part(&tape);
                tape.unwind([(&result, dy.clone())], gradients);
                gradients.slots.truncate(own);
            })))
        });
        Var { value: result.value, node, again: None }
    }

    /// An empty tape whose nodes count from `first`.
    fn after(device: &D, first: usize) -> Self {
        Tape { device: device.clone(), first, backward: RefCell::new(Vec::new()) }
    }

    /// Adds to `gradients` what follows from the gradient to each of `results`.
    fn unwind<'a>(
        self,
        results: impl IntoIterator<Item = (&'a Var<D>, D::Buffer)>,
        gradients: &mut Gradients<D>,
    ) where
        D: 'a,
    {
        let mut backward = self.backward.into_inner();
        gradients.slots.resize(self.first + backward.len(), None);
        for (result, gradient) in results {
            gradients.add(result.node, || gradient);
        }
        for (i, closure) in backward.iter_mut().enumerate().rev() {
            let Some(closure) = closure.take() else { continue };
            if let Some(dy) = gradients.slots[self.first + i].take() {
                closure(&self.device, &dy, gradients);
            }
        }
    }

    fn push(&self, backward: Option<Backward<D>>) -> Node {
        let mut list = self.backward.borrow_mut();
        list.push(backward);
        Node(self.first + list.len() - 1)
    }

    /// Records a result of `operands`; the closure is kept only if one of them needs a gradient.
    fn record(
        &self,
        value: Tensor<D>,
        operands: &[&Var<D>],
        backward: impl FnOnce(&D, &D::Buffer, &mut Gradients<D>) + 'static,
    ) -> Var<D> {
        let wanted = operands.iter().any(|v| v.needs_gradient());
        let node = wanted.then(|| self.push(Some(Box::new(backward))));
        Var { value, node, again: None }
    }
}

impl<D: Device> Kept<D> {
    /// The least that gives the value of `x` back.
    fn of(x: &Var<D>) -> Self {
        x.again.clone().unwrap_or_else(|| Kept::Buffer(x.value.buffer.clone()))
    }

    fn get(&self, device: &D) -> D::Buffer {
        match self {
            Kept::Buffer(buffer) => buffer.clone(),
            Kept::Norm { x, gain, bias, epsilon } => device.layer_norm(x, gain, bias, *epsilon).0,
            Kept::Activation { kind, x } => device.activation(*kind, x),
            Kept::Gated { kind, g, u } => device.gated(*kind, g, u),
        }
    }
}

impl<D: Device> Gradients<D> {
    /// The gradient to a parameter; none if the loss does not depend on it.
    pub fn of(&self, parameter: &Var<D>) -> Option<&D::Buffer> {
        self.slots[parameter.node?.0].as_ref()
    }

    /// Adds to the gradient of `node`, if it is on the tape; `gradient` is computed only then.
    fn add(&mut self, node: Option<Node>, gradient: impl FnOnce() -> D::Buffer) {
        let Some(Node(i)) = node else { return };
        let gradient = gradient();
        match &mut self.slots[i] {
            Some(sum) => self.device.add_scaled(sum, 1.0, &gradient),
            empty => *empty = Some(gradient),
        }
    }
}
