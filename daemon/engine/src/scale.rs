//! Reducing a picture to the scale at which the network works, and enlarging the result again.

use std::collections::VecDeque;

use rayon::prelude::*;
use utsushi_kernels::{Cpu, Enlarge, LowRows};

/// Rows that a thread enlarges at a time.
const MAX_GROUP_ROWS: usize = 8;

/// Rows of RGB, the oldest first, that know their place in the picture.
#[derive(Default)]
pub(crate) struct Rows {
    first: usize,
    rows: VecDeque<Vec<f32>>,
}

impl Rows {
    pub(crate) fn push(&mut self, row: Vec<f32>) {
        self.rows.push_back(row);
    }

    /// One past the last row that came.
    pub(crate) fn end(&self) -> usize {
        self.first + self.rows.len()
    }

    pub(crate) fn get(&self, row: usize) -> &[f32] {
        &self.rows[row - self.first]
    }

    pub(crate) fn forget_before(&mut self, row: usize) {
        while self.first < row && self.rows.pop_front().is_some() {
            self.first += 1;
        }
    }
}

/// Means over areas: each reduced pixel is the mean of what it covers, parts of pixels counted as parts.
pub(crate) struct Reduce {
    rows: Vec<Span>,
    cols: Vec<Span>,
    source: Rows,
    done: usize,
}

/// What a reduced row or column covers of the source's.
struct Span {
    first: usize,
    /// Shares of the pixels from `first`; their sum is 1.
    weights: Vec<f32>,
}

fn spans(full: usize, low: usize) -> Vec<Span> {
    let scale = full as f64 / low as f64;
    (0..low)
        .map(|i| {
            let (from, to) = (i as f64 * scale, ((i + 1) as f64 * scale).min(full as f64));
            let first = from as usize;
            let last = (to.ceil() as usize).clamp(first + 1, full);
            let cover = |p: usize| ((p + 1) as f64).min(to) - (p as f64).max(from);
            Span { first, weights: (first..last).map(|p| (cover(p) / (to - from)) as f32).collect() }
        })
        .collect()
}

impl Reduce {
    /// From `full` to `low`; both rows, columns.
    pub(crate) fn new(full: (usize, usize), low: (usize, usize)) -> Self {
        Self { rows: spans(full.0, low.0), cols: spans(full.1, low.1), source: Rows::default(), done: 0 }
    }

    /// Takes rows of the source; gives the reduced rows that they complete.
    pub(crate) fn push(&mut self, rows: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
        rows.into_iter().for_each(|row| self.source.push(row));
        let from = self.done;
        while self.done < self.rows.len() && self.rows[self.done].end() <= self.source.end() {
            self.done += 1;
        }
        let reduced = self.rows[from..self.done].par_iter().map(|span| self.reduce(span)).collect();
        if let Some(next) = self.rows.get(self.done) {
            self.source.forget_before(next.first);
        }
        reduced
    }

    fn reduce(&self, rows: &Span) -> Vec<f32> {
        let mut mean = vec![0.0; self.source.get(rows.first).len()];
        for (row, weight) in (rows.first..).zip(&rows.weights) {
            for (mean, value) in mean.iter_mut().zip(self.source.get(row)) {
                *mean += weight * value;
            }
        }
        let mut reduced = Vec::with_capacity(self.cols.len() * 3);
        for cols in &self.cols {
            let mut pixel = [0.0; 3];
            for (value, weight) in mean[cols.first * 3..].chunks_exact(3).zip(&cols.weights) {
                for (sum, value) in pixel.iter_mut().zip(value) {
                    *sum += weight * value;
                }
            }
            reduced.extend(pixel);
        }
        reduced
    }
}

impl Span {
    fn end(&self) -> usize {
        self.first + self.weights.len()
    }
}

/// The reduced source and the reduced result, until the rows of the full picture that need them are drawn.
pub(crate) struct Enlarged {
    enlarge: Enlarge,
    low_height: usize,
    guide: Rows,
    value: Rows,
}

impl Enlarged {
    pub(crate) fn new(low: (usize, usize), full: (usize, usize)) -> Self {
        Self {
            enlarge: Enlarge::new(Cpu::detect(), low, full),
            low_height: low.0,
            guide: Rows::default(),
            value: Rows::default(),
        }
    }

    pub(crate) fn push_guide(&mut self, row: Vec<f32>) {
        self.guide.push(row);
    }

    pub(crate) fn push_value(&mut self, row: Vec<f32>) {
        self.value.push(row);
    }

    /// Is everything there that this row of the full picture needs?
    pub(crate) fn is_ready(&self, row: usize) -> bool {
        self.value.end() >= (self.enlarge.nearest_row(row) + 2).min(self.low_height)
    }

    /// Enlarges the rows from `first`, all of them ready, into `drawn`; `source` are those of the full picture.
    pub(crate) fn run(&self, first: usize, source: &[Vec<f32>], drawn: &mut Vec<f32>) {
        let row_len = source.first().map_or(0, Vec::len);
        drawn.resize(source.len() * row_len, 0.0);
        // Rows that are nearest to the same reduced row take from the same three.
        let mut groups = Vec::new();
        let (mut row, mut source, mut rest) = (first, source, &mut drawn[..]);
        while !source.is_empty() {
            let nearest = self.enlarge.nearest_row(row);
            let is_near = |i: &usize| self.enlarge.nearest_row(row + i) == nearest;
            // A few, so that every thread gets some where the brush is large.
            let count = (0..source.len().min(MAX_GROUP_ROWS)).take_while(is_near).count();
            let (guide, later) = source.split_at(count);
            let (out, later_out) = rest.split_at_mut(count * row_len);
            groups.push((row, guide, out));
            (row, source, rest) = (row + count, later, later_out);
        }
        groups.into_par_iter().for_each(|(row, guide, out)| {
            let at =
                |tap: usize| (self.enlarge.nearest_row(row) + tap).saturating_sub(1).min(self.low_height - 1);
            let low = LowRows {
                guide: std::array::from_fn(|tap| self.guide.get(at(tap))),
                value: std::array::from_fn(|tap| self.value.get(at(tap))),
            };
            self.enlarge.run(row, low, guide, out);
        });
    }

    /// Forgets what only rows above `row` needed.
    pub(crate) fn forget_before(&mut self, row: usize) {
        let needed = self.enlarge.nearest_row(row).saturating_sub(1);
        self.guide.forget_before(needed);
        self.value.forget_before(needed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_everything_once() {
        for (full, low) in [(1, 1), (10, 10), (10, 3), (7, 2), (1000, 999), (5000, 37), (3, 1)] {
            let mut covered = vec![0.0; full];
            for span in spans(full, low) {
                assert!((span.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                for (i, weight) in span.weights.iter().enumerate() {
                    covered[span.first + i] += f64::from(*weight) * full as f64 / low as f64;
                }
            }
            assert!(covered.iter().all(|c| (c - 1.0).abs() < 1e-3), "{full} to {low}: {covered:?}");
        }
    }
}
