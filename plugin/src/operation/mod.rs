//! What the operation does, whatever GEGL calls it by: that is in `ffi::operation`.
//!
//! ```text
//! GEGL wants a tile ──> blocks that hold it ──> drawn already, of the same pixels? ──> cache
//!                                           └─> read them and what is around ──> painter ──> daemon
//! ```
//!
//! A part of a picture that knows its place in it is drawn as the same place of the whole, bit for bit (`filter::plan`).
//! So it doesn't matter which tiles GEGL asks for, in which order, and in how many parts they are drawn.
//!
//! GEGL has one thread wait for a tile: in GIMP, the one that its windows live on. So the wait is bounded (`painter`), and
//! what can't be drawn is shown as it is below.

mod blocks;
mod cache;
mod painter;
pub(crate) mod styles;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use utsushi_ipc::client::ClientError;
use utsushi_ipc::pixels::PixelFormat;
use utsushi_ipc::protocol::{Profile, StyleInfo};

use self::blocks::{Blocks, joined};
use self::cache::{Cache, Key, Pixels};
use self::painter::{Connect, PATIENCE, Painter};
use crate::filter::{self, FilterError, Plan};
use crate::params::{BRUSH_SIZE, PARAMS, Param, Settings, Value};
use crate::region::{Rect, Scaled};

/// How much of what was drawn is kept, in bytes.
const MOST_CACHED_BYTES: usize = 256 << 20;
/// How many pixels of blocks are drawn at once, at most, unless a single block has more.
const MOST_AT_ONCE_PX: i64 = 8 << 20;
/// If this is set, what each tile took is told on standard error.
const TRACE_VARIABLE: &str = "UTSUSHI_TRACE";

/// Why a tile is shown as it is.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Trouble {
    #[error(transparent)]
    Unsuitable(#[from] FilterError),
    #[error(transparent)]
    Daemon(ClientError),
    #[error("the daemon has got on with nothing for {waited_s} s; `utsushi status` tells how it is")]
    Slow { waited_s: u64 },
    #[error("can't start a thread: {0}")]
    Thread(io::Error),
    #[error("a defect of Utsushi's, please report it: its thread has ended")]
    Defect,
    /// After a failure, which has been told.
    #[error("the daemon is left alone for a while")]
    Resting,
}

/// What GEGL connects to the operation. Areas are in its coordinates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) extent: Rect,
    pub(crate) format: PixelFormat,
    pub(crate) profile: Profile,
}

/// The buffers of a tile that is to be drawn.
pub(crate) trait Buffers {
    /// Pixels of what is below.
    fn read(&mut self, area: Rect, pixels: &mut [u8]);
    /// Takes what was drawn.
    fn write(&mut self, area: Rect, pixels: &[u8]);
}

/// What all operations of a process have in common.
pub(crate) struct Studio {
    painter: Painter,
    cache: Mutex<Cache>,
    is_traced: bool,
    told: Mutex<String>,
}

impl Studio {
    /// `connect` is called on any thread.
    pub(crate) fn new(connect: Connect) -> Self {
        Self::with_patience(connect, PATIENCE)
    }

