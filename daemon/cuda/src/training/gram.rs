//! How channels go together.

use std::sync::Arc;

use super::bench::{Arg, Batch, Values, Workbench, each};
use super::conv::Conv;
use crate::Error;

/// The product over channels is that of a pointwise convolution.
const POINT: Conv = Conv { kernel: 1, stride: 1, pad: 0, repeats: false, slope: 1.0 };

/// The mean over maps and pixels of (x - mean) (x - mean)^T, the inner mean over the pixels of the map.
/// `[channels, channels]`.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn gram(bench: &Arc<Workbench>, x: &Values, shape: Batch) -> Result<Values, Error> {
    assert!(x.len() == shape.len() && !shape.is_empty());
    let means = bench.means(x, shape)?;
    let scale = 1.0 / (shape.pixels() as f32).sqrt();
    let centred = bench.centred(x, shape, &means, None, scale)?;
    Ok(POINT.weight_gradients(bench, &centred, shape, &centred, shape.channels)?.weight)
}

/// The gradient of [`gram`], from its input and its result's: with G the latter, (G + G^T) (x - mean) over the number of
/// pixels.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn gram_gradient(
    bench: &Arc<Workbench>,
    x: &Values,
    shape: Batch,
    gradient: &Values,
) -> Result<Values, Error> {
    let channels = shape.channels;
    assert!(x.len() == shape.len() && !shape.is_empty() && gradient.len() == channels * channels);
    let means = bench.means(x, shape)?;
    let centred = bench.centred(x, shape, &means, None, 1.0)?;
    let (mut weight, mut bias) = (bench.room(channels * channels)?, bench.room(channels)?);
    let values = [Arg::In(gradient), Arg::Out(&mut weight), Arg::Out(&mut bias)];
    let scale = [Arg::Int(channels), Arg::Float(1.0 / shape.pixels() as f32)];
    bench.run("gram_weights", each(channels * channels), &[&values, &scale])?;
    POINT.forward(bench, &centred, shape, (&weight, &bias), None)
}
