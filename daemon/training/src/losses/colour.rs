//! A picture's colours, and what is left of it without them.
//!
//! With colour inside the discriminator and the Gram matrices, a palette comes in blotches. So those look at
//! luminance, at most with colours as they change from stroke to stroke, and colour has a loss of its own, against a
//! [palette](super::palette) that is the same for all pictures.

use candle_core::{Device, Result, Tensor};
use utsushi_engine::differentiable::{Maps, WholeConv};

use super::palette::Palette;

/// Of red, green and blue (ITU-R BT.601).
const LUMINANCE: [f32; 3] = [0.299, 0.587, 0.114];
/// U = 1.128 (B - Y), V = 1.426 (R - Y): both as far from 0 as the luminance.
const CHROMA: [f32; 2] = [1.128, 1.426];
/// Colours are compared over so many pixels a side ...
const PATCH: usize = 4;
/// ... and so much at single pixels.
const PIXELS: f64 = 0.2;
/// The same where strokes have colours of their own.
const BROAD_PX: usize = 16;
const BROAD_PIXELS: f64 = 0.02;

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

/// Pictures whose colours have lost their mean over 16 pixels, `[.., 3]`: networks see how colours change from stroke to
/// stroke, and can't see the palette.
///
/// # Errors
/// If they aren't RGB, or their sides don't divide by 16.
pub fn with_local_colour(pictures: &Maps) -> Result<Maps> {
    let grey = grey(pictures)?;
    let colours = pictures.sub(&grey)?;
    let mut size = BROAD_PX;
    let mut broad = colours.reduce(size)?;
    while size > 1 {
        size /= 2;
        // Nothing is added: only its size is needed.
        let finer = colours.reduce(size)?.detach();
        broad = broad.upsample2_add(&finer.sub(&finer)?)?;
    }
    grey.add(&colours.sub(&broad)?)
}

/// U and V of pictures, `[.., 2]`.
///
/// # Errors
/// If they aren't RGB.
pub fn chroma(pictures: &Maps) -> Result<Maps> {
    pointwise(pictures, &YUV[1..])
}

/// Y, U and V of red, green and blue.
pub(super) const YUV: [[f32; 3]; 3] = {
    let [r, g, b] = LUMINANCE;
    let [u, v] = CHROMA;
    [LUMINANCE, [-u * r, -u * g, u * (1.0 - b)], [v * (1.0 - r), -v * g, -v * b]]
};

/// Y, U and V of pictures, `[.., 3]`.
///
/// # Errors
/// If they aren't RGB.
pub fn luminance_and_chroma(pictures: &Maps) -> Result<Maps> {
    pointwise(pictures, &YUV)
}

fn pointwise(pictures: &Maps, rows: &[[f32; 3]]) -> Result<Maps> {
    shifted(pictures, rows, &vec![0.0; rows.len()])
}

/// Each pixel's channels times a matrix, plus a shift.
pub(super) fn shifted(pictures: &Maps, rows: &[[f32; 3]], shift: &[f32]) -> Result<Maps> {
    let weight = Tensor::from_slice(rows.as_flattened(), (rows.len(), 3, 1, 1), &Device::Cpu)?;
    pictures.conv(&weight, &Tensor::new(shift, &Device::Cpu)?, WholeConv::same(1))
}

/// How far colours are from a target's in the art's palette: with d = UV(x) - palette(UV(t)),
/// mean |mean of d over 4 x 4 pixels|, and mean |d|; over 16 x 16 where strokes have colours of their own.
/// [`colour`] puts them together.
///
/// # Errors
/// If the shapes differ, or are no multiples of so many pixels.
pub fn colour_distances(
    pictures: &Maps,
    targets: &Maps,
    palette: &Palette,
    local_colour: bool,
) -> Result<[Maps; 2]> {
    let (own, wanted) = (chroma(pictures)?, palette.chroma(targets)?);
    let patch = if local_colour { BROAD_PX } else { PATCH };
    Ok([own.reduce(patch)?.distance(&wanted.reduce(patch)?)?, own.distance(&wanted)?])
}

/// The first, and 0.2 of the second of [these distances](colour_distances): edges of colour may be where the lines are. 0.02
/// of it where strokes have colours of their own.
///
/// # Errors
/// If these aren't two numbers.
pub fn colour(coarse: &Tensor, fine: &Tensor, local_colour: bool) -> Result<Tensor> {
    coarse + (fine * if local_colour { BROAD_PIXELS } else { PIXELS })?
}
