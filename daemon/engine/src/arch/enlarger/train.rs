//! The same network over whole pictures, with gradients: what training runs.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use super::{FACTOR, Sizes};
use crate::arch::brush::{TrainableBlock, TrainableLayer, TrainableNorm, Version};
use crate::bicubic::{REACH, TAPS};
use crate::differentiable::{Maps, WholeConv};

/// The network.
pub struct TrainableEnlarger {
    stem: TrainableLayer,
    body: Vec<TrainableBlock>,
    n2: TrainableNorm,
    h2: TrainableLayer,
    dw: TrainableLayer,
    rgb: TrainableLayer,
    /// The bicubic filter as a convolution, whose channels are shuffled to pixels.
    bicubic: (Tensor, Tensor),
    /// One style, and all of it.
    mix: Tensor,
}

impl TrainableEnlarger {
    /// Takes the weights of a network: variables, where they are to be trained.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(sizes: Sizes, weights: &VarBuilder) -> Result<Self> {
        let Sizes { c, blocks, cf } = sizes;
        let layer =
            |name, inputs, outputs, conv| TrainableLayer::load(&weights.pp(name), inputs, outputs, conv);
        let block = |i: usize| TrainableBlock::load(Version::One, &weights.pp("body").pp(i), c, 1);
        let same = WholeConv::same;
        Ok(Self {
            stem: layer("stem", 3, c, same(3))?,
            body: (0..blocks).map(block).collect::<Result<_>>()?,
            n2: TrainableNorm::load(&weights.pp("n2"), c, 1)?,
            h2: layer("h2", c, 4 * cf, same(1))?,
            dw: layer("dw", cf + 3, cf, WholeConv { slope: 0.0, ..same(3) })?,
            rgb: layer("rgb", cf, 3, same(3))?,
            bicubic: (bicubic()?, Tensor::zeros(3 * FACTOR * FACTOR, DType::F32, &Device::Cpu)?),
            mix: Tensor::ones((1, 1), DType::F32, &Device::Cpu)?,
        })
    }

    /// Enlarges pictures, `[pictures, height, width, 3]`, RGB in -1..1.
    ///
    /// # Errors
    /// If these are no pictures, or the place where they are fails.
    pub fn redraw(&self, pictures: &Maps) -> Result<Maps> {
        let (weight, bias) = &self.bicubic;
        let conv = WholeConv::same(2 * REACH + 1);
        let enlarged = pictures.conv(weight, bias, conv)?.pixel_shuffle(FACTOR)?;
        let x = self.stem.forward(pictures)?;
        let x = self
            .body
            .iter()
            .try_fold(x, |x, block| block.forward(&x, &self.mix, None, &mut |_, _, _| Ok(())))?;
        let full = self.h2.forward(&self.n2.forward(&x, &self.mix)?)?.pixel_shuffle(FACTOR)?.blur()?;
        self.rgb.forward(&self.dw.forward(&full.join(&enlarged)?)?)?.add(&enlarged)
    }
}

/// `[12, 3, 5, 5]`: of each of the three channels, four pixels.
fn bicubic() -> Result<Tensor> {
    let side = 2 * REACH + 1;
    let mut weights = vec![0.0; 12 * 3 * side * side];
    for channel in 0..3 {
        for (dy, down) in TAPS.iter().enumerate() {
            for (dx, across) in TAPS.iter().enumerate() {
                let first = ((channel * 4 + 2 * dy + dx) * 3 + channel) * side * side;
                for (y, down) in down.iter().enumerate() {
                    for (x, across) in across.iter().enumerate() {
                        weights[first + y * side + x] = down * across;
                    }
                }
            }
        }
    }
    Tensor::from_vec(weights, (12, 3, side, side), &Device::Cpu)
}
