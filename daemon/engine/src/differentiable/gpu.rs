//! Maps on a GPU: each operation is started at once, and noted on the tape.

use std::fmt;
use std::sync::Arc;

use candle_core::{Result, Tensor, bail};
use utsushi_cuda::training::{self as ops, Batch, Conv};

use super::tape::{From, Tape, failed};
use super::{BlockTensors, Border, Change, Noise, WholeConv};

/// Maps, or what was made of them, in a GPU's memory.
#[derive(Clone)]
pub(super) struct GpuMaps {
    pub(super) tape: Arc<Tape>,
    /// Which note on the tape it is.
    pub(super) node: usize,
    pub(super) dims: Vec<usize>,
}

impl fmt::Debug for GpuMaps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GpuMaps").field("dims", &self.dims).finish_non_exhaustive()
    }
}

/// A shape of four sizes.
pub(super) fn batch(dims: &[usize]) -> Result<Batch> {
    match *dims {
        [maps, rows, cols, channels] if dims.iter().product::<usize>() > 0 => {
            Ok(Batch { maps, rows, cols, channels })
        }
        _ => bail!("{dims:?} are no maps"),
    }
}

fn dims(batch: Batch) -> Vec<usize> {
    vec![batch.maps, batch.rows, batch.cols, batch.channels]
}

pub(super) fn on_gpu(conv: WholeConv) -> Conv {
    let WholeConv { kernel, stride, pad, border, slope } = conv;
    Conv { kernel, stride, pad, repeats: border == Border::Replicate, slope }
}

impl GpuMaps {
    pub(super) fn dims(&self) -> &[usize] {
        &self.dims
    }

    fn batch(&self) -> Result<Batch> {
        batch(&self.dims)
    }

    pub(super) fn detach(&self) -> Self {
        self.tape.detached(self)
    }

    /// The values on the processor, without gradients.
    pub(super) fn taken(&self) -> Result<Tensor> {
        let values = self.tape.bench().download(&[&*self.tape.values(self.node)]).map_err(failed)?;
        Tensor::from_vec(values, &self.dims[..], &candle_core::Device::Cpu)
    }

    pub(super) fn conv(&self, weight: &Tensor, bias: &Tensor, conv: WholeConv) -> Result<Self> {
        self.conv_adding(weight, bias, conv, None)
    }

    /// `added` comes after the activation.
    fn conv_adding(
        &self,
        weight: &Tensor,
        bias: &Tensor,
        conv: WholeConv,
        added: Option<&Self>,
    ) -> Result<Self> {
        let (x, conv) = (self.batch()?, on_gpu(conv));
        let outputs = bias.dims1()?;
        let Some(out) = conv.output(x, outputs) else { bail!("{x:?} can't be convolved by {conv:?}") };
        if weight.elem_count() != outputs * x.channels * conv.kernel * conv.kernel {
            bail!("{x:?} can't be convolved by weights {:?}", weight.dims());
        }
        if added.is_some_and(|added| added.dims != dims(out)) {
            bail!("what is added isn't {out:?}");
        }
        let (weight, bias) = (self.tape.bring(weight)?, self.tape.bring(bias)?);
        let from = From::Conv { conv, weight: weight.node, bias: bias.node, added: added.map(|a| a.node) };
        self.tape.note(self.node, dims(out), from)
    }

    pub(super) fn norm(&self, scale: &Tensor, shift: &Tensor) -> Result<Self> {
        let channels = self.batch()?.channels;
        if scale.dims() != [channels] || shift.dims() != [channels] {
            bail!("{:?} with {:?} and {:?}", self.dims, scale.dims(), shift.dims());
        }
        let affine = (self.tape.bring(scale)?.node, self.tape.bring(shift)?.node);
        self.tape.note(self.node, self.dims.clone(), From::Norm { affine: Some(affine) })
    }

