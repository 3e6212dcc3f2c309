//! What was computed on a GPU in a step, and how, so that gradients find their way back (reverse accumulation; Griewank and
//! Walther 2008, chapter 3).

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{CpuStorage, CustomOp1, Error, Layout, Result, Shape, Tensor, TensorId, bail};
use utsushi_cuda::Noise;
use utsushi_cuda::training::{self as ops, Batch, Conv, Values, Workbench};

use super::gpu::{GpuMaps, batch};
use super::values;

/// What the GPU says.
type OnGpu<T> = std::result::Result<T, utsushi_cuda::Error>;

/// The notes of a step.
pub(super) struct Tape {
    bench: Arc<Workbench>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nodes: Vec<Node>,
    /// What was brought from outside. Kept, so that no other tensor gets its number.
    brought: HashMap<TensorId, (Tensor, usize)>,
    /// What pictures were changed by.
    changes: Vec<Vec<ops::Change>>,
}

/// A result.
struct Node {
    values: Arc<Values>,
    dims: Vec<usize>,
    /// Does it depend on a variable?
    is_tracked: bool,
    /// What it was made of first, and how; nothing for what came from outside.
    made: Option<(usize, From)>,
}

/// How a result was made: an operation's other inputs, as numbers of nodes, and its settings.
#[derive(Debug, Clone, Copy)]
pub(super) enum From {
    Conv { conv: Conv, weight: usize, bias: usize, added: Option<usize> },
    Depthwise { weight: usize, bias: usize },
    Norm { affine: Option<(usize, usize)> },
    Upsample { base: usize },
    Join { other: usize },
    Add { other: usize },
    Subtract { other: usize },
    Change { changes: usize, hole_px: usize },
    Reduce { factor: usize },
    Variation,
    Blur,
    AddNoise { weights: usize, noise: usize },
    Shuffle { factor: usize },
    Unshuffle { factor: usize },
    MaxPool,
    PixelNorm,
    InstanceNorm { floor: f32 },
    Gram,
    Distance { other: usize },
}

impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("bench", &self.bench).finish_non_exhaustive()
    }
}

pub(super) fn failed(error: utsushi_cuda::Error) -> Error {
    Error::wrap(error)
}

impl Tape {
    pub(super) fn begun(bench: Arc<Workbench>) -> Arc<Self> {
        Arc::new(Self { bench, state: Mutex::default() })
    }

    pub(super) fn renewed(&self) -> Arc<Self> {
        Self::begun(Arc::clone(&self.bench))
    }

