//! brush: a small residual generator that looks at a bounded neighbourhood, and so can run in bands.
//!
//! ```text
//! x: RGB -1..1, H and W padded by replication to multiples of 8               names in the weights
//! stem  conv 3x3 over pixel-unshuffle 4 of x           -> C1, 1/4 size        stem
//! n1 blocks                                               C1, 1/4             e1.0 ...
//! down  conv 2x2 stride 2                              -> C2, 1/8             down
//! n2 blocks                                               C2, 1/8             mid.0 ...
//! up    conv 1x1, bilinear x2, + what went into down   -> C1, 1/4             up
//! n3 blocks                                               C1, 1/4             d1.0 ...
//! norm, conv 1x1, pixel-shuffle 2, filter
//!   + conv 3x3 over pixel-unshuffle 2 of x             -> CH, 1/2             n, h1, skip
//! 1 block                                                 CH, 1/2             b2
//! norm, conv 1x1, pixel-shuffle 2, filter              -> CF, full            n2, h2
//! + noise                                                 CF, full            zf
//! conv 3x3 over (that, x), ReLU                        -> CF, full            dw
//! conv 3x3, added to x                                 -> RGB                 rgb
//! ```
//!
//! `block(x) = x + g * p2(ReLU(p1(n(dw(x) + z * noise))))`, with `dw` depthwise 5x5 (ConvNeXt, Liu et al. 2022,
//! <https://arxiv.org/abs/2201.03545>). Norms are over the channels at a pixel, eps 1e-5; everything pads by
//! replication at its own scale. A style is the scale and the shift of every norm, one row a style (conditional
//! normalisation, Dumoulin et al. 2017, <https://arxiv.org/abs/1610.07629>), so that a mix of a file's styles
//! is a mix of these rows.
//!
//! Filter and noise are what brush-2 has, and brush-1 hasn't. The filter is [1 2 1] / 4 in both directions. Behind a
//! pixel-shuffle it takes away what a network could draw by a pixel's place among the shuffled ones alone, which is
//! a grid (aliasing, Karras et al. 2021, <https://arxiv.org/abs/2106.12423>; Odena et al. 2016,
//! <https://distill.pub/2016/deconv-checkerboard/>): with any weights, an even picture stays even. Noise, a value a
//! pixel by its place in the picture, gives a style something to draw strokes of where the picture is even
//! (Karras et al. 2019, <https://arxiv.org/abs/1812.04948>); how much of it a channel gets is the style's, too. That of
//! the blocks goes along the picture's forms (`flow`), as a painter's brush does: of noise without a direction, strokes
//! become worms.
//!
//! Inside a block there are twice as many channels as outside, or fewer in a network that was [pruned](crate::prune).
//!
//! Nothing normalises over the picture, which is what makes a band's result that of the whole.

#[cfg(feature = "cuda")]
mod cuda;
mod flow;
mod folded;
mod onnx;
mod stream;
mod train;

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use utsushi_kernels::{Activation, Cpu, Directions, Geometry, InputNorm, Noise};

use self::folded::{ConvTensors, Folded};
use self::stream::BrushStream;
use super::{Generator, Grain, Region, RowStream};
use crate::device::Device;
use crate::ops::{Block, BlockTensors, Conv, Tail};

pub(super) use folded::Loader;
pub use onnx::to_onnx;
pub use train::TrainableBrush;
pub(super) use train::{Block as TrainableBlock, Layer as TrainableLayer, Norm as TrainableNorm};

/// What the name in style files ends with, of networks with blocks that have fewer channels inside than twice those
/// outside.
pub(super) const PRUNED: &str = "-pruned";

/// Which of the brushes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// The first: no filter, no noise.
    One,
    /// With both: what is trained now.
    Two,
}

impl Version {
    /// That of this name in style files.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        [Self::One, Self::Two].into_iter().find(|version| version.name() == name)
    }

    /// The name in style files.
    pub fn name(self) -> &'static str {
        match self {
            Self::One => "brush-1",
            Self::Two => "brush-2",
        }
    }

    /// The name in style files of a network that was pruned: this and [`PRUNED`].
    pub(super) fn pruned_name(self) -> &'static str {
        match self {
            Self::One => "brush-1-pruned",
            Self::Two => "brush-2-pruned",
        }
    }

    /// Has it the filter, and noise?
    fn has_noise(self) -> bool {
        self != Self::One
    }

    /// How much noise a layer's channels get in each style, `[styles, channels]`, in a brush that has noise.
    fn noise_weights(
        self,
        weights: &VarBuilder,
        name: &str,
        styles: usize,
        channels: usize,
    ) -> Result<Option<Tensor>> {
        self.has_noise().then(|| weights.get((styles, channels), name)).transpose()
    }
}