    /// `noise` is that of all pixels, `[maps, rows, cols]`, and on the processor.
    pub(super) fn block(&self, weights: &BlockTensors, noise: Option<&Tensor>) -> Result<Self> {
        let Batch { maps, rows, cols, channels } = self.batch()?;
        let (depthwise, bias) = (&weights.depthwise, &weights.depthwise_bias);
        if depthwise.dims() != [channels, 1, 5, 5] || bias.dims() != [channels] {
            bail!("{:?} with a block's weights {:?}", self.dims, depthwise.dims());
        }
        let (weight, bias) = (self.tape.bring(depthwise)?.node, self.tape.bring(bias)?.node);
        let mut convolved = self.tape.note(self.node, self.dims.clone(), From::Depthwise { weight, bias })?;
        if let Some(weights) = &weights.noise {
            let Some(noise) = noise.filter(|noise| noise.dims() == [maps, rows, cols]) else {
                bail!("{:?} with noise {:?}", self.dims, noise.map(Tensor::dims));
            };
            let noise = self.tape.given(noise, vec![maps, rows, cols, 1])?;
            convolved = convolved.adding(weights, &noise)?;
        }
        let normed = self.tape.note(convolved.node, self.dims.clone(), From::Norm { affine: None })?;
        let point = WholeConv::same(1);
        let relu = WholeConv { slope: 0.0, ..point };
        let inside = normed.conv(&weights.expand, &weights.expand_bias, relu)?;
        inside.conv_adding(&weights.project, &weights.project_bias, point, Some(self))
    }

    pub(super) fn blur(&self) -> Result<Self> {
        let Batch { rows, cols, .. } = self.batch()?;
        if rows < 2 || cols < 2 {
            bail!("{:?} is too small to be filtered", self.dims);
        }
        self.tape.note(self.node, self.dims.clone(), From::Blur)
    }

    pub(super) fn add_noise(&self, weights: &Tensor, noise: &[Noise]) -> Result<Self> {
        let Batch { maps, rows, cols, .. } = self.batch()?;
        if noise.len() != maps {
            bail!("the noise of {} maps for {:?}", noise.len(), self.dims);
        }
        let parts = noise.iter().map(|noise| {
            let (key, scale, (x, y)) = noise.parts();
            utsushi_cuda::Noise { key, scale, x, y }
        });
        self.adding(weights, &self.tape.noise(&parts.collect::<Vec<_>>(), rows, cols)?)
    }

    /// Adds noise, a value a pixel, to each channel as much as its weight says.
    fn adding(&self, weights: &Tensor, noise: &Self) -> Result<Self> {
        let channels = self.batch()?.channels;
        if weights.dims() != [channels] {
            bail!("{:?} weights for the noise of {:?}", weights.dims(), self.dims);
        }
        let weights = self.tape.bring(weights)?.node;
        self.tape.note(self.node, self.dims.clone(), From::AddNoise { weights, noise: noise.node })
    }

    pub(super) fn upsample2_add(&self, base: &Self) -> Result<Self> {
        let Batch { maps, rows, cols, channels } = self.batch()?;
        if base.dims != [maps, rows * 2, cols * 2, channels] {
            bail!("{:?} enlarged twice is not {:?}", self.dims, base.dims);
        }
        self.tape.note(self.node, base.dims.clone(), From::Upsample { base: base.node })
    }

    pub(super) fn join(&self, other: &Self) -> Result<Self> {
        let (a, b) = (self.batch()?, other.batch()?);
        if self.dims[..3] != other.dims[..3] {
            bail!("{:?} and {:?} can't be joined", self.dims, other.dims);
        }
        let out = Batch { channels: a.channels + b.channels, ..a };
        self.tape.note(self.node, dims(out), From::Join { other: other.node })
    }

    pub(super) fn add(&self, other: &Self) -> Result<Self> {
        self.alike(other)?;
        self.tape.note(self.node, self.dims.clone(), From::Add { other: other.node })
    }

    pub(super) fn sub(&self, other: &Self) -> Result<Self> {
        self.alike(other)?;
        self.tape.note(self.node, self.dims.clone(), From::Subtract { other: other.node })
    }

