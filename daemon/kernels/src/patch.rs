//! Gathering a piece of a map, columns beyond its sides repeated, into a small buffer that stays in cache.

use crate::cpu::Lanes;
use crate::gemm::leaky;
use crate::prepare::Affine;
use crate::{Map, Shape};

/// What a convolution reads.
#[derive(Debug, Clone, Copy)]
pub enum Source<'a> {
    /// A map.
    Map(Map<'a>),
    /// A map, pixel-unshuffled by a factor: `rows / f` x `cols / f` x `f * f * channels`.
    Unshuffled(Map<'a>, usize),
    /// A map, to whose values something is done as they are read.
    Affine(Map<'a>, &'a Affine),
}

impl Source<'_> {
    /// The shape that the convolution sees.
    ///
    /// # Panics
    /// If sides don't divide by the factor, joined sides differ, or what is done does not fit the map.
    pub fn shape(&self) -> Shape {
        match self {
            Self::Map(map) => map.shape(),
            Self::Affine(map, Affine { scale, shift, slope }) => {
                assert_eq!((scale.len(), shift.len()), (map.channels(), map.channels()));
                assert!((0.0..=1.0).contains(slope), "a slope of {slope}");
                map.shape()
            }
            Self::Unshuffled(map, f) => {
                let shape = map.shape();
                assert!(shape.rows.is_multiple_of(*f) && shape.cols.is_multiple_of(*f), "{shape:?} by {f}");
                Shape::new(shape.rows / f, shape.cols / f, shape.channels * f * f)
            }
        }
    }
}

/// Pixels that a convolution reads.
pub(crate) struct Window {
    /// Rows beyond the map's last repeat it.
    pub(crate) first_row: usize,
    /// Where it starts, if the map had `pad` columns more on its left.
    pub(crate) first_col: usize,
    pub(crate) cols: usize,
    pub(crate) pad: usize,
    /// Values from one pixel to the next: no fewer than the source has.
    pub(crate) pixel: usize,
}

impl Window {
    /// Copies the pixels to `patch`, row by row, in the order that [`Conv`](crate::Conv) lays out its weights for.
    /// What lies between one pixel's values and the next is left, but for what a last word needs.
    #[inline(always)]
    pub(crate) fn gather<L: Lanes>(&self, lanes: L, source: Source, patch: &mut [f32]) {
        let shape = source.shape();
        for (y, patch) in patch.chunks_exact_mut(self.cols * self.pixel).enumerate() {
            self.copy_row(lanes, source, (self.first_row + y).min(shape.rows - 1), shape.cols, patch);
            if !shape.channels.is_multiple_of(L::INPUTS) {
                patch.chunks_exact_mut(self.pixel).for_each(|pixel| pixel[shape.channels] = 0.0);
            }
            if let Source::Affine(_, affine) = source {
                for pixel in patch.chunks_exact_mut(self.pixel) {
                    affine.apply(lanes, &mut pixel[..shape.channels]);
                }
            }
        }
    }

    #[inline(always)]
    fn copy_row<L: Lanes>(&self, lanes: L, source: Source, row: usize, cols: usize, out: &mut [f32]) {
        let Self { first_col: first, pad, pixel, .. } = *self;
        match source {
            Source::Map(map) | Source::Affine(map, _) => {
                let (from, len) = (map.row(row), map.channels());
                if pixel == len {
                    return copy_neighbours(from, len, first, pad, out);
                }
                for (i, out) in out.chunks_exact_mut(pixel).enumerate() {
                    copy(lanes, &from[clamp_col(first + i, pad, cols) * len..][..len], out);
                }
            }
            // Pixels of a picture, unshuffled by 2 and by 4.
            Source::Unshuffled(map, f) => match f * map.channels() {
                6 => self.unshuffle_row::<6>(map, f, row, cols, out),
                12 => self.unshuffle_row::<12>(map, f, row, cols, out),
                run => {
                    for (i, out) in out.chunks_exact_mut(pixel).enumerate() {
                        let col = clamp_col(first + i, pad, cols);
                        for dy in 0..f {
                            copy(lanes, &map.row(row * f + dy)[col * run..][..run], &mut out[dy * run..]);
                        }
                    }
                }
            },
        }
    }

