//! Convolutions: of weights that are trained, exact or rounded, and of frozen ones.

use std::sync::{Arc, OnceLock};

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor, bail};
use utsushi_kernels::backward::{BackwardConv, ForwardConv, Resulting, WholeConv};
use utsushi_kernels::{self as kernels, ConvWeights, Cpu};

use super::{like, maps, output, slice, values};

/// Convolves `x` with `[outputs, inputs, kernel, kernel]` and `[outputs]`.
pub fn conv(x: &Tensor, weight: &Tensor, bias: &Tensor, conv: WholeConv) -> Result<Tensor> {
    let op = Conv { conv, cpu: Cpu::detect().single() };
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)
}

/// The same, but maps and weights are rounded to bf16 where the CPU multiplies it: on the way forward and back to the
/// maps, not for the weights' gradients.
pub fn rounded_conv(x: &Tensor, weight: &Tensor, bias: &Tensor, conv: WholeConv) -> Result<Tensor> {
    let op = Conv { conv, cpu: Cpu::detect() };
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, op)
}

/// A convolution whose weights stay as they are. They are laid out for the CPU once, and rounded to bf16, as the maps
/// are, where it multiplies it.
#[derive(Debug, Clone)]
pub struct FrozenConv(Arc<Weights>);

#[derive(Debug)]
struct Weights {
    conv: WholeConv,
    weight: Tensor,
    bias: Tensor,
    forward: OnceLock<ForwardConv>,
    backward: OnceLock<BackwardConv>,
}

impl FrozenConv {
    /// Of `[outputs, inputs, kernel, kernel]` and `[outputs]`.
    ///
    /// # Errors
    /// If these are no such weights.
    pub fn new(weight: &Tensor, bias: &Tensor, conv: WholeConv) -> Result<Self> {
        let (outputs, inputs, ..) = weight.dims4()?;
        let want = [outputs, inputs, conv.kernel, conv.kernel];
        if weight.elem_count() == 0 || weight.dims() != want || bias.dims() != [outputs] {
            bail!("weights {:?} and {:?} aren't a convolution's", weight.dims(), bias.dims());
        }
        let (weight, bias) = (weight.detach().contiguous()?, bias.detach().contiguous()?);
        let (forward, backward) = (OnceLock::new(), OnceLock::new());
        Ok(Self(Arc::new(Weights { conv, weight, bias, forward, backward })))
    }

    pub(super) fn here(&self, x: &Tensor) -> Result<Tensor> {
        x.contiguous()?.apply_op1(self.clone())
    }

    #[cfg(feature = "cuda")]
    pub(super) fn parts(&self) -> (&Tensor, &Tensor, WholeConv) {
        (&self.0.weight, &self.0.bias, self.0.conv)
    }
}

struct Conv {
    conv: WholeConv,
    cpu: Cpu,
}

/// What maps become, if a convolution has such weights.
fn out_shape(
    conv: WholeConv,
    shape: kernels::Shape,
    weight: &[usize],
    outputs: usize,
) -> Result<kernels::Shape> {
    let want = [outputs, shape.channels, conv.kernel, conv.kernel];
    if weight != want {
        bail!("a convolution has weights {weight:?}, not {want:?}");
    }
    match conv.output_shape(shape, outputs) {
        Some(out_shape) => Ok(out_shape),
        None => bail!("{shape:?} can't be convolved by {conv:?}"),
    }
}

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "whole-conv"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (count, shape) = maps(x_layout.shape())?;
        let out_shape = out_shape(self.conv, shape, weight_layout.dims(), bias_layout.shape().dims1()?)?;
        let weights = ConvWeights { weight: slice(weight, weight_layout)?, bias: slice(bias, bias_layout)? };
        output(self.conv.forward(self.cpu, weights, slice(x, x_layout)?, shape), count, out_shape)
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let gradient = gradient.contiguous()?;
        let (given, result) = (values(&gradient)?, values(result)?);
        let result = Resulting { values: &result, gradient: &given };
        let (_, shape) = maps(x.shape())?;
        let (weight_values, bias_values) = (values(weight)?, values(bias)?);
        let weights = ConvWeights { weight: &weight_values, bias: &bias_values };
        let d_x = if x.track_op() {
            like(x, self.conv.input_gradient(self.cpu, weights, result, shape))?
        } else {
            None
        };
        if !weight.track_op() && !bias.track_op() {
            return Ok((d_x, None, None));
        }
        let (d_weight, d_bias) =
            self.conv.weight_gradients(self.cpu, &values(x)?, shape, result, weights.bias.len());
        Ok((d_x, like(weight, d_weight)?, like(bias, d_bias)?))
    }
}

impl CustomOp1 for FrozenConv {
    fn name(&self) -> &'static str {
        "frozen-conv"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Weights { conv, weight, bias, forward, .. } = &*self.0;
        let (count, shape) = maps(layout.shape())?;
        let out_shape = out_shape(*conv, shape, weight.dims(), bias.dims1()?)?;
        let (weight, bias) = (values(weight)?, values(bias)?);
        let weights = ConvWeights { weight: &weight, bias: &bias };
        let forward = forward.get_or_init(|| conv.with_weights(Cpu::detect(), weights));
        output(forward.run(slice(x, layout)?, shape), count, out_shape)
    }

    fn bwd(&self, x: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let Weights { conv, weight, bias, backward, .. } = &*self.0;
        let gradient = gradient.contiguous()?;
        let (given, result) = (values(&gradient)?, values(result)?);
        let result = Resulting { values: &result, gradient: &given };
        let (weight, bias) = (values(weight)?, values(bias)?);
        let weights = ConvWeights { weight: &weight, bias: &bias };
        let backward = backward.get_or_init(|| conv.with_turned_weights(Cpu::detect(), weights));
        like(x, backward.run(result, maps(x.shape())?.1))
    }
}
