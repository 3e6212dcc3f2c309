//! Convolutions of whole maps, and their gradients.
//!
//! - *Forward*: each strip of rows is copied with what lies around it, and multiplied as in
//!   [`Conv`](crate::Conv).
//! - *Gradient of the input*: a convolution of the result's gradient with the kernel turned round. With a stride
//!   s, the rows and columns of the input fall into s x s classes that see different parts of the kernel: each
//!   class is a convolution with its own part. The gradient of the padding is added to where it came from.
//! - Both of 3x3 with a stride of 1: by Winograd's method where that is faster ([`winograd`]).
//! - *Gradient of the weights*: [`product`](super::product).

use std::ops::Range;

use rayon::prelude::*;

use super::product::{Pixels, SLACK, add_products, padded_inputs};
use super::window::{Border, Resulting, add, copy_window, fold_row, mask, mask_window, rows_made_from};
use super::winograd;
use super::{Piece, count, pieces, sum_in_order};
use crate::cpu::{Cpu, Kernel, Lanes};
use crate::gemm::{Panels, Taps, Target, Write, multiply, pack};
use crate::winograd::Winograd;
use crate::{ConvWeights, Shape};

/// A convolution of whole maps, and the activation after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WholeConv {
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Rows and columns from one output to the next; at most the kernel's.
    pub stride: usize,
    /// Rows and columns added at each side.
    pub pad: usize,
    /// What they hold.
    pub border: Border,
    /// What negative results are multiplied with: 1 for no activation, 0 for ReLU.
    pub slope: f32,
}

impl WholeConv {
    /// With a stride of 1, padded by replication to the input's size, and no activation.
    pub const fn same(kernel: usize) -> Self {
        Self { kernel, stride: 1, pad: kernel / 2, border: Border::Replicate, slope: 1.0 }
    }

    /// The shape of a result with so many channels, if maps of this shape can be convolved.
    pub fn output_shape(&self, shape: Shape, outputs: usize) -> Option<Shape> {
        let size = |length: usize| Some((length + 2 * self.pad).checked_sub(self.kernel)? / self.stride + 1);
        let fits = (1..=self.kernel).contains(&self.stride) && shape.len() * outputs > 0;
        let (rows, cols) = size(shape.rows).zip(size(shape.cols))?;
        fits.then_some(Shape::new(rows, cols, outputs))
    }

    fn sizes(&self, shape: Shape, outputs: usize) -> Shape {
        self.output_shape(shape, outputs).expect("maps that can be convolved")
    }

    /// Lays out weights to convolve maps with them.
    ///
    /// # Panics
    /// If there are not as many weights as the bias and the kernel say.
    pub fn with_weights(self, cpu: Cpu, weights: ConvWeights) -> ForwardConv {
        let (inputs, outputs) = self.channels(weights);
        let (taps, even) = (self.kernel * self.kernel, for_pixels_of(cpu, inputs));
        ForwardConv(if winograd::pays(&self, inputs, outputs) {
            let way = Way::Winograd(winograd::of_forward(cpu, weights));
            LaidOut { conv: self, cpu, inputs, outputs, way }
        } else {
            let panels = Panels::new(even, taps * inputs, weights.bias.to_vec(), |i, o| {
                let (tap, input) = (i / inputs, i % inputs);
                weights.weight[(o * inputs + input) * taps + tap]
            });
            LaidOut { conv: self, cpu: even, inputs, outputs, way: Way::Direct(vec![panels]) }
        })
    }

    /// Lays out weights to pass gradients back through them.
    ///
    /// # Panics
    /// If there are not as many weights as the bias and the kernel say.
    pub fn with_turned_weights(self, cpu: Cpu, weights: ConvWeights) -> BackwardConv {
        let (inputs, outputs) = self.channels(weights);
        let even = for_pixels_of(cpu, outputs);
        BackwardConv(if winograd::pays(&self, inputs, outputs) {
            let way = Way::Winograd(winograd::of_input_gradient(cpu, weights));
            LaidOut { conv: self, cpu, inputs, outputs, way }
        } else {
            let way = Way::Direct(turned(even, &self, weights.weight, inputs, outputs));
            LaidOut { conv: self, cpu: even, inputs, outputs, way }
        })
    }

