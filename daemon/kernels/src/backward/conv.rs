//! Convolutions of whole maps, and their gradients.
//!
//! - *Forward*: each strip of rows is copied with what lies around it, and multiplied as in
//!   [`Conv`](crate::Conv).
//! - *Gradient of the input*: a convolution of the result's gradient with the kernel turned round. With a stride
//!   s, the rows and columns of the input fall into s x s classes that see different parts of the kernel: each
//!   class is a convolution with its own part. The gradient of the padding is added to where it came from.
//! - Both of 3x3 with a stride of 1: by Winograd's method where that is faster ([`winograd`]).
//! - *Gradient of the weights*: [`product`](super::product).

use std::borrow::Cow;
use std::ops::Range;

use rayon::prelude::*;

use super::product::{Pixels, SLACK, add_products, padded_inputs};
use super::window::{Border, add, copy_window, fold_row, rows_made_from};
use super::winograd;
use super::{Piece, count, pieces, strip_rows, sum_in_order};
use crate::cpu::{Cpu, Kernel, Lanes};
use crate::gemm::{Panels, Taps, Target, Write, multiply};
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

    /// Convolves maps of `shape`.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn forward(&self, cpu: Cpu, weights: ConvWeights, x: &[f32], shape: Shape) -> Vec<f32> {
        let cpu = cpu.single();
        let (kernel, outputs, inputs) = (self.kernel, weights.bias.len(), shape.channels);
        let out_shape = self.sizes(shape, outputs);
        assert_eq!(weights.weight.len(), outputs * inputs * kernel * kernel);
        if winograd::pays(self, inputs, outputs) {
            return winograd::forward(self, cpu, weights, x, shape, out_shape);
        }
        let panels = Panels::new(cpu, kernel * kernel * inputs, weights.bias.to_vec(), |i, o| {
            let (tap, input) = (i / inputs, i % inputs);
            weights.weight[(o * inputs + input) * kernel * kernel + tap]
        });
        let mut out = vec![0.0; count(x, shape) * out_shape.len()];
        let strip = strip_rows(out_shape.cols);
        let maps = out.par_chunks_mut(out_shape.len()).zip(x.par_chunks_exact(shape.len()));
        maps.for_each(|(out, x)| {
            let strips = out.par_chunks_mut(strip * out_shape.row_len()).enumerate();
            strips.for_each_init(Vec::new, |window, (i, out)| {
                cpu.run(Forward {
                    conv: self,
                    panels: &panels,
                    x,
                    shape,
                    out_shape,
                    first: i * strip,
                    window,
                    out,
                });
            });
        });
        out
    }

    /// The gradient of what goes into the activation, from the result and its gradient.
    pub fn before_activation<'a>(&self, result: &[f32], gradient: &'a [f32]) -> Cow<'a, [f32]> {
        if self.slope == 1.0 {
            return Cow::Borrowed(gradient);
        }
        let mut masked = vec![0.0; gradient.len()];
        let parts = masked.par_chunks_mut(PART).zip(gradient.par_chunks(PART)).zip(result.par_chunks(PART));
        parts.for_each(|((masked, gradient), result)| {
            for ((masked, gradient), result) in masked.iter_mut().zip(gradient).zip(result) {
                *masked = if *result > 0.0 { *gradient } else { *gradient * self.slope };
            }
        });
        Cow::Owned(masked)
    }

    /// The gradient of maps of `shape`, from the result's, which no activation follows.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn input_gradient(&self, cpu: Cpu, weights: ConvWeights, gradient: &[f32], shape: Shape) -> Vec<f32> {
        let cpu = cpu.single();
        let out_shape = self.sizes(shape, weights.bias.len());
        assert_eq!(weights.weight.len(), shape.channels * out_shape.channels * self.kernel * self.kernel);
        if winograd::pays(self, shape.channels, out_shape.channels) {
            return winograd::input_gradient(self, cpu, weights, gradient, shape, out_shape);
        }
        let parts = Parts::new(cpu, self, weights.weight, shape, out_shape);
        let mut input_gradient = vec![0.0; count(gradient, out_shape) * shape.len()];
        let strip = strip_rows(shape.cols);
        let maps = input_gradient.par_chunks_mut(shape.len()).zip(gradient.par_chunks_exact(out_shape.len()));
        maps.for_each(|(out, gradient)| {
            let strips = out.par_chunks_mut(strip * shape.row_len()).enumerate();
            strips.for_each_init(Default::default, |scratch, (i, out)| {
                cpu.run(Backward { parts: &parts, gradient, first: i * strip, scratch, out });
            });
        });
        input_gradient
    }

    /// The gradients of the weights, `[outputs, inputs, kernel, kernel]`, and of the bias, from maps of `shape`
    /// and the gradient of a result with `outputs` channels, which no activation follows.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn weight_gradients(
        &self,
        cpu: Cpu,
        x: &[f32],
        shape: Shape,
        gradient: &[f32],
        outputs: usize,
    ) -> (Vec<f32>, Vec<f32>) {
        let cpu = cpu.single();
        let out_shape = self.sizes(shape, outputs);
        let maps = count(x, shape);
        assert_eq!(gradient.len(), maps * out_shape.len());
        let sums = sum_in_order(pieces(maps, out_shape.rows), Default::default, |scratch, piece| {
            cpu.run(Weights { conv: self, x, gradient, shape, out_shape, piece, scratch })
        });
        cpu.run(Unpack { kernel: self.kernel, inputs: shape.channels, outputs, sums: &sums })
    }
}

