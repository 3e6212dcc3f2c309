//! Every kernel, on every instruction set of this machine, against a naive reference in `f64`.

use utsushi_kernels::{
    Activation, Affine, Block, BlockWeights, Conv, ConvWeights, Cpu, Geometry, InputNorm, Map as Rows, Shape,
    Source, upsample2_add,
};

mod noise;

use noise::noise;

/// The rows of a map.
fn rows_of(shape: Shape, data: &[f32]) -> Vec<&[f32]> {
    data.chunks_exact(shape.row_len()).collect()
}

fn map<'a>(shape: Shape, rows: &'a [&'a [f32]]) -> Rows<'a> {
    Rows::new(rows, shape.cols, shape.channels)
}

/// A map in `f64`.
#[derive(Clone)]
struct Map {
    shape: Shape,
    data: Vec<f64>,
}

impl Map {
    fn new(shape: Shape, value: impl Fn(usize, usize, usize) -> f64) -> Self {
        let mut data = Vec::new();
        for y in 0..shape.rows {
            for x in 0..shape.cols {
                data.extend((0..shape.channels).map(|c| value(y, x, c)));
            }
        }
        Self { shape, data }
    }

    fn from(shape: Shape, data: &[f32]) -> Self {
        Self { shape, data: data.iter().map(|v| f64::from(*v)).collect() }
    }

    /// Columns beyond the sides are repeated.
    fn at(&self, y: usize, x: isize, c: usize) -> f64 {
        let x = x.clamp(0, self.shape.cols as isize - 1) as usize;
        self.data[(y * self.shape.cols + x) * self.shape.channels + c]
    }

    fn normalised(&self) -> Self {
        let n = self.shape.channels as f64;
        Self::new(self.shape, |y, x, c| {
            let values: Vec<f64> = (0..self.shape.channels).map(|c| self.at(y, x as isize, c)).collect();
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
            (values[c] - mean) / (variance + 1e-5).sqrt()
        })
    }

    /// As PyTorch's `pixel_unshuffle`.
    fn unshuffled(&self, f: usize) -> Self {
        let Shape { rows, cols, channels } = self.shape;
        Self::new(Shape::new(rows / f, cols / f, channels * f * f), |y, x, c| {
            let (channel, dy, dx) = (c / (f * f), c / f % f, c % f);
            self.at(y * f + dy, (x * f + dx) as isize, channel)
        })
    }

    /// As PyTorch's `pixel_shuffle`.
    fn shuffled(&self, f: usize) -> Self {
        let Shape { rows, cols, channels } = self.shape;
        Self::new(Shape::new(rows * f, cols * f, channels / (f * f)), |y, x, c| {
            self.at(y / f, (x / f) as isize, c * f * f + y % f * f + x % f)
        })
    }

    /// A convolution; depthwise if the weights have one input channel and the map more.
    fn conv(&self, weight: &[f32], bias: &[f32], kernel: usize, stride: usize) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / (outputs * kernel * kernel);
        let depthwise = inputs == 1 && self.shape.channels == outputs;
        let pad = if stride == 1 { kernel / 2 } else { 0 };
        let rows = (self.shape.rows - kernel) / stride + 1;
        let cols = if stride == 1 { self.shape.cols } else { (self.shape.cols - kernel) / stride + 1 };
        Self::new(Shape::new(rows, cols, outputs), |y, x, o| {
            let mut sum = f64::from(bias[o]);
            for (i, weight) in
                weight[o * inputs * kernel * kernel..][..inputs * kernel * kernel].iter().enumerate()
            {
                let (c, ky, kx) = (i / (kernel * kernel), i / kernel % kernel, i % kernel);
                let column = (x * stride + kx) as isize - pad as isize;
                sum += f64::from(*weight) * self.at(y * stride + ky, column, if depthwise { o } else { c });
            }
            sum
        })
    }

    fn leaky(mut self, slope: f32) -> Self {
        self.data.iter_mut().for_each(|v| *v = v.max(*v * f64::from(slope)));
        self
    }

    fn add(mut self, other: &[f32]) -> Self {
        self.data.iter_mut().zip(other).for_each(|(v, o)| *v += f64::from(*o));
        self
    }
}

/// How exactly a result is computed.
#[derive(Clone, Copy)]
struct Exact {
    /// The error that is allowed, times the result's magnitude.
    error: f64,
    /// The magnitude of what was summed up to it.
    magnitude: f64,
}

impl Exact {
    const SINGLE: Self = Self { error: 2e-5, magnitude: 1.0 };

