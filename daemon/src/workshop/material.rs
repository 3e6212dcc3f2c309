//! What is learned from: the art, the photos, and what the filter, or a style, makes of the photos.
//!
//! Pictures in a folder `drawn` among the photos are drawings: they are what they are to become, but for strokes and palette.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use utsushi_engine::{ColourSpace, Layout};
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_training::abstraction::{Cache, Unprepared, redrawn};
use utsushi_training::data::{
    Content, Crops, ENOUGH_PICTURES, Found, Limits, MIN_PICTURES, Picture, Prefetched, Progress, Scan,
    ScanError, Sheet, Skipped, scan, split,
};
use utsushi_training::evaluate::LEAST_PICTURES;
use utsushi_training::networks::perceptual::Features;
use utsushi_training::recipe::Recipe;
use utsushi_training::trainer::TrainingData;

use super::course::Teacher;
use super::eyes;
use crate::jobs::folder::JobFolder;
use crate::jobs::order::Order;
use crate::jobs::training::{Halt, News};
use crate::picture::{self, Format};

/// Of a folder with more, so many pictures are taken: they are held in memory, 1 to 2 MB each.
const MOST_PICTURES: usize = 400;
/// Photos that the style is judged and shown by, and that it doesn't learn from.
const HELD_OUT: usize = 8;
/// Pieces of art to judge by.
const MOST_EXHIBITS: usize = 24;
/// The abstractions of some thousands of photos.
const CACHE_BYTES: u64 = 2 << 30;
/// Where drawings are among the photos.
const DRAWN: &str = "drawn";
/// Folders are not looked at more deeply than this before a job is begun.
const MOST_LOOKED_AT: usize = 10_000;

/// The pictures of a job.
pub(super) struct Material {
    photos: Arc<Prefetched>,
    art: Arc<Prefetched>,
    /// How many there are to learn from.
    pub(super) counts: Counts,
    /// To judge by: some of the art.
    pub(super) exhibits: Vec<Picture>,
    /// For show, and to judge by.
    pub(super) held_out: Vec<Picture>,
    /// What can't be learned from.
    pub(super) skipped: Vec<Skipped>,
    pub(super) features: Arc<dyn Features + Send + Sync>,
}

/// How many pictures there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) photos: usize,
    pub(super) art: usize,
}

type Tell<'a> = dyn FnMut(News<'_>) -> ControlFlow<()> + 'a;

/// Refuses what a look at the names shows to be too little.
pub(super) fn check(order: &Order) -> Result<(), String> {
    let too_few = |what: &str, folders: &[&Path]| {
        let mut looked_at = 0;
        let count: usize = folders.iter().map(|folder| count(folder, &mut looked_at)).sum();
        if count >= MIN_PICTURES || looked_at >= MOST_LOOKED_AT {
            return Ok(());
        }
        let names: Vec<_> = folders.iter().map(|folder| folder.display().to_string()).collect();
        Err(format!(
            "{}: {count} pictures (PNG, JPEG, WebP, TIFF) are there, and at least {MIN_PICTURES} are needed for the \
             {what}; {ENOUGH_PICTURES} or more are better: add some, or name another folder",
            names.join(", ")
        ))
    };
    let art: Vec<_> = order.art.iter().map(std::path::PathBuf::as_path).collect();
    too_few("art", &art)?;
    too_few("photos", &[&order.photos])
}

/// Files with a picture's extension, in the folder and in those below.
fn count(folder: &Path, looked_at: &mut usize) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let mut pictures = 0;
    for path in entries.flatten().map(|entry| entry.path()) {
        *looked_at += 1;
        if *looked_at >= MOST_LOOKED_AT {
            break;
        }
        if path.is_dir() {
            pictures += count(&path, looked_at);
        } else if Format::from_path(&path).is_some() {
            pictures += 1;
        }
    }
    pictures
}

