//! A picture's way from raw pixels to re-drawn raw pixels, a few rows at a time.
//!
//! ```text
//! source rows -> RGB -> filled under alpha -> reduced by the brush size -> generators, mixed
//!      |                       |                        |                         |
//!      |                       |                        +------- guide ------> enlarged <- guide: the RGB
//!      +-- delayed until the network has caught up ----------------------> blended -> rows of the result
//! ```
//!
//! Every step is local and knows its place in the picture, so the result does not depend on how the rows were
//! cut into bands. Memory depends on the picture's width and on how far the network looks, not on the height: the
//! source's rows wait for the network, which at a brush size of `b` looks `b` times as far.
//!
//! Some networks must see the whole picture before they draw any of it. For these the source is held until all
//! of it has come, and goes this way twice: as far as the generators to be looked at, and then to be drawn, for
//! which whoever pushes goes on pushing without rows.

use std::sync::Arc;

use rayon::prelude::*;

use crate::buffers::{keep, room};
use crate::colour::{Blend, Codec, Colours};
use crate::colour_space::ColourSpace;
use crate::front::Front;
use crate::pixels::{Depth, Layout};
use crate::scale::{Enlarged, Reduce, Stretch};
use crate::source::Source;
use crate::{EngineError, Generator, Grain, Region, RowStream};

/// Pixels that the network works on at a time: enough to keep every thread busy, few enough that what passes
/// from layer to layer stays near the processor.
const CHUNK_PX: usize = 1 << 17;
/// Below this, the rows around the chunk cost more than the chunk.
const MIN_CHUNK_ROWS: usize = 16;
/// Above this, someone who waits for another picture notices.
const MAX_CHUNK_ROWS: usize = 512;
/// Pixels that are enlarged at a time; each takes 24 bytes meanwhile.
const ENLARGED_PX: usize = 1 << 20;

/// Styles and their shares: each generator's picture counts by its share, and the shares' sum is 1.
pub type Mixture = Vec<(Arc<dyn Generator>, f32)>;

/// The scale at which the network works: each side of the picture is reduced by it. At least 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BrushScale(f64);

impl BrushScale {
    /// `None` if `factor` is below 1 or no number.
    pub fn new(factor: f32) -> Option<Self> {
        (factor >= 1.0 && factor.is_finite()).then_some(Self(f64::from(factor)))
    }

    fn reduce(self, side: usize) -> usize {
        ((side as f64 / self.0).round() as usize).max(1)
    }
}

/// Where a part of a picture lies in it. In pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The part's first column.
    pub x: usize,
    /// The part's first row.
    pub y: usize,
    /// The whole picture's columns.
    pub width: usize,
    /// The whole picture's rows.
    pub height: usize,
}

/// How to re-draw a picture; `width`, `height` and the samples of a pixel are those of the source and the result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// In pixels; at least 1.
    pub width: usize,
    /// In pixels; at least 1.
    pub height: usize,
    /// A pixel's channels.
    pub layout: Layout,
    /// A sample's type.
    pub depth: Depth,
    /// From 0, the source, to 1, the style.
    pub strength: f32,
    /// From 0, the style's colours, to 1, the source's chroma.
    pub keep_colours: f32,
    /// The scale at which the network works.
    pub brush: BrushScale,
    /// What the network draws strokes of, if it is one that does.
    pub grain: Grain,
    /// Where the source lies in its picture; `None` if it is all of it. Away from the sides at which it was cut out, by
    /// what the networks and the steps around them look at, a part is drawn as in the whole, bit for bit.
    pub place: Option<Place>,
}

impl Settings {
    /// Rows and columns at full size and at the network's.
    ///
    /// # Panics
    /// If there are none, or they lie outside of the picture.
    fn sides(&self) -> Sides {
        let Self { width, height, brush, .. } = *self;
        let Place { x, y, width: whole_width, height: whole_height } =
            self.place.unwrap_or(Place { x: 0, y: 0, width, height });
        let full = (
            Stretch { start: y, len: height, whole: whole_height },
            Stretch { start: x, len: width, whole: whole_width },
        );
        for side in [full.0, full.1] {
            assert!(side.len > 0 && side.end() <= side.whole, "{self:?}");
        }
        let low = |side: Stretch| side.reduced(brush.reduce(side.whole));
        Sides { full, low: (low(full.0), low(full.1)) }
    }
}

