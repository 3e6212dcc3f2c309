//! The product behind every convolution: pixels times a matrix that was cut into panels once.
//!
//! Channels last, the inputs of one kernel row of a convolution lie next to each other: a *tap* of
//! `kernel * channels` values. A pixel's left-hand side is one tap for each kernel row, so no im2col is needed.
//! A register tile of [`Lanes::TILE`] pixels x vectors is summed over all taps and written once.

use crate::cpu::{Cpu, Kernel, Lanes};

/// A matrix, inputs x outputs, and a bias, cut into panels as wide as a register tile.
pub(crate) struct Panels {
    /// Panel by panel, input by input, the panel's outputs; the last ones padded with zeros.
    data: Vec<f32>,
    bias: Vec<f32>,
    /// Vectors in each panel.
    widths: Vec<usize>,
    inputs: usize,
    outputs: usize,
}

impl Panels {
    /// `weight(i, o)` is what input `i` adds to output `o`.
    pub(crate) fn new(cpu: Cpu, inputs: usize, bias: Vec<f32>, weight: impl Fn(usize, usize) -> f32) -> Self {
        let (lanes, most) = cpu.run(Tile);
        let outputs = bias.len();
        let vectors = outputs.div_ceil(lanes);
        let panels = vectors.div_ceil(most);
        let widths: Vec<usize> =
            (0..panels).map(|p| (p + 1) * vectors / panels - p * vectors / panels).collect();
        let mut data = Vec::with_capacity(inputs * vectors * lanes);
        let mut first = 0;
        for width in &widths {
            for i in 0..inputs {
                data.extend(
                    (first..first + width * lanes).map(|o| if o < outputs { weight(i, o) } else { 0.0 }),
                );
            }
            first += width * lanes;
        }
        let mut padded_bias = bias;
        padded_bias.resize(vectors * lanes, 0.0);
        Self { data, bias: padded_bias, widths, inputs, outputs }
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Vectors in each panel.
    pub(crate) fn widths(&self) -> &[usize] {
        &self.widths
    }
}

/// Values a vector, and vectors a register tile.
struct Tile;

impl Kernel for Tile {
    type Output = (usize, usize);
    #[inline(always)]
    fn run<L: Lanes>(self, _: L) -> (usize, usize) {
        (L::COUNT, L::TILE.1)
    }
}

/// The left-hand side: pixels, each a tap for every kernel row.
pub(crate) struct Taps<'a> {
    pub(crate) data: &'a [f32],
    /// Where the first pixel's first tap starts.
    pub(crate) start: usize,
    /// How many taps a pixel has, and how far apart they start.
    pub(crate) rows: usize,
    pub(crate) row_stride: usize,
    /// Values a tap.
    pub(crate) len: usize,
    /// How far apart neighbouring pixels' taps start.
    pub(crate) pixel_stride: usize,
}

/// What happens to a product when it is written.
#[derive(Clone, Copy)]
pub(crate) enum Write {
    Store,
    /// max(0, product)
    Relu,
    /// Below zero, this many times the product.
    Leaky(f32),
    /// Added to what is there.
    Add,
}

/// The number of pixels that [`multiply`] reads for `count` results: it computes whole register tiles.
pub(crate) fn padded_pixels<L: Lanes>(count: usize) -> usize {
    count.next_multiple_of(L::TILE.0)
}

/// Writes `count` pixels' products to `out`, a pixel every `out_stride` values.
#[inline(always)]
pub(crate) fn multiply<L: Lanes>(
    lanes: L,
    taps: &Taps,
    panels: &Panels,
    count: usize,
    out: &mut [f32],
    out_stride: usize,
    write: Write,
) {
    let mut first = 0;
    for (panel, width) in panels.widths.iter().enumerate() {
        multiply_panel(lanes, taps, panels, panel, count, &mut out[first..], out_stride, write);
        first += width * L::COUNT;
    }
}