    /// As `cpu` multiplies, so many products for a result. Each has an error of its own, so that together they grow
    /// as the square root of their number.
    fn products(cpu: Cpu, count: usize) -> Self {
        match cpu == cpu.single() {
            true => Self::SINGLE,
            false => Self { error: 4e-3, magnitude: 1.0 + (count as f64).sqrt() },
        }
    }
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], want: &Map, exact: Exact) {
    assert_eq!(got.len(), want.data.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(&want.data).enumerate() {
        let error = (f64::from(*got) - want).abs();
        let allowed = exact.error * (exact.magnitude + want.abs());
        assert!(error <= allowed, "{what}: value {i} is {got}, not {want}");
    }
}

/// How exactly a convolution is computed. Winograd's results are small differences of large sums: its error has
/// the size of these, which grows as the square root of the inputs, and is larger the more points there are.
fn exactness(cpu: Cpu, geometry: &Geometry, inputs: usize) -> Exact {
    let products = Exact::products(cpu, inputs * geometry.kernel * geometry.kernel);
    let root = (inputs as f64).sqrt();
    match (geometry.row_multiple, geometry.kernel) {
        (4, 3) if inputs >= 8 && cpu != cpu.single() => {
            Exact { magnitude: 6.0 * products.magnitude, ..products }
        }
        (4, 3) if inputs >= 8 => Exact { magnitude: 1.0 + 0.5 * root, ..products },
        (4, 7) if inputs >= 8 => Exact { magnitude: 1.0 + 30.0 * root, ..Exact::SINGLE },
        _ => products,
    }
}

/// Geometry, inputs (before an unshuffle), outputs, rows, columns.
type Case = (Geometry, usize, usize, usize, usize);

fn check_conv(&(geometry, channels, outputs, rows, cols): &Case) {
    let Geometry { kernel, stride, unshuffle, shuffle, input, .. } = geometry;
    let inputs = channels * unshuffle * unshuffle;
    let shape = Shape::new(rows, cols, channels);
    let x = noise(1, shape.len());
    let weight = noise(2, outputs * inputs * kernel * kernel);
    let bias = noise(3, outputs);
    let mut input_map = Map::from(shape, &x).unshuffled(unshuffle);
    if input == InputNorm::Channels {
        input_map = input_map.normalised();
    }
    let plain = input_map.conv(&weight, &bias, kernel, stride).shuffled(shuffle);
    for cpu in Cpu::available() {
        let conv = Conv::new(cpu, geometry, ConvWeights { weight: &weight, bias: &bias });
        let is_winograd = conv.multiplications() < (outputs * inputs * kernel * kernel) as f64;
        assert_eq!(
            is_winograd,
            geometry.row_multiple == Geometry::TILE_ROWS,
            "{geometry:?} {inputs}->{outputs}"
        );
        let x_rows = rows_of(shape, &x);
        let source = match unshuffle {
            1 => Source::Map(map(shape, &x_rows)),
            factor => Source::Unshuffled(map(shape, &x_rows), factor),
        };
        let base = noise(4, plain.data.len());
        let base_rows = rows_of(plain.shape, &base);
        for (activation, want) in [
            (Activation::Store, plain.clone()),
            (Activation::Relu, plain.clone().leaky(0.0)),
            (Activation::Leaky(0.2), plain.clone().leaky(0.2)),
            (Activation::Add(map(plain.shape, &base_rows)), plain.clone().add(&base)),
        ] {
            let mut out = vec![f32::NAN; base.len()];
            conv.run(source, activation, &mut out);
            assert_eq!(conv.output_shape(source.shape()), want.shape);
            let what = format!("{geometry:?} {channels}->{outputs} {shape:?} {cpu:?}");
            assert_close(&what, &out, &want, exactness(cpu, &geometry, inputs));
        }
    }
}

#[test]
fn convolutions() {
    let (k, tiles) = (Geometry::kernel, Geometry::tiles);
    let unshuffle = |kernel, unshuffle| Geometry { unshuffle, ..k(kernel) };
    let norm = Geometry { input: InputNorm::Channels, ..k(1) };
    let cases: &[Case] = &[
        // The shapes of brush-1: stem, down, up, the two heads, the skip, the full-size ones.
        (unshuffle(3, 4), 3, 48, 5 * 4, 13 * 4),
        (Geometry { stride: 2, ..k(2) }, 48, 96, 6, 10),
        (k(1), 96, 48, 3, 7),
        (Geometry { shuffle: 2, ..norm }, 48, 96, 3, 5),
        (Geometry { shuffle: 2, ..norm }, 24, 48, 2, 9),
        (unshuffle(3, 2), 3, 24, 4 * 2, 9 * 2),
        (k(3), 15, 12, 5, 11),
        (k(3), 12, 3, 5, 97),
        // Tails: one pixel, one column, more columns than a tile, odd channels.
        (k(1), 1, 1, 1, 1),
        (k(3), 1, 1, 3, 1),
        (k(3), 7, 5, 4, 2),
        (k(5), 3, 17, 7, 3),
        (k(7), 2, 33, 8, 5),
        (k(1), 5, 50, 2, 200),
        (norm, 3, 100, 1, 193),
        (norm, 1, 2, 2, 3),
        (Geometry { stride: 2, ..k(2) }, 3, 4, 2, 2),
        (Geometry { stride: 2, ..k(2) }, 5, 7, 9, 201),
        (k(3), 2, 2, 40, 3),
        // Few outputs, so that neighbours share a vector: whole vectors, a rest, fewer than share one.
        (k(3), 5, 3, 4, 50),
        (k(3), 4, 2, 3, 3),
        (k(7), 3, 1, 9, 19),
        (Geometry { stride: 2, ..k(3) }, 4, 3, 7, 24),
        (Geometry { shuffle: 2, ..k(3) }, 4, 20, 5, 7),
        // By Winograd: whole tiles, tails on all sides, one pixel, several panels, an unshuffle.
        (tiles(3), 12, 12, 10, 8),
        (tiles(3), 18, 8, 3, 1),
        (tiles(3), 16, 16, 6, 50),
        (tiles(3), 12, 17, 9, 101),
        (tiles(3), 70, 100, 17, 23),
        (tiles(3), 256, 32, 5, 5),
        (Geometry { unshuffle: 2, ..tiles(3) }, 3, 24, 11 * 2, 9 * 2),
        (tiles(7), 8, 18, 7, 1),
        (tiles(7), 12, 12, 14, 8),
        (tiles(7), 19, 33, 12, 37),
        (tiles(7), 64, 32, 11, 14),
    ];
    cases.iter().for_each(check_conv);
}

#[test]
fn maps_are_scaled_shifted_and_activated_as_they_are_read() {
    for geometry in [
        Geometry::kernel(1),
        Geometry { stride: 2, ..Geometry::kernel(3) },
        Geometry::tiles(3),
        Geometry::tiles(7),
    ] {
        for (channels, slope) in [(3, 0.2), (16, 0.0), (37, 1.0)] {
            let Geometry { kernel, stride, .. } = geometry;
            let (shape, outputs) = (Shape::new(9, 11, channels), 9);
            let x = noise(1, shape.len());
            let (weight, bias) = (noise(2, outputs * channels * kernel * kernel), noise(3, outputs));
            let affine = Affine { scale: noise(4, channels), shift: noise(5, channels), slope };
            let input_map = Map::from(shape, &x);
            let want = Map::new(shape, |y, x, c| {
                let value =
                    input_map.at(y, x as isize, c) * f64::from(affine.scale[c]) + f64::from(affine.shift[c]);
                value.max(value * f64::from(slope))
            })
            .conv(&weight, &bias, kernel, stride);
            for cpu in Cpu::available() {
                let conv = Conv::new(cpu, geometry, ConvWeights { weight: &weight, bias: &bias });
                let mut out = vec![0.0; want.data.len()];
                let rows = rows_of(shape, &x);
                conv.run(Source::Affine(map(shape, &rows), &affine), Activation::Store, &mut out);
                let what = format!("{geometry:?} {channels} channels {cpu:?}");
                assert_close(&what, &out, &want, exactness(cpu, &geometry, channels));
            }
        }
    }
}

#[test]
fn blocks() {
    // Channels, channels inside, rows of the result, columns.
    for (channels, inside, rows, cols) in [
        (48, 96, 3, 50),
        (96, 192, 2, 7),
        (24, 48, 5, 97),
        (1, 2, 1, 1),
        (5, 9, 9, 4),
        (16, 32, 17, 8),
        (17, 3, 1, 49),
    ] {
        let shape = Shape::new(rows + 2 * Block::REACH, cols, channels);
        let x = noise(1, shape.len());
        let (depthwise, depthwise_bias) = (noise(2, channels * 25), noise(3, channels));
        let (expand, expand_bias) = (noise(4, inside * channels), noise(5, inside));
        let (project, project_bias) = (noise(6, channels * inside), noise(7, channels));
        let inner = &x[Block::REACH * shape.row_len()..][..rows * shape.row_len()];
        let values = noise(9, rows * cols);
        // Every second has noise.
        let of_noise = if cols % 2 == 0 { noise(8, channels) } else { Vec::new() };
        let mut convolved = Map::from(shape, &x).conv(&depthwise, &depthwise_bias, 5, 1);
        if !of_noise.is_empty() {
            for (pixel, value) in convolved.data.chunks_exact_mut(channels).zip(&values) {
                for (channel, weight) in pixel.iter_mut().zip(&of_noise) {
                    *channel += f64::from(weight * value);
                }
            }
        }
        let want = convolved
            .normalised()
            .conv(&expand, &expand_bias, 1, 1)
            .leaky(0.0)
            .conv(&project, &project_bias, 1, 1)
            .add(inner);
        let weights = BlockWeights {
            depthwise: &depthwise,
            depthwise_bias: &depthwise_bias,
            noise: &of_noise,
            expand: &expand,
            expand_bias: &expand_bias,
            project: &project,
            project_bias: &project_bias,
        };
        for cpu in Cpu::available() {
            let mut out = vec![f32::NAN; want.data.len()];
            Block::new(cpu, weights).run(map(shape, &rows_of(shape, &x)), &values, &mut out);
            // What is inside is about as large as the square root of the channels.
            let exact = Exact::products(cpu, 32 * inside);
            assert_close(&format!("{channels} {rows}x{cols} {cpu:?}"), &out, &want, exact);
        }
    }
}

#[test]
fn upsampling_is_bilinear_with_half_pixel_centres() {
    for (low_rows, cols, channels) in [(3, 1, 1), (4, 5, 3), (3, 7, 48), (9, 2, 5)] {
        let shape = Shape::new(low_rows, cols, channels);
        let low = noise(1, shape.len());
        let reference = Map::from(shape, &low);
        let base_shape = Shape::new((low_rows - 2) * 2, cols * 2, channels);
        let base = noise(2, base_shape.len());
        let want = Map::new(base_shape, |y, x, c| {
            // The centre of output pixel i is at (i + 1/2) / 2 - 1/2; rows start one row into the context.
            let (fy, fx) = ((y as f64 + 0.5) / 2.0 + 0.5, (x as f64 + 0.5) / 2.0 - 0.5);
            let (iy, ix) = (fy.floor(), fx.floor());
            let row = |y: f64| {
                let (left, right) =
                    (reference.at(y as usize, ix as isize, c), reference.at(y as usize, ix as isize + 1, c));
                left + (right - left) * (fx - ix)
            };
            row(iy) + (row(iy + 1.0) - row(iy)) * (fy - iy)
        })
        .add(&base);
        let mut out = vec![f32::NAN; base.len()];
        let (low_rows, base_rows) = (rows_of(shape, &low), rows_of(base_shape, &base));
        upsample2_add(map(shape, &low_rows), map(base_shape, &base_rows), &mut out);
        assert_close(&format!("{shape:?}"), &out, &want, Exact::SINGLE);
    }
}

#[test]
fn bands_and_threads_do_not_change_a_bit() {
    let (rows, cols, inputs, outputs) = (21, 101, 12, 13);
    for (geometry, cuts) in [
        (Geometry::kernel(3), [1, 4, 20]),
        (Geometry::kernel(7), [1, 5, 20]),
        (Geometry::tiles(3), [4, 12, 20]),
        (Geometry::tiles(7), [4, 8, 20]),
    ] {
        let context = geometry.kernel - 1;
        let shape = Shape::new(rows + context, cols, inputs);
        let weight = noise(2, outputs * inputs * geometry.kernel * geometry.kernel);
        let (x, bias) = (noise(1, shape.len()), noise(3, outputs));
        for cpu in Cpu::available() {
            let conv = Conv::new(cpu, geometry, ConvWeights { weight: &weight, bias: &bias });
            let run = |rows: std::ops::Range<usize>, threads: usize| {
                let part = Shape { rows: rows.len() + context, ..shape };
                let mut out = vec![0.0; rows.len() * cols * outputs];
                let pool =
                    rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
                let part_x = &x[rows.start * shape.row_len()..][..part.len()];
                let part_rows = rows_of(part, part_x);
                pool.install(|| conv.run(Source::Map(map(part, &part_rows)), Activation::Store, &mut out));
                out
            };
            let whole = run(0..rows, 1);
            for threads in [1, 2, 3] {
                for cut in cuts {
                    assert_eq!(
                        [run(0..cut, threads), run(cut..rows, threads)].concat(),
                        whole,
                        "{geometry:?} {cpu:?} cut at {cut}, {threads} threads"
                    );
                }
            }
        }
    }
}
