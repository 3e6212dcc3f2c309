//! Every gradient, on every instruction set of this machine, against central differences of a naive forward
//! pass in `f64`: value by value (of large tensors, some), and along a random direction through all values at
//! once, so that none is left out.

use utsushi_kernels::backward::{
    Border, Resulting, WholeConv, block_forward, block_gradients, gram, gram_gradient, instance_norm,
    instance_norm_gradient, join, max_pool2, max_pool2_gradient, norm_forward, norm_gradients, part,
    pixel_norm, pixel_norm_gradient, pixel_shuffle, pixel_unshuffle, upsample2_add_whole, upsample2_gradient,
};
use utsushi_kernels::{BlockWeights, ConvWeights, Cpu, Shape};

mod noise;

use noise::noise;

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|v| f64::from(*v)).collect()
}

/// A forward pass in `f64`, from all that it depends on.
type Forward<'a> = &'a dyn Fn(&[Vec<f64>]) -> Vec<f64>;

/// What central differences of the sum of a forward pass's results, each times its weight, say of the gradients.
struct Differences(Vec<Wanted>);

/// Of one input.
struct Wanted {
    len: usize,
    /// Some values.
    values: Vec<(usize, f64)>,
    /// Along the direction that [`direction`] gives.
    along_a_line: f64,
}

/// Small enough for the curvature not to count, and that hardly any ReLU changes sides.
const STEP: f64 = 1e-6;
/// About how many values of a tensor are looked at one by one.
const MOST: usize = 16;

fn direction(len: usize) -> Vec<f64> {
    wide(&noise(77, len))
}

impl Differences {
    fn new(forward: Forward, inputs: &[Vec<f64>], weights: &[f32]) -> Self {
        let along = |input: usize, direction: &dyn Fn(usize) -> f64| {
            let loss = |step: f64| {
                let mut inputs = inputs.to_vec();
                inputs[input].iter_mut().enumerate().for_each(|(i, v)| *v += step * direction(i));
                forward(&inputs).iter().zip(weights).map(|(v, w)| v * f64::from(*w)).sum::<f64>()
            };
            (loss(STEP) - loss(-STEP)) / (2.0 * STEP)
        };
        let wanted = inputs.iter().enumerate().map(|(input, values)| {
            let len = values.len();
            // An odd step, so that every row and channel has its turn.
            let some = (0..len).step_by((len / MOST) | 1).chain([len - 1]);
            let values = some.map(|i| (i, along(input, &|at| f64::from(at == i)))).collect();
            let direction = direction(len);
            Wanted { len, values, along_a_line: along(input, &|at| direction[at]) }
        });
        Self(wanted.collect())
    }

    #[track_caller]
    fn check(&self, what: &str, gradients: &[&[f32]]) {
        assert_eq!(gradients.len(), self.0.len());
        for (input, (gradient, wanted)) in gradients.iter().zip(&self.0).enumerate() {
            let what = format!("{what}, gradient of input {input}");
            assert_eq!(gradient.len(), wanted.len, "{what}");
            let largest = gradient.iter().fold(0.0, |most, v| f64::max(most, f64::from(v.abs())));
            for (i, want) in &wanted.values {
                let error = (f64::from(gradient[*i]) - want).abs();
                assert!(error <= 1e-5 * (1.0 + largest), "{what}: value {i} is {}, not {want}", gradient[*i]);
            }
            let got: f64 = gradient.iter().zip(direction(wanted.len)).map(|(g, d)| f64::from(*g) * d).sum();
            let (want, allowed) = (wanted.along_a_line, 1e-5 * (1.0 + largest) * (wanted.len as f64).sqrt());
            assert!((got - want).abs() <= allowed, "{what}: along a line {got}, not {want}");
        }
    }
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(*got) - want).abs();
        assert!(error <= 2e-5 * (1.0 + want.abs()), "{what}: value {i} is {got}, not {want}");
    }
}

/// Where a pixel of a map's surroundings is found, if anywhere.
fn inside(at: isize, len: usize, border: Border) -> Option<usize> {
    let nearest = at.clamp(0, len as isize - 1);
    (border == Border::Replicate || at == nearest).then_some(nearest as usize)
}

