//! animegan2-1: the generator of AnimeGANv2, as imported weights have it.
//!
//! Chen, Liu, Chen, "AnimeGAN: A Novel Lightweight GAN for Photo Animation" (ISICA 2019,
//! <https://github.com/TachibanaYoshino/AnimeGANv2>), in the shape and under the names of its PyTorch port
//! (<https://github.com/bryandlee/animegan2-pytorch>).
//!
//! ```text
//! x: RGB -1..1, H and W padded by replication to multiples of 4        names in the weights
//! conv 7x7                                         -> w0, full size    block_a.0
//! conv 3x3 stride 2, conv 3x3                      -> w1, 1/2          block_a.1, .2
//! conv 3x3 stride 2, conv 3x3, conv 3x3            -> w2, 1/4          block_b.0, .1, block_c.0
//! 4 inverted residual blocks                       -> w3, 1/4          block_c.1 ... 4
//! conv 3x3                                         -> w2, 1/4          block_c.5
//! bilinear x2, conv 3x3, conv 3x3                  -> w2, 1/2          block_d.0, .1
//! bilinear x2, conv 3x3, conv 3x3, conv 7x7        -> w1, w1, w0, full block_e.0, .1, .2
//! conv 1x1 (no norm), tanh                         -> RGB              out_layer.0
//! ```
//!
//! Every `conv` is a convolution (`.1.weight`), a normalisation over the whole map (`.2`) and a leaky ReLU of 0.2;
//! they pad by reflection, those of stride 2 on the right and below only. An inverted residual block (`.layers`)
//! is conv 1x1 to twice the channels (`.0`), depthwise 3x3 with a bias (`.1`), a 1x1 convolution (`.2`) and its
//! normalisation (`.3`), added to what came in where the channels are as many.
//!
//! The port enlarges either with half-pixel centres, as its own program does unless told otherwise, or with
//! aligned corners; here it is the former. How the statistics come to bands: see `staged.rs`.

use std::sync::Arc;

use candle_core::{Result, Tensor, bail};
use candle_nn::VarBuilder;
use serde::{Deserialize, Serialize};
use utsushi_kernels::{Activation, Columns, Geometry};

use super::staged::{Norm, Pass, Prepare, Step};
use super::{Generator, Grain, Region, RowStream};
use crate::bands::{Band, Delay, Padding};
use crate::ops::{Conv, Depthwise};
use crate::scale::Reduce;
use crate::window::{Scale, Surroundings};

/// The name in style files.
pub const ARCH: &str = "animegan2-1";

/// Pictures are padded to multiples of this many pixels,
const MULTIPLE: usize = 4;
/// and to at least this many, so that there is something to reflect at a quarter of the size.
const LEAST: usize = 8;
/// Rows are handed to convolutions of stride 1 in multiples of this many.
const TILE_ROWS: usize = 4;
/// Of the leaky ReLUs.
const SLOPE: f32 = 0.2;
/// Up to this many pixels, a picture is drawn with its own statistics; of a larger one a copy of this size is
/// measured.
pub const SURVEY_PX: usize = 1 << 20;
/// Pixels of a survey's bands.
const BAND_PX: usize = 1 << 16;

/// The numbers that make one network differ from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sizes {
    /// Channels at full size, at a half, at a quarter, and of the blocks there.
    pub widths: [usize; 4],
}

