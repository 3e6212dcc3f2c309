//! What is true of the network's form for GPUs with any weights: bands and parts are those of the whole, bit for bit, and
//! where there is a filter, even pictures stay even.
//!
//! This needs a GPU, or the emulator in its place, and `UTSUSHI_TEST_DEVICE=cuda`; otherwise it says so and passes.

use utsushi_cuda::{Block, Brush, Conv, Gpu, Noise as Placed, Part, Weights};
use utsushi_kernels::Noise;

/// Channels, with and without padding, of a quarter, an eighth, half of the size, and the whole.
const C1: usize = 12;
const C2: usize = 24;
const CH: usize = 10;
const CF: usize = 5;
/// How much smaller each block's map is, and that of the last layers.
const FACTORS: [usize; 5] = [4, 8, 4, 2, 1];
/// How far this one looks, at least, and a multiple of 8.
const REACH: usize = 72;

struct Random(u32);

impl Random {
    fn values(&mut self, len: usize, size: f32) -> Vec<f32> {
        let mut value = || {
            self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((self.0 >> 8) as f32 / (1 << 23) as f32 - 1.0) * size
        };
        (0..len).map(|_| value()).collect()
    }

    fn conv(&mut self, inputs: usize, outputs: usize, kernel: usize) -> Conv {
        let taps = inputs * kernel * kernel;
        let weight = self.values(outputs * taps, 1.5 / (taps as f32).sqrt());
        Conv { weight, bias: self.values(outputs, 0.3), kernel }
    }

    fn block(&mut self, channels: usize, has_noise: bool) -> Block {
        let inside = 2 * channels;
        Block {
            depthwise: self.values(channels * 25, 0.3),
            depthwise_bias: self.values(channels, 0.3),
            noise: has_noise.then(|| self.values(channels, 0.5)),
            expand: self.values(inside * channels, 0.5),
            expand_bias: self.values(inside, 0.3),
            project: self.values(channels * inside, 0.3),
            project_bias: self.values(channels, 0.3),
        }
    }
}

/// A network with a block at each place.
fn brush(filters: bool) -> Option<Brush> {
    if std::env::var("UTSUSHI_TEST_DEVICE").as_deref() != Ok("cuda") {
        eprintln!("skipped: UTSUSHI_TEST_DEVICE isn't cuda");
        return None;
    }
    let mut random = Random(1);
    let weights = Weights {
        stem: random.conv(48, C1, 3),
        e1: vec![random.block(C1, filters)],
        down: random.conv(C1, C2, 2),
        mid: vec![random.block(C2, filters)],
        up: random.conv(C2, C1, 1),
        d1: vec![random.block(C1, filters)],
        h1: random.conv(C1, 4 * CH, 1),
        skip: random.conv(12, CH, 3),
        b2: random.block(CH, filters),
        h2: random.conv(CH, 4 * CF, 1),
        tail_noise: filters.then(|| random.values(CF, 0.5)),
        dw: random.conv(CF + 3, CF, 3),
        rgb: random.conv(CF, 3, 3),
    };
    Some(Brush::new(Gpu::open(0).expect("a GPU"), &weights).expect("room on the GPU"))
}

/// A picture.
struct Picture {
    values: Vec<f32>,
    width: usize,
    height: usize,
}

impl Picture {
    fn new(height: usize, width: usize) -> Self {
        Self { values: Random(9).values(height * width * 3, 1.0), width, height }
    }

    /// Of a part: its first column and row, its columns and rows.
    fn cut(&self, [x, y]: [usize; 2], [width, height]: [usize; 2]) -> Self {
        let row = |row: usize| self.values[(row * self.width + x) * 3..][..width * 3].iter().copied();
        Self { values: (y..y + height).flat_map(row).collect(), width, height }
    }

    /// Which way strokes go in the cells of the part of another that begins there: each its own way.
    fn directions(&self, [x, y]: [usize; 2]) -> Vec<u8> {
        let cells = |first: usize, side: usize| first / 8 * 2..(first + side).next_multiple_of(8) / 4;
        let of_row = |row: usize| {
            cells(x, self.width).map(move |col| ((row * 3 + col * 5 + row * col / 7) % 16) as u8)
        };
        cells(y, self.height).flat_map(of_row).collect()
    }

    /// Re-drawn, rows `wanted` of it, as the part of another that begins there.
    fn draw(&self, brush: &Brush, [x, y]: [usize; 2], strength: f32, wanted: std::ops::Range<usize>) -> Self {
        let (left, above) = (x % 8, y % 8);
        let of = |(layer, factor): (usize, usize)| {
            let place = (((x - left) / factor) as u32, ((y - above) / factor) as u32);
            let noise = Noise::new(3, layer as u32, strength, place);
            let (key, scale, (x, y)) = if factor > 1 { noise.stroke_parts() } else { noise.parts() };
            Placed { key, scale, x, y }
        };
        let noise: Vec<_> = FACTORS.into_iter().enumerate().map(of).collect();
        let (picture, width, directions) = (&self.values, self.width, &self.directions([x, y]));
        let part = Part { picture, width, above, left, noise: &noise, directions };
        let (mut values, height) = (Vec::new(), wanted.len());
        brush.draw(part, wanted, &mut values).expect("the GPU draws");
        Self { values, width: self.width, height }
    }
}

