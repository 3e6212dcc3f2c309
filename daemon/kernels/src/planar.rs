//! Convolutions of rows that lie plane by plane: where channels are few, vectors are pixels.
//!
//! Channels last, a layer of 12 channels leaves a quarter of every vector idle, and one of 3 most of it. Here a row
//! is a *slab*: planes as long as each other, a word of inputs at a pixel (see [`Lanes::INPUTS`]), so that every
//! lane works however few the channels are, and a weight is read once for many pixels.

use crate::cpu::{Cpu, Lanes};
use crate::gemm::{Sums, word};

/// Outputs that are summed together, and vectors of each: their sums stay in registers.
const GROUP: usize = 6;
const VECTORS: usize = 4;

/// A convolution's weights.
pub(crate) struct Planar {
    kernel: usize,
    /// Planes that it reads.
    words: usize,
    bias: Vec<f32>,
    /// Group by group of outputs: kernel row by kernel row, plane by plane, kernel column by kernel column, a word
    /// for each output.
    weights: Vec<f32>,
}

/// What is written: a plane for each output, or words of them.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Sink {
    Values,
    Words,
    /// Their positive parts.
    ReluWords,
}

impl Planar {
    /// `weight(i, o, y, x)` is the kernel from input `i` to output `o` at row `y` and column `x`. Inputs are padded
    /// to whole words.
    pub(crate) fn new(
        cpu: Cpu,
        kernel: usize,
        inputs: usize,
        bias: Vec<f32>,
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Self {
        let per_word = cpu.tile().inputs;
        let words = inputs.div_ceil(per_word);
        let mut weights = Vec::with_capacity(words * kernel * kernel * bias.len());
        let mut first = 0;
        while first < bias.len() {
            let last = first + group(bias.len() - first);
            for y in 0..kernel {
                for plane in 0..words {
                    for x in 0..kernel {
                        let of = |i: usize, o| if i < inputs { weight(i, o, y, x) } else { 0.0 };
                        weights.extend((first..last).map(|o| word(per_word, plane, |i| of(i, o))));
                    }
                }
            }
            first = last;
        }
        Self { kernel, words, bias, weights }
    }

    pub(crate) fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// Convolves `cols` columns from column `first` on. `rows` are slabs, as many as the kernel has rows, and `out`
    /// is one, all of planes `stride` long. Up to a vector more is read and written.
    #[inline(always)]
    pub(crate) fn run<L: Lanes>(
        &self,
        lanes: L,
        rows: &[&[f32]],
        (stride, first, cols): (usize, usize, usize),
        sink: Sink,
        out: &mut [f32],
    ) {
        debug_assert_eq!(rows.len(), self.kernel);
        let mut done = 0;
        while done < self.outputs() {
            let size = group(self.outputs() - done);
            let weights = &self.weights[done * self.words * self.kernel * self.kernel..];
            let part = Group { conv: self, weights, first_output: done, rows, stride, sink };
            match size {
                GROUP => part.columns::<L, GROUP>(lanes, first, cols, out),
                3 => part.columns::<L, 3>(lanes, first, cols, out),
                2 => part.columns::<L, 2>(lanes, first, cols, out),
                _ => part.columns::<L, 1>(lanes, first, cols, out),
            }
            done += size;
        }
    }
}

/// How many of so many outputs go together first. All but the last group are even, so that words don't straddle.
fn group(outputs: usize) -> usize {
    match outputs {
        0..=3 => outputs,
        4..GROUP => 2,
        _ => GROUP,
    }
}

/// Some of a convolution's outputs.
struct Group<'a> {
    conv: &'a Planar,
    weights: &'a [f32],
    first_output: usize,
    rows: &'a [&'a [f32]],
    stride: usize,
    sink: Sink,
}

impl Group<'_> {
    #[inline(always)]
    fn columns<L: Lanes, const OUTPUTS: usize>(&self, lanes: L, first: usize, cols: usize, out: &mut [f32]) {
        let (mut col, end) = (first, first + cols);
        let mut sums = Sums::new();
        while col + VECTORS * L::COUNT <= end {
            self.sum::<L, OUTPUTS, VECTORS>(lanes, col, &mut sums);
            self.write::<L, OUTPUTS, VECTORS>(lanes, &sums, col, out);
            col += VECTORS * L::COUNT;
        }
        while col < end {
            self.sum::<L, OUTPUTS, 1>(lanes, col, &mut sums);
            self.write::<L, OUTPUTS, 1>(lanes, &sums, col, out);
            col += L::COUNT;
        }
    }

    #[inline(always)]
    fn sum<L: Lanes, const OUTPUTS: usize, const N: usize>(&self, lanes: L, col: usize, out: &mut Sums) {
        // Here all loops are of lengths that the compiler knows, see `Sums`.
        let mut sums = [[lanes.splat(0.0); N]; OUTPUTS];
        let bias = &self.conv.bias[self.first_output..][..OUTPUTS];
        for o in 0..OUTPUTS {
            sums[o] = [lanes.splat(bias[o]); N];
        }
        let mut weights = self.weights.as_chunks::<OUTPUTS>().0.iter();
        let left = col - self.conv.kernel / 2;
        for row in self.rows {
            for plane in 0..self.conv.words {
                for (x, weights) in (0..self.conv.kernel).zip(&mut weights) {
                    let from = &row[plane * self.stride + left + x..][..N * L::COUNT];
                    let mut values = [lanes.splat(0.0); N];
                    for v in 0..N {
                        values[v] = lanes.load(&from[v * L::COUNT..]);
                    }
                    for o in 0..OUTPUTS {
                        let weight = lanes.splat(weights[o]);
                        for v in 0..N {
                            sums[o][v] = lanes.add_product(weight, values[v], sums[o][v]);
                        }
                    }
                }
            }
        }
        for o in 0..OUTPUTS {
            for v in 0..N {
                out.store(lanes, o * N + v, sums[o][v]);
            }
        }
    }

    #[inline(always)]
    fn write<L: Lanes, const OUTPUTS: usize, const N: usize>(
        &self,
        lanes: L,
        sums: &Sums,
        col: usize,
        out: &mut [f32],
    ) {
        let zero = lanes.splat(0.0);
        let per_word = if self.sink == Sink::Values { 1 } else { L::INPUTS };
        for o in (0..OUTPUTS).step_by(per_word) {
            let plane = (self.first_output + o) / per_word;
            let to = &mut out[plane * self.stride + col..][..N * L::COUNT];
            // No closures: what they call isn't compiled for the instruction set.
            for v in 0..N {
                let mut value = sums.load(lanes, o * N + v);
                let mut second =
                    if per_word > 1 && o + 1 < OUTPUTS { sums.load(lanes, (o + 1) * N + v) } else { zero };
                if self.sink == Sink::ReluWords {
                    (value, second) = (lanes.max(value, zero), lanes.max(second, zero));
                }
                if per_word > 1 {
                    value = lanes.word(value, second);
                }
                lanes.store(&mut to[v * L::COUNT..], value);
            }
        }
    }
}