    pub(super) fn bench(&self) -> &Arc<Workbench> {
        &self.bench
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn values(&self, node: usize) -> Arc<Values> {
        Arc::clone(&self.state().nodes[node].values)
    }

    /// A tensor on the GPU; one that is there already isn't brought again.
    pub(super) fn bring(self: &Arc<Self>, tensor: &Tensor) -> Result<GpuMaps> {
        let maps = |node| GpuMaps { tape: Arc::clone(self), node, dims: tensor.dims().to_vec() };
        if let Some((_, node)) = self.state().brought.get(&tensor.id()) {
            return Ok(maps(*node));
        }
        let contiguous = tensor.contiguous()?;
        let values = Arc::new(self.bench.upload(&values(&contiguous)?).map_err(failed)?);
        let mut state = self.state();
        let node = state.push(Node {
            values,
            dims: tensor.dims().to_vec(),
            is_tracked: tensor.track_op(),
            made: None,
        });
        state.brought.insert(tensor.id(), (tensor.clone(), node));
        Ok(maps(node))
    }

    pub(super) fn detached(self: &Arc<Self>, maps: &GpuMaps) -> GpuMaps {
        self.constant(self.values(maps.node), maps.dims.clone())
    }

    /// The noise of maps of so many rows and columns, `[maps, rows, cols, 1]`.
    pub(super) fn noise(self: &Arc<Self>, maps: &[Noise], rows: usize, cols: usize) -> Result<GpuMaps> {
        let values = ops::noise(&self.bench, maps, rows, cols).map_err(failed)?;
        Ok(self.constant(Arc::new(values), vec![maps.len(), rows, cols, 1]))
    }

    /// Values of the processor's that no gradients flow to, as what they are here.
    pub(super) fn given(self: &Arc<Self>, tensor: &Tensor, dims: Vec<usize>) -> Result<GpuMaps> {
        let contiguous = tensor.contiguous()?;
        let values = self.bench.upload(&values(&contiguous)?).map_err(failed)?;
        Ok(self.constant(Arc::new(values), dims))
    }

    /// Values that no gradients flow to.
    fn constant(self: &Arc<Self>, values: Arc<Values>, dims: Vec<usize>) -> GpuMaps {
        let node = self.state().push(Node { values, dims: dims.clone(), is_tracked: false, made: None });
        GpuMaps { tape: Arc::clone(self), node, dims }
    }

    /// Keeps changes for [`From::Change`].
    pub(super) fn keep(&self, changes: Vec<ops::Change>) -> usize {
        let mut state = self.state();
        state.changes.push(changes);
        state.changes.len() - 1
    }

    /// Computes something, and notes it.
    pub(super) fn note(self: &Arc<Self>, x: usize, dims: Vec<usize>, from: From) -> Result<GpuMaps> {
        let mut state = self.state();
        let values = Arc::new(state.computed(&self.bench, x, from).map_err(failed)?);
        if values.len() != dims.iter().product::<usize>() {
            bail!("{from:?} gave {} values for {dims:?}", values.len());
        }
        let is_tracked = from.inputs(x).iter().any(|input| state.nodes[*input].is_tracked);
        let node = state.push(Node { values, dims: dims.clone(), is_tracked, made: Some((x, from)) });
        Ok(GpuMaps { tape: Arc::clone(self), node, dims })
    }

    /// Results as tensors that gradients flow through, to the variables that they depend on.
    pub(super) fn take(self: &Arc<Self>, maps: &[GpuMaps]) -> Result<Vec<Tensor>> {
        let nodes: Vec<_> = maps.iter().map(|maps| maps.node).collect();
        let values: Vec<_> = nodes.iter().map(|node| self.values(*node)).collect();
        let flat =
            self.bench.download(&values.iter().map(AsRef::as_ref).collect::<Vec<_>>()).map_err(failed)?;
        let (leaves, tensors) = self.state().leaves(&nodes);
        let flat = if leaves.is_empty() {
            let len = flat.len();
            Tensor::from_vec(flat, len, &candle_core::Device::Cpu)?
        } else {
            // An operation has few inputs, so that all of them come in one.
            let all = tensors.iter().map(Tensor::flatten_all).collect::<Result<Vec<_>>>()?;
            let op = Taken { tape: Arc::clone(self), nodes, leaves, values: Mutex::new(flat) };
            Tensor::cat(&all, 0)?.apply_op1(op)?
        };
        let mut at = 0;
        let parts = maps.iter().map(|maps| {
            let len = maps.dims.iter().product();
            at += len;
            flat.narrow(0, at - len, len)?.reshape(&maps.dims[..])
        });
        parts.collect()
    }

    /// The gradients of leaves, one after the other, from those of results, one after the other.
    fn gradients(&self, nodes: &[usize], given: &[f32], leaves: &[usize]) -> Result<Vec<f32>> {
        let state = self.state();
        let mut gradients = Gradients { bench: &self.bench, of: HashMap::new() };
        let mut at = 0;
        for node in nodes {
            let len = state.nodes[*node].values.len();
            if state.nodes[*node].is_tracked {
                let given = self.bench.upload(&given[at..at + len]).map_err(failed)?;
                gradients.add(*node, Arc::new(given)).map_err(failed)?;
            }
            at += len;
        }
        // What was made later comes first: then all that a result gave has come before it is passed on.
        for node in (0..state.nodes.len()).rev() {
            let Some((x, from)) = state.nodes[node].made else { continue };
            let Some(gradient) = gradients.of.remove(&node) else { continue };
            state.pass(&mut gradients, node, x, from, &gradient).map_err(failed)?;
        }
        for leaf in leaves {
            // Its part of the results may not have counted.
            if !gradients.of.contains_key(leaf) {
                let nothing = self.bench.upload(&vec![0.0; state.of(*leaf).len()]).map_err(failed)?;
                gradients.of.insert(*leaf, Arc::new(nothing));
            }
        }
        self.bench
            .download(&leaves.iter().map(|leaf| &*gradients.of[leaf]).collect::<Vec<_>>())
            .map_err(failed)
    }
}

/// The gradients that have come so far, by nodes.
struct Gradients<'a> {
    bench: &'a Arc<Workbench>,
    of: HashMap<usize, Arc<Values>>,
}

