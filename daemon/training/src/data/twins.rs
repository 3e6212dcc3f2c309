//! Telling a picture that was there before, if saved again, reduced, or in another format.
//!
//! A picture's print is the picture at 16 x 16 pixels. Two prints belong to one picture if their shapes are the same
//! and their root mean square difference is small against their own contrast: a drawing of thin lines on white
//! differs little from any other such drawing, and yet it is another.

use super::Picture;

/// Pixels a side of a print.
const PRINT_PX: u32 = 16;
/// The most that two prints of one picture differ, as a share of their contrast.
const MAX_DIFFERENCE: f32 = 0.05;
/// What rounding may change, in 0..255.
const ROUNDING: f32 = 0.3;
/// The most that the shapes of one picture differ: reducing rounds sides to pixels.
const MAX_SHAPE_RATIO: f32 = 1.02;

/// What is compared of a picture.
pub(super) struct Print {
    /// Width by height.
    shape: f32,
    values: Vec<f32>,
    contrast: f32,
}

impl Print {
    pub(super) fn of(picture: &Picture) -> Self {
        let small = picture.resized(PRINT_PX, PRINT_PX);
        let values: Vec<f32> = small.rgb.iter().map(|&byte| f32::from(byte)).collect();
        let means: [f32; 3] = std::array::from_fn(|channel| {
            values.iter().skip(channel).step_by(3).sum::<f32>() / (PRINT_PX * PRINT_PX) as f32
        });
        let contrast = rms(&values, &means.repeat(values.len() / means.len()));
        Self { shape: picture.width as f32 / picture.height as f32, values, contrast }
    }

    /// Are these prints of one picture?
    pub(super) fn is_twin_of(&self, other: &Self) -> bool {
        let ratio = (self.shape / other.shape).max(other.shape / self.shape);
        let most = MAX_DIFFERENCE * self.contrast.max(other.contrast) + ROUNDING;
        ratio <= MAX_SHAPE_RATIO && rms(&self.values, &other.values) <= most
    }
}

/// The root mean square of the differences.
fn rms(a: &[f32], b: &[f32]) -> f32 {
    (a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f32>() / a.len() as f32).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(width: u32, height: u32, value: impl Fn(f32, f32) -> f32) -> Picture {
        let pixels = (0..width * height)
            .map(|i| ((i % width) as f32 / width as f32, (i / width) as f32 / height as f32));
        let rgb =
            pixels.flat_map(|(x, y)| [value(x, y), value(y, x), 0.5].map(|v| (v * 255.0) as u8)).collect();
        Picture { width, height, rgb }
    }

    fn hills(x: f32, y: f32) -> f32 {
        0.5 + 0.3 * (x * 9.0).sin() * (y * 7.0).cos()
    }

    /// A thin line on white.
    fn line(at: f32) -> impl Fn(f32, f32) -> f32 {
        move |x, _| if (x - at).abs() < 0.01 { 0.0 } else { 1.0 }
    }

    #[track_caller]
    fn check(what: &str, a: &Picture, b: &Picture, want: bool) {
        assert_eq!(Print::of(a).is_twin_of(&Print::of(b)), want, "{what}");
    }

    #[test]
    fn copies_are_told_from_other_pictures() {
        let first = picture(320, 200, hills);
        check("itself", &first, &first, true);
        check("reduced", &first, &first.resized(171, 107), true);
        let noisy = |x: f32, y: f32| hills(x, y) + 0.02 * ((x * 5077.0 + y * 9001.0).sin());
        check("saved with losses", &first, &picture(320, 200, noisy), true);
        check("another shape", &first, &first.resized(200, 200), false);
        check("mirrored", &first, &picture(320, 200, |x, y| hills(1.0 - x, y)), false);
        check("darker", &first, &picture(320, 200, |x, y| hills(x, y) - 0.1), false);
        check("another line on white", &picture(200, 200, line(0.3)), &picture(200, 200, line(0.6)), false);
        check("two white pages", &picture(200, 200, |_, _| 1.0), &picture(200, 200, |_, _| 1.0), true);
    }
}
