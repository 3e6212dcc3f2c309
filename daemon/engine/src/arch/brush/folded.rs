//! The layers' weights, styles mixed and norms folded into the convolutions behind them: what every device starts from.

use candle_core::{Error, Result, Tensor, bail};
use candle_nn::VarBuilder;

use super::{Sizes, Version};
use crate::ops::BlockTensors;

/// A convolution's weight, `[outputs, inputs, kernel, kernel]`, and bias.
pub(super) struct ConvTensors {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
}

/// All layers, by their names in style files.
pub(super) struct Folded {
    pub(super) stem: ConvTensors,
    pub(super) e1: Vec<BlockTensors>,
    pub(super) down: ConvTensors,
    pub(super) mid: Vec<BlockTensors>,
    pub(super) up: ConvTensors,
    pub(super) d1: Vec<BlockTensors>,
    /// With the norm before it, as `h2`.
    pub(super) h1: ConvTensors,
    pub(super) skip: ConvTensors,
    pub(super) b2: BlockTensors,
    pub(super) h2: ConvTensors,
    /// Of brush-2: how much noise each channel gets before `dw`.
    pub(super) zf: Option<Tensor>,
    pub(super) dw: ConvTensors,
    pub(super) rgb: ConvTensors,
}

impl Folded {
    /// Reads the weights of `shares.len()` styles, and mixes the styles by their shares.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(super) fn load(version: Version, sizes: Sizes, shares: &[f32], weights: &VarBuilder) -> Result<Self> {
        let loader = Loader::new(version, shares, weights)?;
        let Sizes { c1, c2, blocks: [n1, n2, n3], ch, cf } = sizes;
        let conv = |name: &str, inputs, outputs, kernel| {
            let weights = weights.pp(name);
            let weight = weights.get((outputs, inputs, kernel, kernel), "weight")?;
            Ok::<_, Error>(ConvTensors { weight, bias: weights.get(outputs, "bias")? })
        };
        let normed = |norm: &str, name: &str, inputs, outputs| {
            let (weight, bias) = loader.behind_norm(&weights.pp(norm), &weights.pp(name), inputs, outputs)?;
            Ok::<_, Error>(ConvTensors { weight: weight.reshape((outputs, inputs, 1, 1))?, bias })
        };
        let blocks = |name: &str, count, channels| {
            let block = |i: usize| loader.block_tensors(&weights.pp(name).pp(i), channels);
            (0..count).map(block).collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            stem: conv("stem", 48, c1, 3)?,
            e1: blocks("e1", n1, c1)?,
            down: conv("down", c1, c2, 2)?,
            mid: blocks("mid", n2, c2)?,
            up: conv("up", c2, c1, 1)?,
            d1: blocks("d1", n3, c1)?,
            h1: normed("n", "h1", c1, 4 * ch)?,
            skip: conv("skip", 12, ch, 3)?,
            b2: loader.block_tensors(&weights.pp("b2"), ch)?,
            h2: normed("n2", "h2", ch, 4 * cf)?,
            zf: loader.noise(weights, "zf", cf)?,
            dw: conv("dw", cf + 3, cf, 3)?,
            rgb: conv("rgb", cf, 3, 3)?,
        })
    }
}

/// Reads layers by their names.
pub(in crate::arch) struct Loader {
    version: Version,
    /// `[1, styles]`
    mix: Tensor,
    styles: usize,
}

impl Loader {
    /// For `shares.len()` styles, mixed by their shares.
    ///
    /// # Errors
    /// Never, as far as anyone knows.
    pub(in crate::arch) fn new(version: Version, shares: &[f32], weights: &VarBuilder) -> Result<Self> {
        Ok(Self { version, mix: Tensor::new(shares, weights.device())?.unsqueeze(0)?, styles: shares.len() })
    }

    /// A 1x1 convolution's weight `[outputs, inputs]` and bias behind a norm: with the norm's scale s and shift
    /// t, W (s x + t) + b = (W diag s) x + (W t + b).
    pub(in crate::arch) fn behind_norm(
        &self,
        norm: &VarBuilder,
        conv: &VarBuilder,
        inputs: usize,
        outputs: usize,
    ) -> Result<(Tensor, Tensor)> {
        let mixed = |name| self.mix.matmul(&norm.get((self.styles, inputs), name)?);
        let (scale, shift) = (mixed("g")?, mixed("b")?);
        let weight = conv.get((outputs, inputs, 1, 1), "weight")?.reshape((outputs, inputs))?;
        let bias = (weight.matmul(&shift.t()?)?.flatten_all()? + conv.get(outputs, "bias")?)?;
        Ok((weight.broadcast_mul(&scale)?, bias))
    }

    /// How much noise each channel gets, `[channels]`, in a brush that has noise.
    pub(in crate::arch) fn noise(
        &self,
        weights: &VarBuilder,
        name: &str,
        channels: usize,
    ) -> Result<Option<Tensor>> {
        let of_styles = self.version.noise_weights(weights, name, self.styles, channels)?;
        of_styles.map(|of_styles| self.mix.matmul(&of_styles)?.flatten_all()).transpose()
    }

    pub(in crate::arch) fn block_tensors(
        &self,
        weights: &VarBuilder,
        channels: usize,
    ) -> Result<BlockTensors> {
        let inside = inside(weights, channels)?;
        let (expand, expand_bias) =
            self.behind_norm(&weights.pp("n"), &weights.pp("p1"), channels, inside)?;
        let gain = weights.get((1, channels, 1, 1), "g")?.reshape((channels, 1))?;
        let project = weights.get((channels, inside, 1, 1), "p2.weight")?.reshape((channels, inside))?;
        let project_bias = weights.get(channels, "p2.bias")?;
        Ok(BlockTensors {
            depthwise: weights.get((channels, 1, 5, 5), "dw.weight")?,
            depthwise_bias: weights.get(channels, "dw.bias")?,
            noise: self.noise(weights, "z", channels)?,
            expand,
            expand_bias,
            project: project.broadcast_mul(&gain)?,
            project_bias: (project_bias * gain.flatten_all()?)?,
        })
    }
}

/// How many channels a block has inside: as its weights say, where there are some already.
pub(in crate::arch) fn inside(weights: &VarBuilder, channels: usize) -> Result<usize> {
    let widest = 2 * channels;
    if !weights.contains_tensor("p1.bias") {
        return Ok(widest);
    }
    match weights.get_unchecked("p1.bias")?.dims1()? {
        inside if (1..=widest).contains(&inside) => Ok(inside),
        inside => bail!("a block has {inside} channels inside, not 1 to {widest}"),
    }
}
