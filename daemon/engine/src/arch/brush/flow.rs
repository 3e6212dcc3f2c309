//! Which way strokes go: along the forms of the picture, and where it has none, along lines that sway.
//!
//! ```text
//! luminance of cells of 4 x 4 pixels
//! differences g to the cells on the right and below
//! (gx² - gy², 2 gx gy): g at twice its angle, so that both sides of an edge agree
//! blurred, a deviation of 3 cells (structure tensor; Bigün and Granlund 1987; Kass and Witkin 1987)
//! turned by a right angle, plus a little of a field by place alone
//! the nearest of 16 directions
//! ```
//!
//! All that a direction depends on lies within [`REACH_PX`] of its cell, and it is computed in the same way wherever a
//! picture is cut at multiples of a cell.

use std::collections::VecDeque;

use utsushi_kernels::{Directions, Noise};

use super::PictureNoise;

const CELL_PX: usize = Directions::CELL_PX;
/// Cells that the blur reaches on either side.
const BLUR: usize = 9;
/// exp(-i² / (2 * 3²)) over the sum of all 19. Numbers, since not every processor's exp ends in the same bit.
const WEIGHTS: [f32; BLUR + 1] = [
    0.133_176,
    0.125_979_1,
    0.106_639,
    0.080_775_3,
    0.054_750_3,
    0.033_207_7,
    0.018_023_4,
    0.008_753_5,
    0.003_804_2,
    0.001_479_5,
];
/// How far beyond a cell directions look, in pixels: the blur, and the difference to the next cell.
pub(super) const REACH_PX: usize = CELL_PX * (BLUR + 2);

/// How much the field by place counts: as much as an edge of a luminance of 0.045, of -1 to 1, in the blur's middle.
const SWAY: f32 = 0.002;
/// Cells from one point to the next between which that field is interpolated.
const SWAY_CELLS: usize = 24;
/// The key of its noise among the layers'.
const SWAY_LAYER: u32 = u32::MAX;

/// Cosine and sine of twice each direction's angle.
const TWICE: [[f32; 2]; Directions::COUNT] = {
    const A: f32 = 0.923_879_5;
    const B: f32 = 0.707_106_77;
    const C: f32 = 0.382_683_43;
    [
        [1.0, 0.0],
        [A, C],
        [B, B],
        [C, A],
        [0.0, 1.0],
        [-C, A],
        [-B, B],
        [-A, C],
        [-1.0, 0.0],
        [-A, -C],
        [-B, -B],
        [-C, -A],
        [0.0, -1.0],
        [C, -A],
        [B, -B],
        [A, -C],
    ]
};

/// The directions of a picture whose rows come one after the other.
pub(super) struct Flow {
    /// Cells a row.
    cols: usize,
    sway: Sway,
    /// Pixels of rows that are no whole row of cells yet.
    pixels: Vec<f32>,
    /// The last row of cells that came.
    luminance: Vec<f32>,
    /// Blurred along rows, U and V by turns; those that are still needed. The first is that of row `first`.
    blurred: VecDeque<Vec<f32>>,
    first: usize,
    directions: Directions,
}

impl Flow {
    /// Of a picture of so many columns, a multiple of a cell's.
    pub(super) fn new(width: usize, noise: &PictureNoise) -> Self {
        let cols = width / CELL_PX;
        Self {
            cols,
            sway: Sway::new(noise),
            pixels: Vec::new(),
            luminance: Vec::new(),
            blurred: VecDeque::new(),
            first: 0,
            directions: Directions::new(cols),
        }
    }

    /// Takes rows, RGB in -1..1, and tells whether they are the last. All of them together are whole rows of cells.
    pub(super) fn push(&mut self, rows: &[f32], is_last: bool) {
        self.pixels.extend_from_slice(rows);
        let row_len = self.cols * CELL_PX * 3;
        let whole = self.pixels.len() / (row_len * CELL_PX) * row_len * CELL_PX;
        let pixels = std::mem::take(&mut self.pixels);
        for rows in pixels[..whole].chunks_exact(row_len * CELL_PX) {
            let luminance = luminance(rows, self.cols);
            if !self.luminance.is_empty() {
                let blurred = blurred_tensors(&self.luminance, &luminance);
                self.blurred.push_back(blurred);
            }
            self.luminance = luminance;
            self.decide(false);
        }
        self.pixels = pixels[whole..].to_vec();
        if is_last && !self.luminance.is_empty() {
            self.blurred.push_back(blurred_tensors(&self.luminance, &self.luminance));
            self.decide(true);
        }
    }

    /// Decides on the rows of cells of which all is known.
    fn decide(&mut self, is_last: bool) {
        loop {
            let (row, end) = (self.directions.rows(), self.first + self.blurred.len());
            if row >= end || (!is_last && row + BLUR >= end) {
                return;
            }
            let around = |by: isize| {
                let at = (row as isize + by).clamp(0, end as isize - 1) as usize;
                &self.blurred[at - self.first]
            };
            let mut sums: Vec<f32> = around(0).iter().map(|value| value * WEIGHTS[0]).collect();
            for (by, weight) in WEIGHTS.iter().enumerate().skip(1) {
                let (above, below) = (around(-(by as isize)), around(by as isize));
                for ((sum, above), below) in sums.iter_mut().zip(above).zip(below) {
                    *sum += (above + below) * weight;
                }
            }
            let sway = self.sway.of_row(row, self.cols);
            let direction = |(tensor, [u, v]): (&[f32; 2], [f32; 2])| {
                // Along an edge, at right angles to what changes.
                nearest([SWAY * u - tensor[0], SWAY * v - tensor[1]])
            };
            let row: Vec<u8> = sums.as_chunks().0.iter().zip(sway).map(direction).collect();
            self.directions.push(&row);
            while self.first + BLUR < self.directions.rows() {
                self.blurred.pop_front();
                self.first += 1;
            }
        }
    }

