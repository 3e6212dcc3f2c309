//! The residual block's gradients.
//!
//! Of a block, x + p2(ReLU(p1(norm(depthwise(x) + z noise)))), training keeps x alone: what is inside is computed again,
//! a strip of rows at a time, and used while it is in cache. From a strip come the gradient of what the
//! depthwise convolution gave, and what the strip adds to the gradients of all weights. A second pass takes the
//! former through the depthwise convolution, turned round, to x.

use std::ops::Range;

use rayon::prelude::*;

use super::norm::through_norm;
use super::product::{Pixels, SLACK, add_products, padded_inputs};
use super::window::{Border, add, fold_row, rows_made_from, rows_with_context};
use super::{Piece, count, pieces, strip_rows, sum_in_order};
use crate::block::{Depthwise5, KERNEL, REACH, RUN};
use crate::cpu::{Cpu, Kernel, Lanes};
use crate::gemm::{Panels, Taps, Target, Write, multiply};
use crate::patch::normalise;
use crate::{Block, BlockWeights, Map, Shape};

impl<'a> BlockWeights<'a> {
    /// Values in all of them, but those for noise.
    pub const fn flat_len(channels: usize, inside: usize) -> usize {
        channels * (KERNEL * KERNEL + 2) + inside * (2 * channels + 1)
    }

    /// Of a block of so many channels, and channels inside, that follow each other in the order of the fields.
    ///
    /// # Panics
    /// If there are not [`BlockWeights::flat_len`], or a value a channel more, those for noise.
    pub fn from_flat(flat: &'a [f32], channels: usize, inside: usize) -> Self {
        let noise = flat.len() - Self::flat_len(channels, inside);
        assert!(noise == 0 || noise == channels, "{noise} weights for noise");
        let (depthwise, flat) = flat.split_at(channels * KERNEL * KERNEL);
        let (depthwise_bias, flat) = flat.split_at(channels);
        let (noise, flat) = flat.split_at(noise);
        let (expand, flat) = flat.split_at(inside * channels);
        let (expand_bias, flat) = flat.split_at(inside);
        let (project, project_bias) = flat.split_at(channels * inside);
        Self { depthwise, depthwise_bias, noise, expand, expand_bias, project, project_bias }
    }
}

/// Runs a block over whole maps. `noise` has a value for each pixel, where the block has weights for it.
///
/// # Panics
/// If the lengths don't fit together.
pub fn block_forward(cpu: Cpu, weights: BlockWeights, x: &[f32], shape: Shape, noise: &[f32]) -> Vec<f32> {
    let block = Block::new(cpu.single(), weights);
    assert!(count(x, shape) > 0);
    let mut out = vec![0.0; x.len()];
    let maps = out.par_chunks_mut(shape.len()).zip(x.par_chunks_exact(shape.len())).enumerate();
    maps.for_each(|(map, (out, x))| {
        let rows = rows_with_context(x, shape, REACH);
        block.run(Map::new(&rows, shape.cols, shape.channels), noise_of(noise, map, shape), out);
    });
    out
}

