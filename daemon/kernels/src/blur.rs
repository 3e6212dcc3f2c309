//! The binomial filter [1 2 1] / 4 in both directions, each channel for itself.
//!
//! Behind a pixel-shuffle it takes away what a network could draw by a pixel's place among the shuffled ones: on an
//! even surface these are all that differs, and the filter's result there is the same everywhere (aliasing: Karras
//! et al. 2021, <https://arxiv.org/abs/2106.12423>). It reflects at the borders, where the neighbour that a pixel
//! lacks is then of the same place among the shuffled ones as the one it has. So even surfaces stay even to the last
//! bit, in the picture's corners, too.

use std::ops::Range;

use rayon::prelude::*;

use crate::cpu::{Cpu, Kernel, Lanes};
use crate::scratch::{first, with_buffers};
use crate::{Map, Shape, strip_rows};

/// Rows of context that a row needs above, and below.
pub const REACH: usize = 1;

/// Filters rows `rows` of `x`, adds `base`, and writes `out`. What lies beyond `x`'s first and last row is beyond the
/// map's border, and reflected: where there is more of the map, [`REACH`] rows of context come with `x`.
///
/// # Panics
/// If the sizes don't fit together, or `x` has less than two rows or columns.
pub fn blur_add(cpu: Cpu, x: Map, rows: Range<usize>, base: Map, out: &mut [f32]) {
    let shape = x.shape();
    assert!(shape.rows > 1 && shape.cols > 1 && rows.end <= shape.rows);
    assert_eq!(base.shape(), Shape { rows: rows.len(), ..shape });
    assert_eq!(out.len(), rows.len() * shape.row_len());
    let strip = strip_rows(rows.len());
    out.par_chunks_mut(strip * shape.row_len()).enumerate().for_each(|(i, out)| {
        with_buffers(|[mixed, ..]| {
            let mixed = first(mixed, shape.row_len());
            for (row, out) in (i * strip..).zip(out.chunks_exact_mut(shape.row_len())) {
                let around = reflected(rows.start + row, shape.rows).map(|row| x.row(row));
                let base = Some(base.row(row));
                cpu.run(Row { around, channels: shape.channels, mixed, base, out });
            }
        });
    });
}

/// A row or column and its neighbours, of `count`.
#[inline(always)]
pub(crate) fn reflected(at: usize, count: usize) -> [usize; 3] {
    let before = if at == 0 { 1 } else { at - 1 };
    let after = if at + 1 == count { count - 2 } else { at + 1 };
    [before, at, after]
}

/// Two neighbours and the value between them. For equal neighbours this is the mean of the two values, rounded once,
/// whichever of them is in the middle.
#[inline(always)]
pub(crate) fn binomial<L: Lanes>(lanes: L, before: L::V, value: L::V, after: L::V) -> L::V {
    let neighbours = lanes.mul(lanes.add(before, after), lanes.splat(0.25));
    lanes.add(neighbours, lanes.mul(value, lanes.splat(0.5)))
}

/// [`binomial`] of whole rows.
#[inline(always)]
pub(crate) fn binomial_rows<L: Lanes>(lanes: L, [before, row, after]: [&[f32]; 3], out: &mut [f32]) {
    let len = out.len();
    let whole = len - len % L::COUNT;
    for i in (0..whole).step_by(L::COUNT) {
        let value = binomial(lanes, lanes.load(&before[i..]), lanes.load(&row[i..]), lanes.load(&after[i..]));
        lanes.store(&mut out[i..], value);
    }
    for i in whole..len {
        out[i] = (before[i] + after[i]) * 0.25 + row[i] * 0.5;
    }
}

/// A row of the result.
pub(crate) struct Row<'a> {
    pub(crate) around: [&'a [f32]; 3],
    pub(crate) channels: usize,
    /// As long as a row.
    pub(crate) mixed: &'a mut [f32],
    pub(crate) base: Option<&'a [f32]>,
    pub(crate) out: &'a mut [f32],
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { around, channels, mixed, base, out } = self;
        let len = out.len();
        binomial_rows(lanes, around, mixed);
        let last = len - channels;
        // The first and the last pixel have their one neighbour twice.
        binomial_rows(lanes, [&mixed[channels..], mixed, &mixed[channels..]], &mut out[..channels]);
        let inner = [mixed, &mixed[channels..], &mixed[2 * channels..]];
        binomial_rows(lanes, inner, &mut out[channels..last]);
        let before = &mixed[last - channels..];
        binomial_rows(lanes, [before, &mixed[last..], before], &mut out[last..]);
        if let Some(base) = base {
            out.iter_mut().zip(base).for_each(|(out, base)| *out += base);
        }
    }
}
