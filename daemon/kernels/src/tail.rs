//! The last layers of `brush`, at the picture's full size: norm, 1x1 and pixel-shuffle; in `brush-2` a binomial filter,
//! and noise; 3x3 over that and the picture, ReLU; 3x3, added to the picture.
//!
//! They have few channels and many pixels. One after the other, each would write a map that the next reads back
//! from memory. Here all three happen on a few rows while they are in cache, plane by plane ([`Planar`]).

use std::ops::Range;

use rayon::prelude::*;

use crate::blur::{binomial, binomial_rows, reflected};
use crate::cpu::{Cpu, Kernel, Lanes};
use crate::planar::{Planar, Sink};
use crate::scratch::{Buffers, first, with_buffers};
use crate::{ConvWeights, Map, Noise, Shape};

/// Channels of a picture.
const RGB: usize = 3;
/// Columns that are worked on at a time, so that their rows stay in the second-level cache.
const TILE_COLS: usize = 1024;
/// Columns beyond a tile's that the 3x3 convolutions read on either side: one each.
const REACH: usize = 2;
/// The same with the filter's, in pairs.
const FILTERED_REACH: usize = 4;
/// What may be read and written beyond the last column: the vectors of a register tile.
const SLACK: usize = 64;
/// Rows of a slab that are kept: a 3x3, and the filter, reads three, and rows come in pairs.
const KEPT: usize = 4;

/// The layers' weights. The norm's scale and shift are folded into `expand` by whoever calls.
#[derive(Debug, Clone, Copy)]
pub struct TailWeights<'a> {
    /// 1x1, to four times the channels that are left after the pixel-shuffle.
    pub expand: ConvWeights<'a>,
    /// The noise's, a weight for each of these channels, in networks that filter them.
    pub noise: Option<&'a [f32]>,
    /// 3x3, from these and the picture.
    pub join: ConvWeights<'a>,
    /// 3x3, to the picture.
    pub rgb: ConvWeights<'a>,
}

/// The layers, their weights laid out for a CPU.
pub struct Tail {
    cpu: Cpu,
    /// Channels that come in, at half the size.
    channels: usize,
    /// Words of the channels after the pixel-shuffle, and of these and the picture.
    shuffled: usize,
    joined: usize,
    /// Words between the 3x3 convolutions.
    between: usize,
    expand: Planar,
    /// Where channels are filtered, their noise's weights.
    noise: Option<Vec<f32>>,
    join: Planar,
    rgb: Planar,
}

impl Tail {
    /// Rows of context that a row of the half size needs above, and below.
    pub fn reach(&self) -> usize {
        self.margin() / 2
    }

    /// Columns beyond a tile's, in a slab.
    fn margin(&self) -> usize {
        if self.noise.is_some() { FILTERED_REACH } else { REACH }
    }

    /// Lays out weights.
    ///
    /// # Panics
    /// If their lengths don't fit together.
    pub fn new(cpu: Cpu, weights: TailWeights) -> Self {
        let TailWeights { expand, noise, join, rgb } = weights;
        let (shuffled, between) = (expand.bias.len() / 4, join.bias.len());
        let channels = expand.weight.len() / expand.bias.len();
        assert_eq!(expand.weight.len(), 4 * shuffled * channels);
        assert!(noise.is_none_or(|noise| noise.len() == shuffled));
        assert_eq!(join.weight.len(), between * (shuffled + RGB) * 9);
        assert_eq!((rgb.weight.len(), rgb.bias.len()), (RGB * between * 9, RGB));
        let per_word = cpu.tile().inputs;
        // Sub-pixel by sub-pixel, each padded to whole words; PyTorch has the sub-pixel last.
        let padded = shuffled.next_multiple_of(per_word);
        let torch = |o: usize| (o % padded < shuffled).then(|| o % padded * 4 + o / padded);
        let bias = (0..4 * padded).map(|o| torch(o).map_or(0.0, |o| expand.bias[o])).collect();
        let expand = Planar::new(cpu, 1, channels, bias, |i, o, _, _| {
            torch(o).map_or(0.0, |o| expand.weight[o * channels + i])
        });
        let join = Planar::new(cpu, 3, padded + RGB, join.bias.to_vec(), |i, o, y, x| {
            let input =
                if i < padded { Some(i).filter(|i| *i < shuffled) } else { Some(i - padded + shuffled) };
            input.map_or(0.0, |i| join.weight[((o * (shuffled + RGB) + i) * 3 + y) * 3 + x])
        });
        let rgb = Planar::new(cpu, 3, between, rgb.bias.to_vec(), |i, o, y, x| {
            rgb.weight[((o * between + i) * 3 + y) * 3 + x]
        });
        let words = |channels: usize| channels.div_ceil(per_word);
        let shuffled = words(shuffled);
        Self {
            cpu,
            channels,
            shuffled,
            joined: shuffled + words(RGB),
            between: words(between),
            expand,
            noise: noise.map(<[f32]>::to_vec),
            join,
            rgb,
        }
    }

