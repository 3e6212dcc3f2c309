//! The binomial filter over whole maps, and its gradient.

use rayon::prelude::*;

use super::count;
use crate::Shape;
use crate::blur::{Row, reflected};
use crate::cpu::Cpu;

/// Filters maps; see [`blur_add`](crate::blur_add).
///
/// # Panics
/// If the values are no whole maps, or these have less than two rows or columns.
pub fn blur(cpu: Cpu, x: &[f32], shape: Shape) -> Vec<f32> {
    assert!(count(x, shape) > 0 && shape.rows > 1 && shape.cols > 1);
    let mut out = vec![0.0; x.len()];
    let row_len = shape.row_len();
    out.par_chunks_mut(row_len).enumerate().for_each_init(
        || vec![0.0; row_len],
        |mixed, (i, out)| {
            let map = &x[i / shape.rows * shape.len()..][..shape.len()];
            let around = reflected(i % shape.rows, shape.rows).map(|row| &map[row * row_len..][..row_len]);
            cpu.run(Row { around, channels: shape.channels, mixed, base: None, out });
        },
    );
    out
}

/// The gradient of maps that were filtered, from the results'.
///
/// But for the borders the filter's matrix B is its own transpose. A border's pixel takes its neighbour twice; the
/// neighbour takes it once. So, with D the matrix that doubles the borders, D B is symmetric, and B^T = D^-1 B D.
///
/// # Panics
/// As [`blur`].
pub fn blur_gradient(cpu: Cpu, gradient: &[f32], shape: Shape) -> Vec<f32> {
    let mut doubled = gradient.to_vec();
    on_borders(&mut doubled, shape, 2.0);
    let mut x = blur(cpu, &doubled, shape);
    on_borders(&mut x, shape, 0.5);
    x
}

/// Multiplies the first and last rows and columns; corners twice.
fn on_borders(maps: &mut [f32], shape: Shape, factor: f32) {
    maps.par_chunks_mut(shape.row_len()).enumerate().for_each(|(i, row)| {
        let row_factor = if i % shape.rows == 0 || i % shape.rows == shape.rows - 1 { factor } else { 1.0 };
        if row_factor != 1.0 {
            row.iter_mut().for_each(|value| *value *= row_factor);
        }
        let last = row.len() - shape.channels;
        row[..shape.channels].iter_mut().for_each(|value| *value *= factor);
        row[last..].iter_mut().for_each(|value| *value *= factor);
    });
}