/// Rows and columns.
struct Sides {
    full: (Stretch, Stretch),
    low: (Stretch, Stretch),
}

/// A picture being re-drawn.
pub struct Stylizer {
    settings: Settings,
    source: Source,
    /// Where networks look first, until they have.
    look: Option<Front>,
    front: Front,
    enlarged: Option<Enlarged>,
    streams: Vec<Part>,
    /// Rows that wait until there are enough of them for the network to work on at a time.
    waiting: Vec<Vec<f32>>,
    chunk_rows: usize,
    /// Rows at full size that wait for nothing but to be blended.
    drawn: Vec<f32>,
}

/// One generator's part in the picture.
struct Part {
    stream: Box<dyn RowStream>,
    looks_first: bool,
    share: f32,
    /// Rows that the others have not drawn yet.
    rows: Vec<f32>,
}

impl Stylizer {
    /// Begins a picture.
    ///
    /// # Panics
    /// If a side is 0, the place lies outside of its picture, or the mixture is empty.
    pub fn new(mixture: &Mixture, settings: Settings) -> Self {
        let Settings { width, layout, depth, grain, .. } = settings;
        assert!(!mixture.is_empty());
        let Sides { full, low } = settings.sides();
        let whole = (low.0.whole, low.1.whole);
        let is_reduced = whole != (full.0.whole, full.1.whole);
        let region = Region { width: low.1.len, height: low.0.len, x: low.1.start, y: low.0.start };
        let stream = |(generator, share): &(Arc<dyn Generator>, f32)| Part {
            stream: generator.stream(region, grain),
            looks_first: generator.looks_first(),
            share: *share,
            rows: Vec::new(),
        };
        let front = || Front::new(full, layout.has_alpha(), is_reduced.then(|| Reduce::of_part(full, whole)));
        Self {
            settings,
            source: Source::new(Codec { layout, depth }, width, kept_rows(mixture, &settings)),
            look: looks_first(mixture).then(front),
            front: front(),
            enlarged: is_reduced.then(|| Enlarged::new(low, full)),
            streams: mixture.iter().map(stream).collect(),
            waiting: Vec::new(),
            chunk_rows: chunk_rows(low.1.len),
            drawn: Vec::new(),
        }
    }

    /// Takes the source's colours for those of another space than sRGB. Before the first rows.
    pub fn in_space(mut self, space: Arc<ColourSpace>) -> Self {
        self.source.colours = Colours::Of(space);
        self
    }

    /// About how much memory a picture takes at most, in bytes: what the networks take, and the source's rows
    /// that wait for them.
    pub fn memory_bytes(mixture: &Mixture, settings: &Settings) -> u64 {
        let Settings { width, .. } = *settings;
        let (low_rows, low_cols) = settings.sides().low;
        let network: u64 = mixture.iter().map(|(g, _)| g.memory_bytes(low_rows.len, low_cols.len)).sum();
        let row_bytes = width * Codec { layout: settings.layout, depth: settings.depth }.pixel_bytes();
        // At the end, the rows that waited lie in the source and in the result.
        let rows = kept_rows(mixture, settings)
            + if looks_first(mixture) { 0 } else { waiting_rows(mixture, settings) };
        network + (rows * row_bytes) as u64
    }

    /// Takes the next rows of the source, whole ones; appends the rows of the result that are finished now.
    ///
    /// When the source's last row was taken, all are, unless a network looks first. Then none are: from there on
    /// each call, without rows, goes on with the picture until some are finished.
    ///
    /// # Errors
    /// If the network fails.
    ///
    /// # Panics
    /// If `rows` is no whole number of rows, or more than the picture has left.
    pub fn push(&mut self, rows: &[u8], out: &mut Vec<u8>) -> Result<(), EngineError> {
        let row_bytes = self.source.row_bytes();
        assert!(rows.len().is_multiple_of(row_bytes));
        assert!(self.source.end() + rows.len() / row_bytes <= self.settings.height);
        // One of the threads that do the work, so that none has to be woken for each layer.
        rayon::scope(|_| match rows {
            [] => self.go_on(out),
            // No more at a time than the network takes, so that they are still in the processor's cache.
            rows => rows.chunks(self.chunk_rows * row_bytes).try_for_each(|rows| self.take(rows, out)),
        })
    }

