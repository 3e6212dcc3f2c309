//! Pictures from folders, and crops of them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use image::RgbImage;
use image::imageops::{FilterType, crop_imm, resize};
use rand::Rng;

/// Pictures are kept at most this long, so that all fit into memory.
const LONGEST_PX: u32 = 512;
/// A crop covers at least this much of the picture's pixels along a side, when it has as many.
const SMALLEST_SCALE: f32 = 0.4;
/// Every so many-th picture is never trained on.
const HELD_OUT: usize = 10;

/// Which pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    Trained,
    HeldOut,
}

/// Reads a part of the pictures in folders and the folders inside, in the order of their paths.
pub(crate) fn read(folders: &[PathBuf], part: Part, smallest_px: u32) -> Result<Vec<RgbImage>> {
    let mut files = Vec::new();
    for folder in folders {
        list(folder, &mut files).with_context(|| format!("{} can't be read", folder.display()))?;
    }
    files.sort();
    let held_out = |i: &usize| i.is_multiple_of(HELD_OUT);
    let files = files.iter().enumerate().filter(|(i, _)| held_out(i) == (part == Part::HeldOut));
    let mut pictures = Vec::new();
    for (_, file) in files {
        match image::open(file) {
            Ok(picture) => {
                let small = picture.width().max(picture.height()) <= LONGEST_PX;
                let picture = if small { picture } else { picture.thumbnail(LONGEST_PX, LONGEST_PX) };
                pictures.push(picture.into_rgb8());
            }
            Err(why) => eprintln!("{} is left out: {why}", file.display()),
        }
    }
    pictures.retain(|picture| picture.width().min(picture.height()) >= smallest_px);
    ensure!(!pictures.is_empty(), "there are no pictures of {smallest_px} pixels or more");
    Ok(pictures)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let is_picture = path
            .extension()
            .is_some_and(|e| ["jpg", "jpeg", "png"].iter().any(|i| e.eq_ignore_ascii_case(i)));
        if path.is_dir() {
            list(&path, files)?;
        } else if is_picture {
            files.push(path);
        }
    }
    Ok(())
}

/// A square of pixels, RGB in -1..1, row by row.
#[derive(Debug, Clone)]
pub(crate) struct Crop {
    pub(crate) size: usize,
    pub(crate) rgb: Vec<f32>,
}

impl Crop {
    /// A random part of a random picture, at a random scale, perhaps mirrored.
    pub(crate) fn random(pictures: &[RgbImage], size: usize, random: &mut impl Rng) -> Self {
        let picture = &pictures[random.random_range(0..pictures.len())];
        let side = (size as f32 / random.random_range(SMALLEST_SCALE..1.0)) as u32;
        let side = side.min(picture.width()).min(picture.height());
        let x = random.random_range(0..=picture.width() - side);
        let y = random.random_range(0..=picture.height() - side);
        let part = crop_imm(picture, x, y, side, side).to_image();
        let mut part = resize(&part, size as u32, size as u32, FilterType::Triangle);
        if random.random() {
            image::imageops::flip_horizontal_in_place(&mut part);
        }
        Self { size, rgb: part.into_raw().into_iter().map(|v| f32::from(v) / 127.5 - 1.0).collect() }
    }
}

/// Of a pixel (Rec. 601).
pub(crate) fn luminance(pixel: &[f32]) -> f32 {
    0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2]
}
