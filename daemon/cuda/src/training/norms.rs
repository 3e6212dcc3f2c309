//! Norms over the channels of a pixel, and over the pixels of a map.

use std::ops::Range;
use std::sync::Arc;

use super::bench::{Arg, Batch, Values, Workbench, blocks, each, ints, width};
use crate::Error;

/// Values of a pixel that a thread keeps (`kernels/training/norms.cuh`).
const KEPT: usize = 4;
const WARP: usize = 32;
const THREADS: usize = 256;
/// About how many blocks sum over pixels, and pixels that are worth a thread.
const SUM_BLOCKS: usize = 512;
const LEAST_PIXELS: usize = 4;

/// What [`norm_gradients`] gives.
#[derive(Debug)]
pub struct NormGradients {
    /// Of the pixels.
    pub x: Values,
    /// Of scale and shift, if there are any.
    pub affine: Option<(Values, Values)>,
}

/// The norm over the channels at a pixel: n = (x - mean) / sqrt(variance + 1e-5), then scale * n + shift.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn norm_forward(
    bench: &Arc<Workbench>,
    x: &Values,
    shape: Batch,
    affine: Option<(&Values, &Values)>,
) -> Result<Values, Error> {
    check(x, shape);
    let (scale, shift) = affine.unzip();
    assert!([scale, shift].iter().flatten().all(|values| values.len() == shape.channels));
    let mut out = bench.room(x.len())?;
    let args = [Arg::In(x), Arg::Maybe(scale), Arg::Maybe(shift), Arg::Out(&mut out)];
    bench.over_pixels("channel_norm", &args, shape)?;
    Ok(out)
}

/// The gradients of [`norm_forward`], from its input and its result's gradient.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn norm_gradients(
    bench: &Arc<Workbench>,
    scale: Option<&Values>,
    x: &Values,
    shape: Batch,
    gradient: &Values,
) -> Result<NormGradients, Error> {
    check(x, shape);
    assert!(gradient.len() == x.len() && scale.is_none_or(|scale| scale.len() == shape.channels));
    let mut out = bench.room(x.len())?;
    // Mean and factor of each pixel.
    let norms = scale.map(|_| bench.room(2 * shape.pixels())).transpose()?;
    let to = Arg::Maybe(norms.as_ref());
    let args = [Arg::Maybe(scale), Arg::In(x), Arg::In(gradient), Arg::Out(&mut out), to];
    bench.over_pixels("channel_norm_back", &args, shape)?;
    let Some(norms) = norms else { return Ok(NormGradients { x: out, affine: None }) };
    // All maps as one.
    let whole = Batch { maps: 1, rows: 1, cols: shape.pixels(), ..shape };
    let inputs = [Arg::In(x), Arg::In(gradient), Arg::In(&norms)];
    let sums = bench.sums("sum_affine", &inputs, whole, 2)?;
    let scale = bench.scaled(&sums, 0..shape.channels, 1.0)?;
    let shift = bench.scaled(&sums, shape.channels..2 * shape.channels, 1.0)?;
    Ok(NormGradients { x: out, affine: Some((scale, shift)) })
}

/// The features of each pixel over their length: x / sqrt(mean(x^2) + 1), the mean over the channels. What is far shorter
/// than 1 stays as it is.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn pixel_norm(bench: &Arc<Workbench>, x: &Values, shape: Batch) -> Result<Values, Error> {
    check(x, shape);
    let mut out = bench.room(x.len())?;
    bench.over_pixels("length_norm", &[Arg::In(x), Arg::Out(&mut out)], shape)?;
    Ok(out)
}

/// The gradient of [`pixel_norm`], from its input and its result's gradient.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn pixel_norm_gradient(
    bench: &Arc<Workbench>,
    x: &Values,
    shape: Batch,
    gradient: &Values,
) -> Result<Values, Error> {
    check(x, shape);
    assert_eq!(gradient.len(), x.len());
    let mut out = bench.room(x.len())?;
    let args = [Arg::In(x), Arg::In(gradient), Arg::Out(&mut out)];
    bench.over_pixels("length_norm_back", &args, shape)?;
    Ok(out)
}

/// Each map's channels without mean and contrast: (x - mean) / sqrt(variance + floor), over the map's pixels.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn instance_norm(bench: &Arc<Workbench>, x: &Values, shape: Batch, floor: f32) -> Result<Values, Error> {
    check(x, shape);
    let means = bench.means(x, shape)?;
    let factors = bench.factors(x, shape, floor, &means)?;
    bench.centred(x, shape, &means, Some(&factors), 1.0)
}

/// The gradient of [`instance_norm`], from its input, its result and the result's gradient.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn instance_norm_gradient(
    bench: &Arc<Workbench>,
    x: &Values,
    shape: Batch,
    floor: f32,
    result: &Values,
    gradient: &Values,
) -> Result<Values, Error> {
    check(x, shape);
    assert!(result.len() == x.len() && gradient.len() == x.len());
    let means = bench.means(x, shape)?;
    let factors = bench.factors(x, shape, floor, &means)?;
    let sums = bench.sums("sum_products", &[Arg::In(result), Arg::In(gradient)], shape, 2)?;
    let means = bench.scaled(&sums, 0..2 * shape.channels, mean_of(shape))?;
    let mut out = bench.room(x.len())?;
    let (size, name) = width(&[shape.channels]);
    let inputs = [Arg::In(result), Arg::In(gradient), Arg::In(&means), Arg::In(&factors)];
    let sizes = ints([shape.maps, shape.rows * shape.cols, shape.channels / size]);
    let args = [&inputs[..], &[Arg::Out(&mut out)], &sizes];
    bench.run(&format!("map_norm_back_{name}"), each(x.len() / size), &args)?;
    Ok(out)
}

