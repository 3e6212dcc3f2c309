//! Convolutions of any kernel size, with what stands around them in the network fused in.

use rayon::prelude::*;

use crate::cpu::{Cpu, Kernel, Lanes};
use crate::gemm::{Panels, Taps, Target, Write, multiply, pack};
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
    /// promise. With multiples of [`Geometry::TILE_ROWS`], convolutions by Winograd are possible, which are
    /// faster, and the result remains the same bit for bit wherever the map is cut.
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

    /// Rows that Winograd computes at a time.
    pub const TILE_ROWS: usize = winograd::TILE;

    /// The same, on a map whose rows come in multiples of [`Geometry::TILE_ROWS`].
    pub const fn tiles(kernel: usize) -> Self {
        Self { row_multiple: Self::TILE_ROWS, ..Self::kernel(kernel) }
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
    Direct(Direct),
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
        let by_winograd = can_winograd && Winograd::pays(kernel, inputs, outputs);
        // What 7x7 goes through on the way is too large for bf16's 8 bits.
        let cpu = if by_winograd && kernel == 7 { cpu.single() } else { cpu };
        let way = if by_winograd {
            Way::Winograd(Winograd::new(cpu, kernel, inputs, &bias, weight))
        } else {
            Way::Direct(Direct::new(cpu, &geometry, inputs, &bias, weight))
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

    /// What is multiplied for a pixel of the convolution, on average: by Winograd it is less than by definition.
    pub fn multiplications(&self) -> f64 {
        let Geometry { kernel, .. } = self.geometry;
        let products = match &self.way {
            Way::Direct(_) => (kernel * kernel) as f64,
            Way::Winograd(winograd) => winograd.products_per_result(),
        };
        products * (self.inputs * self.outputs) as f64
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
                Way::Direct(direct) => {
                    let conv = self;
                    self.cpu.run(Strip { conv, direct, source, out_shape, first, write, buffers, out });
                }
                Way::Winograd(winograd) => {
                    let (pad, cols) = (self.geometry.pad(), shape.cols);
                    self.cpu.run(winograd::Strip { winograd, source, pad, cols, first, write, buffers, out });
                }
            });
        });
    }
}

/// Some rows of the result.
struct Strip<'a> {
    conv: &'a Conv,
    direct: &'a Direct,
    source: Source<'a>,
    out_shape: Shape,
    /// The first row, before the shuffle.
    first: usize,
    write: Write<'a>,
    buffers: &'a mut Buffers,
    out: &'a mut [f32],
}

/// Columns of the result that are worked on at a time: their patch stays in the second-level cache.
const TILE_COLS: usize = 96;

/// Weights of a convolution that is computed as it is defined.
struct Direct {
    /// For each row of the shuffle, what goes there.
    panels: Vec<Panels>,
    /// Where a pixel's outputs are few, so many neighbours share a vector: their kernels, side by side and padded
    /// with zeros, are a matrix's columns.
    neighbours: usize,
}

impl Direct {
    /// `weight(i, o, y, x)` is the kernel from input `i` to output `o` at row `y` and column `x`.
    fn new(
        cpu: Cpu,
        geometry: &Geometry,
        inputs: usize,
        bias: &[f32],
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Self {
        let Geometry { kernel, stride, shuffle, .. } = *geometry;
        let tile = cpu.tile();
        let outputs = bias.len() / shuffle;
        let pixel = inputs.next_multiple_of(tile.inputs);
        let window = |neighbours: usize| (neighbours - 1) * stride + kernel;
        let cost = |neighbours: usize| {
            let vectors = (neighbours * outputs).div_ceil(tile.lanes);
            (window(neighbours) * vectors * inputs) as f32 / neighbours as f32
        };
        let most = if kernel > 1 && shuffle == 1 { 8 } else { 1 };
        let neighbours = (1..=most).min_by(|a, b| cost(*a).total_cmp(&cost(*b))).unwrap_or(1);
        let tap = window(neighbours) * pixel;
        let panels = (0..shuffle)
            .map(|part| {
                let bias = bias[part * outputs..][..outputs].repeat(neighbours);
                Panels::new(cpu, kernel * tap, bias, |i, o| {
                    let (ky, x, input) = (i / tap, i % tap / pixel, i % pixel);
                    let kx = x.checked_sub(o / outputs * stride).filter(|kx| *kx < kernel);
                    let kx = kx.filter(|_| input < inputs);
                    kx.map_or(0.0, |kx| weight(input, part * outputs + o % outputs, ky, kx))
                })
            })
            .collect();
        Self { panels, neighbours }
    }
}

impl Kernel for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Geometry { kernel, stride, shuffle, input, .. } = self.conv.geometry;
        let [patch, ..] = self.buffers;
        let inputs = self.conv.inputs;
        // Values that a pixel becomes in a row of the result.
        let outputs = self.conv.outputs / shuffle;
        let neighbours = self.direct.neighbours;
        let pixel = match input {
            InputNorm::None => inputs.next_multiple_of(L::INPUTS),
            InputNorm::Channels => inputs.next_multiple_of(L::COUNT),
        };
        // A kernel of one pixel reads what lies in the map already.
        let in_place = match self.source {
            Source::Map(map) if (kernel, stride, input, L::INPUTS) == (1, 1, InputNorm::None, 1) => Some(map),
            _ => None,
        };
        // From one pixel to the next, once they are packed.
        let words = pixel / L::INPUTS;
        let cols = self.out_shape.cols / shuffle;
        let rows = self.out.len() / self.out_shape.row_len() / shuffle;
        let patch_rows = (rows - 1) * stride + kernel;
        let tile_cols = TILE_COLS / neighbours * neighbours;
        for first_col in (0..cols).step_by(tile_cols) {
            let count = tile_cols.min(cols - first_col);
            let patch_cols = (count.next_multiple_of(neighbours) - 1) * stride + kernel;
            let patch_len = if in_place.is_some() { 0 } else { patch_rows * patch_cols * pixel };
            let packed = first(patch, patch_len.next_multiple_of(L::COUNT));
            let patch = &mut packed[..patch_len];
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
                    pixel[inputs..].fill(0.0);
                    normalise(lanes, pixel, inputs);
                }
            }
            pack(lanes, packed);
            for row in 0..rows {
                let (data, start) = match in_place {
                    Some(map) => (map.row(self.first + row), first_col * pixel),
                    None => (&*packed, row * patch_cols * stride * words),
                };
                let taps = |first: usize| Taps {
                    data,
                    start: start + first * stride * words,
                    rows: kernel,
                    row_stride: patch_cols * words,
                    len: ((neighbours - 1) * stride + kernel) * inputs.div_ceil(L::INPUTS),
                    pixel_stride: neighbours * stride * words,
                };
                for (part, panels) in self.direct.panels.iter().enumerate() {
                    let at = ((row * shuffle + part) * cols + first_col) * outputs;
                    let (together, rest) = (count / neighbours, count % neighbours);
                    let (data, stride, write) = (&mut self.out[at..], neighbours * outputs, self.write);
                    let mut target = Target { data, stride, outputs: 0..stride, write };
                    multiply(lanes, &taps(0), panels, together, &mut target);
                    if rest > 0 {
                        let data = &mut self.out[at + together * stride..];
                        let mut target = Target { data, stride, outputs: 0..rest * outputs, write };
                        multiply(lanes, &taps(together * neighbours), panels, 1, &mut target);
                    }
                }
            }
        }
    }
}
