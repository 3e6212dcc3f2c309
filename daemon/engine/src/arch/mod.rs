//! The networks: one a file.

pub mod brush;

use candle_core::{Result, Tensor};

/// A network with a style, or a mix of styles, settled: it re-draws rows of pictures.
pub trait Generator: Send + Sync {
    /// Begins a picture of this size.
    fn stream(&self, height: usize, width: usize) -> Box<dyn RowStream>;

    /// How far beyond a pixel it looks, in pixels.
    fn reach_px(&self) -> u32;
}

/// A picture on its way through a network.
pub trait RowStream: Send {
    /// Takes the next rows, `[rows, width, 3]`, RGB in -1..1; gives those that are finished now, in the same
    /// form. When the picture's last row was taken, all are.
    fn push(&mut self, rows: Tensor) -> Result<Option<Tensor>>;
}
