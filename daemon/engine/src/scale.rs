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

/// Rows or columns of a part of a picture, and where they lie in the whole of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stretch {
    /// The first of them.
    pub(crate) start: usize,
    /// How many there are. At least 1.
    pub(crate) len: usize,
    /// How many the whole picture has.
    pub(crate) whole: usize,
}

impl Stretch {
    pub(crate) fn end(self) -> usize {
        self.start + self.len
    }

    /// What it covers, if only a little of it, where the whole picture is reduced to `low`.
    pub(crate) fn reduced(self, low: usize) -> Self {
        let (start, spans) = spans(self, low);
        Self { start, len: spans.len(), whole: low }
    }
}

/// Means over areas: each reduced pixel is the mean of what it covers, parts of pixels counted as parts. In a part of
/// a picture, reduced pixels are those of the whole, at its border the means of what is there.
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

/// What of a stretch is covered by the reduced rows or columns that do cover any of it, and the first of these.
fn spans(full: Stretch, low: usize) -> (usize, Vec<Span>) {
    let scale = full.whole as f64 / low as f64;
    let near = (full.start as f64 / scale) as usize;
    // One more either way, for what is lost in rounding.
    let cells = near.saturating_sub(1)..((full.end() as f64 / scale) as usize + 2).min(low);
    let mut spans = cells.map(|cell| (cell, span(full, scale, cell))).skip_while(|(_, span)| span.is_none());
    let Some((start, Some(first))) = spans.next() else { return (near, Vec::new()) };
    (start, std::iter::once(first).chain(spans.map_while(|(_, span)| span)).collect())
}

/// What a reduced row or column covers of a stretch, from whose start on it is counted.
fn span(full: Stretch, scale: f64, cell: usize) -> Option<Span> {
    let (from, to) = (cell as f64 * scale, ((cell + 1) as f64 * scale).min(full.whole as f64));
    let first = from as usize;
    let last = (to.ceil() as usize).clamp(first + 1, full.whole);
    let cover = |p: usize| ((p + 1) as f64).min(to) - (p as f64).max(from);
    let there = first.max(full.start)..last.min(full.end());
    let mut weights: Vec<_> = there.clone().map(|p| (cover(p) / (to - from)) as f32).collect();
    if there != (first..last) {
        let sum: f32 = weights.iter().sum();
        if sum <= 0.0 {
            return None;
        }
        weights.iter_mut().for_each(|weight| *weight /= sum);
    }
    Some(Span { first: there.start - full.start, weights })
}

impl Reduce {
    /// From `full` to `low`; both rows, columns.
    pub(crate) fn new(full: (usize, usize), low: (usize, usize)) -> Self {
        let whole = |side| Stretch { start: 0, len: side, whole: side };
        Self::of_part((whole(full.0), whole(full.1)), low)
    }

