//! Maps on their way through a network, wherever it is computed.

use candle_core::{Result, Tensor};

#[cfg(feature = "cuda")]
use super::gpu::GpuMaps;
#[cfg(feature = "cuda")]
use super::tape::Tape;
use super::{BlockTensors, Change, FrozenConv, Noise, WholeConv};
use crate::Device;

/// Where a network is computed while it is trained: on the processor, or on a GPU. There a step's maps stay where they are,
/// from when they are [brought](Self::bring) there until they are [taken](Self::take) back.
#[derive(Debug, Clone, Default)]
pub struct Place {
    #[cfg(feature = "cuda")]
    tape: Option<std::sync::Arc<Tape>>,
}

/// Maps, `[maps, rows, cols, channels]`, or what was made of them, with gradients.
#[derive(Debug, Clone)]
pub struct Maps(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Here(Tensor),
    #[cfg(feature = "cuda")]
    Gpu(GpuMaps),
}

impl Place {
    /// The device's GPU if there is one that can train, or else the processor.
    pub fn on(device: &Device) -> Self {
        #[cfg(feature = "cuda")]
        if let Some(bench) = device.workbench() {
            return Self { tape: Some(Tape::begun(bench)) };
        }
        let _ = device;
        Self::default()
    }

    /// Is it a GPU?
    pub fn is_gpu(&self) -> bool {
        #[cfg(feature = "cuda")]
        return self.tape.is_some();
        #[cfg(not(feature = "cuda"))]
        false
    }

    /// The same place, for the next step: what was brought to this one isn't there.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self {
            #[cfg(feature = "cuda")]
            tape: self.tape.as_ref().map(|tape| tape.renewed()),
        }
    }

    /// Brings values there.
    ///
    /// # Errors
    /// If memory can't be had.
    pub fn bring(&self, values: &Tensor) -> Result<Maps> {
        #[cfg(feature = "cuda")]
        if let Some(tape) = &self.tape {
            return Ok(Maps(Kind::Gpu(tape.bring(values)?)));
        }
        Ok(Maps(Kind::Here(values.clone())))
    }

    /// Takes maps back, all that gradients are to come from at once: each call goes back through the network by itself.
    ///
    /// # Errors
    /// If the GPU failed on the way.
    pub fn take(&self, maps: &[Maps]) -> Result<Vec<Tensor>> {
        #[cfg(feature = "cuda")]
        if let Some(tape) = &self.tape {
            let maps = maps.iter().map(|maps| match &maps.0 {
                Kind::Gpu(maps) => Ok(maps.clone()),
                Kind::Here(maps) => tape.bring(maps),
            });
            return tape.take(&maps.collect::<Result<Vec<_>>>()?);
        }
        maps.iter().map(|maps| maps.here().cloned()).collect()
    }
}

impl From<Tensor> for Maps {
    fn from(maps: Tensor) -> Self {
        Self(Kind::Here(maps))
    }
}

/// One operation in both places.
macro_rules! operation {
    ($self:ident, $here:ident => $value:expr) => {
        operation!($self, $here => $value, $here => $value)
    };
    ($self:ident, $here:ident => $value:expr, $there:ident => $on_gpu:expr) => {
        match &$self.0 {
            Kind::Here($here) => Ok(Self(Kind::Here($value?))),
            #[cfg(feature = "cuda")]
            Kind::Gpu($there) => Ok(Self(Kind::Gpu($on_gpu?))),
        }
    };
}

/// The same of two maps.
macro_rules! operation_of_two {
    ($self:ident, $other:ident, $a:ident, $b:ident => $value:expr, $on_gpu:expr) => {
        match (&$self.0, &$other.0) {
            (Kind::Here($a), Kind::Here($b)) => Ok(Self(Kind::Here($value?))),
            #[cfg(feature = "cuda")]
            (Kind::Gpu($a), Kind::Gpu($b)) => Ok(Self(Kind::Gpu($on_gpu?))),
            #[cfg(feature = "cuda")]
            _ => candle_core::bail!("maps in two places"),
        }
    };
}

impl Maps {
    /// The values, of maps on the processor.
    ///
    /// # Errors
    /// If they are on a GPU.
    pub fn here(&self) -> Result<&Tensor> {
        match &self.0 {
            Kind::Here(maps) => Ok(maps),
            #[cfg(feature = "cuda")]
            Kind::Gpu(_) => candle_core::bail!("maps are on the GPU"),
        }
    }

