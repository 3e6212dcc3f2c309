//! The product behind every convolution: pixels times a matrix that was cut into panels once.
//!
//! Channels last, the inputs of one kernel row of a convolution lie next to each other: a *tap* of
//! `kernel * channels` values. A pixel's left-hand side is one tap for each kernel row, so no im2col is needed.
//! A register tile of [`Lanes::TILE`] pixels x vectors is summed over all taps and written once.
//!
//! What is multiplied are words of inputs, see [`Lanes::INPUTS`]: whoever fills a left-hand side packs it.

use std::ops::Range;

use crate::cpu::{Cpu, Lanes};

/// A matrix, inputs x outputs, and a bias, cut into panels as wide as a register tile.
#[derive(Debug)]
pub(crate) struct Panels {
    /// Panel by panel, word by word of inputs, the panel's outputs; the last ones padded with zeros.
    data: Vec<f32>,
    bias: Vec<f32>,
    /// Vectors in each panel.
    widths: Vec<usize>,
    /// Words of inputs.
    words: usize,
    outputs: usize,
}

impl Panels {
    /// `weight(i, o)` is what input `i` adds to output `o`.
    pub(crate) fn new(cpu: Cpu, inputs: usize, bias: Vec<f32>, weight: impl Fn(usize, usize) -> f32) -> Self {
        let tile = cpu.tile();
        let outputs = bias.len();
        let vectors = outputs.div_ceil(tile.lanes);
        let panels = vectors.div_ceil(tile.vectors);
        let widths: Vec<usize> =
            (0..panels).map(|p| (p + 1) * vectors / panels - p * vectors / panels).collect();
        let words = inputs.div_ceil(tile.inputs);
        let mut data = Vec::with_capacity(words * vectors * tile.lanes);
        let mut first = 0;
        for width in &widths {
            let last = first + width * tile.lanes;
            for word in 0..words {
                let weight = |i: usize, o: usize| if i < inputs && o < outputs { weight(i, o) } else { 0.0 };
                data.extend((first..last).map(|o| self::word(tile.inputs, word, |i| weight(i, o))));
            }
            first = last;
        }
        let mut padded_bias = bias;
        padded_bias.resize(vectors * tile.lanes, 0.0);
        Self { data, bias: padded_bias, widths, words, outputs }
    }

    pub(crate) fn outputs(&self) -> usize {
        self.outputs
    }

    /// Vectors in each panel.
    pub(crate) fn widths(&self) -> &[usize] {
        &self.widths
    }
}

/// Word `index` of inputs, so many a word; see [`Lanes::INPUTS`].
pub(crate) fn word(inputs: usize, index: usize, value: impl Fn(usize) -> f32) -> f32 {
    // To the nearest, ties to even.
    let bf16 = |value: f32| {
        let bits = value.to_bits();
        (bits + 0x7fff + (bits >> 16 & 1)) >> 16
    };
    match inputs {
        1 => value(index),
        _ => f32::from_bits(bf16(value(2 * index)) | bf16(value(2 * index + 1)) << 16),
    }
}

/// The left-hand side, words: pixels, each a tap for every kernel row.
pub(crate) struct Taps<'a> {
    pub(crate) data: &'a [f32],
    /// Where the first pixel's first tap starts.
    pub(crate) start: usize,
    /// How many taps a pixel has, and how far apart they start.
    pub(crate) rows: usize,
    pub(crate) row_stride: usize,
    /// Words a tap.
    pub(crate) len: usize,
    /// How far apart neighbouring pixels' taps start.
    pub(crate) pixel_stride: usize,
}

/// What happens to a product when it is written.
#[derive(Clone, Copy)]
pub(crate) enum Write<'a> {
    Store,
    /// max(0, product)
    Relu,
    /// The same, as words for the next product; whole vectors are written.
    ReluWords,
    /// Below zero, this many times the product.
    Leaky(f32),
    /// Added to what is there.
    Add,
    /// Added to this, where what is written would be.
    AddTo(&'a [f32]),
}

