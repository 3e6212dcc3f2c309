//! The engine as the worker knows it: styles by their ids, networks kept in memory between pictures.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use utsushi_engine::{
    BrushScale, ColourSpace, Depth, Device, EngineError, EnlargeSettings, Enlargement, Generator, Grain,
    Layout, Mixture, Place, Settings, Stylizer,
};
use utsushi_ipc::pixels::{self, PixelFormat, Raster};
use utsushi_ipc::protocol::{
    EnlargeSpec, Fault, FaultKind, PictureKind, PictureSpec, Profile, StyleShare, StylizeSpec,
};

use crate::library::{self, Library};
use crate::memory::{Budget, NoRoom, Reservation};
use crate::worker::{Engine, Refusal, Stream};

/// Mixes that are kept in memory; a network takes a few megabytes.
const MAX_KEPT: usize = 8;

/// The most memory that one picture may take, however large the budget is.
const MAX_PICTURE_BYTES: u64 = 4 << 30;

/// The styles' networks.
pub struct Studio {
    library: Library,
    device: Device,
    budget: Budget,
    /// The user's styles as they were when `kept` was loaded.
    stamp: Vec<(PathBuf, Option<SystemTime>, u64)>,
    /// The one that was used longest ago first.
    kept: Vec<(Vec<StyleShare>, Mixture)>,
    /// Those that enlarge.
    enlargers: HashMap<PictureKind, Arc<dyn Generator>>,
}

impl Studio {
    /// With the styles of a library, on a device. Pictures take of this budget.
    pub fn new(library: Library, device: Device, budget: Budget) -> Self {
        Self { library, device, budget, stamp: Vec::new(), kept: Vec::new(), enlargers: HashMap::new() }
    }