impl Sizes {
    /// Those of a network with these weights; `None` where they are another network's. `shape` gives the shape
    /// of the tensor of a name.
    pub fn of_weights<'a>(shape: impl Fn(&str) -> Option<&'a [usize]>) -> Option<Self> {
        let outputs = |name: &str| shape(name)?.first().copied();
        let widths = [
            outputs("block_a.0.1.weight")?,
            outputs("block_a.1.1.weight")?,
            outputs("block_b.0.1.weight")?,
            outputs("block_c.1.layers.2.weight")?,
        ];
        outputs("out_layer.0.weight").map(|_| Self { widths })
    }

    /// Are they within what this program is ready to run?
    pub fn are_sane(&self) -> bool {
        self.widths.iter().all(|c| (1..=512).contains(c))
    }

    /// The names and shapes of the tensors of a network of these sizes.
    pub fn tensors(&self) -> Vec<(String, Vec<usize>)> {
        let [w0, w1, w2, w3] = self.widths;
        let mut tensors = Vec::new();
        let mut norm = |name: String, channels: usize| {
            tensors.extend(["weight", "bias"].map(|part| (format!("{name}.{part}"), vec![channels])));
        };
        let mut weights = vec![("out_layer.0.weight".to_owned(), vec![3, w0, 1, 1])];
        for (name, inputs, outputs, kernel) in [
            ("block_a.0", 3, w0, 7),
            ("block_a.1", w0, w1, 3),
            ("block_a.2", w1, w1, 3),
            ("block_b.0", w1, w2, 3),
            ("block_b.1", w2, w2, 3),
            ("block_c.0", w2, w2, 3),
            ("block_c.5", w3, w2, 3),
            ("block_d.0", w2, w2, 3),
            ("block_d.1", w2, w2, 3),
            ("block_e.0", w2, w1, 3),
            ("block_e.1", w1, w1, 3),
            ("block_e.2", w1, w0, 7),
        ] {
            weights.push((format!("{name}.1.weight"), vec![outputs, inputs, kernel, kernel]));
            norm(format!("{name}.2"), outputs);
        }
        for (block, inputs) in [(1, w2), (2, w3), (3, w3), (4, w3)] {
            let (name, inside) = (format!("block_c.{block}.layers"), 2 * inputs);
            weights.push((format!("{name}.0.1.weight"), vec![inside, inputs, 1, 1]));
            norm(format!("{name}.0.2"), inside);
            weights.push((format!("{name}.1.1.weight"), vec![inside, 1, 3, 3]));
            weights.push((format!("{name}.1.1.bias"), vec![inside]));
            norm(format!("{name}.1.2"), inside);
            weights.push((format!("{name}.2.weight"), vec![w3, inside, 1, 1]));
            norm(format!("{name}.3"), w3);
        }
        tensors.extend(weights);
        tensors
    }

    /// How far beyond a pixel the network looks, in pixels, but for its statistics.
    pub fn reach_px(&self) -> u32 {
        // Each layer's reach, times its scale, the enlargements' too: full, half, quarter; and what a coarse
        // pixel covers.
        let full = 3 + 2 + 1 + 1 + 3;
        let half = 2 * (1 + 2 + 1 + 1 + 1);
        let quarter = 4 * (1 + 1 + 4 + 1 + 1);
        (full + half + quarter + MULTIPLE - 1) as u32
    }
}

/// The network.
pub struct AnimeGan2 {
    sizes: Sizes,
    steps: Arc<Vec<Step>>,
}

impl AnimeGan2 {
    /// Loads the weights.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(sizes: Sizes, weights: &VarBuilder) -> Result<Self> {
        let mut loader = Loader { channels: 3, steps: Vec::new(), pending: Pending::default(), kept: 0 };
        let [w0, w1, w2, w3] = sizes.widths;
        let (a, b, c) = (weights.pp("block_a"), weights.pp("block_b"), weights.pp("block_c"));
        let (d, e) = (weights.pp("block_d"), weights.pp("block_e"));
        loader.conv(&a.pp(0), 7, w0)?;
        loader.conv_stride2(&a.pp(1), w1)?;
        loader.conv(&a.pp(2), 3, w1)?;
        loader.conv_stride2(&b.pp(0), w2)?;
        loader.conv(&b.pp(1), 3, w2)?;
        loader.conv(&c.pp(0), 3, w2)?;
        for i in 1..=4 {
            loader.block(&c.pp(i).pp("layers"), w3)?;
        }
        loader.conv(&c.pp(5), 3, w2)?;
        loader.pending.scale = Scale::Twice;
        loader.conv(&d.pp(0), 3, w2)?;
        loader.conv(&d.pp(1), 3, w2)?;
        loader.pending.scale = Scale::Twice;
        loader.conv(&e.pp(0), 3, w1)?;
        loader.conv(&e.pp(1), 3, w1)?;
        loader.conv(&e.pp(2), 7, w0)?;
        loader.convolve(&weights.pp("out_layer").pp(0), Geometry::kernel(1), 3)?;
        loader.steps.push(Step::Tanh);
        Ok(Self { sizes, steps: Arc::new(loader.steps) })
    }
}

impl AnimeGan2 {
    /// Begins a picture of which up to `survey_px` pixels are measured.
    fn stream_surveyed(&self, height: usize, width: usize, survey_px: usize) -> AnimeStream {
        let pass = Pass::new(Arc::clone(&self.steps));
        AnimeStream {
            height,
            width,
            padding: Padding::new(height, width, MULTIPLE, LEAST),
            given: 0,
            stage: Stage::Looking { look: Look::new(height, width, survey_px), pass },
        }
    }
}

/// Reads layers by their names, in the order in which a map passes them.
struct Loader {
    /// Of the map at this place.
    channels: usize,
    steps: Vec<Step>,
    pending: Pending,
    /// How many maps were kept.
    kept: usize,
}

/// What is still to be done to the map before the next convolution.
struct Pending {
    norm: Option<Norm>,
    slope: f32,
    /// Columns at its sides that are none of it.
    trim: usize,
    scale: Scale,
}

