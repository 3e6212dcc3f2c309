//! The kernels as candle operations with gradients, for training.
//!
//! Maps are whole, `[maps, rows, cols, channels]`; weights are tensors as PyTorch keeps them, so that they can be
//! variables or come from variables. A gradient is computed only for what depends on a variable: a network
//! whose weights are plain tensors is frozen. The result's bits don't depend on the number of threads.
//!
//! [`Maps`] are the same operations wherever a network is computed: here, or on a GPU.

mod blur;
mod conv;
mod features;
#[cfg(feature = "cuda")]
mod gpu;
mod maps;
#[cfg(feature = "cuda")]
mod tape;

use std::ops::Deref;

pub use blur::{add_noise, blur};
use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Storage, Tensor, bail,
};
pub use conv::{FrozenConv, conv, rounded_conv};
pub use features::{change, gram, instance_norm, pixel_norm};
pub use maps::{Maps, Place};
pub use utsushi_kernels::Noise;
pub use utsushi_kernels::backward::{Border, Change, WholeConv};
use utsushi_kernels::{self as kernels, BlockWeights, Cpu, backward};

/// Normalises over the channels at a pixel, times `[channels]`, plus `[channels]`.
pub fn norm(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op3(&scale.contiguous()?, &shift.contiguous()?, Norm)
}

/// A residual block's weights, the norm's scale and shift and the residual's gain folded in; shapes as in
/// [`BlockWeights`].
#[derive(Debug, Clone)]
pub struct BlockTensors {
    /// `[c, 1, 5, 5]`
    pub depthwise: Tensor,
    /// `[c]`
    pub depthwise_bias: Tensor,
    /// `[c]`: how much noise each channel gets behind the depthwise convolution, if any.
    pub noise: Option<Tensor>,
    /// `[m, c]`
    pub expand: Tensor,
    /// `[m]`
    pub expand_bias: Tensor,
    /// `[c, m]`
    pub project: Tensor,
    /// `[c]`
    pub project_bias: Tensor,
}

/// A residual block, of which training keeps nothing but its input. `noise` is that of all pixels, `[maps, rows, cols]`.
pub fn block(x: &Tensor, weights: &BlockTensors, noise: Option<&Tensor>) -> Result<Tensor> {
    let BlockTensors {
        depthwise,
        depthwise_bias,
        noise: of_noise,
        expand,
        expand_bias,
        project,
        project_bias,
    } = weights;
    // An operation has at most three inputs, so that all weights come in one.
    let weights = [depthwise, depthwise_bias].into_iter().chain(of_noise);
    let weights = weights.chain([expand, expand_bias, project, project_bias]);
    let flat = weights.map(Tensor::flatten_all).collect::<Result<Vec<_>>>()?;
    let inside = expand_bias.dim(0)?;
    let noise = noise.map(|noise| noise.flatten_all()?.to_vec1()).transpose()?.unwrap_or_default();
    x.contiguous()?.apply_op2(&Tensor::cat(&flat, 0)?, Block { inside, noise })
}

/// `low` enlarged twice, bilinearly with half-pixel centres, plus `base`.
pub fn upsample2_add(low: &Tensor, base: &Tensor) -> Result<Tensor> {
    low.contiguous()?.apply_op2(&base.contiguous()?, Upsample)
}

/// The channels of `a` and then those of `b`.
pub fn join(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    a.contiguous()?.apply_op2(&b.contiguous()?, Join)
}

/// Channels to `factor` x `factor` pixels, as PyTorch's `pixel_shuffle`.
pub fn pixel_shuffle(x: &Tensor, factor: usize) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Shuffle { factor })
}

/// The channels of `factor` x `factor` pixels at one, as PyTorch's `pixel_unshuffle`.
pub fn pixel_unshuffle(x: &Tensor, factor: usize) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Unshuffle { factor })
}

/// The largest of 2 x 2 pixels, each channel for itself.
pub fn max_pool2(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(MaxPool2)
}

/// The values of a contiguous tensor of `f32` on the CPU.
fn values(tensor: &Tensor) -> Result<impl Deref<Target = [f32]>> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(_)), Some((from, to))) => Ok(Values { storage, from, to }),
        _ => bail!("gradients are computed on the CPU, of f32: not of {tensor:?}"),
    }
}

