//! What losses make of pictures, which have few channels.

use std::sync::Arc;

use super::bench::{Arg, Batch, Values, Workbench, blocks, each, ints};
use crate::Error;

const THREADS: usize = 256;
/// Values that a block sums.
const PART: usize = 32 * THREADS;
/// A value a warp.
const SUM_SHARED: usize = THREADS / 32 * size_of::<f32>();

/// The differences of as many values.
///
/// # Errors
/// If the GPU's memory is full, or it fails; so with all that follow.
///
/// # Panics
/// If there are not as many of both, or none.
pub fn subtract(bench: &Arc<Workbench>, a: &Values, b: &Values) -> Result<Values, Error> {
    assert!(a.len() == b.len() && !a.is_empty());
    let mut out = bench.room(a.len())?;
    let args = [Arg::In(a), Arg::In(b), Arg::Out(&mut out), Arg::Int(a.len())];
    bench.run("subtract_values", each(a.len().div_ceil(4)), &[&args])?;
    Ok(out)
}

/// The means of `factor` x `factor` pixels.
///
/// # Errors
/// As above.
///
/// # Panics
/// If sides don't divide by the factor.
pub fn reduce(bench: &Arc<Workbench>, x: &Values, shape: Batch, factor: usize) -> Result<Values, Error> {
    let Batch { rows, cols, channels, .. } = shape;
    assert!(x.len() == shape.len() && rows.is_multiple_of(factor) && cols.is_multiple_of(factor));
    let mut out = bench.room(x.len() / (factor * factor))?;
    let sizes = [out.len(), cols / factor, channels, factor];
    bench.run("reduce_maps", each(out.len()), &[&[Arg::In(x), Arg::Out(&mut out)], &ints(sizes)])?;
    Ok(out)
}

/// The gradient of maps of `shape`, from that of what they were reduced to.
///
/// # Errors
/// As above.
///
/// # Panics
/// If the lengths don't fit together.
pub fn reduction_gradient(
    bench: &Arc<Workbench>,
    gradient: &Values,
    shape: Batch,
    factor: usize,
) -> Result<Values, Error> {
    assert_eq!(gradient.len() * factor * factor, shape.len());
    let mut out = bench.room(shape.len())?;
    let sizes = [out.len(), shape.cols / factor, shape.channels, factor];
    let args = [Arg::In(gradient), Arg::Out(&mut out)];
    bench.run("through_reduction", each(shape.len()), &[&args, &ints(sizes)])?;
    Ok(out)
}

/// One over how many neighbours there are across, and down.
fn shares(shape: Batch) -> [Arg<'static>; 2] {
    let Batch { maps, rows, cols, channels } = shape;
    assert!(rows > 1 && cols > 1);
    [maps * rows * (cols - 1) * channels, maps * (rows - 1) * cols * channels]
        .map(|count| Arg::Float(1.0 / count as f32))
}

/// One value, the total variation: mean |x(i, j + 1) - x(i, j)| + mean |x(i + 1, j) - x(i, j)|.
///
/// # Errors
/// As above.
///
/// # Panics
/// If these are no maps of 2 x 2 pixels or more.
pub fn variation(bench: &Arc<Workbench>, x: &Values, shape: Batch) -> Result<Values, Error> {
    assert_eq!(x.len(), shape.len());
    let parts = x.len().div_ceil(PART);
    let (mut sums, mut sum) = (bench.room(parts)?, bench.room(1)?);
    let sizes = ints([x.len(), shape.rows, shape.cols, shape.channels]);
    let args: [&[Arg]; 4] = [&[Arg::In(x), Arg::Out(&mut sums)], &sizes, &shares(shape), &[Arg::Int(PART)]];
    bench.run("sum_variation", blocks([parts, 1, 1], THREADS, SUM_SHARED), &args)?;
    let args = [Arg::In(&sums), Arg::Out(&mut sum), Arg::Int(parts), Arg::Int(1)];
    bench.run("mean_of_sums", blocks([1, 1, 1], THREADS, SUM_SHARED), &[&args])?;
    Ok(sum)
}

/// The gradient of maps, from that of their [`variation`], which is one value.
///
/// # Errors
/// As above.
///
/// # Panics
/// If the lengths don't fit together.
pub fn variation_gradient(
    bench: &Arc<Workbench>,
    x: &Values,
    shape: Batch,
    given: &Values,
) -> Result<Values, Error> {
    assert!(x.len() == shape.len() && given.len() == 1);
    let mut out = bench.room(x.len())?;
    let sizes = ints([x.len(), shape.rows, shape.cols, shape.channels]);
    let args: [&[Arg]; 3] = [&[Arg::In(x), Arg::In(given), Arg::Out(&mut out)], &sizes, &shares(shape)];
    bench.run("through_variation", each(x.len()), &args)?;
    Ok(out)
}

/// The standard deviation of all values, when all that was asked of the GPU is done.
///
/// # Errors
/// As above.
///
/// # Panics
/// If there is no value.
pub fn deviation(bench: &Arc<Workbench>, x: &Values) -> Result<f64, Error> {
    let parts = x.len().div_ceil(PART);
    let mut sums = bench.room(2 * parts)?;
    let args = [Arg::In(x), Arg::Out(&mut sums), Arg::Int(x.len()), Arg::Int(PART)];
    bench.run("sum_moments", blocks([parts, 1, 1], THREADS, SUM_SHARED), &[&args])?;
    let sums = bench.download(&[&sums])?;
    let mean = |which: usize| {
        sums.iter().skip(which).step_by(2).map(|sum| f64::from(*sum)).sum::<f64>() / x.len() as f64
    };
    Ok((mean(1) - mean(0).powi(2)).max(0.0).sqrt())
}

/// Is a convolution one of few colours, which needs no product of matrices?
pub(super) fn is_of_colours(kernel: usize, channels: usize, outputs: usize) -> bool {
    const FEW_CHANNELS: usize = 4;
    kernel == 1 && channels <= FEW_CHANNELS && outputs <= FEW_CHANNELS
}

impl Workbench {
    /// Weights by colours at each pixel. `turned`: they are `[channels, outputs]`.
    pub(super) fn colours(
        self: &Arc<Self>,
        x: &Values,
        (weight, turned): (&Values, bool),
        (bias, added): (Option<&Values>, Option<&Values>),
        [channels, outputs]: [usize; 2],
        slope: f32,
    ) -> Result<Values, Error> {
        let pixels = x.len() / channels;
        let mut out = self.room(pixels * outputs)?;
        let values = [Arg::In(x), Arg::In(weight), Arg::Maybe(bias), Arg::Maybe(added), Arg::Out(&mut out)];
        let sizes = ints([pixels, channels, outputs, turned.into()]);
        self.run("colour_maps", each(pixels), &[&values, &sizes, &[Arg::Float(slope)]])?;
        Ok(out)
    }
}
