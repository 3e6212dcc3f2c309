//! A picture's colours, and what is left of it without them.
//!
//! With colour inside the discriminator and the Gram matrices, a palette comes in blotches. So those look at
//! luminance, and colour has a loss of its own, against a palette that is the same for all pictures.

use candle_core::{Device, Result, Tensor};
use utsushi_engine::differentiable::{Maps, WholeConv};

/// Of red, green and blue (ITU-R BT.601).
const LUMINANCE: [f32; 3] = [0.299, 0.587, 0.114];
/// U = 1.128 (B - Y), V = 1.426 (R - Y): both as far from 0 as the luminance.
const CHROMA: [f32; 2] = [1.128, 1.426];
/// Colours are compared over so many pixels a side ...
const PATCH: usize = 4;
/// ... and so much at single pixels.
const PIXELS: f64 = 0.2;
/// How much of the way a palette's mean is moved towards the art's.
const SHIFT: f64 = 0.7;
/// How much a palette may be narrowed and spread.
const GAINS: [f64; 2] = [0.8, 1.6];

/// Y of pictures, `[.., 1]`.
///
/// # Errors
/// If they aren't RGB.
pub fn luminance(pictures: &Maps) -> Result<Maps> {
    pointwise(pictures, &[LUMINANCE])
}

/// Pictures without colour, `[.., 3]`, as a perceptual network takes them.
///
/// # Errors
/// If they aren't RGB.
pub fn grey(pictures: &Maps) -> Result<Maps> {
    pointwise(pictures, &[LUMINANCE; 3])
}

/// U and V of pictures, `[.., 2]`.
///
/// # Errors
/// If they aren't RGB.
pub fn chroma(pictures: &Maps) -> Result<Maps> {
    let [r, g, b] = LUMINANCE;
    let [u, v] = CHROMA;
    pointwise(pictures, &[[-u * r, -u * g, u * (1.0 - b)], [v * (1.0 - r), -v * g, -v * b]])
}

fn pointwise(pictures: &Maps, rows: &[[f32; 3]]) -> Result<Maps> {
    let weight = Tensor::from_slice(rows.as_flattened(), (rows.len(), 3, 1, 1), &Device::Cpu)?;
    pictures.conv(&weight, &zeros(rows.len())?, WholeConv::same(1))
}

fn zeros(len: usize) -> Result<Tensor> {
    Tensor::zeros(len, candle_core::DType::F32, &Device::Cpu)
}

/// How the filter's colours become the art's: U and V each times a gain, plus a shift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Palette {
    /// Of U and of V.
    pub gain: [f32; 2],
    /// Of U and of V.
    pub shift: [f32; 2],
}

/// Means and deviations of U and V over many pictures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Colours {
    /// Of U and of V.
    pub mean: [f64; 2],
    /// Of U and of V.
    pub deviation: [f64; 2],
}

impl Palette {
    /// From pictures with these colours to art with those (after Reinhard et al. 2001,
    /// <https://doi.org/10.1109/38.946629>, in part): the gain is the deviations' ratio, within 0.8 to 1.6; the
    /// shift is 0.7 of what the means then differ by.
    pub fn new(pictures: Colours, art: Colours) -> Self {
        let gain = |i: usize| {
            (art.deviation[i] / pictures.deviation[i].max(f64::MIN_POSITIVE)).clamp(GAINS[0], GAINS[1])
        };
        let shift = |i: usize| SHIFT * (art.mean[i] - pictures.mean[i] * gain(i));
        Self { gain: [gain(0) as f32, gain(1) as f32], shift: [shift(0) as f32, shift(1) as f32] }
    }

    fn applied(&self, chroma: &Maps) -> Result<Maps> {
        let [u, v] = self.gain;
        let gain = Tensor::new(&[[u, 0.0], [0.0, v]], &Device::Cpu)?.reshape((2, 2, 1, 1))?;
        chroma.conv(&gain, &Tensor::new(&self.shift, &Device::Cpu)?, WholeConv::same(1))
    }
}

/// How far colours are from a target's in the art's palette: with d = UV(x) - palette(UV(t)),
/// mean |mean of d over 4 x 4 pixels|, and mean |d|. [`colour`] puts them together.
///
/// # Errors
/// If the shapes differ, or are no multiples of 4 pixels.
pub fn colour_distances(pictures: &Maps, targets: &Maps, palette: Palette) -> Result<[Maps; 2]> {
    let (own, wanted) = (chroma(pictures)?, palette.applied(&chroma(&targets.detach())?)?.detach());
    Ok([own.reduce(PATCH)?.distance(&wanted.reduce(PATCH)?)?, own.distance(&wanted)?])
}

/// The first, and 0.2 of the second of [these distances](colour_distances): edges of colour may be where the lines are.
///
/// # Errors
/// If these aren't two numbers.
pub fn colour(coarse: &Tensor, fine: &Tensor) -> Result<Tensor> {
    coarse + (fine * PIXELS)?
}