    /// Input and output channels.
    fn channels(&self, weights: ConvWeights) -> (usize, usize) {
        let (len, outputs, taps) = (weights.weight.len(), weights.bias.len(), self.kernel * self.kernel);
        let inputs = len / (outputs * taps);
        assert_eq!(len, outputs * inputs * taps);
        (inputs, outputs)
    }

    /// Convolves maps of `shape`.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn forward(&self, cpu: Cpu, weights: ConvWeights, x: &[f32], shape: Shape) -> Vec<f32> {
        self.with_weights(cpu, weights).run(x, shape)
    }

    /// The gradient of maps of `shape`, from the result and its gradient.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn input_gradient(
        &self,
        cpu: Cpu,
        weights: ConvWeights,
        result: Resulting,
        shape: Shape,
    ) -> Vec<f32> {
        self.with_turned_weights(cpu, weights).run(result, shape)
    }

    /// The gradients of the weights, `[outputs, inputs, kernel, kernel]`, and of the bias, from maps of `shape` and a
    /// result with `outputs` channels and its gradient. Never rounded to bf16.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn weight_gradients(
        &self,
        cpu: Cpu,
        x: &[f32],
        shape: Shape,
        result: Resulting,
        outputs: usize,
    ) -> (Vec<f32>, Vec<f32>) {
        let cpu = cpu.single();
        let out_shape = self.sizes(shape, outputs);
        let maps = count(x, shape);
        result.check(maps * out_shape.len(), self.slope);
        let sums = sum_in_order(pieces(maps, out_shape.rows), Default::default, |scratch, piece| {
            cpu.run(Weights { conv: self, x, result, shape, out_shape, piece, scratch })
        });
        cpu.run(Unpack { kernel: self.kernel, inputs: shape.channels, outputs, sums: &sums })
    }
}

/// A convolution with weights, laid out for a CPU.
#[derive(Debug)]
pub struct ForwardConv(LaidOut);

/// The way back through a convolution with weights, laid out for a CPU: from a result and its gradient to its input's.
#[derive(Debug)]
pub struct BackwardConv(LaidOut);

#[derive(Debug)]
struct LaidOut {
    conv: WholeConv,
    cpu: Cpu,
    inputs: usize,
    outputs: usize,
    way: Way,
}

#[derive(Debug)]
enum Way {
    /// As it is defined. On the way back it has a part of the kernel, turned round, for each class of input rows and
    /// columns: row class by row class, column class by column class.
    Direct(Vec<Panels>),
    Winograd(Winograd),
}

/// Words of two inputs are made of pixels with an even number of channels.
fn for_pixels_of(cpu: Cpu, channels: usize) -> Cpu {
    if channels.is_multiple_of(2) { cpu } else { cpu.single() }
}

impl ForwardConv {
    /// Convolves maps of `shape`.
    ///
    /// # Panics
    /// If these are no such maps, or have other channels than the weights.
    pub fn run(&self, x: &[f32], shape: Shape) -> Vec<f32> {
        let LaidOut { ref conv, cpu, inputs, outputs, ref way } = self.0;
        assert_eq!(shape.channels, inputs);
        let out_shape = conv.sizes(shape, outputs);
        let panels = match way {
            Way::Winograd(winograd) => {
                return winograd::forward(conv, cpu, winograd, (x, shape), out_shape);
            }
            Way::Direct(panels) => &panels[0],
        };
        let mut out = vec![0.0; count(x, shape) * out_shape.len()];
        let strip = window_rows(shape).saturating_sub(conv.kernel) / conv.stride + 1;
        let maps = out.par_chunks_mut(out_shape.len()).zip(x.par_chunks_exact(shape.len()));
        maps.for_each(|(out, x)| {
            let strips = out.par_chunks_mut(strip * out_shape.row_len()).enumerate();
            strips.for_each_init(Vec::new, |window, (i, out)| {
                cpu.run(Forward { conv, panels, x, shape, out_shape, first: i * strip, window, out });
            });
        });
        out
    }
}

