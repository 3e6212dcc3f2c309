//! The generator `brush`; what its layers are is said where the processor's form of it is.

use std::mem::{replace, swap, take};
use std::ops::Range;
use std::sync::{Arc, PoisonError};

use crate::launch::{BlockWeights, ConvWeights, Geometry, Noise, TailWeights, Wanted, width_for};
use crate::packing::{fragments, padded};
use crate::strokes::Strokes;
use crate::workspace::{self, Channels, Map, Padded, Workspace};
use crate::{Error, Gpu};

/// Pictures are padded to multiples of this many pixels.
const MULTIPLE: usize = 8;
/// Channels that the tail's kernel has room for, the picture's three among them.
const TAIL_CHANNELS: usize = 16;

/// A convolution, norms before it folded in.
#[derive(Debug, Clone)]
pub struct Conv {
    /// `[outputs, inputs, kernel, kernel]`
    pub weight: Vec<f32>,
    /// `[outputs]`
    pub bias: Vec<f32>,
    /// Columns, and rows, of the kernel.
    pub kernel: usize,
}

/// A residual block, its norm and gain folded in.
#[derive(Debug, Clone)]
pub struct Block {
    /// `[c, 5, 5]`
    pub depthwise: Vec<f32>,
    /// `[c]`
    pub depthwise_bias: Vec<f32>,
    /// `[c]`: how much noise each channel gets, in networks that have noise.
    pub noise: Option<Vec<f32>>,
    /// `[m, c]`
    pub expand: Vec<f32>,
    /// `[m]`
    pub expand_bias: Vec<f32>,
    /// `[c, m]`
    pub project: Vec<f32>,
    /// `[c]`
    pub project_bias: Vec<f32>,
}

/// All layers, by their names in style files.
#[derive(Debug, Clone)]
pub struct Weights {
    /// From squares of 4 x 4 pixels.
    pub stem: Conv,
    /// Blocks at a quarter of the size.
    pub e1: Vec<Block>,
    /// To an eighth of it.
    pub down: Conv,
    /// Blocks at an eighth of the size.
    pub mid: Vec<Block>,
    /// From an eighth to a quarter.
    pub up: Conv,
    /// Blocks at a quarter of the size.
    pub d1: Vec<Block>,
    /// From a quarter to half the size, norm folded in.
    pub h1: Conv,
    /// From squares of 2 x 2 pixels.
    pub skip: Conv,
    /// The block at half the size.
    pub b2: Block,
    /// From half the size to the whole, norm folded in.
    pub h2: Conv,
    /// How much noise each of its channels gets, in networks that have noise, which filter what `h1` and `h2` give.
    pub tail_noise: Option<Vec<f32>>,
    /// Of that and the picture.
    pub dw: Conv,
    /// To RGB.
    pub rgb: Conv,
}

/// A picture or a band of one, as a network takes it.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// RGB, `[rows, width, 3]`, -1..1.
    pub picture: &'a [f32],
    /// Of the picture.
    pub width: usize,
    /// Rows of padding above it: that many less than a multiple of 8 does it begin behind, in the whole picture.
    pub above: usize,
    /// And columns to the left.
    pub left: usize,
    /// Of each block and of the last layers, in order, where the padded part begins. That of a block is of strokes.
    pub noise: &'a [Noise],
    /// Which way these go in each cell of 4 x 4 pixels of the part, padded to multiples of 8, `[rows / 4, columns / 4]`;
    /// nothing for networks without noise.
    pub directions: &'a [u8],
}

/// A brush on a GPU, its mix of styles folded in.
pub struct Brush {
    gpu: Arc<Gpu>,
    channels: Channels,
    stem: ConvWeights,
    e1: Vec<BlockWeights>,
    down: ConvWeights,
    mid: Vec<BlockWeights>,
    up: ConvWeights,
    d1: Vec<BlockWeights>,
    h1: ConvWeights,
    h1_normed: usize,
    skip: ConvWeights,
    b2: BlockWeights,
    tail: TailWeights,
}