/// A convolution of whole maps; with one input channel a depthwise one.
fn naive_conv(conv: WholeConv, x: &[f64], shape: Shape, weight: &[f64], bias: &[f64]) -> Vec<f64> {
    let WholeConv { kernel, stride, pad, border, slope } = conv;
    let out = conv.output_shape(shape, bias.len()).expect("maps that can be convolved");
    let inputs = weight.len() / (bias.len() * kernel * kernel);
    let depthwise = inputs < shape.channels;
    let mut result = Vec::new();
    for map in x.chunks_exact(shape.len()) {
        for i in 0..out.len() {
            let (y, col, o) = (i / out.row_len(), i / out.channels % out.cols, i % out.channels);
            let mut sum = bias[o];
            for (tap, weight) in
                weight[o * inputs * kernel * kernel..][..inputs * kernel * kernel].iter().enumerate()
            {
                let (c, ky, kx) = (tap / (kernel * kernel), tap / kernel % kernel, tap % kernel);
                let at =
                    |i: usize, k: usize, len| inside((i * stride + k) as isize - pad as isize, len, border);
                if let Some((y, x)) = at(y, ky, shape.rows).zip(at(col, kx, shape.cols)) {
                    let c = if depthwise { o } else { c };
                    sum += weight * map[(y * shape.cols + x) * shape.channels + c];
                }
            }
            result.push(if sum > 0.0 { sum } else { f64::from(slope) * sum });
        }
    }
    result
}

fn naive_norm(x: &[f64], scale: &[f64], shift: &[f64]) -> Vec<f64> {
    let n = scale.len() as f64;
    let mut result = Vec::new();
    for pixel in x.chunks_exact(scale.len()) {
        let mean = pixel.iter().sum::<f64>() / n;
        let variance = pixel.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        let values = pixel.iter().zip(scale).zip(shift);
        result
            .extend(values.map(|((v, scale), shift)| (v - mean) / (variance + 1e-5).sqrt() * scale + shift));
    }
    result
}

/// Convolution, maps, rows, columns, inputs, outputs.
/// The length of the difference, of that of what is wanted.
fn relative_error(got: &[f32], want: &[f64]) -> f64 {
    let length = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let difference = length(&mut got.iter().zip(want).map(|(got, want)| f64::from(*got) - want));
    difference / length(&mut want.iter().copied()).max(1e-9)
}

type ConvCase = (WholeConv, usize, (usize, usize), (usize, usize));

fn check_conv(&(conv, maps, (rows, cols), (inputs, outputs)): &ConvCase) {
    let shape = Shape::new(rows, cols, inputs);
    let out_shape = conv.output_shape(shape, outputs).expect("maps that can be convolved");
    let x = noise(1, maps * shape.len());
    let (weight, bias) = (noise(2, outputs * inputs * conv.kernel * conv.kernel), noise(3, outputs));
    let gradient = noise(4, maps * out_shape.len());
    let forward = |inputs: &[Vec<f64>]| naive_conv(conv, &inputs[0], shape, &inputs[1], &inputs[2]);
    let inputs = vec![wide(&x), wide(&weight), wide(&bias)];
    let want = forward(&inputs);
    let differences = Differences::new(&forward, &inputs, &gradient);
    let weights = ConvWeights { weight: &weight, bias: &bias };
    for cpu in Cpu::available() {
        let what = format!("{conv:?} of {maps} {shape:?} to {outputs}, {cpu:?}");
        let out = conv.forward(cpu, weights, &x, shape);
        let result = Resulting { values: &out, gradient: &gradient };
        let d_x = conv.input_gradient(cpu, weights, result, shape);
        if cpu != cpu.single() {
            // bf16 has 8 bits of mantissa, of which Winograd's transforms take one or two.
            let exact = conv.input_gradient(cpu.single(), weights, result, shape);
            for (of, got, want) in [("out", &out, &want), ("d_x", &d_x, &wide(&exact))] {
                let share = relative_error(got, want);
                assert!(share < 0.02, "{what}: {of} is off by {share}");
            }
            continue;
        }
        assert_close(&what, &out, &want);
        let (d_weight, d_bias) = conv.weight_gradients(cpu, &x, shape, result, outputs);
        differences.check(&what, &[&d_x, &d_weight, &d_bias]);
    }
}

