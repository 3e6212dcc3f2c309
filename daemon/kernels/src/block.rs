//! The residual block: x + p2(ReLU(p1(norm(depthwise5x5(x) + z noise)))), where noise has a value a pixel, and z a
//! weight a channel; without it for networks that have none.
//!
//! All of it happens on a few rows and columns at a time while they are in cache: the map is read once and
//! written once. The design is ConvNeXt's (Liu et al. 2022, <https://arxiv.org/abs/2201.03545>), with ReLU.

use rayon::prelude::*;

use crate::cpu::{Cpu, Kernel, Lanes};
use crate::gemm::{Panels, Taps, Target, Write, multiply, pack};
use crate::patch::{clamp_col, normalise};
use crate::scratch::{Buffers, first, with_buffers};
use crate::{Map, Shape, strip_rows};

pub(crate) const KERNEL: usize = 5;
pub(crate) const REACH: usize = KERNEL / 2;

/// A block's weights for `c` channels and `m` channels inside. The norm's scale and shift, and the factor of
/// the residual, are folded into the 1x1 convolutions by whoever calls.
#[derive(Debug, Clone, Copy)]
pub struct BlockWeights<'a> {
    /// `[c, 1, 5, 5]`
    pub depthwise: &'a [f32],
    /// `[c]`
    pub depthwise_bias: &'a [f32],
    /// `[c]`, or nothing.
    pub noise: &'a [f32],
    /// `[m, c]`
    pub expand: &'a [f32],
    /// `[m]`
    pub expand_bias: &'a [f32],
    /// `[c, m]`
    pub project: &'a [f32],
    /// `[c]`
    pub project_bias: &'a [f32],
}

/// A block, its weights laid out for a CPU.
pub struct Block {
    cpu: Cpu,
    channels: usize,
    depthwise: Depthwise5,
    expand: Panels,
    project: Panels,
}

impl Block {
    /// Rows of context that it needs above, and below.
    pub const REACH: usize = REACH;

    /// Lays out weights.
    ///
    /// # Panics
    /// If their lengths don't fit together.
    pub fn new(cpu: Cpu, weights: BlockWeights) -> Self {
        let (channels, inside) = (weights.depthwise_bias.len(), weights.expand_bias.len());
        assert_eq!(weights.expand.len(), inside * channels);
        assert_eq!(weights.project.len(), channels * inside);
        assert_eq!(weights.project_bias.len(), channels);
        let depthwise = Depthwise5::new(weights.depthwise, weights.depthwise_bias, weights.noise);
        let expand =
            Panels::new(cpu, channels, weights.expand_bias.to_vec(), |i, o| weights.expand[o * channels + i]);
        let project =
            Panels::new(cpu, inside, weights.project_bias.to_vec(), |i, o| weights.project[o * inside + i]);
        Self { cpu, channels, depthwise, expand, project }
    }

    /// Has it weights for noise?
    pub fn has_noise(&self) -> bool {
        self.depthwise.has_noise()
    }

    /// Runs the block: `x` has [`Block::REACH`] rows more than `out` on either side, and as many columns. `noise` has a
    /// value for each of `out`'s pixels, where the block has weights for it; or none, as if all were 0.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn run(&self, x: Map, noise: &[f32], out: &mut [f32]) {
        let shape = x.shape();
        assert_eq!(shape.channels, self.channels);
        assert_eq!(out.len(), (shape.rows - 2 * REACH) * shape.row_len());
        let noise = if self.has_noise() { noise } else { &[] };
        assert!(noise.is_empty() || noise.len() * self.channels == out.len());
        let strip = strip_rows(shape.rows - 2 * REACH);
        out.par_chunks_mut(strip * shape.row_len()).enumerate().for_each(|(i, out)| {
            with_buffers(|buffers| {
                self.cpu.run(Strip { block: self, x, noise, first: i * strip, buffers, out })
            });
        });
    }
}

struct Strip<'a> {
    block: &'a Block,
    x: Map<'a>,
    noise: &'a [f32],
    first: usize,
    buffers: &'a mut Buffers,
    out: &'a mut [f32],
}

/// Columns that are worked on at a time: a multiple of every register tile's pixels.
const TILE_COLS: usize = 48;
/// Columns that the depthwise convolution sums at a time.
pub(crate) const RUN: usize = 8;