    /// As [`copy_row`](Self::copy_row) of a map that is unshuffled by `f`, whose pixels have `RUN` values in a row.
    #[inline(always)]
    fn unshuffle_row<const RUN: usize>(&self, map: Map, f: usize, row: usize, cols: usize, out: &mut [f32]) {
        for dy in 0..f {
            let from = map.row(row * f + dy).as_chunks::<RUN>().0;
            for (i, out) in out.chunks_exact_mut(self.pixel).enumerate() {
                // Not `copy_from_slice`, which may remain a call.
                out.as_chunks_mut().0[dy] = from[clamp_col(self.first_col + i, self.pad, cols)];
            }
        }
    }
}

/// Copies pixels that are neighbours in `out` as they are in the map.
#[inline(always)]
fn copy_neighbours(from: &[f32], len: usize, first: usize, pad: usize, out: &mut [f32]) {
    let (count, cols) = (out.len() / len, from.len() / len);
    let left = pad.saturating_sub(first).min(count);
    let start = (first + left - pad).min(cols);
    let inside = (count - left).min(cols - start);
    out[left * len..][..inside * len].copy_from_slice(&from[start * len..][..inside * len]);
    for i in (0..left).chain(left + inside..count) {
        let col = clamp_col(first + i, pad, cols);
        out[i * len..][..len].copy_from_slice(&from[col * len..][..len]);
    }
}

/// As `copy_from_slice` to the first values of `to`, but that is a call, and these are few.
#[inline(always)]
fn copy<L: Lanes>(lanes: L, from: &[f32], to: &mut [f32]) {
    for (from, to) in from.chunks(L::COUNT).zip(to.chunks_mut(L::COUNT)) {
        if from.len() == L::COUNT {
            lanes.store(to, lanes.load(from));
        } else {
            lanes.store_first(&mut to[..from.len()], lanes.load_first(from));
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
#[inline(always)]
pub(crate) fn clamp_col(col: usize, pad: usize, cols: usize) -> usize {
    col.saturating_sub(pad).min(cols - 1)
}

/// Normalises `channels` values over themselves: (x - mean) / sqrt(variance + 1e-5). `pixel` is padded to
/// whole vectors with zeros, and remains so. Gives the factor 1 / sqrt(variance + 1e-5).
#[inline(always)]
pub(crate) fn normalise<L: Lanes>(lanes: L, pixel: &mut [f32], channels: usize) -> f32 {
    // Ones for the channels that fill no vector, and zeros.
    const ONES: [f32; 32] = {
        let mut ones = [0.0; 32];
        ones.split_at_mut(16).0.copy_from_slice(&[1.0; 16]);
        ones
    };
    let (whole, rest) = pixel.split_at(channels / L::COUNT * L::COUNT);
    let last = if rest.is_empty() { lanes.splat(0.0) } else { lanes.load(rest) };
    let counts = lanes.load(&ONES[16 - (channels - whole.len())..]);
    let scale = 1.0 / channels as f32;
    let mut sum = lanes.splat(0.0);
    for &v in L::vectors(whole) {
        sum = lanes.add(sum, v);
    }
    let mean = lanes.splat(lanes.sum(lanes.add(sum, last)) * scale);
    let mut squares = lanes.splat(0.0);
    for &v in L::vectors(whole) {
        let centred = lanes.sub(v, mean);
        squares = lanes.mul_add(centred, centred, squares);
    }
    let last = lanes.mul(lanes.sub(last, mean), counts);
    squares = lanes.mul_add(last, last, squares);
    let factor = 1.0 / (lanes.sum(squares) * scale + 1e-5).sqrt();
    let factors = lanes.splat(factor);
    let (whole, rest) = pixel.split_at_mut(channels / L::COUNT * L::COUNT);
    for vector in whole.chunks_exact_mut(L::COUNT) {
        let centred = lanes.sub(lanes.load(vector), mean);
        lanes.store(vector, lanes.mul(centred, factors));
    }
    if !rest.is_empty() {
        lanes.store(rest, lanes.mul(last, factors));
    }
    factor
}
