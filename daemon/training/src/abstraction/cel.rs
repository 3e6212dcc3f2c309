//! From flat surfaces to a drawing: stronger colours, more contrast, dark lines.

use super::gaussian::gaussian;
use super::{Lines, Planes, Settings};

/// Draws it in place. With luminance `L` in 0..1, and what differs from it as colour:
/// `L' = (L + contrast (L - ½)(1 - |2L - 1|)) (1 - darkness e)`, where the line `e` is
/// `gain (wide(L) - narrow(L) - threshold)` in 0..1, two Gaussians of `L`; colours times `chroma`.
pub(super) fn draw(picture: &mut Planes, settings: &Settings) {
    let (width, height) = (picture.width, picture.height);
    let [r, g, b] = &mut picture.rgb;
    let luma: Vec<f32> =
        r.iter().zip(&*g).zip(&*b).map(|((r, g), b)| 0.299 * r + 0.587 * g + 0.114 * b).collect();
    let Lines { narrow_px, wide_px, threshold, gain, darkness } = settings.lines;
    let narrow = gaussian(&luma, (width, height), narrow_px);
    let wide = gaussian(&luma, (width, height), wide_px);
    let differences = narrow.iter().zip(&wide).map(|(narrow, wide)| wide - narrow);
    let drawn: Vec<f32> = luma
        .iter()
        .zip(differences)
        .map(|(l, difference)| {
            let line = (gain * (difference - threshold)).clamp(0.0, 1.0);
            (l + settings.contrast * (l - 0.5) * (1.0 - (2.0 * l - 1.0).abs())) * (1.0 - darkness * line)
        })
        .collect();
    for plane in [r, g, b] {
        for ((value, before), after) in plane.iter_mut().zip(&luma).zip(&drawn) {
            *value = after + settings.chroma * (*value - before);
        }
    }
}
