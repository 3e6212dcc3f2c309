//! The binomial filter behind a pixel-shuffle, and its gradient.

use std::sync::Arc;

use super::bench::{Arg, Batch, Values, Workbench};
use crate::Error;

/// Filters maps of `shape` by [1 2 1] / 4 in both directions, each channel for itself; borders reflect.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If the lengths don't fit together, or a side is shorter than 2.
pub fn blur(bench: &Arc<Workbench>, x: &Values, shape: Batch) -> Result<Values, Error> {
    bench.blurred("blur_maps", x, shape)
}

/// The gradient of maps of `shape`, from that of what [`blur`] made of them.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// As [`blur`].
pub fn blur_gradient(bench: &Arc<Workbench>, gradient: &Values, shape: Batch) -> Result<Values, Error> {
    bench.blurred("blur_maps_back", gradient, shape)
}

impl Workbench {
    fn blurred(self: &Arc<Self>, kernel: &str, x: &Values, shape: Batch) -> Result<Values, Error> {
        assert!(x.len() == shape.len() && shape.rows > 1 && shape.cols > 1 && !shape.is_empty(), "{shape:?}");
        let mut out = self.room(x.len())?;
        self.over_maps(kernel, x.len(), &[Arg::In(x), Arg::Out(&mut out)], shape)?;
        Ok(out)
    }
}