    /// The values, taken from a GPU if they are there. No gradients flow through what is taken.
    ///
    /// # Errors
    /// If the GPU failed on the way.
    pub fn taken(&self) -> Result<Tensor> {
        match &self.0 {
            Kind::Here(maps) => Ok(maps.detach()),
            #[cfg(feature = "cuda")]
            Kind::Gpu(maps) => maps.taken(),
        }
    }

    /// Their shape.
    pub fn dims(&self) -> &[usize] {
        match &self.0 {
            Kind::Here(maps) => maps.dims(),
            #[cfg(feature = "cuda")]
            Kind::Gpu(maps) => maps.dims(),
        }
    }

    /// The same, to which no gradients flow.
    #[must_use]
    pub fn detach(&self) -> Self {
        match &self.0 {
            Kind::Here(maps) => Self(Kind::Here(maps.detach())),
            #[cfg(feature = "cuda")]
            Kind::Gpu(maps) => Self(Kind::Gpu(maps.detach())),
        }
    }

    /// [`conv`](super::conv())
    ///
    /// # Errors
    /// As there; so all that follow.
    pub fn conv(&self, weight: &Tensor, bias: &Tensor, conv: WholeConv) -> Result<Self> {
        operation!(self, x => super::conv(x, weight, bias, conv), x => x.conv(weight, bias, conv))
    }

    /// [`rounded_conv`](super::rounded_conv)
    ///
    /// # Errors
    /// As there.
    pub fn rounded_conv(&self, weight: &Tensor, bias: &Tensor, conv: WholeConv) -> Result<Self> {
        operation!(self, x => super::rounded_conv(x, weight, bias, conv), x => x.conv(weight, bias, conv))
    }

    /// [`FrozenConv`]
    ///
    /// # Errors
    /// If these are no maps that it convolves.
    pub fn frozen_conv(&self, conv: &FrozenConv) -> Result<Self> {
        operation!(self, x => conv.here(x), x => {
            let (weight, bias, conv) = conv.parts();
            x.conv(weight, bias, conv)
        })
    }

    /// [`norm`](super::norm)
    ///
    /// # Errors
    /// As there.
    pub fn norm(&self, scale: &Tensor, shift: &Tensor) -> Result<Self> {
        operation!(self, x => super::norm(x, scale, shift), x => x.norm(scale, shift))
    }

    /// [`block`](super::block)
    ///
    /// # Errors
    /// As there.
    pub fn block(&self, weights: &BlockTensors, noise: Option<&Tensor>) -> Result<Self> {
        operation!(self, x => super::block(x, weights, noise), x => x.block(weights, noise))
    }

    /// [`blur`](super::blur())
    ///
    /// # Errors
    /// As there.
    pub fn blur(&self) -> Result<Self> {
        operation!(self, x => super::blur(x), x => x.blur())
    }

    /// [`add_noise`](super::add_noise)
    ///
    /// # Errors
    /// As there.
    pub fn add_noise(&self, weights: &Tensor, noise: &[Noise]) -> Result<Self> {
        operation!(self, x => super::add_noise(x, weights, noise), x => x.add_noise(weights, noise))
    }

    /// [`upsample2_add`](super::upsample2_add)
    ///
    /// # Errors
    /// As there.
    pub fn upsample2_add(&self, base: &Self) -> Result<Self> {
        operation_of_two!(self, base, low, base => super::upsample2_add(low, base), low.upsample2_add(base))
    }

    /// [`join`](super::join)
    ///
    /// # Errors
    /// As there.
    pub fn join(&self, other: &Self) -> Result<Self> {
        operation_of_two!(self, other, a, b => super::join(a, b), a.join(b))
    }

