//! Samples and channels for formats that hold less than the picture has.

use std::borrow::Cow;

use utsushi_ipc::pixels::Depth;

use super::Picture;

/// The picture's samples at 8 bits; borrowed if they are.
pub(super) fn to_u8(picture: &Picture) -> Cow<'_, [u8]> {
    match picture.raster.format().depth {
        Depth::U8 => Cow::Borrowed(&picture.pixels),
        Depth::U16 => {
            u16s(&picture.pixels).map(|sample| ((u32::from(sample) * 255 + 32767) / 65535) as u8).collect()
        }
        Depth::F32 => f32s(&picture.pixels).map(|sample| scaled(sample, 255.0) as u8).collect(),
    }
}

/// 32-bit floating-point samples at 16 bits, most significant byte first.
pub(super) fn f32_to_u16_be(pixels: &[u8]) -> Vec<u8> {
    let mut samples = vec![0; pixels.len() / 2];
    for (to, from) in samples.as_chunks_mut().0.iter_mut().zip(f32s(pixels)) {
        *to = (scaled(from, 65535.0) as u16).to_be_bytes();
    }
    samples
}

/// 16-bit samples from the machine's byte order to most significant byte first, or back.
pub(super) fn u16_swap_be(samples: &mut [u8]) {
    for sample in samples.as_chunks_mut().0 {
        *sample = u16::from_ne_bytes(*sample).to_be_bytes();
    }
}

/// 8-bit pixels of `N` colours and alpha laid over white: what is left are the colours.
pub(super) fn over_white<const N: usize>(pixels: &[u8]) -> Vec<u8> {
    let mut opaque = Vec::with_capacity(pixels.len() / (N + 1) * N);
    for pixel in pixels.chunks_exact(N + 1) {
        let alpha = u32::from(pixel[N]);
        opaque.extend(pixel[..N].iter().map(|&colour| {
            let sum = u32::from(colour) * alpha + 255 * (255 - alpha);
            ((sum + 127) / 255) as u8
        }));
    }
    opaque
}

pub(super) fn u16s(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.as_chunks().0.iter().map(|&bytes| u16::from_ne_bytes(bytes))
}

pub(super) fn f32s(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|&bytes| f32::from_ne_bytes(bytes))
}

/// What isn't a number becomes 0.
fn scaled(sample: f32, max: f32) -> f32 {
    (sample.clamp(0.0, 1.0) * max).round()
}
