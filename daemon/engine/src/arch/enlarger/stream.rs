//! A picture on its way through an enlarger, a band at a time.

use std::sync::Arc;

use candle_core::{Result, bail};
use rayon::prelude::*;
use utsushi_kernels::{Noise, Shape};

use super::{FACTOR, Layers};
use crate::arch::{Region, RowStream};
use crate::bands::{Band, Context, Delay, Overlap};
use crate::bicubic::{self, REACH, TAPS};
use crate::ops::Block;
use crate::rows::Rows;

/// Pixels that the network works on at a time, so that what passes from block to block stays near the processor.
const PIECE_PX: usize = 1 << 15;
/// Below this, starting work costs more than doing it.
const MIN_PIECE_ROWS: usize = 4;

/// The rows that each layer still needs.
pub(super) struct EnlargerStream {
    width: usize,
    height: usize,
    taken: usize,
    layers: Arc<Layers>,
    stem: Context,
    body: Vec<Context>,
    bicubic: Context,
    /// What was enlarged by the filter, until the network has caught up.
    enlarged: Delay,
    tail: Overlap,
    tail_y: Overlap,
}

impl EnlargerStream {
    pub(super) fn new(layers: Arc<Layers>, region: Region) -> Self {
        let reach = layers.tail.reach();
        Self {
            width: region.width,
            height: region.height,
            taken: 0,
            stem: Context::new(1),
            body: layers.body.iter().map(|_| Context::new(Block::REACH)).collect(),
            bicubic: Context::new(REACH),
            enlarged: Delay::default(),
            tail: Overlap::new(reach),
            tail_y: Overlap::new(FACTOR * reach),
            layers,
        }
    }

    fn network(&mut self, x: Band) -> Result<Rows> {
        let layers = Arc::clone(&self.layers);
        let copy = Band { rows: x.rows.clone(), last: x.last };
        self.enlarged.push(&self.bicubic.push(copy)?.map(enlarged)?.rows);
        let mut h = self.stem.push(x)?.map(|x| layers.stem.forward(x))?;
        for (context, block) in self.body.iter_mut().zip(&layers.body) {
            h = context.push(h)?.map(|h| block.forward(h, &[]))?;
        }
        let y = self.enlarged.take(h.rows.count() * FACTOR)?;
        let (y, rows) = self.tail_y.push(Band { rows: y, last: h.last })?;
        let last = h.last;
        let (h, _) = self.tail.push(h)?;
        let none = Noise::new(0, 0, 0.0, (0, 0));
        Ok(Band { rows: h, last }.map(|h| layers.tail.forward(h, &y, none, rows))?.rows)
    }
}

impl RowStream for EnlargerStream {
    fn push(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<()> {
        let row_len = self.width * 3;
        if !rows.len().is_multiple_of(row_len) || self.taken + rows.len() / row_len > self.height {
            bail!("{} values are no rows of a picture of {} x {}", rows.len(), self.width, self.height);
        }
        let piece = (PIECE_PX / self.width).max(MIN_PIECE_ROWS);
        for rows in rows.chunks(piece * row_len) {
            let count = rows.len() / row_len;
            self.taken += count;
            let rows = Rows::draw(Shape::new(count, self.width, 3), |values| values.copy_from_slice(rows));
            let drawn = self.network(Band { rows, last: self.taken == self.height })?;
            drawn.append_to(out, 0..self.width * FACTOR);
        }
        Ok(())
    }
}

/// Rows with their context, at twice the size without it.
fn enlarged(x: &Rows) -> Result<Rows> {
    x.read(|x| {
        let Shape { rows, cols, channels } = x.shape();
        let shape = Shape::new((rows - 2 * REACH) * FACTOR, cols * FACTOR, channels);
        Ok(Rows::draw(shape, |out| {
            out.par_chunks_exact_mut(FACTOR * shape.row_len()).enumerate().for_each(|(row, out)| {
                let (first, second) = out.split_at_mut(shape.row_len());
                let around = std::array::from_fn(|tap| x.row(row + tap));
                bicubic::enlarge(around, channels, &TAPS, [first, second]);
            });
        }))
    })
}