/// The gradients of whole maps that a block ran over, and of its weights, one after the other in the order of
/// [`BlockWeights`]'s fields, from the result's.
///
/// # Panics
/// If the lengths don't fit together.
pub fn block_gradients(
    cpu: Cpu,
    weights: BlockWeights,
    x: &[f32],
    shape: Shape,
    noise: &[f32],
    gradient: &[f32],
) -> (Vec<f32>, Vec<f32>) {
    let cpu = cpu.single();
    let (channels, inside) = (weights.depthwise_bias.len(), weights.expand_bias.len());
    let maps = count(x, shape);
    assert_eq!((shape.channels, gradient.len()), (channels, x.len()));
    assert!(weights.noise.is_empty() || noise.len() == maps * shape.rows * shape.cols);
    assert_eq!(weights.expand.len(), inside * channels);
    assert_eq!(weights.project.len(), inside * channels);
    let kernels = Kernels {
        depthwise: Depthwise5::new(weights.depthwise, weights.depthwise_bias, weights.noise),
        expand: Panels::new(cpu, channels, weights.expand_bias.to_vec(), |i, o| {
            weights.expand[o * channels + i]
        }),
        expand_back: Panels::new(cpu, inside, vec![0.0; channels], |i, o| weights.expand[i * channels + o]),
        project_back: Panels::new(cpu, channels, vec![0.0; inside], |i, o| weights.project[i * inside + o]),
    };

    // The gradient of what the depthwise convolution gave.
    let mut inner = vec![0.0; x.len()];
    let mut rest = &mut inner[..];
    let mut strips = Vec::new();
    for piece in pieces(maps, shape.rows) {
        let (out, others) = rest.split_at_mut(piece.rows.len() * shape.row_len());
        strips.push((piece, out));
        rest = others;
    }
    let sums = sum_in_order(strips, Scratch::default, |scratch, (piece, out)| {
        let map = piece.map * shape.len()..(piece.map + 1) * shape.len();
        let (x, gradient) = (&x[map.clone()], &gradient[map]);
        let noise = noise_of(noise, piece.map, shape);
        cpu.run(Inside { kernels: &kernels, x, noise, gradient, shape, piece, scratch, out })
    });

    let turned: Vec<f32> =
        weights.depthwise.chunks_exact(KERNEL * KERNEL).flat_map(|taps| taps.iter().rev().copied()).collect();
    let turned = Depthwise5::new(&turned, &vec![0.0; channels], &[]);
    let mut x_gradient = gradient.to_vec();
    let maps = x_gradient.par_chunks_mut(shape.len()).zip(inner.par_chunks_exact(shape.len()));
    maps.for_each(|(out, inner)| {
        let rows = strip_rows(shape.cols);
        let strips = out.par_chunks_mut(rows * shape.row_len()).enumerate();
        strips.for_each_init(Scratch::default, |scratch, (i, out)| {
            cpu.run(Outside { turned: &turned, inner, shape, first: i * rows, scratch, out });
        });
    });
    let noise = weights.noise.len();
    (x_gradient, cpu.run(Unpack { channels, inside, noise, sums }))
}

/// That of one of the maps, if there is any.
fn noise_of(noise: &[f32], map: usize, shape: Shape) -> &[f32] {
    let pixels = shape.rows * shape.cols;
    noise.get(map * pixels..(map + 1) * pixels).unwrap_or_default()
}

/// The weights, laid out.
struct Kernels {
    depthwise: Depthwise5,
    expand: Panels,
    /// From what a 1x1 convolution gave to what it was given.
    expand_back: Panels,
    project_back: Panels,
}

/// A thread's buffers; pixel after pixel but for the patch.
#[derive(Default)]
struct Scratch {
    /// Channel vector by channel vector, the rows and columns that the depthwise convolution reads.
    patch: Vec<f32>,
    /// A value a pixel.
    noise: Vec<f32>,
    normed: Vec<f32>,
    /// What each pixel's norm multiplied it with.
    factors: Vec<f32>,
    expanded: Vec<f32>,
    /// The gradient of the block's result, of `expanded`, and of `normed`.
    gradient: Vec<f32>,
    d_expanded: Vec<f32>,
    d_normed: Vec<f32>,
}

/// Values that a block's weights have in sums over pixels, in the order of [`BlockWeights`]'s fields: pixels'
/// channels are padded to whole vectors, and the inputs of a 1x1 convolution to whole register tiles. They are
/// inputs by outputs in `expand`, outputs by inputs in `project`.
fn sums_lens<L: Lanes>(channels: usize, inside: usize) -> [usize; 7] {
    let (padded, width) = (channels.next_multiple_of(L::COUNT), inside.next_multiple_of(L::COUNT));
    let matrix = padded_inputs::<L>(channels) * width;
    [KERNEL * KERNEL * padded, padded, padded, matrix, width, matrix, padded]
}

/// What a piece of the maps adds to the gradients of the weights; writes the gradient of what the depthwise
/// convolution gave.
struct Inside<'a> {
    kernels: &'a Kernels,
    x: &'a [f32],
    noise: &'a [f32],
    gradient: &'a [f32],
    shape: Shape,
    piece: Piece,
    scratch: &'a mut Scratch,
    out: &'a mut [f32],
}

