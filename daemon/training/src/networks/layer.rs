//! Convolutions that a discriminator is made of.
//!
//! Spectral normalisation (Miyato et al. 2018, <https://arxiv.org/abs/1802.05957>): weights, as a matrix W with a row
//! an output, are divided by their largest singular value s, so that a layer amplifies nothing. The paper finds it by power
//! iteration, keeps the vectors from step to step and iterates once a step, so that it soon follows s. Here they are found
//! anew: u by many iterations on W W^T, which is small, then v = W^T u / |W^T u|, then s = u^T W v, through whose W
//! gradients flow. That is what the paper's comes to, costs little beside the convolution, and leaves no state behind.

use candle_core::{Device, Result, Tensor};
use candle_nn::VarBuilder;
use rayon::prelude::*;
use utsushi_engine::differentiable::{Border, Maps, WholeConv};

const ITERATIONS: usize = 200;

/// A convolution, its weights normalised.
#[derive(Debug, Clone)]
pub struct Layer {
    conv: WholeConv,
    weight: Tensor,
    bias: Tensor,
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
    ) -> Result<Self> {
        // A kernel of 4 looks one pixel beyond the border.
        let pad = (kernel - 1) / 2;
        Ok(Self {
            conv: WholeConv { kernel, stride, pad, border: Border::Zero, slope: LEAK },
            weight: weights.get((outputs, inputs, kernel, kernel), "weight")?,
            bias: weights.get(outputs, "bias")?,
        })
    }

    /// The same without an activation: for scores.
    #[must_use]
    pub fn linear(mut self) -> Self {
        self.conv.slope = 1.0;
        self
    }

    /// The same with the weights as they are used: several maps then cost one search for the singular value.
    ///
    /// # Errors
    /// If memory can't be had.
    pub fn normalised(&self) -> Result<Self> {
        let weight = self.weight.broadcast_div(&largest_singular_value(&self.weight)?)?;
        Ok(Self { weight, ..self.clone() })
    }

    /// Convolves maps by the weights as they are; see [`Self::normalised`].
    ///
    /// # Errors
    /// If they don't fit.
    pub fn forward(&self, x: &Maps) -> Result<Maps> {
        x.rounded_conv(&self.weight, &self.bias, self.conv)
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
    let row = |i: usize| &values[i * cols..][..cols];
    let squares: Vec<Vec<f32>> =
        (0..rows).into_par_iter().map(|i| (0..rows).map(|j| product(row(i), row(j))).collect()).collect();
    for _ in 0..ITERATIONS {
        u = squares.iter().map(|row| product(row, &u)).collect();
        shorten(&mut u);
    }
    let mut v = vec![0.0; cols];
    for (i, u) in u.iter().enumerate() {
        v.iter_mut().zip(row(i)).for_each(|(v, w)| *v += w * u);
    }
    shorten(&mut v);
    let u = Tensor::from_vec(u, (1, rows), &Device::Cpu)?;
    let v = Tensor::from_vec(v, (1, cols), &Device::Cpu)?;
    // u^T W v, as a sum: no product of matrices so thin is worth one.
    matrix.broadcast_mul(&v)?.sum_keepdim(1)?.mul(&u.t()?)?.sum_all()
}

/// The inner product, in sums beside each other, which processors add at once.
fn product(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 16];
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    for (a, b) in a.iter().zip(b) {
        (0..16).for_each(|i| sums[i] += a[i] * b[i]);
    }
    sums.iter().sum::<f32>() + a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum::<f32>()
}

/// To a length of 1.
fn shorten(vector: &mut [f32]) {
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|v| *v /= length);
}