/// Pictures are padded to multiples of this many pixels.
const MULTIPLE: usize = 8;
/// Parts of a picture are drawn from multiples of this many pixels of it on: those of four rows at a quarter of the
/// size, which Winograd's convolution rounds together.
const ALIGNED_PX: usize = 4 * Geometry::TILE_ROWS;

/// The numbers that make one brush differ from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Channels at a quarter of the size: C1.
    pub c1: usize,
    /// Channels at an eighth of the size: C2.
    pub c2: usize,
    /// Blocks before, at and after the eighth.
    pub blocks: [usize; 3],
    /// Channels at half the size: CH.
    pub ch: usize,
    /// Channels at full size: CF.
    pub cf: usize,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { c1: 48, c2: 96, blocks: [3, 6, 3], ch: 24, cf: 12 }
    }
}

impl Sizes {
    /// Those in the metadata that the training script writes; or the key that is wrong, and why.
    pub(super) fn of_training(
        metadata: &HashMap<String, String>,
    ) -> std::result::Result<Self, (String, String)> {
        let wrong = |key: &str, why: &dyn Display| (key.to_owned(), why.to_string());
        let text = |key| metadata.get(key).ok_or_else(|| wrong(key, &"it is missing"));
        let number = |key| text(key)?.parse::<usize>().map_err(|e| wrong(key, &e));
        let blocks =
            text("blocks")?.split('-').map(str::parse).collect::<std::result::Result<Vec<usize>, _>>();
        let blocks = blocks.map_err(|e| wrong("blocks", &e))?;
        let blocks =
            blocks.try_into().map_err(|b: Vec<_>| wrong("blocks", &format!("{} numbers", b.len())))?;
        Ok(Self { c1: number("c1")?, c2: number("c2")?, blocks, ..Self::default() })
    }

    /// Are they within what this program is ready to run?
    pub fn are_sane(&self) -> bool {
        let channels = [self.c1, self.c2, self.ch, self.cf];
        channels.iter().all(|c| (1..=512).contains(c)) && self.blocks.iter().all(|n| *n <= 32)
    }

    /// How many tensors a weights file of these sizes has.
    pub fn tensor_count(&self, version: Version) -> usize {
        // A block has 9; the two norms 2 each; the eight convolutions 2 each. Noise comes into each block, and once more.
        let noise = if version.has_noise() { self.block_count() + 1 } else { 0 };
        9 * self.block_count() + 2 * 2 + 8 * 2 + noise
    }

    /// How many blocks there are.
    pub(crate) fn block_count(&self) -> usize {
        self.blocks.iter().sum::<usize>() + 1
    }

    /// How many times smaller than the picture the map is that a block, or with the number behind the last one's the
    /// picture's own map, runs on.
    pub(crate) fn factor(&self, layer: usize) -> usize {
        let [n1, n2, n3] = self.blocks;
        match layer {
            i if i < n1 => 4,
            i if i < n1 + n2 => 8,
            i if i < n1 + n2 + n3 => 4,
            i if i < self.block_count() => 2,
            _ => 1,
        }
    }

    /// The names of the blocks, in the order in which they run.
    pub(crate) fn block_names(&self) -> Vec<String> {
        let [n1, n2, n3] = self.blocks;
        let names = |name: &'static str, count| (0..count).map(move |i| format!("{name}.{i}"));
        names("e1", n1).chain(names("mid", n2)).chain(names("d1", n3)).chain(["b2".to_owned()]).collect()
    }

    /// How far beyond a pixel the network looks, in pixels.
    pub fn reach_px(&self, version: Version) -> u32 {
        let [n1, n2, n3] = self.blocks;
        // Each layer's reach, times its scale: full, half, quarter, eighth; and what a coarse pixel covers.
        let filter = usize::from(version.has_noise());
        let full = 2 + filter;
        let half = 2 * (1 + Block::REACH + filter);
        let quarter = 4 * (1 + Block::REACH * (n1 + n3));
        let eighth = 8 * (1 + Block::REACH * n2);
        let flow = if version.has_noise() { flow::REACH_PX } else { 0 };
        (full + half + quarter + eighth + flow + MULTIPLE - 1) as u32
    }
}

/// A style's `[1, c, 1, 1]`, as trainings write it, as `[1, c]`.
pub(super) fn weight_shape(name: &str, shape: &[usize]) -> Vec<usize> {
    let is_norm = name.ends_with("n.g") || name.ends_with("n.b") || name.starts_with("n2.");
    match shape {
        [1, channels, 1, 1] if is_norm || is_of_noise(name) => vec![1, *channels],
        shape => shape.to_vec(),
    }
}

/// Are these weights of the noise, which a style of brush-1 doesn't have?
pub fn is_of_noise(name: &str) -> bool {
    name == "zf" || name.ends_with(".z")
}