    /// From `full`, rows and columns, to what they cover of a whole picture of `low` rows and columns.
    pub(crate) fn of_part(full: (Stretch, Stretch), low: (usize, usize)) -> Self {
        let (rows, cols) = (spans(full.0, low.0).1, spans(full.1, low.1).1);
        Self { rows, cols, source: Rows::default(), done: 0 }
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

/// The reduced source and the reduced result, until the rows of the full picture that need them are drawn. Reduced
/// rows and columns are counted in the whole picture, rows of the full one in the part of it that is drawn.
pub(crate) struct Enlarged {
    enlarge: Enlarge,
    full: (Stretch, Stretch),
    low: (Stretch, Stretch),
    guide: Rows,
    value: Rows,
}

impl Enlarged {
    /// From `low` to `full`; both rows, columns.
    pub(crate) fn new(low: (Stretch, Stretch), full: (Stretch, Stretch)) -> Self {
        let whole = |(rows, cols): (Stretch, Stretch)| (rows.whole, cols.whole);
        let rows = || Rows { first: low.0.start, rows: VecDeque::new() };
        Self {
            enlarge: Enlarge::new(Cpu::detect(), whole(low), whole(full)),
            full,
            low,
            guide: rows(),
            value: rows(),
        }
    }

    pub(crate) fn push_guide(&mut self, row: Vec<f32>) {
        self.guide.push(widened(row, self.low.1));
    }

    pub(crate) fn push_value(&mut self, row: Vec<f32>) {
        self.value.push(widened(row, self.low.1));
    }

    /// The reduced row that a row is nearest to.
    fn nearest_row(&self, row: usize) -> usize {
        self.enlarge.nearest_row(self.full.0.start + row)
    }

    /// Is everything there that this row of the full picture needs?
    pub(crate) fn is_ready(&self, row: usize) -> bool {
        self.value.end() >= (self.nearest_row(row) + 2).min(self.low.0.end())
    }

    /// Enlarges the rows from `first`, all of them ready, into `drawn`; `source` are those of the full picture.
    pub(crate) fn run(&self, first: usize, source: Vec<Vec<f32>>, drawn: &mut Vec<f32>) {
        let cols = self.full.1;
        let row_len = 3 * cols.len;
        drawn.resize(source.len() * row_len, 0.0);
        let source: Vec<_> = source.into_par_iter().map(|row| widened(row, cols)).collect();
        // Rows that are nearest to the same reduced row take from the same three.
        let mut groups = Vec::new();
        let (mut row, mut source, mut rest) = (first, &source[..], &mut drawn[..]);
        while !source.is_empty() {
            let nearest = self.nearest_row(row);
            let is_near = |i: &usize| self.nearest_row(row + i) == nearest;
            // A few, so that every thread gets some where the brush is large.
            let count = (0..source.len().min(MAX_GROUP_ROWS)).take_while(is_near).count();
            let (guide, later) = source.split_at(count);
            let (out, later_out) = rest.split_at_mut(count * row_len);
            groups.push((row, guide, out));
            (row, source, rest) = (row + count, later, later_out);
        }
        groups.into_par_iter().for_each(|(row, guide, out)| {
            let (from, to) = (self.low.0.start, self.low.0.end() - 1);
            let at = |tap: usize| (self.nearest_row(row) + tap).saturating_sub(1).clamp(from, to);
            let low = LowRows {
                guide: std::array::from_fn(|tap| self.guide.get(at(tap))),
                value: std::array::from_fn(|tap| self.value.get(at(tap))),
            };
            let row = self.full.0.start + row;
            if cols.len == cols.whole {
                return self.enlarge.run(row, low, guide, out);
            }
            let whole_len = 3 * cols.whole;
            let mut wide = vec![0.0; guide.len() * whole_len];
            self.enlarge.run(row, low, guide, &mut wide);
            for (out, wide) in out.chunks_exact_mut(row_len).zip(wide.chunks_exact(whole_len)) {
                out.copy_from_slice(&wide[3 * cols.start..][..row_len]);
            }
        });
    }

    /// Forgets what only rows above `row` needed.
    pub(crate) fn forget_before(&mut self, row: usize) {
        let needed = self.nearest_row(row).saturating_sub(1);
        self.guide.forget_before(needed);
        self.value.forget_before(needed);
    }
}

/// A row at its place in the whole picture's, its ends repeated on either side.
fn widened(row: Vec<f32>, cols: Stretch) -> Vec<f32> {
    if cols.len == cols.whole {
        return row;
    }
    let (first, last) = (&row[..3], &row[row.len() - 3..]);
    [&first.repeat(cols.start)[..], &row, &last.repeat(cols.whole - cols.end())].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_cover_everything_once() {
        for (full, low) in [(1, 1), (10, 10), (10, 3), (7, 2), (1000, 999), (5000, 37), (3, 1)] {
            let mut covered = vec![0.0; full];
            let (start, spans) = spans(Stretch { start: 0, len: full, whole: full }, low);
            assert_eq!((start, spans.len()), (0, low));
            for span in spans {
                assert!((span.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5);
                for (i, weight) in span.weights.iter().enumerate() {
                    covered[span.first + i] += f64::from(*weight) * full as f64 / low as f64;
                }
            }
            assert!(covered.iter().all(|c| (c - 1.0).abs() < 1e-3), "{full} to {low}: {covered:?}");
        }
    }

    #[test]
    fn parts_have_the_spans_of_the_whole() {
        for (whole, low) in [(1, 1), (10, 10), (10, 3), (7, 2), (97, 96), (100, 37), (3, 1), (64, 8)] {
            let (_, expected) = spans(Stretch { start: 0, len: whole, whole }, low);
            for start in 0..whole {
                for len in 1..=whole - start {
                    let part = Stretch { start, len, whole };
                    let (first, found) = spans(part, low);
                    assert_eq!(part.reduced(low), Stretch { start: first, len: found.len(), whole: low });
                    let what = format!("{start} + {len} of {whole} to {low}");
                    let mut end = 0;
                    for (i, (found, expected)) in found.iter().zip(&expected[first..]).enumerate() {
                        assert!(found.first <= end, "{what}: a gap before {end}");
                        end = found.end();
                        let is_whole = start + found.first == expected.first
                            && found.weights.len() == expected.weights.len();
                        if is_whole {
                            assert_eq!(found.weights, expected.weights, "{what}");
                        } else {
                            assert!(found.first == 0 || end == len, "{what}: {i} is cut");
                            assert!((found.weights.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{what}");
                        }
                    }
                    assert_eq!(end, len, "{what}");
                }
            }
        }
    }
}