/// As [`multiply`], but the outputs of one panel alone, which are the first ones in `out`.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "an inner loop, apart only to be read")]
pub(crate) fn multiply_panel<L: Lanes>(
    lanes: L,
    taps: &Taps,
    panels: &Panels,
    panel: usize,
    count: usize,
    out: &mut [f32],
    out_stride: usize,
    write: Write,
) {
    debug_assert_eq!(taps.rows * taps.len, panels.inputs);
    let width = panels.widths[panel];
    let first = panels.widths[..panel].iter().sum::<usize>() * L::COUNT;
    let panel = Panel {
        weights: &panels.data[panels.inputs * first..][..panels.inputs * width * L::COUNT],
        bias: &panels.bias[first..],
        outputs: panels.outputs - first,
    };
    match (L::TILE.0, width) {
        (8, 3) => panel.multiply::<L, 8, 3>(lanes, taps, count, out, out_stride, write),
        (8, 2) => panel.multiply::<L, 8, 2>(lanes, taps, count, out, out_stride, write),
        (8, _) => panel.multiply::<L, 8, 1>(lanes, taps, count, out, out_stride, write),
        (6, 2) => panel.multiply::<L, 6, 2>(lanes, taps, count, out, out_stride, write),
        (6, _) => panel.multiply::<L, 6, 1>(lanes, taps, count, out, out_stride, write),
        (_, 2) => panel.multiply::<L, 2, 2>(lanes, taps, count, out, out_stride, write),
        (_, _) => panel.multiply::<L, 2, 1>(lanes, taps, count, out, out_stride, write),
    }
}

struct Panel<'a> {
    weights: &'a [f32],
    bias: &'a [f32],
    outputs: usize,
}

impl Panel<'_> {
    #[inline(always)]
    fn multiply<L: Lanes, const PIXELS: usize, const VECTORS: usize>(
        &self,
        lanes: L,
        taps: &Taps,
        count: usize,
        out: &mut [f32],
        out_stride: usize,
        write: Write,
    ) {
        let outputs = self.outputs.min(VECTORS * L::COUNT);
        for first in (0..count).step_by(PIXELS) {
            let sums = self.tile::<L, PIXELS, VECTORS>(lanes, taps, first);
            for (pixel, sums) in (first..count).zip(sums) {
                let out = &mut out[pixel * out_stride..][..outputs];
                if let Write::Store = write
                    && outputs == VECTORS * L::COUNT
                {
                    for (v, sum) in sums.into_iter().enumerate() {
                        lanes.store(&mut out[v * L::COUNT..], sum);
                    }
                } else {
                    for (out, sum) in out.chunks_mut(L::COUNT).zip(sums) {
                        write_vector(lanes, out, sum, write);
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn tile<L: Lanes, const PIXELS: usize, const VECTORS: usize>(
        &self,
        lanes: L,
        taps: &Taps,
        first: usize,
    ) -> [[L::V; VECTORS]; PIXELS] {
        let mut bias = [lanes.splat(0.0); VECTORS];
        bias.copy_from_slice(&L::vectors(self.bias)[..VECTORS]);
        let mut sums = [bias; PIXELS];
        let mut weights = L::vectors(self.weights).as_chunks::<VECTORS>().0.iter();
        for row in 0..taps.rows {
            let start = taps.start + row * taps.row_stride + first * taps.pixel_stride;
            let mut pixels = [&taps.data[..0]; PIXELS];
            for (p, pixel) in pixels.iter_mut().enumerate() {
                *pixel = &taps.data[start + p * taps.pixel_stride..][..taps.len];
            }
            for (i, weights) in (0..taps.len).zip(&mut weights) {
                for p in 0..PIXELS {
                    let value = lanes.splat(pixels[p][i]);
                    for v in 0..VECTORS {
                        sums[p][v] = lanes.mul_add(value, weights[v], sums[p][v]);
                    }
                }
            }
        }
        sums
    }
}

/// Values below zero times `slope`, which is from 0 to 1.
#[inline(always)]
pub(crate) fn leaky<L: Lanes>(lanes: L, value: L::V, slope: f32) -> L::V {
    lanes.max(value, lanes.mul(value, lanes.splat(slope)))
}

/// `out` is a whole vector or, at the end of a pixel, a part of one.
#[inline(always)]
pub(crate) fn write_vector<L: Lanes>(lanes: L, out: &mut [f32], value: L::V, write: Write) {
    if out.len() == L::COUNT {
        let value = finish(lanes, out, value, write);
        lanes.store(out, value);
    } else {
        // 16 is the longest vector there is.
        let mut whole = [0.0; 16];
        whole[..out.len()].copy_from_slice(out);
        let value = finish(lanes, &whole, value, write);
        lanes.store(&mut whole, value);
        out.copy_from_slice(&whole[..out.len()]);
    }
}

// A function, since a closure would be compiled without the instructions that this is called with.
#[inline(always)]
fn finish<L: Lanes>(lanes: L, old: &[f32], value: L::V, write: Write) -> L::V {
    match write {
        Write::Store => value,
        Write::Relu => lanes.max(value, lanes.splat(0.0)),
        Write::Leaky(slope) => leaky(lanes, value, slope),
        Write::Add => lanes.add(value, lanes.load(old)),
    }
}
