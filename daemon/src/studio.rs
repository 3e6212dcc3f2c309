//! The engine as the worker knows it: styles by their ids, networks kept in memory between pictures.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use utsushi_engine::{
    BrushScale, ColourSpace, Depth, Device, EngineError, Grain, Layout, Mixture, Place, Settings, Stylizer,
};
use utsushi_ipc::pixels;
use utsushi_ipc::protocol::{Fault, FaultKind, StyleShare, StylizeSpec};

use crate::library::Library;
use crate::worker::{Engine, Stream};

/// Mixes that are kept in memory; a network takes a few megabytes.
const MAX_KEPT: usize = 8;

/// The most memory that one picture may take: half of what is free, and never more than this.
const MAX_PICTURE_BYTES: u64 = 4 << 30;

/// Asked anew for each picture, since those that are being drawn have taken theirs by then.
fn most_picture_bytes() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map_or(MAX_PICTURE_BYTES, |kib| (kib * 1024 / 2).min(MAX_PICTURE_BYTES))
}

/// The styles' networks.
pub struct Studio {
    library: Library,
    device: Device,
    /// The user's styles as they were when `kept` was loaded.
    stamp: Vec<(PathBuf, Option<SystemTime>, u64)>,
    kept: Vec<(Vec<StyleShare>, Mixture)>,
}

impl Studio {
    /// With the styles of a library, on a device.
    pub fn new(library: Library, device: Device) -> Self {
        Self { library, device, stamp: Vec::new(), kept: Vec::new() }
    }

    fn mixture(&mut self, mix: &[StyleShare]) -> Result<Mixture, Fault> {
        let stamp = self.library.stamp();
        if stamp != self.stamp {
            self.kept.clear();
            self.stamp = stamp;
        }
        if let Some((_, mixture)) = self.kept.iter().find(|(kept, _)| kept == mix) {
            return Ok(mixture.clone());
        }
        let mixture = self.load(mix)?;
        if self.kept.len() == MAX_KEPT {
            self.kept.remove(0);
        }
        self.kept.push((mix.to_vec(), mixture.clone()));
        Ok(mixture)
    }

    /// Styles of one file share a network, and are mixed inside it; networks are mixed by their pictures.
    fn load(&self, mix: &[StyleShare]) -> Result<Mixture, Fault> {
        let total: f32 = mix.iter().map(|style| style.share).sum();
        let mut volumes = HashMap::new();
        let mut order = Vec::new();
        for StyleShare { id, share } in mix {
            let (path, file) = self.library.volume(id).ok_or_else(|| self.unknown(id))?;
            // A built-in style's file has no path, but its first style names it.
            let key = (path, file.styles()[0].id.clone());
            let at = file.styles().iter().position(|style| style.id == *id).unwrap_or_default();
            if !order.contains(&key) {
                order.push(key.clone());
            }
            let (_, shares) = volumes.entry(key).or_insert_with(|| {
                let shares = vec![0.0; file.styles().len()];
                (file, shares)
            });
            shares[at] += share / total;
        }
        let mut mixture = Mixture::new();
        for key in order {
            let Some((file, mut shares)) = volumes.remove(&key) else { continue };
            let share: f32 = shares.iter().sum();
            shares.iter_mut().for_each(|s| *s /= share);
            let bad = |error| {
                Fault::new(FaultKind::BadStyle, format!("the style {:?} can't be loaded: {error}", key.1))
            };
            mixture.push((file.generator_on(&self.device, &shares).map_err(bad)?, share));
        }
        Ok(mixture)
    }

    fn unknown(&self, id: &str) -> Fault {
        Fault::new(FaultKind::UnknownStyle, self.library.unknown(id).to_string())
    }
}

impl Engine for Studio {
    fn open(&mut self, job: &StylizeSpec) -> Result<Box<dyn Stream>, Fault> {
        let space = match &job.profile.0[..] {
            [] => None,
            icc => ColourSpace::from_icc(icc)
                .map_err(|error| Fault::new(FaultKind::Invalid, error.to_string()))?,
        };
        let mixture = self.mixture(&job.mix)?;
        let (width, height) = (job.raster.width(), job.raster.height());
        let factor = job.brush_factor();
        let brush = BrushScale::new(factor).ok_or_else(|| {
            Fault::new(FaultKind::Invalid, format!("a brush size of {factor}: it is 1 or more"))
        })?;
        let format = job.raster.format();
        let settings = Settings {
            width: width as usize,
            height: height as usize,
            layout: match format.channels {
                pixels::Channels::Grey => Layout::Grey,
                pixels::Channels::GreyAlpha => Layout::GreyAlpha,
                pixels::Channels::Rgb => Layout::Rgb,
                pixels::Channels::Rgba => Layout::Rgba,
            },
            depth: match format.depth {
                pixels::Depth::U8 => Depth::U8,
                pixels::Depth::U16 => Depth::U16,
                pixels::Depth::F32 => Depth::F32,
            },
            strength: job.strength,
            keep_colours: job.keep_colours,
            brush,
            grain: Grain { seed: job.seed, strength: job.grain },
            place: job.place.map(|place| Place {
                x: place.x as usize,
                y: place.y as usize,
                width: place.width as usize,
                height: place.height as usize,
            }),
        };
        let bytes = Stylizer::memory_bytes(&mixture, &settings);
        let most = most_picture_bytes();
        if bytes > most {
            let message = format!(
                "a picture of {width} x {height} pixels takes about {:.1} GB of memory at brush size {factor}, and \
                 {:.1} GB is the most there is for it: cut the picture, or close other programs",
                bytes as f64 / 1e9,
                most as f64 / 1e9
            );
            return Err(Fault::new(FaultKind::OutOfMemory, message));
        }
        let stylizer = Stylizer::new(&mixture, settings);
        Ok(Box::new(Painting(match space {
            Some(space) => stylizer.in_space(Arc::new(space)),
            None => stylizer,
        })))
    }

    fn unload(&mut self) {
        self.kept.clear();
        self.device.release();
    }

    fn loaded(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.kept.iter().flat_map(|(mix, _)| mix).map(|style| style.id.clone()).collect();
        ids.sort();
        ids.dedup();
        ids
    }

    fn device(&self) -> String {
        self.device.to_string()
    }
}

struct Painting(Stylizer);

impl Stream for Painting {
    fn push(&mut self, rows: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        self.0.push(rows, out).map_err(|EngineError::Network(error)| {
            Fault::new(
                FaultKind::Internal,
                format!("the network failed: {error}; this is a defect of Utsushi's"),
            )
        })
    }
}
