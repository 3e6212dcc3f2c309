//! The same network over whole pictures, with gradients: what training runs.
//!
//! Its weights stay as a style file has them, one tensor a name, so that training's variables are a style. What
//! [`Brush`](super::Brush) folds once, here is folded at every step, by operations that have gradients.

use candle_core::{Device, Result, Tensor, bail};
use candle_nn::VarBuilder;
use utsushi_kernels::Directions;

use super::flow::Flow;
use super::{MULTIPLE, PictureNoise, Sizes, Version};
use crate::arch::Grain;
use crate::differentiable::{BlockTensors, Maps, Place, WholeConv};

/// The network, its styles not mixed yet.
pub struct TrainableBrush {
    sizes: Sizes,
    stem: Layer,
    e1: Vec<Block>,
    down: Layer,
    mid: Vec<Block>,
    up: Layer,
    d1: Vec<Block>,
    n: Norm,
    h1: Layer,
    skip: Layer,
    b2: Block,
    n2: Norm,
    h2: Layer,
    /// Of brush-2, `[styles, channels]`.
    zf: Option<Tensor>,
    dw: Layer,
    rgb: Layer,
}

impl TrainableBrush {
    /// Takes the weights of a network with so many styles: variables, where they are to be trained.
    ///
    /// # Errors
    /// If a tensor is missing or has another shape.
    pub fn load(version: Version, sizes: Sizes, styles: usize, weights: &VarBuilder) -> Result<Self> {
        let Sizes { c1, c2, blocks: [n1, n2, n3], ch, cf } = sizes;
        let same = WholeConv::same;
        let layer = |name, inputs, outputs, conv| Layer::load(&weights.pp(name), inputs, outputs, conv);
        let blocks = |name, count, channels| {
            let block = |i: usize| Block::load(version, &weights.pp(name).pp(i), channels, styles);
            (0..count).map(block).collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            sizes,
            stem: layer("stem", 48, c1, same(3))?,
            e1: blocks("e1", n1, c1)?,
            down: layer("down", c1, c2, WholeConv { stride: 2, pad: 0, ..same(2) })?,
            mid: blocks("mid", n2, c2)?,
            up: layer("up", c2, c1, same(1))?,
            d1: blocks("d1", n3, c1)?,
            n: Norm::load(&weights.pp("n"), c1, styles)?,
            h1: layer("h1", c1, 4 * ch, same(1))?,
            skip: layer("skip", 12, ch, same(3))?,
            b2: Block::load(version, &weights.pp("b2"), ch, styles)?,
            n2: Norm::load(&weights.pp("n2"), ch, styles)?,
            h2: layer("h2", ch, 4 * cf, same(1))?,
            zf: version.noise_weights(weights, "zf", styles, cf)?,
            dw: layer("dw", cf + 3, cf, WholeConv { slope: 0.0, ..same(3) })?,
            rgb: layer("rgb", cf, 3, same(3))?,
        })
    }

    /// Re-draws pictures, `[pictures, height, width, 3]`, RGB in -1..1, with shares of the styles, `[styles]`, and the
    /// noise of a picture each.
    ///
    /// # Errors
    /// If the sides are no multiples of 8, or there are not as many shares as styles, and grains as pictures.
    pub fn forward(&self, pictures: &Tensor, shares: &Tensor, grains: &[Grain]) -> Result<Tensor> {
        self.forward_on(&Place::default(), pictures, shares, grains)
    }

    /// [`Self::forward`], computed in some place.
    ///
    /// # Errors
    /// As there, or if that place fails.
    pub fn forward_on(
        &self,
        place: &Place,
        pictures: &Tensor,
        shares: &Tensor,
        grains: &[Grain],
    ) -> Result<Tensor> {
        Ok(place.take(&[self.redraw(&place.bring(pictures)?, shares, grains)?])?.remove(0))
    }

    /// [`Self::forward`], of maps where they are.
    ///
    /// # Errors
    /// As there, or if that place fails.
    pub fn redraw(&self, pictures: &Maps, shares: &Tensor, grains: &[Grain]) -> Result<Maps> {
        self.forward_watched(pictures, shares, grains, &mut |_, _, _| Ok(()))
    }

    /// The strokes that the blocks see which have these numbers, in the order in which they run, `[pictures, rows, cols]`
    /// each, at their sizes: of pictures, `[pictures, height, width, 3]`, with the noise of each.
    ///
    /// # Errors
    /// As [`Self::forward`], or if there is no such block.
    pub fn strokes(&self, pictures: &Maps, grains: &[Grain], blocks: &[usize]) -> Result<Vec<Tensor>> {
        let [_, height, width, _] = *pictures.dims() else { bail!("no pictures: {:?}", pictures.dims()) };
        let noise = self.noise(pictures.dims(), grains)?;
        let flows = flows(pictures, &noise)?;
        let of_block = |block: &usize| {
            if *block >= self.sizes.block_count() {
                bail!("there is no block {block}");
            }
            let factor = self.sizes.factor(*block);
            strokes_of(&noise, &flows, *block, (height / factor, width / factor))
        };
        blocks.iter().map(of_block).collect()
    }

    /// The noise of pictures of these dimensions.
    fn noise(&self, dims: &[usize], grains: &[Grain]) -> Result<Vec<PictureNoise>> {
        let [count, height, width, _] = *dims else { bail!("no pictures: {dims:?}") };
        if !height.is_multiple_of(MULTIPLE) || !width.is_multiple_of(MULTIPLE) {
            bail!("{height} x {width} pixels are no multiples of {MULTIPLE}");
        }
        if grains.len() != count {
            bail!("the noise of {} pictures for {count}", grains.len());
        }
        Ok(grains.iter().map(|grain| PictureNoise::new(self.sizes, *grain, (0, 0))).collect())
    }

    /// [`Self::forward`], which shows each block's input, folded weights and noise, in the order of
    /// [`Sizes::block_names`].
    pub(crate) fn forward_watched(
        &self,
        pictures: &Maps,
        shares: &Tensor,
        grains: &[Grain],
        watch: &mut Watch,
    ) -> Result<Maps> {
        let noise = self.noise(pictures.dims(), grains)?;
        let mix = &shares.unsqueeze(0)?;
        let flows = if self.zf.is_some() { flows(pictures, &noise)? } else { Vec::new() };
        let mut next = 0;
        let mut through = |x: Maps, blocks: &[Block]| {
            blocks.iter().try_fold(x, |x, block| {
                next += 1;
                let strokes = match *x.dims() {
                    [_, rows, cols, _] if !flows.is_empty() => {
                        Some(strokes_of(&noise, &flows, next - 1, (rows, cols))?)
                    }
                    _ => None,
                };
                block.forward(&x, mix, strokes.as_ref(), watch)
            })
        };
        let quarter = through(self.stem.forward(&pictures.pixel_unshuffle(4)?)?, &self.e1)?;
        let eighth = through(self.down.forward(&quarter)?, &self.mid)?;
        let quarter = through(self.up.forward(&eighth)?.upsample2_add(&quarter)?, &self.d1)?;
        let filtered = |shuffled: Maps| if self.zf.is_some() { shuffled.blur() } else { Ok(shuffled) };
        let half = filtered(self.h1.forward(&self.n.forward(&quarter, mix)?)?.pixel_shuffle(2)?)?;
        let half = half.add(&self.skip.forward(&pictures.pixel_unshuffle(2)?)?)?;
        let half = through(half, std::slice::from_ref(&self.b2))?;
        let mut full = filtered(self.h2.forward(&self.n2.forward(&half, mix)?)?.pixel_shuffle(2)?)?;
        if let Some(zf) = &self.zf {
            let layer: Vec<_> = noise.iter().map(|noise| noise.of_layer(self.sizes.block_count())).collect();
            full = full.add_noise(&mix.matmul(zf)?.flatten_all()?, &layer)?;
        }
        let full = self.dw.forward(&full.join(pictures)?)?;
        self.rgb.forward(&full)?.add(pictures)
    }
}

