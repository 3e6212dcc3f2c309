//! brush-1: a small residual generator that looks at a bounded neighbourhood, and so can run in bands.
//!
//! ```text
//! x: RGB -1..1, H and W padded by replication to multiples of 8               names in the weights
//! stem  conv 3x3 over pixel-unshuffle 4 of x           -> C1, 1/4 size        stem
//! n1 blocks                                               C1, 1/4             e1.0 ...
//! down  conv 2x2 stride 2                              -> C2, 1/8             down
//! n2 blocks                                               C2, 1/8             mid.0 ...
//! up    conv 1x1, bilinear x2, + what went into down   -> C1, 1/4             up
//! n3 blocks                                               C1, 1/4             d1.0 ...
//! norm, conv 1x1, pixel-shuffle 2
//!   + conv 3x3 over pixel-unshuffle 2 of x             -> CH, 1/2             n, h1, skip
//! 1 block                                                 CH, 1/2             b2
//! norm, conv 1x1, pixel-shuffle 2                      -> CF, full            n2, h2
//! conv 3x3 over (that, x), ReLU                        -> CF, full            dw
//! conv 3x3, added to x                                 -> RGB                 rgb
//! ```
//!
//! `block(x) = x + g * p2(ReLU(p1(n(dw(x)))))`, with `dw` depthwise 5x5 (ConvNeXt, Liu et al. 2022,
//! <https://arxiv.org/abs/2201.03545>). Norms are over the channels at a pixel, eps 1e-5; everything pads by
//! replication at its own scale. A style is the scale and the shift of every norm, one row a style (conditional
//! normalisation, Dumoulin et al. 2017, <https://arxiv.org/abs/1610.07629>), so that a mix of a file's styles
//! is a mix of these rows.
//!
//! Inside a block there are twice as many channels as outside, or fewer in a network that was [pruned](crate::prune).
//!
//! Nothing normalises over the picture, which is what makes a band's result that of the whole.

#[cfg(feature = "cuda")]
mod cuda;
mod folded;
mod onnx;
mod train;

use std::collections::HashMap;
use std::fmt::Display;
use std::sync::Arc;

use candle_core::Result;
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use utsushi_kernels::{Activation, Geometry, InputNorm};

use self::folded::{ConvTensors, Folded};
use super::{Generator, Grain, Region, RowStream};
use crate::bands::{Band, Context, Delay, Overlap, Padding};
use crate::device::Device;
use crate::ops::{Block, BlockTensors, Conv, Tail, upsample2_add};
use crate::rows::Rows;

pub use onnx::to_onnx;
pub use train::TrainableBrush;

/// The name in style files.
pub const ARCH: &str = "brush-1";

/// The name in style files of a network with blocks that have fewer channels inside than twice those outside: programs
/// that don't know such networks must not take it for the other.
pub const PRUNED_ARCH: &str = "brush-1-pruned";

/// Pictures are padded to multiples of this many pixels.
const MULTIPLE: usize = 8;

/// Pixels of the picture that the larger half of the network works on at a time.
const PIECE_PX: usize = 1 << 17;
/// Rows at an eighth of the size; below this, the rows around them cost more than they do.
const MIN_PIECE_ROWS: usize = 2;

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
    pub fn tensor_count(&self) -> usize {
        // A block has 9; the two norms 2 each; the eight convolutions 2 each.
        9 * (self.blocks.iter().sum::<usize>() + 1) + 2 * 2 + 8 * 2
    }

    /// The names of the blocks, in the order in which they run.
    pub(crate) fn block_names(&self) -> Vec<String> {
        let [n1, n2, n3] = self.blocks;
        let names = |name: &'static str, count| (0..count).map(move |i| format!("{name}.{i}"));
        names("e1", n1).chain(names("mid", n2)).chain(names("d1", n3)).chain(["b2".to_owned()]).collect()
    }

    /// How far beyond a pixel the network looks, in pixels.
    pub fn reach_px(&self) -> u32 {
        let [n1, n2, n3] = self.blocks;
        // Each layer's reach, times its scale: full, half, quarter, eighth; and what a coarse pixel covers.
        let full = 2;
        let half = 2 * (1 + Block::REACH);
        let quarter = 4 * (1 + Block::REACH * (n1 + n3));
        let eighth = 8 * (1 + Block::REACH * n2);
        (full + half + quarter + eighth + MULTIPLE - 1) as u32
    }
}