#[test]
fn convolutions() {
    let same = WholeConv::same;
    let zero = |kernel, stride, pad, slope| WholeConv { kernel, stride, pad, border: Border::Zero, slope };
    let cases: &[ConvCase] = &[
        // brush-1: stem, skip, down, up, the heads, the full-size ones.
        (same(3), 2, (3, 5), (48, 48)),
        (same(3), 1, (5, 7), (12, 24)),
        (WholeConv { stride: 2, pad: 0, ..same(2) }, 2, (4, 6), (48, 96)),
        (same(1), 2, (3, 5), (96, 48)),
        (WholeConv { slope: 0.0, ..same(3) }, 1, (4, 35), (15, 12)),
        (same(3), 1, (3, 70), (12, 3)),
        // A perceptual network, and a discriminator.
        (zero(3, 1, 1, 0.0), 2, (5, 6), (3, 20)),
        (zero(4, 2, 1, 0.2), 2, (8, 10), (7, 9)),
        (zero(4, 1, 1, 0.2), 1, (5, 6), (5, 18)),
        (zero(4, 2, 1, 0.2), 1, (7, 9), (3, 4)),
        // By Winograd: tiles that are cut, borders of both kinds, more padding, and none.
        (same(3), 2, (9, 11), (16, 20)),
        (same(3), 1, (1, 2), (12, 12)),
        (zero(3, 1, 1, 0.0), 2, (10, 7), (18, 33)),
        (zero(3, 1, 2, 0.2), 1, (5, 6), (9, 17)),
        (zero(3, 1, 0, 1.0), 1, (6, 9), (17, 10)),
        (WholeConv { pad: 2, ..same(3) }, 1, (4, 5), (13, 12)),
        // One pixel, one column, odd channels, rows and columns that no output sees, every size of kernel.
        (same(1), 1, (1, 1), (1, 1)),
        (same(3), 1, (1, 1), (2, 1)),
        (same(5), 1, (1, 2), (3, 17)),
        (same(7), 2, (3, 4), (2, 33)),
        (same(5), 1, (140, 1), (2, 3)),
        (same(1), 3, (1, 19), (5, 50)),
        (zero(2, 2, 0, 1.0), 1, (5, 7), (3, 4)),
        (zero(3, 3, 0, 1.0), 1, (8, 7), (3, 4)),
        (zero(3, 1, 0, 0.0), 2, (3, 4), (1, 2)),
        (WholeConv { stride: 2, ..same(5) }, 1, (6, 5), (2, 5)),
        (same(3), 19, (2, 2), (2, 2)),
    ];
    cases.iter().for_each(check_conv);
}

#[test]
fn maps_smaller_than_the_kernel_have_no_result() {
    let conv = WholeConv { kernel: 4, stride: 2, pad: 1, border: Border::Zero, slope: 1.0 };
    for (rows, cols, fits) in [(2, 2, true), (1, 2, false), (2, 1, false), (0, 5, false)] {
        assert_eq!(conv.output_shape(Shape::new(rows, cols, 3), 4).is_some(), fits, "{rows}x{cols}");
    }
}

#[test]
fn norms() {
    for (channels, pixels) in [(48, 7), (24, 300), (3, 5), (17, 1), (4, 129)] {
        let (x, scale, shift) = (noise(1, pixels * channels), noise(2, channels), noise(3, channels));
        let gradient = noise(4, x.len());
        let forward = |inputs: &[Vec<f64>]| naive_norm(&inputs[0], &inputs[1], &inputs[2]);
        let inputs = vec![wide(&x), wide(&scale), wide(&shift)];
        let want = forward(&inputs);
        let differences = Differences::new(&forward, &inputs, &gradient);
        for cpu in Cpu::available() {
            let what = format!("{pixels} pixels of {channels}, {cpu:?}");
            assert_close(&what, &norm_forward(cpu, &scale, &shift, &x), &want);
            let got = norm_gradients(cpu, &scale, &x, &gradient);
            differences.check(&what, &[&got.x, &got.scale, &got.shift]);
        }
    }
}

