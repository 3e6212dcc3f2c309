//! From flat surfaces to a drawing: stronger colours, more contrast, dark lines.

use super::gaussian::gaussian;
use super::{Lines, Planes, Settings, raised};

/// Where darks are made lighter, their colours grow with them, at most so much: noise has colours, too.
const MOST_LIFTED: f32 = 1.6;

/// Draws it in place. With luminance `L` in 0..1, and what differs from it as colour:
/// `L' = (G + contrast (G - ½)(1 - |2G - 1|)) (1 - darkness e)`, where `G` is `L` to the power `gamma` and the line `e` is
/// `gain (wide - narrow - threshold)` in 0..1, two Gaussians of `L` or of `photo`, the luminance before it was smoothed;
/// colours times `chroma`, and times `G / L` between 1 and [`MOST_LIFTED`]. Then
/// `shadows (1 - L)² + lights L² + ink darkness e` is added.
pub(super) fn draw(picture: &mut Planes, photo: &[f32], settings: &Settings) {
    let (width, height) = (picture.width, picture.height);
    let luma = picture.luminance();
    let lifted = |luma: &[f32]| -> Vec<f32> { luma.iter().map(|l| raised(*l, settings.gamma)).collect() };
    let luma_lifted = lifted(&luma);
    let Lines { narrow_px, wide_px, threshold, gain, darkness, ink, of_photo } = settings.lines;
    let drawn = if of_photo { &lifted(photo) } else { &luma_lifted };
    let narrow = gaussian(drawn, (width, height), narrow_px);
    let wide = gaussian(drawn, (width, height), wide_px);
    let line = |(narrow, wide): (&f32, &f32)| darkness * (gain * (wide - narrow - threshold)).clamp(0.0, 1.0);
    let lines: Vec<f32> = narrow.iter().zip(&wide).map(line).collect();
    for (colour, plane) in picture.rgb.iter_mut().enumerate() {
        let (shadow, light, ink) = (settings.shadows[colour], settings.lights[colour], ink[colour]);
        for (((value, l), g), line) in plane.iter_mut().zip(&luma).zip(&luma_lifted).zip(&lines) {
            let curved = g + settings.contrast * (g - 0.5) * (1.0 - (2.0 * g - 1.0).abs());
            let chroma = settings.chroma * (g / l.max(f32::EPSILON)).clamp(1.0, MOST_LIFTED);
            let tint = shadow * (1.0 - l).powi(2) + light * l.powi(2) + ink * line;
            *value = curved * (1.0 - line) + chroma * (*value - l) + tint;
        }
    }
}