    fn take(&mut self, rows: &[u8], out: &mut Vec<u8>) -> Result<(), EngineError> {
        self.source.push(rows);
        if self.look.is_some() { self.look() } else { self.advance(self.source.end(), out) }
    }

    /// Draws rows that have come before, until some are finished.
    fn go_on(&mut self, out: &mut Vec<u8>) -> Result<(), EngineError> {
        let before = out.len();
        while out.len() == before && self.front.seen < self.source.end() {
            let rows = (CHUNK_PX / self.settings.width).clamp(MIN_CHUNK_ROWS, MAX_CHUNK_ROWS);
            self.advance((self.front.seen + rows).min(self.source.end()), out)?;
        }
        Ok(())
    }

    /// Shows the rows that have come to the networks that look first.
    fn look(&mut self) -> Result<(), EngineError> {
        let Some(front) = &mut self.look else { return Ok(()) };
        let rows = front.take(&self.source, self.source.end());
        if !rows.is_empty() {
            let input = input(&rows);
            let mut looking = self.streams.iter_mut().filter(|part| part.looks_first);
            looking.try_for_each(|part| part.stream.look(&input))?;
            keep(input);
        }
        if self.source.end() == self.settings.height {
            self.look = None;
        }
        Ok(())
    }

    /// Draws the source as far as row `to`.
    fn advance(&mut self, to: usize, out: &mut Vec<u8>) -> Result<(), EngineError> {
        let rows = self.front.take(&self.source, to);
        if !rows.is_empty() {
            self.draw(rows)?;
        }
        if to == self.settings.height {
            // All that waited comes at once: growing by doubling, it would be far larger than was said.
            out.reserve_exact(self.source.kept_bytes());
        }
        self.finish(out);
        Ok(())
    }

    /// Sends RGB rows, 0..1, through the generators.
    fn draw(&mut self, rows: Vec<Vec<f32>>) -> Result<(), EngineError> {
        if let Some(enlarged) = &mut self.enlarged {
            rows.iter().for_each(|row| enlarged.push_guide(row.clone()));
        }
        self.waiting.extend(rows);
        let is_end = self.front.taken == self.settings.height;
        while self.waiting.len() >= self.chunk_rows || (is_end && !self.waiting.is_empty()) {
            let rest = self.waiting.split_off(self.chunk_rows.min(self.waiting.len()));
            let chunk = std::mem::replace(&mut self.waiting, rest);
            self.draw_chunk(&chunk)?;
        }
        Ok(())
    }

    fn draw_chunk(&mut self, rows: &[Vec<f32>]) -> Result<(), EngineError> {
        let (row_len, input) = (rows[0].len(), input(rows));
        for part in &mut self.streams {
            if part.rows.is_empty() {
                part.rows = room(input.len());
            }
            part.stream.push(&input, &mut part.rows)?;
        }
        keep(input);
        let ready = self.streams.iter().map(|part| part.rows.len()).min().unwrap_or(0);
        if self.drawn.is_empty() {
            self.drawn = room(ready);
        }
        let start = self.drawn.len();
        self.drawn.resize(start + ready, 0.0);
        let mixed = &mut self.drawn[start..];
        for part in &mut self.streams {
            let (share, rows) = (part.share, part.rows.par_chunks(row_len));
            mixed.par_chunks_mut(row_len).zip(rows).for_each(|(mixed, row)| {
                for (mixed, value) in mixed.iter_mut().zip(row) {
                    *mixed += share * (value * 0.5 + 0.5).clamp(0.0, 1.0);
                }
            });
            part.rows.drain(..ready);
            if part.rows.is_empty() {
                keep(std::mem::take(&mut part.rows));
            }
        }
        if let Some(enlarged) = &mut self.enlarged {
            mixed.chunks_exact(row_len).for_each(|row| enlarged.push_value(row.to_vec()));
            self.drawn.clear();
        }
        Ok(())
    }