#[test]
fn blocks() {
    // Channels, channels inside, maps, rows, columns.
    for (channels, inside, maps, rows, cols) in [
        (48, 96, 2, 4, 9),
        (24, 48, 1, 3, 50),
        (16, 32, 2, 9, 8),
        (5, 9, 3, 6, 4),
        (17, 3, 1, 2, 11),
        (2, 4, 1, 1, 1),
        (3, 2, 1, 140, 2),
    ] {
        let shape = Shape::new(rows, cols, channels);
        let x = noise(1, maps * shape.len());
        // Every second has noise.
        let of_noise = if rows % 2 == 0 { channels } else { 0 };
        let flat = noise(2, BlockWeights::flat_len(channels, inside) + of_noise);
        let gradient = noise(3, x.len());
        let values = noise(4, maps * rows * cols);
        let noises = wide(&values);
        let forward = |inputs: &[Vec<f64>]| {
            let (x, flat) = (&inputs[0], &inputs[1][..]);
            let (depthwise, flat) = flat.split_at(25 * channels);
            let (depthwise_bias, flat) = flat.split_at(channels);
            let (of_noise, flat) = flat.split_at(of_noise);
            let (expand, flat) = flat.split_at(inside * channels);
            let (expand_bias, flat) = flat.split_at(inside);
            let (project, project_bias) = flat.split_at(inside * channels);
            let pointwise = WholeConv { slope: 0.0, ..WholeConv::same(1) };
            let mut inner = naive_conv(WholeConv::same(5), x, shape, depthwise, depthwise_bias);
            for (pixel, value) in inner.chunks_exact_mut(channels).zip(&noises) {
                pixel.iter_mut().zip(of_noise).for_each(|(inner, weight)| *inner += weight * value);
            }
            let normed = naive_norm(&inner, &vec![1.0; channels], &vec![0.0; channels]);
            let expanded = naive_conv(pointwise, &normed, shape, expand, expand_bias);
            let inside_shape = Shape { channels: inside, ..shape };
            let out = naive_conv(WholeConv::same(1), &expanded, inside_shape, project, project_bias);
            out.iter().zip(x).map(|(out, x)| out + x).collect::<Vec<_>>()
        };
        let inputs = vec![wide(&x), wide(&flat)];
        let want = forward(&inputs);
        let differences = Differences::new(&forward, &inputs, &gradient);
        let weights = BlockWeights::from_flat(&flat, channels, inside);
        for cpu in Cpu::available() {
            let what = format!("{maps} {shape:?} with {inside} inside, {cpu:?}");
            assert_close(&what, &block_forward(cpu, weights, &x, shape, &values), &want);
            let (d_x, d_flat) = block_gradients(cpu, weights, &x, shape, &values, &gradient);
            differences.check(&what, &[&d_x, &d_flat]);
        }
    }
}

/// One channel of a map, without its mean.
fn centred(map: &[f64], channels: usize, c: usize) -> Vec<f64> {
    let values: Vec<f64> = map.iter().skip(c).step_by(channels).copied().collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    values.iter().map(|v| v - mean).collect()
}

