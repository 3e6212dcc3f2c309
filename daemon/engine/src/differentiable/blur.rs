//! What keeps a network from drawing by a pixel's place, and what it draws of instead: the binomial filter, and noise.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;
use utsushi_kernels::{Cpu, Noise, backward};

use super::{like, maps, output, slice, values};

/// The binomial filter; see [`utsushi_kernels::blur_add`].
///
/// # Errors
/// If these are no maps of 2 x 2 pixels or more.
pub fn blur(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Blur)
}

/// Adds a map's noise to each of its channels, as much as `weights` says, `[channels]`.
///
/// # Errors
/// If there are not as many weights as channels, or not as many noises as maps.
pub fn add_noise(x: &Tensor, weights: &Tensor, noise: &[Noise]) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&weights.contiguous()?, AddNoise(noise.to_vec()))
}

struct Blur;

impl CustomOp1 for Blur {
    fn name(&self) -> &'static str {
        "blur"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (count, shape) = maps(layout.shape())?;
        if shape.rows < 2 || shape.cols < 2 {
            bail!("{shape:?} is too small to be filtered");
        }
        output(backward::blur(Cpu::detect(), slice(x, layout)?, shape), count, shape)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (_, shape) = maps(x.shape())?;
        like(x, backward::blur_gradient(Cpu::detect(), &values(&gradient)?, shape))
    }
}

struct AddNoise(Vec<Noise>);

impl CustomOp2 for AddNoise {
    fn name(&self) -> &'static str {
        "add-noise"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (count, shape) = maps(layout.shape())?;
        if weights_layout.dims() != [shape.channels] || self.0.len() != count {
            bail!("{:?} weights for the noise of {} maps of {shape:?}", weights_layout.dims(), self.0.len());
        }
        let weights = slice(weights, weights_layout)?;
        let mut out = slice(x, layout)?.to_vec();
        out.par_chunks_mut(shape.row_len()).enumerate().for_each_init(
            || vec![0.0; shape.cols],
            |values, (row, out)| {
                self.0[row / shape.rows].row(row % shape.rows, 0, values);
                for (pixel, value) in out.chunks_exact_mut(shape.channels).zip(values.iter()) {
                    pixel.iter_mut().zip(weights).for_each(|(out, weight)| *out += weight * value);
                }
            },
        );
        output(out, count, shape)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weights: &Tensor,
        _: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let (_, shape) = maps(x.shape())?;
        let given = values(&gradient)?;
        // A row each, added in order.
        let rows: Vec<Vec<f32>> = given
            .par_chunks(shape.row_len())
            .enumerate()
            .map(|(row, given)| {
                let mut noise = vec![0.0; shape.cols];
                self.0[row / shape.rows].row(row % shape.rows, 0, &mut noise);
                let mut sums = vec![0.0; shape.channels];
                for (pixel, value) in given.chunks_exact(shape.channels).zip(noise) {
                    sums.iter_mut().zip(pixel).for_each(|(sum, gradient)| *sum += value * gradient);
                }
                sums
            })
            .collect();
        let mut sums = vec![0.0; shape.channels];
        rows.iter().for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
        Ok((Some(gradient.clone()), like(weights, sums)?))
    }
}