    fn mixture(&mut self, mix: &[StyleShare]) -> Result<Mixture, Fault> {
        let stamp = self.library.stamp();
        if stamp != self.stamp {
            self.kept.clear();
            self.stamp = stamp;
        }
        let entry = match self.kept.iter().position(|(kept, _)| kept == mix) {
            Some(at) => self.kept.remove(at),
            None => {
                let loaded = self.load(mix)?;
                if self.kept.len() == MAX_KEPT {
                    self.kept.remove(0);
                }
                (mix.to_vec(), loaded)
            }
        };
        let mixture = entry.1.clone();
        self.kept.push(entry);
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

    fn enlarger(&mut self, kind: PictureKind) -> Result<Arc<dyn Generator>, Fault> {
        if let Some(enlarger) = self.enlargers.get(&kind) {
            return Ok(Arc::clone(enlarger));
        }
        let bad = |error| {
            Fault::new(FaultKind::BadStyle, format!("the network that enlarges can't be loaded: {error}"))
        };
        let enlarger = library::enlarger(kind).generator_on(&self.device, &[1.0]).map_err(bad)?;
        self.enlargers.insert(kind, Arc::clone(&enlarger));
        Ok(enlarger)
    }

    /// Sets aside what a picture will take.
    fn reserve(&self, bytes: u64, raster: Raster, brush: &str) -> Result<Reservation, Refusal> {
        let (width, height) = (raster.width(), raster.height());
        let too_large = |most: u64| {
            let message = format!(
                "a picture of {width} x {height} pixels takes about {:.1} GB of memory{brush}, and {:.1} GB is the \
                 most there is for it: cut the picture, or close other programs",
                bytes as f64 / 1e9,
                most.min(MAX_PICTURE_BYTES) as f64 / 1e9
            );
            Fault::new(FaultKind::OutOfMemory, message)
        };
        if bytes > MAX_PICTURE_BYTES {
            return Err(too_large(MAX_PICTURE_BYTES).into());
        }
        self.budget.reserve(bytes).map_err(|NoRoom { most, .. }| {
            Refusal::Later(if bytes > most {
                too_large(most)
            } else {
                let message =
                    "there is no memory for this picture beside the requests that wait; try again later";
                Fault::new(FaultKind::Busy, message)
            })
        })
    }

    fn begin(&mut self, job: &StylizeSpec) -> Result<Painting, Refusal> {
        let space = space(&job.profile)?;
        let mixture = self.mixture(&job.mix).map_err(Refusal::Fault)?;
        let factor = job.brush_factor();
        let brush = BrushScale::new(factor).ok_or_else(|| {
            Refusal::Fault(Fault::new(
                FaultKind::Invalid,
                format!("a brush size of {factor}: it is 1 or more"),
            ))
        })?;
        let (layout, depth) = format(job.raster.format());
        let settings = Settings {
            width: job.raster.width() as usize,
            height: job.raster.height() as usize,
            layout,
            depth,
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
        let reservation = self.reserve(bytes, job.raster, &format!(" at brush size {factor}"))?;
        let stylizer = Stylizer::new(&mixture, settings);
        let stylizer = match space {
            Some(space) => stylizer.in_space(Arc::new(space)),
            None => stylizer,
        };
        Ok(Painting { work: Work::Stylize(Box::new(stylizer)), reservation })
    }

    fn begin_to_enlarge(&mut self, job: &EnlargeSpec) -> Result<Painting, Refusal> {
        let space = space(&job.profile)?;
        let enlarger = self.enlarger(job.kind()).map_err(Refusal::Fault)?;
        let raster = job.raster();
        let (layout, depth) = format(raster.format());
        let settings = EnlargeSettings {
            width: raster.width() as usize,
            height: raster.height() as usize,
            layout,
            depth,
            scale: job.scale().times() as usize,
        };
        let bytes = Enlargement::memory_bytes(&*enlarger, settings);
        let reservation = self.reserve(bytes, raster, " to be enlarged")?;
        let enlargement = Enlargement::new(&enlarger, settings);
        let enlargement = match space {
            Some(space) => enlargement.in_space(Arc::new(space)),
            None => enlargement,
        };
        Ok(Painting { work: Work::Enlarge(enlargement), reservation })
    }
}

/// The colours of a picture with such a profile, if they aren't sRGB.
fn space(Profile(icc): &Profile) -> Result<Option<ColourSpace>, Refusal> {
    match &icc[..] {
        [] => Ok(None),
        icc => ColourSpace::from_icc(icc)
            .map_err(|error| Refusal::Fault(Fault::new(FaultKind::Invalid, error.to_string()))),
    }
}

/// The same to the engine.
fn format(PixelFormat { channels, depth }: PixelFormat) -> (Layout, Depth) {
    let layout = match channels {
        pixels::Channels::Grey => Layout::Grey,
        pixels::Channels::GreyAlpha => Layout::GreyAlpha,
        pixels::Channels::Rgb => Layout::Rgb,
        pixels::Channels::Rgba => Layout::Rgba,
    };
    let depth = match depth {
        pixels::Depth::U8 => Depth::U8,
        pixels::Depth::U16 => Depth::U16,
        pixels::Depth::F32 => Depth::F32,
    };
    (layout, depth)
}

impl Engine for Studio {
    fn open(&mut self, job: &PictureSpec) -> Result<Box<dyn Stream>, Refusal> {
        let painting = match job {
            PictureSpec::Stylize(job) => self.begin(job)?,
            PictureSpec::Enlarge(job) => self.begin_to_enlarge(job)?,
        };
        Ok(Box::new(painting))
    }

    fn unload(&mut self) {
        self.kept.clear();
        self.enlargers.clear();
        self.device.release();
    }

    fn loaded(&self) -> Vec<String> {
        let mut ids: Vec<String> =
            self.kept.iter().flat_map(|(mix, _)| mix).map(|style| style.id.clone()).collect();
        ids.extend(self.enlargers.keys().map(|kind| library::enlarger(*kind).styles()[0].id.clone()));
        ids.sort();
        ids.dedup();
        ids
    }

    fn device(&self) -> String {
        self.device.to_string()
    }
}

struct Painting {
    work: Work,
    /// Comes back when the other has let go of its memory.
    reservation: Reservation,
}

enum Work {
    Stylize(Box<Stylizer>),
    Enlarge(Enlargement),
}

impl Stream for Painting {
    fn push(&mut self, rows: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
        let pushed = match &mut self.work {
            Work::Stylize(stylizer) => stylizer.push(rows, out),
            Work::Enlarge(enlargement) => enlargement.push(rows, out),
        };
        pushed.map_err(|EngineError::Network(error)| {
            Fault::new(
                FaultKind::Internal,
                format!("the network failed: {error}; this is a defect of Utsushi's"),
            )
        })
    }

    fn finish(self: Box<Self>) -> Option<Reservation> {
        Some(self.reservation)
    }
}

#[cfg(test)]
mod tests {
    use utsushi_ipc::protocol::BrushSize;

    use super::*;
    use crate::memory::Supply;
    use crate::worker::fake::spec;

    /// A picture in this mix of two styles, of which there are many.
    fn mixed(share: usize, side: u32) -> StylizeSpec {
        let mix = [("cel", 1.0), ("paint", 1.0 + share as f32)];
        let mix = mix.map(|(id, share)| StyleShare { id: id.into(), share }).to_vec();
        StylizeSpec { mix, brush_size: BrushSize::Factor(1.0), ..spec("", 1, side, side) }
    }

    fn studio(budget_bytes: u64) -> Studio {
        let folder = PathBuf::from("/nowhere");
        let budget = Budget::new(move || [Some(Supply { free: 2 * budget_bytes, held: 0 }), None, None]);
        let device = Device::choose(utsushi_engine::DeviceChoice::Cpu).expect("there is a processor");
        Studio::new(Library::open(folder), device, budget)
    }

    #[test]
    fn the_mix_that_was_used_longest_ago_goes_first() {
        let mut studio = studio(1 << 30);
        let mut use_mix = |share| drop(studio.mixture(&mixed(share, 8).mix).expect("a mix"));
        (0..MAX_KEPT).for_each(&mut use_mix);
        use_mix(0);
        use_mix(MAX_KEPT);
        let kept = |share| studio.kept.iter().any(|(mix, _)| *mix == mixed(share, 8).mix);
        assert_eq!(studio.kept.len(), MAX_KEPT);
        assert!(kept(0) && !kept(1) && kept(2) && kept(MAX_KEPT));
    }

    #[test]
    fn pictures_take_of_the_budget_what_they_will_hold() {
        let open = |studio: &mut Studio, side| studio.open(&mixed(0, side).into());
        let width = 256;
        let mut probe = studio(u64::MAX / 4);
        let stream = open(&mut probe, width).expect("room");
        let (_, bytes) = probe.budget.describe();
        assert!(bytes > 1 << 20, "{bytes}");
        // What is reserved goes on after the picture, until the client has it.
        let reservation = stream.finish().expect("reserved");
        assert_eq!(probe.budget.describe().1, bytes);
        drop(reservation);
        assert_eq!(probe.budget.describe().1, 0);

        let mut studio = studio(bytes * 2 + 1);
        let first = open(&mut studio, width).expect("room");
        let _second = open(&mut studio, width).expect("room");
        assert!(
            matches!(open(&mut studio, width), Err(Refusal::Later(fault)) if fault.kind == FaultKind::Busy),
            "there is room beside one"
        );
        let too_large = open(&mut studio, 8 * width).map(drop);
        assert!(
            matches!(&too_large, Err(Refusal::Later(fault)) if fault.kind == FaultKind::OutOfMemory),
            "{too_large:?}"
        );
        drop(first);
        open(&mut studio, width).map(drop).expect("there is room again");
    }
}
