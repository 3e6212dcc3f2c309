//! The network as training runs it: its result against the one that pictures are drawn with, its gradients
//! against PyTorch's (`tests/reference` makes the goldens), and what candle's autograd makes of single layers.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Result, Tensor, Var};
use candle_nn::VarBuilder;
use utsushi_engine::arch::brush::{Brush, Sizes, TrainableBrush, Version};
use utsushi_engine::differentiable::{
    Border, Place, WholeConv, conv, join, max_pool2, pixel_shuffle, pixel_unshuffle,
};
use utsushi_engine::{Device as Chosen, DeviceChoice, Generator, Grain, Region};
use utsushi_kernels::Cpu;

const TINY: Sizes = Sizes { c1: 8, c2: 16, blocks: [1, 2, 1], ch: 8, cf: 4 };
const TINY_2_STYLES: Sizes = Sizes { c1: 4, c2: 8, blocks: [1, 1, 1], ch: 4, cf: 4 };

fn golden(name: &str) -> HashMap<String, Tensor> {
    // Not where it was built: it may be run elsewhere (`packaging/cuda/measure`).
    let own = std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let folder = Path::new(&own).join("../../tests/data/goldens");
    let path = folder.join(name).with_extension("safetensors");
    candle_core::safetensors::load(&path, &Device::Cpu).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|t| t.to_vec1()).expect("values")
}

/// `[N, C, H, W]` to `[N, H, W, C]`.
fn channels_last(maps: &Tensor) -> Tensor {
    maps.permute((0, 2, 3, 1)).and_then(|maps| maps.contiguous()).expect("maps")
}

/// The same as variables.
fn variables(weights: &HashMap<String, Tensor>) -> HashMap<String, Var> {
    let variable = |(name, weight): (&String, &Tensor)| Ok((name.clone(), Var::from_tensor(weight)?));
    weights.iter().map(variable).collect::<Result<_>>().expect("variables")
}

fn network(version: Version, sizes: Sizes, styles: usize, weights: &HashMap<String, Var>) -> TrainableBrush {
    let tensors = weights.iter().map(|(name, weight)| (name.clone(), weight.as_tensor().clone())).collect();
    let weights = VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu);
    TrainableBrush::load(version, sizes, styles, &weights).expect("the weights fit")
}

/// Noise that is the same everywhere; candle's own can't be seeded.
fn noise(seed: usize, dims: &[usize]) -> Tensor {
    let value = |i: usize| ((i * 7 + seed * 13) as f32 * 12.9898).sin() * 43_758.547 % 1.0;
    let len = dims.iter().product();
    Tensor::from_vec((0..len).map(value).collect::<Vec<f32>>(), dims, &Device::Cpu).expect("a tensor")
}

#[track_caller]
fn assert_close(what: &str, got: &[f32], want: &[f32], relative: f32) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(1e-6, |most, v| f32::max(most, v.abs()));
    let worst = got.iter().zip(want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= relative * largest, "{what}: off by {worst}, where the largest is {largest}");
}

/// Where the network's gradients are computed: `UTSUSHI_TEST_DEVICE`, or the processor.
fn place() -> Place {
    let asked = std::env::var("UTSUSHI_TEST_DEVICE");
    let choice = asked.map_or(DeviceChoice::Cpu, |text| text.parse().expect("UTSUSHI_TEST_DEVICE"));
    Place::on(&Chosen::choose(choice).expect("the device is there"))
}

/// A picture's each, as the goldens have them.
const GRAINS: [Grain; 2] = [Grain { seed: 0, strength: 1.0 }, Grain { seed: 1, strength: 1.0 }];

fn check_gradients(name: &str, version: Version, sizes: Sizes) {
    let place = place();
    // On a GPU products are of TF32, unless the emulator is told otherwise.
    let is_rounded = place.is_gpu() && std::env::var_os("EMULATED_EXACT").is_none();
    let (weights, case) = (variables(&golden(name)), golden(&format!("{name}-gradients")));
    let styles = case["mix"].dims()[0];
    let gradients = || -> Result<_> {
        let pictures = Var::from_tensor(&channels_last(&case["input"]))?;
        let network = network(version, sizes, styles, &weights);
        let output = network.forward_on(&place.renewed(), &pictures, &case["mix"], &GRAINS)?;
        let gradients = (output * channels_last(&case["weighting"]))?.sum_all()?.backward()?;
        let of = |variable: &Var| values(gradients.get(variable).expect("everything has a gradient"));
        let mut all: Vec<_> = weights.iter().map(|(name, weight)| (name.clone(), of(weight))).collect();
        all.push(("input".to_owned(), of(&pictures)));
        Ok(all)
    };
    let with = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a thread pool");
        pool.install(gradients).expect("the network has gradients")
    };
    let got = with(1);
    assert!(got == with(2), "{name}: threads change the gradients");
    assert_eq!(
        got.len() + 3,
        case.len(),
        "{name}: a gradient for each in the golden, but input, mix, weighting"
    );
    // Of the rounded: products of both, and of each with itself.
    let mut products = [0.0; 3];
    for (label, gradient) in &got {
        let want = &case[&format!("gradient.{label}")];
        let want = if label == "input" { values(&channels_last(want)) } else { values(want) };
        if is_rounded {
            let of = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(a * b)).sum::<f64>();
            let [both, got, wanted] = &mut products;
            *both += of(gradient, &want);
            *got += of(gradient, gradient);
            *wanted += of(&want, &want);
        } else {
            assert_close(&format!("{name}: {label}"), gradient, &want, 1e-4);
        }
    }
    // Norms over as few channels as these networks have blow up what is rounded, here and there; on the whole it points
    // where it should.
    let [both, got, wanted] = products;
    assert!(!is_rounded || both / (got * wanted).sqrt() > 0.99, "{name}: {}", both / (got * wanted).sqrt());
}

