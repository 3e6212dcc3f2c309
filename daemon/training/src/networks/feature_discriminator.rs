//! A discriminator that looks through a perceptual network's eyes (Projected GAN, Sauer et al. 2021,
//! <https://arxiv.org/abs/2111.01007>).
//!
//! On the last level of each size of the perceptual network's maps sits a small head that says of every patch how
//! real it looks:
//!
//! ```text
//! features over their length at a pixel                          names in the weights
//! conv 1x1, leaky ReLU 0.2              -> 64                    heads.LEVEL.0
//! conv 4x4, stride 2, leaky ReLU        -> 96                    heads.LEVEL.1
//! conv 4x4, stride 2, leaky ReLU        -> 128                   heads.LEVEL.2
//! conv 3x3                              -> scores                heads.LEVEL.3
//! ```
//!
//! All are [spectrally normalised](super::layer). What the features leave out, such a discriminator can't see: it is
//! stable from the first step, and cheap, since the losses look at the features, too.

use candle_core::Result;
use candle_nn::VarBuilder;
use utsushi_engine::differentiable::Maps;

use super::layer::Layer;
use super::perceptual::Level;

const WIDTHS: [usize; 3] = [64, 96, 128];

/// A head for each size of maps.
pub struct FeatureDiscriminator {
    heads: Vec<Head>,
}

struct Head {
    level: usize,
    layers: [Layer; 4],
}

impl FeatureDiscriminator {
    /// Takes its weights.
    ///
    /// # Errors
    /// If one is missing or has another shape.
    pub fn load(levels: &[Level], weights: &VarBuilder) -> Result<Self> {
        let head = |&level: &usize| -> Result<Head> {
            let Level { name, channels, .. } = levels[level];
            let weights = weights.pp("heads").pp(name);
            let layer =
                |i: usize, inputs, outputs, shape| Layer::load(&weights.pp(i), inputs, outputs, shape);
            let [narrow, middle, wide] = WIDTHS;
            let layers = [
                layer(0, channels, narrow, (1, 1))?,
                layer(1, narrow, middle, (4, 2))?,
                layer(2, middle, wide, (4, 2))?,
                layer(3, wide, 1, (3, 1))?.linear(),
            ];
            Ok(Head { level, layers })
        };
        Ok(Self { heads: Self::levels(levels).iter().map(head).collect::<Result<_>>()? })
    }

    /// How many heads there are.
    pub fn heads(&self) -> usize {
        self.heads.len()
    }

    /// The levels that heads sit on: the last of each stride.
    pub fn levels(levels: &[Level]) -> Vec<usize> {
        let is_last = |i: &usize| levels.get(i + 1).is_none_or(|next| next.stride != levels[*i].stride);
        (0..levels.len()).filter(is_last).collect()
    }

    /// What the heads look at, of a perceptual network's features.
    ///
    /// # Errors
    /// If there are fewer levels than it was loaded for.
    pub fn views(&self, features: &[Maps]) -> Result<Vec<Maps>> {
        let view = |head: &Head| match features.get(head.level) {
            Some(features) => features.pixel_norm(),
            None => candle_core::bail!("there are only {} levels of features", features.len()),
        };
        self.heads.iter().map(view).collect()
    }

    /// The scores of each head, `[pictures, height, width, 1]`, from [views](Self::views) of several sets of pictures:
    /// by set, then by head.
    ///
    /// # Errors
    /// If a map is too small.
    pub fn forward(&self, sets: &[&[Maps]]) -> Result<Vec<Vec<Maps>>> {
        let normalised = |head: &Head| head.layers.iter().map(Layer::normalised).collect::<Result<Vec<_>>>();
        let heads = self.heads.iter().map(normalised).collect::<Result<Vec<_>>>()?;
        let scores = |(layers, view): (&Vec<Layer>, &Maps)| {
            layers.iter().try_fold(view.clone(), |x, layer| layer.forward(&x))
        };
        sets.iter().map(|views| heads.iter().zip(*views).map(scores).collect()).collect()
    }
}
