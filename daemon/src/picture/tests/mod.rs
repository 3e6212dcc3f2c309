//! What goes into a file comes out of it; what is wrong with a file is told.

mod broken;
mod cases;
mod kept;
mod kinds;
mod writing;

use std::io::Cursor;

use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};

use super::*;

const CHANNELS: [Channels; 4] = [Channels::Grey, Channels::GreyAlpha, Channels::Rgb, Channels::Rgba];
const DEPTHS: [Depth; 3] = [Depth::U8, Depth::U16, Depth::F32];

/// A picture with soft gradients, so that JPEG can hold it too, and an alpha channel that isn't all opaque.
fn picture(width: u32, height: u32, channels: Channels, depth: Depth) -> Picture {
    let raster = Raster::new(width, height, PixelFormat { channels, depth }).unwrap();
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for channel in 0..channels.count() as u32 {
                let value = match channel {
                    0 => x as f32 / width as f32,
                    1 => y as f32 / height as f32,
                    2 => (x + y) as f32 / (width + height) as f32,
                    _ => 1.0 - x as f32 / width as f32,
                };
                match depth {
                    Depth::U8 => pixels.push((value * 255.0) as u8),
                    Depth::U16 => pixels.extend(((value * 65535.0) as u16).to_ne_bytes()),
                    Depth::F32 => pixels.extend(value.to_ne_bytes()),
                }
            }
        }
    }
    Picture { raster, pixels, metadata: Metadata::default() }
}

/// Something that looks enough like an ICC profile for RGB.
fn icc(length: usize) -> Vec<u8> {
    let mut icc: Vec<u8> = (0..length).map(|index| (index * 7 % 251) as u8).collect();
    icc[16..20].copy_from_slice(b"RGB ");
    icc
}

fn to_bytes(format: Format, picture: &Picture) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    encode(&mut file, format, picture, &WriteOptions::default()).unwrap();
    file.into_inner()
}

fn from_bytes(file: &[u8]) -> Result<Picture, Problem> {
    decode(Cursor::new(file)).map(|opened| opened.picture)
}

/// Samples as numbers from 0 to 1.
fn samples(picture: &Picture) -> Vec<f32> {
    match picture.raster.format().depth {
        Depth::U8 => picture.pixels.iter().map(|&sample| f32::from(sample) / 255.0).collect(),
        Depth::U16 => convert::u16s(&picture.pixels).map(|sample| f32::from(sample) / 65535.0).collect(),
        Depth::F32 => convert::f32s(&picture.pixels).collect(),
    }
}

#[track_caller]
fn assert_close(found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len());
    let worst = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance, "off by {worst}");
}