impl BackwardConv {
    /// See [`WholeConv::input_gradient`].
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn run(&self, result: Resulting, shape: Shape) -> Vec<f32> {
        let LaidOut { ref conv, cpu, inputs, outputs, ref way } = self.0;
        assert_eq!(shape.channels, inputs);
        let out_shape = conv.sizes(shape, outputs);
        let panels = match way {
            Way::Winograd(winograd) => {
                return winograd::input_gradient(conv, cpu, winograd, (result, out_shape), shape);
            }
            Way::Direct(panels) => panels,
        };
        let maps = count(result.gradient, out_shape);
        result.check(maps * out_shape.len(), conv.slope);
        let mut input_gradient = vec![0.0; maps * shape.len()];
        let strip = (window_rows(out_shape).saturating_sub(conv.kernel) + 1) * conv.stride;
        input_gradient.par_chunks_mut(shape.len()).enumerate().for_each(|(map, out)| {
            let result = result.map(map, out_shape, conv.slope);
            let strips = out.par_chunks_mut(strip * shape.row_len()).enumerate();
            strips.for_each_init(Default::default, |scratch, (i, out)| {
                let first = i * strip;
                cpu.run(Backward { conv, panels, shape, out_shape, result, first, scratch, out });
            });
        });
        input_gradient
    }
}

/// Bytes of a window that stay in the second-level cache beside the weights.
const WINDOW_BYTES: usize = 256 << 10;

/// Rows of maps that a window has, so that the rows that neighbouring windows share are few.
fn window_rows(shape: Shape) -> usize {
    WINDOW_BYTES / (shape.row_len() * size_of::<f32>())
}

/// Some rows of a result.
struct Forward<'a> {
    conv: &'a WholeConv,
    panels: &'a Panels,
    x: &'a [f32],
    shape: Shape,
    out_shape: Shape,
    first: usize,
    window: &'a mut Vec<f32>,
    out: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let WholeConv { kernel, stride, pad, slope, .. } = *self.conv;
        let (inputs, out_shape) = (self.shape.channels, self.out_shape);
        let rows = self.out.len() / out_shape.row_len();
        // Without padding, what is read lies where it is, if it needn't become words.
        let (data, row_len, first) = if pad == 0 && L::INPUTS == 1 {
            (self.x, self.shape.row_len(), self.first * stride)
        } else {
            let window = Window::new(self.conv, self.first..self.first + rows, out_shape.cols);
            window.copy(self.x, self.shape, self.conv.border, self.window);
            pack(lanes, self.window);
            (&self.window[..], window.row_len(inputs) / L::INPUTS, 0)
        };
        let pixel = inputs / L::INPUTS;
        for (row, out) in self.out.chunks_exact_mut(out_shape.row_len()).enumerate() {
            let taps = Taps {
                data,
                start: (first + row * stride) * row_len,
                rows: kernel,
                row_stride: row_len,
                len: kernel * pixel,
                pixel_stride: stride * pixel,
            };
            let write = if slope == 1.0 { Write::Store } else { Write::Leaky(slope) };
            let outputs = out_shape.channels;
            let mut target = Target { data: out, stride: outputs, outputs: 0..outputs, write };
            multiply(lanes, &taps, self.panels, out_shape.cols, &mut target);
        }
    }
}

/// What some rows of a result are made from, of the padded input.
struct Window {
    first_row: isize,
    rows: usize,
    first_col: isize,
    cols: usize,
}

impl Window {
    fn new(conv: &WholeConv, rows: Range<usize>, cols: usize) -> Self {
        let pad = conv.pad as isize;
        Self {
            first_row: (rows.start * conv.stride) as isize - pad,
            rows: (rows.len() - 1) * conv.stride + conv.kernel,
            first_col: -pad,
            cols: (cols - 1) * conv.stride + conv.kernel,
        }
    }

    fn row_len(&self, channels: usize) -> usize {
        self.cols * channels
    }