impl Kernel for Inside<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Vec<f32> {
        let Kernels { depthwise, expand, expand_back, project_back } = self.kernels;
        let Scratch { patch, noise, normed, factors, expanded, gradient, d_expanded, d_normed } =
            self.scratch;
        let Shape { cols, channels, .. } = self.shape;
        let inside = expand.outputs();
        let (padded, width) = (channels.next_multiple_of(L::COUNT), inside.next_multiple_of(L::COUNT));
        let mut sums: [Vec<f32>; 7] = sums_lens::<L>(channels, inside).map(|len| vec![0.0; len]);
        let [d_depthwise, d_depthwise_bias, d_noise, d_expand, d_expand_bias, d_project, d_project_bias] =
            &mut sums;
        let whole = cols.next_multiple_of(RUN);
        for rows in self.piece.strips(cols) {
            let pixels = rows.len() * cols;
            // The depthwise convolution sums whole runs.
            let most = pixels + whole - cols;
            normed.resize(most * padded + SLACK, 0.0);
            gradient.resize(most * padded + SLACK, 0.0);
            d_normed.resize(most * padded, 0.0);
            expanded.resize(most * width, 0.0);
            d_expanded.resize(most * width, 0.0);
            factors.resize(pixels, 0.0);
            // Without noise, no row of it.
            let noise_cols = if depthwise.has_noise() { whole } else { 0 };
            noise.resize(rows.len() * noise_cols, 0.0);
            let taps =
                |data, len, pixel_stride| Taps { data, start: 0, rows: 1, row_stride: 0, len, pixel_stride };

            let reach = REACH as isize;
            let patch_rows = rows.start as isize - reach..rows.end as isize + reach;
            let window = Planes { rows: patch_rows, cols: -reach..whole as isize + reach };
            window.copy(lanes, self.x, self.shape, Border::Replicate, patch);
            for row in 0..rows.len() {
                // Beyond its end a row is written over by the next.
                let normed = &mut normed[row * cols * padded..];
                let noise = &mut noise[row * noise_cols..][..noise_cols];
                if noise_cols > 0 {
                    noise[..cols].copy_from_slice(&self.noise[(rows.start + row) * cols..][..cols]);
                }
                window.convolve(lanes, depthwise, (patch, row), noise, whole, normed, padded);
            }
            for (pixel, factor) in normed.chunks_exact_mut(padded).zip(factors.iter_mut()) {
                *factor = normalise(lanes, pixel, channels);
            }
            let mut target = Target { data: expanded, stride: width, outputs: 0..inside, write: Write::Relu };
            multiply(lanes, &taps(normed, channels, padded), expand, pixels, &mut target);

            let at = rows.start * self.shape.row_len();
            let given = self.gradient[at..at + pixels * channels].chunks_exact(channels);
            for (given, to) in given.zip(gradient.chunks_exact_mut(padded)) {
                to[..channels].copy_from_slice(given);
                add(d_project_bias, given);
            }
            let taps_back = taps(gradient, channels, padded);
            let mut target =
                Target { data: d_expanded, stride: width, outputs: 0..inside, write: Write::Store };
            multiply(lanes, &taps_back, project_back, pixels, &mut target);
            let pairs = d_expanded.chunks_exact_mut(width).zip(expanded.chunks_exact(width));
            for (d_expanded, expanded) in pairs.take(pixels) {
                for ((d, value), sum) in d_expanded.iter_mut().zip(expanded).zip(d_expand_bias.iter_mut()) {
                    *d = if *value > 0.0 { *d } else { 0.0 };
                    *sum += *d;
                }
            }
            let left = |data, pixel_stride| (Pixels { data, row_stride: 0, pixel_stride }, channels);
            let right = |data| (Pixels { data, row_stride: 0, pixel_stride: width }, width);
            add_products(lanes, (1, pixels), left(normed, padded), right(d_expanded), d_expand);
            add_products(lanes, (1, pixels), left(gradient, padded), right(expanded), d_project);

            let taps_back = taps(d_expanded, inside, width);
            let mut target =
                Target { data: d_normed, stride: padded, outputs: 0..channels, write: Write::Store };
            multiply(lanes, &taps_back, expand_back, pixels, &mut target);
            let at = (rows.start - self.piece.rows.start) * self.shape.row_len();
            let out = self.out[at..at + pixels * channels].chunks_exact_mut(channels);
            let inner = normed.chunks_exact(padded).zip(d_normed.chunks_exact_mut(padded));
            for (((n, d), factor), out) in inner.zip(factors.iter()).zip(out) {
                d[channels..].fill(0.0);
                through_norm(lanes, n, *factor, channels, d);
                add(d_depthwise_bias, d);
                out.copy_from_slice(&d[..channels]);
            }
            if noise_cols > 0 {
                let noise = noise.chunks_exact(whole).flat_map(|row| &row[..cols]);
                for (noise, d) in noise.zip(d_normed.chunks_exact(padded)) {
                    d_noise.iter_mut().zip(d).for_each(|(sum, d)| *sum += noise * d);
                }
            }
            window.products(lanes, patch, (rows.len(), cols), d_normed, padded, d_depthwise);
        }
        sums.concat()
    }
}

