//! Convolutions.

#![allow(unsafe_code)]

use std::sync::Arc;

use cudarc::driver::DeviceRepr;

use super::bench::{Arg, Batch, Values, Workbench, blocks, each, ints};
use super::pixels::is_of_colours;
use crate::Error;

/// A convolution of whole maps, and the activation after it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conv {
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Rows and columns from one output to the next; at most the kernel's.
    pub stride: usize,
    /// Rows and columns added at each side.
    pub pad: usize,
    /// Do they repeat the border, or are they zero?
    pub repeats: bool,
    /// What negative results are multiplied with: 1 for no activation, 0 for ReLU.
    pub slope: f32,
}

/// The gradients of a convolution's weights.
#[derive(Debug)]
pub struct WeightGradients {
    /// `[outputs, inputs, kernel, kernel]`
    pub weight: Values,
    /// `[outputs]`
    pub bias: Values,
}

/// `Gather` of `kernels/training/product.cuh`.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub(super) struct Gather {
    in_rows: i32,
    in_cols: i32,
    channels: i32,
    rows: i32,
    cols: i32,
    outputs: i32,
    taps_y: i32,
    taps_x: i32,
    stride: i32,
    step: i32,
    first_y: i32,
    first_x: i32,
    repeats: i32,
    kernel: i32,
    weight_y: i32,
    weight_x: i32,
    weight_step: i32,
    place: i32,
    place_y: i32,
    place_x: i32,
    place_rows: i32,
    place_cols: i32,
    slope: f32,
    maps: i32,
}

// SAFETY: It is the struct of the same fields, in the same order, in C.
unsafe impl DeviceRepr for Gather {}

/// The pixels that a block computes, and its threads.
const PIXELS: usize = 128;
const THREADS: usize = 128;
const DEPTH: usize = 16;
const WORD: usize = size_of::<u32>();

/// Rows and columns of a weight's gradient that a block computes, and the shared memory that it needs.
const GRADIENT_SIDE: usize = 64;
const GRADIENT_SHARED: usize = (2 * DEPTH * (GRADIENT_SIDE + 8) + 3 * DEPTH) * WORD;
/// About how many blocks a gradient of weights is computed by.
const GRADIENT_BLOCKS: usize = 512;
/// Pixels whose sum is worth a block.
const LEAST_PIXELS: usize = 256;

fn int(value: usize) -> i32 {
    i32::try_from(value).expect("sizes of crops")
}

impl Conv {
    /// The shape of the result with so many channels, if maps of this shape can be convolved.
    pub fn output(&self, x: Batch, outputs: usize) -> Option<Batch> {
        let size = |length: usize| Some((length + 2 * self.pad).checked_sub(self.kernel)? / self.stride + 1);
        let (rows, cols) = size(x.rows).zip(size(x.cols))?;
        let fits = (1..=self.kernel).contains(&self.stride) && x.len() * outputs > 0;
        fits.then_some(Batch { maps: x.maps, rows, cols, channels: outputs })
    }

    fn sizes(&self, x: Batch, outputs: usize) -> Batch {
        self.output(x, outputs).expect("maps that can be convolved")
    }

    /// The pixels that each result is made of.
    fn gather(&self, x: Batch, out: Batch) -> Gather {
        Gather {
            in_rows: int(x.rows),
            in_cols: int(x.cols),
            channels: int(x.channels),
            rows: int(out.rows),
            cols: int(out.cols),
            outputs: int(out.channels),
            taps_y: int(self.kernel),
            taps_x: int(self.kernel),
            stride: int(self.stride),
            step: 1,
            first_y: -int(self.pad),
            first_x: -int(self.pad),
            repeats: self.repeats.into(),
            kernel: int(self.kernel),
            weight_y: 0,
            weight_x: 0,
            weight_step: 1,
            place: 1,
            place_y: 0,
            place_x: 0,
            place_rows: int(out.rows),
            place_cols: int(out.cols),
            slope: self.slope,
            maps: int(x.maps),
        }
    }

