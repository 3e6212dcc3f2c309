//! Pixels into channels and back, channels joined and parted, the largest of four, and maps enlarged twice.

use std::ops::Range;
use std::sync::Arc;

use super::bench::{Arg, Batch, Values, Workbench, each, ints, width};
use crate::Error;

/// Maps of `shape` with the channels of a pixel as `factor` x `factor` of them, as PyTorch's `pixel_shuffle`.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If channels don't divide by `factor * factor`, or the lengths don't fit together.
pub fn pixel_shuffle(
    bench: &Arc<Workbench>,
    x: &Values,
    shape: Batch,
    factor: usize,
) -> Result<Values, Error> {
    assert!(shape.channels.is_multiple_of(factor * factor), "{shape:?} by {factor}");
    bench.shuffled("shuffle_pixels", x, shape, factor)
}

/// Maps of `shape` with the channels of `factor` x `factor` pixels at one, as PyTorch's `pixel_unshuffle`.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If sides don't divide by `factor`, or the lengths don't fit together.
pub fn pixel_unshuffle(
    bench: &Arc<Workbench>,
    x: &Values,
    shape: Batch,
    factor: usize,
) -> Result<Values, Error> {
    let sides = [shape.rows, shape.cols];
    assert!(sides.iter().all(|side| side.is_multiple_of(factor)), "{shape:?} by {factor}");
    bench.shuffled("unshuffle_pixels", x, shape, factor)
}

/// Pixels with `a_channels` of `a` and then `b_channels` of `b`.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn join(
    bench: &Arc<Workbench>,
    a: &Values,
    a_channels: usize,
    b: &Values,
    b_channels: usize,
) -> Result<Values, Error> {
    let pixels = pixels(a, a_channels);
    assert_eq!(b.len(), pixels * b_channels);
    let (size, name) = width(&[a_channels, b_channels]);
    let mut out = bench.room(a.len() + b.len())?;
    let config = each(out.len() / size);
    let args = [Arg::In(a), Arg::In(b), Arg::Out(&mut out)];
    bench.run(
        &format!("join_{name}"),
        config,
        &[&args, &ints([pixels, a_channels / size, b_channels / size])],
    )?;
    Ok(out)
}

/// Some of the `channels` of pixels.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If `x` are not some whole pixels, or there are no such channels.
pub fn part(
    bench: &Arc<Workbench>,
    x: &Values,
    channels: usize,
    some: Range<usize>,
) -> Result<Values, Error> {
    let pixels = pixels(x, channels);
    assert!(!some.is_empty() && some.end <= channels, "{some:?} of {channels}");
    let (size, name) = width(&[channels, some.start, some.len()]);
    let mut out = bench.room(pixels * some.len())?;
    let config = each(out.len() / size);
    let sizes = ints([pixels, channels / size, some.start / size, some.len() / size]);
    bench.run(&format!("part_{name}"), config, &[&[Arg::In(x), Arg::Out(&mut out)], &sizes])?;
    Ok(out)
}

/// The largest of 2 x 2 pixels, each channel for itself; an odd last row or column is left out.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If a side is shorter than 2, or the lengths don't fit together.
pub fn max_pool2(bench: &Arc<Workbench>, x: &Values, shape: Batch) -> Result<Values, Error> {
    assert_eq!(x.len(), shape.len());
    let mut out = bench.room(pooled(shape).len())?;
    bench.over_maps("max_pool2", out.len(), &[Arg::In(x), Arg::Out(&mut out)], shape)?;
    Ok(out)
}

/// The gradient of maps of `shape`, from that of what [`max_pool2`] made of them: it goes to the first that was the
/// largest.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// As [`max_pool2`].
pub fn max_pool2_gradient(
    bench: &Arc<Workbench>,
    x: &Values,
    shape: Batch,
    gradient: &Values,
) -> Result<Values, Error> {
    assert!(x.len() == shape.len() && gradient.len() == pooled(shape).len());
    let squares = Batch { rows: shape.rows.div_ceil(2), cols: shape.cols.div_ceil(2), ..shape };
    let mut out = bench.room(shape.len())?;
    let args = &[Arg::In(x), Arg::In(gradient), Arg::Out(&mut out)];
    bench.over_maps("max_pool2_back", squares.len(), args, shape)?;
    Ok(out)
}

/// Maps of `low_shape`, enlarged twice bilinearly with half-pixel centres, added to those of `base`.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn upsample2_add(
    bench: &Arc<Workbench>,
    low: &Values,
    low_shape: Batch,
    base: &Values,
) -> Result<Values, Error> {
    assert!(low.len() == low_shape.len() && base.len() == 4 * low_shape.len() && !low.is_empty());
    let mut out = bench.room(base.len())?;
    let args = &[Arg::In(low), Arg::In(base), Arg::Out(&mut out)];
    bench.over_maps("enlarge2_add", base.len(), args, low_shape)?;
    Ok(out)
}

/// The gradient of maps of `low_shape` that were enlarged twice, from the enlarged ones'.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn upsample2_gradient(
    bench: &Arc<Workbench>,
    gradient: &Values,
    low_shape: Batch,
) -> Result<Values, Error> {
    assert!(gradient.len() == 4 * low_shape.len() && !gradient.is_empty());
    let mut out = bench.room(low_shape.len())?;
    let args = &[Arg::In(gradient), Arg::Out(&mut out)];
    bench.over_maps("enlarge2_back", low_shape.len(), args, low_shape)?;
    Ok(out)
}

fn pixels(x: &Values, channels: usize) -> usize {
    assert!(!x.is_empty() && x.len().is_multiple_of(channels), "{} of {channels} channels", x.len());
    x.len() / channels
}

fn pooled(shape: Batch) -> Batch {
    assert!(shape.rows >= 2 && shape.cols >= 2 && !shape.is_empty(), "{shape:?}");
    Batch { rows: shape.rows / 2, cols: shape.cols / 2, ..shape }
}

impl Workbench {
    /// As many values in another order.
    fn shuffled(
        self: &Arc<Self>,
        kernel: &str,
        x: &Values,
        shape: Batch,
        factor: usize,
    ) -> Result<Values, Error> {
        assert!(x.len() == shape.len() && !x.is_empty());
        let mut out = self.room(x.len())?;
        let sizes = ints([shape.maps * shape.rows, shape.cols, shape.channels, factor]);
        self.run(kernel, each(x.len()), &[&[Arg::In(x), Arg::Out(&mut out)], &sizes])?;
        Ok(out)
    }

    /// Runs one of the kernels that are there for single values and for four, with so many results.
    pub(super) fn over_maps(
        &self,
        kernel: &str,
        results: usize,
        args: &[Arg<'_>],
        shape: Batch,
    ) -> Result<(), Error> {
        let (size, name) = width(&[shape.channels]);
        let sizes = ints([shape.maps, shape.rows, shape.cols, shape.channels / size]);
        self.run(&format!("{kernel}_{name}"), each(results / size), &[args, &sizes])
    }
}
