//! A picture's way from raw pixels to two or four times as many a side, a few rows at a time.
//!
//! ```text
//! source rows -> RGB -> filled under alpha -> generator -> in the source's colours -> rows twice as long, and as many
//!      |                                                        |       |
//!      +-- delayed until the network has caught up -------------+-- alpha, by a bicubic filter
//! ```
//!
//! Four times is this way twice. Every step is local, so that the result doesn't depend on how the rows were cut into
//! bands; memory depends on the picture's width alone.
//!
//! What the network doesn't see of a picture, light beyond white and colours outside of sRGB, is enlarged linearly, and
//! changed as the network has changed what it saw ([`crate::colour`]). Where nothing is opaque, the colours are those
//! that the network saw there.

use std::sync::Arc;

use rayon::prelude::*;

use crate::arch::enlarger::FACTOR;
use crate::bicubic::{self, REACH, TAPS};
use crate::buffers::{keep, room};
use crate::colour::{Blend, Codec, Colours, in_range};
use crate::colour_space::ColourSpace;
use crate::front::Front;
use crate::pixels::{Depth, Layout};
use crate::scale::Stretch;
use crate::source::Source;
use crate::stylizer::input;
use crate::{EngineError, Generator, Grain, Region, RowStream};

/// What a linear filter takes for either of the two pixels that one becomes, as [`TAPS`].
const LINEAR: [[f32; 2 * REACH + 1]; 2] = [[0.0, 0.25, 0.75, 0.0, 0.0], [0.0, 0.0, 0.75, 0.25, 0.0]];
/// Pixels of a pass's source that go through it at a time.
const PIECE_PX: usize = 1 << 16;
const MIN_PIECE_ROWS: usize = 8;

/// How to enlarge a picture; `width` and `height` are the source's, and the samples of a pixel the result's, too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EnlargeSettings {
    /// In pixels; at least 1.
    pub width: usize,
    /// In pixels; at least 1.
    pub height: usize,
    /// A pixel's channels.
    pub layout: Layout,
    /// A sample's type.
    pub depth: Depth,
    /// How many times longer each side becomes: 2 or 4.
    pub scale: usize,
}

/// A picture being enlarged.
pub struct Enlargement {
    /// Each takes what the one before it gives.
    passes: Vec<Pass>,
}

impl Enlargement {
    /// Begins a picture.
    ///
    /// # Panics
    /// If a side is 0, the scale is no power of 2 or less than that, or the generator doesn't enlarge.
    pub fn new(generator: &Arc<dyn Generator>, settings: EnlargeSettings) -> Self {
        let passes = passes(settings);
        assert!(generator.factor() == FACTOR && settings.width > 0 && settings.height > 0, "{settings:?}");
        Self { passes: passes.into_iter().map(|plan| Pass::new(&**generator, plan)).collect() }
    }

    /// Takes the source's colours for those of another space than sRGB. Before the first rows.
    pub fn in_space(mut self, space: Arc<ColourSpace>) -> Self {
        self.passes.iter_mut().for_each(|pass| pass.source.colours = Colours::Of(Arc::clone(&space)));
        self
    }

    /// About how much memory a picture takes at most, in bytes.
    pub fn memory_bytes(generator: &dyn Generator, settings: EnlargeSettings) -> u64 {
        let bytes = |plan: PassPlan| {
            let network = generator.memory_bytes(plan.height, plan.width);
            network + (plan.kept_rows(generator) * plan.width * plan.from.pixel_bytes()) as u64
        };
        let passes = passes(settings);
        let longest = passes.last().map_or(0, |plan| plan.result_bytes(generator));
        passes.into_iter().map(bytes).sum::<u64>() + longest
    }

    /// Takes the next rows of the source, whole ones; appends the rows of the result that are finished now. When the
    /// source's last row was taken, all are.
    ///
    /// # Errors
    /// If the network fails.
    ///
    /// # Panics
    /// If `rows` is no whole number of rows, or more than the picture has left.
    pub fn push(&mut self, rows: &[u8], out: &mut Vec<u8>) -> Result<(), EngineError> {
        // One of the threads that do the work, so that none has to be woken for each layer.
        rayon::scope(|_| push(&mut self.passes, rows, out))
    }
}

fn push(passes: &mut [Pass], rows: &[u8], out: &mut Vec<u8>) -> Result<(), EngineError> {
    let Some((first, rest)) = passes.split_first_mut() else { return Ok(()) };
    let row_bytes = first.source.row_bytes();
    assert!(rows.len().is_multiple_of(row_bytes));
    for rows in rows.chunks(first.plan.piece_rows() * row_bytes) {
        if rest.is_empty() {
            first.push(rows, out)?;
        } else {
            let mut between = Vec::new();
            first.push(rows, &mut between)?;
            push(rest, &between, out)?;
        }
    }
    Ok(())
}

/// A pass before it is begun.
#[derive(Debug, Clone, Copy)]
struct PassPlan {
    /// The source's.
    width: usize,
    height: usize,
    from: Codec,
    to: Codec,
}

/// What lies between two passes is more exact than what eyes see.
fn passes(EnlargeSettings { width, height, layout, depth, scale }: EnlargeSettings) -> Vec<PassPlan> {
    assert!(scale >= FACTOR && scale.is_power_of_two(), "enlarged {scale} times");
    let count = scale.ilog2() as usize;
    let between = if depth == Depth::F32 { Depth::F32 } else { Depth::U16 };
    let depth_at = |at: usize| if at == 0 || at == count { depth } else { between };
    let pass = |at: usize| PassPlan {
        width: width << at,
        height: height << at,
        from: Codec { layout, depth: depth_at(at) },
        to: Codec { layout, depth: depth_at(at + 1) },
    };
    (0..count).map(pass).collect()
}

