//! A picture on its way through a brush, a band at a time.

use std::sync::Arc;

use candle_core::Result;
use utsushi_kernels::{BLUR_REACH, Directions, Geometry, Noise};

use super::flow::Flow;
use super::{ALIGNED_PX, Brush, Layers, MULTIPLE, PictureNoise, Version};
use crate::arch::{Grain, Region, RowStream};
use crate::bands::{Band, Context, Delay, Overlap, Padding};
use crate::ops::{Block, blur_add, upsample2_add};
use crate::rows::Rows;

/// Pixels of the picture that the larger half of the network works on at a time.
const PIECE_PX: usize = 1 << 17;
/// Rows at an eighth of the size; below this, the rows around them cost more than they do.
const MIN_PIECE_ROWS: usize = 2;

/// A picture on its way: the context that each layer still needs, and the maps that wait for another branch.
pub(super) struct BrushStream {
    version: Version,
    width: usize,
    padding: Padding,
    /// Columns and rows of padding before the region's.
    before: (usize, usize),
    /// Rows of the padded region that are drawn, and rows of the region.
    drawn: usize,
    height: usize,
    layers: Arc<Layers>,
    input: Context,
    strokes: Strokes,
    stem: Context,
    e1: Vec<BlockRows>,
    down: Context,
    mid: Vec<BlockRows>,
    up: Context,
    d1: Vec<BlockRows>,
    /// What was shuffled, for the filter.
    shuffled: Overlap,
    skip: Context,
    b2: BlockRows,
    tail: Overlap,
    tail_x: Overlap,
    noise: Noise,
    /// What went into `down`, until `up` has caught up.
    quarter: Delay,
    /// x, until `h1` has caught up.
    skip_x: Delay,
    /// The skip from x, of which a row or two are there before `h1` needs them.
    half: Delay,
    /// x, until `b2` has caught up.
    full: Delay,
}

/// The rows that come to a block, and the number of the next that it gives.
struct BlockRows {
    context: Context,
    layer: usize,
    row: usize,
}

impl BlockRows {
    fn through(&mut self, block: &Block, strokes: &Strokes, h: Band) -> Result<Band> {
        let (layer, row) = (self.layer, self.row);
        let h = self.context.push(h)?.map(|h| {
            let rows = h.count().saturating_sub(2 * Block::REACH);
            block.forward(h, &strokes.of_rows(layer, (row, rows), h.shape()?.cols))
        })?;
        self.row += h.rows.count();
        Ok(h)
    }
}

/// Which way strokes go, and the rows of x that wait until that is known.
struct Strokes {
    noise: PictureNoise,
    /// Where there is noise.
    flow: Option<Flow>,
    waiting: Delay,
    /// Rows of x that went on.
    gone: usize,
}

impl Strokes {
    fn new(version: Version, noise: PictureNoise, width: usize) -> Self {
        let has_strokes = version.has_noise() && noise.grain.strength != 0.0;
        let flow = has_strokes.then(|| Flow::new(width, &noise));
        Self { noise, flow, waiting: Delay::default(), gone: 0 }
    }

    /// Takes rows of x, and gives those whose directions are known.
    fn through(&mut self, x: Band) -> Result<Band> {
        let Some(flow) = &mut self.flow else { return Ok(x) };
        if !x.rows.is_empty() {
            x.rows.read(|x| {
                (0..x.shape().rows).for_each(|row| flow.push(x.row(row), false));
                Ok(())
            })?;
        }
        if x.last {
            flow.push(&[], true);
        }
        self.waiting.push(&x.rows);
        let known = flow.directions().rows() * Directions::CELL_PX / MULTIPLE * MULTIPLE;
        let rows = self.waiting.take(known - self.gone)?;
        self.gone = known;
        Ok(Band { rows, last: x.last })
    }

    /// The noise of so many rows of a block's map.
    fn of_rows(&self, layer: usize, rows: (usize, usize), cols: usize) -> Vec<f32> {
        match &self.flow {
            Some(flow) => self.noise.strokes(layer, flow.directions(), rows, cols),
            None => Vec::new(),
        }
    }
}