/// A norm's `[1, c, 1, 1]`, as trainings write it, as `[1, c]`.
pub(super) fn weight_shape(name: &str, shape: &[usize]) -> Vec<usize> {
    let is_norm = name.ends_with("n.g") || name.ends_with("n.b") || name.starts_with("n2.");
    match shape {
        [1, channels, 1, 1] if is_norm => vec![1, *channels],
        shape => shape.to_vec(),
    }
}

/// The network with its mix of styles folded in.
#[derive(Clone)]
pub struct Brush {
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

impl Brush {
    /// Loads the weights of `shares.len()` styles, and mixes the styles by their shares.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(sizes: Sizes, shares: &[f32], weights: &VarBuilder) -> Result<Self> {
        Self::new(sizes, &Folded::load(sizes, shares, weights)?)
    }

    /// The same, where the device draws it.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub(super) fn load_on(
        _device: &Device,
        sizes: Sizes,
        shares: &[f32],
        weights: &VarBuilder,
    ) -> Result<Arc<dyn Generator>> {
        let folded = Folded::load(sizes, shares, weights)?;
        let brush = Self::new(sizes, &folded)?;
        #[cfg(feature = "cuda")]
        return cuda::CudaBrush::on(_device, brush, &folded);
        #[cfg(not(feature = "cuda"))]
        Ok(Arc::new(brush))
    }

    fn new(sizes: Sizes, folded: &Folded) -> Result<Self> {
        Ok(Self { sizes, layers: Arc::new(Layers::new(folded)?) })
    }
}

impl Layers {
    fn new(folded: &Folded) -> Result<Self> {
        let conv = |geometry, ConvTensors { weight, bias }: &ConvTensors| {
            Conv::new(geometry, Activation::Store, weight, bias)
        };
        let blocks = |tensors: &[BlockTensors]| tensors.iter().map(Block::new).collect::<Result<Vec<_>>>();
        let (plain, tiles) = (Geometry::kernel, Geometry::tiles);
        let Folded { h2, dw, rgb, .. } = folded;
        Ok(Self {
            stem: conv(Geometry { unshuffle: 4, ..tiles(3) }, &folded.stem)?,
            e1: blocks(&folded.e1)?,
            down: conv(Geometry { stride: 2, ..plain(2) }, &folded.down)?,
            mid: blocks(&folded.mid)?,
            up: conv(plain(1), &folded.up)?,
            d1: blocks(&folded.d1)?,
            h1: conv(Geometry { shuffle: 2, input: InputNorm::Channels, ..plain(1) }, &folded.h1)?,
            skip: conv(Geometry { unshuffle: 2, ..plain(3) }, &folded.skip)?,
            b2: Block::new(&folded.b2)?,
            tail: Tail::new([(&h2.weight, &h2.bias), (&dw.weight, &dw.bias), (&rgb.weight, &rgb.bias)])?,
        })
    }
}

impl Generator for Brush {
    fn stream(&self, Region { height, width, .. }: Region, _: Grain) -> Box<dyn RowStream> {
        let contexts = |blocks: &[Block]| blocks.iter().map(|_| Context::new(Block::REACH)).collect();
        Box::new(BrushStream {
            height,
            width,
            padding: Padding::new(height, width, MULTIPLE, 1),
            given: 0,
            input: Context::in_multiples(0, MULTIPLE),
            stem: Context::in_multiples(1, Geometry::TILE_ROWS),
            e1: contexts(&self.layers.e1),
            down: Context::in_multiples(0, 2),
            mid: contexts(&self.layers.mid),
            up: Context::new(1),
            d1: contexts(&self.layers.d1),
            skip: Context::new(1),
            b2: Context::new(Block::REACH),
            tail: Overlap::new(Tail::REACH),
            tail_x: Overlap::new(2 * Tail::REACH),
            quarter: Delay::default(),
            skip_x: Delay::default(),
            half: Delay::default(),
            full: Delay::default(),
            layers: Arc::clone(&self.layers),
        })
    }

    fn reach_px(&self) -> u32 {
        self.sizes.reach_px()
    }

    fn memory_bytes(&self, _: usize, width: usize) -> u64 {
        // As measured, rounded up.
        const BYTES_PER_COLUMN: u64 = 40_000;
        width as u64 * BYTES_PER_COLUMN
    }
}

