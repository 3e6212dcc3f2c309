//! Bilinear enlargement of whole maps, and its gradient.

use rayon::prelude::*;

use super::count;
use super::window::rows_with_context;
use crate::{Map, Shape, upsample2_add};

/// Maps of `low_shape`, enlarged twice bilinearly with half-pixel centres, added to those of `base`.
///
/// # Panics
/// If the lengths don't fit together.
pub fn upsample2_add_whole(low: &[f32], low_shape: Shape, base: &[f32]) -> Vec<f32> {
    let Shape { rows, cols, channels } = low_shape;
    let shape = Shape::new(2 * rows, 2 * cols, channels);
    assert_eq!(count(base, shape), count(low, low_shape));
    let mut out = vec![0.0; base.len()];
    let maps = low.chunks_exact(low_shape.len()).zip(base.chunks_exact(shape.len()));
    for ((low, base), out) in maps.zip(out.chunks_exact_mut(shape.len())) {
        let low = rows_with_context(low, low_shape, 1);
        let base: Vec<&[f32]> = base.chunks_exact(shape.row_len()).collect();
        upsample2_add(Map::new(&low, cols, channels), Map::new(&base, shape.cols, channels), out);
    }
    out
}

/// The gradient of maps of `low_shape` that were enlarged twice, from the enlarged ones'.
///
/// # Panics
/// If the lengths don't fit together.
pub fn upsample2_gradient(gradient: &[f32], low_shape: Shape) -> Vec<f32> {
    let Shape { rows, cols, channels } = low_shape;
    let shape = Shape::new(2 * rows, 2 * cols, channels);
    let mut low = vec![0.0; count(gradient, shape) * low_shape.len()];
    low.par_chunks_mut(low_shape.row_len()).enumerate().for_each_init(
        || vec![0.0; shape.row_len()],
        |mixed, (i, low)| {
            let gradient = &gradient[i / rows * shape.len()..][..shape.len()];
            let row = |y: usize| &gradient[y * shape.row_len()..][..shape.row_len()];
            let [before, first, second, after] = seen_by(i % rows, rows).map(row);
            let rows = mixed.iter_mut().zip(before).zip(first).zip(second).zip(after);
            for ((((mixed, before), first), second), after) in rows {
                *mixed = weigh(*before, *first, *second, *after);
            }
            for (x, low) in low.chunks_exact_mut(channels).enumerate() {
                let pixel = |x: usize| &mixed[x * channels..][..channels];
                let [before, first, second, after] = seen_by(x, cols).map(pixel);
                let values = low.iter_mut().zip(before).zip(first).zip(second).zip(after);
                for ((((low, before), first), second), after) in values {
                    *low = weigh(*before, *first, *second, *after);
                }
            }
        },
    );
    low
}

/// The enlarged rows, or columns, that see one of the small ones; beyond the edge it is the edge again.
fn seen_by(i: usize, count: usize) -> [usize; 4] {
    [(2 * i).saturating_sub(1), 2 * i, 2 * i + 1, (2 * i + 2).min(2 * count - 1)]
}

fn weigh(before: f32, first: f32, second: f32, after: f32) -> f32 {
    0.75 * (first + second) + 0.25 * (before + after)
}
