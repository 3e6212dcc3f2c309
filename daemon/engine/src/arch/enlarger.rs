//! enlarger: a generator whose pictures are twice as large as what it is shown.
//!
//! ```text
//! x: RGB -1..1                                                                names in the weights
//! stem  conv 3x3                                        -> C, x's size        stem
//! n blocks                                                 C                  body.0 ...
//! norm, conv 1x1, pixel-shuffle 2, filter               -> CF, twice the size n2, h2
//! conv 3x3 over (that, y), ReLU                         -> CF                 dw
//! conv 3x3, added to y                                  -> RGB                rgb
//!       y: x enlarged by a bicubic filter (Keys 1981, <https://doi.org/10.1109/TASSP.1981.1163711>, a = -1/2)
//! ```
//!
//! Its layers are those of [`brush`](super::brush): the blocks of the first, the last layers of the second, whose
//! filter behind the pixel-shuffle keeps an even surface even, whatever the weights are. What edges need beyond that
//! filter comes from the two convolutions at full size: a ReLU makes a sharp edge of a smooth slope. All that is
//! expensive happens at the size of x (Shi et al. 2016, <https://arxiv.org/abs/1609.05158>).

mod stream;
mod train;

use std::sync::Arc;

use candle_core::Result;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use utsushi_kernels::{Activation, Geometry};

use self::stream::EnlargerStream;
use super::brush::{Loader, Version};
use super::{Generator, Grain, Region, RowStream};
use crate::ops::{Block, Conv, Tail};

pub use train::TrainableEnlarger;

/// The name in style files.
pub(super) const ARCH: &str = "enlarger-1";

/// How many times longer sides become.
pub const FACTOR: usize = 2;

/// The numbers that make one enlarger differ from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Channels at the size of what it is shown: C.
    pub c: usize,
    /// How many blocks there are.
    pub blocks: usize,
    /// Channels at twice the size: CF.
    pub cf: usize,
}

impl Sizes {
    /// Are they within what this program is ready to run?
    pub fn are_sane(&self) -> bool {
        [self.c, self.cf].iter().all(|c| (1..=256).contains(c)) && self.blocks <= 64
    }

    /// How many tensors a weights file of these sizes has.
    pub(super) fn tensor_count(&self) -> usize {
        // A block has 9; the norm 2; the four convolutions 2 each.
        9 * self.blocks + 2 + 4 * 2
    }

    /// How far beyond a pixel of what it is shown it looks, in pixels.
    pub(super) fn reach_px(&self) -> u32 {
        // The last layers look 3 pixels of twice the size far, and the stem 1.
        (1 + Block::REACH * self.blocks + 2) as u32
    }
}

/// The network.
pub(super) struct Enlarger {
    sizes: Sizes,
    layers: Arc<Layers>,
}

struct Layers {
    stem: Conv,
    body: Vec<Block>,
    tail: Tail,
}

impl Enlarger {
    /// Loads its weights.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(super) fn load(sizes: Sizes, weights: &VarBuilder) -> Result<Self> {
        let Sizes { c, blocks, cf } = sizes;
        // One style, and all of it.
        let loader = Loader::new(Version::One, &[1.0], weights)?;
        let conv = |name: &str, inputs, outputs| {
            let weights = weights.pp(name);
            Ok::<_, candle_core::Error>((
                weights.get((outputs, inputs, 3, 3), "weight")?,
                weights.get(outputs, "bias")?,
            ))
        };
        let block = |i: usize| Block::new(&loader.block_tensors(&weights.pp("body").pp(i), c)?);
        let (stem, join, rgb) = (conv("stem", 3, c)?, conv("dw", cf + 3, cf)?, conv("rgb", cf, 3)?);
        let (expand, bias) = loader.behind_norm(&weights.pp("n2"), &weights.pp("h2"), c, 4 * cf)?;
        // Without noise, but with the filter.
        let no_noise = candle_core::Tensor::zeros(cf, expand.dtype(), expand.device())?;
        let tail = Tail::new([(&expand, &bias), (&join.0, &join.1), (&rgb.0, &rgb.1)], Some(&no_noise))?;
        let layers = Layers {
            stem: Conv::new(Geometry::kernel(3), Activation::Store, &stem.0, &stem.1)?,
            body: (0..blocks).map(block).collect::<Result<_>>()?,
            tail,
        };
        Ok(Self { sizes, layers: Arc::new(layers) })
    }
}

impl Generator for Enlarger {
    fn stream(&self, region: Region, _: Grain) -> Box<dyn RowStream> {
        Box::new(EnlargerStream::new(Arc::clone(&self.layers), region))
    }

    fn reach_px(&self) -> u32 {
        self.sizes.reach_px()
    }

    fn factor(&self) -> usize {
        FACTOR
    }

    fn memory_bytes(&self, _: usize, width: usize) -> u64 {
        // As measured, rounded up.
        const BYTES_PER_COLUMN: u64 = 40_000;
        width as u64 * BYTES_PER_COLUMN
    }
}
