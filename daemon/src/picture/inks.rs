//! Cyan, magenta, yellow and black, to RGB.

use moxcms::{ColorProfile, Layout, TransformOptions};
use utsushi_ipc::pixels::Depth;

use super::convert;

/// Is the profile one of cyan, magenta, yellow and black?
pub(super) fn describes(icc: &[u8]) -> bool {
    icc.get(16..20) == Some(b"CMYK")
}

/// Amounts of ink, of 8 or 16 bits, to sRGB. `None` if the profile is none for that.
pub(super) fn by_profile(inks: &[u8], depth: Depth, profile: &[u8]) -> Option<Vec<u8>> {
    let profile = ColorProfile::new_from_slice(profile).ok()?;
    let (srgb, options) = (ColorProfile::new_srgb(), TransformOptions::default());
    // Four channels are called RGBA there, whatever they are.
    if depth == Depth::U8 {
        let transform = profile.create_transform_8bit(Layout::Rgba, &srgb, Layout::Rgb, options).ok()?;
        let mut pixels = vec![0; inks.len() / 4 * 3];
        transform.transform(inks, &mut pixels).ok()?;
        return Some(pixels);
    }
    let transform = profile.create_transform_16bit(Layout::Rgba, &srgb, Layout::Rgb, options).ok()?;
    let inks: Vec<u16> = convert::u16s(inks).collect();
    let mut pixels = vec![0; inks.len() / 4 * 3];
    transform.transform(&inks, &mut pixels).ok()?;
    Some(pixels.into_iter().flat_map(u16::to_ne_bytes).collect())
}

/// Amounts of ink, of 8 or 16 bits, to what ideal inks leave of the light.
pub(super) fn without_profile(inks: &[u8], depth: Depth) -> Vec<u8> {
    fn light<const MOST: u64>([inks @ .., black]: [u64; 4]) -> [u64; 3] {
        inks.map(|ink| ((MOST - ink) * (MOST - black) + MOST / 2) / MOST)
    }
    if depth == Depth::U8 {
        let pixels = inks.as_chunks().0.iter().map(|inks| light::<255>(inks.map(u64::from)));
        return pixels.flatten().map(|light| light as u8).collect();
    }
    let inks: Vec<u64> = convert::u16s(inks).map(u64::from).collect();
    let pixels = inks.as_chunks().0.iter().map(|inks| light::<65535>(*inks));
    pixels.flatten().flat_map(|light| (light as u16).to_ne_bytes()).collect()
}