    fn copy(&self, map: &[f32], shape: Shape, border: Border, out: &mut Vec<f32>) {
        // Whole vectors on every CPU.
        out.resize((self.rows * self.row_len(shape.channels) + SLACK).next_multiple_of(16), 0.0);
        let rows = self.first_row..self.first_row + self.rows as isize;
        let cols = self.first_col..self.first_col + self.cols as isize;
        copy_window(map, shape, rows, cols, border, out);
    }

    /// Takes a copied gradient back through the activation.
    #[inline(always)]
    fn mask(&self, result: Resulting, shape: Shape, slope: f32, gradient: &mut [f32]) {
        let rows = self.first_row..self.first_row + self.rows as isize;
        let cols = self.first_col..self.first_col + self.cols as isize;
        mask_window(result.values, slope, shape, rows, cols, gradient);
    }
}

/// The parts of a kernel, turned round; see [`Way::Direct`].
fn turned(cpu: Cpu, conv: &WholeConv, weight: &[f32], inputs: usize, outputs: usize) -> Vec<Panels> {
    let WholeConv { kernel, stride, .. } = *conv;
    let part = |class: usize| {
        let (row_class, col_class) = (class / stride, class % stride);
        let (rows, cols) = (taps(conv, row_class), taps(conv, col_class));
        Panels::new(cpu, rows * cols * outputs, vec![0.0; inputs], |i, input| {
            let (row, col, output) = (i / outputs / cols, i / outputs % cols, i % outputs);
            let ky = row_class + stride * (rows - 1 - row);
            let kx = col_class + stride * (cols - 1 - col);
            weight[((output * inputs + input) * kernel + ky) * kernel + kx]
        })
    };
    (0..stride * stride).map(part).collect()
}

/// How many rows of the kernel input rows of a class see.
fn taps(conv: &WholeConv, class: usize) -> usize {
    (conv.kernel - class).div_ceil(conv.stride)
}

/// A thread's buffers.
#[derive(Default)]
struct Scratch {
    window: Vec<f32>,
    /// A row of the padded input's gradient, or the result's gradient in whole vectors.
    row: Vec<f32>,
}

/// Some rows of the input's gradient.
struct Backward<'a> {
    conv: &'a WholeConv,
    panels: &'a [Panels],
    shape: Shape,
    out_shape: Shape,
    result: Resulting<'a>,
    first: usize,
    scratch: &'a mut Scratch,
    out: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { conv, panels, shape, out_shape, .. } = self;
        let WholeConv { stride, pad, border, .. } = *conv;
        let (inputs, outputs) = (shape.channels, out_shape.channels);
        let padded_cols = shape.cols + 2 * pad;
        // The most rows and columns of the gradient that any row and column of the input sees, before its own.
        let reach = taps(conv, 0) - 1;
        let last = self.first + self.out.len() / shape.row_len() - 1;
        let first_row = rows_made_from(self.first, shape.rows, pad, border).start / stride;
        let last_row = (rows_made_from(last, shape.rows, pad, border).end - 1) / stride;
        let window = Window {
            first_row: first_row as isize - reach as isize,
            rows: last_row - first_row + 1 + reach,
            first_col: -(reach as isize),
            cols: padded_cols.div_ceil(stride) + reach,
        };
        window.copy(self.result.gradient, out_shape, Border::Zero, &mut self.scratch.window);
        window.mask(self.result, out_shape, conv.slope, &mut self.scratch.window);
        pack(lanes, &mut self.scratch.window);
        let pixel = outputs / L::INPUTS;
        self.scratch.row.resize(padded_cols * inputs, 0.0);
        for (i, out) in self.out.chunks_exact_mut(shape.row_len()).enumerate() {
            for row in rows_made_from(self.first + i, shape.rows, pad, border) {
                // Without padding a row is made from itself alone.
                let wide = if pad == 0 { &mut *out } else { &mut self.scratch.row[..] };
                for class in 0..stride {
                    let (tap_rows, tap_cols) = (taps(conv, row % stride), taps(conv, class));
                    let start_row = row / stride - first_row + reach + 1 - tap_rows;
                    let taps = Taps {
                        data: &self.scratch.window,
                        start: (start_row * window.cols + reach + 1 - tap_cols) * pixel,
                        rows: tap_rows,
                        row_stride: window.row_len(pixel),
                        len: tap_cols * pixel,
                        pixel_stride: pixel,
                    };
                    let panels = &panels[row % stride * stride + class];
                    let count = (padded_cols - class).div_ceil(stride);
                    let mut target = Target {
                        data: &mut wide[class * inputs..],
                        stride: stride * inputs,
                        outputs: 0..inputs,
                        write: Write::Store,
                    };
                    multiply(lanes, &taps, panels, count, &mut target);
                }
                if pad > 0 {
                    fold_row(&self.scratch.row, inputs, pad, border, out);
                }
            }
        }
    }
}

