//! Noise by position: what a network draws strokes of where the picture has no texture.
//!
//! A value is a function of a key and of where the pixel lies in the picture, so that a band, a selection or a tile
//! gets that of the whole. It is made of integers up to the last multiplication, and so is the same, bit for bit, on
//! every processor and on a GPU.
//!
//! Four bytes of a hash (lowbias32, Wellons 2018, <https://nullprogram.com/blog/2018/07/31/>) are added up: their sum
//! is nearly normal (Irwin-Hall), with a mean of 0, a deviation of 1, and nothing beyond 3.5.
//!
//! *Strokes* are noise that was averaged along lines (line integral convolution, Cabral and Leedom 1993,
//! <https://doi.org/10.1145/166117.166151>), as a brush leaves it: nine pixels in the direction that a map of
//! [`Directions`] says. Mean and deviation are the same.

use rayon::prelude::*;

use crate::cpu::{Cpu, Kernel, Lanes};

/// The sum's mean.
const MEAN: i32 = 4 * 255 / 2;
/// That layer 0 begins with; 0 would be its own hash. The golden ratio's first bits.
const FIRST_KEY: u32 = 0x9e37_79b9;
/// One over the sum's deviation, the square root of 4 (256² - 1) / 12.
const SCALE: f32 = 0.006_765_875;

/// Pixels on either side of one that a stroke goes on.
const STROKE_REACH: i32 = 4;
/// Twice the mean of a stroke's bytes' sum.
const STROKE_MEAN: i32 = (2 * STROKE_REACH + 1) * 255;
/// One over twice their deviation, the square root of 9 (256² - 1) / 12.
const STROKE_SCALE: f32 = 0.002_255_292;
/// What columns and rows are multiplied with before they are hashed.
const STEPS: [u32; 2] = [0x9e37_79b1, 0x85eb_ca77];
/// From one of a stroke's pixels to the next, in columns and rows, times 256: a step is one column or one row, so that no
/// pixel counts twice.
const COLS: [i32; Directions::COUNT] =
    [256, 256, 256, 256, 256, 171, 106, 51, 0, -51, -106, -171, -256, -256, -256, -256];
const ROWS: [i32; Directions::COUNT] =
    [0, 51, 106, 171, 256, 256, 256, 256, 256, 256, 256, 256, 256, 171, 106, 51];

/// Which way strokes go in a picture: for each of its cells a direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directions {
    /// Cells a row.
    cols: usize,
    /// Row by row: 0 is along a row, and from there on by a sixteenth of half a turn, towards the columns.
    cells: Vec<u8>,
}

impl Directions {
    /// Rows and columns of a cell, in pixels.
    pub const CELL_PX: usize = 4;
    /// How many directions there are.
    pub const COUNT: usize = 16;

    /// Of a picture with so many cells a row, none of whose rows are known yet.
    pub fn new(cols: usize) -> Self {
        Self { cols, cells: Vec::new() }
    }

    /// Adds a row of cells.
    ///
    /// # Panics
    /// If it has another length than the others, or there are no such directions.
    pub fn push(&mut self, row: &[u8]) {
        assert!(row.len() == self.cols && row.iter().all(|d| usize::from(*d) < Self::COUNT));
        self.cells.extend_from_slice(row);
    }

    /// Rows of cells.
    pub fn rows(&self) -> usize {
        self.cells.len() / self.cols
    }

    /// All of them.
    pub fn cells(&self) -> &[u8] {
        &self.cells
    }

    /// Those that row `row` of a map crosses that is `factor` times smaller than the picture.
    fn of_row(&self, row: usize, factor: usize) -> &[u8] {
        &self.cells[row * factor / Self::CELL_PX * self.cols..][..self.cols]
    }
}

/// The noise of one layer of a picture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    key: u32,
    /// Its deviation.
    strength: f32,
    /// Where the map's first pixel lies in the whole picture's map.
    x: u32,
    y: u32,
}

impl Noise {
    /// That of a layer of pictures with this seed. `x` and `y`: where the map's first pixel lies in the map of the
    /// whole picture.
    pub fn new(seed: u64, layer: u32, strength: f32, (x, y): (u32, u32)) -> Self {
        let key = hash(seed as u32 ^ hash((seed >> 32) as u32 ^ hash(layer ^ FIRST_KEY)));
        Self { key, strength, x, y }
    }

    /// Row `row` of the map, from column `col` on.
    #[inline(always)]
    pub fn row(&self, row: usize, col: usize, out: &mut [f32]) {
        let key = hash(self.key ^ self.y.wrapping_add(row as u32));
        let first = self.x.wrapping_add(col as u32);
        let scale = SCALE * self.strength;
        for (i, out) in out.iter_mut().enumerate() {
            let hash = hash(key ^ first.wrapping_add(i as u32));
            let sum = (hash & 255) + (hash >> 8 & 255) + (hash >> 16 & 255) + (hash >> 24);
            *out = (sum as i32 - MEAN) as f32 * scale;
        }
    }