/// A tensor's lock, and where in it the values are.
struct Values<G> {
    storage: G,
    from: usize,
    to: usize,
}

impl<G: Deref<Target = Storage>> Deref for Values<G> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.from..self.to],
            _ => unreachable!("values() has looked"),
        }
    }
}

/// The values of an operation's contiguous input.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let Some((from, to)) = layout.contiguous_offsets() else { bail!("not contiguous: {layout:?}") };
    Ok(&storage.as_slice::<f32>()?[from..to])
}

/// How many maps, and their shape.
fn maps(shape: &Shape) -> Result<(usize, kernels::Shape)> {
    let (maps, rows, cols, channels) = shape.dims4()?;
    if shape.elem_count() == 0 {
        bail!("no values in {shape:?}");
    }
    Ok((maps, kernels::Shape::new(rows, cols, channels)))
}

fn output(values: Vec<f32>, maps: usize, shape: kernels::Shape) -> Result<(CpuStorage, Shape)> {
    Ok((CpuStorage::F32(values), (maps, shape.rows, shape.cols, shape.channels).into()))
}

/// A gradient for a tensor.
fn like(tensor: &Tensor, values: Vec<f32>) -> Result<Option<Tensor>> {
    Tensor::from_vec(values, tensor.shape(), tensor.device()).map(Some)
}

struct Norm;

impl CustomOp3 for Norm {
    fn name(&self) -> &'static str {
        "channel-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (count, shape) = maps(x_layout.shape())?;
        if scale_layout.dims() != [shape.channels] || shift_layout.dims() != [shape.channels] {
            bail!("{shape:?} with {:?} and {:?}", scale_layout.dims(), shift_layout.dims());
        }
        let (scale, shift) = (slice(scale, scale_layout)?, slice(shift, shift_layout)?);
        let out = backward::norm_forward(Cpu::detect(), scale, shift, slice(x, x_layout)?);
        output(out, count, shape)
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let all = backward::norm_gradients(Cpu::detect(), &values(scale)?, &values(x)?, &values(&gradient)?);
        Ok((like(x, all.x)?, like(scale, all.scale)?, like(shift, all.shift)?))
    }
}

struct Block {
    inside: usize,
    noise: Vec<f32>,
}

impl CustomOp2 for Block {
    fn name(&self) -> &'static str {
        "whole-block"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        flat: &CpuStorage,
        flat_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (count, shape) = maps(x_layout.shape())?;
        let flat = slice(flat, flat_layout)?;
        let least = BlockWeights::flat_len(shape.channels, self.inside);
        if ![least, least + shape.channels].contains(&flat.len()) {
            bail!("a block of {} channels can't have {} weights", shape.channels, flat.len());
        }
        if flat.len() > least && self.noise.len() != count * shape.rows * shape.cols {
            bail!("noise for {} pixels, not {count} maps of {shape:?}", self.noise.len());
        }
        let weights = BlockWeights::from_flat(flat, shape.channels, self.inside);
        let x = slice(x, x_layout)?;
        output(backward::block_forward(Cpu::detect(), weights, x, shape, &self.noise), count, shape)
    }

    fn bwd(
        &self,
        x: &Tensor,
        flat: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let (_, shape) = maps(x.shape())?;
        let flat_values = values(flat)?;
        let weights = BlockWeights::from_flat(&flat_values, shape.channels, self.inside);
        let (x_values, given) = (values(x)?, values(&gradient)?);
        let (d_x, d_flat) =
            backward::block_gradients(Cpu::detect(), weights, &x_values, shape, &self.noise, &given);
        Ok((like(x, d_x)?, like(flat, d_flat)?))
    }
}

struct Upsample;