impl Default for Pending {
    fn default() -> Self {
        Self { norm: None, slope: 1.0, trim: 0, scale: Scale::Same }
    }
}

impl Loader {
    /// Lets the map come to what reads `above` rows above each, and `below` rows below it; columns alike.
    fn prepare(&mut self, above: usize, below: usize, multiple: usize) {
        let Pending { norm, slope, trim, scale } = std::mem::take(&mut self.pending);
        let is_nothing = norm.is_none() && trim + above + below == 0 && scale == Scale::Same;
        if is_nothing {
            return;
        }
        let columns = Columns { trim, left: above, right: below };
        let around = Surroundings { above, below, columns, multiple, scale };
        self.steps.push(Step::Prepare(Prepare { norm, slope, around }));
    }

    /// A convolution alone, of stride 1.
    fn convolve(&mut self, weights: &VarBuilder, mut geometry: Geometry, outputs: usize) -> Result<()> {
        let reach = geometry.kernel / 2;
        if geometry.stride == 1 {
            geometry.row_multiple = if reach > 0 { TILE_ROWS } else { 1 };
            self.prepare(reach, reach, geometry.row_multiple);
            // The columns that were reflected come out as columns, too.
            self.pending.trim = reach;
        } else {
            self.prepare(0, 1, geometry.stride);
        }
        let shape = (outputs, self.channels, geometry.kernel, geometry.kernel);
        let weight = weights.get(shape, "weight")?;
        let bias = Tensor::zeros(outputs, weight.dtype(), weight.device())?;
        self.steps.push(Step::Conv(Conv::new(geometry, Activation::Store, &weight, &bias)?));
        self.channels = outputs;
        Ok(())
    }

    fn norm(&mut self, weights: &VarBuilder, slope: f32) -> Result<()> {
        let values = |name| weights.get(self.channels, name)?.to_vec1();
        self.pending.norm = Some(Norm { weight: values("weight")?, bias: values("bias")? });
        self.pending.slope = slope;
        Ok(())
    }

    fn conv(&mut self, weights: &VarBuilder, kernel: usize, outputs: usize) -> Result<()> {
        self.convolve(&weights.pp(1), Geometry::kernel(kernel), outputs)?;
        self.norm(&weights.pp(2), SLOPE)
    }

    fn conv_stride2(&mut self, weights: &VarBuilder, outputs: usize) -> Result<()> {
        self.convolve(&weights.pp(1), Geometry { stride: 2, ..Geometry::kernel(3) }, outputs)?;
        self.norm(&weights.pp(2), SLOPE)
    }

    fn block(&mut self, weights: &VarBuilder, outputs: usize) -> Result<()> {
        let is_residual = self.channels == outputs;
        if is_residual {
            self.prepare(0, 0, 1);
            self.steps.push(Step::Keep(self.kept));
        }
        self.conv(&weights.pp(0), 1, 2 * self.channels)?;
        let depthwise = weights.pp(1);
        self.prepare(1, 1, 1);
        let weight = depthwise.pp(1).get((self.channels, 1, 3, 3), "weight")?;
        let bias = depthwise.pp(1).get(self.channels, "bias")?;
        self.steps.push(Step::Depthwise(Depthwise::new(&weight, &bias)?));
        self.norm(&depthwise.pp(2), SLOPE)?;
        self.convolve(&weights.pp(2), Geometry::kernel(1), outputs)?;
        self.norm(&weights.pp(3), 1.0)?;
        if is_residual {
            self.prepare(0, 0, 1);
            self.steps.push(Step::AddKept(self.kept));
            self.kept += 1;
        }
        Ok(())
    }
}

impl Generator for AnimeGan2 {
    fn stream(&self, region: Region, _: Grain) -> Box<dyn RowStream> {
        Box::new(self.stream_surveyed(region.height, region.width, SURVEY_PX))
    }

    fn reach_px(&self) -> u32 {
        self.sizes.reach_px()
    }

    fn looks_first(&self) -> bool {
        true
    }

    fn memory_bytes(&self, height: usize, width: usize) -> u64 {
        // As measured, rounded up; in the survey, and then in a picture's bands.
        const BYTES_PER_SURVEYED_PX: usize = 700;
        const BYTES_PER_COLUMN: usize = 60_000;
        ((height * width).min(SURVEY_PX) * BYTES_PER_SURVEYED_PX + width * BYTES_PER_COLUMN) as u64
    }
}

struct AnimeStream {
    height: usize,
    width: usize,
    padding: Padding,
    given: usize,
    stage: Stage,
}

enum Stage {
    /// Rows of the picture, or of a reduced copy, come together.
    Looking { look: Look, pass: Pass },
    /// The picture was small enough to be drawn at once.
    Drawn(Delay),
    /// Its statistics are known.
    Drawing(Pass),
    /// The network failed.
    Failed,
}