    /// Blends the rows that are drawn into their source, and lets go of them. A few at a time: those that wait
    /// for the end may be a large part of the picture, and as values they are many times larger.
    fn finish(&mut self, out: &mut Vec<u8>) {
        self.enlarge();
        while !self.drawn.is_empty() {
            self.blend(out);
            self.enlarge();
        }
        keep(std::mem::take(&mut self.drawn));
    }

    /// Brings the next rows that are drawn at a reduced size to the full one.
    fn enlarge(&mut self) {
        let Some(enlarged) = &mut self.enlarged else { return };
        let (source, first) = (&self.source, self.source.first());
        let most = (ENLARGED_PX / self.settings.width).max(1);
        let ready = (first..self.front.taken).take(most).take_while(|row| enlarged.is_ready(*row)).count();
        let rows: Vec<_> = (first..first + ready).into_par_iter().map(|row| source.rgb(row)).collect();
        enlarged.run(first, rows, &mut self.drawn);
        if first + ready < self.settings.height {
            enlarged.forget_before(first + ready);
        }
    }

    fn blend(&mut self, out: &mut Vec<u8>) {
        let row_len = self.settings.width * 3;
        let start = out.len();
        self.source.pop(self.drawn.len() / row_len, out);
        let Source { codec, colours, .. } = &self.source;
        let Settings { strength, keep_colours, layout, .. } = self.settings;
        let is_grey = layout.is_grey();
        let blend = Blend { strength, keep_colours, is_grey };
        // At a strength of 0, what came out of the source is the result, to the last bit.
        if strength > 0.0 {
            let rows = out[start..].par_chunks_exact_mut(self.source.row_bytes());
            let rows = rows.zip(self.drawn.par_chunks_exact_mut(row_len));
            rows.for_each_init(
                || (vec![0.0; row_len], vec![1.0; row_len / 3]),
                |(source, alpha), (row, drawn)| {
                    codec.read_rgb(row, source);
                    blend.run(colours, source, drawn);
                    if layout.has_alpha() {
                        codec.read_alpha(row, alpha);
                        keep_hidden(source, alpha, drawn);
                    }
                    codec.write_rgb(drawn, row);
                },
            );
        }
        self.drawn.clear();
    }
}

/// Where nothing can be seen, colours stay: some programs bring them back.
fn keep_hidden(source: &[f32], alpha: &[f32], drawn: &mut [f32]) {
    let pixels = source.as_chunks::<3>().0.iter().zip(drawn.as_chunks_mut::<3>().0);
    for ((source, drawn), _) in pixels.zip(alpha).filter(|(_, alpha)| **alpha <= 0.0) {
        *drawn = *source;
    }
}

/// Rows, 0..1, as networks take them.
pub(crate) fn input(rows: &[Vec<f32>]) -> Vec<f32> {
    let row_len = rows[0].len();
    let mut values = room(rows.len() * row_len);
    values.resize(rows.len() * row_len, 0.0);
    values.par_chunks_mut(row_len).zip(rows).for_each(|(values, row)| {
        values.iter_mut().zip(row).for_each(|(value, v)| *value = v * 2.0 - 1.0);
    });
    values
}

/// Rows that the network works on at a time, of this width.
fn chunk_rows(low_width: usize) -> usize {
    (CHUNK_PX / low_width).clamp(MIN_CHUNK_ROWS, MAX_CHUNK_ROWS)
}

/// How many rows of the source wait for the network at most: what it looks at above and below, and its chunk.
fn waiting_rows(mixture: &Mixture, settings: &Settings) -> usize {
    let reach_px = mixture.iter().map(|(generator, _)| generator.reach_px()).max().unwrap_or(0);
    let chunk_rows = chunk_rows(settings.sides().low.1.len);
    let rows = (2.0 * f64::from(reach_px) + chunk_rows as f64) * settings.brush.0 + 128.0;
    settings.height.min(rows as usize)
}

/// How many rows of the source lie in memory at most: as many again, since those that are gone are let go of by halves.
fn kept_rows(mixture: &Mixture, settings: &Settings) -> usize {
    match looks_first(mixture) {
        true => settings.height,
        false => settings.height.min(2 * waiting_rows(mixture, settings)),
    }
}

fn looks_first(mixture: &Mixture) -> bool {
    mixture.iter().any(|(generator, _)| generator.looks_first())
}