#[test]
fn features() {
    const FLOOR: f32 = 0.01;
    for (maps, rows, cols, channels) in [(2, 5, 7, 64), (1, 40, 9, 5), (3, 4, 3, 17), (2, 1, 2, 1)] {
        let shape = Shape::new(rows, cols, channels);
        let x = noise(1, maps * shape.len());
        let inputs = vec![wide(&x)];
        let naive_length = |inputs: &[Vec<f64>]| {
            let pixels = inputs[0].chunks_exact(channels).flat_map(|pixel| {
                let mean = pixel.iter().map(|v| v * v).sum::<f64>() / channels as f64;
                pixel.iter().map(move |v| v / (mean + 1.0).sqrt())
            });
            pixels.collect::<Vec<_>>()
        };
        let naive_contrast = |inputs: &[Vec<f64>]| {
            let mut out = vec![0.0; inputs[0].len()];
            for (out, map) in out.chunks_exact_mut(shape.len()).zip(inputs[0].chunks_exact(shape.len())) {
                for c in 0..channels {
                    let values = centred(map, channels, c);
                    let variance = values.iter().map(|v| v * v).sum::<f64>() / values.len() as f64;
                    let scale = 1.0 / (variance + f64::from(FLOOR)).sqrt();
                    out.iter_mut().skip(c).step_by(channels).zip(values).for_each(|(o, v)| *o = v * scale);
                }
            }
            out
        };
        let naive_gram = |inputs: &[Vec<f64>]| {
            let mut out = vec![0.0; channels * channels];
            for map in inputs[0].chunks_exact(shape.len()) {
                let centred: Vec<_> = (0..channels).map(|c| centred(map, channels, c)).collect();
                for (at, out) in out.iter_mut().enumerate() {
                    let pairs = centred[at / channels].iter().zip(&centred[at % channels]);
                    *out += pairs.map(|(a, b)| a * b).sum::<f64>() / (maps * rows * cols) as f64;
                }
            }
            out
        };
        let (weights, gram_weights) = (noise(2, x.len()), noise(3, channels * channels));
        let length = Differences::new(&naive_length, &inputs, &weights);
        let contrast = Differences::new(&naive_contrast, &inputs, &weights);
        let together = Differences::new(&naive_gram, &inputs, &gram_weights);
        for cpu in Cpu::available() {
            let what = format!("{maps} {shape:?}, {cpu:?}");
            assert_close(&what, &pixel_norm(cpu, channels, &x), &naive_length(&inputs));
            length.check(&what, &[&pixel_norm_gradient(cpu, channels, &x, &weights)]);
            assert_close(&what, &gram(cpu, &x, shape), &naive_gram(&inputs));
            together.check(&what, &[&gram_gradient(cpu, &x, shape, &gram_weights)]);
        }
        let what = format!("{maps} {shape:?}");
        let result = instance_norm(&x, shape, FLOOR);
        assert_close(&what, &result, &naive_contrast(&inputs));
        contrast.check(&what, &[&instance_norm_gradient(&x, shape, FLOOR, &result, &weights)]);
    }
}

#[test]
fn enlarging() {
    for (maps, rows, cols, channels) in [(1, 1, 1, 1), (2, 3, 4, 3), (1, 1, 6, 48), (3, 5, 2, 5)] {
        let shape = Shape::new(rows, cols, channels);
        let low = noise(1, maps * shape.len());
        let gradient = noise(2, 4 * low.len());
        let forward = |inputs: &[Vec<f64>]| {
            let mut out = Vec::new();
            for low in inputs[0].chunks_exact(shape.len()) {
                for i in 0..4 * shape.len() {
                    let (y, x, c) = (i / (2 * shape.row_len()), i / channels % (2 * cols), i % channels);
                    let place = |i: usize, len: usize| {
                        let at = ((i as f64 + 0.5) / 2.0 - 0.5).clamp(0.0, len as f64 - 1.0);
                        (at as usize, (at as usize + 1).min(len - 1), at.fract())
                    };
                    let ((top, bottom, down), (left, right, across)) = (place(y, rows), place(x, cols));
                    let at = |y: usize, x: usize| low[(y * cols + x) * channels + c];
                    let row = |y| at(y, left) * (1.0 - across) + at(y, right) * across;
                    out.push(row(top) * (1.0 - down) + row(bottom) * down);
                }
            }
            out
        };
        let inputs = vec![wide(&low)];
        let base = noise(3, gradient.len());
        let want: Vec<f64> = forward(&inputs).iter().zip(&base).map(|(v, b)| v + f64::from(*b)).collect();
        let out = upsample2_add_whole(&low, shape, &base);
        assert_close(&format!("{shape:?}"), &out, &want);
        let differences = Differences::new(&forward, &inputs, &gradient);
        differences.check(&format!("{shape:?}"), &[&upsample2_gradient(&gradient, shape)]);
    }
}

#[test]
fn the_largest_of_four() {
    for (maps, rows, cols, channels) in [(1, 2, 2, 1), (2, 4, 6, 3), (1, 5, 3, 17)] {
        let shape = Shape::new(rows, cols, channels);
        let x = noise(1, maps * shape.len());
        let gradient = noise(2, maps * (rows / 2) * (cols / 2) * channels);
        let forward = |inputs: &[Vec<f64>]| {
            let mut out = Vec::new();
            for x in inputs[0].chunks_exact(shape.len()) {
                for i in 0..(rows / 2) * (cols / 2) * channels {
                    let (y, col, c) = (i / (cols / 2 * channels), i / channels % (cols / 2), i % channels);
                    let at = |dy, dx| x[((2 * y + dy) * cols + 2 * col + dx) * channels + c];
                    out.push(at(0, 0).max(at(0, 1)).max(at(1, 0)).max(at(1, 1)));
                }
            }
            out
        };
        let inputs = vec![wide(&x)];
        assert_close(&format!("{shape:?}"), &max_pool2(&x, shape), &forward(&inputs));
        let differences = Differences::new(&forward, &inputs, &gradient);
        differences.check(&format!("{shape:?}"), &[&max_pool2_gradient(&x, shape, &gradient)]);
    }
    // Where they are equal, one of them gets it all.
    assert_eq!(max_pool2_gradient(&[1.0; 4], Shape::new(2, 2, 1), &[3.0]), [3.0, 0.0, 0.0, 0.0]);
}