impl Brush {
    /// Brings the weights to the GPU.
    ///
    /// # Errors
    /// If the network is wider than the kernels, or the GPU's memory is full, or the GPU fails.
    ///
    /// # Panics
    /// If layers don't fit together.
    pub fn new(gpu: Arc<Gpu>, weights: &Weights) -> Result<Self, Error> {
        let (c1, c2, ch, cf) = (
            weights.stem.bias.len(),
            weights.down.bias.len(),
            weights.b2.project_bias.len(),
            weights.rgb_inputs(),
        );
        if cf + 3 > TAIL_CHANNELS {
            return Err(Error::TooWide(cf));
        }
        let channels = Channels { quarter: width_for(c1)?, eighth: width_for(c2)?, half: width_for(ch)? };
        let Channels { quarter, eighth, half } = channels;
        let loader = Loader(&gpu);
        let blocks =
            |blocks: &[Block], width| blocks.iter().map(|b| loader.block(b, width)).collect::<Result<_, _>>();
        Ok(Self {
            channels,
            stem: loader.conv(&weights.stem, 48, quarter, 1)?,
            e1: blocks(&weights.e1, quarter)?,
            down: loader.conv(&weights.down, quarter, eighth, 1)?,
            mid: blocks(&weights.mid, eighth)?,
            up: loader.conv(&weights.up, eighth, quarter, 1)?,
            d1: blocks(&weights.d1, quarter)?,
            h1: loader.conv(&weights.h1, quarter, half, 4)?,
            h1_normed: c1,
            skip: loader.conv(&weights.skip, 16, half, 1)?,
            b2: loader.block(&weights.b2, half)?,
            tail: TailWeights {
                noise: loader.noise(weights.tail_noise.as_deref(), cf, TAIL_CHANNELS)?,
                expand: loader.tail_expand(&weights.h2, half)?,
                join: loader.conv(&weights.dw, TAIL_CHANNELS, TAIL_CHANNELS, 1)?,
                rgb: loader.conv(&weights.rgb, TAIL_CHANNELS, 8, 1)?,
                normed: ch,
                inner: cf,
            },
            gpu,
        })
    }

    /// How much of the GPU's memory a band of this size, padding above and to the left included, takes, in bytes.
    pub fn band_bytes(&self, rows: usize, width: usize) -> u64 {
        workspace::bytes(padding(rows, width), self.channels, self.has_noise())
    }

    /// Re-draws rows `wanted` of a picture, or of a band of one. Borders are repeated, those of the band, too: whoever
    /// cuts bands leaves as much around the wanted rows as the network looks at, and lets them, with their padding, begin
    /// at a multiple of 8 of the whole picture.
    ///
    /// # Errors
    /// If the GPU's memory is full, of which all is free again then, or the GPU fails. `out` is as before.
    ///
    /// # Panics
    /// If the rows aren't whole or aren't there, or there isn't the noise of all layers, or the direction of each cell.
    pub fn draw(&self, part: Part<'_>, wanted: Range<usize>, out: &mut Vec<f32>) -> Result<(), Error> {
        let Part { picture, width, above, left, noise, .. } = part;
        let height = picture.len() / (width * 3);
        assert!(picture.len() == height * width * 3 && wanted.end <= height && !wanted.is_empty());
        assert_eq!(noise.len(), self.e1.len() + self.mid.len() + self.d1.len() + 2);
        // Not locked while it draws: a thread that waits for others may be lent to another picture, which would wait for
        // this one. That one has a workspace of its own.
        let workspace = || self.gpu.workspace.lock().unwrap_or_else(PoisonError::into_inner);
        let mut own = take(&mut *workspace());
        let wanted = Wanted { height, width, above, left, first: wanted.start, count: wanted.len() };
        let drawn = self.draw_in(&mut own, part, wanted, out);
        if drawn.is_ok() {
            drop(replace(&mut *workspace(), own));
        } else {
            // No memory is given back while the GPU copies from it, or to it. If the GPU is gone, it doesn't.
            let _ = self.gpu.stream.synchronize();
        }
        drawn
    }

