//! Pixels into channels and back, channels joined and parted, and the largest of four.

use std::ops::Range;

use rayon::prelude::*;

use super::{STRIP_PX, count};
use crate::Shape;

/// Maps of `shape` with the channels of `f` x `f` pixels at one, as PyTorch's `pixel_unshuffle`.
///
/// # Panics
/// If sides don't divide by `f`, or the lengths don't fit together.
pub fn pixel_unshuffle(x: &[f32], shape: Shape, f: usize) -> Vec<f32> {
    let Shape { cols, channels, .. } = shape;
    count(x, shape);
    assert!(shape.rows.is_multiple_of(f) && cols.is_multiple_of(f), "{shape:?} by {f}");
    let mut out = vec![0.0; x.len()];
    let rows = out.par_chunks_mut(f * shape.row_len()).zip(x.par_chunks_exact(f * shape.row_len()));
    rows.for_each(|(out, x)| {
        for (col, pixel) in out.chunks_exact_mut(f * f * channels).enumerate() {
            for dy in 0..f {
                let run = &x[(dy * cols + col * f) * channels..][..f * channels];
                for (dx, values) in run.chunks_exact(channels).enumerate() {
                    for (c, value) in values.iter().enumerate() {
                        pixel[(c * f + dy) * f + dx] = *value;
                    }
                }
            }
        }
    });
    out
}

/// Maps of `shape` with the channels of a pixel as `f` x `f` of them, as PyTorch's `pixel_shuffle`.
///
/// # Panics
/// If channels don't divide by `f * f`, or the lengths don't fit together.
pub fn pixel_shuffle(x: &[f32], shape: Shape, f: usize) -> Vec<f32> {
    let Shape { cols, channels, .. } = shape;
    count(x, shape);
    assert!(channels.is_multiple_of(f * f), "{shape:?} by {f}");
    let fewer = channels / (f * f);
    let mut out = vec![0.0; x.len()];
    let rows = out.par_chunks_mut(shape.row_len()).zip(x.par_chunks_exact(shape.row_len()));
    rows.for_each(|(out, x)| {
        for (col, pixel) in x.chunks_exact(channels).enumerate() {
            for dy in 0..f {
                let run = &mut out[(dy * cols + col) * f * fewer..][..f * fewer];
                for (dx, values) in run.chunks_exact_mut(fewer).enumerate() {
                    for (c, value) in values.iter_mut().enumerate() {
                        *value = pixel[(c * f + dy) * f + dx];
                    }
                }
            }
        }
    });
    out
}

/// Pixels with `a_channels` of `a` and then `b_channels` of `b`.
///
/// # Panics
/// If the lengths don't fit together.
pub fn join(a: &[f32], a_channels: usize, b: &[f32], b_channels: usize) -> Vec<f32> {
    let channels = a_channels + b_channels;
    assert_eq!(count(a, Shape::new(1, 1, a_channels)), count(b, Shape::new(1, 1, b_channels)));
    let mut out = vec![0.0; a.len() + b.len()];
    let parts = out.par_chunks_mut(STRIP_PX * channels);
    let parts = parts.zip(a.par_chunks(STRIP_PX * a_channels)).zip(b.par_chunks(STRIP_PX * b_channels));
    parts.for_each(|((out, a), b)| {
        let pixels = a.chunks_exact(a_channels).zip(b.chunks_exact(b_channels));
        for (out, (a, b)) in out.chunks_exact_mut(channels).zip(pixels) {
            out[..a_channels].copy_from_slice(a);
            out[a_channels..].copy_from_slice(b);
        }
    });
    out
}

/// Some of the `channels` of pixels.
///
/// # Panics
/// If `x` are not some whole pixels, or there are no such channels.
pub fn part(x: &[f32], channels: usize, some: Range<usize>) -> Vec<f32> {
    let mut out = vec![0.0; count(x, Shape::new(1, 1, channels)) * some.len()];
    let parts = out.par_chunks_mut(STRIP_PX * some.len()).zip(x.par_chunks(STRIP_PX * channels));
    parts.for_each(|(out, x)| {
        for (out, x) in out.chunks_exact_mut(some.len()).zip(x.chunks_exact(channels)) {
            out.copy_from_slice(&x[some.clone()]);
        }
    });
    out
}

/// The largest of 2 x 2 pixels, each channel for itself; an odd last row or column is left out.
///
/// # Panics
/// If a side is shorter than 2, or the lengths don't fit together.
pub fn max_pool2(x: &[f32], shape: Shape) -> Vec<f32> {
    let pooled = pooled(shape);
    let mut out = vec![0.0; count(x, shape) * pooled.len()];
    out.par_chunks_mut(pooled.row_len()).enumerate().for_each(|(i, out)| {
        let (map, row) = (i / pooled.rows, i % pooled.rows);
        let x = &x[map * shape.len() + 2 * row * shape.row_len()..][..2 * shape.row_len()];
        for (col, out) in out.chunks_exact_mut(shape.channels).enumerate() {
            let [a, b, c, d] = four(shape, col).map(|at| &x[at..][..shape.channels]);
            for ((((out, a), b), c), d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                *out = a.max(*b).max(c.max(*d));
            }
        }
    });
    out
}

/// The gradient of maps of `shape`, from that of what [`max_pool2`] made of them: it goes to the first that
/// was the largest.
///
/// # Panics
/// As [`max_pool2`].
pub fn max_pool2_gradient(x: &[f32], shape: Shape, gradient: &[f32]) -> Vec<f32> {
    let pooled = pooled(shape);
    assert_eq!(gradient.len(), count(x, shape) * pooled.len());
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(shape.len()).enumerate().for_each(|(map, out)| {
        let gradient = &gradient[map * pooled.len()..][..pooled.len()];
        let x = &x[map * shape.len()..][..shape.len()];
        for (row, gradient) in gradient.chunks_exact(pooled.row_len()).enumerate() {
            let rows = 2 * row * shape.row_len()..2 * (row + 1) * shape.row_len();
            let (x, out) = (&x[rows.clone()], &mut out[rows]);
            for (col, gradient) in gradient.chunks_exact(shape.channels).enumerate() {
                let four = four(shape, col);
                for (c, gradient) in gradient.iter().enumerate() {
                    let mut largest = four[0] + c;
                    for at in &four[1..] {
                        if x[at + c] > x[largest] {
                            largest = at + c;
                        }
                    }
                    out[largest] = *gradient;
                }
            }
        }
    });
    out
}

fn pooled(shape: Shape) -> Shape {
    assert!(shape.rows >= 2 && shape.cols >= 2, "{shape:?}");
    Shape::new(shape.rows / 2, shape.cols / 2, shape.channels)
}

/// Where four pixels start in two rows.
fn four(shape: Shape, col: usize) -> [usize; 4] {
    let first = 2 * col * shape.channels;
    [first, first + shape.channels, first + shape.row_len(), first + shape.row_len() + shape.channels]
}
