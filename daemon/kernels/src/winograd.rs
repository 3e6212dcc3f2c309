//! Convolutions of 3x3 and 7x7 by Winograd's method: 4x4 results from 6x6 or 10x10 inputs with as many
//! products, where the definition takes 144 or 784.
//!
//! The products are matrix products again, one for each of the 36 or 100 points of the transform, of tiles times
//! weights that were transformed once. Some tiles at a time are worked on, so that their transforms stay in the
//! second-level cache.
//!
//! What a tile of 4 rows is computed from decides how its results are rounded. Tiles therefore start at
//! multiples of 4 rows of the map, and whoever runs a map in bands must cut it there: see
//! [`Geometry::row_multiple`](crate::Geometry::row_multiple).

use crate::Source;
use crate::cpu::{Cpu, Kernel, Lanes};
use crate::gemm::{Panels, Taps, Target, Write, multiply_panel, write_vector};
use crate::patch::Window;
use crate::scratch::{Buffers, first};
use crate::toom::{OUTPUTS, Points, SEVEN, THREE};

/// Rows and columns of results in a tile.
pub(crate) const TILE: usize = OUTPUTS;

/// Bytes of transformed inputs that are worked on at a time.
const BLOCK_BYTES: usize = 450 << 10;
/// What keeps the points' planes from lying a multiple of 4 KiB apart, where they would share cache lines.
const PLANE_PAD: usize = 32;

/// A convolution's weights, transformed.
#[derive(Debug)]
pub(crate) struct Winograd {
    kernel: usize,
    inputs: usize,
    /// Padded to whole vectors.
    bias: Vec<f32>,
    /// For each point, row by row, a matrix of inputs x outputs.
    points: Vec<Panels>,
}

impl Winograd {
    /// Does it pay for such a convolution? With few channels the transforms cost more than the products that they
    /// save: with 8 to 8 it takes half as long again, with 16 to 8 it makes no difference, 15 to 12 gain a quarter.
    pub(crate) fn pays(kernel: usize, inputs: usize, outputs: usize) -> bool {
        (kernel == 3 || kernel == 7) && inputs >= 8 && outputs >= 8 && inputs * outputs >= 144
    }

    /// `weight(i, o, y, x)` is the kernel from input `i` to output `o` at row `y` and column `x`.
    pub(crate) fn new(
        cpu: Cpu,
        kernel: usize,
        inputs: usize,
        bias: &[f32],
        weight: impl Fn(usize, usize, usize, usize) -> f32,
    ) -> Self {
        let outputs = bias.len();
        let transformed = match kernel {
            3 => transformed::<2, 3, 6>(&THREE, inputs, outputs, weight),
            _ => transformed::<4, 7, 10>(&SEVEN, inputs, outputs, weight),
        };
        let points = transformed
            .chunks_exact(inputs * outputs)
            .map(|matrix| Panels::new(cpu, inputs, vec![0.0; outputs], |i, o| matrix[i * outputs + o]))
            .collect();
        let mut padded_bias = bias.to_vec();
        // 16 is the longest vector there is.
        padded_bias.resize(outputs.next_multiple_of(16), 0.0);
        Self { kernel, inputs, bias: padded_bias, points }
    }

    pub(crate) fn outputs(&self) -> usize {
        self.points[0].outputs()
    }

    /// Products of an input and an output, per result.
    pub(crate) fn products_per_result(&self) -> f64 {
        self.points.len() as f64 / (TILE * TILE) as f64
    }

    /// Tiles that are worked on at a time: whole register tiles on every CPU, or almost.
    fn block_tiles(&self) -> usize {
        let tile_bytes = self.points.len() * self.inputs * size_of::<f32>();
        (BLOCK_BYTES / tile_bytes / 8 * 8).clamp(8, 48)
    }
}

