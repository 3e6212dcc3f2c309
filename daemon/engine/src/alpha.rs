//! Colour under transparent pixels.
//!
//! What a file holds under alpha 0 is left over, often black, and nobody ever saw it; a network that sees it
//! draws its edges into the visible picture. So before the network looks, each pixel is blended, as far as it
//! is transparent, with the mean colour of the visible pixels around it.
//!
//! The means are those of cells of [`CELL_PX`] pixels, at fixed places in the picture, so that the result does
//! not depend on the bands; a cell with little to show takes from the cells around it, near ones first.

use std::ops::Range;

use rayon::prelude::*;

use crate::scale::Stretch;

/// Side of a cell, in pixels.
pub(crate) const CELL_PX: usize = 8;
/// Radii, in cells, over which colour is looked for: each only where the smaller ones found little.
const RADII: [usize; 3] = [1, 3, 8];
/// How many rows of cells below one must be known before it can be filled.
pub(crate) const CELL_REACH: usize = RADII[2];
/// As much visible area, in pixels, as makes a mean count half.
const HALF_AREA_PX: f32 = 2.0;
/// The colour where there is none within reach.
const NEUTRAL: f32 = 0.5;

/// Sums over the pixels of a cell: alpha times R, G, B, and alpha.
type Cell = [f32; 4];

/// The rows or columns of cells that a part of a picture has to do with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cells {
    /// Pixels of the first that lie before the part.
    lead: usize,
    /// The part's pixels.
    len: usize,
}

impl Cells {
    pub(crate) fn new(stretch: Stretch) -> Self {
        Self { lead: stretch.start % CELL_PX, len: stretch.len }
    }

    /// How many there are.
    fn count(self) -> usize {
        (self.lead + self.len).div_ceil(CELL_PX)
    }

    /// The one in which a pixel lies.
    pub(crate) fn at(self, pixel: usize) -> usize {
        (pixel + self.lead) / CELL_PX
    }

    /// How many are known once the pixels before this one are.
    pub(crate) fn known(self, end: usize) -> usize {
        if end == self.len { self.count() } else { self.at(end) }
    }

    /// The pixels of one.
    pub(crate) fn pixels(self, cell: usize) -> Range<usize> {
        let from = cell * CELL_PX;
        from.saturating_sub(self.lead)..(from + CELL_PX - self.lead).min(self.len)
    }
}

/// The cells of the picture's rows that are still needed.
pub(crate) struct Fill {
    rows: Cells,
    cols: Cells,
    /// The first cell row that is kept.
    first: usize,
    cells: Vec<Vec<Cell>>,
}

impl Fill {
    pub(crate) fn new(rows: Cells, cols: Cells) -> Self {
        Self { rows, cols, first: 0, cells: Vec::new() }
    }

    /// Takes the rows of the next row of cells.
    pub(crate) fn push<'a>(&mut self, rows: impl Iterator<Item = (&'a [f32], &'a [f32])>) {
        let mut cells = vec![Cell::default(); self.cols.count()];
        for (rgb, alpha) in rows {
            for (col, cell) in cells.iter_mut().enumerate() {
                let Range { start, end } = self.cols.pixels(col);
                for (pixel, alpha) in rgb[3 * start..3 * end].chunks_exact(3).zip(&alpha[start..end]) {
                    for (sum, value) in cell.iter_mut().zip(pixel.iter().chain(&[1.0])) {
                        *sum += alpha * value;
                    }
                }
            }
        }
        self.cells.push(cells);
    }

    /// One past the last row of cells that came.
    pub(crate) fn end(&self) -> usize {
        self.first + self.cells.len()
    }

    /// Can this row of cells be filled, or are rows below it still to come?
    pub(crate) fn is_ready(&self, cell_row: usize) -> bool {
        self.end() >= (cell_row + CELL_REACH + 1).min(self.rows.count())
    }

    /// The colour of each cell of a row, to show through where pixels are transparent.
    pub(crate) fn colours(&self, cell_row: usize) -> Vec<[f32; 3]> {
        (0..self.cols.count()).into_par_iter().map(|col| self.colour(cell_row, col)).collect()
    }

    fn colour(&self, cell_row: usize, col: usize) -> [f32; 3] {
        // From the widest surroundings to the cell itself, each mean as far as there is area behind it.
        RADII.iter().rev().chain(&[0]).fold([NEUTRAL; 3], |colour, &radius| {
            let sums = self.sum(cell_row, col, radius);
            std::array::from_fn(|c| (sums[c] + HALF_AREA_PX * colour[c]) / (sums[3] + HALF_AREA_PX))
        })
    }

    fn sum(&self, cell_row: usize, col: usize, radius: usize) -> Cell {
        let rows = cell_row.saturating_sub(radius)..(cell_row + radius + 1).min(self.rows.count());
        let cols = col.saturating_sub(radius)..(col + radius + 1).min(self.cols.count());
        let mut sums = Cell::default();
        for row in rows {
            for cell in &self.cells[row - self.first][cols.clone()] {
                for (sum, value) in sums.iter_mut().zip(cell) {
                    *sum += value;
                }
            }
        }
        sums
    }

    /// Forgets the cells that only rows above `cell_row` needed.
    pub(crate) fn forget_before(&mut self, cell_row: usize) {
        let keep_from = cell_row.saturating_sub(CELL_REACH);
        if keep_from > self.first {
            self.cells.drain(..keep_from - self.first);
            self.first = keep_from;
        }
    }
}

/// Blends a row with its cells' colours, as far as its pixels are transparent.
pub(crate) fn fill_row(rgb: &mut [f32], alpha: &[f32], cols: Cells, colours: &[[f32; 3]]) {
    for (col, colour) in colours.iter().enumerate() {
        let Range { start, end } = cols.pixels(col);
        for (pixel, alpha) in rgb[3 * start..3 * end].chunks_exact_mut(3).zip(&alpha[start..end]) {
            let hidden = 1.0 - alpha;
            for (value, colour) in pixel.iter_mut().zip(colour) {
                // So that where all is hidden not a bit of what is hidden shows.
                *value = alpha * *value + hidden * colour;
            }
        }
    }
}