/// Which way strokes go in each picture, `[pictures, height, width, 3]`.
fn flows(pictures: &Maps, noise: &[PictureNoise]) -> Result<Vec<Directions>> {
    let pictures = pictures.taken()?;
    let width = pictures.dim(2)?;
    let of_picture = |(i, noise): (usize, &PictureNoise)| {
        let values: Vec<f32> = pictures.get(i)?.flatten_all()?.to_vec1()?;
        let mut flow = Flow::new(width, noise);
        flow.push(&values, true);
        Ok(flow.into_directions())
    };
    noise.iter().enumerate().map(of_picture).collect()
}

/// The strokes of a layer's maps, `[maps, rows, cols]`.
fn strokes_of(
    noise: &[PictureNoise],
    flows: &[Directions],
    layer: usize,
    (rows, cols): (usize, usize),
) -> Result<Tensor> {
    let of_map = |(noise, flow): (&PictureNoise, &Directions)| noise.strokes(layer, flow, (0, rows), cols);
    let values: Vec<f32> = noise.iter().zip(flows).flat_map(of_map).collect();
    Tensor::from_vec(values, (noise.len(), rows, cols), &Device::Cpu)
}

/// Sees a block's input, folded weights and noise.
pub(crate) type Watch<'a> = dyn FnMut(&Maps, &BlockTensors, Option<&Tensor>) -> Result<()> + 'a;