impl Gradients<'_> {
    fn add(&mut self, node: usize, gradient: Arc<Values>) -> OnGpu<()> {
        let sum = match self.of.get(&node) {
            Some(before) => Arc::new(ops::add(self.bench, before, &gradient)?),
            None => gradient,
        };
        self.of.insert(node, sum);
        Ok(())
    }
}

impl From {
    /// All that the result was made of; `x` is the first of them.
    fn inputs(self, x: usize) -> Vec<usize> {
        match self {
            Self::Conv { weight, bias, added, .. } => [x, weight, bias].into_iter().chain(added).collect(),
            Self::Depthwise { weight, bias } => vec![x, weight, bias],
            Self::Norm { affine: Some((scale, shift)) } => vec![x, scale, shift],
            Self::Upsample { base: other }
            | Self::Join { other }
            | Self::Add { other }
            | Self::Subtract { other }
            | Self::Distance { other } => vec![x, other],
            Self::AddNoise { weights, noise } => vec![x, weights, noise],
            Self::Norm { affine: None }
            | Self::Blur
            | Self::Shuffle { .. }
            | Self::Unshuffle { .. }
            | Self::Change { .. }
            | Self::Reduce { .. }
            | Self::Variation
            | Self::MaxPool
            | Self::PixelNorm
            | Self::InstanceNorm { .. }
            | Self::Gram => vec![x],
        }
    }
}

impl State {
    fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// What came from outside and results depend on, of what has gradients: nodes and tensors.
    fn leaves(&self, results: &[usize]) -> (Vec<usize>, Vec<Tensor>) {
        let mut reached: BTreeSet<usize> = results.iter().copied().collect();
        let mut open: Vec<usize> = results.to_vec();
        while let Some(node) = open.pop() {
            let Some((x, from)) = self.nodes[node].made else { continue };
            open.extend(from.inputs(x).into_iter().filter(|input| reached.insert(*input)));
        }
        let is_leaf = |node: &usize| self.nodes[*node].is_tracked && self.nodes[*node].made.is_none();
        let mut brought: Vec<_> = self.brought.values().filter(|(_, node)| reached.contains(node)).collect();
        brought.sort_unstable_by_key(|(_, node)| *node);
        brought
            .into_iter()
            .filter(|(_, node)| is_leaf(node))
            .map(|(tensor, node)| (*node, tensor.clone()))
            .unzip()
    }

    fn of(&self, node: usize) -> &Values {
        &self.nodes[node].values
    }

    fn batch(&self, node: usize) -> Batch {
        batch(&self.nodes[node].dims).expect("maps, as was seen when they were made")
    }

