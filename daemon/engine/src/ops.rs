//! The kernels as operations on maps of `[rows, cols, channels]`.
//!
//! candle's own convolution gathers its input value by value and is tens of times slower than it could be, so
//! that networks come here for everything that convolves. Rows carry their context, as in `utsushi-kernels`.

use std::ops::Range;

use candle_core::{Error, Result, Tensor, bail};
use rayon::prelude::*;
use utsushi_kernels::{
    self as kernels, Activation, Affine, Columns, ConvWeights, Cpu, Geometry, Noise, PreparedRow, Shape,
    Source,
};

use crate::rows::Rows;

/// A convolution with what is fused into it.
pub(crate) struct Conv {
    conv: kernels::Conv,
    geometry: Geometry,
    activation: Activation<'static>,
}

impl Conv {
    /// `weight`: `[outputs, inputs, kernel, kernel]`; `bias`: `[outputs]`.
    pub(crate) fn new(
        geometry: Geometry,
        activation: Activation<'static>,
        weight: &Tensor,
        bias: &Tensor,
    ) -> Result<Self> {
        let (outputs, inputs, kernel, _) = weight.dims4()?;
        if bias.dims() != [outputs] || kernel != geometry.kernel || inputs == 0 || outputs == 0 {
            bail!(
                "a convolution of {geometry:?} can't have weights {:?} and {:?}",
                weight.dims(),
                bias.dims()
            );
        }
        let (weight, bias) = (to_vec(weight)?, to_vec(bias)?);
        let conv = kernels::Conv::new(Cpu::detect(), geometry, ConvWeights { weight: &weight, bias: &bias });
        Ok(Self { conv, geometry, activation })
    }

    pub(crate) fn forward(&self, x: &Rows) -> Result<Rows> {
        x.read(|x| match self.geometry.unshuffle {
            1 => self.run(Source::Map(x), self.activation),
            factor => self.run(Source::Unshuffled(x, factor), self.activation),
        })
    }

    /// The result, added to `base`.
    pub(crate) fn forward_add(&self, x: &Rows, base: &Rows) -> Result<Rows> {
        x.read(|x| base.read(|base| self.run(Source::Map(x), Activation::Add(base))))
    }

    fn run(&self, source: Source, activation: Activation) -> Result<Rows> {
        let shape = source.shape();
        if shape.rows < self.geometry.kernel || shape.cols < self.geometry.stride {
            bail!("{shape:?} is too small for a convolution of {:?}", self.geometry);
        }
        let shape = self.conv.output_shape(shape);
        Ok(Rows::draw(shape, |out| self.conv.run(source, activation, out)))
    }
}

/// A residual block; see [`utsushi_kernels::Block`].
pub(crate) struct Block(kernels::Block);

/// A block's weights, norms folded in; shapes as in [`utsushi_kernels::BlockWeights`].
pub(crate) struct BlockTensors {
    pub(crate) depthwise: Tensor,
    pub(crate) depthwise_bias: Tensor,
    /// In networks that have noise.
    pub(crate) noise: Option<Tensor>,
    pub(crate) expand: Tensor,
    pub(crate) expand_bias: Tensor,
    pub(crate) project: Tensor,
    pub(crate) project_bias: Tensor,
}

impl Block {
    /// Rows of context that it needs above, and below.
    pub(crate) const REACH: usize = kernels::Block::REACH;

    pub(crate) fn new(tensors: &BlockTensors) -> Result<Self> {
        let noise = tensors.noise.as_ref().map_or(Ok(Vec::new()), to_vec)?;
        Ok(Self(kernels::Block::new(
            Cpu::detect(),
            kernels::BlockWeights {
                depthwise: &to_vec(&tensors.depthwise)?,
                depthwise_bias: &to_vec(&tensors.depthwise_bias)?,
                noise: &noise,
                expand: &to_vec(&tensors.expand)?,
                expand_bias: &to_vec(&tensors.expand_bias)?,
                project: &to_vec(&tensors.project)?,
                project_bias: &to_vec(&tensors.project_bias)?,
            },
        )))
    }