/// A convolution.
pub(in crate::arch) struct Layer {
    conv: WholeConv,
    weight: Tensor,
    bias: Tensor,
}

impl Layer {
    pub(in crate::arch) fn load(
        weights: &VarBuilder,
        inputs: usize,
        outputs: usize,
        conv: WholeConv,
    ) -> Result<Self> {
        let weight = weights.get((outputs, inputs, conv.kernel, conv.kernel), "weight")?;
        Ok(Self { conv, weight, bias: weights.get(outputs, "bias")? })
    }

    pub(in crate::arch) fn forward(&self, x: &Maps) -> Result<Maps> {
        x.conv(&self.weight, &self.bias, self.conv)
    }
}

/// A norm's scale and shift, each `[styles, channels]`.
pub(in crate::arch) struct Norm {
    g: Tensor,
    b: Tensor,
}

impl Norm {
    pub(in crate::arch) fn load(weights: &VarBuilder, channels: usize, styles: usize) -> Result<Self> {
        let get = |name| weights.get((styles, channels), name);
        Ok(Self { g: get("g")?, b: get("b")? })
    }

    /// Of a mix of styles, `[1, styles]`: scale and shift, `[1, channels]`.
    fn mixed(&self, mix: &Tensor) -> Result<(Tensor, Tensor)> {
        Ok((mix.matmul(&self.g)?, mix.matmul(&self.b)?))
    }

    pub(in crate::arch) fn forward(&self, x: &Maps, mix: &Tensor) -> Result<Maps> {
        let (scale, shift) = self.mixed(mix)?;
        x.norm(&scale.squeeze(0)?, &shift.squeeze(0)?)
    }
}

/// x + g * p2(ReLU(p1(n(dw(x) + z noise)))).
pub(in crate::arch) struct Block {
    dw: Layer,
    /// Of brush-2, `[styles, channels]`.
    z: Option<Tensor>,
    n: Norm,
    p1: Layer,
    p2: Layer,
    g: Tensor,
}

impl Block {
    pub(in crate::arch) fn load(
        version: Version,
        weights: &VarBuilder,
        channels: usize,
        styles: usize,
    ) -> Result<Self> {
        let inside = super::folded::inside(weights, channels)?;
        let pointwise = WholeConv::same(1);
        Ok(Self {
            // Depthwise: its weights have one input channel.
            dw: Layer::load(&weights.pp("dw"), 1, channels, WholeConv::same(5))?,
            z: version.noise_weights(weights, "z", styles, channels)?,
            n: Norm::load(&weights.pp("n"), channels, styles)?,
            p1: Layer::load(&weights.pp("p1"), channels, inside, pointwise)?,
            p2: Layer::load(&weights.pp("p2"), inside, channels, pointwise)?,
            g: weights.get((1, channels, 1, 1), "g")?,
        })
    }

    pub(in crate::arch) fn forward(
        &self,
        x: &Maps,
        mix: &Tensor,
        noise: Option<&Tensor>,
        watch: &mut Watch,
    ) -> Result<Maps> {
        let (scale, shift) = self.n.mixed(mix)?;
        let p1 = self.p1.weight.flatten_from(1)?;
        let gain = self.g.flatten_all()?;
        let weights = BlockTensors {
            depthwise: self.dw.weight.clone(),
            depthwise_bias: self.dw.bias.clone(),
            noise: self.z.as_ref().map(|z| mix.matmul(z)?.flatten_all()).transpose()?,
            expand: p1.broadcast_mul(&scale)?,
            expand_bias: (p1.matmul(&shift.t()?)?.flatten_all()? + &self.p1.bias)?,
            project: self.p2.weight.flatten_from(1)?.broadcast_mul(&gain.unsqueeze(1)?)?,
            project_bias: (&self.p2.bias * gain)?,
        };
        watch(x, &weights, noise)?;
        x.block(&weights, noise)
    }
}