    /// Convolves maps, and adds `added` after the activation.
    ///
    /// # Errors
    /// If the GPU's memory is full, or it fails.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn forward(
        &self,
        bench: &Arc<Workbench>,
        x: &Values,
        shape: Batch,
        weights: (&Values, &Values),
        added: Option<&Values>,
    ) -> Result<Values, Error> {
        let (weight, bias) = weights;
        let out_shape = self.sizes(shape, bias.len());
        let taps = self.kernel * self.kernel;
        assert!(x.len() == shape.len() && weight.len() == taps * shape.channels * bias.len());
        assert!(added.is_none_or(|added| added.len() == out_shape.len()));
        if is_of_colours(self.kernel, shape.channels, bias.len()) {
            let sizes = [shape.channels, bias.len()];
            return bench.colours(x, (weight, false), (Some(bias), added), sizes, self.slope);
        }
        let weight = bench.arranged(weight, bias.len(), shape.channels, taps, false)?;
        let mut out = bench.room(out_shape.len())?;
        bench.gather(self.gather(shape, out_shape), x, &weight, (Some(bias), added), &mut out)?;
        Ok(out)
    }

    /// The gradient of maps of `shape`, from the result's, which no activation follows.
    ///
    /// # Errors
    /// If the GPU's memory is full, or it fails.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn input_gradient(
        &self,
        bench: &Arc<Workbench>,
        weight: &Values,
        gradient: &Values,
        shape: Batch,
    ) -> Result<Values, Error> {
        let taps = self.kernel * self.kernel;
        let outputs = weight.len() / (taps * shape.channels);
        let out_shape = self.sizes(shape, outputs);
        assert!(weight.len() == taps * shape.channels * outputs && gradient.len() == out_shape.len());
        if is_of_colours(self.kernel, shape.channels, outputs) {
            return bench.colours(gradient, (weight, true), (None, None), [outputs, shape.channels], 1.0);
        }
        let weight = bench.arranged(weight, outputs, shape.channels, taps, true)?;
        // With repeated borders that of the padding, too, which is then added to where it came from.
        let folds = self.repeats && self.pad > 0;
        let skipped = if folds { 0 } else { self.pad };
        let grown = if folds { 2 * self.pad } else { 0 };
        let padded = Batch { rows: shape.rows + grown, cols: shape.cols + grown, ..shape };
        let mut out = bench.room(padded.len())?;
        // Rows and columns fall into classes that see different taps.
        for (class_y, class_x) in (0..self.stride).flat_map(|y| (0..self.stride).map(move |x| (y, x))) {
            // The first row of the class, and how many there are; which row of the gradient its first tap sees.
            let along = |class: usize, length: usize| {
                let first = (class + self.stride - skipped % self.stride) % self.stride;
                let count = length.saturating_sub(first).div_ceil(self.stride);
                let seen = (first + skipped - class) / self.stride;
                let taps = self.kernel.saturating_sub(class).div_ceil(self.stride);
                (first, count, seen, taps)
            };
            let (place_y, rows, first_y, taps_y) = along(class_y, padded.rows);
            let (place_x, cols, first_x, taps_x) = along(class_x, padded.cols);
            if rows == 0 || cols == 0 {
                continue;
            }
            let gather = Gather {
                in_rows: int(out_shape.rows),
                in_cols: int(out_shape.cols),
                channels: int(outputs),
                rows: int(rows),
                cols: int(cols),
                outputs: int(shape.channels),
                taps_y: int(taps_y),
                taps_x: int(taps_x),
                stride: 1,
                step: -1,
                first_y: int(first_y),
                first_x: int(first_x),
                repeats: 0,
                kernel: int(self.kernel),
                weight_y: int(class_y),
                weight_x: int(class_x),
                weight_step: int(self.stride),
                place: int(self.stride),
                place_y: int(place_y),
                place_x: int(place_x),
                place_rows: int(padded.rows),
                place_cols: int(padded.cols),
                slope: 1.0,
                maps: int(shape.maps),
            };
            bench.gather(gather, gradient, &weight, (None, None), &mut out)?;
        }
        if !folds {
            return Ok(out);
        }
        let mut folded = bench.room(shape.len())?;
        let sizes = [shape.maps, shape.rows, shape.cols, shape.channels, self.pad];
        bench.run(
            "fold_borders",
            each(shape.len()),
            &[&[Arg::In(&out), Arg::Out(&mut folded)], &ints(sizes)],
        )?;
        Ok(folded)
    }

    /// The gradients of weights and bias, from the result's, which no activation follows.
    ///
    /// # Errors
    /// If the GPU's memory is full, or it fails.
    ///
    /// # Panics
    /// If the lengths don't fit together.
    pub fn weight_gradients(
        &self,
        bench: &Arc<Workbench>,
        x: &Values,
        shape: Batch,
        gradient: &Values,
        outputs: usize,
    ) -> Result<WeightGradients, Error> {
        let out_shape = self.sizes(shape, outputs);
        assert!(x.len() == shape.len() && gradient.len() == out_shape.len());
        let taps = self.kernel * self.kernel;
        // One row more, for the bias.
        let rows = taps * shape.channels + 1;
        let tiles = [rows.div_ceil(GRADIENT_SIDE), outputs.div_ceil(GRADIENT_SIDE)];
        let pixels = out_shape.pixels();
        let parts = GRADIENT_BLOCKS.div_ceil(tiles[0] * tiles[1]).min(pixels.div_ceil(LEAST_PIXELS));
        let pixels_a_part = pixels.div_ceil(parts).next_multiple_of(DEPTH);
        let parts = pixels.div_ceil(pixels_a_part);
        let mut sums = bench.room(parts * rows * outputs)?;
        let config = blocks([tiles[0], tiles[1], parts], THREADS, GRADIENT_SHARED);
        let gather = Arg::Gather(self.gather(shape, out_shape));
        let args = [Arg::In(x), Arg::In(gradient), Arg::Out(&mut sums), gather, Arg::Int(pixels_a_part)];
        bench.run("weight_parts", config, &[&args])?;
        bench.summed(&sums, parts, taps, shape.channels, outputs)
    }
}

