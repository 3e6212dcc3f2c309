//! What losses and discriminators make of a perceptual network's features: their length at a pixel taken out,
//! their contrast over a map taken out, and how they go together.

use rayon::prelude::*;

use super::window::add;
use super::{Resulting, STRIP_PX, WholeConv, count, pieces};
use crate::cpu::{Cpu, Kernel, Lanes};
use crate::{ConvWeights, Shape};

/// The features of each pixel over their length: x / sqrt(mean(x^2) + 1), the mean over the `channels`. What is
/// far shorter than 1 stays as it is.
///
/// # Panics
/// If `x` isn't some whole pixels.
pub fn pixel_norm(cpu: Cpu, channels: usize, x: &[f32]) -> Vec<f32> {
    count(x, Shape::new(1, 1, channels));
    let mut out = vec![0.0; x.len()];
    let parts = out.par_chunks_mut(STRIP_PX * channels).zip(x.par_chunks(STRIP_PX * channels));
    parts.for_each(|(out, x)| cpu.run(PixelNorm { channels, x, out }));
    out
}

/// The gradient of [`pixel_norm`]: with y the result and r the factor, r (g - y mean(g y)).
///
/// # Panics
/// If the lengths don't fit together.
pub fn pixel_norm_gradient(cpu: Cpu, channels: usize, x: &[f32], gradient: &[f32]) -> Vec<f32> {
    count(x, Shape::new(1, 1, channels));
    assert_eq!(gradient.len(), x.len());
    let mut out = vec![0.0; x.len()];
    let parts = out.par_chunks_mut(STRIP_PX * channels).zip(x.par_chunks(STRIP_PX * channels));
    let parts = parts.zip(gradient.par_chunks(STRIP_PX * channels));
    parts.for_each(|((out, x), gradient)| cpu.run(PixelNormGradient { channels, x, gradient, out }));
    out
}

struct PixelNorm<'a> {
    channels: usize,
    x: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for PixelNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let pixels = self.x.chunks_exact(self.channels).zip(self.out.chunks_exact_mut(self.channels));
        for (x, out) in pixels {
            let factor = lanes.splat(length_factor(lanes, x));
            for (x, out) in x.chunks(L::COUNT).zip(out.chunks_mut(L::COUNT)) {
                lanes.store_first(out, lanes.mul(lanes.load_first(x), factor));
            }
        }
    }
}

struct PixelNormGradient<'a> {
    channels: usize,
    x: &'a [f32],
    gradient: &'a [f32],
    out: &'a mut [f32],
}

impl Kernel for PixelNormGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let channels = self.channels;
        let pixels = self.x.chunks_exact(channels).zip(self.gradient.chunks_exact(channels));
        for ((x, gradient), out) in pixels.zip(self.out.chunks_exact_mut(channels)) {
            let factor = length_factor(lanes, x);
            let slope = -factor.powi(3) * product(lanes, x, gradient) / channels as f32;
            let (factor, slope) = (lanes.splat(factor), lanes.splat(slope));
            let parts = x.chunks(L::COUNT).zip(gradient.chunks(L::COUNT)).zip(out.chunks_mut(L::COUNT));
            for ((x, gradient), out) in parts {
                let straight = lanes.mul(lanes.load_first(gradient), factor);
                lanes.store_first(out, lanes.mul_add(lanes.load_first(x), slope, straight));
            }
        }
    }
}

#[inline(always)]
fn length_factor<L: Lanes>(lanes: L, x: &[f32]) -> f32 {
    1.0 / (product(lanes, x, x) / x.len() as f32 + 1.0).sqrt()
}

#[inline(always)]
fn product<L: Lanes>(lanes: L, a: &[f32], b: &[f32]) -> f32 {
    let mut sum = lanes.splat(0.0);
    for (a, b) in a.chunks(L::COUNT).zip(b.chunks(L::COUNT)) {
        sum = lanes.mul_add(lanes.load_first(a), lanes.load_first(b), sum);
    }
    lanes.sum(sum)
}

/// For each map and channel, the sum of what `of` gives for the pixels: `[maps, channels]`.
fn sum_over_pixels(
    x: &[f32],
    shape: Shape,
    of: impl Fn(&mut [f32], usize, std::ops::Range<usize>) + Send + Sync,
) -> Vec<f32> {
    let maps = count(x, shape);
    let pieces = pieces(maps, shape.rows);
    let sums: Vec<Vec<f32>> = pieces
        .par_iter()
        .map(|piece| {
            let mut sum = vec![0.0; shape.channels];
            let first = piece.map * shape.len();
            let row = shape.row_len();
            of(&mut sum, piece.map, first + piece.rows.start * row..first + piece.rows.end * row);
            sum
        })
        .collect();
    let mut totals = vec![0.0; maps * shape.channels];
    for (piece, sum) in pieces.iter().zip(sums) {
        add(&mut totals[piece.map * shape.channels..][..shape.channels], &sum);
    }
    totals
}

/// Each map's channels' means.
fn means(x: &[f32], shape: Shape) -> Vec<f32> {
    let scale = 1.0 / (shape.rows * shape.cols) as f32;
    let sums = sum_over_pixels(x, shape, |sum, _, values| {
        x[values].chunks_exact(shape.channels).for_each(|pixel| add(sum, pixel));
    });
    sums.into_iter().map(|sum| sum * scale).collect()
}