    /// With another patience, for tests.
    fn with_patience(connect: Connect, patience: Duration) -> Self {
        Self {
            painter: Painter::new(connect, patience),
            cache: Mutex::new(Cache::new(MOST_CACHED_BYTES)),
            is_traced: std::env::var_os(TRACE_VARIABLE).is_some(),
            told: Mutex::default(),
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The words for a trouble, unless they were the last that were said.
    pub(crate) fn words(&self, trouble: &Trouble) -> Option<String> {
        if matches!(trouble, Trouble::Resting) {
            return None;
        }
        let words = format!(
            "Utsushi: {trouble}. The picture is shown without the style; once that is mended, switch the filter off \
             and on again"
        );
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = *told != words;
        told.clone_from(&words);
        is_new.then_some(words)
    }
}

/// An operation in a graph.
pub(crate) struct Operation {
    state: Mutex<State>,
}

struct State {
    /// In the order of [`PARAMS`].
    values: Vec<Value>,
    /// What the blocks are settled for.
    picture: Option<Picture>,
    /// What lies below of each hasn't changed since it was found out, and so hasn't its key.
    settled: HashMap<Rect, Key>,
}

/// A block that is to be drawn.
struct Wanted {
    block: Rect,
    key: Key,
}

/// What a call needs to know. Areas are in pixels from the picture's corner.
struct Sheet {
    settings: Settings,
    styles: Arc<[StyleInfo]>,
    picture: Picture,
    blocks: Blocks,
}

impl Operation {
    pub(crate) fn new() -> Self {
        let values = PARAMS.iter().map(Param::default).collect();
        Self { state: Mutex::new(State { values, picture: None, settled: HashMap::new() }) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value of the parameter with this index.
    pub(crate) fn value(&self, index: usize) -> Option<Value> {
        self.lock().values.get(index).cloned()
    }

    /// Sets the value of the parameter with this index.
    pub(crate) fn set(&self, index: usize, value: Value) {
        let mut state = self.lock();
        let is_brush_size = PARAMS.get(index).is_some_and(|param| param.name == BRUSH_SIZE);
        let value = match value {
            // A slider can't leave out what is between automatic and 1.
            Value::Number(size) if is_brush_size && size > 0.0 && size < 1.0 => Value::Number(size.round()),
            value => value,
        };
        if let Some(place) = state.values.get_mut(index) {
            *place = value;
        }
        state.settled.clear();
    }

    /// What of the input has to be there for this area. Until the daemon has told of its styles, it is asked.
    pub(crate) fn needed_for(&self, studio: &Studio, picture: &Picture, area: Rect) -> Result<Rect, Trouble> {
        let sheet = self.sheet(picture, studio.painter.styles()?)?;
        let Some(around) = sheet.blocks.around(sheet.inside(area)) else { return Ok(area) };
        Ok(joined(sheet.outside(sheet.plan(around)?.region), area))
    }

    /// What of the output changes with this area of the input, which has changed.
    pub(crate) fn changed_by(&self, studio: &Studio, picture: Option<&Picture>, area: Rect) -> Rect {
        self.lock().settled.clear();
        let changed = || {
            let sheet = self.sheet(picture?, studio.painter.known_styles()?).ok()?;
            // It looks as far in one direction as in the other.
            Some(sheet.outside(sheet.plan(sheet.inside(area).within(sheet.whole())?).ok()?.region))
        };
        changed().map_or(area, |changed| joined(changed, area))
    }

    /// Draws an area, all of whose needed input is there.
    pub(crate) fn draw(
        &self,
        studio: &Studio,
        picture: &Picture,
        area: Rect,
        buffers: &mut impl Buffers,
    ) -> Result<(), Trouble> {
        let begun = Instant::now();
        let styles = studio.painter.styles()?;
        // It may be a style that was made after the daemon was asked.
        let sheet = self.sheet(picture, styles).inspect_err(|_| studio.painter.forget_styles())?;
        {
            let mut state = self.lock();
            if state.picture.as_ref() != Some(picture) {
                state.picture = Some(picture.clone());
                state.settled.clear();
            }
        }
        let Some(inside) = sheet.inside(area).within(sheet.whole()) else { return Ok(()) };
        let mut drawn = 0;
        for group in groups(sheet.blocks.of(inside)) {
            drawn += self.draw_group(studio, &sheet, &group, inside, buffers)?;
        }
        if studio.is_traced {
            let Rect { x, y, width, height } = area;
            let ms = begun.elapsed().as_secs_f64() * 1e3;
            eprintln!(
                "utsushi: {width} x {height} at {x}, {y}: {ms:.1} ms; blocks that were not there: {drawn}"
            );
        }
        Ok(())
    }

    /// Draws what these blocks have of an area, and tells how many of them weren't there yet.
    fn draw_group(
        &self,
        studio: &Studio,
        sheet: &Sheet,
        group: &[Rect],
        inside: Rect,
        buffers: &mut impl Buffers,
    ) -> Result<usize, Trouble> {
        let pixel_bytes = sheet.picture.format.pixel_bytes();
        let mut missing = Vec::new();
        let mut wanted = Vec::new();
        for &block in group {
            let settled = self.lock().settled.get(&block).copied();
            match settled.and_then(|key| studio.cache().get(key)) {
                Some(pixels) => sheet.show(block, &pixels, inside, buffers),
                None => wanted.push(block),
            }
        }
        for block in wanted {
            let plan = sheet.plan(block)?;
            let key = studio.cache().key(&plan.spec, block, &sheet.read(plan.region, buffers));
            self.lock().settled.insert(block, key);
            match studio.cache().get(key) {
                Some(pixels) => sheet.show(block, &pixels, inside, buffers),
                None => missing.push(Wanted { block, key }),
            }
        }

        let Some(together) = missing.iter().map(|wanted| wanted.block).reduce(joined) else { return Ok(0) };
        let Plan { spec, region, .. } = sheet.plan(together)?;
        let pixels = sheet.read(region, buffers);
        let drawn = studio.painter.draw(spec, region, together, pixels)?;
        for Wanted { block, key } in &missing {
            let pixels = Pixels::from(cut(&drawn, together, *block, pixel_bytes));
            sheet.show(*block, &pixels, inside, buffers);
            studio.cache().put(*key, pixels);
        }
        Ok(missing.len())
    }

    fn sheet(&self, picture: &Picture, styles: Arc<[StyleInfo]>) -> Result<Sheet, FilterError> {
        let settings = Settings::parse(&self.lock().values)?;
        Sheet::new(settings, styles, picture)
    }
}

impl Sheet {
    fn new(settings: Settings, styles: Arc<[StyleInfo]>, picture: &Picture) -> Result<Self, FilterError> {
        let Rect { width, height, .. } = picture.extent;
        let mix = settings.mix(&styles)?;
        let reach_px = mix.iter().map(|(style, _)| style.reach_px).max().unwrap_or(0);
        let brush_size = settings.brush_size.resolve(width.max(0) as u32, height.max(0) as u32);
        let blocks = Blocks::new(width, height, reach_px, brush_size);
        let sheet = Self { settings, styles, picture: picture.clone(), blocks };
        // That it is too large is found out here.
        sheet.plan(sheet.whole()).map(|_| sheet)
    }

    fn whole(&self) -> Rect {
        Rect { x: 0, y: 0, ..self.picture.extent }
    }

    fn inside(&self, area: Rect) -> Rect {
        let Rect { x, y, .. } = self.picture.extent;
        Rect { x: area.x.saturating_sub(x), y: area.y.saturating_sub(y), ..area }
    }

    fn outside(&self, area: Rect) -> Rect {
        let Rect { x, y, .. } = self.picture.extent;
        Rect { x: area.x + x, y: area.y + y, ..area }
    }

    fn plan(&self, area: Rect) -> Result<Plan, FilterError> {
        let mut plan = filter::plan(
            &self.settings,
            &self.styles,
            Scaled::whole(self.whole()),
            self.picture.format,
            area,
        )?;
        plan.spec.profile = self.picture.profile.clone();
        Ok(plan)
    }

    fn read(&self, region: Rect, buffers: &mut impl Buffers) -> Vec<u8> {
        let pixel_bytes = self.picture.format.pixel_bytes();
        let mut pixels = vec![0; region.width as usize * region.height as usize * pixel_bytes];
        buffers.read(self.outside(region), &mut pixels);
        pixels
    }

    /// Writes what a block has of an area.
    fn show(&self, block: Rect, pixels: &[u8], inside: Rect, buffers: &mut impl Buffers) {
        if let Some(part) = block.within(inside) {
            let part_pixels = cut(pixels, block, part, self.picture.format.pixel_bytes());
            buffers.write(self.outside(part), &part_pixels);
        }
    }
}

/// Blocks that are drawn at once: whole rows of them, as many as there may be.
fn groups(blocks: Vec<Rect>) -> Vec<Vec<Rect>> {
    let mut groups: Vec<Vec<Rect>> = Vec::new();
    let mut pixels = i64::MAX;
    for row in blocks.chunk_by(|one, other| one.y == other.y) {
        let more: i64 = row.iter().map(|block| i64::from(block.width) * i64::from(block.height)).sum();
        pixels = pixels.saturating_add(more);
        match groups.last_mut() {
            Some(group) if pixels <= MOST_AT_ONCE_PX => group.extend(row),
            _ => {
                groups.push(row.to_vec());
                pixels = more;
            }
        }
    }
    groups
}

/// The pixels of a part, of those of a whole that holds it.
fn cut(pixels: &[u8], whole: Rect, part: Rect, pixel_bytes: usize) -> Vec<u8> {
    let from = (part.x - whole.x) as usize * pixel_bytes;
    let bytes = part.width as usize * pixel_bytes;
    let rows = pixels.chunks_exact(whole.width as usize * pixel_bytes);
    let rows = rows.skip((part.y - whole.y) as usize).take(part.height as usize);
    rows.flat_map(|row| &row[from..from + bytes]).copied().collect()
}