    /// Those of the rows that are decided.
    pub(super) fn directions(&self) -> &Directions {
        &self.directions
    }

    pub(super) fn into_directions(self) -> Directions {
        self.directions
    }
}

/// Of a row of cells.
fn luminance(rows: &[f32], cols: usize) -> Vec<f32> {
    let mut sums = vec![0.0; cols];
    for row in rows.chunks_exact(cols * CELL_PX * 3) {
        for (sum, cell) in sums.iter_mut().zip(row.chunks_exact(CELL_PX * 3)) {
            for [r, g, b] in cell.as_chunks().0 {
                *sum += 0.299 * r + 0.587 * g + 0.114 * b;
            }
        }
    }
    sums.iter_mut().for_each(|sum| *sum *= 1.0 / (CELL_PX * CELL_PX) as f32);
    sums
}

/// Of a row of cells and the one below: the gradients at twice their angles, blurred along the row.
fn blurred_tensors(luminance: &[f32], below: &[f32]) -> Vec<f32> {
    let cols = luminance.len();
    let tensor = |col: usize| {
        let [gx, gy] = [luminance[(col + 1).min(cols - 1)] - luminance[col], below[col] - luminance[col]];
        [gx * gx - gy * gy, 2.0 * gx * gy]
    };
    // Those at the ends repeated, and U and V by turns.
    let padded: Vec<f32> =
        (0..cols + 2 * BLUR).flat_map(|i| tensor(i.saturating_sub(BLUR).min(cols - 1))).collect();
    let mut blurred: Vec<f32> =
        padded[2 * BLUR..][..2 * cols].iter().map(|value| value * WEIGHTS[0]).collect();
    for (by, weight) in WEIGHTS.iter().enumerate().skip(1) {
        let (before, after) = (&padded[2 * (BLUR - by)..], &padded[2 * (BLUR + by)..]);
        for ((sum, before), after) in blurred.iter_mut().zip(before).zip(after) {
            *sum += (before + after) * weight;
        }
    }
    blurred
}

/// The direction that comes nearest to a vector at twice its angle.
fn nearest([u, v]: [f32; 2]) -> u8 {
    /// Tangents of a half, and of one and a half, of the 22.5 degrees between directions.
    const BOUNDS: [f32; 2] = [0.198_912_37, 0.668_178_6];
    let (across, down) = (u.abs(), v.abs());
    let (larger, smaller) = (across.max(down), across.min(down));
    let of_octant: u8 = BOUNDS.iter().map(|bound| u8::from(smaller > bound * larger)).sum();
    let of_quarter = if down > across { 4 - of_octant } else { of_octant };
    let of_half = if u < 0.0 { 8 - of_quarter } else { of_quarter };
    if v < 0.0 { (16 - of_half) % 16 } else { of_half }
}

/// A field of vectors by place in the picture: random at points, and interpolated between them.
struct Sway {
    seed: u64,
    /// Where the picture's first cell lies in the whole one.
    origin: (usize, usize),
}

impl Sway {
    fn new(noise: &PictureNoise) -> Self {
        let (x, y) = noise.origin;
        Self { seed: noise.grain.seed, origin: (x / CELL_PX, y / CELL_PX) }
    }

    /// Of so many cells of a row.
    fn of_row(&self, row: usize, cols: usize) -> impl Iterator<Item = [f32; 2]> {
        let (left, y) = (self.origin.0, self.origin.1 + row);
        let part = |at: usize| {
            let share = (at % SWAY_CELLS) as f32 / SWAY_CELLS as f32;
            share * share * (3.0 - 2.0 * share)
        };
        let first = left / SWAY_CELLS;
        let points = |y: usize| -> Vec<[f32; 2]> {
            (first..(left + cols) / SWAY_CELLS + 2).map(|x| self.point(x, y)).collect()
        };
        let (above, below) = (points(y / SWAY_CELLS), points(y / SWAY_CELLS + 1));
        (left..left + cols).map(move |x| {
            let at = x / SWAY_CELLS - first;
            let [top, bottom] = [&above, &below].map(|points| mixed(points[at], points[at + 1], part(x)));
            mixed(top, bottom, part(y))
        })
    }

    fn point(&self, x: usize, y: usize) -> [f32; 2] {
        let bits = Noise::new(self.seed, SWAY_LAYER, 0.0, (x as u32, y as u32)).bits();
        TWICE[(bits >> 28) as usize]
    }
}

fn mixed(a: [f32; 2], b: [f32; 2], share: f32) -> [f32; 2] {
    [0, 1].map(|i| a[i] + (b[i] - a[i]) * share)
}
