//! Maps: rows of pixels, channels last.

/// The size of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Rows.
    pub rows: usize,
    /// Columns.
    pub cols: usize,
    /// Channels.
    pub channels: usize,
}

impl Shape {
    /// A shape.
    pub const fn new(rows: usize, cols: usize, channels: usize) -> Self {
        Self { rows, cols, channels }
    }

    /// Values in a map of this size.
    pub const fn len(self) -> usize {
        self.rows * self.cols * self.channels
    }

    /// Has the map no values?
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Values in a row.
    pub const fn row_len(self) -> usize {
        self.cols * self.channels
    }
}

/// A map to read, row by row. Its rows may lie anywhere, and one may stand for several, so that bands need not be
/// copied together and the edge rows that they repeat not at all.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a> {
    rows: &'a [&'a [f32]],
    shape: Shape,
}

impl<'a> Map<'a> {
    /// A map of these rows.
    ///
    /// # Panics
    /// If a row's length is not `cols * channels`.
    pub fn new(rows: &'a [&'a [f32]], cols: usize, channels: usize) -> Self {
        let shape = Shape::new(rows.len(), cols, channels);
        assert!(rows.iter().all(|row| row.len() == shape.row_len()), "rows that are not those of {shape:?}");
        Self { rows, shape }
    }

    /// Rows, columns and channels.
    pub const fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) const fn channels(&self) -> usize {
        self.shape.channels
    }

    /// A row's pixels.
    ///
    /// # Panics
    /// If the map has no such row.
    pub fn row(&self, row: usize) -> &'a [f32] {
        self.rows[row]
    }
}
