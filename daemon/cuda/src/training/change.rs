//! Changes of whole pictures before a discriminator sees them.

use std::sync::Arc;

use super::bench::{Arg, Batch, Values, Workbench, blocks, each, ints};
use crate::Error;

/// What is done to a map: (x - mean) contrast + mean + brightness, moved, with a square cut out. What comes in from beyond
/// the border, and what is cut out, is 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// What is added.
    pub brightness: f32,
    /// What distances from the map's mean are multiplied with.
    pub contrast: f32,
    /// Rows and columns, down and to the right.
    pub shift: [isize; 2],
    /// The first row and column that are cut out; they may lie outside.
    pub hole: [isize; 2],
}

/// Changes maps, each in its own way, with holes of so many pixels.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If there are not as many changes as maps.
pub fn change(
    bench: &Arc<Workbench>,
    x: &Values,
    shape: Batch,
    changes: &[Change],
    hole_px: usize,
) -> Result<Values, Error> {
    changed(bench, ("change_maps", false), x, shape, changes, hole_px)
}

/// The gradient of maps, from that of what they were changed to.
///
/// # Errors
/// If the GPU's memory is full, or it fails.
///
/// # Panics
/// If there are not as many changes as maps.
pub fn change_gradient(
    bench: &Arc<Workbench>,
    gradient: &Values,
    shape: Batch,
    changes: &[Change],
    hole_px: usize,
) -> Result<Values, Error> {
    changed(bench, ("through_change", true), gradient, shape, changes, hole_px)
}

fn changed(
    bench: &Arc<Workbench>,
    (kernel, of_changed): (&str, bool),
    x: &Values,
    shape: Batch,
    changes: &[Change],
    hole_px: usize,
) -> Result<Values, Error> {
    const THREADS: usize = 256;
    assert!(x.len() == shape.len() && changes.len() == shape.maps);
    let numbers = changes.iter().flat_map(|change| {
        let Change { brightness, contrast, shift, hole } = *change;
        let places = [shift[0], shift[1], hole[0], hole[1]].map(|place| place as f32);
        [brightness, contrast].into_iter().chain(places)
    });
    let changes = bench.upload(&numbers.collect::<Vec<_>>())?;
    let sizes = [shape.rows, shape.cols, shape.channels, hole_px];
    let mut means = bench.room(shape.maps)?;
    let args = [Arg::In(x), Arg::Maybe(of_changed.then_some(&changes)), Arg::Out(&mut means)];
    let sums_of_warps = THREADS / 32 * size_of::<f32>();
    bench.run("mean_of_maps", blocks([shape.maps, 1, 1], THREADS, sums_of_warps), &[&args, &ints(sizes)])?;
    let mut out = bench.room(x.len())?;
    let args = [Arg::In(x), Arg::In(&changes), Arg::In(&means), Arg::Out(&mut out), Arg::Int(x.len())];
    bench.run(kernel, each(x.len()), &[&args, &ints(sizes)])?;
    Ok(out)
}