/// Each map's channels without mean and contrast: (x - mean) / sqrt(variance + floor), over the map's pixels.
///
/// # Panics
/// If `x` isn't some whole maps.
pub fn instance_norm(x: &[f32], shape: Shape, floor: f32) -> Vec<f32> {
    let (means, factors) = spread(x, shape, floor);
    let mut out = vec![0.0; x.len()];
    let rows = out.par_chunks_mut(shape.row_len()).zip(x.par_chunks_exact(shape.row_len())).enumerate();
    rows.for_each(|(row, (out, x))| {
        let map = row / shape.rows * shape.channels;
        let (means, factors) = (&means[map..][..shape.channels], &factors[map..][..shape.channels]);
        for (out, x) in out.chunks_exact_mut(shape.channels).zip(x.chunks_exact(shape.channels)) {
            for (((out, x), mean), factor) in out.iter_mut().zip(x).zip(means).zip(factors) {
                *out = (x - mean) * factor;
            }
        }
    });
    out
}

/// The gradient of [`instance_norm`], from its input, its result and the result's gradient: with r the factor,
/// r (g - mean(g) - y mean(g y)).
///
/// # Panics
/// If the lengths don't fit together.
pub fn instance_norm_gradient(
    x: &[f32],
    shape: Shape,
    floor: f32,
    result: &[f32],
    gradient: &[f32],
) -> Vec<f32> {
    assert!(result.len() == x.len() && gradient.len() == x.len());
    let (_, factors) = spread(x, shape, floor);
    let channels = shape.channels;
    let scale = 1.0 / (shape.rows * shape.cols) as f32;
    let sums = means(gradient, shape);
    let products = sum_over_pixels(x, shape, |sum, _, values| {
        let pixels =
            result[values.clone()].chunks_exact(channels).zip(gradient[values].chunks_exact(channels));
        for (y, g) in pixels {
            sum.iter_mut().zip(y).zip(g).for_each(|((sum, y), g)| *sum += y * g);
        }
    });
    let mut out = vec![0.0; x.len()];
    let rows = result.par_chunks_exact(shape.row_len()).zip(gradient.par_chunks_exact(shape.row_len()));
    out.par_chunks_mut(shape.row_len()).zip(rows).enumerate().for_each(|(row, (out, (y, g)))| {
        let map = row / shape.rows * channels;
        let of_map = |values: &'_ [f32], i: usize| values[map + i];
        let pixels = y.chunks_exact(channels).zip(g.chunks_exact(channels));
        for (out, (y, g)) in out.chunks_exact_mut(channels).zip(pixels) {
            for (i, (out, (y, g))) in out.iter_mut().zip(y.iter().zip(g)).enumerate() {
                let mean = of_map(&sums, i) + y * of_map(&products, i) * scale;
                *out = of_map(&factors, i) * (g - mean);
            }
        }
    });
    out
}

/// Each map's channels' means, and 1 / sqrt(variance + floor).
fn spread(x: &[f32], shape: Shape, floor: f32) -> (Vec<f32>, Vec<f32>) {
    let means = means(x, shape);
    let scale = 1.0 / (shape.rows * shape.cols) as f32;
    let squares = sum_over_pixels(x, shape, |sum, map, values| {
        let means = &means[map * shape.channels..][..shape.channels];
        for pixel in x[values].chunks_exact(shape.channels) {
            let values = sum.iter_mut().zip(pixel).zip(means);
            values.for_each(|((sum, x), mean)| *sum += (x - mean) * (x - mean));
        }
    });
    (means, squares.into_iter().map(|sum| 1.0 / (sum * scale + floor).sqrt()).collect())
}

/// How channels go together: the mean over maps and pixels of (x - mean) (x - mean)^T, the inner mean over the
/// pixels of the map. `[channels, channels]`.
///
/// # Panics
/// If `x` isn't some whole maps.
pub fn gram(cpu: Cpu, x: &[f32], shape: Shape) -> Vec<f32> {
    let (maps, channels) = (count(x, shape), shape.channels);
    // That of a pointwise convolution whose result is its input.
    let result = Resulting { values: &[], gradient: x };
    let (mut sums, _) = WholeConv::same(1).weight_gradients(cpu, x, shape, result, channels);
    let scale = 1.0 / (maps * shape.rows * shape.cols) as f32;
    let means = means(x, shape);
    for (i, row) in sums.chunks_exact_mut(channels).enumerate() {
        for (j, sum) in row.iter_mut().enumerate() {
            let of_means: f32 = means.chunks_exact(channels).map(|means| means[i] * means[j]).sum();
            *sum = *sum * scale - of_means / maps as f32;
        }
    }
    sums
}

/// The gradient of [`gram`]: with G the result's, (G + G^T) (x - mean) over the number of pixels.
///
/// # Panics
/// If the lengths don't fit together.
pub fn gram_gradient(cpu: Cpu, x: &[f32], shape: Shape, gradient: &[f32]) -> Vec<f32> {
    let (maps, channels) = (count(x, shape), shape.channels);
    assert_eq!(gradient.len(), channels * channels);
    let scale = 1.0 / (maps * shape.rows * shape.cols) as f32;
    let both: Vec<f32> = (0..channels * channels)
        .map(|at| scale * (gradient[at] + gradient[at % channels * channels + at / channels]))
        .collect();
    let means = means(x, shape);
    let mut out = Vec::with_capacity(x.len());
    for (x, means) in x.chunks_exact(shape.len()).zip(means.chunks_exact(channels)) {
        let shift = |row: &[f32]| -row.iter().zip(means).map(|(a, b)| a * b).sum::<f32>();
        let bias: Vec<f32> = both.chunks_exact(channels).map(shift).collect();
        let weights = ConvWeights { weight: &both, bias: &bias };
        out.extend(WholeConv::same(1).forward(cpu.single(), weights, x, shape));
    }
    out
}
