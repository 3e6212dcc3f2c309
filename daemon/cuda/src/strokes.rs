//! Which way strokes go in a picture, and the strokes of one map after the other.

use std::sync::Arc;

use cudarc::driver::CudaStream;

use crate::workspace::{Buffer, Padded};
use crate::{Error, Gpu};

/// Rows and columns of a cell, in pixels of the picture; as `utsushi_kernels::Directions` has it.
const CELL_PX: usize = 4;
/// Directions there are.
const COUNT: u8 = 16;
/// How much smaller than the picture, at least, a map is that strokes come into.
const LEAST_FACTOR: usize = 2;

/// Directions in the GPU's memory, and room for what is made of them.
#[derive(Default)]
pub(crate) struct Strokes {
    /// A cell's each, row by row: 0 is along a row, and from there on by a sixteenth of half a turn, towards the columns.
    directions: Buffer<u8>,
    /// Rows of cells, and cells a row.
    cells: (usize, usize),
    /// The strokes of a map, `[rows, cols]`.
    plane: Buffer<f32>,
}

impl Strokes {
    /// Makes room for those of a picture. What was there is lost.
    pub(crate) fn reserve(&mut self, stream: &Arc<CudaStream>, padded: Padded) -> Result<(), Error> {
        let (directions, plane) = lens(padded);
        self.directions.reserve(stream, directions)?;
        self.plane.reserve(stream, plane)?;
        self.cells = (padded.height / CELL_PX, padded.width / CELL_PX);
        Ok(())
    }

    pub(crate) fn cells_a_row(&self) -> usize {
        self.cells.1
    }

    /// How many times smaller than the picture a map of so many rows and columns is.
    ///
    /// # Panics
    /// If it isn't one of this picture's.
    pub(crate) fn factor(&self, rows: usize, cols: usize) -> usize {
        let (height, width) = (self.cells.0 * CELL_PX, self.cells.1 * CELL_PX);
        let factor = width / cols;
        assert!((factor * rows, factor * cols) == (height, width) && factor >= LEAST_FACTOR);
        factor
    }

    /// The directions, and where strokes go.
    pub(crate) fn buffers(&mut self) -> (&Buffer<u8>, &mut Buffer<f32>) {
        (&self.directions, &mut self.plane)
    }

    /// The strokes that were made last.
    pub(crate) fn plane(&self) -> &Buffer<f32> {
        &self.plane
    }
}

impl Gpu {
    /// Brings a picture's directions to where room was made for them.
    ///
    /// # Errors
    /// If the GPU fails.
    ///
    /// # Panics
    /// If there isn't one for each cell, or there is no such direction.
    pub(crate) fn upload_directions(&self, directions: &[u8], strokes: &mut Strokes) -> Result<(), Error> {
        let (rows, cols) = strokes.cells;
        assert!(directions.len() == rows * cols && directions.iter().all(|direction| *direction < COUNT));
        let mut to = strokes.directions.slice_mut().slice_mut(..directions.len());
        Ok(self.stream.memcpy_htod(directions, &mut to)?)
    }
}

/// How many directions a picture has, and how many pixels the largest map that strokes come into.
fn lens(padded: Padded) -> (usize, usize) {
    let Padded { height, width } = padded;
    (height / CELL_PX * (width / CELL_PX), height / LEAST_FACTOR * (width / LEAST_FACTOR))
}

/// How much of the GPU's memory those of a picture take.
pub(crate) fn bytes(padded: Padded) -> usize {
    let (directions, plane) = lens(padded);
    directions + plane * size_of::<f32>()
}

#[cfg(test)]
mod tests {
    use utsushi_kernels::{Cpu, Directions, Noise};

    use super::*;

    const FAR: u32 = u32::MAX - 5;

    /// Needs a GPU, or the emulator in its place, and `UTSUSHI_TEST_DEVICE=cuda`.
    #[test]
    fn they_are_the_processors_to_the_last_bit() {
        if std::env::var("UTSUSHI_TEST_DEVICE").as_deref() != Ok("cuda") {
            eprintln!("skipped: UTSUSHI_TEST_DEVICE isn't cuda");
            return;
        }
        let gpu = Gpu::open(0).expect("a GPU");
        // Larger and smaller ones by turns, in the same memory.
        let mut strokes = Strokes::default();
        for (height, width) in [(8, 8), (24, 136), (136, 24), (40, 56)] {
            let padded = Padded { height, width };
            let cols = width / CELL_PX;
            let cells: Vec<u8> = (0..height / CELL_PX * cols).map(|i| (i * 7 % 61 % 16) as u8).collect();
            let mut directions = Directions::new(cols);
            cells.chunks(cols).for_each(|row| directions.push(row));
            strokes.reserve(&gpu.stream, padded).expect("room on the GPU");
            gpu.upload_directions(&cells, &mut strokes).expect("an upload");
            for factor in [2, 4, 8] {
                for (layer, place) in [(0, 0), (1, 0), (17, 1003), (FAR, 3), (5, FAR)].into_iter().enumerate()
                {
                    let noise = Noise::new(7 << 31, layer as u32, 0.7 + layer as f32, place);
                    let (rows, cols) = (height / factor, width / factor);
                    let want = noise.strokes(Cpu::detect(), &directions, factor, (0, rows), cols);
                    let (key, scale, (x, y)) = noise.stroke_parts();
                    let parts = crate::Noise { key, scale, x, y };
                    gpu.strokes(&mut strokes, parts, (rows, cols)).expect("strokes");
                    let plane = strokes.plane().slice().slice(..want.len());
                    let got = gpu.stream.clone_dtoh(&plane).expect("a download");
                    let differs = (0..want.len()).find(|at| got[*at].to_bits() != want[*at].to_bits());
                    assert_eq!(differs, None, "{height} x {width} by {factor} at {place:?}");
                }
            }
        }
    }
}
