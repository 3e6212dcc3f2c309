//! Gathering a piece of a map, columns beyond its sides repeated, into a small buffer that stays in cache.

use crate::Shape;
use crate::cpu::Lanes;

/// What a convolution reads.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A map.
    Map(&'a [f32], Shape),
    /// A map, pixel-unshuffled by a factor: `rows / f` x `cols / f` x `f * f * channels`.
    Unshuffled(&'a [f32], Shape, usize),
    /// Two maps of the same rows and columns, one's channels after the other's.
    Joined(&'a [f32], Shape, &'a [f32], Shape),
}

impl Source<'_> {
    /// The shape that the convolution sees.
    ///
    /// # Panics
    /// If a map's length is not its shape's, sides don't divide by the factor, or joined sides differ.
    pub fn shape(&self) -> Shape {
        match *self {
            Self::Map(map, shape) => {
                assert_eq!(map.len(), shape.len());
                shape
            }
            Self::Unshuffled(map, shape, f) => {
                assert_eq!(map.len(), shape.len());
                assert!(shape.rows.is_multiple_of(f) && shape.cols.is_multiple_of(f), "{shape:?} by {f}");
                Shape::new(shape.rows / f, shape.cols / f, shape.channels * f * f)
            }
            Self::Joined(a, a_shape, b, b_shape) => {
                assert_eq!((a.len(), b.len()), (a_shape.len(), b_shape.len()));
                assert_eq!((a_shape.rows, a_shape.cols), (b_shape.rows, b_shape.cols));
                Shape::new(a_shape.rows, a_shape.cols, a_shape.channels + b_shape.channels)
            }
        }
    }

    /// One pixel's values, in the order that [`Conv`](crate::Conv) lays out its weights for.
    #[inline(always)]
    pub(crate) fn copy_pixel(&self, row: usize, col: usize, out: &mut [f32]) {
        match *self {
            Self::Map(map, shape) => copy_at(map, shape, row, col, out),
            Self::Unshuffled(map, shape, f) => {
                let run = f * shape.channels;
                for (dy, out) in out.chunks_exact_mut(run).enumerate() {
                    let from = ((row * f + dy) * shape.cols + col * f) * shape.channels;
                    out.copy_from_slice(&map[from..from + run]);
                }
            }
            Self::Joined(a, a_shape, b, b_shape) => {
                let (out_a, out_b) = out.split_at_mut(a_shape.channels);
                copy_at(a, a_shape, row, col, out_a);
                copy_at(b, b_shape, row, col, out_b);
            }
        }
    }
}

#[inline(always)]
fn copy_at(map: &[f32], shape: Shape, row: usize, col: usize, out: &mut [f32]) {
    let from = (row * shape.cols + col) * shape.channels;
    out.copy_from_slice(&map[from..from + shape.channels]);
}

/// The map column that column `col - pad` of a padded map repeats.
pub(crate) fn clamp_col(col: usize, pad: usize, cols: usize) -> usize {
    col.saturating_sub(pad).min(cols - 1)
}

/// Normalises `channels` values over themselves: (x - mean) / sqrt(variance + 1e-5). `pixel` is padded to
/// whole vectors, and what is beyond `channels` becomes 0.
#[inline(always)]
pub(crate) fn normalise<L: Lanes>(lanes: L, pixel: &mut [f32], channels: usize) {
    pixel[channels..].fill(0.0);
    let scale = 1.0 / channels as f32;
    let mut sum = lanes.splat(0.0);
    for &v in L::vectors(pixel) {
        sum = lanes.add(sum, v);
    }
    let mean = lanes.splat(lanes.sum(sum) * scale);
    let mut squares = lanes.splat(0.0);
    for vector in pixel.chunks_exact_mut(L::COUNT) {
        let centred = lanes.sub(lanes.load(vector), mean);
        lanes.store(vector, centred);
    }
    pixel[channels..].fill(0.0);
    for &v in L::vectors(pixel) {
        squares = lanes.mul_add(v, v, squares);
    }
    let factor = lanes.splat(1.0 / (lanes.sum(squares) * scale + 1e-5).sqrt());
    for vector in pixel.chunks_exact_mut(L::COUNT) {
        let centred = lanes.load(vector);
        lanes.store(vector, lanes.mul(centred, factor));
    }
}