    /// The sum of maps of the same shape.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn add(&self, other: &Self) -> Result<Self> {
        operation_of_two!(self, other, a, b => a + b, a.add(b))
    }

    /// The difference of maps of the same shape.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn sub(&self, other: &Self) -> Result<Self> {
        operation_of_two!(self, other, a, b => a - b, a.sub(b))
    }

    /// [`change`](super::change)
    ///
    /// # Errors
    /// If there are not as many changes as maps.
    pub fn change(&self, changes: &[Change]) -> Result<Self> {
        operation!(self, x => super::change(x, changes), x => x.change(changes))
    }

    /// The means of `factor` x `factor` pixels.
    ///
    /// # Errors
    /// If sides don't divide by the factor.
    pub fn reduce(&self, factor: usize) -> Result<Self> {
        if factor == 1 {
            return Ok(self.clone());
        }
        operation!(self, x => reduced(x, factor), x => x.reduce(factor))
    }

    /// [`pixel_shuffle`](super::pixel_shuffle)
    ///
    /// # Errors
    /// As there.
    pub fn pixel_shuffle(&self, factor: usize) -> Result<Self> {
        operation!(self, x => super::pixel_shuffle(x, factor), x => x.pixel_shuffle(factor))
    }

    /// [`pixel_unshuffle`](super::pixel_unshuffle)
    ///
    /// # Errors
    /// As there.
    pub fn pixel_unshuffle(&self, factor: usize) -> Result<Self> {
        operation!(self, x => super::pixel_unshuffle(x, factor), x => x.pixel_unshuffle(factor))
    }

    /// [`max_pool2`](super::max_pool2)
    ///
    /// # Errors
    /// As there.
    pub fn max_pool2(&self) -> Result<Self> {
        operation!(self, x => super::max_pool2(x), x => x.max_pool2())
    }

    /// [`pixel_norm`](super::pixel_norm)
    ///
    /// # Errors
    /// As there.
    pub fn pixel_norm(&self) -> Result<Self> {
        operation!(self, x => super::pixel_norm(x), x => x.pixel_norm())
    }

    /// [`instance_norm`](super::instance_norm)
    ///
    /// # Errors
    /// As there.
    pub fn instance_norm(&self, floor: f32) -> Result<Self> {
        operation!(self, x => super::instance_norm(x, floor), x => x.instance_norm(floor))
    }

    /// [`gram`](super::gram)
    ///
    /// # Errors
    /// As there.
    pub fn gram(&self) -> Result<Self> {
        operation!(self, x => super::gram(x), x => x.gram())
    }

    /// Their standard deviation, all values together.
    ///
    /// # Errors
    /// If the GPU failed on the way.
    pub fn deviation(&self) -> Result<f64> {
        match &self.0 {
            Kind::Here(x) => {
                let values: Vec<f32> = x.flatten_all()?.to_vec1()?;
                let len = values.len() as f64;
                let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / len;
                Ok((values.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / len).sqrt())
            }
            #[cfg(feature = "cuda")]
            Kind::Gpu(x) => x.deviation(),
        }
    }

    /// Anisotropic total variation (Rudin, Osher and Fatemi 1992, <https://doi.org/10.1016/0167-2789(92)90242-F>):
    /// mean |x(i, j+1) - x(i, j)| + mean |x(i+1, j) - x(i, j)|. One number.
    ///
    /// # Errors
    /// If these are no maps of 2 x 2 pixels or more.
    pub fn total_variation(&self) -> Result<Self> {
        operation!(self, x => slope(x, 2)?.abs()?.mean_all()? + slope(x, 1)?.abs()?.mean_all()?, x => x.total_variation())
    }

    /// The mean of all magnitudes.
    ///
    /// # Errors
    /// If the GPU failed on the way.
    pub fn mean_abs(&self) -> Result<f32> {
        match &self.0 {
            Kind::Here(x) => x.abs()?.mean_all()?.to_scalar(),
            #[cfg(feature = "cuda")]
            Kind::Gpu(x) => x.mean_abs(),
        }
    }

    /// The mean of the differences' magnitudes: one number.
    ///
    /// # Errors
    /// If the shapes differ.
    pub fn distance(&self, other: &Self) -> Result<Self> {
        operation_of_two!(self, other, a, b => (a - b)?.abs()?.mean_all(), a.distance(b))
    }
}

fn reduced(x: &Tensor, times: usize) -> Result<Tensor> {
    let (count, height, width, channels) = x.dims4()?;
    let (rows, cols) = (height / times, width / times);
    let x = x.reshape((count * rows, times, width * channels))?.mean(1)?;
    x.reshape((count * rows * cols, times, channels))?.mean(1)?.reshape((count, rows, cols, channels))
}

fn slope(x: &Tensor, dim: usize) -> Result<Tensor> {
    let len = x.dim(dim)?.saturating_sub(1);
    x.narrow(dim, 1, len)? - x.narrow(dim, 0, len)?
}