/// A window of a map, channel vector by channel vector.
struct Planes {
    rows: Range<isize>,
    cols: Range<isize>,
}

impl Planes {
    #[inline(always)]
    fn copy<L: Lanes>(&self, lanes: L, map: &[f32], shape: Shape, border: Border, out: &mut Vec<f32>) {
        let channels = shape.channels;
        let plane = self.rows.len() * self.cols.len();
        out.resize(plane * channels.next_multiple_of(L::COUNT), 0.0);
        let mut at = 0;
        for y in self.rows.clone() {
            let inner_y = y.clamp(0, shape.rows as isize - 1);
            for x in self.cols.clone() {
                let inner_x = x.clamp(0, shape.cols as isize - 1);
                let outside = border == Border::Zero && (y, x) != (inner_y, inner_x);
                let from = (inner_y as usize * shape.cols + inner_x as usize) * channels;
                for (v, values) in map[from..from + channels].chunks(L::COUNT).enumerate() {
                    let to = &mut out[(v * plane + at) * L::COUNT..];
                    if outside {
                        lanes.store(to, lanes.splat(0.0));
                    } else if values.len() == L::COUNT {
                        lanes.store(to, lanes.load(values));
                    } else {
                        lanes.store(to, lanes.load_first(values));
                    }
                }
                at += 1;
            }
        }
    }

    /// Convolves `count` pixels of the row whose first context row is the window's row `row`.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "as the loop that it hands them to")]
    fn convolve<L: Lanes>(
        &self,
        lanes: L,
        depthwise: &Depthwise5,
        (patch, row): (&[f32], usize),
        noise: &[f32],
        count: usize,
        out: &mut [f32],
        out_stride: usize,
    ) {
        let cols = self.cols.len();
        for v in 0..out_stride / L::COUNT {
            let patch = &L::vectors(patch)[v * self.rows.len() * cols + row * cols..];
            depthwise.row(lanes, v, (patch, cols), noise, count, out, out_stride);
        }
    }