    fn computed(&self, bench: &Arc<Workbench>, at: usize, from: From) -> OnGpu<Values> {
        let (x, shape) = (self.of(at), self.batch(at));
        match from {
            From::Conv { conv, weight, bias, added } => {
                let weights = (self.of(weight), self.of(bias));
                conv.forward(bench, x, shape, weights, added.map(|added| self.of(added)))
            }
            From::Depthwise { weight, bias } => {
                ops::depthwise_forward(bench, x, shape, self.of(weight), self.of(bias))
            }
            From::Norm { affine } => {
                let affine = affine.map(|(scale, shift)| (self.of(scale), self.of(shift)));
                ops::norm_forward(bench, x, shape, affine)
            }
            From::Upsample { base } => ops::upsample2_add(bench, x, shape, self.of(base)),
            From::Join { other } => {
                ops::join(bench, x, shape.channels, self.of(other), self.batch(other).channels)
            }
            From::Add { other } => ops::add(bench, x, self.of(other)),
            From::Subtract { other } => ops::subtract(bench, x, self.of(other)),
            From::Change { changes, hole_px } => {
                ops::change(bench, x, shape, &self.changes[changes], hole_px)
            }
            From::Reduce { factor } => ops::reduce(bench, x, shape, factor),
            From::Variation => ops::variation(bench, x, shape),
            From::Blur => ops::blur(bench, x, shape),
            From::AddNoise { weights, noise } => {
                ops::add_noise(bench, x, shape, self.of(weights), self.of(noise))
            }
            From::Shuffle { factor } => ops::pixel_shuffle(bench, x, shape, factor),
            From::Unshuffle { factor } => ops::pixel_unshuffle(bench, x, shape, factor),
            From::MaxPool => ops::max_pool2(bench, x, shape),
            From::PixelNorm => ops::pixel_norm(bench, x, shape),
            From::InstanceNorm { floor } => ops::instance_norm(bench, x, shape, floor),
            From::Gram => ops::gram(bench, x, shape),
            From::Distance { other } => ops::distance(bench, x, self.of(other)),
        }
    }

