//! A brush as ONNX: the same layers, whole pictures instead of bands.
//!
//! The noise of brush-2 is a second input, `noise`, `[1, 1, height, width]`: numbers of mean 0 and deviation 1, as
//! random as whoever runs the network likes. It may be left out, and is 0 then. A layer at a quarter of the size
//! takes one of 4 x 4 numbers, each block another one.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;

use super::folded::Loader;
use super::{MULTIPLE, Sizes, Version};
use crate::onnx::{Attribute, Graph, Value};

const NORM_EPSILON: f32 = 1e-5;

/// The network with its mix of styles folded in, from RGB to RGB, 0..1, `[n, 3, height, width]` of any size.
///
/// # Errors
/// If a tensor is missing or has another shape.
pub fn to_onnx(
    version: Version,
    sizes: Sizes,
    shares: &[f32],
    weights: &VarBuilder,
    notes: &[(&str, &str)],
) -> Result<Vec<u8>> {
    let loader = Loader::new(version, shares, weights)?;
    let (graph, input) = Graph::new(version.name());
    let mut network = Exporter { graph, loader, weights, noise: None };
    let output = network.brush(&input, version, sizes)?;
    Ok(network.graph.finish(&output, notes))
}

struct Exporter<'a> {
    graph: Graph,
    loader: Loader,
    weights: &'a VarBuilder<'a>,
    noise: Option<Noise>,
}

/// The noise of brush-2, as large as the padded picture.
struct Noise {
    whole: Value,
    /// How many times smaller than the picture the maps are that blocks run on now.
    factor: usize,
    /// The numbers of `factor` x `factor` pixels as channels, and how many of these were taken.
    unshuffled: Value,
    taken: i64,
}

impl Exporter<'_> {
    fn brush(&mut self, input: &Value, version: Version, sizes: Sizes) -> Result<Value> {
        let Sizes { c1, c2, blocks: [n1, n2, n3], ch, cf } = sizes;
        let (padded, sides) = self.graph.pad_to_multiple(input, MULTIPLE as i64);
        let x = self.graph.affine(&padded, 2.0, -1.0);
        if version.has_noise() {
            let whole = self.graph.optional_map("noise", &sides);
            let (whole, _) = self.graph.pad_to_multiple(&whole, MULTIPLE as i64);
            self.noise = Some(Noise { unshuffled: whole.clone(), whole, factor: 1, taken: 0 });
        }

        let (weight, bias) = self.conv("stem", 48, c1, 3)?;
        let h = self.graph.unshuffled_conv(&x, 4, &weight, &bias)?;
        let quarter = self.blocks(h, 4, "e1", n1, c1)?;
        let (weight, bias) = self.conv("down", c1, c2, 2)?;
        let h = self.graph.conv(&quarter, &weight, &bias, 2, 1)?;
        let h = self.blocks(h, 8, "mid", n2, c2)?;
        let (weight, bias) = self.conv("up", c2, c1, 1)?;
        let h = self.graph.conv_same(&h, &weight, &bias, 1)?;
        let h = self.graph.upsample2(&h)?;
        let h = self.graph.add(&h, &quarter);
        let h = self.blocks(h, 4, "d1", n3, c1)?;

        let h = self.norm_conv_shuffle(&h, "n", "h1", c1, ch)?;
        let (weight, bias) = self.conv("skip", 12, ch, 3)?;
        let skip = self.graph.unshuffled_conv(&x, 2, &weight, &bias)?;
        let h = self.graph.add(&h, &skip);
        let h = self.block(&h, 2, &self.weights.pp("b2"), ch)?;

        let h = self.norm_conv_shuffle(&h, "n2", "h2", ch, cf)?;
        let zf = self.loader.noise(self.weights, "zf", cf)?;
        let h = self.with_noise(h, 1, zf.as_ref())?;
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
        let h = self.graph.pixel_shuffle(&h, 2);
        if self.noise.is_none() { Ok(h) } else { self.graph.blur(&h, outputs) }
    }

    /// Adds noise to a map `factor` times smaller than the picture.
    fn with_noise(&mut self, h: Value, factor: usize, weights: Option<&Tensor>) -> Result<Value> {
        let (Some(noise), Some(weights)) = (&mut self.noise, weights) else { return Ok(h) };
        if noise.factor != factor {
            noise.unshuffled = self.graph.space_to_depth(&noise.whole, factor as i64);
            // The decoder's blocks go on behind the encoder's.
            noise.taken = if factor == 4 && noise.factor == 8 { 8 } else { 0 };
            noise.factor = factor;
        }
        let plane = self.graph.channel(&noise.unshuffled, noise.taken % (factor * factor) as i64);
        noise.taken += 1;
        let weights = self.graph.tensor(&weights.reshape((1, weights.elem_count(), 1, 1))?)?;
        let noise = self.graph.node("Mul", &[&plane, &weights], &[]);
        Ok(self.graph.add(&h, &noise))
    }

    fn blocks(
        &mut self,
        h: Value,
        factor: usize,
        name: &str,
        count: usize,
        channels: usize,
    ) -> Result<Value> {
        (0..count).try_fold(h, |h, i| self.block(&h, factor, &self.weights.pp(name).pp(i), channels))
    }

    fn block(&mut self, x: &Value, factor: usize, weights: &VarBuilder, channels: usize) -> Result<Value> {
        let tensors = self.loader.block_tensors(weights, channels)?;
        let pointwise = |weight: &Tensor| weight.unsqueeze(2)?.unsqueeze(3);
        let h = self.graph.conv_same(x, &tensors.depthwise, &tensors.depthwise_bias, channels)?;
        let h = self.with_noise(h, factor, tensors.noise.as_ref())?;
        let h = self.graph.normalise_channels(&h, NORM_EPSILON);
        let h = self.graph.conv_same(&h, &pointwise(&tensors.expand)?, &tensors.expand_bias, 1)?;
        let h = self.graph.node("Relu", &[&h], &[]);
        let h = self.graph.conv_same(&h, &pointwise(&tensors.project)?, &tensors.project_bias, 1)?;
        Ok(self.graph.add(&h, x))
    }
}
