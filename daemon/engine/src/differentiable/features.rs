//! What losses and discriminators make of features, and of pictures.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use utsushi_kernels::backward::Change;
use utsushi_kernels::{Cpu, backward};

use super::{like, maps, output, slice, values};

/// The features of each pixel over their length: x / sqrt(mean(x^2) + 1), the mean over the channels (as in
/// Karras et al. 2018, <https://arxiv.org/abs/1710.10196>, section 4.2, where 1 is 1e-8).
pub fn pixel_norm(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(PixelNorm)
}

/// Each map's channels without mean and contrast: (x - mean) / sqrt(variance + floor), over the map's pixels
/// (Ulyanov et al. 2016, <https://arxiv.org/abs/1607.08022>).
pub fn instance_norm(x: &Tensor, floor: f32) -> Result<Tensor> {
    x.contiguous()?.apply_op1(InstanceNorm { floor })
}

/// How channels go together: the mean over maps and pixels of (x - mean) (x - mean)^T, the inner mean over the
/// map's pixels. `[channels, channels]`.
pub fn gram(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Gram)
}

/// Maps, each changed in its own way.
pub fn change(x: &Tensor, changes: &[Change]) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Changed(changes.to_vec()))
}

struct PixelNorm;

impl CustomOp1 for PixelNorm {
    fn name(&self) -> &'static str {
        "pixel-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (count, shape) = maps(layout.shape())?;
        output(backward::pixel_norm(Cpu::detect(), shape.channels, slice(x, layout)?), count, shape)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (_, shape) = maps(x.shape())?;
        let (cpu, given) = (Cpu::detect(), values(&gradient)?);
        like(x, backward::pixel_norm_gradient(cpu, shape.channels, &values(x)?, &given))
    }
}

struct InstanceNorm {
    floor: f32,
}

impl CustomOp1 for InstanceNorm {
    fn name(&self) -> &'static str {
        "instance-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (count, shape) = maps(layout.shape())?;
        output(backward::instance_norm(slice(x, layout)?, shape, self.floor), count, shape)
    }

    fn bwd(&self, x: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (_, shape) = maps(x.shape())?;
        let (result, given) = (values(result)?, values(&gradient)?);
        like(x, backward::instance_norm_gradient(&values(x)?, shape, self.floor, &result, &given))
    }
}

struct Gram;

impl CustomOp1 for Gram {
    fn name(&self) -> &'static str {
        "gram"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, shape) = maps(layout.shape())?;
        let values = backward::gram(Cpu::detect(), slice(x, layout)?, shape);
        Ok((CpuStorage::F32(values), (shape.channels, shape.channels).into()))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (_, shape) = maps(x.shape())?;
        like(x, backward::gram_gradient(Cpu::detect(), &values(x)?, shape, &values(&gradient)?))
    }
}

struct Changed(Vec<Change>);

impl CustomOp1 for Changed {
    fn name(&self) -> &'static str {
        "change"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (count, shape) = maps(layout.shape())?;
        if count != self.0.len() {
            candle_core::bail!("{} changes for {count} maps", self.0.len());
        }
        output(backward::change(slice(x, layout)?, shape, &self.0), count, shape)
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let (_, shape) = maps(x.shape())?;
        like(x, backward::change_gradient(&values(&gradient)?, shape, &self.0))
    }
}