    /// Does it want noise?
    pub(crate) fn has_noise(&self) -> bool {
        self.0.has_noise()
    }

    /// `noise` is that of the result's pixels, or nothing where there is none or the block doesn't want it.
    pub(crate) fn forward(&self, x: &Rows, noise: &[f32]) -> Result<Rows> {
        x.read(|x| {
            let shape = x.shape();
            let Some(rows) = shape.rows.checked_sub(2 * Self::REACH) else {
                bail!("{} rows have no room for a block's context", shape.rows);
            };
            if !noise.is_empty() && (!self.has_noise() || noise.len() != rows * shape.cols) {
                bail!("noise for {} pixels, not {rows} rows of {}", noise.len(), shape.cols);
            }
            Ok(Rows::draw(Shape { rows, ..shape }, |out| self.0.run(x, noise, out)))
        })
    }
}

/// Rows `rows` of `x`, filtered, plus `base`; see [`utsushi_kernels::blur_add`].
pub(crate) fn blur_add(x: &Rows, rows: Range<usize>, base: &Rows) -> Result<Rows> {
    x.read(|x| {
        base.read(|base| {
            let (shape, of_x) = (base.shape(), x.shape());
            if shape != (Shape { rows: rows.len(), ..of_x }) || of_x.rows < 2 || of_x.cols < 2 {
                bail!("rows {rows:?} of {of_x:?} can't be filtered and added to {shape:?}");
            }
            Ok(Rows::draw(shape, |out| kernels::blur_add(Cpu::detect(), x, rows, base, out)))
        })
    })
}

/// `low` with a row of context above and below, enlarged twice bilinearly, plus `base`.
pub(crate) fn upsample2_add(low: &Rows, base: &Rows) -> Result<Rows> {
    low.read(|low| {
        base.read(|base| {
            let (shape, low_shape) = (base.shape(), low.shape());
            let enlarged =
                Shape::new((low_shape.rows.max(2) - 2) * 2, low_shape.cols * 2, low_shape.channels);
            if shape != enlarged {
                bail!("{low_shape:?} enlarged twice is not {shape:?}");
            }
            Ok(Rows::draw(shape, |out| kernels::upsample2_add(low, base, out)))
        })
    })
}

/// The last layers of `brush`; see [`utsushi_kernels::Tail`].
pub(crate) struct Tail(kernels::Tail);

impl Tail {
    /// Rows of context that a row of the half size needs.
    pub(crate) fn reach(&self) -> usize {
        self.0.reach()
    }

    /// Weights and biases: `[4 * s, c]`, the norm folded in; `[b, s + 3, 3, 3]`; `[3, b, 3, 3]`. With the noise's
    /// weights, `[s]`, what was shuffled is filtered.
    pub(crate) fn new([expand, join, rgb]: [(&Tensor, &Tensor); 3], noise: Option<&Tensor>) -> Result<Self> {
        let values = |(weight, bias): (&Tensor, &Tensor)| Ok::<_, Error>((to_vec(weight)?, to_vec(bias)?));
        let (expand, join, rgb) = (values(expand)?, values(join)?, values(rgb)?);
        let noise = noise.map(to_vec).transpose()?;
        let weights = kernels::TailWeights {
            expand: ConvWeights { weight: &expand.0, bias: &expand.1 },
            noise: noise.as_deref(),
            join: ConvWeights { weight: &join.0, bias: &join.1 },
            rgb: ConvWeights { weight: &rgb.0, bias: &rgb.1 },
        };
        Ok(Self(kernels::Tail::new(Cpu::detect(), weights)))
    }