impl Material {
    /// Reads the folders. What can't be used is named in the job's log.
    pub(super) fn gather(
        order: &Order,
        recipe: &Recipe,
        teacher: Option<&Teacher>,
        cache: &Path,
        folder: &JobFolder,
        tell: &mut Tell<'_>,
    ) -> Result<Self, Halt> {
        let sizes = &recipe.pictures;
        let art: Vec<_> = order.art.iter().map(std::path::PathBuf::as_path).collect();
        let mut skipped = Vec::new();
        let art = pictures("reading the art", &art, sizes.art_side_px, &mut skipped, folder, tell)?;
        let photos = [order.photos.as_path()];
        let photos =
            pictures("reading the photos", &photos, sizes.photo_side_px, &mut skipped, folder, tell)?;
        let photos: Vec<_> = photos.into_iter().map(|found| content(found, &order.photos)).collect();
        let drawings = photos.iter().filter(|photo| photo.is_drawn).count();
        if drawings > 0 {
            folder.log(&format!("{drawings} of the photos are drawings, and stay what they show"));
        }
        let (photos, held_out) = split(photos, HELD_OUT, recipe.seed);
        let held_out = held_out.into_iter().map(|photo| recipe.shown(photo.sheet.picture)).collect();
        let counts = Counts { photos: photos.len(), art: art.len() };
        let photos = recipe.photo_crops(photos, |photos| {
            let cache = Cache::new(cache.to_owned(), CACHE_BYTES);
            let prepared = match teacher {
                Some(Teacher { key, generator }) => {
                    let draw = |photo: &Picture| redrawn(generator, photo).map_err(|error| error.to_string());
                    cache.prepare_by(photos, key, &draw, |progress| {
                        tell(doing("drawing what the photos are to become", progress))
                    })
                }
                None => cache.prepare(photos, &recipe.abstraction, |progress| {
                    tell(doing("smoothing the photos", progress))
                }),
            };
            let prepared = prepared.map_err(|error| match error {
                Unprepared::Cancelled => Halt::Asked,
                Unprepared::Undrawn(why) => Halt::Failed(why),
            })?;
            if let Some(trouble) = prepared.trouble {
                folder
                    .log(&format!("what the photos are to become is not kept for the next time: {trouble}"));
            }
            Ok::<_, Halt>(prepared.pictures)
        })?;
        let art: Vec<Sheet> = art.into_iter().map(|found| found.sheet).collect();
        let exhibits = exhibits(&art);
        let art = recipe.art_crops(art, &photos);
        Ok(Self {
            photos: prefetched(photos),
            art: prefetched(art),
            counts,
            exhibits,
            held_out,
            skipped,
            features: eyes::features().map_err(Halt::Failed)?,
        })
    }

    /// As the trainer takes it.
    pub(super) fn data(&self) -> TrainingData {
        TrainingData {
            photos: self.photos.clone(),
            art: vec![self.art.clone()],
            features: Some(self.features.clone()),
        }
    }
}

fn prefetched(crops: Crops) -> Arc<Prefetched> {
    Arc::new(crops.into())
}

/// A photo, or a drawing.
fn content(found: Found, photos: &Path) -> Content {
    let inside = found.path.strip_prefix(photos).unwrap_or(&found.path);
    let is_drawn = inside.parent().is_some_and(|folders| folders.iter().any(|folder| folder == DRAWN));
    Content { sheet: found.sheet, is_drawn }
}

/// Some of the art to judge by: what has a ground of its own, if that is enough.
fn exhibits(art: &[Sheet]) -> Vec<Picture> {
    let opaque: Vec<_> = art.iter().filter(|sheet| sheet.opacity.is_none()).collect();
    let shown = if opaque.len() < LEAST_PICTURES { art.iter().collect() } else { opaque };
    let some = shown.iter().step_by(shown.len().div_ceil(MOST_EXHIBITS).max(1));
    some.map(|sheet| sheet.picture.clone()).collect()
}