/// What is measured of a picture: all of it, or a reduced copy.
struct Look {
    height: usize,
    width: usize,
    reduce: Option<Reduce>,
    rows: Vec<f32>,
}

impl Look {
    fn new(height: usize, width: usize, survey_px: usize) -> Self {
        let scale = ((height * width) as f64 / survey_px as f64).sqrt();
        if scale <= 1.0 {
            return Self { height, width, reduce: None, rows: Vec::new() };
        }
        let side = |side: usize| ((side as f64 / scale) as usize).max(1);
        let low = (side(height), side(width));
        let reduce = Some(Reduce::new((height, width), low));
        Self { height: low.0, width: low.1, reduce, rows: Vec::new() }
    }

    fn push(&mut self, rows: &[f32], row_len: usize) {
        match &mut self.reduce {
            None => self.rows.extend_from_slice(rows),
            Some(reduce) => {
                let rows = rows.chunks_exact(row_len).map(<[f32]>::to_vec).collect();
                self.rows.extend(reduce.push(rows).into_iter().flatten());
            }
        }
    }

    fn is_complete(&self) -> bool {
        self.rows.len() == self.height * self.width * 3
    }

    /// What was seen, in bands that don't depend on how it came.
    fn bands(self) -> Result<Vec<Band>> {
        let Self { height, width, rows, .. } = self;
        let mut padding = Padding::new(height, width, MULTIPLE, LEAST);
        let band_rows = (BAND_PX / width).max(1).next_multiple_of(MULTIPLE);
        rows.chunks(band_rows * width * 3).map(|rows| padding.push(rows)).collect()
    }
}

impl RowStream for AnimeStream {
    fn look(&mut self, rows: &[f32]) -> Result<()> {
        let Stage::Looking { look, .. } = &mut self.stage else { bail!("the picture was looked at already") };
        look.push(rows, self.width * 3);
        if !look.is_complete() {
            return Ok(());
        }
        let Stage::Looking { look, mut pass } = std::mem::replace(&mut self.stage, Stage::Failed) else {
            return Ok(());
        };
        let is_whole = look.reduce.is_none();
        let drawn = pass.survey(look.bands()?)?;
        self.stage = if is_whole {
            let mut rows = Delay::default();
            drawn.iter().for_each(|band| rows.push(&band.rows));
            Stage::Drawn(rows)
        } else {
            Stage::Drawing(pass.rewound())
        };
        Ok(())
    }

    fn push(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<()> {
        let y = match &mut self.stage {
            Stage::Drawn(drawn) => drawn.take(rows.len() / self.width / 3)?,
            Stage::Drawing(pass) => pass.push(self.padding.push(rows)?)?.rows,
            Stage::Looking { .. } | Stage::Failed => bail!("rows came before the picture was looked at"),
        };
        // The padding's rows come last, and are dropped.
        let count = y.count().min(self.height - self.given);
        self.given += count;
        y.narrow(0, count)?.append_to(out, 0..self.width);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn statistics_of_a_reduced_copy_are_near_those_of_the_picture() {
        let weights =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/goldens/animegan2-tiny.safetensors");
        let weights = candle_core::safetensors::load(weights, &Device::Cpu).expect("the golden");
        let weights = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
        let network = AnimeGan2::load(Sizes { widths: [4, 6, 8, 10] }, &weights).expect("the weights fit");
        let (height, width) = (250, 310);
        let value = |i: usize| {
            let (x, y, c) = ((i / 3 % width) as f32, (i / 3 / width) as f32, (i % 3) as f32);
            0.5 * (x * 0.021 + c).sin() * (y * 0.017).cos() + if x > y { 0.3 } else { -0.2 }
        };
        let values: Vec<f32> = (0..height * width * 3).map(value).collect();
        let draw = |survey_px: usize| -> Vec<f32> {
            let mut stream = network.stream_surveyed(height, width, survey_px);
            let mut drawn = Vec::new();
            assert!(stream.push(&values, &mut drawn).is_err(), "it has not looked");
            stream.look(&values).expect("it looks");
            stream.push(&values, &mut drawn).expect("it draws");
            assert_eq!(drawn.len(), values.len());
            drawn
        };
        let exact = draw(height * width);
        for (reduction, most) in [(2, 0.01), (4, 0.02), (16, 0.05)] {
            let near = draw(height * width / reduction);
            let sum: f32 = near.iter().zip(&exact).map(|(a, b)| (a - b).abs()).sum();
            let mean = sum / exact.len() as f32;
            assert!(0.0 < mean && mean < most, "{mean} at a {reduction}th of the size");
        }
    }
}
