//! Raw pixels to RGB and back, and how much of the source stays in the result.

use crate::stylizer::{Depth, Layout};

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

    fn sample(self, bytes: &[u8]) -> f32 {
        match self.depth {
            Depth::U8 => f32::from(bytes[0]) / 255.0,
            Depth::U16 => f32::from(u16::from_ne_bytes([bytes[0], bytes[1]])) / 65535.0,
            Depth::F32 => f32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]),
        }
    }

    fn write(self, value: f32, bytes: &mut [u8]) {
        match self.depth {
            // `as` saturates, and takes NaN to 0.
            Depth::U8 => bytes[0] = (value * 255.0 + 0.5) as u8,
            Depth::U16 => bytes.copy_from_slice(&((value * 65535.0 + 0.5) as u16).to_ne_bytes()),
            Depth::F32 => bytes.copy_from_slice(&value.to_ne_bytes()),
        }
    }

    /// RGB of every pixel; grey is three times the same.
    pub(crate) fn read_rgb(self, row: &[u8], rgb: &mut [f32]) {
        let step = self.depth.bytes();
        for (pixel, rgb) in row.chunks_exact(self.pixel_bytes()).zip(rgb.chunks_exact_mut(3)) {
            if self.layout.is_grey() {
                rgb.fill(self.sample(pixel));
            } else {
                for (value, sample) in rgb.iter_mut().zip(pixel.chunks_exact(step)) {
                    *value = self.sample(sample);
                }
            }
        }
    }

    /// Alpha of every pixel.
    pub(crate) fn read_alpha(self, row: &[u8], alpha: &mut [f32]) {
        let at = self.pixel_bytes() - self.depth.bytes();
        for (pixel, alpha) in row.chunks_exact(self.pixel_bytes()).zip(alpha) {
            *alpha = self.sample(&pixel[at..]);
        }
    }

    /// Puts RGB into a row that already holds the source's pixels; alpha stays as it is.
    pub(crate) fn write_rgb(self, rgb: &[f32], row: &mut [u8]) {
        let step = self.depth.bytes();
        for (rgb, pixel) in rgb.chunks_exact(3).zip(row.chunks_exact_mut(self.pixel_bytes())) {
            if self.layout.is_grey() {
                self.write(luma(rgb), &mut pixel[..step]);
            } else {
                for (value, sample) in rgb.iter().zip(pixel.chunks_exact_mut(step)) {
                    self.write(*value, sample);
                }
            }
        }
    }
}

/// Luma of ITU-R BT.601, as JPEG has it.
fn luma(rgb: &[f32]) -> f32 {
    0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
}

/// Blends what the network drew into what the source has; both 0..1, and the result replaces `drawn`.
///
/// `keep_colours` takes the source's chroma, at the drawn luma, as far as it says; then `strength` takes the
/// result, as far as it says. A strength of 0 gives the source, bit for bit.
pub(crate) fn blend(source: &[f32], drawn: &mut [f32], strength: f32, keep_colours: f32) {
    for (source, drawn) in source.chunks_exact(3).zip(drawn.chunks_exact_mut(3)) {
        let shown: [f32; 3] = std::array::from_fn(|c| in_range(source[c]));
        let shift = luma(drawn) - luma(&shown);
        for ((source, shown), drawn) in source.iter().zip(shown).zip(drawn) {
            let recoloured = (*drawn + keep_colours * (shown + shift - *drawn)).clamp(0.0, 1.0);
            *drawn = if strength == 0.0 {
                *source
            } else if strength == 1.0 {
                // Not through the source, which may be infinite.
                recoloured
            } else {
                source + strength * (recoloured - source)
            };
        }
    }
}

/// A sample as a picture can show it. What lies outside 0..1 is no colour to the network; NaN becomes 0.
#[expect(clippy::manual_clamp, reason = "clamp keeps NaN")]
pub(crate) fn in_range(value: f32) -> f32 {
    value.max(0.0).min(1.0)
}