    /// Adds to a depthwise convolution's weights what `rows` x `cols` pixels' gradients give.
    #[inline(always)]
    fn products<L: Lanes>(
        &self,
        lanes: L,
        patch: &[f32],
        (rows, cols): (usize, usize),
        gradient: &[f32],
        stride: usize,
        sums: &mut [f32],
    ) {
        let (patch, gradient) = (L::vectors(patch), L::vectors(gradient));
        let (plane, vectors) = (self.rows.len() * self.cols.len(), stride / L::COUNT);
        for v in 0..vectors {
            for ky in 0..KERNEL {
                let mut taps = [lanes.splat(0.0); KERNEL];
                for row in 0..rows {
                    let patch = &patch[v * plane + (row + ky) * self.cols.len()..];
                    let gradient = &gradient[row * cols * vectors + v..];
                    let mut first = 0;
                    while first + RUN <= cols {
                        let window = patch[first..].first_chunk::<{ RUN + 2 * REACH }>();
                        let window = window.expect("the patch is REACH columns wider on either side");
                        for x in 0..RUN {
                            let gradient = gradient[(first + x) * vectors];
                            for (kx, tap) in taps.iter_mut().enumerate() {
                                *tap = lanes.mul_add(window[x + kx], gradient, *tap);
                            }
                        }
                        first += RUN;
                    }
                    for x in first..cols {
                        let gradient = gradient[x * vectors];
                        for (kx, tap) in taps.iter_mut().enumerate() {
                            *tap = lanes.mul_add(patch[x + kx], gradient, *tap);
                        }
                    }
                }
                for (kx, tap) in taps.into_iter().enumerate() {
                    let sum = &mut sums[(ky * KERNEL + kx) * stride + v * L::COUNT..];
                    let total = lanes.add(lanes.load(sum), tap);
                    lanes.store(sum, total);
                }
            }
        }
    }
}

/// Adds to some rows of x's gradient what comes through the depthwise convolution.
struct Outside<'a> {
    turned: &'a Depthwise5,
    inner: &'a [f32],
    shape: Shape,
    first: usize,
    scratch: &'a mut Scratch,
    out: &'a mut [f32],
}

impl Kernel for Outside<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Scratch { patch, d_normed: wide, .. } = self.scratch;
        let Shape { rows, cols, channels } = self.shape;
        let padded = channels.next_multiple_of(L::COUNT);
        let made = |row| rows_made_from(row, rows, REACH, Border::Replicate);
        let last = self.first + self.out.len() / self.shape.row_len() - 1;
        let wide_cols = cols + 2 * REACH;
        let whole = wide_cols.next_multiple_of(RUN);
        // Row r of the padded x gave to the rows r - 2 REACH to r.
        let (first, end) = (made(self.first).start, made(last).end);
        let reach = 2 * REACH as isize;
        let window = Planes { rows: first as isize - reach..end as isize, cols: -reach..whole as isize };
        window.copy(lanes, self.inner, self.shape, Border::Zero, patch);
        wide.resize(whole * padded, 0.0);
        for (i, out) in self.out.chunks_exact_mut(self.shape.row_len()).enumerate() {
            for row in made(self.first + i) {
                window.convolve(lanes, self.turned, (patch, row - first), &[], whole, wide, padded);
                if padded > channels {
                    for pixel in 0..wide_cols {
                        wide.copy_within(pixel * padded..pixel * padded + channels, pixel * channels);
                    }
                }
                fold_row(&wide[..wide_cols * channels], channels, REACH, Border::Replicate, out);
            }
        }
    }
}

/// The gradients of all weights, from the sum of what [`Inside`] gave.
struct Unpack {
    channels: usize,
    inside: usize,
    /// Weights for it: as many as channels, or none.
    noise: usize,
    sums: Vec<f32>,
}

impl Kernel for Unpack {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) -> Vec<f32> {
        let Self { channels, inside, noise, sums } = self;
        let (padded, width) = (channels.next_multiple_of(L::COUNT), inside.next_multiple_of(L::COUNT));
        let mut rest = &sums[..];
        let [depthwise, depthwise_bias, of_noise, expand, expand_bias, project, project_bias] =
            sums_lens::<L>(channels, inside)
                .map(|len| rest.split_off(..len).expect("the sums of all weights"));
        let mut flat = Vec::with_capacity(BlockWeights::flat_len(channels, inside) + noise);
        for c in 0..channels {
            flat.extend((0..KERNEL * KERNEL).map(|tap| depthwise[tap * padded + c]));
        }
        flat.extend(&depthwise_bias[..channels]);
        flat.extend(&of_noise[..noise]);
        for o in 0..inside {
            flat.extend((0..channels).map(|i| expand[i * width + o]));
        }
        flat.extend(&expand_bias[..inside]);
        for row in project.chunks_exact(width).take(channels) {
            flat.extend(&row[..inside]);
        }
        flat.extend(&project_bias[..channels]);
        flat
    }
}