/// Values that a thread takes at a time where there is nothing but values.
const PART: usize = 1 << 14;

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
        // Without padding, what is read lies where it is.
        let (data, row_len, first) = if pad == 0 {
            (self.x, self.shape.row_len(), self.first * stride)
        } else {
            let window = Window::new(self.conv, self.first..self.first + rows, out_shape.cols);
            window.copy(self.x, self.shape, self.conv.border, self.window);
            (&self.window[..], window.row_len(inputs), 0)
        };
        for (row, out) in self.out.chunks_exact_mut(out_shape.row_len()).enumerate() {
            let taps = Taps {
                data,
                start: (first + row * stride) * row_len,
                rows: kernel,
                row_stride: row_len,
                len: kernel * inputs,
                pixel_stride: stride * inputs,
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
        out.resize(self.rows * self.row_len(shape.channels) + SLACK, 0.0);
        let rows = self.first_row..self.first_row + self.rows as isize;
        let cols = self.first_col..self.first_col + self.cols as isize;
        copy_window(map, shape, rows, cols, border, out);
    }
}

/// The parts of a kernel, turned round, that the classes of input rows and columns see.
struct Parts<'a> {
    conv: &'a WholeConv,
    shape: Shape,
    out_shape: Shape,
    /// Row class by row class, column class by column class.
    panels: Vec<Panels>,
}

impl<'a> Parts<'a> {
    fn new(cpu: Cpu, conv: &'a WholeConv, weight: &[f32], shape: Shape, out_shape: Shape) -> Self {
        let WholeConv { kernel, stride, .. } = *conv;
        let (inputs, outputs) = (shape.channels, out_shape.channels);
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
        let panels = (0..stride * stride).map(part).collect();
        Self { conv, shape, out_shape, panels }
    }
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
    parts: &'a Parts<'a>,
    gradient: &'a [f32],
    first: usize,
    scratch: &'a mut Scratch,
    out: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Parts { conv, shape, out_shape, ref panels } = *self.parts;
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
        window.copy(self.gradient, out_shape, Border::Zero, &mut self.scratch.window);
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
                        start: (start_row * window.cols + reach + 1 - tap_cols) * outputs,
                        rows: tap_rows,
                        row_stride: window.row_len(outputs),
                        len: tap_cols * outputs,
                        pixel_stride: outputs,
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
    gradient: &'a [f32],
    shape: Shape,
    out_shape: Shape,
    piece: Piece,
    scratch: &'a mut Scratch,
}

impl Kernel for Weights<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) -> Vec<f32> {
        let WholeConv { kernel, stride, border, .. } = *self.conv;
        let Shape { cols, channels: outputs, .. } = self.out_shape;
        let inputs = self.shape.channels;
        let width = outputs.next_multiple_of(L::COUNT);
        let taps = padded_inputs::<L>(kernel * inputs);
        let mut all = vec![0.0; (kernel * taps + 1) * width];
        let (sums, bias) = all.split_at_mut(kernel * taps * width);
        let x = &self.x[self.piece.map * self.shape.len()..][..self.shape.len()];
        let gradient = &self.gradient[self.piece.map * self.out_shape.len()..][..self.out_shape.len()];
        let Scratch { window: values, row: packed } = self.scratch;
        for rows in self.piece.strips(cols) {
            let window = Window::new(self.conv, rows.clone(), cols);
            window.copy(x, self.shape, border, values);
            packed.resize(rows.len() * cols * width, 0.0);
            let from = &gradient[rows.start * self.out_shape.row_len()..];
            for (to, from) in packed.chunks_exact_mut(width).zip(from.chunks_exact(outputs)) {
                to[..outputs].copy_from_slice(from);
                add(bias, from);
            }
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
