//! A discriminator that looks at luminance, patch by patch (PatchGAN; Isola et al. 2017,
//! <https://arxiv.org/abs/1611.07004>, section 3.2.2; on luminance as AnimeGANv2's).
//!
//! ```text
//! Y of a picture                                          names in the weights
//! conv 4x4, stride 2, leaky ReLU 0.2    -> 32, 1/2        0
//! conv 4x4, stride 2, leaky ReLU        -> 64, 1/4        1
//! conv 4x4, stride 2, leaky ReLU        -> 128, 1/8       2
//! conv 4x4                              -> scores         3
//! ```
//!
//! It sees 46 x 46 pixels: lines and brush strokes, whatever a perceptual network thinks of them. There is no norm
//! over pictures or pixels, which would show each of them what the others are.

use candle_core::Result;
use candle_nn::VarBuilder;
use utsushi_engine::differentiable::Maps;

use super::layer::{Layer, WeightNorm};

const WIDTHS: [usize; 4] = [1, 32, 64, 128];

/// Four convolutions.
pub struct PatchDiscriminator {
    layers: Vec<Layer>,
}

impl PatchDiscriminator {
    /// Takes its weights.
    ///
    /// # Errors
    /// If one is missing or has another shape.
    pub fn load(norm: WeightNorm, weights: &VarBuilder) -> Result<Self> {
        let layer =
            |(i, widths): (usize, &[usize])| Layer::load(&weights.pp(i), widths[0], widths[1], (4, 2), norm);
        let mut layers = WIDTHS.windows(2).enumerate().map(layer).collect::<Result<Vec<_>>>()?;
        let last = WIDTHS.len() - 1;
        layers.push(Layer::load(&weights.pp(last), WIDTHS[last], 1, (4, 1), norm)?.linear());
        Ok(Self { layers })
    }

    /// The scores, `[pictures, height, width, 1]`, of `[pictures, height, width, 1]` luminance.
    ///
    /// # Errors
    /// If pictures have fewer than 16 pixels a side.
    pub fn forward(&self, luminance: &Maps) -> Result<Maps> {
        self.layers.iter().try_fold(luminance.clone(), |x, layer| layer.forward(&x))
    }
}
