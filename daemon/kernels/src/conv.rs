//! Convolutions of any kernel size, with what stands around them in the network fused in.

use rayon::prelude::*;

use crate::cpu::{Cpu, Kernel, Lanes};
use crate::gemm::{Panels, Taps, Write, multiply, padded_pixels};
use crate::patch::{Window, normalise};
use crate::scratch::{Buffers, first, with_buffers};
use crate::winograd::{self, Winograd};
use crate::{Map, Shape, Source, strip_rows};

/// The geometry of a convolution and of what is fused into it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Rows and columns of the kernel. With a stride of 1 it is odd, and columns are padded by `kernel / 2`;
    /// with a larger one they are not padded.
    pub kernel: usize,
    /// Rows and columns from one output to the next.
    pub stride: usize,
    /// The factor of the pixel-unshuffle before it; 1 for none. The input channels of the weights are those
    /// after it, in PyTorch's order.
    pub unshuffle: usize,
    /// The factor of the pixel-shuffle after it; 1 for none. The output channels of the weights are those
    /// before it, in PyTorch's order.
    pub shuffle: usize,
    /// What is done to the input first.
    pub input: InputNorm,
    /// Whoever runs a map in bands promises that each but the last gives a multiple of this many rows. 1 is no
    /// promise. With multiples of 4, convolutions by Winograd are possible, which are faster, and the result
    /// remains the same bit for bit wherever the map is cut.
    pub row_multiple: usize,
}

/// What is done to a convolution's input first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InputNorm {
    /// Nothing.
    None,
    /// Each pixel is normalised over its channels: (x - mean) / sqrt(variance + 1e-5).
    Channels,
}

impl Geometry {
    /// A kernel with a stride of 1 and nothing around it.
    pub const fn kernel(kernel: usize) -> Self {
        Self { kernel, stride: 1, unshuffle: 1, shuffle: 1, input: InputNorm::None, row_multiple: 1 }
    }

    fn pad(&self) -> usize {
        if self.stride == 1 { self.kernel / 2 } else { 0 }
    }
}

/// A convolution's weights, as PyTorch keeps them.
#[derive(Debug, Clone, Copy)]
pub struct ConvWeights<'a> {
    /// `[outputs, inputs, kernel, kernel]`
    pub weight: &'a [f32],
    /// `[outputs]`
    pub bias: &'a [f32],
}

/// What happens to a result when it is written.
#[derive(Debug, Clone, Copy)]
pub enum Activation<'a> {
    /// It is stored.
    Store,
    /// Its positive part is stored.
    Relu,
    /// It is stored, times this number from 0 to 1 where it is below zero.
    Leaky(f32),
    /// It is added to this map, and the sum is stored.
    Add(Map<'a>),
}

/// A convolution, its weights laid out for a CPU.
pub struct Conv {
    cpu: Cpu,
    geometry: Geometry,
    /// Channels that it reads, after the unshuffle.
    inputs: usize,
    outputs: usize,
    way: Way,
}

/// How it is computed.
enum Way {
    /// As it is defined.
    Direct(Panels),
    Winograd(Winograd),
}

impl Conv {
    /// Lays out weights.
    ///
    /// # Panics
    /// If the weights' lengths don't fit the geometry.
    pub fn new(cpu: Cpu, geometry: Geometry, weights: ConvWeights) -> Self {
        let Geometry { kernel, stride, unshuffle, shuffle, .. } = geometry;
        let outputs = weights.bias.len();
        let inputs = weights.weight.len() / (outputs * kernel * kernel);
        assert_eq!(weights.weight.len(), outputs * inputs * kernel * kernel);
        assert!(inputs.is_multiple_of(unshuffle * unshuffle) && outputs.is_multiple_of(shuffle * shuffle));
        assert!(geometry.input == InputNorm::None || (kernel == 1 && unshuffle == 1));
        // PyTorch puts the sub-pixel last and the channel first; in memory the sub-pixels' channels follow
        // each other, so that both shuffles copy whole runs.
        let torch_channel = |ours: usize, count: usize, factor: usize| {
            let subpixels = factor * factor;
            let (subpixel, channel) = (ours / (count / subpixels), ours % (count / subpixels));
            channel * subpixels + subpixel
        };
        let output = |ours| torch_channel(ours, outputs, shuffle);
        let weight = |i: usize, o: usize, ky: usize, kx: usize| {
            let input = torch_channel(i, inputs, unshuffle);
            weights.weight[((output(o) * inputs + input) * kernel + ky) * kernel + kx]
        };
        let bias: Vec<f32> = (0..outputs).map(|o| weights.bias[output(o)]).collect();
        let can_winograd = stride == 1
            && shuffle == 1
            && geometry.input == InputNorm::None
            && geometry.row_multiple.is_multiple_of(winograd::TILE);
        let way = if can_winograd && Winograd::pays(kernel, inputs, outputs) {
            Way::Winograd(Winograd::new(cpu, kernel, inputs, &bias, weight))
        } else {
            Way::Direct(Panels::new(cpu, kernel * kernel * inputs, bias, |i, o| {
                weight(i % inputs, o, i / inputs / kernel, i / inputs % kernel)
            }))
        };
        Self { cpu, geometry, inputs, outputs, way }
    }

    /// The shape of the result: `kernel - 1` rows fewer (over the stride, times the shuffle), the same columns
    /// (over the stride, times the shuffle).
    ///
    /// # Panics
    /// If the source has other channels than the weights, or fewer rows than the kernel.
    pub fn output_shape(&self, source: Shape) -> Shape {
        let Geometry { kernel, stride, shuffle, .. } = self.geometry;
        assert_eq!(source.channels, self.inputs);
        assert!(source.rows >= kernel && source.cols >= stride, "{source:?}");
        let rows = (source.rows - kernel) / stride + 1;
        let cols = if stride == 1 { source.cols } else { (source.cols - kernel) / stride + 1 };
        Shape::new(rows * shuffle, cols * shuffle, self.outputs / (shuffle * shuffle))
    }

