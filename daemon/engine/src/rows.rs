//! Rows of a map that may lie in several buffers: what comes in bands need not be copied together to be read.

use std::ops::Range;
use std::sync::Arc;

use candle_core::{Result, bail};
use utsushi_kernels::{Map, Shape};

use crate::buffers::Buffer;

/// Consecutive rows of a map, perhaps none: parts of as many columns and channels, one below the other.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    parts: Vec<Part>,
}

/// Rows in one buffer.
#[derive(Clone)]
struct Part {
    buffer: Arc<Buffer>,
    /// Where in it the first row starts.
    start: usize,
    shape: Shape,
}

impl Part {
    fn values(&self) -> &[f32] {
        &self.buffer[self.start..][..self.shape.len()]
    }

    fn narrow(&self, from: usize, count: usize) -> Self {
        let start = self.start + from * self.shape.row_len();
        Self { buffer: Arc::clone(&self.buffer), start, shape: Shape { rows: count, ..self.shape } }
    }
}

impl Rows {
    /// Rows that `kernel` writes, all of them: it finds anything in their place.
    pub(crate) fn draw(shape: Shape, kernel: impl FnOnce(&mut [f32])) -> Self {
        let mut buffer = Buffer::new(shape.len());
        kernel(&mut buffer);
        Self { parts: vec![Part { buffer: Arc::new(buffer), start: 0, shape }] }
    }

    /// How many.
    pub(crate) fn count(&self) -> usize {
        self.parts.iter().map(|part| part.shape.rows).sum()
    }

    /// All of them; an error if there are none.
    pub(crate) fn shape(&self) -> Result<Shape> {
        let Some(first) = self.parts.first() else { bail!("a map without rows") };
        Ok(Shape { rows: self.count(), ..first.shape })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// Puts rows below these.
    pub(crate) fn append(&mut self, rows: Self) {
        self.parts.extend(rows.parts);
    }

    /// `count` of them, from row `from` on; nothing is copied.
    pub(crate) fn narrow(&self, from: usize, count: usize) -> Result<Self> {
        let (mut skip, mut missing, mut parts) = (from, count, Vec::new());
        for part in &self.parts {
            let rows = part.shape.rows;
            let taken = rows.saturating_sub(skip).min(missing);
            if taken > 0 {
                parts.push(part.narrow(skip, taken));
            }
            skip = skip.saturating_sub(rows);
            missing -= taken;
        }
        if missing > 0 {
            bail!("{count} rows were asked for, and {missing} of them never came");
        }
        Ok(Self { parts })
    }

    /// These rows `count` times, one below the other; nothing is copied.
    pub(crate) fn repeated(&self, count: usize) -> Self {
        Self { parts: std::iter::repeat_n(&self.parts, count).flatten().cloned().collect() }
    }

    /// Lets go of the buffers that these rows are a small part of, for which they are copied.
    pub(crate) fn let_go(&mut self) {
        for part in &mut self.parts {
            if part.shape.len() * 2 < part.buffer.len() {
                let mut buffer = Buffer::new(part.shape.len());
                buffer.copy_from_slice(part.values());
                *part = Part { buffer: Arc::new(buffer), start: 0, shape: part.shape };
            }
        }
    }

    /// The same values in rows `from / to` times as many, or as few, and as much shorter, or longer.
    pub(crate) fn regrouped(mut self, from: usize, to: usize) -> Result<Self> {
        // New rows can't lie in several buffers, as the old ones that they are made of may.
        if !self.parts.iter().all(|part| (part.shape.rows * from).is_multiple_of(to)) {
            self = Self::draw(self.shape()?, |out| self.copy_to(out));
        }
        for Part { shape, .. } in &mut self.parts {
            *shape = Shape::new(shape.rows * from / to, shape.cols * to / from, shape.channels);
        }
        Ok(self)
    }

    fn copy_to(&self, mut out: &mut [f32]) {
        for part in &self.parts {
            out.split_off_mut(..part.shape.len()).expect("room for all rows").copy_from_slice(part.values());
        }
    }

    /// Appends some of their columns.
    pub(crate) fn append_to(&self, out: &mut Vec<f32>, cols: Range<usize>) {
        for part in &self.parts {
            let values = cols.start * part.shape.channels..cols.end * part.shape.channels;
            let rows = part.values().chunks_exact(part.shape.row_len());
            rows.for_each(|row| out.extend_from_slice(&row[values.clone()]));
        }
    }

    /// Lets a kernel read them.
    pub(crate) fn read<T>(&self, kernel: impl FnOnce(Map) -> Result<T>) -> Result<T> {
        let Shape { cols, channels, .. } = self.shape()?;
        let rows = self.parts.iter().flat_map(|part| part.values().chunks_exact(cols * channels));
        kernel(Map::new(&rows.collect::<Vec<_>>(), cols, channels))
    }
}
