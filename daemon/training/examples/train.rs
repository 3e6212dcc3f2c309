//! Trains a style outside of the daemon, for work on recipes:
//!
//! ```text
//! cargo run --release --example train -- RECIPE --photos DIR --out DIR [--art DIR]... [--drawn DIR] [--vgg FILE]
//!     [--start FILE] [--steps NUMBER] [--about FILE --thumbnail PICTURE]
//! ```
//!
//! `RECIPE` is a TOML file, or `drawn` or `painted`: the game alone, by the preset for such art, from the style that
//! is the base of it; or `fast` or `quality`, with the imitation before it. `--steps` says how long the game is.
//! `--drawn` are drawings among what is shown: they become themselves in the palette and with the strokes of the art.
//! Several folders of art, for a recipe of one style, are one. The output folder gets `recipe.toml`, `checkpoint`,
//! from which the same command goes on, a sheet of samples now and then, and the style's weights; with `--about`, a
//! TOML file that describes it, a style file, too, with what becomes of a picture. `--start` takes a style file's
//! weights. `--vgg`, or `UTSUSHI_VGG19`, as for the daemon, names those of VGG19's first layers, which see instead of
//! our own network. With `--features cuda` a GPU trains, if there is one, and `UTSUSHI_DEVICE` says which, as to the
//! daemon.

use std::collections::HashMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use candle_core::{DType, Device};
use image::{DynamicImage, ImageDecoder, ImageReader};
use utsushi_engine::differentiable::Place;
use utsushi_engine::style_file::{StyleFile, StyleMeta, Thumbnail};
use utsushi_engine::{DeviceChoice, Layout};
use utsushi_training::abstraction::{Cache, redrawn};
use utsushi_training::checkpoint::Checkpoint;
use utsushi_training::data::{Content, Limits, Picture, Prefetched, Sheet, scan, split};
use utsushi_training::networks::perceptual::Perceptual;
use utsushi_training::networks::vgg19::Vgg19;
use utsushi_training::optimiser::Tensors;
use utsushi_training::recipe::{Kind, Length, Preset, Recipe, Target};
use utsushi_training::trainer::{StepReport, Trainer, TrainingData};

/// As in the daemon.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HELD_OUT: usize = 6;
const SHEET_SIDE_PX: u32 = 512;
/// As in the daemon.
const THUMBNAIL_PX: u32 = 256;
const TELL_EVERY: u64 = 50;
const SHEET_EVERY: u64 = 500;
const CACHE_BYTES: u64 = 1 << 30;

type Anyhow<T> = Result<T, Box<dyn Error>>;

fn main() -> Anyhow<()> {
    utsushi_engine::prepare_process();
    let arguments = Arguments::of(std::env::args().skip(1))?;
    std::fs::create_dir_all(&arguments.out)?;
    let path = arguments.out.join("checkpoint");
    let checkpoint = if path.exists() { Some(Checkpoint::read(&path)?) } else { None };
    let (recipe, base) = match (&checkpoint, &arguments.recipe[..]) {
        (Some(checkpoint), _) => (checkpoint.recipe.clone(), None),
        (None, "fast") => (Recipe::preset(Preset::Fast), None),
        (None, "quality") => (Recipe::preset(Preset::Quality), None),
        (None, "drawn") => game(Kind::Drawn),
        (None, "painted") => game(Kind::Painted),
        (None, file) => (Recipe::parse(&std::fs::read_to_string(file)?)?, None),
    };
    let recipe = arguments.lengthened(recipe);
    let start = arguments.start.clone().or(base);
    std::fs::write(arguments.out.join("recipe.toml"), recipe.to_toml()?)?;
    let (data, held_out) = arguments.data(&recipe)?;
    let trainer = match &checkpoint {
        Some(checkpoint) => Trainer::resume(checkpoint, data)?,
        None => Trainer::new(recipe, data, start.as_deref().map(weights).transpose()?.as_ref())?,
    };
    let choice = std::env::var("UTSUSHI_DEVICE").map_or(Ok(DeviceChoice::Auto), |text| text.parse())?;
    let place = Place::on(&utsushi_engine::Device::choose(choice)?);
    println!("the {} trains", if place.is_gpu() { "GPU" } else { "processor" });
    let mut trainer = trainer.in_place(place);
    let start = Instant::now();
    let mut since = Vec::new();
    while !trainer.is_done() {
        let report = trainer.step()?;
        let step = report.steps_in_all;
        if let Some(event) = &report.event {
            println!("step {step}: {event}");
        }
        since.push(report);
        if step.is_multiple_of(TELL_EVERY) || trainer.is_done() {
            tell(&since, start);
            since.clear();
        }
        if step.is_multiple_of(SHEET_EVERY) || trainer.is_done() {
            sheet(&trainer, &held_out)?.save(arguments.out.join(format!("{step:07}.png")))?;
            trainer.checkpoint()?.write(&path)?;
            let weights: HashMap<_, _> = trainer.style_weights()?.into_iter().collect();
            candle_core::safetensors::save(&weights, arguments.out.join("weights.safetensors"))?;
        }
    }
    match &arguments.about {
        Some(about) => arguments.save_style(&trainer, about),
        None => Ok(()),
    }
}

