//! Windows of a map that reach beyond its sides, and the way back from them.

use std::ops::Range;

use crate::Shape;

/// What lies beyond a map's sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Border {
    /// The nearest pixel, again.
    Replicate,
    /// Zeros.
    Zero,
}

/// What a convolution gave, behind its activation, and the gradient of that.
#[derive(Debug, Clone, Copy)]
pub struct Resulting<'a> {
    /// Not looked at where there is no activation.
    pub values: &'a [f32],
    /// As many.
    pub gradient: &'a [f32],
}

impl Resulting<'_> {
    /// Are there so many values, where they matter?
    pub(super) fn check(&self, len: usize, slope: f32) {
        assert_eq!(self.gradient.len(), len);
        assert!(slope == 1.0 || self.values.len() == len);
    }

    /// One of the maps.
    pub(super) fn map(&self, map: usize, shape: Shape, slope: f32) -> Self {
        let part = map * shape.len()..(map + 1) * shape.len();
        let values = if slope == 1.0 { &[] } else { &self.values[part.clone()] };
        Self { values, gradient: &self.gradient[part] }
    }
}

/// The gradient of what goes into an activation, from that of the `result`: `slope` times as much where that isn't
/// positive.
#[inline(always)]
pub(super) fn mask(gradient: &mut [f32], result: &[f32], slope: f32) {
    for (gradient, result) in gradient.iter_mut().zip(result) {
        *gradient = if *result > 0.0 { *gradient } else { *gradient * slope };
    }
}

/// The same of rows and columns of a map that were copied; nothing without an activation.
#[inline(always)]
pub(super) fn mask_window(
    result: &[f32],
    slope: f32,
    shape: Shape,
    rows: Range<isize>,
    cols: Range<isize>,
    gradient: &mut [f32],
) {
    if slope == 1.0 {
        return;
    }
    let last = shape.cols as isize;
    let inside = cols.start.clamp(0, last) as usize..cols.end.clamp(0, last) as usize;
    let before = (-cols.start).clamp(0, cols.end - cols.start) as usize * shape.channels;
    for (y, gradient) in rows.zip(gradient.chunks_exact_mut(cols.len() * shape.channels)) {
        if (0..shape.rows as isize).contains(&y) {
            let row = &result[y as usize * shape.row_len()..][..shape.row_len()];
            let row = &row[inside.start * shape.channels..inside.end * shape.channels];
            mask(&mut gradient[before..], row, slope);
        }
    }
}

/// Copies rows and columns of a map to `out`, which is as large as they are or larger.
pub(super) fn copy_window(
    map: &[f32],
    shape: Shape,
    rows: Range<isize>,
    cols: Range<isize>,
    border: Border,
    out: &mut [f32],
) {
    let channels = shape.channels;
    let (first, last) = (0, shape.cols as isize);
    // Columns before the map, and the map's columns that are in the window.
    let before = (first - cols.start).clamp(0, cols.end - cols.start) as usize * channels;
    let inside =
        cols.start.clamp(first, last) as usize * channels..cols.end.clamp(first, last) as usize * channels;
    for (y, out) in rows.zip(out.chunks_exact_mut(cols.len() * channels)) {
        let inner = y.clamp(0, shape.rows as isize - 1);
        if border == Border::Zero && y != inner {
            out.fill(0.0);
            continue;
        }
        let row = &map[inner as usize * shape.row_len()..][..shape.row_len()];
        let (left, rest) = out.split_at_mut(before);
        let (middle, right) = rest.split_at_mut(inside.len());
        middle.copy_from_slice(&row[inside.clone()]);
        match border {
            Border::Zero => [left, right].into_iter().for_each(|side| side.fill(0.0)),
            Border::Replicate => {
                let (first, last) = (&row[..channels], &row[row.len() - channels..]);
                left.chunks_exact_mut(channels).for_each(|pixel| pixel.copy_from_slice(first));
                right.chunks_exact_mut(channels).for_each(|pixel| pixel.copy_from_slice(last));
            }
        }
    }
}

/// A map's rows, the first and the last repeated `reach` times beyond the edges.
pub(super) fn rows_with_context(map: &[f32], shape: Shape, reach: usize) -> Vec<&[f32]> {
    let row = |row: usize| {
        &map[row.saturating_sub(reach).min(shape.rows - 1) * shape.row_len()..][..shape.row_len()]
    };
    (0..shape.rows + 2 * reach).map(row).collect()
}

/// The rows of a map, `pad` rows larger at either side, that are made from a row: itself, and with
/// [`Border::Replicate`] those beyond an edge row.
pub(super) fn rows_made_from(row: usize, rows: usize, pad: usize, border: Border) -> Range<usize> {
    let edge = border == Border::Replicate;
    let first = if edge && row == 0 { 0 } else { row + pad };
    let last = if edge && row + 1 == rows { rows + 2 * pad } else { row + pad + 1 };
    first..last
}

/// Adds the gradient of a row that is `pad` pixels wider at either side to that of the row it was made from.
#[inline(always)]
pub(super) fn fold_row(wide: &[f32], channels: usize, pad: usize, border: Border, row: &mut [f32]) {
    let (left, rest) = wide.split_at(pad * channels);
    let (middle, right) = rest.split_at(row.len());
    add(row, middle);
    if border == Border::Replicate {
        let last = row.len() - channels;
        left.chunks_exact(channels).for_each(|pixel| add(&mut row[..channels], pixel));
        right.chunks_exact(channels).take(pad).for_each(|pixel| add(&mut row[last..], pixel));
    }
}

// Inlined, as what calls it is compiled for an instruction set.
#[inline(always)]
pub(super) fn add(to: &mut [f32], values: &[f32]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
}