#[test]
fn pixels_and_channels_change_places() {
    // One channel of 4 x 4 pixels, by 2: each pixel has the channel at its four places.
    let x: Vec<f32> = (0..16).map(|v| v as f32).collect();
    let unshuffled = pixel_unshuffle(&x, Shape::new(4, 4, 1), 2);
    assert_eq!(unshuffled[..8], [0.0, 1.0, 4.0, 5.0, 2.0, 3.0, 6.0, 7.0]);
    for (maps, rows, cols, channels, f) in
        [(1, 4, 4, 1, 2), (2, 8, 4, 3, 4), (1, 6, 10, 5, 2), (1, 1, 1, 2, 1)]
    {
        let shape = Shape::new(rows, cols, channels);
        let x = noise(1, maps * shape.len());
        let there = pixel_unshuffle(&x, shape, f);
        // PyTorch's channel is the map's, then the row's place, then the column's.
        let pixel = (rows / f - 1) * (cols / f) * f * f * channels;
        for c in 0..channels {
            assert_eq!(there[pixel + c * f * f], x[(rows - f) * cols * channels + c], "{shape:?} by {f}");
        }
        assert_eq!(
            pixel_shuffle(&there, Shape::new(rows / f, cols / f, channels * f * f), f),
            x,
            "{shape:?} by {f}"
        );
    }
}

#[test]
fn joined_channels_come_apart_again() {
    assert_eq!(join(&[1.0, 2.0, 5.0, 6.0], 2, &[3.0, 7.0], 1), [1.0, 2.0, 3.0, 5.0, 6.0, 7.0]);
    for (pixels, a_channels, b_channels) in [(1, 1, 1), (300, 12, 3), (129, 3, 17)] {
        let (a, b) = (noise(1, pixels * a_channels), noise(2, pixels * b_channels));
        let joined = join(&a, a_channels, &b, b_channels);
        let all = a_channels + b_channels;
        assert_eq!(part(&joined, all, 0..a_channels), a, "{pixels} x {a_channels} + {b_channels}");
        assert_eq!(part(&joined, all, a_channels..all), b, "{pixels} x {a_channels} + {b_channels}");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let shape = Shape::new(37, 21, 12);
    let x = noise(1, 2 * shape.len());
    let conv = WholeConv::same(3);
    let (weight, bias) = (noise(2, 12 * 12 * 9), noise(3, 12));
    let weights = ConvWeights { weight: &weight, bias: &bias };
    let flat = noise(4, BlockWeights::flat_len(12, 24) + 12);
    let values = noise(6, 2 * shape.rows * shape.cols);
    let gradient = noise(5, x.len());
    let result = Resulting { values: &[], gradient: &gradient };
    let cpu = Cpu::detect();
    let run = || {
        let norm = norm_gradients(cpu, &bias, &x, &gradient);
        let (d_weight, d_bias) = conv.weight_gradients(cpu, &x, shape, result, 12);
        let (d_x, d_flat) =
            block_gradients(cpu, BlockWeights::from_flat(&flat, 12, 24), &x, shape, &values, &gradient);
        let forward = conv.forward(cpu, weights, &x, shape);
        let d_input = conv.input_gradient(cpu, weights, result, shape);
        let small = norm.scale.into_iter().chain(norm.shift).chain(norm.x);
        small
            .chain(d_weight)
            .chain(d_bias)
            .chain(d_x)
            .chain(d_flat)
            .chain(forward)
            .chain(d_input)
            .collect::<Vec<_>>()
    };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
        pool.install(run)
    };
    let one = with(1);
    for threads in [2, 3, 5] {
        assert!(with(threads) == one, "{threads} threads");
    }
}