    /// Re-draws rows `rows` of `picture`, which is twice as large as `half`, into `out`. Rows beyond both are those
    /// beyond the picture's edge: where there is more of it, [`Tail::reach`] rows of context come with `half`, and
    /// twice as many with `picture`. `noise` is that of `picture`'s rows.
    ///
    /// # Panics
    /// If the sizes don't fit together.
    pub fn run(&self, half: Map, picture: Map, noise: Noise, rows: Range<usize>, out: &mut [f32]) {
        let (shape, half_shape) = (picture.shape(), half.shape());
        assert_eq!(half_shape.channels, self.channels);
        assert_eq!(shape, Shape::new(half_shape.rows * 2, half_shape.cols * 2, RGB));
        assert!(rows.end <= shape.rows);
        assert_eq!(out.len(), rows.len() * shape.row_len());
        // Strips compute the rows around them anew.
        let strip = rows.len().div_ceil(2 * rayon::current_num_threads()).clamp(8, 64);
        out.par_chunks_mut(strip * shape.row_len()).enumerate().for_each(|(i, out)| {
            let first = rows.start + i * strip;
            with_buffers(|buffers| {
                self.cpu.run(Strip { tail: self, half, picture, noise, first, buffers, out })
            });
        });
    }
}

/// Some rows of the result.
struct Strip<'a> {
    tail: &'a Tail,
    half: Map<'a>,
    picture: Map<'a>,
    noise: Noise,
    first: usize,
    buffers: &'a mut Buffers,
    out: &'a mut [f32],
}

impl Kernel for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Self { tail, half, picture, noise, first: first_row, buffers, out } = self;
        let Shape { rows, cols, .. } = picture.shape();
        let last_row = first_row + out.len() / picture.shape().row_len();
        let margin = tail.margin();
        let stride = (TILE_COLS.min(cols) + 2 * margin + SLACK).next_multiple_of(16) + 16;
        let [joined, between, scratch] = buffers;
        let filtered = tail.noise.as_ref().map_or(0, Vec::len);
        let joined = first(joined, KEPT * (tail.joined + filtered) * stride);
        let (joined, shuffled) = joined.split_at_mut(KEPT * tail.joined * stride);
        let between = first(between, KEPT * tail.between * stride);
        let scratch = first(scratch, (tail.channels + tail.expand.outputs()) * stride);
        for first_col in (0..cols).step_by(TILE_COLS) {
            let tile = Tile { tail, first_col, last_col: cols.min(first_col + TILE_COLS), cols, stride };
            // The rows of `joined`, and of `shuffled`, that are there end before these.
            let mut next = first_row.saturating_sub(REACH) / 2 * 2;
            let mut next_shuffled = first_row.saturating_sub(FILTERED_REACH) / 2 * 2;
            for row in first_row.saturating_sub(1)..rows.min(last_row + 1) {
                while next <= (row + 1).min(rows - 1) {
                    if let Some(weights) = &tail.noise {
                        for row in next..next + 2 {
                            while next_shuffled <= (row + 1).min(rows - 1) {
                                let half = half.row(next_shuffled / 2);
                                tile.expand(lanes, half, scratch, shuffled, next_shuffled);
                                next_shuffled += 2;
                            }
                            tile.filter(lanes, shuffled, (row, rows), (weights, noise), scratch, joined);
                        }
                    } else {
                        tile.expand(lanes, half.row(next / 2), scratch, joined, next);
                    }
                    for next in next..next + 2 {
                        tile.picture(lanes, picture.row(next), scratch, joined, next);
                    }
                    next += 2;
                }
                let around = tile.around(joined, tail.joined, row, rows);
                let slab = row % KEPT * tail.between * stride;
                let to = &mut between[slab..slab + tail.between * stride];
                tail.join.run(lanes, &around, tile.columns(1), Sink::ReluWords, to);
                tile.repeat_edges(to, 1);
                // The row above has what it needs, and the picture's last has it at once.
                let is_end = row == rows - 1;
                for row in row.saturating_sub(1).max(first_row)..last_row.min(row + usize::from(is_end)) {
                    let around = tile.around(between, tail.between, row, rows);
                    tail.rgb.run(lanes, &around, tile.columns(0), Sink::Values, scratch);
                    let out = &mut out[(row - first_row) * cols * RGB..][..cols * RGB];
                    tile.add(picture.row(row), scratch, out);
                }
            }
        }
    }
}

