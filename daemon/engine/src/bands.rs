//! Rows that flow through a network from the top of a picture to its bottom, a band at a time.
//!
//! A network whose every layer looks only a few rows up and down can run on a picture that is never whole in
//! memory: each layer keeps the few rows that it still needs of its own input, and hands on what it has
//! finished. Nothing is computed twice, memory depends on the picture's width alone, and the result is that of
//! the whole picture, bit for bit, however the rows were cut into bands.

use std::ops::Range;

use candle_core::{Result, bail};
use utsushi_kernels::Shape;

use crate::rows::Rows;

/// Some rows of a map, or none; and whether the map ends with them.
pub(crate) struct Band {
    pub(crate) rows: Rows,
    pub(crate) last: bool,
}

impl Band {
    /// Applies an operation to the rows there are.
    pub(crate) fn map(self, f: impl FnOnce(&Rows) -> Result<Rows>) -> Result<Self> {
        let rows = if self.rows.is_empty() { self.rows } else { f(&self.rows)? };
        Ok(Self { rows, last: self.last })
    }

    /// The same rows in bands of at most `most`; the last of them ends the map if this one does.
    pub(crate) fn pieces(self, most: usize) -> Result<Vec<Self>> {
        let Self { rows, last } = self;
        if rows.is_empty() {
            return Ok(vec![Self { rows, last }]);
        }
        let count = rows.count();
        let piece = |from: usize| {
            let rows = rows.narrow(from, most.min(count - from))?;
            Ok(Self { rows, last: last && from + most >= count })
        };
        (0..count).step_by(most).map(piece).collect()
    }
}

/// Pads a picture by repeating its last column and row, until its sides are multiples.
pub(crate) struct Padding {
    height: usize,
    width: usize,
    multiple: usize,
    /// Sides are at least this long.
    least: usize,
    /// How often the first row, and the first column, come before themselves.
    before: (usize, usize),
    taken: usize,
}

impl Padding {
    pub(crate) fn new(height: usize, width: usize, multiple: usize, least: usize) -> Self {
        Self { height, width, multiple, least, before: (0, 0), taken: 0 }
    }

    /// Repeats the first row, and the first column, so many times, too: as the first of a part that begins so far
    /// behind a multiple of the whole picture's.
    pub(crate) fn beginning(self, before: (usize, usize)) -> Self {
        Self { before, ..self }
    }

    /// The padded picture's height and width.
    pub(crate) fn padded(&self) -> (usize, usize) {
        let side = |side: usize| side.max(self.least).next_multiple_of(self.multiple);
        (side(self.before.0 + self.height), side(self.before.1 + self.width))
    }

    /// Takes the picture's next rows, `[rows, width, 3]`.
    pub(crate) fn push(&mut self, rows: &[f32]) -> Result<Band> {
        let row_len = self.width * 3;
        let count = rows.len() / row_len;
        self.taken += count;
        if rows.is_empty() || !rows.len().is_multiple_of(row_len) || self.taken > self.height {
            bail!("{} values are no rows of a picture of {} x {}", rows.len(), self.width, self.height);
        }
        let ((height, width), (above, left)) = (self.padded(), self.before);
        let mut padded = Rows::draw(Shape::new(count, width, 3), |out| {
            for (row, out) in rows.chunks_exact(row_len).zip(out.chunks_exact_mut(width * 3)) {
                let (before, rest) = out.split_at_mut(left * 3);
                let (inside, beyond) = rest.split_at_mut(row_len);
                before.chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&row[..3]));
                inside.copy_from_slice(row);
                beyond.chunks_exact_mut(3).for_each(|pixel| pixel.copy_from_slice(&row[row_len - 3..]));
            }
        });
        if self.taken == count {
            let mut first = padded.narrow(0, 1)?.repeated(above);
            first.append(padded);
            padded = first;
        }
        let last = self.taken == self.height;
        if last {
            padded.append(padded.narrow(padded.count() - 1, 1)?.repeated(height - above - self.height));
        }
        Ok(Band { rows: padded, last })
    }
}

/// Gives every row its context: `reach` rows above and below it, the picture's first and last row repeated
/// beyond its edges.
pub(crate) struct Context {
    reach: usize,
    /// Rows are handed on in multiples of this many.
    multiple: usize,
    /// The rows that what comes next still needs.
    held: Rows,
    started: bool,
}

impl Context {
    pub(crate) fn new(reach: usize) -> Self {
        Self::in_multiples(reach, 1)
    }

    /// With this, rows come in multiples, but for the map's last ones, unless its height is one.
    pub(crate) fn in_multiples(reach: usize, multiple: usize) -> Self {
        Self { reach, multiple, held: Rows::default(), started: false }
    }

    /// Takes rows; gives `n + 2 * reach` rows, of which the inner `n` have their context now.
    pub(crate) fn push(&mut self, band: Band) -> Result<Band> {
        let Band { rows, last } = band;
        let mut all = std::mem::take(&mut self.held);
        if !self.started && !rows.is_empty() {
            self.started = true;
            all = rows.narrow(0, 1)?.repeated(self.reach);
        }
        all.append(rows);
        if all.is_empty() {
            return Ok(Band { rows: all, last });
        }
        if last {
            all.append(all.narrow(all.count() - 1, 1)?.repeated(self.reach));
        }
        let inner = all.count().saturating_sub(2 * self.reach);
        let ready = if last { inner } else { inner / self.multiple * self.multiple };
        if !last {
            self.held = all.narrow(ready, all.count() - ready)?;
            self.held.let_go();
        }
        let rows = if ready > 0 { all.narrow(0, ready + 2 * self.reach)? } else { Rows::default() };
        Ok(Band { rows, last })
    }
}