/// What a piece of the result adds to the gradients of weights and bias: for each kernel row its taps, in whole
/// register tiles, by outputs, in whole vectors; then the bias.
struct Weights<'a> {
    conv: &'a WholeConv,
    x: &'a [f32],
    result: Resulting<'a>,
    shape: Shape,
    out_shape: Shape,
    piece: Piece,
    scratch: &'a mut Scratch,
}

impl Kernel for Weights<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Vec<f32> {
        let WholeConv { kernel, stride, border, slope, .. } = *self.conv;
        let Shape { cols, channels: outputs, .. } = self.out_shape;
        let inputs = self.shape.channels;
        let width = outputs.next_multiple_of(L::COUNT);
        let taps = padded_inputs::<L>(kernel * inputs);
        let mut all = vec![0.0; (kernel * taps + 1) * width];
        let (sums, bias) = all.split_at_mut(kernel * taps * width);
        let x = &self.x[self.piece.map * self.shape.len()..][..self.shape.len()];
        let result = self.result.map(self.piece.map, self.out_shape, slope);
        let Scratch { window: values, row: packed } = self.scratch;
        for rows in self.piece.strips(cols) {
            let window = Window::new(self.conv, rows.clone(), cols);
            window.copy(x, self.shape, border, values);
            packed.resize(rows.len() * cols * width, 0.0);
            let first = rows.start * self.out_shape.row_len();
            let from = &result.gradient[first..];
            for (to, from) in packed.chunks_exact_mut(width).zip(from.chunks_exact(outputs)) {
                to[..outputs].copy_from_slice(from);
            }
            if slope != 1.0 {
                let values = &result.values[first..];
                for (to, values) in packed.chunks_exact_mut(width).zip(values.chunks_exact(outputs)) {
                    mask(&mut to[..outputs], values, slope);
                }
            }
            packed.chunks_exact(width).for_each(|pixel| add(bias, &pixel[..outputs]));
            let right = Pixels { data: packed, row_stride: cols * width, pixel_stride: width };
            for (ky, sums) in sums.chunks_exact_mut(taps * width).enumerate() {
                let row_len = window.row_len(inputs);
                let left = Pixels {
                    data: &values[ky * row_len..],
                    row_stride: stride * row_len,
                    pixel_stride: stride * inputs,
                };
                add_products(lanes, (rows.len(), cols), (left, kernel * inputs), (right, width), sums);
            }
        }
        all
    }
}

/// The gradients of weights and bias, from the sum of what [`Weights`] gave.
struct Unpack<'a> {
    kernel: usize,
    inputs: usize,
    outputs: usize,
    sums: &'a [f32],
}

impl Kernel for Unpack<'_> {
    type Output = (Vec<f32>, Vec<f32>);

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) -> Self::Output {
        let Self { kernel, inputs, outputs, sums } = self;
        let width = outputs.next_multiple_of(L::COUNT);
        let taps = padded_inputs::<L>(kernel * inputs);
        let mut weight = Vec::with_capacity(outputs * inputs * kernel * kernel);
        for output in 0..outputs {
            for input in 0..inputs {
                let tap = |i| i / kernel * taps + i % kernel * inputs + input;
                weight.extend((0..kernel * kernel).map(|i| sums[tap(i) * width + output]));
            }
        }
        (weight, sums[kernel * taps * width..][..outputs].to_vec())
    }
}