    /// Passes a result's gradient on to what it was made of.
    fn pass(
        &self,
        to: &mut Gradients,
        result: usize,
        at: usize,
        from: From,
        gradient: &Arc<Values>,
    ) -> OnGpu<()> {
        let bench = to.bench;
        let (x, shape, wants) = (self.of(at), self.batch(at), |node: usize| self.nodes[node].is_tracked);
        match from {
            From::Conv { conv, weight, bias, added } => {
                if let Some(added) = added.filter(|added| wants(*added)) {
                    to.add(added, Arc::clone(gradient))?;
                }
                let gradient = if conv.slope == 1.0 {
                    Arc::clone(gradient)
                } else {
                    Arc::new(ops::before_activation(bench, self.of(result), gradient, conv.slope)?)
                };
                if wants(at) {
                    to.add(at, Arc::new(conv.input_gradient(bench, self.of(weight), &gradient, shape)?))?;
                }
                if wants(weight) || wants(bias) {
                    let outputs = self.of(bias).len();
                    let gradients = conv.weight_gradients(bench, x, shape, &gradient, outputs)?;
                    to.add(weight, Arc::new(gradients.weight))?;
                    to.add(bias, Arc::new(gradients.bias))?;
                }
            }
            From::Depthwise { weight, bias } => {
                if wants(at) {
                    let own = ops::depthwise_input_gradient(bench, self.of(weight), gradient, shape)?;
                    to.add(at, Arc::new(own))?;
                }
                if wants(weight) || wants(bias) {
                    let gradients = ops::depthwise_weight_gradients(bench, x, shape, gradient)?;
                    to.add(weight, Arc::new(gradients.weight))?;
                    to.add(bias, Arc::new(gradients.bias))?;
                }
            }
            From::Norm { affine } => {
                let scale = affine.map(|(scale, _)| self.of(scale));
                let gradients = ops::norm_gradients(bench, scale, x, shape, gradient)?;
                to.add(at, Arc::new(gradients.x))?;
                if let (Some((scale, shift)), Some(of)) = (affine, gradients.affine) {
                    to.add(scale, Arc::new(of.0))?;
                    to.add(shift, Arc::new(of.1))?;
                }
            }
            From::Upsample { base } => {
                to.add(base, Arc::clone(gradient))?;
                to.add(at, Arc::new(ops::upsample2_gradient(bench, gradient, shape)?))?;
            }
            From::Join { other } => {
                let first = shape.channels;
                let all = first + self.batch(other).channels;
                for (node, range) in [(at, 0..first), (other, first..all)] {
                    if wants(node) {
                        to.add(node, Arc::new(ops::part(bench, gradient, all, range)?))?;
                    }
                }
            }
            From::Add { other } => {
                for node in [at, other].into_iter().filter(|node| wants(*node)) {
                    to.add(node, Arc::clone(gradient))?;
                }
            }
            From::Subtract { other } => {
                if wants(at) {
                    to.add(at, Arc::clone(gradient))?;
                }
                if wants(other) {
                    let nothing = Arc::new(bench.upload(&vec![0.0; gradient.len()])?);
                    to.add(other, Arc::new(ops::subtract(bench, &nothing, gradient)?))?;
                }
            }
            From::Change { changes, hole_px } => {
                let changes = &self.changes[changes];
                to.add(at, Arc::new(ops::change_gradient(bench, gradient, shape, changes, hole_px)?))?;
            }
            From::Reduce { factor } => {
                to.add(at, Arc::new(ops::reduction_gradient(bench, gradient, shape, factor)?))?;
            }
            From::Variation => to.add(at, Arc::new(ops::variation_gradient(bench, x, shape, gradient)?))?,
            From::Blur => to.add(at, Arc::new(ops::blur_gradient(bench, gradient, shape)?))?,
            From::AddNoise { weights, noise } => {
                if wants(at) {
                    to.add(at, Arc::clone(gradient))?;
                }
                if wants(weights) {
                    let own = ops::noise_gradient(bench, gradient, shape, self.of(noise))?;
                    to.add(weights, Arc::new(own))?;
                }
            }
            From::Shuffle { factor } => {
                let own = ops::pixel_unshuffle(bench, gradient, self.batch(result), factor)?;
                to.add(at, Arc::new(own))?;
            }
            From::Unshuffle { factor } => {
                let own = ops::pixel_shuffle(bench, gradient, self.batch(result), factor)?;
                to.add(at, Arc::new(own))?;
            }
            From::MaxPool => to.add(at, Arc::new(ops::max_pool2_gradient(bench, x, shape, gradient)?))?,
            From::PixelNorm => to.add(at, Arc::new(ops::pixel_norm_gradient(bench, x, shape, gradient)?))?,
            From::InstanceNorm { floor } => {
                let own = ops::instance_norm_gradient(bench, x, shape, floor, self.of(result), gradient)?;
                to.add(at, Arc::new(own))?;
            }
            From::Gram => to.add(at, Arc::new(ops::gram_gradient(bench, x, shape, gradient)?))?,
            From::Distance { other } => {
                for (a, b) in [(at, other), (other, at)] {
                    if wants(a) {
                        let own = ops::distance_gradient(bench, self.of(a), self.of(b), gradient)?;
                        to.add(a, Arc::new(own))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// Results that are taken from a GPU, as an operation on what they depend on.
struct Taken {
    tape: Arc<Tape>,
    nodes: Vec<usize>,
    leaves: Vec<usize>,
    values: Mutex<Vec<f32>>,
}

impl CustomOp1 for Taken {
    fn name(&self) -> &'static str {
        "taken-from-gpu"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = std::mem::take(&mut *self.values.lock().unwrap_or_else(PoisonError::into_inner));
        let len = values.len();
        Ok((CpuStorage::F32(values), len.into()))
    }

    fn bwd(&self, leaves: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let flat = self.tape.gradients(&self.nodes, &values(&gradient)?, &self.leaves)?;
        super::like(leaves, flat)
    }
}
