//! Brush strokes out of a photo's texture.
//!
//! However faint it is, texture of one scale is made equally strong everywhere and drawn out along the shapes (line
//! integral convolution; Cabral and Leedom 1993, <https://doi.org/10.1145/166117.166151>): so strokes turn around a
//! face, and swirl in a sky. They are the photo's own, and not random: a network that sees the photo can learn them.

use serde::{Deserialize, Serialize};

use super::field::Field;
use super::gaussian::gaussian;
use super::{OutOfRange, Planes, checked, colour, deviation};

/// A kind of brush strokes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Strokes {
    /// Texture finer than this doesn't count, as a standard deviation, in pixels.
    pub fine_px: f32,
    /// Nor does what is coarser than this, likewise: strokes are some twice as wide.
    pub coarse_px: f32,
    /// Texture is made equally strong over surroundings of this standard deviation, in pixels.
    pub around_px: f32,
    /// Texture weaker than this, as a standard deviation of luminance in 0..1, stays weak.
    pub floor: f32,
    /// Strokes follow the shapes in surroundings of this standard deviation, in pixels.
    pub curl_px: f32,
    /// Strokes have this length, as a standard deviation, in pixels.
    pub length_px: f32,
    /// What a stroke adds to red, green and blue, and a gap takes.
    pub colour: [f32; 3],
}

/// A stroke is narrower than the texture it was made of, by being sharpened with a Gaussian of so many `coarse_px`.
const SHARPENING: f32 = 1.2;
/// Drawn out, texture is made equally strong once more, down to this deviation.
const FAINTEST: f32 = 0.15;

impl Strokes {
    pub(super) fn check(&self) -> Result<(), OutOfRange> {
        checked(&[
            deviation("strokes.fine_px", self.fine_px),
            deviation("strokes.coarse_px", self.coarse_px),
            deviation("strokes.around_px", self.around_px),
            ("strokes.floor", self.floor, (1e-4..=1.0).contains(&self.floor), "within 0.0001 and 1"),
            deviation("strokes.curl_px", self.curl_px),
            deviation("strokes.length_px", self.length_px),
            colour("strokes.colour", self.colour),
        ])
    }

    /// -1 between strokes to 1 on them. With `D` the difference of two Gaussians of the photo's luminance and `rms` the
    /// root of the mean square around: `T = D / (rms D + floor)`, along the directions of `shapes`; from that, what
    /// differs from it around; and `tanh (T / (rms T + faintest))`.
    fn pattern(&self, luma: &[f32], shapes: &Field<4>) -> Vec<f32> {
        let size = (shapes.width, shapes.height);
        let [fine, coarse] = [self.fine_px, self.coarse_px].map(|sigma| gaussian(luma, size, sigma));
        let differences: Vec<f32> = fine.iter().zip(&coarse).map(|(fine, coarse)| fine - coarse).collect();
        let even = self.evened(&differences, size, self.floor);
        let even =
            Field { width: size.0, height: size.1, pixels: even.into_iter().map(|value| [value]).collect() };
        let drawn_out = even.along(&shapes.directions(self.curl_px), self.length_px).pixels;
        let drawn_out: Vec<f32> = drawn_out.into_iter().map(|[value]| value).collect();
        let around = gaussian(&drawn_out, size, SHARPENING * self.coarse_px);
        let sharpened: Vec<f32> =
            drawn_out.iter().zip(&around).map(|(value, around)| value - around).collect();
        self.evened(&sharpened, size, FAINTEST).into_iter().map(f32::tanh).collect()
    }

    /// Values over their root mean square around them.
    fn evened(&self, values: &[f32], size: (usize, usize), floor: f32) -> Vec<f32> {
        let squares: Vec<f32> = values.iter().map(|value| value * value).collect();
        let squares = gaussian(&squares, size, self.around_px);
        values.iter().zip(&squares).map(|(value, square)| value / (square.sqrt() + floor)).collect()
    }
}

/// Draws strokes of a photo's luminance onto what became of the photo.
pub(super) fn draw(luma: &[f32], picture: &mut Planes, kinds: &[Strokes]) {
    if luma.is_empty() || kinds.is_empty() {
        return;
    }
    let shapes = Field::of(picture);
    for strokes in kinds {
        let pattern = strokes.pattern(luma, &shapes);
        for (plane, colour) in picture.rgb.iter_mut().zip(strokes.colour) {
            plane.iter_mut().zip(&pattern).for_each(|(value, stroke)| *value += colour * stroke);
        }
    }
}