    fn draw_in(
        &self,
        workspace: &mut Workspace,
        part: Part<'_>,
        wanted: Wanted,
        out: &mut Vec<f32>,
    ) -> Result<(), Error> {
        let gpu = &*self.gpu;
        let Part { picture, noise, directions, .. } = part;
        let Wanted { height, width, above, left, first, count } = wanted;
        let (of_e1, noise) = noise.split_at(self.e1.len());
        let (of_mid, noise) = noise.split_at(self.mid.len());
        let (of_d1, noise) = noise.split_at(self.d1.len());
        let (of_b2, of_tail) = (noise[0], noise[1]);
        let padded = padding(above + height, left + width);
        workspace.reserve(&gpu.stream, padded, self.channels, picture.len(), count * width * 3)?;
        let Workspace {
            staging,
            picture: x,
            result,
            by4,
            by2,
            quarter: [q, q2],
            eighth: [e, e2],
            up,
            half: [h, h2],
            strokes,
        } = workspace;
        if self.has_noise() {
            strokes.reserve(&gpu.stream, padded)?;
            gpu.upload_directions(directions, strokes)?;
        }
        gpu.upload(picture, staging, x)?;
        gpu.unshuffle(x, wanted, by4, by2)?;

        gpu.conv(by4, q, &self.stem, Geometry::around(3))?;
        self.blocks(&self.e1, of_e1, strokes, q, q2)?;
        gpu.conv(q, e, &self.down, Geometry { stride: 2, pad: 0, ..Geometry::around(2) })?;
        self.blocks(&self.mid, of_mid, strokes, e, e2)?;
        gpu.conv(e, up, &self.up, Geometry::around(1))?;
        gpu.upsample2_add(up, q, q2)?;
        swap(q, q2);
        self.blocks(&self.d1, of_d1, strokes, q, q2)?;

        gpu.conv(by2, h, &self.skip, Geometry::around(3))?;
        let shuffled = Geometry { normed: Some(self.h1_normed), shuffle: true, ..Geometry::around(1) };
        if self.has_noise() {
            gpu.conv(q, h2, &self.h1, shuffled)?;
            gpu.blur_add(h2, h)?;
        } else {
            gpu.conv(q, h, &self.h1, Geometry { adds: true, ..shuffled })?;
        }
        gpu.block(h, h2, &self.b2, strokes, of_b2)?;
        gpu.tail(h2, x, result, &self.tail, wanted, of_tail)?;
        gpu.download_onto(&picture[first * width * 3..][..count * width * 3], result, staging, out)
    }

    /// Sends `x` through blocks; `spare` is room for it.
    fn blocks(
        &self,
        blocks: &[BlockWeights],
        noise: &[Noise],
        strokes: &mut Strokes,
        x: &mut Map,
        spare: &mut Map,
    ) -> Result<(), Error> {
        for (block, noise) in blocks.iter().zip(noise) {
            self.gpu.block(x, spare, block, strokes, *noise)?;
            swap(x, spare);
        }
        Ok(())
    }

    /// Has it noise? Then it filters what it has shuffled, too.
    fn has_noise(&self) -> bool {
        self.tail.noise.is_some()
    }
}

impl Weights {
    fn rgb_inputs(&self) -> usize {
        self.dw.bias.len()
    }
}

fn padding(height: usize, width: usize) -> Padded {
    Padded { height: height.next_multiple_of(MULTIPLE), width: width.next_multiple_of(MULTIPLE) }
}

/// Values, and zeros behind them.
fn filled(values: &[f32], len: usize) -> Vec<f32> {
    let mut values = values.to_vec();
    values.resize(len, 0.0);
    values
}

/// Packs weights and brings them to the GPU.
struct Loader<'a>(&'a Gpu);