/// A picture on its way: the context that each layer still needs, and the maps that wait for another branch.
struct BrushStream {
    height: usize,
    width: usize,
    padding: Padding,
    given: usize,
    layers: Arc<Layers>,
    input: Context,
    stem: Context,
    e1: Vec<Context>,
    down: Context,
    mid: Vec<Context>,
    up: Context,
    d1: Vec<Context>,
    skip: Context,
    b2: Context,
    tail: Overlap,
    tail_x: Overlap,
    /// What went into `down`, until `up` has caught up.
    quarter: Delay,
    /// x, until `h1` has caught up.
    skip_x: Delay,
    /// The skip from x, of which a row or two are there before `h1` needs them.
    half: Delay,
    /// x, until `b2` has caught up.
    full: Delay,
}

impl RowStream for BrushStream {
    fn push(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<()> {
        let x = self.padding.push(rows)?;
        let x = self.input.push(x)?;
        let y = self.network(x)?;
        // The padding's rows come last, and are dropped.
        let count = y.count().min(self.height - self.given);
        self.given += count;
        y.narrow(0, count)?.append_to(out, self.width);
        Ok(())
    }
}

impl BrushStream {
    fn network(&mut self, x: Band) -> Result<Rows> {
        let layers = Arc::clone(&self.layers);
        self.full.push(&x.rows);
        self.skip_x.push(&x.rows);

        let h = unshuffled(&mut self.stem, 4, &x)?.map(|x| layers.stem.forward(x))?;
        let h = through(&mut self.e1, &layers.e1, h)?;
        self.quarter.push(&h.rows);
        let h = self.down.push(h)?.map(|h| layers.down.forward(h))?;
        let h = through(&mut self.mid, &layers.mid, h)?;
        // At the picture's end many rows come at once, and what becomes of them is large: a few at a time.
        let most = (PIECE_PX / MULTIPLE / self.width).max(MIN_PIECE_ROWS);
        let mut drawn = Rows::default();
        for piece in h.pieces(most)? {
            drawn.append(self.decode(piece)?.rows);
        }
        Ok(drawn)
    }

    /// From an eighth of the size to the whole.
    fn decode(&mut self, h: Band) -> Result<Band> {
        let layers = Arc::clone(&self.layers);
        let is_end = h.last;
        let h = h.map(|h| layers.up.forward(h))?;
        let h = self.up.push(h)?.map(|h| upsample2_add(h, &self.quarter.take((h.count() - 2) * 2)?))?;
        let h = through(&mut self.d1, &layers.d1, h)?;
        if !h.rows.is_empty() {
            self.catch_up_skip(h.rows.count() * 2, is_end)?;
        }
        let h = h.map(|h| layers.h1.forward_add(h, &self.half.take(h.count() * 2)?))?;
        let h = self.b2.push(h)?.map(|h| layers.b2.forward(h))?;
        let x = self.full.take(h.rows.count() * 2)?;
        let (x, rows) = self.tail_x.push(Band { rows: x, last: h.last })?;
        let last = h.last;
        let (h, _) = self.tail.push(h)?;
        Band { rows: h, last }.map(|h| layers.tail.forward(h, &x, rows))
    }

    /// Computes the skip from x as far as `count` rows of it are needed now: x is three channels, what becomes
    /// of it many more, so that it is x that waits.
    fn catch_up_skip(&mut self, count: usize, is_end: bool) -> Result<()> {
        // Two rows of x are one of the skip, and the last needs the two below it.
        let most = self.skip_x.rows();
        let missing = (count.saturating_sub(self.half.rows()) + 1) * 2;
        let x = self.skip_x.take(if is_end { most } else { missing.min(most) })?;
        let layers = Arc::clone(&self.layers);
        let x = Band { rows: x, last: is_end };
        let skip = unshuffled(&mut self.skip, 2, &x)?.map(|x| layers.skip.forward(x))?;
        self.half.push(&skip.rows);
        Ok(())
    }
}

fn through(contexts: &mut [Context], blocks: &[Block], h: Band) -> Result<Band> {
    contexts
        .iter_mut()
        .zip(blocks)
        .try_fold(h, |h, (context, block)| context.push(h)?.map(|h| block.forward(h)))
}

/// Gives rows their context as they are after a pixel-unshuffle by `factor`, where a row is `factor` rows of x
/// and it is these that are repeated at the edges.
fn unshuffled(context: &mut Context, factor: usize, x: &Band) -> Result<Band> {
    let Band { rows, last } =
        context.push(Band { rows: x.rows.clone().regrouped(1, factor)?, last: x.last })?;
    Ok(Band { rows: rows.regrouped(factor, 1)?, last })
}