impl CustomOp2 for Upsample {
    fn name(&self) -> &'static str {
        "whole-upsample2-add"
    }

    fn cpu_fwd(
        &self,
        low: &CpuStorage,
        low_layout: &Layout,
        base: &CpuStorage,
        base_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((count, low_shape), (_, shape)) = (maps(low_layout.shape())?, maps(base_layout.shape())?);
        if base_layout.dims() != [count, low_shape.rows * 2, low_shape.cols * 2, low_shape.channels] {
            bail!("{:?} enlarged twice is not {:?}", low_layout.dims(), base_layout.dims());
        }
        let out =
            backward::upsample2_add_whole(slice(low, low_layout)?, low_shape, slice(base, base_layout)?);
        output(out, count, shape)
    }

    fn bwd(
        &self,
        low: &Tensor,
        _: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let d_low = backward::upsample2_gradient(&values(&gradient)?, maps(low.shape())?.1);
        Ok((like(low, d_low)?, Some(gradient)))
    }
}

struct Join;

impl CustomOp2 for Join {
    fn name(&self) -> &'static str {
        "join"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((count, a_shape), (_, b_shape)) = (maps(a_layout.shape())?, maps(b_layout.shape())?);
        if a_layout.dims()[..3] != b_layout.dims()[..3] {
            bail!("{:?} and {:?} can't be joined", a_layout.dims(), b_layout.dims());
        }
        let out =
            backward::join(slice(a, a_layout)?, a_shape.channels, slice(b, b_layout)?, b_shape.channels);
        output(out, count, kernels::Shape { channels: a_shape.channels + b_shape.channels, ..a_shape })
    }

    fn bwd(
        &self,
        a: &Tensor,
        b: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let given = values(&gradient)?;
        let (first, all) = (a.dim(3)?, gradient.dim(3)?);
        let part = |of: &Tensor, some| {
            if of.track_op() { like(of, backward::part(&given, all, some)) } else { Ok(None) }
        };
        Ok((part(a, 0..first)?, part(b, first..all)?))
    }
}

struct Shuffle {
    factor: usize,
}

impl CustomOp1 for Shuffle {
    fn name(&self) -> &'static str {
        "pixel-shuffle"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let ((count, shape), f) = (maps(layout.shape())?, self.factor);
        if f == 0 || !shape.channels.is_multiple_of(f * f) {
            bail!("{} channels are no {f} x {f} pixels", shape.channels);
        }
        let out_shape = kernels::Shape::new(shape.rows * f, shape.cols * f, shape.channels / (f * f));
        output(backward::pixel_shuffle(slice(x, layout)?, shape, f), count, out_shape)
    }

    fn bwd(&self, x: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (_, shape) = maps(result.shape())?;
        let gradient = gradient.contiguous()?;
        like(x, backward::pixel_unshuffle(&values(&gradient)?, shape, self.factor))
    }
}

struct Unshuffle {
    factor: usize,
}

impl CustomOp1 for Unshuffle {
    fn name(&self) -> &'static str {
        "pixel-unshuffle"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let ((count, shape), f) = (maps(layout.shape())?, self.factor);
        if f == 0 || !shape.rows.is_multiple_of(f) || !shape.cols.is_multiple_of(f) {
            bail!("{} x {} pixels don't divide by {f}", shape.rows, shape.cols);
        }
        let out_shape = kernels::Shape::new(shape.rows / f, shape.cols / f, shape.channels * f * f);
        output(backward::pixel_unshuffle(slice(x, layout)?, shape, f), count, out_shape)
    }

    fn bwd(&self, x: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (_, shape) = maps(result.shape())?;
        let gradient = gradient.contiguous()?;
        like(x, backward::pixel_shuffle(&values(&gradient)?, shape, self.factor))
    }
}

struct MaxPool2;

impl CustomOp1 for MaxPool2 {
    fn name(&self) -> &'static str {
        "max-pool2"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (count, shape) = maps(layout.shape())?;
        if shape.rows < 2 || shape.cols < 2 {
            bail!("{shape:?} is too small to be pooled");
        }
        let out_shape = kernels::Shape::new(shape.rows / 2, shape.cols / 2, shape.channels);
        output(backward::max_pool2(slice(x, layout)?, shape), count, out_shape)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (_, shape) = maps(x.shape())?;
        like(x, backward::max_pool2_gradient(&values(x)?, shape, &values(&gradient)?))
    }
}