impl Loader<'_> {
    fn upload<T: cudarc::driver::DeviceRepr>(
        &self,
        values: &[T],
    ) -> Result<cudarc::driver::CudaSlice<T>, Error> {
        Ok(self.0.stream.clone_htod(values)?)
    }

    /// `parts`: 4 if the result is shuffled by 2; in weights, channel `c` of the pixel `p` of a square is `4 c + p`.
    fn conv(&self, conv: &Conv, width: usize, outputs: usize, parts: usize) -> Result<ConvWeights, Error> {
        let Conv { weight, bias, kernel } = conv;
        let (taps, own_outputs) = (kernel * kernel, bias.len() / parts);
        let inputs = weight.len() / (taps * bias.len());
        assert!(weight.len() == inputs * taps * bias.len() && own_outputs <= outputs && inputs <= width);
        let mut packed = Vec::new();
        for (part, tap) in (0..parts).flat_map(|part| (0..taps).map(move |tap| (part, tap))) {
            packed.extend(fragments(width, outputs, |input, output| {
                match input < inputs && output < own_outputs {
                    true => weight[((output * parts + part) * inputs + input) * taps + tap],
                    false => 0.0,
                }
            }));
        }
        let bias = (0..parts * outputs).map(|i| match i % outputs {
            output if output < own_outputs => bias[output * parts + i / outputs],
            _ => 0.0,
        });
        Ok(ConvWeights {
            weight: self.upload(&packed)?,
            bias: self.upload(&bias.collect::<Vec<_>>())?,
            outputs,
        })
    }

    /// `channels` weights for noise, in a map of `width`.
    fn noise(
        &self,
        weights: Option<&[f32]>,
        channels: usize,
        width: usize,
    ) -> Result<Option<cudarc::driver::CudaSlice<f32>>, Error> {
        assert!(weights.is_none_or(|weights| weights.len() == channels));
        weights.map(|weights| self.upload(&filled(weights, width))).transpose()
    }

    /// The tail's first layer has the channels of all four pixels beside each other.
    fn tail_expand(&self, conv: &Conv, width: usize) -> Result<ConvWeights, Error> {
        let outputs = conv.bias.len() / 4;
        let inputs = conv.weight.len() / conv.bias.len();
        let from = |output: usize| {
            let (part, channel) = (output / TAIL_CHANNELS, output % TAIL_CHANNELS);
            (channel < outputs).then_some(channel * 4 + part)
        };
        let packed = fragments(width, 4 * TAIL_CHANNELS, |input, output| match from(output) {
            Some(output) if input < inputs => conv.weight[output * inputs + input],
            _ => 0.0,
        });
        let bias = (0..4 * TAIL_CHANNELS).map(|output| from(output).map_or(0.0, |output| conv.bias[output]));
        Ok(ConvWeights {
            weight: self.upload(&packed.collect::<Vec<_>>())?,
            bias: self.upload(&bias.collect::<Vec<_>>())?,
            outputs: 4 * TAIL_CHANNELS,
        })
    }

    fn block(&self, block: &Block, width: usize) -> Result<BlockWeights, Error> {
        let (channels, own_inside) = (block.project_bias.len(), block.expand_bias.len());
        let inside = padded(own_inside);
        assert!(block.depthwise.len() == 25 * channels && block.expand.len() == channels * own_inside);
        let at = |values: &[f32], index: usize, is_there: bool| if is_there { values[index] } else { 0.0 };
        let depthwise: Vec<f32> = (0..25 * width)
            .map(|i| at(&block.depthwise, i % width * 25 + i / width, i % width < channels))
            .collect();
        let expand = fragments(width, inside, |input, output| {
            at(&block.expand, output * channels + input, input < channels && output < own_inside)
        });
        let project = fragments(inside, width, |input, output| {
            at(&block.project, output * own_inside + input, input < own_inside && output < channels)
        });
        Ok(BlockWeights {
            depthwise: self.upload(&depthwise)?,
            depthwise_bias: self.upload(&filled(&block.depthwise_bias, width))?,
            noise: self.noise(block.noise.as_deref(), channels, width)?,
            expand: self.upload(&expand.collect::<Vec<_>>())?,
            expand_bias: self.upload(&filled(&block.expand_bias, inside))?,
            project: self.upload(&project.collect::<Vec<_>>())?,
            project_bias: self.upload(&filled(&block.project_bias, width))?,
            channels,
            inside,
        })
    }
}
