//! The stylizer's promises: bands don't show, alpha stays, depth stays, strength 0 is the source.

use std::path::Path;
use std::sync::Arc;

use candle_core::Result;
use utsushi_engine::style_file::StyleFile;
use utsushi_engine::{
    BrushScale, Depth, Generator, Grain, Layout, Mixture, Place, Region, RowStream, Settings, Stylizer,
};

/// A network that does one thing to every value, and keeps a few rows back as a real one would.
struct Fake(fn(f32) -> f32);

struct FakeStream {
    f: fn(f32) -> f32,
    row_len: usize,
    held: Vec<f32>,
    missing: usize,
}

impl Generator for Fake {
    fn stream(&self, Region { width, height, .. }: Region, _: Grain) -> Box<dyn RowStream> {
        let row_len = width * 3;
        Box::new(FakeStream { f: self.0, row_len, held: Vec::new(), missing: height * row_len })
    }

    fn reach_px(&self) -> u32 {
        3
    }

    fn memory_bytes(&self, height: usize, width: usize) -> u64 {
        (height * width) as u64
    }
}

impl RowStream for FakeStream {
    fn push(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<()> {
        self.missing -= rows.len();
        self.held.extend(rows.iter().copied().map(self.f));
        let waiting = if self.missing == 0 { 0 } else { 3 * self.row_len };
        out.extend(self.held.drain(..self.held.len().saturating_sub(waiting)));
        Ok(())
    }
}

fn fake(f: fn(f32) -> f32) -> Mixture {
    vec![(Arc::new(Fake(f)), 1.0)]
}

fn cel() -> Mixture {
    let file = StyleFile::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../styles/cel.safetensors"));
    vec![(file.expect("a style file").generator(&[1.0]).expect("a network"), 1.0)]
}

fn settings(width: usize, height: usize, layout: Layout, depth: Depth) -> Settings {
    let brush = BrushScale::new(1.0).expect("a scale");
    Settings {
        width,
        height,
        layout,
        depth,
        strength: 1.0,
        keep_colours: 0.0,
        brush,
        grain: Grain::default(),
        place: None,
    }
}

fn channels(layout: Layout) -> usize {
    match layout {
        Layout::Grey => 1,
        Layout::GreyAlpha => 2,
        Layout::Rgb => 3,
        Layout::Rgba => 4,
    }
}

/// A smooth picture with an edge in it, as samples in 0..1.
fn samples(settings: Settings) -> Vec<f32> {
    let n = channels(settings.layout);
    (0..settings.width * settings.height * n)
        .map(|i| {
            let (x, y, c) =
                ((i / n % settings.width) as f32, (i / n / settings.width) as f32, (i % n) as f32);
            let edge = if x > y { 0.3 } else { 0.0 };
            (0.35 + 0.3 * (x * 0.11 + c).sin() * (y * 0.07).cos() + edge).clamp(0.0, 1.0)
        })
        .collect()
}

fn encode(samples: &[f32], depth: Depth) -> Vec<u8> {
    match depth {
        Depth::U8 => samples.iter().map(|v| (v * 255.0 + 0.5) as u8).collect(),
        Depth::U16 => samples.iter().flat_map(|v| ((v * 65535.0 + 0.5) as u16).to_ne_bytes()).collect(),
        Depth::F32 => samples.iter().flat_map(|v| v.to_ne_bytes()).collect(),
    }
}

fn decode(bytes: &[u8], depth: Depth) -> Vec<f32> {
    match depth {
        Depth::U8 => bytes.iter().map(|v| f32::from(*v) / 255.0).collect(),
        Depth::U16 => {
            bytes.as_chunks().0.iter().map(|v| f32::from(u16::from_ne_bytes(*v)) / 65535.0).collect()
        }
        Depth::F32 => bytes.as_chunks().0.iter().map(|v| f32::from_ne_bytes(*v)).collect(),
    }
}

fn run(mixture: &Mixture, settings: Settings, source: &[u8], band: usize) -> Vec<u8> {
    let mut stylizer = Stylizer::new(mixture, settings);
    let mut out = Vec::new();
    for rows in source.chunks(band * source.len() / settings.height) {
        stylizer.push(rows, &mut out).expect("the network runs");
    }
    assert_eq!(out.len(), source.len());
    out
}

#[test]
fn however_the_rows_are_cut_the_picture_is_the_same() {
    let network = cel();
    for (width, height) in [(1, 1), (1, 70), (70, 1), (9, 7), (61, 83), (16, 200)] {
        for (layout, depth) in
            [(Layout::Rgb, Depth::U8), (Layout::Rgba, Depth::U16), (Layout::GreyAlpha, Depth::F32)]
        {
            for brush in [1.0, 1.7, 4.0, 64.0] {
                let brush = BrushScale::new(brush).expect("a scale");
                let settings = Settings { brush, ..settings(width, height, layout, depth) };
                let source = encode(&samples(settings), depth);
                let whole = run(&network, settings, &source, height);
                for band in [1, 3, 8, 50] {
                    assert!(run(&network, settings, &source, band) == whole, "{settings:?}, bands of {band}");
                }
            }
        }
    }
}

#[test]
fn strength_0_gives_the_source_bit_for_bit() {
    let invert = fake(|v| -v);
    for layout in [Layout::Grey, Layout::GreyAlpha, Layout::Rgb, Layout::Rgba] {
        for depth in [Depth::U8, Depth::U16, Depth::F32] {
            for brush in [1.0, 3.0] {
                let brush = BrushScale::new(brush).expect("a scale");
                let settings = Settings { strength: 0.0, brush, ..settings(31, 17, layout, depth) };
                let mut source = samples(settings);
                // What a float picture may hold beyond black and white.
                source[0] = if depth == Depth::F32 { 7.5 } else { 1.0 };
                source[5] = if depth == Depth::F32 { f32::NEG_INFINITY } else { 0.0 };
                let source = encode(&source, depth);
                assert!(run(&invert, settings, &source, 4) == source, "{settings:?}");
            }
        }
    }
}

#[test]
fn depth_is_kept() {
    let identity = fake(|v| v);
    for (depth, step) in [(Depth::U8, 1.0 / 255.0), (Depth::U16, 1.0 / 65535.0), (Depth::F32, 1e-6)] {
        let settings = settings(40, 30, Layout::Rgb, depth);
        let source = encode(&samples(settings), depth);
        let result = decode(&run(&identity, settings, &source, 7), depth);
        let worst = result.iter().zip(decode(&source, depth)).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(worst <= step, "{depth:?}: off by {worst}");
    }
}

#[test]
fn alpha_stays_and_nothing_shines_through_from_under_it() {
    let network = cel();
    let settings = settings(96, 96, Layout::Rgba, Depth::U8);
    let picture = samples(settings);
    // A disc of picture; what is under the rest differs.
    let with_under = |under: [f32; 3]| {
        let mut picture = picture.clone();
        for (i, pixel) in picture.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let (x, y) = ((i % 96) as f32 - 48.0, (i / 96) as f32 - 48.0);
            pixel[3] = (1.0 + 30.0 - x.hypot(y)).clamp(0.0, 1.0);
            if pixel[3] == 0.0 {
                pixel[..3].copy_from_slice(&under);
            }
        }
        encode(&picture, Depth::U8)
    };
    let (black, white) = (with_under([0.0; 3]), with_under([1.0, 1.0, 1.0]));
    let over_black = run(&network, settings, &black, 10);
    let over_white = run(&network, settings, &white, 10);
    let pixels = |bytes: &[u8]| bytes.as_chunks::<4>().0.to_vec();
    for ((a, b), source) in pixels(&over_black).iter().zip(pixels(&over_white)).zip(pixels(&black)) {
        assert_eq!((a[3], b[3]), (source[3], source[3]), "alpha changed");
        assert!(source[3] == 0 || *a == b, "the colour under alpha 0 shows: {a:?} or {b:?}");
    }
}

