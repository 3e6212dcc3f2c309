//! What stands between the convolutions of networks that normalise over the whole picture.
//!
//! From one convolution's result to the next one's input: scale and shift (a normalisation whose statistics are
//! known), leaky ReLU, bilinear enlargement, and columns reflected at the sides, in one pass over the map. And
//! the sums that the statistics are made of.

use rayon::prelude::*;

use crate::Map;
use crate::cpu::{Cpu, Kernel, Lanes};

/// Pixels whose values are summed in `f32`, before the sums are added up in `f64`.
const SUMMED_PX: usize = 64;

/// A scale and a shift for each channel, then a leaky ReLU: v = x * scale + shift, and v * slope where v is
/// negative. A slope of 1 changes nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Affine {
    /// A value a channel.
    pub scale: Vec<f32>,
    /// A value a channel.
    pub shift: Vec<f32>,
    /// What negative values are multiplied by.
    pub slope: f32,
}

/// The columns of a prepared map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// Columns at each side of the source that are none of the map's.
    pub trim: usize,
    /// Columns that are put on at the left: those beside the first, reflected.
    pub left: usize,
    /// Columns that are put on at the right.
    pub right: usize,
}

impl Columns {
    /// How many a source of `cols` columns comes to, enlarged by `factor`.
    pub const fn count(self, cols: usize, factor: usize) -> usize {
        (cols - 2 * self.trim) * factor + self.left + self.right
    }
}

/// Which rows of the source a row of the result is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreparedRow {
    /// This one.
    Same(usize),
    /// Three quarters of the first and a quarter of the second; columns likewise, twice as many (bilinear
    /// enlargement, half-pixel centres).
    Between(usize, usize),
}

/// Prepares `rows` of a map, which all come to the same length, and writes them to `out`, one after the other.
///
/// # Panics
/// If lengths don't fit together, or there are fewer columns than are to be reflected.
pub fn prepare(cpu: Cpu, affine: &Affine, columns: Columns, map: Map, rows: &[PreparedRow], out: &mut [f32]) {
    let channels = affine.scale.len();
    assert_eq!(channels, affine.shift.len());
    if rows.is_empty() {
        return assert!(out.is_empty());
    }
    assert!(out.len().is_multiple_of(rows.len() * channels));
    let row_len = out.len() / rows.len();
    out.par_chunks_mut(row_len).zip(rows).for_each_init(Vec::new, |mixed, (out, row)| {
        cpu.run(Row { affine, columns, map, row: *row, mixed, out });
    });
}

struct Row<'a> {
    affine: &'a Affine,
    columns: Columns,
    map: Map<'a>,
    row: PreparedRow,
    /// Two rows, before their columns are enlarged.
    mixed: &'a mut Vec<f32>,
    out: &'a mut [f32],
}

impl Kernel for Row<'_> {
    type Output = ();

    // Plain loops: the compiler makes vectors of them for each instruction set.
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let Self { affine, columns: Columns { trim, left, right }, map, row, mixed, out } = self;
        let channels = affine.scale.len();
        let trimmed = |row: usize| {
            let row = map.row(row);
            &row[trim * channels..row.len() - trim * channels]
        };
        let cols = out.len() / channels - left - right;
        let inner = &mut out[left * channels..(left + cols) * channels];
        match row {
            PreparedRow::Same(row) => apply(affine, trimmed(row), inner),
            PreparedRow::Between(near, far) => {
                let len = inner.len() / 2;
                mixed.resize(2 * len, 0.0);
                let (mixed, other) = mixed.split_at_mut(len);
                apply(affine, trimmed(near), mixed);
                apply(affine, trimmed(far), other);
                mixed.iter_mut().zip(other).for_each(|(near, far)| *near = 0.75 * *near + 0.25 * *far);
                enlarge(mixed, channels, inner);
            }
        }
        assert!(left < cols && right < cols, "{left} and {right} columns of {cols} can't be reflected");
        for (to, from) in (0..left)
            .map(|col| (col, 2 * left - col))
            .chain((0..right).map(|i| (left + cols + i, left + cols - 2 - i)))
        {
            out.copy_within(from * channels..(from + 1) * channels, to * channels);
        }
    }
}

#[inline(always)]
fn apply(affine: &Affine, from: &[f32], to: &mut [f32]) {
    let channels = affine.scale.len();
    assert_eq!(from.len(), to.len());
    for (from, to) in from.chunks_exact(channels).zip(to.chunks_exact_mut(channels)) {
        for (((from, to), scale), shift) in from.iter().zip(to).zip(&affine.scale).zip(&affine.shift) {
            let value = from * scale + shift;
            *to = if value > 0.0 { value } else { value * affine.slope };
        }
    }
}

#[inline(always)]
fn enlarge(from: &[f32], channels: usize, to: &mut [f32]) {
    let cols = from.len() / channels;
    let pixel = |col: usize| &from[col * channels..][..channels];
    for (i, to) in to.chunks_exact_mut(channels).enumerate() {
        let far = if i % 2 == 0 { (i / 2).saturating_sub(1) } else { (i / 2 + 1).min(cols - 1) };
        for ((to, near), far) in to.iter_mut().zip(pixel(i / 2)).zip(pixel(far)) {
            *to = 0.75 * near + 0.25 * far;
        }
    }
}

/// Each channel's sum and sum of squares over a map, without `trim` columns at each side. The same on any number
/// of threads.
pub fn channel_sums(cpu: Cpu, map: Map, trim: usize) -> Vec<[f64; 2]> {
    let shape = map.shape();
    let inner = trim * shape.channels..shape.row_len() - trim * shape.channels;
    let rows: Vec<_> = (0..shape.rows)
        .into_par_iter()
        .map(|row| cpu.run(Sums { row: &map.row(row)[inner.clone()], channels: shape.channels }))
        .collect();
    let mut sums = vec![[0.0; 2]; shape.channels];
    for row in rows {
        for (sum, row) in sums.as_flattened_mut().iter_mut().zip(row.as_flattened()) {
            *sum += row;
        }
    }
    sums
}

struct Sums<'a> {
    row: &'a [f32],
    channels: usize,
}

impl Kernel for Sums<'_> {
    type Output = Vec<[f64; 2]>;

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) -> Vec<[f64; 2]> {
        let mut total = vec![[0.0; 2]; self.channels];
        let mut sums = vec![0.0_f32; 2 * self.channels];
        for pixels in self.row.chunks(SUMMED_PX * self.channels) {
            sums.fill(0.0);
            let (plain, squares) = sums.split_at_mut(self.channels);
            for pixel in pixels.chunks_exact(self.channels) {
                for ((value, plain), square) in pixel.iter().zip(&mut *plain).zip(&mut *squares) {
                    *plain += value;
                    *square += value * value;
                }
            }
            for ((total, plain), square) in total.iter_mut().zip(plain).zip(squares) {
                total[0] += f64::from(*plain);
                total[1] += f64::from(*square);
            }
        }
        total
    }
}
