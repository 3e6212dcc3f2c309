//! What a training needs that is over in seconds: just enough pictures, and a recipe of short steps.

use std::fs;
use std::path::Path;

use utsushi::picture::{self, Format, Metadata, Picture, WriteOptions};
use utsushi_engine::arch::brush::Sizes;
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};
use utsushi_training::recipe::{Generator, Length, Preset, Recipe};

/// Pictures in `art`, and photos in a folder of `photos`: ten each, as few as will do.
pub fn write_pictures(folder: &Path) {
    for number in 0..10 {
        write_waves(&folder.join(format!("art/{number}.png")), number);
        write_waves(&folder.join(format!("photos/below/{number}.png")), number + 20);
    }
}

/// A small network's recipe of small steps, `recipe.toml`.
pub fn write_recipe(folder: &Path, length: Length) {
    let preset = Recipe::preset(Preset::Fast);
    let mut imitation = preset.imitation.clone().expect("a stage");
    imitation.course.length = length;
    imitation.course.batch = 1;
    imitation.course.crops_px = vec![64];
    let generator = Sizes { c1: 8, c2: 16, blocks: [1, 1, 1], ch: 8, cf: 4 };
    let recipe = Recipe {
        generator: Generator::Brush(generator),
        imitation: Some(imitation),
        adversarial: None,
        ..preset
    };
    fs::write(folder.join("recipe.toml"), recipe.to_toml().expect("TOML")).expect("written");
}

/// A picture of waves, each number another.
pub fn write_waves(path: &Path, number: usize) {
    const SIDE_PX: u32 = 132;
    let (sin, cos) = (number as f32 * 0.7).sin_cos();
    let wave = |x: u32, y: u32, c: usize| {
        let along = (x as f32 * cos + y as f32 * sin) * (0.05 + 0.02 * number as f32);
        ((along + c as f32).sin() * 120.0 + 128.0) as u8
    };
    let pixels = (0..SIDE_PX).flat_map(|y| (0..SIDE_PX).map(move |x| (x, y)));
    let pixels = pixels.flat_map(|(x, y)| [0, 1, 2].map(|c| wave(x, y, c))).collect();
    let format = PixelFormat { channels: Channels::Rgb, depth: Depth::U8 };
    let raster = Raster::new(SIDE_PX, SIDE_PX, format).expect("a raster");
    let picture = Picture { raster, pixels, metadata: Metadata::default() };
    fs::create_dir_all(path.parent().expect("a folder")).expect("made");
    picture::write(path, Format::Png, &picture, &WriteOptions::default()).expect("written");
}