    /// Re-draws rows `rows` of the picture, which is twice as large as `half`. `noise` is that of the picture's rows.
    pub(crate) fn forward(
        &self,
        half: &Rows,
        picture: &Rows,
        noise: Noise,
        rows: Range<usize>,
    ) -> Result<Rows> {
        half.read(|half| {
            picture.read(|picture| {
                let (half_shape, shape) = (half.shape(), picture.shape());
                if (shape.rows, shape.cols) != (half_shape.rows * 2, half_shape.cols * 2) {
                    bail!("{half_shape:?} is not half of {shape:?}");
                }
                Ok(Rows::draw(Shape { rows: rows.len(), ..shape }, |out| {
                    self.0.run(half, picture, noise, rows, out)
                }))
            })
        })
    }
}

/// A depthwise 3x3 convolution; see [`utsushi_kernels::Depthwise`].
pub(crate) struct Depthwise(kernels::Depthwise);

impl Depthwise {
    /// `weight`: `[channels, 1, 3, 3]`; `bias`: `[channels]`.
    pub(crate) fn new(weight: &Tensor, bias: &Tensor) -> Result<Self> {
        let channels = bias.dims1()?;
        if weight.dims() != [channels, 1, 3, 3] {
            bail!("a depthwise convolution can't have weights {:?} and {:?}", weight.dims(), bias.dims());
        }
        Ok(Self(kernels::Depthwise::new(Cpu::detect(), &to_vec(weight)?, &to_vec(bias)?)))
    }

    pub(crate) fn forward(&self, x: &Rows) -> Result<Rows> {
        x.read(|x| {
            let Shape { rows, cols, channels } = x.shape();
            if rows < 3 || cols < 3 {
                bail!("{:?} is too small for a depthwise convolution", x.shape());
            }
            Ok(Rows::draw(Shape::new(rows - 2, cols - 2, channels), |out| self.0.run(x, out)))
        })
    }
}

/// What stands between two convolutions; see [`utsushi_kernels::prepare`].
pub(crate) fn prepare(x: &Rows, affine: &Affine, columns: Columns, rows: &[PreparedRow]) -> Result<Rows> {
    let factor = if let Some(PreparedRow::Between(..)) = rows.first() { 2 } else { 1 };
    x.read(|x| {
        let Shape { cols, channels, .. } = x.shape();
        let shape = Shape::new(rows.len(), columns.count(cols, factor), channels);
        Ok(Rows::draw(shape, |out| kernels::prepare(Cpu::detect(), affine, columns, x, rows, out)))
    })
}

/// Each channel's sum and sum of squares over a map; see [`utsushi_kernels::channel_sums`].
pub(crate) fn channel_sums(x: &Rows, trim: usize) -> Result<Vec<[f64; 2]>> {
    x.read(|x| Ok(kernels::channel_sums(Cpu::detect(), x, trim)))
}

/// The sum of two maps.
pub(crate) fn add(a: &Rows, b: &Rows) -> Result<Rows> {
    a.read(|a| {
        b.read(|b| {
            if a.shape() != b.shape() {
                bail!("{:?} can't be added to {:?}", b.shape(), a.shape());
            }
            let sum = |(out, (a, b)): (&mut f32, (&f32, &f32))| *out = a + b;
            Ok(by_rows(a.shape(), |row, out| {
                out.iter_mut().zip(a.row(row).iter().zip(b.row(row))).for_each(sum)
            }))
        })
    })
}

/// The hyperbolic tangent of each value.
pub(crate) fn tanh(x: &Rows) -> Result<Rows> {
    x.read(|x| {
        let tanh = |(out, x): (&mut f32, &f32)| *out = x.tanh();
        Ok(by_rows(x.shape(), |row, out| out.iter_mut().zip(x.row(row)).for_each(tanh)))
    })
}

/// A map, row by row.
fn by_rows(shape: Shape, draw: impl Fn(usize, &mut [f32]) + Sync) -> Rows {
    Rows::draw(shape, |out| {
        out.par_chunks_mut(shape.row_len()).enumerate().for_each(|(row, out)| draw(row, out));
    })
}

fn to_vec(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}
