//! Raw pixels to RGB and back, and how much of the source stays in the result.

use crate::pixels::{Depth, Layout};

/// How to read and write a row of raw pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Codec {
    pub(crate) layout: Layout,
    pub(crate) depth: Depth,
}

impl Codec {
    pub(crate) const fn pixel_bytes(self) -> usize {
        self.layout.channels() * self.depth.bytes()
    }

    /// RGB of every pixel; grey is three times the same.
    pub(crate) fn read_rgb(self, row: &[u8], rgb: &mut [f32]) {
        match self.depth {
            Depth::U8 => self.read_rgb_as(row, rgb, |[v]: &[u8; 1]| f32::from(*v) / 255.0),
            Depth::U16 => self.read_rgb_as(row, rgb, |v| f32::from(u16::from_ne_bytes(*v)) / 65535.0),
            Depth::F32 => self.read_rgb_as(row, rgb, |v| f32::from_ne_bytes(*v)),
        }
    }

    /// Alpha of every pixel.
    pub(crate) fn read_alpha(self, row: &[u8], alpha: &mut [f32]) {
        match self.depth {
            Depth::U8 => self.read_alpha_as(row, alpha, |[v]: &[u8; 1]| f32::from(*v) / 255.0),
            Depth::U16 => self.read_alpha_as(row, alpha, |v| f32::from(u16::from_ne_bytes(*v)) / 65535.0),
            Depth::F32 => self.read_alpha_as(row, alpha, |v| f32::from_ne_bytes(*v)),
        }
    }

    /// Puts RGB into a row that already holds the source's pixels; alpha stays as it is.
    pub(crate) fn write_rgb(self, rgb: &[f32], row: &mut [u8]) {
        // `as` saturates, and takes NaN to 0.
        match self.depth {
            Depth::U8 => self.write_rgb_as(rgb, row, |v| [(v * 255.0 + 0.5) as u8]),
            Depth::U16 => self.write_rgb_as(rgb, row, |v| ((v * 65535.0 + 0.5) as u16).to_ne_bytes()),
            Depth::F32 => self.write_rgb_as(rgb, row, f32::to_ne_bytes),
        }
    }

    /// `N` bytes a sample.
    fn read_rgb_as<const N: usize>(self, row: &[u8], rgb: &mut [f32], value: impl Fn(&[u8; N]) -> f32) {
        let samples = row.as_chunks::<N>().0;
        let rgb = rgb.as_chunks_mut::<3>().0;
        match self.layout {
            Layout::Rgb => rgb.as_flattened_mut().iter_mut().zip(samples).for_each(|(v, s)| *v = value(s)),
            Layout::Rgba => {
                for (rgb, [r, g, b, _]) in rgb.iter_mut().zip(samples.as_chunks().0) {
                    *rgb = [value(r), value(g), value(b)];
                }
            }
            Layout::Grey | Layout::GreyAlpha => {
                for (rgb, pixel) in rgb.iter_mut().zip(samples.chunks_exact(self.layout.channels())) {
                    rgb.fill(value(&pixel[0]));
                }
            }
        }
    }

    fn read_alpha_as<const N: usize>(self, row: &[u8], alpha: &mut [f32], value: impl Fn(&[u8; N]) -> f32) {
        let pixels = row.as_chunks::<N>().0.chunks_exact(self.layout.channels());
        for (alpha, pixel) in alpha.iter_mut().zip(pixels) {
            *alpha = value(&pixel[self.layout.channels() - 1]);
        }
    }

    fn write_rgb_as<const N: usize>(self, rgb: &[f32], row: &mut [u8], sample: impl Fn(f32) -> [u8; N]) {
        let samples = row.as_chunks_mut::<N>().0;
        match self.layout {
            Layout::Rgb => samples.iter_mut().zip(rgb).for_each(|(s, v)| *s = sample(*v)),
            Layout::Rgba => {
                for ([r, g, b, _], rgb) in samples.as_chunks_mut().0.iter_mut().zip(rgb.as_chunks::<3>().0) {
                    [*r, *g, *b] = rgb.map(&sample);
                }
            }
            Layout::Grey | Layout::GreyAlpha => {
                let pixels = samples.chunks_exact_mut(self.layout.channels());
                for (pixel, rgb) in pixels.zip(rgb.as_chunks::<3>().0) {
                    pixel[0] = sample(luma(rgb));
                }
            }
        }
    }
}

/// Luma of ITU-R BT.601, as JPEG has it.
fn luma(rgb: &[f32; 3]) -> f32 {
    0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
}

/// Blends what the network drew into what the source has; both 0..1, and the result replaces `drawn`.
///
/// `keep_colours` takes the source's chroma, at the drawn luma, as far as it says; then `strength` takes the
/// result, as far as it says.
pub(crate) fn blend(source: &[f32], drawn: &mut [f32], strength: f32, keep_colours: f32) {
    if strength == 1.0 && keep_colours == 0.0 {
        return drawn.iter_mut().for_each(|drawn| *drawn = in_range(*drawn));
    }
    for (source, drawn) in source.as_chunks::<3>().0.iter().zip(drawn.as_chunks_mut::<3>().0) {
        let shown = source.map(in_range);
        let shift = luma(drawn) - luma(&shown);
        for c in 0..3 {
            let recoloured = in_range(drawn[c] + keep_colours * (shown[c] + shift - drawn[c]));
            // At a strength of 1 not through the source, which may be infinite.
            drawn[c] =
                if strength == 1.0 { recoloured } else { source[c] + strength * (recoloured - source[c]) };
        }
    }
}

/// A sample as a picture can show it. What lies outside 0..1 is no colour to the network; NaN becomes 0.
#[expect(clippy::manual_clamp, reason = "clamp keeps NaN")]
pub(crate) fn in_range(value: f32) -> f32 {
    value.max(0.0).min(1.0)
}