/// Where products go.
pub(crate) struct Target<'a> {
    /// The first pixel's, and on.
    pub(crate) data: &'a mut [f32],
    /// Values, or words, from one pixel to the next.
    pub(crate) stride: usize,
    /// Which outputs are written. A pixel's values start with the first of them.
    pub(crate) outputs: Range<usize>,
    pub(crate) write: Write<'a>,
}

/// Multiplies `count` pixels with a matrix.
#[inline(always)]
pub(crate) fn multiply<L: Lanes>(lanes: L, taps: &Taps, panels: &Panels, count: usize, target: &mut Target) {
    for panel in 0..panels.widths.len() {
        multiply_panel(lanes, taps, panels, panel, count, target);
    }
}

/// As [`multiply`], but the outputs of one panel alone.
#[inline(always)]
pub(crate) fn multiply_panel<L: Lanes>(
    lanes: L,
    taps: &Taps,
    panels: &Panels,
    panel: usize,
    count: usize,
    target: &mut Target,
) {
    debug_assert_eq!(taps.rows * taps.len, panels.words);
    let width = panels.widths[panel];
    let first = panels.widths[..panel].iter().sum::<usize>() * L::COUNT;
    if first >= target.outputs.end {
        return;
    }
    let panel = Panel {
        weights: &panels.data[panels.words * first..][..panels.words * width * L::COUNT],
        bias: &panels.bias[first..],
        first,
    };
    match (L::TILE.0, width) {
        (8, 3) => panel.multiply::<L, 8, 3>(lanes, taps, count, target),
        (8, 2) => panel.multiply::<L, 8, 2>(lanes, taps, count, target),
        (8, _) => panel.multiply::<L, 8, 1>(lanes, taps, count, target),
        (6, 2) => panel.multiply::<L, 6, 2>(lanes, taps, count, target),
        (6, _) => panel.multiply::<L, 6, 1>(lanes, taps, count, target),
        (_, 2) => panel.multiply::<L, 2, 2>(lanes, taps, count, target),
        (_, _) => panel.multiply::<L, 2, 1>(lanes, taps, count, target),
    }
}

struct Panel<'a> {
    weights: &'a [f32],
    bias: &'a [f32],
    /// Its first output.
    first: usize,
}

