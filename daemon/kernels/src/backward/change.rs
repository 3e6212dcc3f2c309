//! Changes of whole pictures before a discriminator sees them.

use rayon::prelude::*;

use super::count;
use crate::Shape;

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
    /// How many rows and columns are cut out.
    pub hole_px: usize,
}

impl Change {
    /// Where each pixel comes from, row by row; nothing for one that is 0.
    fn sources(&self, shape: Shape) -> impl Iterator<Item = Option<usize>> {
        let Self { shift, hole, hole_px, .. } = *self;
        let (rows, cols) = (shape.rows as isize, shape.cols as isize);
        let is_cut = move |at: isize, first: isize| (first..first + hole_px as isize).contains(&at);
        (0..rows * cols).map(move |i| {
            let (row, col) = (i / cols, i % cols);
            let (y, x) = (row - shift[0], col - shift[1]);
            let is_there = (0..rows).contains(&y) && (0..cols).contains(&x);
            (is_there && !(is_cut(row, hole[0]) && is_cut(col, hole[1]))).then_some((y * cols + x) as usize)
        })
    }
}

/// Changes maps, each in its own way.
///
/// # Panics
/// If there are not as many changes as maps.
pub fn change(x: &[f32], shape: Shape, changes: &[Change]) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    of_maps(x, &mut out, shape, changes, |x, out, change| {
        let mean = mean(x);
        for (out, from) in out.chunks_exact_mut(shape.channels).zip(change.sources(shape)) {
            let Some(from) = from else { continue };
            for (out, x) in out.iter_mut().zip(&x[from * shape.channels..]) {
                *out = (x - mean) * change.contrast + mean + change.brightness;
            }
        }
    });
    out
}

/// The gradient of maps, from that of what they were changed to.
///
/// # Panics
/// If there are not as many changes as maps.
pub fn change_gradient(gradient: &[f32], shape: Shape, changes: &[Change]) -> Vec<f32> {
    let mut out = vec![0.0; gradient.len()];
    of_maps(gradient, &mut out, shape, changes, |gradient, out, change| {
        for (given, from) in gradient.chunks_exact(shape.channels).zip(change.sources(shape)) {
            let Some(from) = from else { continue };
            out[from * shape.channels..][..shape.channels].copy_from_slice(given);
        }
        let mean = mean(out);
        out.iter_mut().for_each(|g| *g = *g * change.contrast + (1.0 - change.contrast) * mean);
    });
    out
}

fn mean(values: &[f32]) -> f32 {
    (values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64) as f32
}

fn of_maps(
    x: &[f32],
    out: &mut [f32],
    shape: Shape,
    changes: &[Change],
    of: impl Fn(&[f32], &mut [f32], &Change) + Sync,
) {
    assert_eq!(count(x, shape), changes.len());
    let maps = x.par_chunks_exact(shape.len()).zip(out.par_chunks_exact_mut(shape.len()));
    maps.zip(changes).for_each(|((x, out), change)| of(x, out, change));
}