#[test]
fn kept_colours_have_the_chroma_of_the_source_and_the_luma_of_the_style() {
    let darker = fake(|v| v * 0.5 - 0.3);
    let settings = Settings { keep_colours: 1.0, ..settings(20, 20, Layout::Rgb, Depth::F32) };
    // Mild colours, so that nothing is cut off at black or white.
    let source: Vec<f32> = samples(settings).iter().map(|v| 0.5 + 0.1 * v).collect();
    let result = decode(&run(&darker, settings, &encode(&source, Depth::F32), 20), Depth::F32);
    let luma = |p: &[f32]| 0.299 * p[0] + 0.587 * p[1] + 0.114 * p[2];
    for (source, result) in source.chunks(3).zip(result.chunks(3)) {
        // -1..1 there is 0..1 here: (2 v - 1) / 2 - 0.3, back to 0..1.
        assert!((luma(result) - ((luma(source) - 0.5) * 0.5 - 0.15 + 0.5)).abs() < 1e-5);
        for c in 0..3 {
            let (kept, had) = (result[c] - luma(result), source[c] - luma(source));
            assert!((kept - had).abs() < 1e-5, "{kept} {had}");
        }
    }
}

#[test]
fn mixed_networks_count_by_their_shares() {
    let settings = settings(13, 9, Layout::Rgb, Depth::F32);
    let source = encode(&samples(settings), Depth::F32);
    let (a, b): (Arc<dyn Generator>, Arc<dyn Generator>) =
        (Arc::new(Fake(|_| -1.0)), Arc::new(Fake(|_| 1.0)));
    let mixed = decode(&run(&vec![(a, 0.25), (b, 0.75)], settings, &source, 2), Depth::F32);
    assert!(mixed.iter().all(|v| (v - 0.75).abs() < 1e-6), "{mixed:?}");
}

