//! What weights are before the first step.

use std::f32::consts::TAU;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use utsushi_engine::arch::brush::is_of_noise;

/// The values of weights with this name and shape; for a bias also the shape of the weights beside it.
pub type Initialise = fn(&mut ChaCha8Rng, &str, &[usize], Option<&[usize]>) -> Vec<f32>;

/// What a block's result is multiplied with at first, so that a deep network begins close to the identity.
const BLOCK_GAIN: f32 = 0.2;
/// The deviation of the last convolution's weights: at first the picture is hardly changed.
const RGB_DEVIATION: f32 = 0.01;
/// What the weights before a pixel-shuffle are multiplied with, as tried.
const SHUFFLE_GAIN: f32 = 0.5;

/// The deviations of the noise's weights, in the blocks and at full size.
const NOISE_DEVIATIONS: [f32; 2] = [0.05, 0.02];

/// Of `brush` ([`utsushi_engine::arch::brush`]): as [`usual_weights`], but
/// - the last convolution's are small, and so are the blocks' results;
/// - before a pixel-shuffle the four pixels' weights are equal, or a grid stays in the picture for a long time
///   (ICNR; Aitken et al. 2017, <https://arxiv.org/abs/1707.02937>);
/// - the noise's are small, and not 0, so that strokes can come of it wherever they are wanted.
pub fn brush_weights(
    random: &mut ChaCha8Rng,
    name: &str,
    shape: &[usize],
    beside: Option<&[usize]>,
) -> Vec<f32> {
    let len = shape.iter().product();
    match name {
        "rgb.weight" => normal(random, len, RGB_DEVIATION),
        "rgb.bias" | "h1.bias" | "h2.bias" => vec![0.0; len],
        "h1.weight" | "h2.weight" => {
            let inputs: usize = shape[1..].iter().product();
            // He et al. 2015, <https://arxiv.org/abs/1502.01852>.
            let quarter = normal(random, len / 4, SHUFFLE_GAIN * (2.0 / inputs as f32).sqrt());
            quarter.chunks_exact(inputs).flat_map(|row| row.repeat(4)).collect()
        }
        "zf" => normal(random, len, NOISE_DEVIATIONS[1]),
        _ if is_of_noise(name) => normal(random, len, NOISE_DEVIATIONS[0]),
        _ if name.ends_with(".g") && shape.len() == 4 => vec![BLOCK_GAIN; len],
        _ => usual_weights(random, name, shape, beside),
    }
}

/// Convolutions as PyTorch begins them, uniform within 1 / sqrt(inputs), and their biases; norms with scale 1
/// and shift 0.
pub fn usual_weights(
    random: &mut ChaCha8Rng,
    name: &str,
    shape: &[usize],
    beside: Option<&[usize]>,
) -> Vec<f32> {
    let len = shape.iter().product();
    let last = name.rsplit('.').next().unwrap_or(name);
    match (last, beside) {
        ("weight", _) => uniform(random, len, bound(shape)),
        ("bias", Some(weight)) => uniform(random, len, bound(weight)),
        ("g", _) => vec![1.0; len],
        _ => vec![0.0; len],
    }
}

fn bound(weight: &[usize]) -> f32 {
    1.0 / (weight[1..].iter().product::<usize>() as f32).sqrt()
}

fn uniform(random: &mut ChaCha8Rng, len: usize, bound: f32) -> Vec<f32> {
    (0..len).map(|_| random.random_range(-bound..bound)).collect()
}

/// By Box and Muller.
fn normal(random: &mut ChaCha8Rng, len: usize, deviation: f32) -> Vec<f32> {
    let value = |_| {
        let (u, v): (f32, f32) = (random.random(), random.random());
        // 1 - u is never 0.
        deviation * (-2.0 * (1.0 - u).ln()).sqrt() * (TAU * v).cos()
    };
    (0..len).map(value).collect()
}
