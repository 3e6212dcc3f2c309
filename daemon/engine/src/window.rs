//! Rows with what lies around them, reflected at the picture's edges, and enlarged on the way where a network
//! enlarges.
//!
//! What [`Context`](crate::bands::Context) is to edges that are repeated; here the rows are picked while the
//! map is prepared for the convolution ([`prepare`]), so that they are copied once.

use candle_core::Result;
use utsushi_kernels::{Affine, Columns, PreparedRow};

use crate::bands::Band;
use crate::ops::prepare;
use crate::rows::Rows;

/// How a map comes to its next convolution.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Surroundings {
    /// Rows above each that the convolution needs.
    pub(crate) above: usize,
    /// Rows below.
    pub(crate) below: usize,
    /// The map's columns.
    pub(crate) columns: Columns,
    /// Rows are handed on in multiples of this many: a stride, or the rows of a tile, so that tiles lie at the
    /// same places of the picture however it was cut.
    pub(crate) multiple: usize,
    pub(crate) scale: Scale,
}

/// The size of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scale {
    Same,
    /// Enlarged bilinearly, half-pixel centres.
    Twice,
}

/// The rows that are still needed, and where in the map they are.
#[derive(Default)]
pub(crate) struct Window {
    held: Rows,
    /// The first row that is held.
    first: usize,
    /// One past the last row that came.
    end: usize,
    /// The first row, after the enlargement, that has not been handed on.
    next: usize,
}

impl Window {
    /// Takes rows; gives `above + n + below` prepared rows, of which the inner `n` have their surroundings now.
    pub(crate) fn push(&mut self, band: Band, around: &Surroundings, affine: &Affine) -> Result<Band> {
        let Band { rows, last } = band;
        let mut all = std::mem::take(&mut self.held);
        all.append(rows);
        self.end = self.first + all.count();
        if all.is_empty() {
            return Ok(Band { rows: all, last });
        }
        let ready = self.ready(around, last);
        let picked = self.pick(around, ready, last);
        let prepared = match &picked[..] {
            [] => Rows::default(),
            picked => prepare(&all, affine, around.columns, picked)?,
        };
        if !last {
            self.keep(around, ready, &all)?;
        }
        Ok(Band { rows: prepared, last })
    }

    /// One past the last row that has its surroundings.
    fn ready(&self, around: &Surroundings, last: bool) -> usize {
        let height = match around.scale {
            Scale::Same => self.end,
            // The last of them lies between a row that is there and the one below.
            Scale::Twice if last => 2 * self.end,
            Scale::Twice => 2 * self.end - 1,
        };
        match height.checked_sub(around.below) {
            _ if last => height,
            // The row that is reflected above the first must be there.
            Some(ready) if height > around.above => ready / around.multiple * around.multiple,
            _ => 0,
        }
    }

    /// The rows from [`Self::next`] to `ready` with their surroundings, as places in what is held and has come.
    fn pick(&self, around: &Surroundings, ready: usize, last: bool) -> Vec<PreparedRow> {
        if ready <= self.next {
            return Vec::new();
        }
        let place = |row: usize| row - self.first;
        let last_row = if last { self.end - 1 } else { usize::MAX };
        let pick = |row: usize| match around.scale {
            Scale::Same => PreparedRow::Same(place(row)),
            Scale::Twice if row.is_multiple_of(2) => {
                PreparedRow::Between(place(row / 2), place((row / 2).saturating_sub(1)))
            }
            Scale::Twice => PreparedRow::Between(place(row / 2), place((row / 2 + 1).min(last_row))),
        };
        (self.next..ready + around.above + around.below)
            .map(|row| {
                let row = row.abs_diff(around.above);
                // Reflected at the end, which `ready` is if anything is.
                if last && row >= ready { 2 * (ready - 1) - row } else { row }
            })
            .map(pick)
            .collect()
    }

