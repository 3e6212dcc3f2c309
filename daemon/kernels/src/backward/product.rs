//! The product behind every gradient of weights: the sum over pixels of one map's channels times another's.
//!
//! A register tile of inputs x vectors of outputs is summed over all pixels that are in cache, and added to
//! memory once. Nothing is transposed: the inputs of a pixel lie next to each other, and each is spread over a
//! vector as it is read.

use crate::cpu::Lanes;

/// Rows of pixels.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub(super) data: &'a [f32],
    pub(super) row_stride: usize,
    pub(super) pixel_stride: usize,
}

/// Values after the last pixel's that [`add_products`] may read of its inputs.
pub(super) const SLACK: usize = 8;

/// Rows that [`add_products`] writes for so many inputs: it computes whole register tiles.
pub(super) fn padded_inputs<L: Lanes>(inputs: usize) -> usize {
    inputs.next_multiple_of(L::TILE.0)
}

/// Adds to `sums`, [`padded_inputs`] x `outputs`, what `rows` x `cols` pixels give. `outputs` is a number of
/// whole vectors, and what lies in `sums` beyond the inputs is of no use.
#[inline(always)]
pub(super) fn add_products<L: Lanes>(
    lanes: L,
    (rows, cols): (usize, usize),
    (left, inputs): (Pixels, usize),
    (right, outputs): (Pixels, usize),
    sums: &mut [f32],
) {
    let vectors = outputs / L::COUNT;
    let panels = vectors.div_ceil(L::TILE.1);
    for panel in 0..panels {
        let first = panel * vectors / panels;
        let width = (panel + 1) * vectors / panels - first;
        for input in (0..inputs).step_by(L::TILE.0) {
            let left = Pixels { data: &left.data[input..], ..left };
            let right = Pixels { data: &right.data[first * L::COUNT..], ..right };
            let tile = Tile { rows, cols, left, right };
            let sums = &mut sums[input * outputs + first * L::COUNT..];
            match (L::TILE.0, width) {
                (8, 3) => tile.add::<L, 8, 3>(lanes, sums, outputs),
                (8, 2) => tile.add::<L, 8, 2>(lanes, sums, outputs),
                (8, _) => tile.add::<L, 8, 1>(lanes, sums, outputs),
                (6, 2) => tile.add::<L, 6, 2>(lanes, sums, outputs),
                (6, _) => tile.add::<L, 6, 1>(lanes, sums, outputs),
                (_, 2) => tile.add::<L, 2, 2>(lanes, sums, outputs),
                (_, _) => tile.add::<L, 2, 1>(lanes, sums, outputs),
            }
        }
    }
}

struct Tile<'a> {
    rows: usize,
    cols: usize,
    left: Pixels<'a>,
    right: Pixels<'a>,
}

impl Tile<'_> {
    #[inline(always)]
    fn add<L: Lanes, const INPUTS: usize, const VECTORS: usize>(
        self,
        lanes: L,
        sums: &mut [f32],
        stride: usize,
    ) {
        let Self { rows, cols, left, right } = self;
        let mut tile = [[lanes.splat(0.0); VECTORS]; INPUTS];
        for row in 0..rows {
            let left_row = &left.data[row * left.row_stride..];
            let right_row = &right.data[row * right.row_stride..];
            for col in 0..cols {
                let inputs = left_row[col * left.pixel_stride..].first_chunk::<INPUTS>();
                let inputs = inputs.expect("SLACK values follow the last pixel");
                let outputs = &right_row[col * right.pixel_stride..][..VECTORS * L::COUNT];
                let outputs = L::vectors(outputs).first_chunk::<VECTORS>().expect("as many vectors");
                // By indices: an iterator that is not inlined would put the tile into memory.
                for i in 0..INPUTS {
                    let input = lanes.splat(inputs[i]);
                    for v in 0..VECTORS {
                        tile[i][v] = lanes.mul_add(input, outputs[v], tile[i][v]);
                    }
                }
            }
        }
        for i in 0..INPUTS {
            if i * stride >= sums.len() {
                break;
            }
            for v in 0..VECTORS {
                let sum = &mut sums[i * stride + v * L::COUNT..][..L::COUNT];
                lanes.store(sum, lanes.add(lanes.load(sum), tile[i][v]));
            }
        }
    }
}