#[test]
fn bands_and_parts_are_those_of_the_whole() {
    let picture = Picture::new(2 * REACH + 61, 2 * REACH + 45);
    for filters in [false, true] {
        let Some(brush) = brush(filters) else { return };
        let whole = picture.draw(&brush, [0, 0], 0.8, 0..picture.height);
        // A band at the top, one in the middle, one at the bottom.
        for (first, end, wanted) in [
            (0, 16 + REACH, 0..16),
            (8, 8 + 2 * REACH + 21, REACH..REACH + 21),
            (56, picture.height, REACH..picture.height - 56),
        ] {
            let band = picture.cut([0, first], [picture.width, end - first]);
            let got = band.draw(&brush, [0, first], 0.8, wanted.clone());
            let want = whole.cut([0, first + wanted.start], [picture.width, wanted.len()]);
            assert!(got.values == want.values, "{filters}: rows from {first} to {end}");
        }
        for (x, y) in [(8, 16), (1, 3), (13, 7), (31, 40)] {
            let sides = [2 * REACH + 14, 2 * REACH + 17];
            let got = picture.cut([x, y], sides).draw(&brush, [x, y], 0.8, REACH..sides[1] - REACH);
            let got = got.cut([REACH, 0], [14, 17]);
            let want = whole.cut([x + REACH, y + REACH], [14, 17]);
            assert!(got.values == want.values, "{filters}: a part at {x}, {y}");
        }
    }
}

/// The least and most of each colour's values.
fn spread(picture: &Picture) -> f32 {
    (0..3).fold(0.0, |spread, colour| {
        let values = || picture.values.iter().skip(colour).step_by(3).copied();
        f32::max(spread, values().fold(f32::MIN, f32::max) - values().fold(f32::MAX, f32::min))
    })
}

#[test]
fn even_pictures_stay_even_without_noise() {
    let Some((with, without)) = brush(true).zip(brush(false)) else { return };
    for (height, width) in [(40, 64), (37, 21), (8, 8), (1, 1)] {
        let even = Picture { values: [0.3, -0.7, 0.1].repeat(height * width), width, height };
        for place in [[0, 0], [5, 11]] {
            let drawn = even.draw(&with, place, 0.0, 0..height);
            assert_eq!(spread(&drawn), 0.0, "{height} x {width} at {place:?}");
            let is_changed = drawn.values.iter().zip(&even.values).any(|(a, b)| (a - b).abs() > 0.01);
            assert!(is_changed, "the network does something");
        }
        if width > 1 {
            assert!(spread(&even.draw(&with, [0, 0], 1.0, 0..height)) > 0.01, "there is noise");
            assert!(spread(&even.draw(&without, [0, 0], 1.0, 0..height)) > 0.01, "it is the filter's doing");
        }
    }
}

/// Noise of each layer comes into the picture.
#[test]
fn each_layer_has_its_noise() {
    let Some(brush) = brush(true) else { return };
    let picture = Picture::new(24, 24);
    let directions = picture.directions([0, 0]);
    let draw_along = |noise: &[Placed], directions: &[u8]| {
        let part = Part { picture: &picture.values, width: 24, above: 0, left: 0, noise, directions };
        let mut out = Vec::new();
        brush.draw(part, 0..24, &mut out).expect("the GPU draws");
        out
    };
    let draw = |noise: &[Placed]| draw_along(noise, &directions);
    let none = [Placed { key: 1, scale: 0.0, x: 0, y: 0 }; 5];
    let still = draw(&none);
    for layer in 0..5 {
        let with = |change: fn(&mut Placed)| {
            let mut noise = none;
            noise[layer].scale = 0.005;
            change(&mut noise[layer]);
            draw(&noise)
        };
        let own = with(|_| ());
        assert!(own != still, "layer {layer}");
        for change in [|n: &mut Placed| n.key = 2, |n: &mut Placed| n.x = 1, |n: &mut Placed| n.y = 1] {
            assert!(with(change) != own, "layer {layer}: key and place matter");
        }
        let mut noise = none;
        noise[layer].scale = 0.005;
        for cell in 0..directions.len() {
            // A pixel at an eighth of the size has four cells, and the direction of the first.
            let mut turned = directions.clone();
            turned[cell] ^= 8;
            let is_looked_at = match FACTORS[layer] {
                8 => cell / 6 % 2 == 0 && cell % 2 == 0,
                factor => factor > 1,
            };
            assert_eq!(draw_along(&noise, &turned) != own, is_looked_at, "layer {layer}: cell {cell}");
        }
    }
}