    /// 32 random bits at the map's first pixel.
    pub fn bits(&self) -> u32 {
        hash(hash(self.key ^ self.y) ^ self.x)
    }

    /// Strokes of `rows` rows of a map `factor` times smaller than the picture, which `directions` are of, from row `row`
    /// of the map on, and `cols` columns.
    ///
    /// # Panics
    /// If the directions aren't known so far.
    pub fn strokes(
        &self,
        cpu: Cpu,
        directions: &Directions,
        factor: usize,
        (row, rows): (usize, usize),
        cols: usize,
    ) -> Vec<f32> {
        let mut out = vec![0.0; rows * cols];
        if cols > 0 {
            out.par_chunks_mut(cols).enumerate().for_each(|(i, out)| {
                let directions = directions.of_row(row + i, factor);
                cpu.run(StrokesOfRow { noise: *self, directions, factor, row: row + i, out });
            });
        }
        out
    }

    /// That of the map without its first rows.
    #[must_use]
    pub fn below(self, rows: usize) -> Self {
        Self { y: self.y.wrapping_add(rows as u32), ..self }
    }

    /// That of the map with so many rows before its first.
    #[must_use]
    pub fn above(self, rows: usize) -> Self {
        Self { y: self.y.wrapping_sub(rows as u32), ..self }
    }

    /// What a device needs to compute it: the key, the strength times the scale of a sum, the place.
    pub fn parts(&self) -> (u32, f32, (u32, u32)) {
        (self.key, SCALE * self.strength, (self.x, self.y))
    }

    /// The same for [strokes](Self::strokes), whose sums have another scale.
    pub fn stroke_parts(&self) -> (u32, f32, (u32, u32)) {
        (self.key, STROKE_SCALE * self.strength, (self.x, self.y))
    }
}

struct StrokesOfRow<'a> {
    noise: Noise,
    directions: &'a [u8],
    factor: usize,
    row: usize,
    out: &'a mut [f32],
}

impl Kernel for StrokesOfRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        const RUN: usize = 64;
        let Self { noise, directions, factor, row, out } = self;
        let scale = STROKE_SCALE * noise.strength;
        let first = noise.y.wrapping_add(row as u32).wrapping_mul(STEPS[1]);
        for (run, out) in out.chunks_mut(RUN).enumerate() {
            let (mut across, mut down, mut places, mut sums) =
                ([0i32; RUN], [0i32; RUN], [0u32; RUN], [0u32; RUN]);
            for i in 0..out.len() {
                let col = run * RUN + i;
                let direction = usize::from(directions[col * factor / Directions::CELL_PX]);
                across[i] = COLS[direction];
                down[i] = ROWS[direction];
                places[i] = first.wrapping_add(noise.x.wrapping_add(col as u32).wrapping_mul(STEPS[0]));
            }
            for step in -STROKE_REACH..=STROKE_REACH {
                // By indices, and without closures, so that it is vectors that are computed with.
                for i in 0..RUN {
                    let x = (step * across[i] + 128) >> 8;
                    let y = (step * down[i] + 128) >> 8;
                    let place = places[i]
                        .wrapping_add((x as u32).wrapping_mul(STEPS[0]))
                        .wrapping_add((y as u32).wrapping_mul(STEPS[1]));
                    sums[i] += hash(noise.key ^ place) & 255;
                }
            }
            for (out, sum) in out.iter_mut().zip(sums) {
                *out = (2 * sum as i32 - STROKE_MEAN) as f32 * scale;
            }
        }
    }
}

