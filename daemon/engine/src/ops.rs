//! The kernels as candle operations on maps of `[rows, cols, channels]`.
//!
//! candle's own convolution gathers its input value by value and is tens of times slower than it could be, so
//! that networks come here for everything that convolves. Rows carry their context, as in `utsushi-kernels`.

use candle_core::{CpuStorage, CustomOp1, CustomOp2, Layout, Result, Shape, Tensor, bail};
use utsushi_kernels::{self as kernels, Activation, ConvWeights, Cpu, Geometry, Source};

/// A convolution with what is fused into it.
pub(crate) struct Conv {
    conv: kernels::Conv,
    geometry: Geometry,
    activation: Activation,
}

impl Conv {
    /// `weight`: `[outputs, inputs, kernel, kernel]`; `bias`: `[outputs]`.
    pub(crate) fn new(
        geometry: Geometry,
        activation: Activation,
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

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1_no_bwd(self)
    }

    /// The result, added to `base`.
    pub(crate) fn forward_add(&self, x: &Tensor, base: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op2_no_bwd(&base.contiguous()?, &Added(self))
    }

    /// Of two maps joined along their channels.
    pub(crate) fn forward_joined(&self, a: &Tensor, b: &Tensor) -> Result<Tensor> {
        a.contiguous()?.apply_op2_no_bwd(&b.contiguous()?, &Joined(self))
    }

    fn run(
        &self,
        source: Source,
        activation: Activation,
        base: Option<&[f32]>,
    ) -> Result<(CpuStorage, Shape)> {
        let shape = source.shape();
        if shape.rows < self.geometry.kernel || shape.cols < self.geometry.stride {
            bail!("{shape:?} is too small for a convolution of {:?}", self.geometry);
        }
        let shape = self.conv.output_shape(shape);
        let mut out = base.map_or_else(|| vec![0.0; shape.len()], <[f32]>::to_vec);
        self.conv.run(source, activation, &mut out);
        Ok((CpuStorage::F32(out), (shape.rows, shape.cols, shape.channels).into()))
    }

    fn source<'a>(&self, (map, shape): (&'a [f32], kernels::Shape)) -> Source<'a> {
        match self.geometry.unshuffle {
            1 => Source::Map(map, shape),
            factor => Source::Unshuffled(map, shape, factor),
        }
    }
}

impl CustomOp1 for Conv {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        self.run(self.source(map(x, layout)?), self.activation, None)
    }
}

struct Added<'a>(&'a Conv);

impl CustomOp2 for Added<'_> {
    fn name(&self) -> &'static str {
        "conv-add"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        base: &CpuStorage,
        base_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (base, _) = map(base, base_layout)?;
        self.0.run(self.0.source(map(x, x_layout)?), Activation::Add, Some(base))
    }
}

struct Joined<'a>(&'a Conv);

impl CustomOp2 for Joined<'_> {
    fn name(&self) -> &'static str {
        "conv-joined"
    }

    fn cpu_fwd(
        &self,
        a: &CpuStorage,
        a_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((a, a_shape), (b, b_shape)) = (map(a, a_layout)?, map(b, b_layout)?);
        self.0.run(Source::Joined(a, a_shape, b, b_shape), self.0.activation, None)
    }
}

/// A residual block; see [`utsushi_kernels::Block`].
pub(crate) struct Block(kernels::Block);

/// A block's weights, norms folded in; shapes as in [`utsushi_kernels::BlockWeights`].
pub(crate) struct BlockTensors {
    pub(crate) depthwise: Tensor,
    pub(crate) depthwise_bias: Tensor,
    pub(crate) expand: Tensor,
    pub(crate) expand_bias: Tensor,
    pub(crate) project: Tensor,
    pub(crate) project_bias: Tensor,
}

impl Block {
    /// Rows of context that it needs above, and below.
    pub(crate) const REACH: usize = kernels::Block::REACH;

    pub(crate) fn new(tensors: &BlockTensors) -> Result<Self> {
        Ok(Self(kernels::Block::new(
            Cpu::detect(),
            kernels::BlockWeights {
                depthwise: &to_vec(&tensors.depthwise)?,
                depthwise_bias: &to_vec(&tensors.depthwise_bias)?,
                expand: &to_vec(&tensors.expand)?,
                expand_bias: &to_vec(&tensors.expand_bias)?,
                project: &to_vec(&tensors.project)?,
                project_bias: &to_vec(&tensors.project_bias)?,
            },
        )))
    }

    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1_no_bwd(self)
    }
}

impl CustomOp1 for Block {
    fn name(&self) -> &'static str {
        "block"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, shape) = map(x, layout)?;
        let Some(rows) = shape.rows.checked_sub(2 * Self::REACH) else {
            bail!("{} rows have no room for a block's context", shape.rows);
        };
        let mut out = vec![0.0; rows * shape.row_len()];
        self.0.run(x, shape, &mut out);
        Ok((CpuStorage::F32(out), (rows, shape.cols, shape.channels).into()))
    }
}

/// `low` with a row of context above and below, enlarged twice bilinearly, plus `base`.
pub(crate) fn upsample2_add(low: &Tensor, base: &Tensor) -> Result<Tensor> {
    struct Upsample;
    impl CustomOp2 for Upsample {
        fn name(&self) -> &'static str {
            "upsample2-add"
        }

        fn cpu_fwd(
            &self,
            low: &CpuStorage,
            low_layout: &Layout,
            base: &CpuStorage,
            base_layout: &Layout,
        ) -> Result<(CpuStorage, Shape)> {
            let (low, shape) = map(low, low_layout)?;
            let (base, base_shape) = map(base, base_layout)?;
            if (shape.rows.max(2) - 2) * 2 != base_shape.rows || shape.cols * 2 != base_shape.cols {
                bail!("{shape:?} enlarged twice is not {base_shape:?}");
            }
            let mut out = base.to_vec();
            kernels::upsample2_add(low, shape, &mut out);
            Ok((CpuStorage::F32(out), (base_shape.rows, base_shape.cols, base_shape.channels).into()))
        }
    }
    low.contiguous()?.apply_op2_no_bwd(&base.contiguous()?, &Upsample)
}

fn to_vec(tensor: &Tensor) -> Result<Vec<f32>> {
    tensor.flatten_all()?.to_vec1()
}

/// The values and the shape of a contiguous map.
fn map<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<(&'a [f32], kernels::Shape)> {
    let (rows, cols, channels) = layout.shape().dims3()?;
    let Some((from, to)) = layout.contiguous_offsets() else {
        bail!("the map is not contiguous: {layout:?}")
    };
    Ok((&storage.as_slice::<f32>()?[from..to], kernels::Shape::new(rows, cols, channels)))
}