    /// Convolves. `out` has [`Conv::output_shape`].
    ///
    /// # Panics
    /// If `out`'s length is not its shape's, what it is added to has another shape, or the source was not
    /// unshuffled by the geometry's factor.
    pub fn run(&self, source: Source, activation: Activation, out: &mut [f32]) {
        let factor = if let Source::Unshuffled(_, factor) = source { factor } else { 1 };
        assert_eq!(factor, self.geometry.unshuffle);
        let shape = source.shape();
        let out_shape = self.output_shape(shape);
        assert_eq!(out.len(), out_shape.len());
        let (write, base) = match activation {
            Activation::Store => (Write::Store, None),
            Activation::Relu => (Write::Relu, None),
            Activation::Leaky(slope) => {
                assert!((0.0..=1.0).contains(&slope), "a slope of {slope}");
                (Write::Leaky(slope), None)
            }
            Activation::Add(base) => {
                assert_eq!(base.shape(), out_shape);
                (Write::Add, Some(base))
            }
        };
        let Geometry { shuffle, .. } = self.geometry;
        let strip = match self.way {
            Way::Direct(_) => strip_rows(out_shape.rows / shuffle),
            Way::Winograd(_) => strip_rows(out_shape.rows).next_multiple_of(winograd::TILE),
        };
        let strip_len = strip * shuffle * out_shape.row_len();
        out.par_chunks_mut(strip_len).enumerate().for_each(|(i, out)| {
            let first = i * strip;
            if let Some(base) = base {
                for (y, out) in out.chunks_exact_mut(out_shape.row_len()).enumerate() {
                    out.copy_from_slice(base.row(first * shuffle + y));
                }
            }
            with_buffers(|buffers| match &self.way {
                Way::Direct(panels) => {
                    let conv = self;
                    self.cpu.run(Strip { conv, panels, source, out_shape, first, write, buffers, out });
                }
                Way::Winograd(winograd) => {
                    self.cpu.run(winograd::Strip { winograd, source, shape, first, write, buffers, out });
                }
            });
        });
    }
}

/// Some rows of the result.
struct Strip<'a> {
    conv: &'a Conv,
    panels: &'a Panels,
    source: Source<'a>,
    out_shape: Shape,
    /// The first row, before the shuffle.
    first: usize,
    write: Write,
    buffers: &'a mut Buffers,
    out: &'a mut [f32],
}

/// Columns of the result that are worked on at a time: their patch stays in the second-level cache.
const TILE_COLS: usize = 96;

impl Kernel for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Geometry { kernel, stride, shuffle, input, .. } = self.conv.geometry;
        // What is read, and results before their shuffle.
        let [patch, shuffled, _] = self.buffers;
        let (inputs, outputs) = (self.conv.inputs, self.conv.outputs);
        let pixel = match input {
            InputNorm::None => inputs,
            InputNorm::Channels => inputs.next_multiple_of(L::COUNT),
        };
        let cols = self.out_shape.cols / shuffle;
        let rows = self.out.len() / self.out_shape.row_len() / shuffle;
        let patch_rows = (rows - 1) * stride + kernel;
        for first_col in (0..cols).step_by(TILE_COLS) {
            let count = TILE_COLS.min(cols - first_col);
            // Whole register tiles are computed; what the last one reads too much is never written.
            let patch_cols = (padded_pixels::<L>(count) - 1) * stride + kernel;
            let patch = first(patch, patch_rows * patch_cols * pixel);
            Window {
                first_row: self.first * stride,
                first_col: first_col * stride,
                cols: patch_cols,
                pad: self.conv.geometry.pad(),
                pixel,
            }
            .gather(lanes, self.source, patch);
            if input == InputNorm::Channels {
                for pixel in patch.chunks_exact_mut(pixel) {
                    normalise(lanes, pixel, inputs);
                }
            }
            for row in 0..rows {
                let taps = Taps {
                    data: patch,
                    start: row * stride * patch_cols * pixel,
                    rows: kernel,
                    row_stride: patch_cols * pixel,
                    len: kernel * inputs,
                    pixel_stride: stride * pixel,
                };
                if shuffle == 1 {
                    let out = &mut self.out[(row * cols + first_col) * outputs..];
                    multiply(lanes, &taps, self.panels, count, out, outputs, self.write);
                } else {
                    let shuffled = first(shuffled, count * outputs);
                    multiply(lanes, &taps, self.panels, count, shuffled, outputs, Write::Store);
                    let run = outputs / shuffle;
                    for (x, pixel) in shuffled.chunks_exact(outputs).enumerate() {
                        for (dy, run_values) in pixel.chunks_exact(run).enumerate() {
                            let at = ((row * shuffle + dy) * cols + first_col + x) * run;
                            write_run(&mut self.out[at..at + run], run_values, self.write);
                        }
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn write_run(out: &mut [f32], values: &[f32], write: Write) {
    match write {
        Write::Store => out.copy_from_slice(values),
        Write::Relu => out.iter_mut().zip(values).for_each(|(out, value)| *out = value.max(0.0)),
        Write::Leaky(slope) => {
            out.iter_mut().zip(values).for_each(|(out, value)| *out = value.max(value * slope));
        }
        Write::Add => out.iter_mut().zip(values).for_each(|(out, value)| *out += value),
    }
}