#[inline(always)]
const fn hash(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(noise: Noise, rows: usize, cols: usize) -> Vec<f32> {
        let mut map = vec![0.0; rows * cols];
        map.chunks_exact_mut(cols).enumerate().for_each(|(y, row)| noise.row(y, 0, row));
        map
    }

    /// Mean of a[i] b[i].
    fn correlation(a: &[f32], b: &[f32]) -> f64 {
        a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>() / a.len() as f64
    }

    #[test]
    fn it_is_white_and_normal() {
        const SIDE: usize = 512;
        let noise = Noise::new(7, 3, 1.0, (0, 0));
        let values = map(noise, SIDE, SIDE);
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
        assert!(mean.abs() < 0.01, "mean {mean}");
        assert!((correlation(&values, &values) - 1.0).abs() < 0.01);
        let fourth = values.iter().map(|v| f64::from(*v).powi(4)).sum::<f64>() / values.len() as f64;
        assert!((2.5..3.1).contains(&fourth), "a normal distribution has 3, four bytes have 2.7: {fourth}");
        for shift in [1, 2, 3, 4, 8, SIDE - 1, SIDE, SIDE + 1, 2 * SIDE, 8 * SIDE] {
            let with_neighbour = correlation(&values, &values[shift..]);
            assert!(with_neighbour.abs() < 0.01, "{shift} further on: {with_neighbour}");
        }
        for other in [
            Noise::new(7, 4, 1.0, (0, 0)),
            Noise::new(8, 3, 1.0, (0, 0)),
            Noise::new(7 << 32, 3, 1.0, (0, 0)),
        ] {
            let with_other = correlation(&values, &map(other, SIDE, SIDE));
            assert!(with_other.abs() < 0.01, "{other:?}: {with_other}");
        }
    }

    /// Strokes of a map at half the size, all in one direction.
    fn strokes(noise: Noise, direction: u8, side: usize) -> Vec<f32> {
        let mut directions = Directions::new(side / 2);
        (0..side / 2).for_each(|_| directions.push(&vec![direction; side / 2]));
        let cpu = Cpu::detect();
        let strokes = noise.strokes(cpu, &directions, 2, (0, side), side);
        for other in Cpu::available() {
            assert!(noise.strokes(other, &directions, 2, (0, side), side) == strokes, "{other:?}");
        }
        strokes
    }

    #[test]
    fn strokes_are_noise_along_their_direction() {
        const SIDE: usize = 256;
        // Where a stroke goes on to in two steps, and what lies across it.
        for (direction, along, across) in [
            (0, 2, 2 * SIDE),
            (4, 2 * SIDE + 2, SIDE * 2 - 2),
            (8, 2 * SIDE, 2),
            (12, 2 * SIDE - 2, 2 * SIDE + 2),
        ] {
            let values = strokes(Noise::new(7, 3, 1.0, (5, 9)), direction, SIDE);
            let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
            assert!(mean.abs() < 0.02, "{direction}: mean {mean}");
            let variance = correlation(&values, &values);
            assert!((variance - 1.0).abs() < 0.03, "{direction}: variance {variance}");
            // Seven of nine pixels are the same.
            let shared = correlation(&values, &values[along..]);
            assert!((shared - 7.0 / 9.0).abs() < 0.03, "{direction}: along it {shared}");
            let other = correlation(&values, &values[across..]);
            assert!(other.abs() < 0.03, "{direction}: across it {other}");
        }
    }

    #[test]
    fn strokes_of_a_part_are_those_of_the_whole() {
        let cells = |cols: usize, rows: usize, (x, y): (usize, usize)| {
            let mut directions = Directions::new(cols);
            for row in 0..rows {
                let row: Vec<u8> = (0..cols).map(|col| ((x + col) * 5 + (y + row) * 3) as u8 % 16).collect();
                directions.push(&row);
            }
            directions
        };
        for (factor, of_cell) in [(2, 2), (4, 1), (8, 1)] {
            // The part begins with cell (4, 6).
            let (x, y) = (4 * 4 / factor, 6 * 4 / factor);
            let cpu = Cpu::detect();
            let of = |at, directions: &Directions, rows, cols| {
                Noise::new(1, 0, 0.5, at).strokes(cpu, directions, factor, rows, cols)
            };
            let (cols, part) = (80 * of_cell * 4 / factor.max(4), 70 * of_cell * 4 / factor.max(4));
            let whole = of((0, 0), &cells(80, 30, (0, 0)), (0, y + 9), cols);
            let drawn = of((x as u32, y as u32), &cells(70, 20, (4, 6)), (3, 5), part);
            for (row, values) in drawn.chunks_exact(part).enumerate() {
                assert!(values == &whole[(y + 3 + row) * cols + x..][..part], "1/{factor}, row {row}");
            }
        }
    }

    #[test]
    fn a_part_has_that_of_the_whole() {
        let whole = map(Noise::new(1, 0, 0.5, (0, 0)), 20, 30);
        let part = map(Noise::new(1, 0, 0.5, (11, 6)), 9, 13);
        for (y, row) in part.chunks_exact(13).enumerate() {
            assert_eq!(row, &whole[(y + 6) * 30 + 11..][..13]);
        }
        let mut row = [0.0; 5];
        Noise::new(1, 0, 0.5, (11, 6)).row(3, 4, &mut row);
        assert_eq!(row, part[3 * 13 + 4..][..5]);
    }

    /// Pictures that were drawn with a seed must come out again.
    #[test]
    fn values_never_change() {
        let mut row = [0.0; 4];
        Noise::new(0, 0, 1.0, (0, 0)).row(0, 0, &mut row);
        assert_eq!(row.map(|v| (v / SCALE).round() as i32), [-192, 69, 218, -15]);
        let strokes = strokes(Noise::new(0, 0, 1.0, (0, 0)), 5, 4);
        let sums: Vec<i32> = strokes[..4].iter().map(|v| (v / STROKE_SCALE).round() as i32).collect();
        assert_eq!(sums, [237, -17, -275, -1161]);
    }
}
