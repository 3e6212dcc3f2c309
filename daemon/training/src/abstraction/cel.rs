//! From flat surfaces to a drawing: stronger colours, more contrast, dark lines.

use super::gaussian::gaussian;
use super::{Lines, Planes, Settings};

/// Draws it in place. With luminance `L` in 0..1, and what differs from it as colour:
/// `L' = (L + contrast (L - ½)(1 - |2L - 1|)) (1 - darkness e)`, where the line `e` is
/// `gain (wide(L) - narrow(L) - threshold)` in 0..1, two Gaussians of `L`; colours times `chroma`. Then
/// `shadows (1 - L)² + lights L² + ink darkness e` is added.
pub(super) fn draw(picture: &mut Planes, settings: &Settings) {
    let (width, height) = (picture.width, picture.height);
    let luma = picture.luminance();
    let Lines { narrow_px, wide_px, threshold, gain, darkness, ink } = settings.lines;
    let narrow = gaussian(&luma, (width, height), narrow_px);
    let wide = gaussian(&luma, (width, height), wide_px);
    let line = |(narrow, wide): (&f32, &f32)| darkness * (gain * (wide - narrow - threshold)).clamp(0.0, 1.0);
    let lines: Vec<f32> = narrow.iter().zip(&wide).map(line).collect();
    for (colour, plane) in picture.rgb.iter_mut().enumerate() {
        let (shadow, light, ink) = (settings.shadows[colour], settings.lights[colour], ink[colour]);
        for ((value, l), line) in plane.iter_mut().zip(&luma).zip(&lines) {
            let curved = l + settings.contrast * (l - 0.5) * (1.0 - (2.0 * l - 1.0).abs());
            let tint = shadow * (1.0 - l).powi(2) + light * l.powi(2) + ink * line;
            *value = curved * (1.0 - line) + settings.chroma * (*value - l) + tint;
        }
    }
}