fn doing(what: &str, progress: Progress) -> News<'_> {
    News::Doing(what, progress.done as u32, progress.of as u32)
}

/// The usable pictures of the folders, at most [`MOST_PICTURES`] of each.
fn pictures(
    what: &str,
    folders: &[&Path],
    long_side_px: u32,
    all_skipped: &mut Vec<Skipped>,
    job: &JobFolder,
    tell: &mut Tell<'_>,
) -> Result<Vec<Found>, Halt> {
    let mut all = Scan::default();
    for folder in folders {
        let limits = Limits { long_side_px, max_pictures: MOST_PICTURES };
        let found = scan(folder, limits, &sheet, |progress| tell(doing(what, progress))).map_err(halt)?;
        all.pictures.extend(found.pictures);
        all.skipped.extend(found.skipped);
        all.surplus += found.surplus;
    }
    for skipped in &all.skipped {
        job.log(&format!("{}: skipped: it {}", skipped.path.display(), skipped.why));
    }
    all_skipped.extend_from_slice(&all.skipped);
    let all = all.enough(folders[0]).map_err(halt)?;
    let (count, skipped) = (all.pictures.len(), all.skipped.len());
    job.log(&format!("{what}: {count} are used, {skipped} are skipped, {} are not needed", all.surplus));
    if count < ENOUGH_PICTURES {
        let note = format!("{what}: only {count} can be used; {ENOUGH_PICTURES} or more are better");
        if tell(News::Note(&note)).is_break() {
            return Err(Halt::Asked);
        }
    }
    Ok(all.pictures)
}

fn halt(error: ScanError) -> Halt {
    match error {
        ScanError::Cancelled => Halt::Asked,
        other => Halt::Failed(other.to_string()),
    }
}