/// Point by point, row by row, the weights' matrix of inputs x outputs. In training it is made at every step.
fn transformed<const PAIRS: usize, const KERNEL: usize, const SIZE: usize>(
    points: &Points<PAIRS>,
    inputs: usize,
    outputs: usize,
    weight: impl Fn(usize, usize, usize, usize) -> f32,
) -> Vec<f32> {
    let matrix: [[f64; KERNEL]; SIZE] = points.weights();
    let along =
        |values: &[f64; KERNEL], of: &[f64; KERNEL]| values.iter().zip(of).map(|(v, m)| v * m).sum::<f64>();
    let plane = inputs * outputs;
    let mut transformed = vec![0.0; SIZE * SIZE * plane];
    for i in 0..inputs {
        for o in 0..outputs {
            let rows: [[f64; KERNEL]; KERNEL] =
                std::array::from_fn(|y| std::array::from_fn(|x| f64::from(weight(i, o, y, x))));
            // Column by column, as what is transformed next are columns.
            let columns: [[f64; KERNEL]; SIZE] =
                std::array::from_fn(|x| std::array::from_fn(|y| along(&rows[y], &matrix[x])));
            for y in 0..SIZE {
                for (x, column) in columns.iter().enumerate() {
                    transformed[(y * SIZE + x) * plane + i * outputs + o] = along(column, &matrix[y]) as f32;
                }
            }
        }
    }
    transformed
}

/// Some rows of the result; the first is a tile's first.
pub(crate) struct Strip<'a> {
    pub(crate) winograd: &'a Winograd,
    pub(crate) source: Source<'a>,
    /// Columns that the source would have to have more on its left, and on its right: they repeat its first and last.
    pub(crate) pad: usize,
    /// Columns of the result.
    pub(crate) cols: usize,
    pub(crate) first: usize,
    pub(crate) write: Write<'a>,
    /// The map's pixels; point by point, the tiles' transformed inputs; point by point, the tiles' products with
    /// one panel of the weights.
    pub(crate) buffers: &'a mut Buffers,
    pub(crate) out: &'a mut [f32],
}

impl Kernel for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        match self.winograd.kernel {
            3 => self.blocks::<L, 2, 6>(lanes, &THREE),
            _ => self.blocks::<L, 4, 10>(lanes, &SEVEN),
        }
    }
}

/// Some tiles: `rows` x `cols` of them from a row and a column of the map on.
#[derive(Clone, Copy)]
struct Block {
    first_row: usize,
    first_col: usize,
    rows: usize,
    cols: usize,
}

