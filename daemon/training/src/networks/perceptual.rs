//! Networks that see pictures roughly as people do: two pictures whose features are alike look alike.

use candle_core::{Result, Tensor};

/// A layer whose output is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// What the field calls the layer, `relu1_1` for example.
    pub name: &'static str,
    /// Channels of its map.
    pub channels: usize,
    /// Pixels of the picture to a pixel of its map, along each side. Sides that don't divide are rounded down.
    pub stride: usize,
}

/// A frozen network that gives maps of features.
pub trait Features {
    /// The layers looked at, the finest first.
    fn levels(&self) -> &[Level];

    /// The features of pictures, `[pictures, height, width, 3]`, RGB in -1..1: for each level a map
    /// `[pictures, height / stride, width / stride, channels]`, none of it negative. Gradients flow to the pictures.
    ///
    /// # Errors
    /// If the pictures have another shape, or are smaller than the last level's stride.
    fn forward(&self, pictures: &Tensor) -> Result<Vec<Tensor>>;
}
