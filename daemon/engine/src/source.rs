//! The rows of the source that the result still needs.

use crate::colour::{Codec, Colours, in_range};

/// Raw rows, the oldest first.
pub(crate) struct Source {
    pub(crate) codec: Codec,
    pub(crate) colours: Colours,
    width: usize,
    /// The first row that is kept.
    first: usize,
    bytes: Vec<u8>,
    /// Bytes of rows that were given away and still lie before the first that is kept.
    gone: usize,
}

impl Source {
    /// With room for so many rows. They grow into it without being moved, for which they would need it thrice.
    pub(crate) fn new(codec: Codec, width: usize, rows: usize) -> Self {
        let bytes = Vec::with_capacity(rows * width * codec.pixel_bytes());
        let colours = Colours::of_depth(codec.depth);
        Self { codec, colours, width, first: 0, bytes, gone: 0 }
    }

    pub(crate) fn row_bytes(&self) -> usize {
        self.width * self.codec.pixel_bytes()
    }

    /// The first row that is kept.
    pub(crate) fn first(&self) -> usize {
        self.first
    }

    /// One past the last row that came.
    pub(crate) fn end(&self) -> usize {
        self.first + self.kept_bytes() / self.row_bytes()
    }

    pub(crate) fn push(&mut self, rows: &[u8]) {
        self.bytes.extend_from_slice(rows);
    }

    /// The bytes of the rows that are kept.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.bytes.len() - self.gone
    }

    /// Gives the oldest rows away.
    pub(crate) fn pop(&mut self, count: usize, out: &mut Vec<u8>) {
        let end = self.gone + count * self.row_bytes();
        out.extend_from_slice(&self.bytes[self.gone..end]);
        self.let_go(count);
    }

    fn let_go(&mut self, count: usize) {
        self.first += count;
        self.gone += count * self.row_bytes();
        // Moving what is kept to the front costs as much as it is long, so not each time.
        if self.gone > self.bytes.len() / 2 {
            self.bytes.drain(..self.gone);
            self.gone = 0;
        }
    }

    /// Lets go of the rows before this one.
    pub(crate) fn forget_before(&mut self, row: usize) {
        if let Some(count) = row.checked_sub(self.first) {
            self.let_go(count);
        }
    }

    fn raw(&self, row: usize) -> &[u8] {
        &self.bytes[self.gone + (row - self.first) * self.row_bytes()..][..self.row_bytes()]
    }

    /// A row as the network may see it.
    pub(crate) fn rgb(&self, row: usize) -> Vec<f32> {
        let mut rgb = vec![0.0; self.width * 3];
        self.codec.read_rgb(self.raw(row), &mut rgb);
        self.colours.show(&mut rgb);
        rgb
    }

    /// A row's colours, what the network doesn't see of them included.
    pub(crate) fn unseen_rgb(&self, row: usize) -> Vec<f32> {
        let mut rgb = vec![0.0; self.width * 3];
        self.codec.read_rgb(self.raw(row), &mut rgb);
        rgb
    }

    /// A row's alpha.
    pub(crate) fn alpha(&self, row: usize) -> Vec<f32> {
        let mut alpha = vec![0.0; self.width];
        self.codec.read_alpha(self.raw(row), &mut alpha);
        alpha.iter_mut().for_each(|v| *v = in_range(*v));
        alpha
    }
}
