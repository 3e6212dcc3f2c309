//! Enlarging a re-drawn picture along the edges of its source.
//!
//! Joint bilateral upsampling (Kopf et al. 2007, <https://doi.org/10.1145/1275808.1276497>): a pixel of the
//! result is a mean of the reduced result's pixels around it, each weighted by how near it is and by how much
//! the reduced source there looks like the source here. So an edge is as sharp as it was in the source, while
//! the source's texture, which the reduced result doesn't have, doesn't come back.

use crate::cpu::{Cpu, Kernel, Lanes};

/// Colour distance, of RGB in 0..1, at which a pixel's weight has fallen to a quarter.
const RANGE: f32 = 0.08;
/// Columns that are worked on at a time.
const SEGMENT: usize = 256;
/// Rows and columns of the reduced picture that a pixel takes from.
const TAPS: usize = 3;

/// The way from a reduced picture's size to the full one.
pub struct Enlarge {
    cpu: Cpu,
    rows: Vec<Place>,
    cols: Vec<Place>,
}

/// Where a full row or column lies in the reduced picture.
#[derive(Clone, Copy)]
struct Place {
    nearest: usize,
    /// Quadratic B-spline weights of the one before, the nearest, and the one after.
    weights: [f32; TAPS],
}

fn places(low: usize, full: usize) -> Vec<Place> {
    (0..full)
        .map(|i| {
            let at = (i as f64 + 0.5) * low as f64 / full as f64 - 0.5;
            let nearest = (at + 0.5).floor().clamp(0.0, low as f64 - 1.0);
            let t = (at - nearest) as f32;
            let weights = [0.5 * (0.5 - t).powi(2), 0.75 - t * t, 0.5 * (0.5 + t).powi(2)];
            Place { nearest: nearest as usize, weights }
        })
        .collect()
}

/// Rows of the reduced source and the reduced result: RGB, interleaved, the row before, the nearest, the one
/// after; repeated at the picture's edges.
#[derive(Clone, Copy)]
pub struct LowRows<'a> {
    /// The reduced source.
    pub guide: [&'a [f32]; TAPS],
    /// The reduced result.
    pub value: [&'a [f32]; TAPS],
}

impl Enlarge {
    /// From `low` to `full`; both rows, columns.
    pub fn new(cpu: Cpu, low: (usize, usize), full: (usize, usize)) -> Self {
        Self { cpu, rows: places(low.0, full.0), cols: places(low.1, full.1) }
    }

    /// The reduced row that a row of the full picture is nearest to.
    pub fn nearest_row(&self, row: usize) -> usize {
        self.rows[row].nearest
    }

    /// Enlarges the rows from `first`, which share a nearest row, into `out`. `guide` are the source's rows.
    /// All RGB interleaved, 0..1.
    ///
    /// # Panics
    /// If lengths don't fit together.
    pub fn run(&self, first: usize, low: LowRows, guide: &[Vec<f32>], out: &mut [f32]) {
        assert!(guide.iter().all(|row| row.len() == 3 * self.cols.len()));
        assert_eq!(out.len(), guide.len() * 3 * self.cols.len());
        self.cpu.run(Rows { enlarge: self, first, low, guide, out });
    }
}

struct Rows<'a> {
    enlarge: &'a Enlarge,
    first: usize,
    low: LowRows<'a>,
    guide: &'a [Vec<f32>],
    out: &'a mut [f32],
}

/// One tap's values for a segment of columns, plane by plane.
#[derive(Clone)]
struct Tap {
    guide: [[f32; SEGMENT]; 3],
    value: [[f32; SEGMENT]; 3],
    weight: [f32; SEGMENT],
}

impl Kernel for Rows<'_> {
    type Output = ();

    // Plain loops over planes: the compiler makes vectors of them for each instruction set.
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) {
        let cols = self.enlarge.cols.len();
        let zero = [[0.0; SEGMENT]; 3];
        let mut taps = vec![Tap { guide: zero, value: zero, weight: zero[0] }; TAPS * TAPS];
        for segment in (0..cols).step_by(SEGMENT) {
            let count = SEGMENT.min(cols - segment);
            let places = &self.enlarge.cols[segment..segment + count];
            for (i, tap) in taps.iter_mut().enumerate() {
                let (guide, value) = (self.low.guide[i / TAPS], self.low.value[i / TAPS]);
                let low_cols = guide.len() / 3;
                for (x, place) in places.iter().enumerate() {
                    let at = (place.nearest + i % TAPS).saturating_sub(1).min(low_cols - 1) * 3;
                    for c in 0..3 {
                        tap.guide[c][x] = guide[at + c];
                        tap.value[c][x] = value[at + c];
                    }
                    tap.weight[x] = place.weights[i % TAPS];
                }
            }
            let rows = self.guide.iter().zip(self.out.chunks_exact_mut(3 * cols));
            for (row, (guide, out)) in rows.enumerate() {
                let range = 3 * segment..3 * (segment + count);
                let weights = self.enlarge.rows[self.first + row].weights;
                blend(&taps, weights, &guide[range.clone()], &mut out[range]);
            }
        }
    }
}

#[inline(always)]
fn blend(taps: &[Tap], row_weights: [f32; TAPS], guide: &[f32], out: &mut [f32]) {
    let mut here = [[0.0; SEGMENT]; 3];
    for (x, pixel) in guide.chunks_exact(3).enumerate() {
        for c in 0..3 {
            here[c][x] = pixel[c];
        }
    }
    let mut sums = [[0.0; SEGMENT]; 3];
    let mut total = [0.0; SEGMENT];
    for (i, tap) in taps.iter().enumerate() {
        let row_weight = row_weights[i / TAPS];
        for x in 0..SEGMENT {
            let difference = |c: usize| (here[c][x] - tap.guide[c][x]) * (1.0 / RANGE);
            let distance = difference(0).powi(2) + difference(1).powi(2) + difference(2).powi(2);
            let likeness = 1.0 / (1.0 + distance);
            let weight = row_weight * tap.weight[x] * likeness * likeness;
            total[x] += weight;
            for (sums, value) in sums.iter_mut().zip(&tap.value) {
                sums[x] += weight * value[x];
            }
        }
    }
    for (x, pixel) in out.chunks_exact_mut(3).enumerate() {
        for c in 0..3 {
            pixel[c] = sums[c][x] / total[x];
        }
    }
}