impl Strip<'_> {
    #[inline(always)]
    fn blocks<L: Lanes, const PAIRS: usize, const SIZE: usize>(mut self, lanes: L, points: &Points<PAIRS>) {
        let out_rows = self.out.len() / (self.cols * self.winograd.outputs());
        let rows = out_rows.div_ceil(TILE);
        let all_cols = self.cols.div_ceil(TILE);
        let most = (self.winograd.block_tiles() / rows).max(1);
        for first in (0..all_cols).step_by(most) {
            let cols = most.min(all_cols - first);
            let block = Block { first_row: self.first, first_col: first * TILE, rows, cols };
            let plane = self.transform::<L, PAIRS, SIZE>(lanes, points, block);
            let mut first_output = 0;
            for (panel, vectors) in self.winograd.points[0].widths().iter().enumerate() {
                let width = vectors * L::COUNT;
                let products_plane = self.multiply(lanes, block, plane, panel, first_output, width);
                for v in 0..*vectors {
                    let output = first_output + v * L::COUNT;
                    self.results::<L, PAIRS, SIZE>(lanes, points, block, products_plane, width, v, output);
                }
                first_output += width;
            }
        }
    }

    /// Gathers a block's inputs and transforms them. Gives how far the points' planes lie apart.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "a matrix is transposed")]
    fn transform<L: Lanes, const PAIRS: usize, const SIZE: usize>(
        &mut self,
        lanes: L,
        points: &Points<PAIRS>,
        block: Block,
    ) -> usize {
        let padded = self.winograd.inputs.next_multiple_of(L::COUNT);
        let (rows, cols) = (block.rows * TILE + SIZE - TILE, block.cols * TILE + SIZE - TILE);
        let [patch, inputs, _] = &mut *self.buffers;
        let patch = first(patch, rows * cols * padded);
        let pad = self.pad;
        Window { first_row: block.first_row, first_col: block.first_col, cols, pad, pixel: padded }.gather(
            lanes,
            self.source,
            patch,
        );
        let plane = block.rows * block.cols * padded / L::INPUTS + PLANE_PAD;
        let inputs = first(inputs, SIZE * SIZE * plane);
        let patch = L::vectors(patch);
        let vectors = padded / L::COUNT;
        for tile in 0..block.rows * block.cols {
            let (row, col) = (tile / block.cols * TILE, tile % block.cols * TILE);
            for v in 0..vectors {
                let mut columns = [[lanes.splat(0.0); SIZE]; SIZE];
                for x in 0..SIZE {
                    let mut column = [lanes.splat(0.0); SIZE];
                    for (y, value) in column.iter_mut().enumerate() {
                        *value = patch[((row + y) * cols + col + x) * vectors + v];
                    }
                    columns[x] = points.inputs::<L, SIZE>(lanes, column);
                }
                for y in 0..SIZE {
                    let mut row = [lanes.splat(0.0); SIZE];
                    for x in 0..SIZE {
                        row[x] = columns[x][y];
                    }
                    for (x, value) in points.inputs::<L, SIZE>(lanes, row).into_iter().enumerate() {
                        let at = (y * SIZE + x) * plane + (tile * padded + v * L::COUNT) / L::INPUTS;
                        lanes.store_words(&mut inputs[at..], value);
                    }
                }
            }
        }
        plane
    }

    /// Multiplies a block's transformed inputs with one panel of the weights. Gives how far the points' planes
    /// lie apart.
    #[inline(always)]
    fn multiply<L: Lanes>(
        &mut self,
        lanes: L,
        block: Block,
        plane: usize,
        panel: usize,
        first_output: usize,
        width: usize,
    ) -> usize {
        let Winograd { points, inputs: channels, .. } = self.winograd;
        let [_, inputs, products] = &mut *self.buffers;
        let count = block.rows * block.cols;
        let products_plane = count * width + PLANE_PAD / 2;
        let products = first(products, points.len() * products_plane);
        for (i, weights) in points.iter().enumerate() {
            let taps = Taps {
                data: inputs,
                start: i * plane,
                rows: 1,
                row_stride: 0,
                len: channels.div_ceil(L::INPUTS),
                pixel_stride: channels.next_multiple_of(L::COUNT) / L::INPUTS,
            };
            let data = &mut products[i * products_plane..];
            let outputs = first_output..first_output + width;
            let mut target = Target { data, stride: width, outputs, write: Write::Store };
            multiply_panel(lanes, &taps, weights, panel, count, &mut target);
        }
        products_plane
    }

    /// Reads off a block's results, vector `v` of the panel, which is from output `output` on.
    #[inline(always)]
    #[expect(clippy::too_many_arguments, reason = "an inner loop, apart only to be read")]
    #[expect(clippy::needless_range_loop, reason = "a matrix is transposed")]
    fn results<L: Lanes, const PAIRS: usize, const SIZE: usize>(
        &mut self,
        lanes: L,
        points: &Points<PAIRS>,
        block: Block,
        plane: usize,
        width: usize,
        v: usize,
        output: usize,
    ) {
        let outputs = self.winograd.outputs();
        let width_out = L::COUNT.min(outputs - output);
        let bias = L::vectors(&self.winograd.bias)[output / L::COUNT];
        let row_len = self.cols * outputs;
        let out_rows = self.out.len() / row_len;
        for tile in 0..block.rows * block.cols {
            let products = &self.buffers[2][tile * width + v * L::COUNT..];
            let mut columns = [[lanes.splat(0.0); OUTPUTS]; SIZE];
            for x in 0..SIZE {
                let mut column = [lanes.splat(0.0); SIZE];
                for (y, value) in column.iter_mut().enumerate() {
                    *value = lanes.load(&products[(y * SIZE + x) * plane..]);
                }
                columns[x] = points.outputs::<L, SIZE>(lanes, column);
            }
            let (first_row, first_col) =
                (tile / block.cols * TILE, block.first_col + tile % block.cols * TILE);
            for y in 0..TILE.min(out_rows - first_row) {
                let mut row = [lanes.splat(0.0); SIZE];
                for x in 0..SIZE {
                    row[x] = columns[x][y];
                }
                let results = points.outputs::<L, SIZE>(lanes, row);
                for (x, result) in results.into_iter().enumerate().take(self.cols - first_col) {
                    let at = (first_row + y) * row_len + (first_col + x) * outputs + output;
                    write_vector(
                        lanes,
                        &mut self.out[at..][..width_out],
                        lanes.add(result, bias),
                        self.write,
                    );
                }
            }
        }
    }
}