#[test]
fn an_enlarged_picture_keeps_the_edges_of_its_source() {
    let identity = fake(|v| v);
    let brush = BrushScale::new(5.0).expect("a scale");
    let settings = Settings { brush, ..settings(103, 57, Layout::Rgb, Depth::F32) };
    // Black, and from a column that falls inside a reduced pixel on, white.
    let source: Vec<f32> = (0..103 * 57).flat_map(|i| [if i % 103 >= 52 { 1.0 } else { 0.0 }; 3]).collect();
    let result = decode(&run(&identity, settings, &encode(&source, Depth::F32), 57), Depth::F32);
    let worst = result.iter().zip(&source).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst < 0.05, "the edge is off by {worst}");
}

/// A network whose every value hangs on the seed, the grain, the place in the picture, and the pixels next to it.
struct Placed;

struct PlacedStream {
    region: Region,
    grain: Grain,
    rows: Vec<f32>,
    drawn: usize,
}

impl Generator for Placed {
    fn stream(&self, region: Region, grain: Grain) -> Box<dyn RowStream> {
        Box::new(PlacedStream { region, grain, rows: Vec::new(), drawn: 0 })
    }

    fn reach_px(&self) -> u32 {
        1
    }

    fn memory_bytes(&self, height: usize, width: usize) -> u64 {
        (height * width) as u64
    }
}

impl RowStream for PlacedStream {
    fn push(&mut self, rows: &[f32], out: &mut Vec<f32>) -> Result<()> {
        self.rows.extend(rows);
        let Region { width, height, x, y } = self.region;
        let came = self.rows.len() / (3 * width);
        while self.drawn < came.saturating_sub(usize::from(came < height)) {
            let row = self.drawn;
            let (above, below) = (row.saturating_sub(1), (row + 1).min(height - 1));
            for i in 0..3 * width {
                let (left, right) =
                    (if i < 3 { i } else { i - 3 }, if i + 3 < 3 * width { i + 3 } else { i });
                let at = |row: usize, i: usize| self.rows[row * 3 * width + i];
                let mean = 0.25 * (at(above, i) + at(below, i) + at(row, left) + at(row, right));
                let place = (x + i / 3) * 7 + (y + row) * 13 + self.grain.seed as usize * 5;
                out.push(0.7 * mean + self.grain.strength * 0.01 * (place % 29) as f32);
            }
            self.drawn += 1;
        }
        Ok(())
    }
}