impl Workbench {
    /// Weights in the order in which products read them.
    pub(super) fn arranged(
        self: &Arc<Self>,
        weight: &Values,
        outputs: usize,
        inputs: usize,
        taps: usize,
        turned: bool,
    ) -> Result<Values, Error> {
        let mut out = self.room(weight.len())?;
        let sizes = ints([outputs, inputs, taps, turned.into()]);
        self.run("arrange_weights", each(weight.len()), &[&[Arg::In(weight), Arg::Out(&mut out)], &sizes])?;
        Ok(out)
    }

    /// The gradients of weights from their sums over parts, `[parts, taps * channels + 1, outputs]`: the last row is the
    /// bias's.
    pub(super) fn summed(
        self: &Arc<Self>,
        sums: &Values,
        parts: usize,
        taps: usize,
        channels: usize,
        outputs: usize,
    ) -> Result<WeightGradients, Error> {
        let weights = taps * channels * outputs;
        let (mut weight, mut bias) = (self.room(weights)?, self.room(outputs)?);
        let values = [Arg::In(sums), Arg::Out(&mut weight), Arg::Out(&mut bias)];
        let sizes = ints([parts, taps, channels, outputs]);
        self.run("sum_weights", each(weights + outputs), &[&values, &sizes])?;
        Ok(WeightGradients { weight, bias })
    }

    fn gather(
        &self,
        gather: Gather,
        source: &Values,
        weight: &Values,
        (bias, added): (Option<&Values>, Option<&Values>),
        out: &mut Values,
    ) -> Result<(), Error> {
        let outputs = gather.outputs as usize;
        let (kernel, side) = match outputs {
            0..=16 => ("gather_16", 16),
            17..=32 => ("gather_32", 32),
            _ => ("gather_64", 64),
        };
        let pixels = gather.maps as usize * gather.rows as usize * gather.cols as usize;
        let shared = (PIXELS * (DEPTH + 4) + DEPTH * (side + 8)) * WORD;
        let config = blocks([pixels.div_ceil(PIXELS), outputs.div_ceil(side), 1], THREADS, shared);
        let (bias, added) = (Arg::Maybe(bias), Arg::Maybe(added));
        let args = [Arg::In(source), Arg::In(weight), bias, added, Arg::Out(out), Arg::Gather(gather)];
        self.run(kernel, config, &[&args])
    }
}
