//! A network's last layers, done at once, against the same layers one after the other.

use utsushi_kernels::backward::blur;
use utsushi_kernels::{
    Activation, Conv, ConvWeights, Cpu, Geometry, InputNorm, Map, Noise, Shape, Source, Tail, TailWeights,
};

mod noise;

use noise::noise;

/// Weights and a bias.
struct Layer(Vec<f32>, Vec<f32>);

impl Layer {
    /// Results are about as large as inputs.
    fn new(seed: u32, inputs: usize, outputs: usize, kernel: usize) -> Self {
        let taps = inputs * kernel * kernel;
        let weight =
            noise(seed, outputs * taps).into_iter().map(|w| w / (taps as f32).sqrt() * 2.0).collect();
        Self(weight, noise(seed + 1, outputs))
    }

    fn weights(&self) -> ConvWeights<'_> {
        ConvWeights { weight: &self.0, bias: &self.1 }
    }

    fn run(&self, cpu: Cpu, geometry: Geometry, source: Source, activation: Activation) -> Vec<f32> {
        let conv = Conv::new(cpu, geometry, self.weights());
        let mut out = vec![f32::NAN; conv.output_shape(source.shape()).len()];
        conv.run(source, activation, &mut out);
        out
    }
}

fn rows(data: &[f32], row_len: usize) -> Vec<&[f32]> {
    data.chunks_exact(row_len).collect()
}

/// With the first and the last row once more.
fn padded(data: &[f32], row_len: usize) -> Vec<&[f32]> {
    let rows = rows(data, row_len);
    [&rows[..1], &rows, &rows[rows.len() - 1..]].concat()
}

struct Case {
    channels: usize,
    shuffled: usize,
    between: usize,
    rows: usize,
    cols: usize,
}

fn check(&Case { channels, shuffled, between, rows: half_rows, cols: half_cols }: &Case, filtered: bool) {
    let (half_shape, shape) =
        (Shape::new(half_rows, half_cols, channels), Shape::new(2 * half_rows, 2 * half_cols, 3));
    let (half, picture) = (noise(1, half_shape.len()), noise(2, shape.len()));
    let expand = Layer::new(3, channels, 4 * shuffled, 1);
    let join = Layer::new(5, shuffled + 3, between, 3);
    let rgb = Layer::new(7, between, 3, 3);
    let (half_map, picture_map) = (rows(&half, half_shape.row_len()), rows(&picture, shape.row_len()));
    let of_noise = filtered.then(|| noise(9, shuffled));
    let positions = Noise::new(3, 5, 0.8, (7, 11));
    let weights = TailWeights {
        expand: expand.weights(),
        noise: of_noise.as_deref(),
        join: join.weights(),
        rgb: rgb.weights(),
    };

    // One after the other.
    let cols = shape.cols;
    let by_layers = |cpu: Cpu| {
        let geometry = Geometry { shuffle: 2, input: InputNorm::Channels, ..Geometry::kernel(1) };
        let map = Map::new(&half_map, half_cols, channels);
        let mut h = expand.run(cpu, geometry, Source::Map(map), Activation::Store);
        if let Some(weights) = &of_noise {
            h = blur(cpu, &h, Shape { channels: shuffled, ..shape });
            let mut values = vec![0.0; cols];
            for (row, pixels) in h.chunks_exact_mut(cols * shuffled).enumerate() {
                positions.row(row, 0, &mut values);
                for (pixel, value) in pixels.chunks_exact_mut(shuffled).zip(&values) {
                    pixel.iter_mut().zip(weights).for_each(|(h, weight)| *h += weight * value);
                }
            }
        }
        let pixels = h.chunks_exact(shuffled).zip(picture.chunks_exact(3));
        let joined: Vec<f32> = pixels.flat_map(|(h, x)| [h, x].concat()).collect();
        let joined = padded(&joined, cols * (shuffled + 3));
        let source = Source::Map(Map::new(&joined, cols, shuffled + 3));
        let h = join.run(cpu, Geometry::kernel(3), source, Activation::Relu);
        let h = padded(&h, cols * between);
        let add = Activation::Add(Map::new(&picture_map, cols, 3));
        rgb.run(cpu, Geometry::kernel(3), Source::Map(Map::new(&h, cols, between)), add)
    };
    let want = by_layers(Cpu::Portable);

    for cpu in Cpu::available() {
        let tail = Tail::new(cpu, weights);
        let run = |half: std::ops::Range<usize>, wanted: std::ops::Range<usize>| {
            let maps = (
                Map::new(&half_map[half.clone()], half_cols, channels),
                Map::new(&picture_map[2 * half.start..2 * half.end], cols, 3),
            );
            let mut out = vec![f32::NAN; wanted.len() * shape.row_len()];
            let positions = positions.below(2 * half.start);
            tail.run(
                maps.0,
                maps.1,
                positions,
                wanted.start - 2 * half.start..wanted.end - 2 * half.start,
                &mut out,
            );
            out
        };
        let whole = run(0..half_rows, 0..shape.rows);
        // Words of bf16 have 8 bits.
        let allowed = if cpu == cpu.single() { 1e-5 } else { 3e-2 };
        for (i, (got, want)) in whole.iter().zip(&want).enumerate() {
            assert!((got - want).abs() <= allowed, "{cpu:?} {shape:?}: value {i} is {got}, not {want}");
        }
        for cut in 1..half_rows {
            let upper = run(0..half_rows.min(cut + tail.reach()), 0..2 * cut);
            let lower = run(cut.saturating_sub(tail.reach())..half_rows, 2 * cut..shape.rows);
            assert!([upper, lower].concat() == whole, "{cpu:?} {shape:?}: cut at row {cut}");
        }
    }
}

#[test]
fn at_once_is_as_one_after_the_other() {
    for case in [
        // brush-1's own channels.
        Case { channels: 24, shuffled: 12, between: 12, rows: 9, cols: 37 },
        // More columns than are worked on at a time; as many, and a few more.
        Case { channels: 24, shuffled: 12, between: 12, rows: 3, cols: 1100 },
        Case { channels: 3, shuffled: 2, between: 2, rows: 2, cols: 512 },
        Case { channels: 3, shuffled: 2, between: 2, rows: 2, cols: 513 },
        // One pixel; odd channels, and every rest of a group.
        Case { channels: 1, shuffled: 1, between: 1, rows: 1, cols: 1 },
        Case { channels: 5, shuffled: 3, between: 5, rows: 2, cols: 3 },
        Case { channels: 7, shuffled: 4, between: 9, rows: 5, cols: 16 },
        Case { channels: 9, shuffled: 5, between: 10, rows: 40, cols: 5 },
        Case { channels: 2, shuffled: 6, between: 11, rows: 4, cols: 8 },
    ] {
        [false, true].into_iter().for_each(|filtered| check(&case, filtered));
    }
}
