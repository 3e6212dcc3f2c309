//! Noise by position: its values, what it is added to, and the gradient of how much of it is.

use std::sync::Arc;

use super::bench::{Arg, Batch, Values, Workbench, each, ints, width};
use crate::{Error, Noise};

/// The noise of maps of so many rows and columns, one each: `[maps, rows, cols]`.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If there are no values.
pub fn noise(bench: &Arc<Workbench>, maps: &[Noise], rows: usize, cols: usize) -> Result<Values, Error> {
    let words = |noise: &Noise| [noise.key, noise.scale.to_bits(), noise.x, noise.y].map(f32::from_bits);
    let given = bench.upload(&maps.iter().flat_map(words).collect::<Vec<_>>())?;
    let mut out = bench.room(maps.len() * rows * cols)?;
    assert!(!out.is_empty());
    let config = each(out.len());
    let args = [Arg::In(&given), Arg::Out(&mut out)];
    bench.run("noise_of_maps", config, &[&args, &ints([maps.len(), rows, cols])])?;
    Ok(out)
}

/// Maps of `shape`, and to each of a pixel's channels the pixel's noise times the channel's weight.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn add_noise(
    bench: &Arc<Workbench>,
    x: &Values,
    shape: Batch,
    weights: &Values,
    noise: &Values,
) -> Result<Values, Error> {
    assert!(x.len() == shape.len() && weights.len() == shape.channels && noise.len() == shape.pixels());
    let (size, name) = width(&[shape.channels]);
    let mut out = bench.room(x.len())?;
    let config = each(x.len() / size);
    let args = [Arg::In(x), Arg::In(weights), Arg::In(noise), Arg::Out(&mut out)];
    let sizes = ints([shape.pixels(), shape.channels / size]);
    bench.run(&format!("add_noise_{name}"), config, &[&args, &sizes])?;
    Ok(out)
}

/// The gradient of the weights, from that of what [`add_noise`] gave; that of the maps is the same as this.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together.
pub fn noise_gradient(
    bench: &Arc<Workbench>,
    gradient: &Values,
    shape: Batch,
    noise: &Values,
) -> Result<Values, Error> {
    assert!(gradient.len() == shape.len() && noise.len() == shape.pixels());
    // All maps as one.
    let whole = Batch { maps: 1, rows: 1, cols: shape.pixels(), ..shape };
    let sums = bench.sums("sum_noise", &[Arg::In(gradient), Arg::In(noise)], whole, 1)?;
    bench.scaled(&sums, 0..shape.channels, 1.0)
}
