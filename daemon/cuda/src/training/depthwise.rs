//! The depthwise 5x5 convolution, which repeats borders, and its gradients.

use std::sync::Arc;

use super::bench::{Arg, Batch, Values, Workbench, blocks, each, ints};
use super::conv::WeightGradients;
use crate::Error;

const TAPS: usize = 5 * 5;
/// Columns of a thread, and rows that it goes down (`kernels/training/depthwise.cuh`).
const RUN: usize = 2;
const STRIP: usize = 8;
const THREADS: usize = 128;

/// Threads of a block that sums gradients of weights, and about how many blocks there are.
const SUM_THREADS: usize = 256;
const SUM_BLOCKS: usize = 512;
/// Neighbouring channels of the same columns, at most.
const LANES: usize = 32;
/// Runs of columns and rows that are worth a thread.
const LEAST_RUNS: usize = 2;

/// Convolves maps of `shape` by `[channels, 5, 5]` weights, each channel for itself.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn depthwise_forward(
    bench: &Arc<Workbench>,
    x: &Values,
    shape: Batch,
    weight: &Values,
    bias: &Values,
) -> Result<Values, Error> {
    check(x, shape);
    assert!(weight.len() == TAPS * shape.channels && bias.len() == shape.channels);
    let weight = bench.arranged(weight, shape.channels, 1, TAPS, false)?;
    let mut out = bench.room(x.len())?;
    let args = [Arg::In(x), Arg::In(&weight), Arg::In(bias), Arg::Out(&mut out)];
    bench.depthwise("depthwise_forward", &args, shape)?;
    Ok(out)
}

/// The gradient of maps of `shape`, from that of what they were convolved to.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn depthwise_input_gradient(
    bench: &Arc<Workbench>,
    weight: &Values,
    gradient: &Values,
    shape: Batch,
) -> Result<Values, Error> {
    check(gradient, shape);
    let Batch { maps, rows, cols, channels } = shape;
    assert_eq!(weight.len(), TAPS * channels);
    let weight = bench.arranged(weight, channels, 1, TAPS, false)?;
    let mut out = bench.room(gradient.len())?;
    let args = [Arg::In(gradient), Arg::In(&weight), Arg::Out(&mut out)];
    bench.depthwise("depthwise_back", &args, shape)?;
    // Pixels at the border have a part in what repeats them, too.
    let border = rows.min(2) * cols + cols.min(2) * (rows - rows.min(2));
    let args = [Arg::In(&weight), Arg::In(gradient), Arg::Out(&mut out)];
    let sizes = ints([maps, rows, cols, channels]);
    bench.run("depthwise_back_border", each(maps * border * channels), &[&args, &sizes])?;
    Ok(out)
}

/// The gradients of weights and bias, from that of what `x` was convolved to.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn depthwise_weight_gradients(
    bench: &Arc<Workbench>,
    x: &Values,
    shape: Batch,
    gradient: &Values,
) -> Result<WeightGradients, Error> {
    check(x, shape);
    assert_eq!(gradient.len(), x.len());
    let Batch { maps, rows, cols, channels } = shape;
    let chunks = channels.div_ceil(LANES);
    let lanes = channels.div_ceil(chunks);
    let runs = maps * rows.div_ceil(STRIP) * cols.div_ceil(RUN);
    let worth = runs.div_ceil(SUM_THREADS / lanes * LEAST_RUNS);
    let runs_a_part = runs.div_ceil(SUM_BLOCKS.div_ceil(chunks).min(worth));
    let parts = runs.div_ceil(runs_a_part);
    // One row more, for the bias.
    let mut sums = bench.room(parts * (TAPS + 1) * channels)?;
    let config = blocks([parts, chunks, 1], SUM_THREADS, (TAPS + 1) * SUM_THREADS * size_of::<f32>());
    let args = [Arg::In(x), Arg::In(gradient), Arg::Out(&mut sums)];
    let sizes = ints([maps, rows, cols, channels, lanes, runs_a_part]);
    bench.run("depthwise_weight_parts", config, &[&args, &sizes])?;
    bench.summed(&sums, parts, TAPS, 1, channels)
}

fn check(x: &Values, shape: Batch) {
    assert!(x.len() == shape.len() && !shape.is_empty(), "{} of {shape:?}", x.len());
}

impl Workbench {
    /// Runs a kernel whose threads go down columns.
    fn depthwise(&self, kernel: &str, args: &[Arg<'_>], shape: Batch) -> Result<(), Error> {
        let Batch { maps, rows, cols, channels } = shape;
        let across = (cols.div_ceil(RUN) * channels).div_ceil(THREADS);
        let config = blocks([across, rows.div_ceil(STRIP), maps], THREADS, 0);
        self.run(kernel, config, &[args, &ints([rows, cols, channels])])
    }
}