/// Gives rows what lies around them, as [`Context`] does, but repeats nothing: for an operation that knows what a
/// map's edges are itself.
pub(crate) struct Overlap {
    reach: usize,
    held: Rows,
    /// Rows of those held that are there as context alone.
    above: usize,
}

impl Overlap {
    pub(crate) fn new(reach: usize) -> Self {
        Self { reach, held: Rows::default(), above: 0 }
    }

    /// Takes rows; gives those that have their context now, and which of them they are.
    pub(crate) fn push(&mut self, band: Band) -> Result<(Rows, Range<usize>)> {
        self.held.append(band.rows);
        let below = if band.last { 0 } else { self.reach };
        let end = self.held.count().saturating_sub(below);
        if end <= self.above {
            return Ok((Rows::default(), 0..0));
        }
        let (rows, inner) = (self.held.clone(), self.above..end);
        self.above = self.reach.min(end);
        let first = end - self.above;
        self.held = rows.narrow(first, rows.count() - first)?;
        self.held.let_go();
        Ok((rows, inner))
    }
}

/// Keeps rows until another branch of the network has caught up with them.
#[derive(Default)]
pub(crate) struct Delay {
    held: Rows,
}

impl Delay {
    pub(crate) fn push(&mut self, rows: &Rows) {
        self.held.append(rows.clone());
    }

    /// How many rows it keeps.
    pub(crate) fn rows(&self) -> usize {
        self.held.count()
    }

    /// The oldest `count` rows.
    pub(crate) fn take(&mut self, count: usize) -> Result<Rows> {
        let taken = self.held.narrow(0, count)?;
        self.held = self.held.narrow(count, self.rows() - count)?;
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(from: usize, to: usize) -> Rows {
        let values: Vec<f32> = (from..to).map(|v| v as f32).collect();
        Rows::draw(Shape::new(values.len(), 1, 1), |out| out.copy_from_slice(&values))
    }

    fn values(rows: &Rows) -> Vec<f32> {
        let mut values = Vec::new();
        rows.append_to(&mut values, 0..1);
        values
    }

    /// The sum of each row's context, computed over bands, for a map that counts its rows.
    fn context_sums(height: usize, reach: usize, multiple: usize, cuts: &[usize]) -> Vec<f32> {
        let mut context = Context::in_multiples(reach, multiple);
        let (mut sums, mut from) = (Vec::new(), 0);
        for to in cuts.iter().copied().chain([height]) {
            let rows = if to > from { numbers(from, to) } else { Rows::default() };
            let band = context.push(Band { rows, last: to == height }).expect("a band");
            if !band.rows.is_empty() {
                let rows = band.rows;
                assert!((values(&rows).len() - 2 * reach).is_multiple_of(multiple));
                sums.extend(values(&rows).windows(2 * reach + 1).map(|w| w.iter().sum::<f32>()));
            }
            from = to;
        }
        sums
    }

    #[test]
    fn every_cut_gives_every_row_the_same_context() {
        for (height, reach, multiple) in [(1, 2, 1), (2, 1, 2), (8, 2, 1), (8, 2, 4), (16, 0, 8), (24, 5, 2)]
        {
            let at = |i: isize| i.clamp(0, height as isize - 1) as f32;
            let want: Vec<f32> = (0..height as isize)
                .map(|y| (y - reach as isize..=y + reach as isize).map(at).sum())
                .collect();
            for first in 0..=height {
                for second in first..=height {
                    let cuts = [first, second];
                    // The band that ends the map must come last, and once.
                    let cuts: Vec<usize> = cuts.into_iter().filter(|cut| *cut < height).collect();
                    assert_eq!(
                        context_sums(height, reach, multiple, &cuts),
                        want,
                        "{height} {reach} {cuts:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn an_overlap_gives_every_row_its_neighbours_once() {
        for (height, reach) in [(1, 1), (2, 1), (7, 2), (9, 4)] {
            for first in 0..=height {
                for second in first..=height {
                    let (mut overlap, mut from, mut given) = (Overlap::new(reach), 0, Vec::new());
                    for to in [first, second, height] {
                        let rows = if to > from { numbers(from, to) } else { Rows::default() };
                        let (rows, inner) = overlap.push(Band { rows, last: to == height }).expect("rows");
                        from = to;
                        if inner.is_empty() {
                            continue;
                        }
                        let rows = values(&rows);
                        given.extend_from_slice(&rows[inner.clone()]);
                        let (top, bottom) = (rows[inner.start] as usize, rows[inner.end - 1] as usize);
                        assert_eq!(
                            rows[0] as usize,
                            top - reach.min(top),
                            "{height} {reach} {first} {second}"
                        );
                        assert!(rows.len() > inner.end + reach - 1 || bottom + reach >= height);
                        if to == height {
                            break;
                        }
                    }
                    let want: Vec<f32> = (0..height).map(|y| y as f32).collect();
                    assert_eq!(given, want, "{height} {reach} {first} {second}");
                }
            }
        }
    }

    #[test]
    fn a_delay_gives_rows_back_in_order() {
        let mut delay = Delay::default();
        delay.push(&numbers(0, 3));
        delay.push(&Rows::default());
        delay.push(&numbers(3, 5));
        assert_eq!(delay.rows(), 5);
        assert_eq!(values(&delay.take(4).expect("rows")), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(values(&delay.take(1).expect("rows")), [4.0]);
        assert!(delay.take(1).is_err());
    }
}