/// The game alone, and the style that it starts from.
fn game(kind: Kind) -> (Recipe, Option<PathBuf>) {
    let recipe = Recipe { imitation: None, ..Recipe::preset_for(Preset::Fast, kind) };
    (recipe, Some(built_in(kind.base())))
}

fn built_in(style: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../styles").join(style).with_extension("safetensors")
}

struct Arguments {
    recipe: String,
    photos: PathBuf,
    drawn: Option<PathBuf>,
    steps: Option<u64>,
    art: Vec<PathBuf>,
    out: PathBuf,
    vgg: Option<PathBuf>,
    start: Option<PathBuf>,
    about: Option<PathBuf>,
    thumbnail: Option<PathBuf>,
}

impl Arguments {
    fn of(mut arguments: impl Iterator<Item = String>) -> Anyhow<Self> {
        let recipe = arguments.next().ok_or("which recipe? fast, quality, or a file")?;
        let (mut photos, mut art, mut out, mut vgg, mut start) = (None, Vec::new(), None, None, None);
        let (mut about, mut thumbnail, mut drawn, mut steps) = (None, None, None, None);
        while let Some(option) = arguments.next() {
            let value = PathBuf::from(arguments.next().ok_or(format!("{option} takes a value"))?);
            match &option[..] {
                "--photos" => photos = Some(value),
                "--art" => art.push(value),
                "--drawn" => drawn = Some(value),
                "--steps" => steps = Some(value.to_string_lossy().parse()?),
                "--out" => out = Some(value),
                "--vgg" => vgg = Some(value),
                "--start" => start = Some(value),
                "--about" => about = Some(value),
                "--thumbnail" => thumbnail = Some(value),
                _ => return Err(format!("{option}: it isn't known here").into()),
            }
        }
        let (photos, out) = (photos.ok_or("--photos is missing")?, out.ok_or("--out is missing")?);
        let vgg = vgg
            .or_else(|| std::env::var_os("UTSUSHI_VGG19").filter(|file| !file.is_empty()).map(PathBuf::from));
        Ok(Self { recipe, photos, drawn, steps, art, out, vgg, start, about, thumbnail })
    }

    /// The recipe, its game as long as asked for.
    fn lengthened(&self, mut recipe: Recipe) -> Recipe {
        if let (Some(stage), Some(steps)) = (&mut recipe.adversarial, self.steps) {
            stage.course.length = Length::Steps(steps);
        }
        recipe
    }

    fn data(&self, recipe: &Recipe) -> Anyhow<(TrainingData, Vec<Picture>)> {
        let sizes = recipe.pictures;
        let content = |is_drawn: bool| move |sheet: Sheet| Content { sheet, is_drawn };
        let mut shown: Vec<_> =
            sheets(&self.photos, sizes.photo_side_px)?.into_iter().map(content(false)).collect();
        if let Some(folder) = &self.drawn {
            shown.extend(sheets(folder, sizes.photo_side_px)?.into_iter().map(content(true)));
        }
        let (shown, held_out) = split(shown, HELD_OUT, recipe.seed);
        let held_out = held_out.into_iter().map(|photo| recipe.shown(photo.sheet.picture)).collect();
        let cache = Cache::new(self.out.join("abstractions"), CACHE_BYTES);
        let go_on = |_| ControlFlow::Continue(());
        let photos = recipe.photo_crops(shown, |photos| match &recipe.target {
            Some(Target { style }) => {
                let generator = StyleFile::open(&built_in(style))?.generator(&[1.0])?;
                let draw = |photo: &Picture| redrawn(&generator, photo).map_err(|error| error.to_string());
                Anyhow::<_>::Ok(cache.prepare_by(photos, style, &draw, go_on)?.pictures)
            }
            None => Ok(cache.prepare(photos, &recipe.abstraction, go_on)?.pictures),
        })?;
        let mut art = Vec::new();
        for folder in &self.art {
            art.push(sheets(folder, sizes.art_side_px)?);
        }
        if recipe.styles == 1 && !art.is_empty() {
            art = vec![art.concat()];
        }
        let crops = |art: Vec<Sheet>| Arc::new(Prefetched::from(recipe.art_crops(art, &photos))) as _;
        let art = art.into_iter().map(crops).collect();
        let data = TrainingData {
            art,
            photos: Arc::new(Prefetched::from(photos)),
            features: Some(match &self.vgg {
                Some(file) => Arc::new(Vgg19::read(file, "relu3_1")?),
                None => Arc::new(Perceptual::embedded()),
            }),
        };
        Ok((data, held_out))
    }
}