impl PassPlan {
    fn piece_rows(&self) -> usize {
        (PIECE_PX / self.width).max(MIN_PIECE_ROWS)
    }

    /// Rows that wait for the network at most; as many again, since those that are gone are let go of by halves.
    fn kept_rows(&self, generator: &dyn Generator) -> usize {
        // What is transparent is filled from cells, for which more rows have to come.
        const CELLS_PX: usize = 128;
        let cells = if self.from.layout.has_alpha() { CELLS_PX } else { 0 };
        self.height.min(2 * (2 * generator.reach_px() as usize + self.piece_rows() + cells))
    }

    /// What comes at once at the picture's end.
    fn result_bytes(&self, generator: &dyn Generator) -> u64 {
        (self.kept_rows(generator) * FACTOR * FACTOR * self.width * self.to.pixel_bytes()) as u64
    }
}

/// A picture on its way to twice its size.
struct Pass {
    plan: PassPlan,
    source: Source,
    front: Front,
    stream: Box<dyn RowStream>,
    /// What the network has drawn, and is still to be written: whole pairs of rows.
    drawn: Vec<f32>,
    /// Rows of the source whose pairs are written.
    done: usize,
}

impl Pass {
    fn new(generator: &dyn Generator, plan: PassPlan) -> Self {
        let PassPlan { width, height, from, .. } = plan;
        let whole = |side| Stretch { start: 0, len: side, whole: side };
        Self {
            plan,
            source: Source::new(from, width, plan.kept_rows(generator)),
            front: Front::new((whole(height), whole(width)), from.layout.has_alpha(), None),
            stream: generator.stream(Region::whole(height, width), Grain::default()),
            drawn: Vec::new(),
            done: 0,
        }
    }

    fn push(&mut self, rows: &[u8], out: &mut Vec<u8>) -> Result<(), EngineError> {
        self.source.push(rows);
        assert!(self.source.end() <= self.plan.height, "more rows than the picture has");
        let shown = self.front.take(&self.source, self.source.end());
        if !shown.is_empty() {
            let input = input(&shown);
            if self.drawn.is_empty() {
                self.drawn = room(FACTOR * FACTOR * input.len());
            }
            self.stream.push(&input, &mut self.drawn)?;
            keep(input);
        }
        self.write(out);
        Ok(())
    }

    /// Writes what is drawn, in the source's colours and with its alpha.
    fn write(&mut self, out: &mut Vec<u8>) {
        let Self { plan: PassPlan { width, height, to, .. }, source, drawn, done, .. } = self;
        let (row_len, row_bytes) = (FACTOR * *width * 3, FACTOR * *width * to.pixel_bytes());
        let pairs = drawn.len() / (FACTOR * row_len);
        if pairs == 0 {
            return;
        }
        let (first, start) = (*done, out.len());
        out.resize(start + pairs * FACTOR * row_bytes, 0);
        let pairs_of_rows = out[start..].par_chunks_exact_mut(FACTOR * row_bytes);
        let pairs_of_rows = pairs_of_rows.zip(drawn.par_chunks_exact_mut(FACTOR * row_len)).enumerate();
        pairs_of_rows.for_each(|(i, (out, drawn))| {
            let around = std::array::from_fn(|tap| (first + i + tap).saturating_sub(REACH).min(*height - 1));
            write_pair(source, around, *to, drawn, out);
        });
        *done += pairs;
        source.forget_before(done.saturating_sub(REACH));
        keep(std::mem::take(drawn));
    }
}

/// Writes the two rows that a row of the source becomes, which is the middle one of those around it.
fn write_pair(source: &Source, around: [usize; 2 * REACH + 1], to: Codec, drawn: &mut [f32], out: &mut [u8]) {
    drawn.iter_mut().for_each(|value| *value = in_range(*value * 0.5 + 0.5));
    if !matches!(source.colours, Colours::Srgb) {
        let blend = Blend { strength: 1.0, keep_colours: 0.0, is_grey: to.layout.is_grey() };
        let unseen = doubled(around.map(|row| source.unseen_rgb(row)), 3, &LINEAR);
        blend.run(&source.colours, &unseen, drawn);
    }
    let rows = out.chunks_exact_mut(out.len() / FACTOR);
    rows.zip(drawn.chunks_exact(drawn.len() / FACTOR)).for_each(|(row, drawn)| to.write_rgb(drawn, row));
    if to.layout.has_alpha() {
        let mut alpha = doubled(around.map(|row| source.alpha(row)), 1, &TAPS);
        alpha.iter_mut().for_each(|value| *value = in_range(*value));
        let rows = out.chunks_exact_mut(out.len() / FACTOR);
        rows.zip(alpha.chunks_exact(alpha.len() / FACTOR))
            .for_each(|(row, alpha)| to.write_alpha(alpha, row));
    }
}

/// The two rows that the middle one of these becomes by a filter, one behind the other.
fn doubled(rows: [Vec<f32>; 2 * REACH + 1], channels: usize, taps: &[[f32; 2 * REACH + 1]; 2]) -> Vec<f32> {
    let len = FACTOR * rows[0].len();
    let mut out = vec![0.0; FACTOR * len];
    let (first, second) = out.split_at_mut(len);
    bicubic::enlarge(std::array::from_fn(|tap| &rows[tap][..]), channels, taps, [first, second]);
    out
}