/// Reads a picture with 8 bits a channel, in sRGB, laid over white, and what of it is transparent.
pub(crate) fn sheet(path: &Path) -> Result<Sheet, String> {
    let picture = picture::read(path).map_err(|error| error.problem.to_string())?;
    let format = picture.raster.format();
    let layout = match format.channels {
        Channels::Grey => Layout::Grey,
        Channels::GreyAlpha => Layout::GreyAlpha,
        Channels::Rgb => Layout::Rgb,
        Channels::Rgba => Layout::Rgba,
    };
    let (width, height) = (picture.raster.width(), picture.raster.height());
    // By a profile that can't be used, nothing is converted, as when a picture is drawn.
    if let Some(space) = picture.profile().and_then(|icc| ColourSpace::from_icc(icc).ok()?) {
        let depth = match format.depth {
            Depth::U8 => utsushi_engine::Depth::U8,
            Depth::U16 => utsushi_engine::Depth::U16,
            Depth::F32 => utsushi_engine::Depth::F32,
        };
        let samples = space.shown(layout, depth, &picture.pixels);
        return Sheet::new(width, height, layout, &samples).map_err(|error| error.to_string());
    }
    let samples = match format.depth {
        Depth::U8 => picture.pixels,
        Depth::U16 => bytemuck::pod_collect_to_vec::<u8, u16>(&picture.pixels)
            .into_iter()
            .map(|sample| (sample >> 8) as u8)
            .collect(),
        Depth::F32 => bytemuck::pod_collect_to_vec::<u8, f32>(&picture.pixels)
            .into_iter()
            .map(|sample| (sample.clamp(0.0, 1.0) * 255.0).round() as u8)
            .collect(),
    };
    Sheet::new(width, height, layout, &samples).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use utsushi_ipc::pixels::{PixelFormat, Raster};

    use super::*;
    use crate::picture::{Metadata, WriteOptions};

    #[test]
    fn every_depth_is_read_as_bytes() {
        let folder = tempfile::tempdir().expect("a folder");
        let check = |depth: Depth, pixels: Vec<u8>| {
            let path = folder.path().join("a.tiff");
            let raster =
                Raster::new(3, 1, PixelFormat { channels: Channels::Grey, depth }).expect("a raster");
            let picture = picture::Picture { raster, pixels, metadata: Metadata::default() };
            picture::write(&path, Format::Tiff, &picture, &WriteOptions::default()).expect("written");
            let read = sheet(&path).expect("a picture").picture;
            assert_eq!((read.width, read.height), (3, 1));
            assert_eq!(read.rgb, [0, 0, 0, 128, 128, 128, 255, 255, 255], "{depth:?}");
        };
        check(Depth::U8, vec![0, 128, 255]);
        check(Depth::U16, [0u16, 0x80ff, 0xffff].iter().flat_map(|sample| sample.to_ne_bytes()).collect());
        check(Depth::F32, [-1.0f32, 0.502, 7.0].iter().flat_map(|sample| sample.to_ne_bytes()).collect());
        std::fs::write(folder.path().join("b.png"), "broken").expect("written");
        let why = sheet(&folder.path().join("b.png")).expect_err("no picture");
        assert!(!why.contains("b.png"), "the path is told beside it: {why}");
    }

    #[test]
    fn pictures_are_read_in_srgb() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("p3.png");
        let format = PixelFormat { channels: Channels::Rgba, depth: Depth::U8 };
        let raster = Raster::new(1, 1, format).expect("a raster");
        let icc = picture::encode_profile(&moxcms::ColorProfile::new_display_p3());
        let metadata = Metadata { icc, ..Metadata::default() };
        let p3 = picture::Picture { raster, pixels: vec![150, 100, 50, 255], metadata };
        picture::write(&path, Format::Png, &p3, &WriteOptions::default()).expect("written");
        // By the matrices of CSS Color 4.
        assert_eq!(sheet(&path).expect("a picture").picture.rgb, [159, 97, 38]);
    }

    #[test]
    fn drawings_lie_in_a_folder_of_their_own() {
        let check = |path: &str, expected: bool| {
            let sheet = Picture { width: 1, height: 1, rgb: vec![0; 3] }.into();
            let found = Found { path: path.into(), sheet };
            assert_eq!(content(found, Path::new("/home/drawn/photos")).is_drawn, expected, "{path}");
        };
        check("/home/drawn/photos/a.png", false);
        check("/home/drawn/photos/drawn.png", false);
        check("/home/drawn/photos/drawn/a.png", true);
        check("/home/drawn/photos/mine/drawn/pages/a.png", true);
        check("/home/drawn/photos/redrawn/a.png", false);
    }

    #[test]
    fn characters_are_judged_by_where_there_is_nothing_else() {
        let picture = || Picture { width: 1, height: 1, rgb: vec![9; 3] };
        let sheets = |opaque: usize, others: usize| -> Vec<Sheet> {
            let other =
                || Sheet { picture: Picture { rgb: vec![0; 3], ..picture() }, opacity: Some(picture()) };
            let opaque = (0..opaque).map(|_| picture().into());
            opaque.chain((0..others).map(|_| other())).collect()
        };
        let values = |opaque, others| -> Vec<u8> {
            exhibits(&sheets(opaque, others)).iter().map(|picture| picture.rgb[0]).collect()
        };
        assert_eq!(values(LEAST_PICTURES, 30), vec![9; LEAST_PICTURES]);
        assert_eq!(values(0, 3), [0, 0, 0]);
        assert!(values(1000, 0).len() <= MOST_EXHIBITS);
    }

    #[test]
    fn pictures_are_counted_by_their_names() {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("below")).expect("made");
        for name in ["a.png", "b.JPG", "c.txt", "below/d.webp"] {
            std::fs::write(folder.path().join(name), "").expect("written");
        }
        assert_eq!(count(folder.path(), &mut 0), 3);
        assert_eq!(count(&folder.path().join("nowhere"), &mut 0), 0);
    }
}