impl Arguments {
    /// The style as the average of the weights has it.
    fn save_style(&self, trainer: &Trainer, about: &Path) -> Anyhow<()> {
        let about: StyleMeta = toml::from_str(&std::fs::read_to_string(about)?)?;
        let (id, recipe) = (about.id.clone(), trainer.recipe());
        let tensors = trainer.style_weights()?.into_iter().collect();
        let mut file = StyleFile::from_weights(recipe.weights(tensors), about)?;
        if let Some(picture) = &self.thumbnail {
            let Picture { width, height, rgb } =
                trainer.sample(&open(picture)?.picture.reduced(THUMBNAIL_PX), 0)?;
            file.set_thumbnail(&id, Thumbnail { width: width as usize, height: height as usize, rgb });
        }
        Ok(file.save(&self.out.join(format!("{id}.safetensors")))?)
    }
}

fn weights(path: &Path) -> Anyhow<Tensors> {
    let tensors = candle_core::safetensors::load(path, &Device::Cpu)?.into_iter();
    let weights = tensors.filter(|(name, _)| !name.starts_with("thumbnail."));
    weights.map(|(name, tensor)| Ok((name, tensor.to_dtype(DType::F32)?))).collect()
}

fn sheets(folder: &Path, long_side_px: u32) -> Anyhow<Vec<Sheet>> {
    let limits = Limits { long_side_px, max_pictures: 2000 };
    let found = scan(folder, limits, &open, |_| ControlFlow::Continue(()))?;
    println!("{}: {} pictures, {} skipped", folder.display(), found.pictures.len(), found.skipped.len());
    for skipped in &found.skipped {
        println!("    {}: {}", skipped.path.display(), skipped.why);
    }
    Ok(found.enough(folder)?.pictures.into_iter().map(|found| found.sheet).collect())
}

fn open(path: &Path) -> Result<Sheet, String> {
    let decode = || -> image::ImageResult<DynamicImage> {
        let mut decoder = ImageReader::open(path)?.with_guessed_format()?.into_decoder()?;
        let orientation = decoder.orientation()?;
        let mut image = DynamicImage::from_decoder(decoder)?;
        image.apply_orientation(orientation);
        Ok(image)
    };
    let image = decode().map_err(|e| e.to_string())?.into_rgba8();
    Sheet::new(image.width(), image.height(), Layout::Rgba, image.as_raw()).map_err(|e| e.to_string())
}

/// Means since the last time.
fn tell(reports: &[StepReport], start: Instant) {
    let Some(last) = reports.last() else { return };
    let mean = |value: &dyn Fn(&StepReport) -> f64| {
        reports.iter().filter(|r| r.stage == last.stage).map(value).sum::<f64>()
            / reports.iter().filter(|r| r.stage == last.stage).count() as f64
    };
    let of = last.of.map_or("?".to_owned(), |of| of.to_string());
    print!("{:?} {}/{of} {:.0} s", last.stage, last.step, start.elapsed().as_secs_f64());
    print!(" {:.3} s a step, gradient {:.3}", mean(&|r| r.seconds), mean(&|r| r.gradient));
    for (i, (name, _)) in last.losses.iter().enumerate() {
        print!(" {name} {:.4}", mean(&|r| r.losses.get(i).map_or(0.0, |(_, value)| *value)));
    }
    println!();
}

/// Photos, each beside what becomes of it in every style.
fn sheet(trainer: &Trainer, photos: &[Picture]) -> Anyhow<image::RgbImage> {
    let mut rows = Vec::new();
    for photo in photos {
        let photo = photo.reduced(SHEET_SIDE_PX);
        let mut row = vec![photo.clone()];
        for style in 0..trainer.recipe().styles {
            row.push(trainer.sample(&photo, style)?);
        }
        rows.push(row);
    }
    let below = |row: &[Picture]| row.iter().map(|picture| picture.height).max().unwrap_or(0);
    let height = rows.iter().map(|row| below(row)).sum();
    let width = rows.iter().map(|row| row.iter().map(|p| p.width).sum::<u32>()).max().unwrap_or(1);
    let mut sheet = image::RgbImage::new(width, height);
    let mut y = 0;
    for row in rows {
        let (mut x, below) = (0, below(&row));
        for picture in row {
            let part =
                image::RgbImage::from_raw(picture.width, picture.height, picture.rgb).ok_or("a picture")?;
            image::imageops::replace(&mut sheet, &part, x.into(), y.into());
            x += picture.width;
        }
        y += below;
    }
    Ok(sheet)
}