/// A part of a picture's bytes.
fn cut(source: &[u8], whole: Settings, (x, y): (usize, usize), (width, height): (usize, usize)) -> Vec<u8> {
    let pixel_bytes = source.len() / (whole.width * whole.height);
    let rows = source.chunks(whole.width * pixel_bytes).skip(y).take(height);
    rows.flat_map(|row| &row[x * pixel_bytes..][..width * pixel_bytes]).copied().collect()
}

/// How far colours spread under transparent pixels.
const FILL_PX: usize = 72;

#[test]
fn parts_are_drawn_as_in_the_whole() {
    let placed: Mixture = vec![(Arc::new(Placed), 1.0)];
    let mut compared = 0;
    let (whole_width, whole_height) = (331, 307);
    for (layout, depth) in
        [(Layout::Rgb, Depth::F32), (Layout::GreyAlpha, Depth::F32), (Layout::Rgba, Depth::U8)]
    {
        for brush in [1.0, 2.5, 7.3] {
            let grain = Grain { seed: 3, strength: 0.5 };
            let brush = BrushScale::new(brush).expect("a scale");
            let whole = Settings { brush, grain, ..settings(whole_width, whole_height, layout, depth) };
            let mut picture = samples(whole);
            if let n @ (2 | 4) = channels(layout) {
                let alphas = picture.iter_mut().skip(n - 1).step_by(n).enumerate();
                alphas.for_each(|(i, alpha)| *alpha = if i % 11 < 6 { 0.0 } else { 0.7 });
            }
            let source = encode(&picture, depth);
            let drawn = run(&placed, whole, &source, 50);
            for (x, y, width, height) in
                [(0, 0, 200, 190), (1, 2, 300, 290), (13, 0, 318, 307), (0, 37, 200, 270), (9, 21, 241, 250)]
            {
                let place = Place { x, y, width: whole_width, height: whole_height };
                let part = Settings { width, height, place: Some(place), ..whole };
                let found = run(&placed, part, &cut(&source, whole, (x, y), (width, height)), 33);
                // What the network, reducing and enlarging look at, where that is cut off.
                let Settings { brush, .. } = part;
                let reach = if brush == BrushScale::new(1.0).expect("a scale") { 1 } else { 31 };
                let reach = reach + if channels(layout).is_multiple_of(2) { FILL_PX } else { 0 };
                let inner = |from: usize, len: usize, whole: usize| {
                    let start = if from == 0 { 0 } else { reach };
                    (start, len - start - if from + len == whole { 0 } else { reach })
                };
                let ((left, inner_width), (top, inner_height)) =
                    (inner(x, width, whole_width), inner(y, height, whole_height));
                let size = (inner_width, inner_height);
                assert!(
                    cut(&found, part, (left, top), size) == cut(&drawn, whole, (x + left, y + top), size),
                    "{part:?}"
                );
                compared += inner_width * inner_height;
                let elsewhere = Settings { place: Some(Place { x: x + 1, y, ..place }), ..part };
                if x + width < whole_width {
                    let source = cut(&source, whole, (x, y), (width, height));
                    assert!(run(&placed, elsewhere, &source, 33) != found, "{elsewhere:?}: the place counts");
                }
            }
            for other in [Grain { seed: 4, ..grain }, Grain { strength: 0.6, ..grain }] {
                assert!(run(&placed, Settings { grain: other, ..whole }, &source, 50) != drawn, "{other:?}");
            }
        }
    }
    assert!(compared > 500_000, "{compared} pixels");
}