fn check(x: &Values, shape: Batch) {
    assert!(x.len() == shape.len() && !shape.is_empty(), "{} of {shape:?}", x.len());
}

/// What makes means of sums over a map's pixels.
fn mean_of(shape: Batch) -> f32 {
    1.0 / (shape.rows * shape.cols) as f32
}

/// Sums over the pixels of maps, in parts: `[maps, parts, width]`.
pub(super) struct Sums {
    values: Values,
    maps: usize,
    parts: usize,
    width: usize,
}

impl Workbench {
    /// Runs a kernel whose threads share pixels.
    fn over_pixels(&self, kernel: &str, args: &[Arg<'_>], shape: Batch) -> Result<(), Error> {
        let (size, name) = width(&[shape.channels]);
        let count = shape.channels / size;
        let threads = count.div_ceil(KEPT).next_power_of_two().min(WARP);
        let sizes = ints([shape.pixels(), count, threads]);
        self.run(&format!("{kernel}_{name}"), each(shape.pixels() * threads), &[args, &sizes])
    }

    /// Runs a kernel that sums so many things over the pixels of maps, for each channel.
    pub(super) fn sums(
        self: &Arc<Self>,
        kernel: &str,
        inputs: &[Arg<'_>],
        shape: Batch,
        things: usize,
    ) -> Result<Sums, Error> {
        let (size, name) = width(&[shape.channels]);
        let (pixels, count) = (shape.rows * shape.cols, shape.channels / size);
        let chunks = count.div_ceil(WARP);
        let lanes = count.div_ceil(chunks);
        let worth = pixels.div_ceil(THREADS / lanes * LEAST_PIXELS);
        let pixels_a_part = pixels.div_ceil(SUM_BLOCKS.div_ceil(shape.maps * chunks).min(worth));
        let parts = pixels.div_ceil(pixels_a_part);
        let width = things * shape.channels;
        let mut values = self.room(shape.maps * parts * width)?;
        let shared = things * THREADS * size * size_of::<f32>();
        let config = blocks([shape.maps * parts, chunks, 1], THREADS, shared);
        let sizes = ints([parts, pixels, count, lanes, pixels_a_part]);
        self.run(&format!("{kernel}_{name}"), config, &[inputs, &[Arg::Out(&mut values)], &sizes])?;
        Ok(Sums { values, maps: shape.maps, parts, width })
    }

    /// Some of each map's sums, all parts added in order, times `scale`.
    pub(super) fn scaled(
        self: &Arc<Self>,
        sums: &Sums,
        some: Range<usize>,
        scale: f32,
    ) -> Result<Values, Error> {
        let len = sums.maps * some.len();
        let mut out = self.room(len)?;
        let sizes = ints([sums.maps, sums.parts, sums.width, some.start, some.len()]);
        let values = [Arg::In(&sums.values), Arg::Out(&mut out)];
        self.run("scale_sums", each(len), &[&values, &sizes, &[Arg::Float(scale)]])?;
        Ok(out)
    }

    /// Each map's channels' means.
    pub(super) fn means(self: &Arc<Self>, x: &Values, shape: Batch) -> Result<Values, Error> {
        let sums = self.sums("sum_channels", &[Arg::In(x)], shape, 1)?;
        self.scaled(&sums, 0..shape.channels, mean_of(shape))
    }

    /// Each map's channels' 1 / sqrt(variance + floor).
    fn factors(
        self: &Arc<Self>,
        x: &Values,
        shape: Batch,
        floor: f32,
        means: &Values,
    ) -> Result<Values, Error> {
        let sums = self.sums("sum_squares", &[Arg::In(x), Arg::In(means)], shape, 1)?;
        let len = shape.maps * shape.channels;
        let mut out = self.room(len)?;
        let sizes = ints([shape.maps, sums.parts, shape.channels]);
        let values = [Arg::In(&sums.values), Arg::Out(&mut out)];
        let floats = [Arg::Float(mean_of(shape)), Arg::Float(floor)];
        self.run("spread_factors", each(len), &[&values, &sizes, &floats])?;
        Ok(out)
    }

    /// (x - mean) * scale, and times each channel's factor, if there are any.
    pub(super) fn centred(
        self: &Arc<Self>,
        x: &Values,
        shape: Batch,
        means: &Values,
        factors: Option<&Values>,
        scale: f32,
    ) -> Result<Values, Error> {
        let (size, name) = width(&[shape.channels]);
        let mut out = self.room(x.len())?;
        let values = [Arg::In(x), Arg::In(means), Arg::Maybe(factors), Arg::Out(&mut out)];
        let sizes = ints([shape.maps, shape.rows * shape.cols, shape.channels / size]);
        let config = each(x.len() / size);
        self.run(&format!("centre_{name}"), config, &[&values, &sizes, &[Arg::Float(scale)]])?;
        Ok(out)
    }
}