/// The network with its mix of styles folded in.
#[derive(Clone)]
pub struct Brush {
    version: Version,
    sizes: Sizes,
    layers: Arc<Layers>,
}

struct Layers {
    stem: Conv,
    e1: Vec<Block>,
    down: Conv,
    mid: Vec<Block>,
    up: Conv,
    d1: Vec<Block>,
    h1: Conv,
    skip: Conv,
    b2: Block,
    tail: Tail,
}

/// The noise of a picture's layers, which are numbered as the blocks are; what comes before `dw` is behind them.
#[derive(Clone, Copy)]
struct PictureNoise {
    sizes: Sizes,
    grain: Grain,
    /// Where the padded region begins in the picture: column and row, multiples of [`ALIGNED_PX`].
    origin: (usize, usize),
}

impl PictureNoise {
    fn new(sizes: Sizes, grain: Grain, origin: (usize, usize)) -> Self {
        Self { sizes, grain, origin }
    }

    /// The strokes of `rows` rows of a block's map from row `row` on, `cols` columns, where they go in these directions.
    fn strokes(&self, layer: usize, directions: &Directions, rows: (usize, usize), cols: usize) -> Vec<f32> {
        self.of_layer(layer).strokes(Cpu::detect(), directions, self.sizes.factor(layer), rows, cols)
    }

    fn of_layer(&self, layer: usize) -> Noise {
        let at = |px: usize| (px / self.sizes.factor(layer)) as u32;
        let (x, y) = self.origin;
        Noise::new(self.grain.seed, layer as u32, self.grain.strength, (at(x), at(y)))
    }
}

impl Brush {
    /// Loads the weights of `shares.len()` styles, and mixes the styles by their shares.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(version: Version, sizes: Sizes, shares: &[f32], weights: &VarBuilder) -> Result<Self> {
        Self::new(version, sizes, &Folded::load(version, sizes, shares, weights)?)
    }

    /// The same, where the device draws it.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(super) fn load_on(
        _device: &Device,
        version: Version,
        sizes: Sizes,
        shares: &[f32],
        weights: &VarBuilder,
    ) -> Result<Arc<dyn Generator>> {
        let folded = Folded::load(version, sizes, shares, weights)?;
        let brush = Self::new(version, sizes, &folded)?;
        #[cfg(feature = "cuda")]
        return cuda::CudaBrush::on(_device, brush, &folded);
        #[cfg(not(feature = "cuda"))]
        Ok(Arc::new(brush))
    }

    fn new(version: Version, sizes: Sizes, folded: &Folded) -> Result<Self> {
        Ok(Self { version, sizes, layers: Arc::new(Layers::new(version, folded)?) })
    }
}

impl Layers {
    fn new(version: Version, folded: &Folded) -> Result<Self> {
        let conv = |geometry, ConvTensors { weight, bias }: &ConvTensors| {
            Conv::new(geometry, Activation::Store, weight, bias)
        };
        let blocks = |tensors: &[BlockTensors]| tensors.iter().map(Block::new).collect::<Result<Vec<_>>>();
        let (plain, tiles) = (Geometry::kernel, Geometry::tiles);
        // Winograd's convolution rounds the pixels of a tile differently, by which even surfaces are no longer so.
        let stem = if version.has_noise() { plain(3) } else { tiles(3) };
        let Folded { h2, dw, rgb, .. } = folded;
        Ok(Self {
            stem: conv(Geometry { unshuffle: 4, ..stem }, &folded.stem)?,
            e1: blocks(&folded.e1)?,
            down: conv(Geometry { stride: 2, ..plain(2) }, &folded.down)?,
            mid: blocks(&folded.mid)?,
            up: conv(plain(1), &folded.up)?,
            d1: blocks(&folded.d1)?,
            h1: conv(Geometry { shuffle: 2, input: InputNorm::Channels, ..plain(1) }, &folded.h1)?,
            skip: conv(Geometry { unshuffle: 2, ..plain(3) }, &folded.skip)?,
            b2: Block::new(&folded.b2)?,
            tail: Tail::new(
                [(&h2.weight, &h2.bias), (&dw.weight, &dw.bias), (&rgb.weight, &rgb.bias)],
                folded.zf.as_ref(),
            )?,
        })
    }
}

impl Generator for Brush {
    fn stream(&self, region: Region, grain: Grain) -> Box<dyn RowStream> {
        Box::new(BrushStream::new(self, region, grain))
    }

    fn reach_px(&self) -> u32 {
        self.sizes.reach_px(self.version)
    }

    fn memory_bytes(&self, _: usize, width: usize) -> u64 {
        // As measured, rounded up.
        const BYTES_PER_COLUMN: u64 = 40_000;
        width as u64 * BYTES_PER_COLUMN
    }
}