#[test]
fn gradients_are_those_of_pytorch() {
    check_gradients("tiny", Version::One, TINY);
    check_gradients("tiny-2-styles", Version::One, TINY_2_STYLES);
    check_gradients("tiny-brush2-2-styles", Version::Two, TINY_2_STYLES);
}

/// In training's form and in bands of 8 rows.
fn check_forward(
    name: &str,
    (version, sizes): (Version, Sizes),
    shares: &[f32],
    height: usize,
    width: usize,
) {
    let weights = golden(name);
    let pictures = noise(3, &[2, height, width, 3]);
    let shares_tensor = Tensor::new(shares, &Device::Cpu).expect("shares");
    let trained = network(version, sizes, shares.len(), &variables(&weights));
    let got = trained.forward(&pictures, &shares_tensor, &GRAINS).expect("the network runs");
    let weights = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
    let brush = Brush::load(version, sizes, shares, &weights).expect("the weights fit");
    for (i, grain) in GRAINS.into_iter().enumerate() {
        let mut stream = brush.stream(Region::whole(height, width), grain);
        let mut want = Vec::new();
        for rows in values(&pictures.get(i).expect("a picture")).chunks(8 * width * 3) {
            stream.push(rows, &mut want).expect("the network runs");
        }
        let what = format!("{name}, {height} x {width}, picture {i}");
        // The streaming network may compute with products of bf16, training never does.
        let relative = if Cpu::detect() == Cpu::detect().single() { 1e-5 } else { 5e-2 };
        assert_close(&what, &values(&got.get(i).expect("a picture")), &want, relative);
    }
}

#[test]
fn it_draws_what_the_streaming_network_draws() {
    check_forward("tiny", (Version::One, TINY), &[1.0], 40, 56);
    check_forward("tiny", (Version::One, TINY), &[1.0], 8, 8);
    check_forward("tiny-2-styles", (Version::One, TINY_2_STYLES), &[0.3, 0.7], 16, 32);
    check_forward("tiny-brush2-2-styles", (Version::Two, TINY_2_STYLES), &[0.3, 0.7], 16, 32);
}

#[test]
fn pictures_that_do_not_fit_are_refused() {
    let network = network(Version::One, TINY, 1, &variables(&golden("tiny")));
    let one = Tensor::new(&[1.0f32], &Device::Cpu).expect("a share");
    let two = Tensor::new(&[0.5f32, 0.5], &Device::Cpu).expect("shares");
    for (dims, shares) in [
        ([1, 12, 16, 3], &one),
        ([1, 16, 12, 3], &one),
        ([1, 16, 16, 4], &one),
        ([1, 8, 8, 3], &two),
        // There is noise for one.
        ([2, 8, 8, 3], &one),
    ] {
        let drawn = network.forward(&noise(1, &dims), shares, &GRAINS[..1]);
        assert!(drawn.is_err(), "{dims:?}, {shares}");
    }
}

/// A perceptual network's layers, which are frozen, and a discriminator's, over a result that is trained.
#[test]
fn layers_of_every_kind_have_gradients() {
    let x = Var::from_tensor(&noise(1, &[2, 6, 8, 3])).expect("a variable");
    let (frozen, trained) =
        (noise(2, &[5, 3, 3, 3]), Var::from_tensor(&noise(3, &[4, 8, 4, 4])).expect("a variable"));
    let bias = |outputs| noise(4, &[outputs]);
    let zero = |kernel, stride, slope| WholeConv { kernel, stride, pad: 1, border: Border::Zero, slope };
    let loss = || -> Result<Tensor> {
        let features = max_pool2(&conv(&x, &frozen, &bias(5), zero(3, 1, 0.0))?)?;
        let both = join(&features, &max_pool2(&x)?)?;
        let both = pixel_shuffle(&pixel_unshuffle(&join(&both, &both)?, 1)?, 2)?;
        let trained = trained.narrow(1, 0, 4)?;
        conv(&both, &trained, &bias(4), zero(4, 2, 0.2))?.sqr()?.sum_all()
    };
    let before = loss().expect("the layers run");
    let gradients = before.backward().expect("gradients");
    assert!(gradients.get(&frozen).is_none());
    // Along its own gradient, a step changes the loss by the gradient's square.
    for variable in [&x, &trained] {
        let gradient = gradients.get(variable).expect("a gradient");
        let square =
            gradient.sqr().and_then(|g| g.sum_all()).and_then(|g| g.to_scalar::<f32>()).expect("a number");
        let start = variable.as_tensor().copy().expect("a copy");
        let step = 1e-2 / square.sqrt();
        let shifted = |factor: f64| {
            variable
                .set(&(&start + (gradient * (factor * f64::from(step))).expect("a step")).expect("a sum"))
                .expect("set");
            loss().and_then(|l| l.to_scalar::<f32>()).expect("a number")
        };
        let change = (shifted(1.0) - shifted(-1.0)) / (2.0 * step);
        variable.set(&start).expect("set");
        assert!((change / square - 1.0).abs() < 1e-2, "{change} instead of {square}");
    }
}
