//! Raw pixels to RGB and back, what the network sees of them, and how much of the source stays in the result.

use std::sync::Arc;

use crate::colour_space::{ColourSpace, gain};
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

    /// Puts alpha into a row.
    pub(crate) fn write_alpha(self, alpha: &[f32], row: &mut [u8]) {
        match self.depth {
            Depth::U8 => self.write_alpha_as(alpha, row, |v| [(v * 255.0 + 0.5) as u8]),
            Depth::U16 => self.write_alpha_as(alpha, row, |v| ((v * 65535.0 + 0.5) as u16).to_ne_bytes()),
            Depth::F32 => self.write_alpha_as(alpha, row, f32::to_ne_bytes),
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

    fn write_alpha_as<const N: usize>(self, alpha: &[f32], row: &mut [u8], sample: impl Fn(f32) -> [u8; N]) {
        let pixels = row.as_chunks_mut::<N>().0.chunks_exact_mut(self.layout.channels());
        for (pixel, alpha) in pixels.zip(alpha) {
            pixel[self.layout.channels() - 1] = sample(*alpha);
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

/// Luma of ITU-R BT.601, as JPEG has it. That of a grey is its value, to the last bit.
fn luma(rgb: &[f32; 3]) -> f32 {
    let [r, g, b] = *rgb;
    if r == g && g == b { r } else { 0.299 * r + 0.587 * g + 0.114 * b }
}

/// How colours of a picture are to be understood.
#[derive(Clone, Default)]
pub(crate) enum Colours {
    /// They are sRGB, and none lies outside of 0..1.
    #[default]
    Srgb,
    /// They are sRGB, and may be brighter than white.
    Hdr,
    /// They are of another space.
    Of(Arc<ColourSpace>),
}

impl Colours {
    /// Those of a picture without a space of its own.
    pub(crate) fn of_depth(depth: Depth) -> Self {
        if depth == Depth::F32 { Self::Hdr } else { Self::Srgb }
    }

    /// Turns a row's colours into what the network may see of them.
    pub(crate) fn show(&self, rgb: &mut [f32]) {
        match self {
            Self::Srgb => rgb.iter_mut().for_each(|value| *value = in_range(*value)),
            Self::Hdr => {
                let pixels = rgb.as_chunks_mut::<3>().0.iter_mut();
                pixels.for_each(|pixel| *pixel = shown(*pixel, gain(*pixel)));
            }
            Self::Of(space) => space.show(rgb),
        }
    }
}

/// What an SDR screen shows of a colour: without its gain, and clipped to the gamut.
pub(crate) fn shown(colour: [f32; 3], gain: f32) -> [f32; 3] {
    let [r, g, b] = colour;
    if gain > 1.0 {
        [in_range(r / gain), in_range(g / gain), in_range(b / gain)]
    } else {
        [in_range(r), in_range(g), in_range(b)]
    }
}

/// How much of what the network drew is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Blend {
    /// From 0, the source, to 1, the style.
    pub(crate) strength: f32,
    /// From 0, the style's colours, to 1, the source's chroma, at the drawn luma.
    pub(crate) keep_colours: f32,
    /// Is only the luma of the result written?
    pub(crate) is_grey: bool,
}

impl Blend {
    /// Blends what the network drew, 0..1, into what the source has; the result, in the source's colours, replaces
    /// `drawn`.
    pub(crate) fn run(self, colours: &Colours, source: &[f32], drawn: &mut [f32]) {
        let pixels = source.as_chunks::<3>().0.iter().zip(drawn.as_chunks_mut::<3>().0);
        match colours {
            Colours::Srgb => pixels.for_each(|(source, drawn)| *drawn = self.pixel(*source, 1.0, *drawn)),
            Colours::Hdr => {
                pixels.for_each(|(source, drawn)| *drawn = self.pixel(*source, gain(*source), *drawn));
            }
            Colours::Of(space) => pixels.for_each(|(source, drawn)| {
                let (before, gain) = space.to_srgb(*source);
                let mut after = self.pixel(before, gain, *drawn);
                if self.is_grey {
                    after = [luma(&after); 3];
                }
                *drawn = space.changed(*source, before, after);
            }),
        }
    }

    /// In sRGB. What the network didn't see of the source, light beyond white and colours outside of the gamut, stays
    /// around what it changed: a highlight's change is as many times larger as the highlight was.
    fn pixel(self, source: [f32; 3], gain: f32, drawn: [f32; 3]) -> [f32; 3] {
        let Self { strength, keep_colours, .. } = self;
        let shown = shown(source, gain);
        if strength == 1.0 && keep_colours == 0.0 && shown == source {
            return drawn.map(in_range);
        }
        let shift = luma(&drawn) - luma(&shown);
        let mut result = [0.0; 3];
        for c in 0..3 {
            let recoloured = in_range(drawn[c] + keep_colours * (shown[c] + shift - drawn[c]));
            result[c] = if source[c] == shown[c] || !source[c].is_finite() {
                // At a strength of 1 not through the source, which may be infinite.
                if strength == 1.0 { recoloured } else { source[c] + strength * (recoloured - source[c]) }
            } else {
                source[c] + strength * gain * (recoloured - shown[c])
            };
        }
        result
    }
}

/// A sample as a picture can show it. What lies outside 0..1 is no colour to the network; NaN becomes 0.
#[expect(clippy::manual_clamp, reason = "clamp keeps NaN")]
pub(crate) fn in_range(value: f32) -> f32 {
    value.max(0.0).min(1.0)
}