impl Panel<'_> {
    #[inline(always)]
    fn multiply<L: Lanes, const PIXELS: usize, const VECTORS: usize>(
        &self,
        lanes: L,
        taps: &Taps,
        count: usize,
        target: &mut Target,
    ) {
        let (stride, write) = (target.stride, target.write);
        let offset = self.first - target.outputs.start;
        let outputs = (target.outputs.end - self.first).min(VECTORS * L::COUNT);
        let mut sums = Sums::new();
        for first in (0..count).step_by(PIXELS) {
            self.tile::<L, PIXELS, VECTORS>(lanes, taps, first, count - 1, &mut sums);
            for p in 0..PIXELS.min(count - first) {
                let start = (first + p) * stride + offset;
                if let Write::ReluWords = write {
                    let out = &mut target.data[(first + p) * stride + offset / L::INPUTS..];
                    for v in 0..VECTORS {
                        let sum = lanes.max(sums.load(lanes, p * VECTORS + v), lanes.splat(0.0));
                        lanes.store_words(&mut out[v * L::COUNT / L::INPUTS..], sum);
                    }
                    continue;
                }
                let out = target.data[start..][..outputs].chunks_mut(L::COUNT);
                for (v, out) in out.enumerate() {
                    let mut value = sums.load(lanes, p * VECTORS + v);
                    if let Write::AddTo(base) = write {
                        let base = &base[start + v * L::COUNT..][..out.len()];
                        let is_whole = base.len() == L::COUNT;
                        value = lanes
                            .add(value, if is_whole { lanes.load(base) } else { lanes.load_first(base) });
                    }
                    write_vector(lanes, out, value, write);
                }
            }
        }
    }

    /// The products of the pixels from `first` on. There are none after `last`, which is read in their place.
    #[inline(always)]
    fn tile<L: Lanes, const PIXELS: usize, const VECTORS: usize>(
        &self,
        lanes: L,
        taps: &Taps,
        first: usize,
        last: usize,
        out: &mut Sums,
    ) {
        // Here all loops are of lengths that the compiler knows, see `Sums`.
        let bias = &L::vectors(self.bias)[..VECTORS];
        let mut sums = [[lanes.splat(0.0); VECTORS]; PIXELS];
        for p in 0..PIXELS {
            for v in 0..VECTORS {
                sums[p][v] = bias[v];
            }
        }
        let mut weights = L::vectors(self.weights).as_chunks::<VECTORS>().0.iter();
        for row in 0..taps.rows {
            let start = taps.start + row * taps.row_stride;
            let mut pixels = [&taps.data[..0]; PIXELS];
            for p in 0..PIXELS {
                pixels[p] = &taps.data[start + (first + p).min(last) * taps.pixel_stride..][..taps.len];
            }
            for (i, weights) in (0..taps.len).zip(&mut weights) {
                for p in 0..PIXELS {
                    let value = lanes.splat(pixels[p][i]);
                    for v in 0..VECTORS {
                        sums[p][v] = lanes.add_product(value, weights[v], sums[p][v]);
                    }
                }
            }
        }
        for p in 0..PIXELS {
            for v in 0..VECTORS {
                out.store(lanes, p * VECTORS + v, sums[p][v]);
            }
        }
    }
}

/// What a register tile summed, vector by vector, to be read by indices that the compiler doesn't know. Were the sums
/// themselves read so, they would lie in memory while they are summed, too, which is several times slower.
#[repr(align(64))]
pub(crate) struct Sums([f32; Self::MOST]);

impl Sums {
    /// 24 vectors of 16 values: no register tile has more.
    const MOST: usize = 24 * 16;

    pub(crate) const fn new() -> Self {
        Self([0.0; Self::MOST])
    }

    /// Sets vector `i`.
    #[inline(always)]
    pub(crate) fn store<L: Lanes>(&mut self, lanes: L, i: usize, sum: L::V) {
        lanes.store(&mut self.0[i * L::COUNT..], sum);
    }

    /// Vector `i`.
    #[inline(always)]
    pub(crate) fn load<L: Lanes>(&self, lanes: L, i: usize) -> L::V {
        lanes.load(&self.0[i * L::COUNT..])
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
    let value = finish(lanes, out, value, write);
    if out.len() == L::COUNT {
        lanes.store(out, value);
    } else {
        lanes.store_first(out, value);
    }
}

// A function, since a closure would be compiled without the instructions that this is called with.
#[inline(always)]
fn finish<L: Lanes>(lanes: L, old: &[f32], value: L::V, write: Write) -> L::V {
    match write {
        Write::Store | Write::AddTo(_) => value,
        Write::Relu | Write::ReluWords => lanes.max(value, lanes.splat(0.0)),
        Write::Leaky(slope) => leaky(lanes, value, slope),
        Write::Add if old.len() == L::COUNT => lanes.add(value, lanes.load(old)),
        Write::Add => lanes.add(value, lanes.load_first(old)),
    }
}

/// Turns inputs into words, at the start of the same place. There is a whole number of vectors.
#[inline(always)]
pub(crate) fn pack<L: Lanes>(lanes: L, inputs: &mut [f32]) {
    if L::INPUTS > 1 {
        for first in (0..inputs.len()).step_by(L::COUNT) {
            let vector = lanes.load(&inputs[first..]);
            lanes.store_words(&mut inputs[first / L::INPUTS..], vector);
        }
    }
}
