//! The way from a picture's raw rows to what a network sees of them.
//!
//! ```text
//! source rows -> RGB -> filled under alpha -> reduced by the brush size
//! ```

use rayon::prelude::*;

use crate::alpha::{Cells, Fill, fill_row};
use crate::scale::{Reduce, Stretch};
use crate::source::Source;

/// What of a picture has gone that way.
pub(crate) struct Front {
    rows: Cells,
    cols: Cells,
    /// How many source rows it has seen.
    pub(crate) seen: usize,
    /// How many have gone on to the network.
    pub(crate) taken: usize,
    fill: Option<Fill>,
    reduce: Option<Reduce>,
}

impl Front {
    /// Of a picture, or a part of one, of these rows and columns, with alpha or without.
    pub(crate) fn new(full: (Stretch, Stretch), has_alpha: bool, reduce: Option<Reduce>) -> Self {
        let (rows, cols) = (Cells::new(full.0), Cells::new(full.1));
        Self { rows, cols, seen: 0, taken: 0, fill: has_alpha.then(|| Fill::new(rows, cols)), reduce }
    }

    /// The rows that come to the network of those up to `to`, which have come: all, or with alpha, those whose
    /// surroundings are known; reduced.
    pub(crate) fn take(&mut self, source: &Source, to: usize) -> Vec<Vec<f32>> {
        let rows = self.filled(source, to);
        self.seen = to;
        match &mut self.reduce {
            None => rows,
            Some(reduce) => reduce.push(rows),
        }
    }

    fn filled(&mut self, source: &Source, to: usize) -> Vec<Vec<f32>> {
        let Some(fill) = &mut self.fill else {
            let from = std::mem::replace(&mut self.taken, to);
            return (from..to).into_par_iter().map(|row| source.rgb(row)).collect();
        };
        for cell_row in fill.end()..self.rows.known(to) {
            let rows = self.rows.pixels(cell_row).into_par_iter();
            let rows: Vec<_> = rows.map(|row| (source.rgb(row), source.alpha(row))).collect();
            fill.push(rows.iter().map(|(rgb, alpha)| (&rgb[..], &alpha[..])));
        }
        let mut filled = Vec::new();
        let cols = self.cols;
        while self.taken < to && fill.is_ready(self.rows.at(self.taken)) {
            let cell_row = self.rows.at(self.taken);
            let colours = fill.colours(cell_row);
            let to = to.min(self.rows.pixels(cell_row).end);
            filled.par_extend((self.taken..to).into_par_iter().map(|row| {
                let mut rgb = source.rgb(row);
                fill_row(&mut rgb, &source.alpha(row), cols, &colours);
                rgb
            }));
            self.taken = to;
            fill.forget_before(self.rows.at(to));
        }
        filled
    }
}