    pub(super) fn change(&self, changes: &[Change]) -> Result<Self> {
        let maps = self.batch()?.maps;
        let hole_px = changes.first().map_or(0, |change| change.hole_px);
        if changes.len() != maps || changes.iter().any(|change| change.hole_px != hole_px) {
            bail!("{} changes for {maps} maps, all with holes of one size", changes.len());
        }
        let changes = changes.iter().map(|change| {
            let Change { brightness, contrast, shift, hole, .. } = *change;
            ops::Change { brightness, contrast, shift, hole }
        });
        let changes = self.tape.keep(changes.collect());
        self.tape.note(self.node, self.dims.clone(), From::Change { changes, hole_px })
    }

    pub(super) fn reduce(&self, factor: usize) -> Result<Self> {
        let Batch { maps, rows, cols, channels } = self.batch()?;
        if factor == 0 || !rows.is_multiple_of(factor) || !cols.is_multiple_of(factor) {
            bail!("{rows} x {cols} pixels don't divide by {factor}");
        }
        let out = vec![maps, rows / factor, cols / factor, channels];
        self.tape.note(self.node, out, From::Reduce { factor })
    }

    pub(super) fn deviation(&self) -> Result<f64> {
        ops::deviation(self.tape.bench(), &self.tape.values(self.node)).map_err(failed)
    }

    pub(super) fn total_variation(&self) -> Result<Self> {
        let Batch { rows, cols, .. } = self.batch()?;
        if rows < 2 || cols < 2 {
            bail!("{:?} has no neighbours", self.dims);
        }
        self.tape.note(self.node, Vec::new(), From::Variation)
    }

    pub(super) fn pixel_shuffle(&self, factor: usize) -> Result<Self> {
        let Batch { maps, rows, cols, channels } = self.batch()?;
        let square = factor * factor;
        if square == 0 || !channels.is_multiple_of(square) {
            bail!("{channels} channels are no {factor} x {factor} pixels");
        }
        let out = vec![maps, rows * factor, cols * factor, channels / square];
        self.tape.note(self.node, out, From::Shuffle { factor })
    }

    pub(super) fn pixel_unshuffle(&self, factor: usize) -> Result<Self> {
        let Batch { maps, rows, cols, channels } = self.batch()?;
        if factor == 0 || !rows.is_multiple_of(factor) || !cols.is_multiple_of(factor) {
            bail!("{rows} x {cols} pixels don't divide by {factor}");
        }
        let out = vec![maps, rows / factor, cols / factor, channels * factor * factor];
        self.tape.note(self.node, out, From::Unshuffle { factor })
    }

    pub(super) fn max_pool2(&self) -> Result<Self> {
        let Batch { maps, rows, cols, channels } = self.batch()?;
        if rows < 2 || cols < 2 {
            bail!("{:?} is too small to be pooled", self.dims);
        }
        self.tape.note(self.node, vec![maps, rows / 2, cols / 2, channels], From::MaxPool)
    }

    pub(super) fn pixel_norm(&self) -> Result<Self> {
        self.batch()?;
        self.tape.note(self.node, self.dims.clone(), From::PixelNorm)
    }

    pub(super) fn instance_norm(&self, floor: f32) -> Result<Self> {
        self.batch()?;
        self.tape.note(self.node, self.dims.clone(), From::InstanceNorm { floor })
    }

    pub(super) fn gram(&self) -> Result<Self> {
        let channels = self.batch()?.channels;
        self.tape.note(self.node, vec![channels; 2], From::Gram)
    }

    pub(super) fn mean_abs(&self) -> Result<f32> {
        ops::mean_abs(self.tape.bench(), &self.tape.values(self.node)).map_err(failed)
    }

    pub(super) fn distance(&self, other: &Self) -> Result<Self> {
        self.alike(other)?;
        self.tape.note(self.node, Vec::new(), From::Distance { other: other.node })
    }

    fn alike(&self, other: &Self) -> Result<()> {
        if self.dims != other.dims {
            bail!("{:?} and {:?} differ", self.dims, other.dims);
        }
        Ok(())
    }
}
