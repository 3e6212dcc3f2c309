//! Depthwise 3x3: each channel is convolved by itself.

use rayon::prelude::*;

use crate::cpu::{Cpu, Kernel, Lanes};
use crate::{Map, Shape, strip_rows};

const KERNEL: usize = 3;
/// Columns that stay in the second-level cache, with all their channels.
const TILE_COLS: usize = 32;
/// Pixels that are summed at a time: what they read overlaps.
const RUN: usize = 4;

/// A depthwise 3x3 convolution, its weights laid out for a CPU.
pub struct Depthwise {
    cpu: Cpu,
    /// Kernel position by position.
    weights: Vec<f32>,
    bias: Vec<f32>,
}

impl Depthwise {
    /// `weights` are `[channels, 1, 3, 3]`, as PyTorch keeps them.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn new(cpu: Cpu, weights: &[f32], bias: &[f32]) -> Self {
        let (taps, channels) = (KERNEL * KERNEL, bias.len());
        assert_eq!(weights.len(), channels * taps);
        let weights = (0..taps * channels).map(|i| weights[i % channels * taps + i / channels]).collect();
        Self { cpu, weights, bias: bias.to_vec() }
    }

    /// Convolves: `out` has two rows and two columns fewer than `x`. Unlike elsewhere, columns are not padded.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn run(&self, x: Map, out: &mut [f32]) {
        let Shape { rows, cols, channels } = x.shape();
        assert_eq!(channels, self.bias.len());
        let out_len = (cols - 2) * channels;
        assert_eq!(out.len(), (rows - 2) * out_len);
        let strip = strip_rows(rows - 2);
        out.par_chunks_mut(strip * out_len).enumerate().for_each(|(i, out)| {
            self.cpu.run(Strip { conv: self, x, first: i * strip, out });
        });
    }
}

/// Some rows of the result.
struct Strip<'a> {
    conv: &'a Depthwise,
    x: Map<'a>,
    /// The map's row above the first.
    first: usize,
    out: &'a mut [f32],
}

impl Kernel for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { conv, x, first, out } = self;
        let channels = conv.bias.len();
        let whole = channels / L::COUNT * L::COUNT;
        let out_cols = x.shape().cols - 2;
        let rows = out.len() / (out_cols * channels);
        for tile in (0..out_cols).step_by(TILE_COLS) {
            let end = out_cols.min(tile + TILE_COLS);
            for row in 0..rows {
                let above: [&[f32]; KERNEL] = std::array::from_fn(|ky| x.row(first + row + ky));
                for c in (0..whole).step_by(L::COUNT) {
                    let mut col = tile;
                    while col + RUN <= end {
                        let sums = conv.sum::<L, RUN>(lanes, above, col, c);
                        for (i, sum) in sums.into_iter().enumerate() {
                            lanes.store(&mut out[(row * out_cols + col + i) * channels + c..], sum);
                        }
                        col += RUN;
                    }
                    for col in col..end {
                        let [sum] = conv.sum::<L, 1>(lanes, above, col, c);
                        lanes.store(&mut out[(row * out_cols + col) * channels + c..], sum);
                    }
                }
                // Channels that fill no vector.
                for col in tile..end {
                    for c in whole..channels {
                        let taps = (0..KERNEL * KERNEL).map(|tap| {
                            let at = (col + tap % KERNEL) * channels + c;
                            above[tap / KERNEL][at] * conv.weights[tap * channels + c]
                        });
                        out[(row * out_cols + col) * channels + c] = conv.bias[c] + taps.sum::<f32>();
                    }
                }
            }
        }
    }
}

impl Depthwise {
    /// The channel vector at `c` of `N` neighbouring pixels.
    #[inline(always)]
    fn sum<L: Lanes, const N: usize>(
        &self,
        lanes: L,
        rows: [&[f32]; KERNEL],
        col: usize,
        c: usize,
    ) -> [L::V; N] {
        let channels = self.bias.len();
        let mut sums = [lanes.load(&self.bias[c..]); N];
        for (ky, row) in rows.into_iter().enumerate() {
            let first = &row[col * channels + c..];
            let weight = |kx: usize| lanes.load(&self.weights[(ky * KERNEL + kx) * channels + c..]);
            let weights = [weight(0), weight(1), weight(2)];
            for i in 0..N + KERNEL - 1 {
                let value = lanes.load(&first[i * channels..]);
                for (kx, weight) in weights.into_iter().enumerate() {
                    if let Some(sum) = i.checked_sub(kx).and_then(|p| sums.get_mut(p)) {
                        *sum = lanes.mul_add(value, weight, *sum);
                    }
                }
            }
        }
        sums
    }
}
