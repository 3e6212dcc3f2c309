//! Gathering a piece of a map, columns beyond its sides repeated, into a small buffer that stays in cache.

use std::ops::Range;

use crate::Shape;
use crate::cpu::Lanes;
use crate::gemm::leaky;
use crate::prepare::Affine;

/// What a convolution reads.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A map.
    Map(&'a [f32], Shape),
    /// A map, pixel-unshuffled by a factor: `rows / f` x `cols / f` x `f * f * channels`.
    Unshuffled(&'a [f32], Shape, usize),
    /// A map, to whose values something is done as they are read.
    Affine(&'a [f32], Shape, &'a Affine),
    /// Two maps of the same rows and columns, one's channels after the other's.
    Joined(&'a [f32], Shape, &'a [f32], Shape),
}

impl<'a> Source<'a> {
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
            Self::Affine(map, shape, Affine { scale, shift, slope }) => {
                assert_eq!(map.len(), shape.len());
                assert_eq!((scale.len(), shift.len()), (shape.channels, shape.channels));
                assert!((0.0..=1.0).contains(slope), "a slope of {slope}");
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

    /// The map that is read pixel by pixel as it lies there, if there is one.
    fn plain(&self) -> Option<(&'a [f32], Shape)> {
        match *self {
            Self::Map(map, shape) | Self::Affine(map, shape, _) => Some((map, shape)),
            Self::Unshuffled(..) | Self::Joined(..) => None,
        }
    }

    /// One pixel's values, in the order that [`Conv`](crate::Conv) lays out its weights for.
    #[inline(always)]
    fn copy_pixel(&self, row: usize, col: usize, out: &mut [f32]) {
        match *self {
            Self::Map(map, shape) | Self::Affine(map, shape, _) => copy_at(map, shape, row, col, out),
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

/// Pixels that a convolution reads.
pub(crate) struct Window {
    /// Rows beyond the map's last repeat it.
    pub(crate) first_row: usize,
    /// Where it starts, if the map had `pad` columns more on its left.
    pub(crate) first_col: usize,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) pad: usize,
    /// Values from one pixel to the next: no fewer than the source has.
    pub(crate) pixel: usize,
}

impl Window {
    /// Copies the pixels to `patch`, row by row. What lies between one pixel's values and the next is left.
    #[inline(always)]
    pub(crate) fn gather<L: Lanes>(&self, lanes: L, source: Source, patch: &mut [f32]) {
        let shape = source.shape();
        let channels = shape.channels;
        assert_eq!(patch.len(), self.rows * self.cols * self.pixel);
        // The columns that lie within the map.
        let from = self.pad.saturating_sub(self.first_col).min(self.cols);
        let to = (shape.cols + self.pad).saturating_sub(self.first_col).clamp(from, self.cols);
        for (y, patch) in patch.chunks_exact_mut(self.cols * self.pixel).enumerate() {
            let row = (self.first_row + y).min(shape.rows - 1);
            let mut copy = |cols: Range<usize>| {
                for x in cols {
                    let col = clamp_col(self.first_col + x, self.pad, shape.cols);
                    source.copy_pixel(row, col, &mut patch[x * self.pixel..][..channels]);
                }
            };
            match source.plain() {
                Some((map, _)) if channels == self.pixel && from < to => {
                    copy(0..from);
                    copy(to..self.cols);
                    let start = (row * shape.cols + self.first_col + from - self.pad) * channels;
                    let run = &map[start..][..(to - from) * channels];
                    patch[from * channels..to * channels].copy_from_slice(run);
                }
                _ => copy(0..self.cols),
            }
            if let Source::Affine(_, _, affine) = source {
                for pixel in patch.chunks_exact_mut(self.pixel) {
                    affine.apply(lanes, &mut pixel[..channels]);
                }
            }
        }
    }
}

impl Affine {
    #[inline(always)]
    fn apply<L: Lanes>(&self, lanes: L, pixel: &mut [f32]) {
        let (scale, shift) = (L::vectors(&self.scale), L::vectors(&self.shift));
        let whole = scale.len() * L::COUNT;
        for ((values, scale), shift) in pixel.chunks_exact_mut(L::COUNT).zip(scale).zip(shift) {
            let value = lanes.mul_add(lanes.load(values), *scale, *shift);
            lanes.store(values, leaky(lanes, value, self.slope));
        }
        let rest = self.scale[whole..].iter().zip(&self.shift[whole..]);
        for (value, (scale, shift)) in pixel[whole..].iter_mut().zip(rest) {
            let moved = *value * scale + shift;
            *value = if moved < 0.0 { moved * self.slope } else { moved };
        }
    }
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
