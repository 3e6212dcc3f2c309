//! Pictures to test with, and how far apart two are.

use std::path::{Path, PathBuf};

use utsushi::picture::{self, Format, Metadata, Picture, WriteOptions};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};

/// A sample picture that may be shown.
pub fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/pictures").join(name)
}

/// A smooth picture with edges, in this format.
pub fn drawn(width: u32, height: u32, channels: Channels, depth: Depth) -> (Raster, Vec<u8>) {
    let raster = Raster::new(width, height, PixelFormat { channels, depth }).expect("a raster");
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in 0..channels.count() {
                let (fx, fy) = (f64::from(x), f64::from(y));
                let wave = 0.5 + 0.3 * (fx * 0.05 + c as f64).sin() * (fy * 0.08).cos();
                let value = if (x / 40 + y / 30) % 2 == 0 { wave } else { 1.0 - wave };
                match depth {
                    Depth::U8 => pixels.push((value * 255.0) as u8),
                    Depth::U16 => pixels.extend(((value * 65535.0) as u16).to_ne_bytes()),
                    Depth::F32 => pixels.extend((value as f32).to_ne_bytes()),
                }
            }
        }
    }
    (raster, pixels)
}

/// Writes a [`drawn`] picture, in the format that the file's name says and into folders that are made for it.
pub fn write_drawn(path: &Path, width: u32, height: u32, channels: Channels, depth: Depth) {
    let (raster, pixels) = drawn(width, height, channels, depth);
    std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    let format = Format::from_path(path).expect("a format's extension");
    let picture = Picture { raster, pixels, metadata: Metadata::default() };
    picture::write(path, format, &picture, &WriteOptions::default()).expect("a written picture");
}

/// A part of an 8-bit RGB picture.
pub fn cut(whole: &Picture, x: u32, y: u32, width: u32, height: u32) -> Picture {
    let raster = Raster::new(width, height, whole.raster.format()).expect("a raster");
    let rows = whole.pixels.chunks(whole.raster.row_bytes()).skip(y as usize).take(height as usize);
    let pixels = rows.flat_map(|row| &row[x as usize * 3..][..raster.row_bytes()]).copied().collect();
    Picture { raster, pixels, metadata: Metadata::default() }
}

/// The mean difference of two pictures' bytes.
pub fn mean_difference(a: &[u8], b: &[u8]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>() / a.len() as f64
}

/// An 8-bit RGB picture, enlarged bilinearly, so that it has gradients as a photograph has them.
pub fn enlarged(small: &Picture, width: u32, height: u32) -> Picture {
    let (small_width, small_height) = (small.raster.width() as usize, small.raster.height() as usize);
    let raster = Raster::new(width, height, small.raster.format()).expect("a raster");
    let place = |i: u32, full: u32, low: usize| {
        let at = (i as f32 + 0.5) * low as f32 / full as f32 - 0.5;
        let at = at.clamp(0.0, (low - 1) as f32);
        (at as usize, (at as usize + 1).min(low - 1), at.fract())
    };
    let mut pixels = Vec::with_capacity(raster.total_bytes() as usize);
    for y in 0..height {
        let (top, bottom, down) = place(y, height, small_height);
        for x in 0..width {
            let (left, right, along) = place(x, width, small_width);
            for c in 0..3 {
                let at = |y: usize, x: usize| f32::from(small.pixels[(y * small_width + x) * 3 + c]);
                let row = |y: usize| at(y, left) + (at(y, right) - at(y, left)) * along;
                pixels.push((row(top) + (row(bottom) - row(top)) * down + 0.5) as u8);
            }
        }
    }
    Picture { raster, pixels, metadata: small.metadata.clone() }
}
