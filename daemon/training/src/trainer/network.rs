//! The network that is trained: a style's, or one that enlarges.

use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;
use utsushi_engine::Grain;
use utsushi_engine::arch::brush::{TrainableBrush, Version};
use utsushi_engine::arch::enlarger::TrainableEnlarger;
use utsushi_engine::differentiable::Maps;

use crate::recipe::Generator;

/// The generator.
pub(super) enum Network {
    Brush(Box<TrainableBrush>),
    Enlarger(Box<TrainableEnlarger>),
}

impl Network {
    /// Takes its weights, of so many styles.
    pub(super) fn load(generator: Generator, styles: usize, weights: &VarBuilder) -> Result<Self> {
        Ok(match generator {
            Generator::Brush(sizes) => {
                Self::Brush(Box::new(TrainableBrush::load(Version::Two, sizes, styles, weights)?))
            }
            Generator::Enlarger(sizes) => Self::Enlarger(Box::new(TrainableEnlarger::load(sizes, weights)?)),
        })
    }

    /// Draws pictures with shares of the styles and the noise of each, where the network has any.
    pub(super) fn redraw(&self, pictures: &Maps, shares: &Tensor, grains: &[Grain]) -> Result<Maps> {
        match self {
            Self::Brush(brush) => brush.redraw(pictures, shares, grains),
            Self::Enlarger(enlarger) => enlarger.redraw(pictures),
        }
    }

    /// The strokes that these blocks of a style see: [`TrainableBrush::strokes`].
    pub(super) fn strokes(&self, pictures: &Maps, grains: &[Grain], blocks: &[usize]) -> Result<Vec<Tensor>> {
        match self {
            Self::Brush(brush) => brush.strokes(pictures, grains, blocks),
            Self::Enlarger(_) => bail!("a network that enlarges paints no strokes"),
        }
    }
}
