//! Convolutions that a discriminator is made of.
//!
//! Spectral normalisation (Miyato et al. 2018, <https://arxiv.org/abs/1802.05957>): weights, as a matrix W with a row
//! an output, are divided by their largest singular value, so that a layer amplifies nothing. It is found by power
//! iteration: v = W^T u / |W^T u|, u = W v / |W v|, then s = u^T W v, through whose W gradients flow. The paper keeps
//! u from step to step and iterates once; here each step begins anew and iterates `ITERATIONS` times, which costs
//! next to nothing beside the convolution, and leaves no state behind.

use candle_core::{Device, Result, Tensor};
use candle_nn::VarBuilder;
use utsushi_engine::differentiable::{Border, Maps, WholeConv};

const ITERATIONS: usize = 6;

/// A convolution, its weights normalised or not.
#[derive(Debug, Clone)]
pub struct Layer {
    conv: WholeConv,
    weight: Tensor,
    bias: Tensor,
    norm: WeightNorm,
}

/// What is done to weights before they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightNorm {
    /// Nothing.
    None,
    /// Spectral normalisation.
    Spectral,
}

/// What negative results are multiplied with.
const LEAK: f32 = 0.2;

impl Layer {
    /// A `kernel` x `kernel` convolution, padded with zeros, and a leaky ReLU.
    ///
    /// # Errors
    /// If weights are missing or have another shape.
    pub fn load(
        weights: &VarBuilder,
        inputs: usize,
        outputs: usize,
        (kernel, stride): (usize, usize),
        norm: WeightNorm,
    ) -> Result<Self> {
        // A kernel of 4 looks one pixel beyond the border.
        let pad = (kernel - 1) / 2;
        Ok(Self {
            conv: WholeConv { kernel, stride, pad, border: Border::Zero, slope: LEAK },
            weight: weights.get((outputs, inputs, kernel, kernel), "weight")?,
            bias: weights.get(outputs, "bias")?,
            norm,
        })
    }

    /// The same without an activation: for scores.
    #[must_use]
    pub fn linear(mut self) -> Self {
        self.conv.slope = 1.0;
        self
    }

    /// Convolves maps.
    ///
    /// # Errors
    /// If they don't fit.
    pub fn forward(&self, x: &Maps) -> Result<Maps> {
        let weight = match self.norm {
            WeightNorm::None => self.weight.clone(),
            WeightNorm::Spectral => self.weight.broadcast_div(&largest_singular_value(&self.weight)?)?,
        };
        x.conv(&weight, &self.bias, self.conv)
    }
}

/// Of weights as a matrix with a row an output; a tensor of one number.
///
/// # Errors
/// If memory can't be had.
pub fn largest_singular_value(weight: &Tensor) -> Result<Tensor> {
    let matrix = weight.flatten_from(1)?;
    let (rows, cols) = matrix.dims2()?;
    let values: Vec<f32> = matrix.flatten_all()?.to_vec1()?;
    // Any direction will do that isn't at right angles to the right one; all rows alike could be.
    let mut u: Vec<f32> = (0..rows).map(|i| 1.0 + 0.5 * (i as f32 * 2.4).sin()).collect();
    let mut v = vec![0.0; cols];
    for _ in 0..ITERATIONS {
        v.fill(0.0);
        for (row, u) in values.chunks_exact(cols).zip(&u) {
            v.iter_mut().zip(row).for_each(|(v, w)| *v += w * u);
        }
        shorten(&mut v);
        for (row, u) in values.chunks_exact(cols).zip(&mut u) {
            *u = row.iter().zip(&v).map(|(w, v)| w * v).sum();
        }
        shorten(&mut u);
    }
    let u = Tensor::from_vec(u, (1, rows), &Device::Cpu)?;
    let v = Tensor::from_vec(v, (1, cols), &Device::Cpu)?;
    // u^T W v, as a sum: no product of matrices so thin is worth one.
    matrix.broadcast_mul(&v)?.sum_keepdim(1)?.mul(&u.t()?)?.sum_all()
}

/// To a length of 1.
fn shorten(vector: &mut [f32]) {
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|v| *v /= length);
}