/// Some columns of the picture. In slabs their first is column [`Tail::margin`].
struct Tile<'a> {
    tail: &'a Tail,
    first_col: usize,
    last_col: usize,
    /// The picture's.
    cols: usize,
    stride: usize,
}

impl Tile<'_> {
    /// The stride of planes, and the tile's columns in them with so many more on either side.
    fn columns(&self, more: usize) -> (usize, usize, usize) {
        (self.stride, self.tail.margin() - more, self.last_col - self.first_col + 2 * more)
    }

    /// The slabs of a row and its neighbours; the picture's first and last row repeated beyond its edges.
    fn around<'a>(&self, kept: &'a [f32], planes: usize, row: usize, rows: usize) -> [&'a [f32]; 3] {
        let len = planes * self.stride;
        [row.saturating_sub(1), row, (row + 1).min(rows - 1)].map(|row| &kept[row % KEPT * len..][..len])
    }

    /// Repeats the picture's first and last column beyond its sides, where so many columns beyond the tile's are
    /// there of every plane.
    fn repeat_edges(&self, slab: &mut [f32], more: usize) {
        for plane in slab.chunks_exact_mut(self.stride) {
            let margin = self.tail.margin();
            if self.first_col == 0 {
                let edge = plane[margin];
                plane[margin - more..margin].fill(edge);
            }
            if self.last_col == self.cols {
                let end = margin + self.last_col - self.first_col;
                let edge = plane[end - 1];
                plane[end..end + more].fill(edge);
            }
        }
    }

    /// Columns of the half size that the tile needs, and where in a slab they start.
    fn half_columns(&self) -> (Range<usize>, usize) {
        let margin = self.tail.margin();
        let first = self.first_col.saturating_sub(margin) / 2;
        let last = (self.last_col + margin).min(self.cols) / 2;
        (first..last, margin + 2 * first - self.first_col)
    }

    /// Norm, 1x1 and pixel-shuffle of a row of the half size, for rows `row` and `row + 1` of `to`: of words in
    /// `joined`, or of values that are still to be filtered.
    #[inline(always)]
    fn expand<L: Lanes>(&self, lanes: L, half: &[f32], scratch: &mut [f32], to: &mut [f32], row: usize) {
        let Tail { channels, shuffled: words, joined, ref noise, .. } = *self.tail;
        // Planes of a sub-pixel, those that are taken, and those of a slab.
        let (of_subpixel, taken, planes_of_slab, sink) = match noise {
            None => (words, words, joined, Sink::Words),
            Some(noise) => (self.tail.expand.outputs() / 4, noise.len(), noise.len(), Sink::Values),
        };
        let (cols, start) = self.half_columns();
        let (planes, expanded) = scratch.split_at_mut(channels * self.stride);
        for (i, pixel) in half[cols.start * channels..cols.end * channels].chunks_exact(channels).enumerate()
        {
            for (c, value) in pixel.iter().enumerate() {
                planes[c * self.stride + i] = *value;
            }
        }
        self.normalise(lanes, planes, cols.len());
        self.tail.expand.run(lanes, &[planes], (self.stride, 0, cols.len()), sink, expanded);
        for dy in 0..2 {
            let slab = (row + dy) % KEPT * planes_of_slab * self.stride;
            for plane in 0..taken {
                let subpixel = |dx: usize| &expanded[((dy * 2 + dx) * of_subpixel + plane) * self.stride..];
                let (left, right) = (&subpixel(0)[..cols.len()], &subpixel(1)[..cols.len()]);
                let to = &mut to[slab + plane * self.stride + start..][..2 * cols.len()];
                let to = &mut to.as_chunks_mut().0[..cols.len()];
                for i in 0..cols.len() {
                    to[i] = [left[i], right[i]];
                }
            }
        }
        for dy in 0..2 {
            let slab = (row + dy) % KEPT * planes_of_slab * self.stride;
            let slab = &mut to[slab..][..taken * self.stride];
            if noise.is_none() { self.repeat_edges(slab, REACH) } else { self.reflect_edges(slab) }
        }
    }

    /// Puts what the filter reads beyond the picture's first and last column there.
    fn reflect_edges(&self, slab: &mut [f32]) {
        let margin = self.tail.margin();
        for plane in slab.chunks_exact_mut(self.stride) {
            if self.first_col == 0 {
                plane[margin - 1] = plane[margin + 1];
            }
            // The last column may be a later tile's, and filtered for this one, too.
            if self.cols <= self.last_col + REACH {
                let end = margin + self.cols - self.first_col;
                plane[end] = plane[end - 2];
            }
        }
    }

    /// Filters a row of `shuffled`, adds noise, and writes it to `joined` in words.
    #[inline(always)]
    fn filter<L: Lanes>(
        &self,
        lanes: L,
        shuffled: &[f32],
        (row, rows): (usize, usize),
        (weights, noise): (&[f32], Noise),
        scratch: &mut [f32],
        joined: &mut [f32],
    ) {
        let (margin, stride) = (self.tail.margin(), self.stride);
        let around = reflected(row, rows).map(|row| &shuffled[row % KEPT * weights.len() * stride..]);
        let first = self.first_col.saturating_sub(REACH);
        let last = (self.last_col + REACH).min(self.cols);
        let start = margin + first - self.first_col;
        let (of_noise, mixed) = scratch.split_at_mut(stride);
        noise.row(row, first, &mut of_noise[..last - first]);
        let slab = &mut joined[row % KEPT * self.tail.joined * stride..][..self.tail.shuffled * stride];
        for (word, (to, weights)) in slab.chunks_exact_mut(stride).zip(weights.chunks(L::INPUTS)).enumerate()
        {
            for (i, mixed) in mixed.chunks_exact_mut(stride).take(weights.len()).enumerate() {
                let from = (word * L::INPUTS + i) * stride + start - 1;
                let len = last - first + 2;
                let rows = [&around[0][from..][..len], &around[1][from..][..len], &around[2][from..][..len]];
                binomial_rows(lanes, rows, &mut mixed[..len]);
            }
            // No closures: what they call isn't compiled for the instruction set.
            for col in (0..last - first).step_by(L::COUNT) {
                let noise = lanes.load(&of_noise[col..]);
                let mut values = [lanes.splat(0.0); 2];
                for i in 0..L::INPUTS.min(weights.len()) {
                    let mixed = &mixed[i * stride + col..][..L::COUNT + 2];
                    let (before, after) = (lanes.load(mixed), lanes.load(&mixed[2..]));
                    let filtered = binomial(lanes, before, lanes.load(&mixed[1..]), after);
                    values[i] = lanes.mul_add(noise, lanes.splat(weights[i]), filtered);
                }
                lanes.store(&mut to[start + col..], lanes.word(values[0], values[1]));
            }
        }
        self.repeat_edges(slab, REACH);
    }

    /// Normalises pixels over their channels, and turns them into words: (x - mean) / sqrt(variance + 1e-5).
    #[inline(always)]
    fn normalise<L: Lanes>(&self, lanes: L, planes: &mut [f32], cols: usize) {
        let (channels, stride) = (self.tail.channels, self.stride);
        let share = lanes.splat(1.0 / channels as f32);
        for col in (0..cols).step_by(L::COUNT) {
            let at = |c: usize| c * stride + col;
            let mut sum = lanes.splat(0.0);
            for c in 0..channels {
                sum = lanes.add(sum, lanes.load(&planes[at(c)..]));
            }
            let mean = lanes.mul(sum, share);
            let mut squares = lanes.splat(0.0);
            for c in 0..channels {
                let centred = lanes.sub(lanes.load(&planes[at(c)..]), mean);
                squares = lanes.mul_add(centred, centred, squares);
            }
            let mut factors = [0.0; SLACK];
            lanes.store(&mut factors, lanes.mul(squares, share));
            for factor in &mut factors[..L::COUNT] {
                *factor = 1.0 / (*factor + 1e-5).sqrt();
            }
            let factors = lanes.load(&factors);
            for (word, c) in (0..channels).step_by(L::INPUTS).enumerate() {
                let first = lanes.mul(lanes.sub(lanes.load(&planes[at(c)..]), mean), factors);
                let mut second = lanes.splat(0.0);
                if L::INPUTS > 1 && c + 1 < channels {
                    second = lanes.mul(lanes.sub(lanes.load(&planes[at(c + 1)..]), mean), factors);
                }
                lanes.store(&mut planes[at(word)..], lanes.word(first, second));
            }
        }
    }

    /// A row of the picture, for row `row` of `joined`.
    #[inline(always)]
    fn picture<L: Lanes>(
        &self,
        lanes: L,
        picture: &[f32],
        scratch: &mut [f32],
        joined: &mut [f32],
        row: usize,
    ) {
        let margin = self.tail.margin();
        let first = self.first_col.saturating_sub(REACH);
        let last = (self.last_col + REACH).min(self.cols);
        for (i, pixel) in picture[first * RGB..last * RGB].as_chunks::<RGB>().0.iter().enumerate() {
            for (c, value) in pixel.iter().enumerate() {
                scratch[c * self.stride + i] = *value;
            }
        }
        let Tail { shuffled, joined: planes, .. } = *self.tail;
        let start = margin + first - self.first_col;
        let slab = &mut joined[(row % KEPT * planes + shuffled) * self.stride..];
        let slab = &mut slab[..(planes - shuffled) * self.stride];
        for (word, c) in (0..RGB).step_by(L::INPUTS).enumerate() {
            for col in (0..last - first).step_by(L::COUNT) {
                let value = lanes.load(&scratch[c * self.stride + col..]);
                let mut second = lanes.splat(0.0);
                if L::INPUTS > 1 && c + 1 < RGB {
                    second = lanes.load(&scratch[(c + 1) * self.stride + col..]);
                }
                lanes.store(&mut slab[word * self.stride + start + col..], lanes.word(value, second));
            }
        }
        self.repeat_edges(slab, REACH);
    }

    /// Adds a row of the result, plane by plane, to the picture's.
    fn add(&self, picture: &[f32], planes: &[f32], out: &mut [f32]) {
        let (margin, pixels) = (self.tail.margin(), self.first_col..self.last_col);
        let values = pixels.start * RGB..pixels.end * RGB;
        let out = out[values.clone()].as_chunks_mut::<RGB>().0.iter_mut();
        for (i, (out, pixel)) in out.zip(picture[values].as_chunks::<RGB>().0).enumerate() {
            let value = |c: usize| pixel[c] + planes[c * self.stride + margin + i];
            *out = [value(0), value(1), value(2)];
        }
    }
}