impl RowStream for BrushStream {
    fn push(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<()> {
        let x = self.padding.push(rows)?;
        let x = self.strokes.through(self.input.push(x)?)?;
        let y = self.network(x)?;
        // The padding's rows come first and last, and are dropped.
        let (left, above) = self.before;
        let inside = |row: usize| row.clamp(above, above + self.height);
        let (first, last) = (inside(self.drawn), inside(self.drawn + y.count()));
        if first < last {
            y.narrow(first - self.drawn, last - first)?.append_to(out, left..left + self.width);
        }
        self.drawn += y.count();
        Ok(())
    }
}

impl BrushStream {
    pub(super) fn new(brush: &Brush, region: Region, grain: Grain) -> Self {
        let Region { width, height, x, y } = region;
        let layers = Arc::clone(&brush.layers);
        let before = (x % ALIGNED_PX, y % ALIGNED_PX);
        let noise = PictureNoise::new(brush.sizes, grain, (x - before.0, y - before.1));
        let mut layer = 0;
        let mut rows = || {
            layer += 1;
            BlockRows { context: Context::new(Block::REACH), layer: layer - 1, row: 0 }
        };
        let mut blocks = |blocks: &[Block]| blocks.iter().map(|_| rows()).collect();
        Self {
            version: brush.version,
            width,
            padding: Padding::new(height, width, MULTIPLE, 1).beginning((before.1, before.0)),
            before,
            drawn: 0,
            height,
            input: Context::in_multiples(0, MULTIPLE),
            strokes: Strokes::new(brush.version, noise, (before.0 + width).next_multiple_of(MULTIPLE)),
            stem: Context::in_multiples(1, Geometry::TILE_ROWS),
            e1: blocks(&layers.e1),
            down: Context::in_multiples(0, 2),
            mid: blocks(&layers.mid),
            up: Context::new(1),
            d1: blocks(&layers.d1),
            shuffled: Overlap::new(BLUR_REACH),
            skip: Context::new(1),
            b2: rows(),
            tail: Overlap::new(layers.tail.reach()),
            tail_x: Overlap::new(2 * layers.tail.reach()),
            noise: noise.of_layer(brush.sizes.block_count()),
            quarter: Delay::default(),
            skip_x: Delay::default(),
            half: Delay::default(),
            full: Delay::default(),
            layers,
        }
    }

    fn network(&mut self, x: Band) -> Result<Rows> {
        let layers = Arc::clone(&self.layers);
        self.full.push(&x.rows);
        self.skip_x.push(&x.rows);

        let h = unshuffled(&mut self.stem, 4, &x)?.map(|x| layers.stem.forward(x))?;
        let h = through(&mut self.e1, &layers.e1, &self.strokes, h)?;
        self.quarter.push(&h.rows);
        let h = self.down.push(h)?.map(|h| layers.down.forward(h))?;
        let h = through(&mut self.mid, &layers.mid, &self.strokes, h)?;
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
        let h = through(&mut self.d1, &layers.d1, &self.strokes, h)?;
        let h = if !self.version.has_noise() {
            if !h.rows.is_empty() {
                self.catch_up_skip(h.rows.count() * 2, is_end)?;
            }
            h.map(|h| layers.h1.forward_add(h, &self.half.take(h.count() * 2)?))?
        } else {
            let (h, rows) = self.shuffled.push(h.map(|h| layers.h1.forward(h))?)?;
            if !rows.is_empty() {
                self.catch_up_skip(rows.len(), is_end)?;
            }
            Band { rows: h, last: is_end }.map(|h| blur_add(h, rows.clone(), &self.half.take(rows.len())?))?
        };
        let h = self.b2.through(&layers.b2, &self.strokes, h)?;
        let x = self.full.take(h.rows.count() * 2)?;
        let (x, rows) = self.tail_x.push(Band { rows: x, last: h.last })?;
        let last = h.last;
        let (h, _) = self.tail.push(h)?;
        // Of the picture's rows that come with these as context, too.
        let noise = self.noise;
        self.noise = noise.below(rows.len());
        let above = rows.start;
        Band { rows: h, last }.map(|h| layers.tail.forward(h, &x, noise.above(above), rows))
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

fn through(rows: &mut [BlockRows], blocks: &[Block], strokes: &Strokes, h: Band) -> Result<Band> {
    rows.iter_mut().zip(blocks).try_fold(h, |h, (rows, block)| rows.through(block, strokes, h))
}

/// Gives rows their context as they are after a pixel-unshuffle by `factor`, where a row is `factor` rows of x
/// and it is these that are repeated at the edges.
fn unshuffled(context: &mut Context, factor: usize, x: &Band) -> Result<Band> {
    let Band { rows, last } =
        context.push(Band { rows: x.rows.clone().regrouped(1, factor)?, last: x.last })?;
    Ok(Band { rows: rows.regrouped(factor, 1)?, last })
}