    /// Keeps what the rows from `ready` on need.
    fn keep(&mut self, around: &Surroundings, ready: usize, all: &Rows) -> Result<()> {
        self.next = self.next.max(ready);
        let needed = match around.scale {
            Scale::Same => self.next.saturating_sub(around.above),
            Scale::Twice => (self.next.saturating_sub(around.above) / 2).saturating_sub(1),
        };
        // And what may be reflected at the end.
        let needed = needed.min(self.end.saturating_sub(around.below + 1)).max(self.first);
        self.held = all.narrow(needed - self.first, self.end - needed)?;
        self.first = needed;
        self.held.let_go();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use utsushi_kernels::Shape;

    const NOTHING: Columns = Columns { trim: 0, left: 0, right: 0 };

    /// What a map of one column whose rows are `values` becomes, cut at these places: each row handed on, with
    /// those around it.
    fn windows(values: &[f32], around: &Surroundings, cuts: &[usize]) -> Vec<Vec<f32>> {
        let affine = Affine { scale: vec![1.0], shift: vec![0.0], slope: 1.0 };
        let mut window = Window::default();
        let (mut result, mut from) = (Vec::new(), 0);
        for to in cuts.iter().copied().chain([values.len()]) {
            let mut rows = Rows::default();
            if to > from {
                rows = Rows::draw(Shape::new(to - from, 1, 1), |out| out.copy_from_slice(&values[from..to]));
            }
            let band = window.push(Band { rows, last: to == values.len() }, around, &affine);
            let rows = band.expect("a band").rows;
            if !rows.is_empty() {
                let mut column = Vec::new();
                rows.append_to(&mut column, 0..1);
                let length = around.above + 1 + around.below;
                assert!(to == values.len() || (column.len() + 1 - length).is_multiple_of(around.multiple));
                result.extend(column.windows(length).map(<[f32]>::to_vec));
            }
            from = to;
        }
        result
    }

    #[test]
    fn every_cut_gives_every_row_the_same_surroundings() {
        for (height, above, below, multiple, scale) in [
            (8, 1, 1, 1, Scale::Same),
            (8, 1, 1, 4, Scale::Same),
            (9, 3, 3, 4, Scale::Same),
            (4, 3, 3, 4, Scale::Same),
            (8, 0, 1, 2, Scale::Same),
            (2, 0, 1, 2, Scale::Same),
            (5, 0, 0, 1, Scale::Same),
            (2, 1, 1, 4, Scale::Twice),
            (7, 1, 1, 4, Scale::Twice),
            (6, 3, 3, 1, Scale::Twice),
            (6, 0, 0, 2, Scale::Twice),
        ] {
            let around = Surroundings { above, below, columns: NOTHING, multiple, scale };
            let values: Vec<f32> = (0..height).map(|row| (row * row) as f32).collect();
            let full: Vec<f32> = match scale {
                Scale::Same => values.clone(),
                Scale::Twice => (0..2 * height)
                    .map(|row| {
                        let next =
                            if row % 2 == 0 { row.max(2) / 2 - 1 } else { (row / 2 + 1).min(height - 1) };
                        let next = if row == 0 { 0 } else { next };
                        0.75 * values[row / 2] + 0.25 * values[next]
                    })
                    .collect(),
            };
            let last = full.len() as isize - 1;
            let at = |row: isize| full[(if row > last { 2 * last - row } else { row.abs() }) as usize];
            let want: Vec<Vec<f32>> = (0..full.len() as isize)
                .map(|row| (row - above as isize..=row + below as isize).map(at).collect())
                .collect();
            for first in 0..=height {
                for second in first..=height {
                    // The band that ends the map must come last, and once.
                    let cuts: Vec<usize> = [first, second].into_iter().filter(|cut| *cut < height).collect();
                    assert_eq!(windows(&values, &around, &cuts), want, "{height} {around:?} {cuts:?}");
                }
            }
        }
    }
}