impl Kernel for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Shape { cols, channels, .. } = self.x.shape();
        // The first: channel vector by channel vector, what the depthwise convolution reads.
        let [patch, normed, expanded] = self.buffers;
        let padded = channels.next_multiple_of(L::COUNT);
        let inside = self.block.expand.outputs();
        let inside_words = inside.next_multiple_of(L::COUNT) / L::INPUTS;
        let rows = self.out.len() / self.x.shape().row_len();
        for first_col in (0..cols).step_by(TILE_COLS) {
            let count = TILE_COLS.min(cols - first_col);
            let whole = count.next_multiple_of(RUN);
            let patch_cols = whole + 2 * REACH;
            let plane = (rows + 2 * REACH) * patch_cols;
            let patch = first(patch, plane * padded);
            for (row, start) in (0..plane).step_by(patch_cols).enumerate() {
                let x = self.x.row(self.first + row);
                for i in 0..patch_cols {
                    let from = &x[clamp_col(first_col + i, REACH, cols) * channels..][..channels];
                    for (v, values) in from.chunks(L::COUNT).enumerate() {
                        let to = &mut patch[(v * plane + start + i) * L::COUNT..][..L::COUNT];
                        let is_whole = values.len() == L::COUNT;
                        lanes.store(to, if is_whole { lanes.load(values) } else { lanes.load_first(values) });
                    }
                }
            }
            let normed = first(normed, whole * padded);
            let expanded = first(expanded, whole * inside_words);
            for row in 0..rows {
                let mut noise = [0.0; TILE_COLS];
                let noise = &mut noise[..if self.noise.is_empty() { 0 } else { whole }];
                if !self.noise.is_empty() {
                    let at = (self.first + row) * cols + first_col;
                    noise[..count].copy_from_slice(&self.noise[at..at + count]);
                }
                for v in 0..padded / L::COUNT {
                    let patch = &L::vectors(patch)[v * plane + row * patch_cols..];
                    self.block.depthwise.row(lanes, v, (patch, patch_cols), noise, whole, normed, padded);
                }
                for pixel in normed.chunks_exact_mut(padded) {
                    normalise(lanes, pixel, channels);
                    pack(lanes, pixel);
                }
                let taps = |data, len, pixel_stride| Taps {
                    data,
                    start: 0,
                    rows: 1,
                    row_stride: 0,
                    len,
                    pixel_stride,
                };
                let taps_in = taps(normed, channels.div_ceil(L::INPUTS), padded);
                let mut target = Target {
                    data: expanded,
                    stride: inside_words,
                    outputs: 0..inside,
                    write: Write::ReluWords,
                };
                multiply(lanes, &taps_in, &self.block.expand, count, &mut target);
                let at = (row * cols + first_col) * channels;
                let x = &self.x.row(self.first + row + REACH)[first_col * channels..];
                let taps_inside = taps(expanded, inside.div_ceil(L::INPUTS), inside_words);
                let data = &mut self.out[at..];
                let mut target =
                    Target { data, stride: channels, outputs: 0..channels, write: Write::AddTo(x) };
                multiply(lanes, &taps_inside, &self.block.project, count, &mut target);
            }
        }
    }
}

/// The depthwise convolution's weights.
pub(crate) struct Depthwise5 {
    /// Kernel position by position, channels padded to whole vectors.
    weights: Vec<f32>,
    bias: Vec<f32>,
    /// What a pixel's noise counts, or nothing.
    noise: Vec<f32>,
}

impl Depthwise5 {
    /// Lays out `[c, 1, 5, 5]`, `[c]`, and `[c]` or nothing.
    pub(crate) fn new(weights: &[f32], bias: &[f32], noise: &[f32]) -> Self {
        assert_eq!(weights.len(), bias.len() * KERNEL * KERNEL);
        assert!(noise.is_empty() || noise.len() == bias.len());
        // 16 is the longest vector there is.
        let padded = bias.len().next_multiple_of(16);
        let mut laid_out = vec![0.0; KERNEL * KERNEL * padded];
        for (i, weight) in weights.iter().enumerate() {
            laid_out[i % (KERNEL * KERNEL) * padded + i / (KERNEL * KERNEL)] = *weight;
        }
        let unused = vec![0.0; padded - bias.len()];
        let fill = |values: &[f32]| [values, &unused].concat();
        let noise = if noise.is_empty() { Vec::new() } else { fill(noise) };
        Self { weights: laid_out, bias: fill(bias), noise }
    }

    pub(crate) fn has_noise(&self) -> bool {
        !self.noise.is_empty()
    }

    /// Channel vector `v` of `count` pixels (a multiple of [`RUN`]) of one row; `noise` is theirs, or empty.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "the innermost loop, apart only to be read")]
    pub(crate) fn row<L: Lanes>(
        &self,
        lanes: L,
        v: usize,
        (patch, patch_cols): (&[L::V], usize),
        noise: &[f32],
        count: usize,
        out: &mut [f32],
        out_stride: usize,
    ) {
        let weights = L::vectors(&self.weights);
        let stride = weights.len() / (KERNEL * KERNEL);
        let bias = L::vectors(&self.bias)[v];
        for first in (0..count).step_by(RUN) {
            // All loops are of lengths that the compiler knows, so that the sums stay in registers.
            let mut sums = [bias; RUN];
            if let Some(noise) = noise.get(first..first + RUN) {
                let weight = L::vectors(&self.noise)[v];
                for p in 0..RUN {
                    sums[p] = lanes.mul_add(lanes.splat(noise[p]), weight, bias);
                }
            }
            for ky in 0..KERNEL {
                let window = patch[ky * patch_cols + first..].first_chunk::<{ RUN + 2 * REACH }>();
                let window = window.expect("the patch is REACH columns wider on either side");
                for kx in 0..KERNEL {
                    let weight = weights[(ky * KERNEL + kx) * stride + v];
                    for p in 0..RUN {
                        sums[p] = lanes.mul_add(window[p + kx], weight, sums[p]);
                    }
                }
            }
            for p in 0..RUN {
                lanes.store(&mut out[(first + p) * out_stride + v * L::COUNT..], sums[p]);
            }
        }
    }
}
