//! brush-1 as ONNX: the same layers, whole pictures instead of bands.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::folded::Loader;
use super::{MULTIPLE, Sizes};
use crate::onnx::{Attribute, Graph, Value};

const NORM_EPSILON: f32 = 1e-5;

/// The network with its mix of styles folded in, from RGB to RGB, 0..1, `[n, 3, height, width]` of any size.
///
/// # Errors
/// If a tensor is missing or has another shape.
pub fn to_onnx(
    sizes: Sizes,
    shares: &[f32],
    weights: &VarBuilder,
    notes: &[(&str, &str)],
) -> Result<Vec<u8>> {
    let loader = Loader::new(shares, weights)?;
    let (graph, input) = Graph::new(super::ARCH);
    let mut network = Exporter { graph, loader, weights };
    let output = network.brush(&input, sizes)?;
    Ok(network.graph.finish(&output, notes))
}

struct Exporter<'a> {
    graph: Graph,
    loader: Loader,
    weights: &'a VarBuilder<'a>,
}

impl Exporter<'_> {
    fn brush(&mut self, input: &Value, sizes: Sizes) -> Result<Value> {
        let Sizes { c1, c2, blocks: [n1, n2, n3], ch, cf } = sizes;
        let (padded, sides) = self.graph.pad_to_multiple(input, MULTIPLE as i64);
        let x = self.graph.affine(&padded, 2.0, -1.0);

        let (weight, bias) = self.conv("stem", 48, c1, 3)?;
        let h = self.graph.unshuffled_conv(&x, 4, &weight, &bias)?;
        let quarter = self.blocks(h, "e1", n1, c1)?;
        let (weight, bias) = self.conv("down", c1, c2, 2)?;
        let h = self.graph.conv(&quarter, &weight, &bias, 2, 1)?;
        let h = self.blocks(h, "mid", n2, c2)?;
        let (weight, bias) = self.conv("up", c2, c1, 1)?;
        let h = self.graph.conv_same(&h, &weight, &bias, 1)?;
        let h = self.graph.upsample2(&h)?;
        let h = self.graph.add(&h, &quarter);
        let h = self.blocks(h, "d1", n3, c1)?;

        let h = self.norm_conv_shuffle(&h, "n", "h1", c1, ch)?;
        let (weight, bias) = self.conv("skip", 12, ch, 3)?;
        let skip = self.graph.unshuffled_conv(&x, 2, &weight, &bias)?;
        let h = self.graph.add(&h, &skip);
        let h = self.block(&h, &self.weights.pp("b2"), ch)?;

        let h = self.norm_conv_shuffle(&h, "n2", "h2", ch, cf)?;
        let h = self.graph.node("Concat", &[&h, &x], &[("axis", Attribute::Integer(1))]);
        let (weight, bias) = self.conv("dw", cf + 3, cf, 3)?;
        let h = self.graph.conv_same(&h, &weight, &bias, 1)?;
        let h = self.graph.node("Relu", &[&h], &[]);
        let (weight, bias) = self.conv("rgb", cf, 3, 3)?;
        let h = self.graph.conv_same(&h, &weight, &bias, 1)?;
        let y = self.graph.add(&h, &x);

        let y = self.graph.affine(&y, 0.5, 0.5);
        let (least, most) = (self.graph.number(0.0), self.graph.number(1.0));
        let y = self.graph.node("Clip", &[&y, &least, &most], &[]);
        Ok(self.graph.crop(&y, &sides))
    }

    fn conv(&self, name: &str, inputs: usize, outputs: usize, kernel: usize) -> Result<(Tensor, Tensor)> {
        let weights = self.weights.pp(name);
        Ok((weights.get((outputs, inputs, kernel, kernel), "weight")?, weights.get(outputs, "bias")?))
    }

    fn norm_conv_shuffle(
        &mut self,
        h: &Value,
        norm: &str,
        conv: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<Value> {
        let (norm, conv) = (self.weights.pp(norm), self.weights.pp(conv));
        let (weight, bias) = self.loader.behind_norm(&norm, &conv, inputs, outputs * 4)?;
        let h = self.graph.normalise_channels(h, NORM_EPSILON);
        let h = self.graph.conv_same(&h, &weight.reshape((outputs * 4, inputs, 1, 1))?, &bias, 1)?;
        Ok(self.graph.pixel_shuffle(&h, 2))
    }

    fn blocks(&mut self, h: Value, name: &str, count: usize, channels: usize) -> Result<Value> {
        (0..count).try_fold(h, |h, i| self.block(&h, &self.weights.pp(name).pp(i), channels))
    }

    fn block(&mut self, x: &Value, weights: &VarBuilder, channels: usize) -> Result<Value> {
        let tensors = self.loader.block_tensors(weights, channels)?;
        let pointwise = |weight: &Tensor| weight.unsqueeze(2)?.unsqueeze(3);
        let h = self.graph.conv_same(x, &tensors.depthwise, &tensors.depthwise_bias, channels)?;
        let h = self.graph.normalise_channels(&h, NORM_EPSILON);
        let h = self.graph.conv_same(&h, &pointwise(&tensors.expand)?, &tensors.expand_bias, 1)?;
        let h = self.graph.node("Relu", &[&h], &[]);
        let h = self.graph.conv_same(&h, &pointwise(&tensors.project)?, &tensors.project_bias, 1)?;
        Ok(self.graph.add(&h, x))
    }
}
