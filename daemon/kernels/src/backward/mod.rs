//! Gradients: what training needs beside [`Conv`](crate::Conv) and [`Block`](crate::Block).
//!
//! In training a picture is never cut into bands. Here maps are whole, several of a [`Shape`] one after the
//! other, and operations pad rows as they pad columns. Weights that are trained change at every step, so that they are
//! taken as PyTorch keeps them and laid out anew each time; those that stay are laid out once ([`ForwardConv`],
//! [`BackwardConv`]).
//!
//! - [`WholeConv`]: a k x k convolution with any stride and padding, and an activation;
//! - [`block_forward`] and [`block_gradients`]: the residual block, of which nothing is kept but its input;
//! - [`norm_forward`] and [`norm_gradients`]: the norm over the channels at a pixel, with scale and shift;
//! - [`blur()`] and [`blur_gradient`]: the binomial filter behind a pixel-shuffle;
//! - [`upsample2_add_whole`] and [`upsample2_gradient`], [`max_pool2`] and [`max_pool2_gradient`];
//! - [`pixel_norm`], [`instance_norm`] and [`gram`], and their gradients: what losses make of features;
//! - [`change`](change()) and its gradient: what discriminators see instead of pictures;
//! - [`pixel_shuffle`] and [`pixel_unshuffle`], [`join`] and [`part`], each the other's gradient.
//!
//! A gradient of weights is a sum over all pixels. They are cut into pieces by the maps' sizes alone, each
//! piece is summed by one thread, and the pieces are added in order: the result doesn't depend on the number of
//! threads, not in its last bit.
//!
//! All of it is `f32`, on a CPU of bf16 too ([`Cpu::single`](crate::Cpu::single)), but for a [`WholeConv`]'s way
//! forward and back to its input: there the products of maps and weights are as the CPU that is given says.

mod block;
mod blur;
mod change;
mod conv;
mod features;
mod norm;
mod product;
mod rearrange;
mod upsample;
mod window;
mod winograd;

pub use block::{block_forward, block_gradients};
pub use blur::{blur, blur_gradient};
pub use change::{Change, change, change_gradient};
pub use conv::{BackwardConv, ForwardConv, WholeConv};
pub use features::{
    gram, gram_gradient, instance_norm, instance_norm_gradient, pixel_norm, pixel_norm_gradient,
};
pub use norm::{NormGradients, norm_forward, norm_gradients};
pub use rearrange::{join, max_pool2, max_pool2_gradient, part, pixel_shuffle, pixel_unshuffle};
pub use upsample::{upsample2_add_whole, upsample2_gradient};
pub use window::{Border, Resulting};

use std::ops::Range;

use rayon::prelude::*;

use crate::Shape;

/// About how many pieces a batch is cut into.
const PIECES: usize = 16;

/// About how many pixels a thread works on at a time, so that what it needs for them stays in cache.
const STRIP_PX: usize = 128;

/// Some rows of one of the maps.
#[derive(Clone)]
struct Piece {
    map: usize,
    rows: Range<usize>,
}

impl Piece {
    /// The piece in strips of about [`STRIP_PX`] pixels: their rows.
    fn strips(&self, cols: usize) -> impl Iterator<Item = Range<usize>> {
        let (rows, most) = (self.rows.clone(), strip_rows(cols));
        rows.clone().step_by(most).map(move |first| first..(first + most).min(rows.end))
    }
}

/// Rows in a strip of about [`STRIP_PX`] pixels.
fn strip_rows(cols: usize) -> usize {
    (STRIP_PX / cols).max(1)
}

/// The rows of `maps` maps in about [`PIECES`] pieces, none of which is of two maps.
fn pieces(maps: usize, rows: usize) -> Vec<Piece> {
    let count = PIECES.div_ceil(maps).min(rows);
    let piece = |map, i| Piece { map, rows: i * rows / count..(i + 1) * rows / count };
    (0..maps).flat_map(|map| (0..count).map(move |i| piece(map, i))).collect()
}

/// The sum of what all pieces give, added in order.
fn sum_in_order<T: Send, S>(
    pieces: Vec<T>,
    scratch: impl Fn() -> S + Send + Sync,
    sum: impl Fn(&mut S, T) -> Vec<f32> + Send + Sync,
) -> Vec<f32> {
    let sums: Vec<Vec<f32>> = pieces.into_par_iter().map_init(scratch, sum).collect();
    let mut sums = sums.into_iter();
    let mut total = sums.next().expect("a batch has a piece");
    for piece in sums {
        total.iter_mut().zip(piece).for_each(|(total, value)| *total += value);
    }
    total
}

/// How many maps there are.
///
/// # Panics
/// If `values` are not some whole maps.
fn count(values: &[f32], shape: Shape) -> usize {
    assert!(!values.is_empty() && values.len().is_multiple_of(shape.len()), "{} of {shape:?}", values.len());
    values.len() / shape.len()
}
