//! Networks that training looks through, against PyTorch: `tests/reference` makes the goldens.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Result, Tensor, Var};
use utsushi_kernels::Cpu;
use utsushi_training::networks::perceptual::{Features, Level, Perceptual};
use utsushi_training::networks::vgg19::Vgg19;

fn golden_path(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/goldens");
    folder.join(name).with_extension("safetensors")
}

fn golden(name: &str) -> HashMap<String, Tensor> {
    let path = golden_path(name);
    candle_core::safetensors::load(&path, &Device::Cpu).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().and_then(|t| t.to_vec1()).expect("values")
}

/// `[N, C, H, W]` to `[N, H, W, C]`.
fn channels_last(maps: &Tensor) -> Tensor {
    maps.permute((0, 2, 3, 1)).and_then(|maps| maps.contiguous()).expect("maps")
}

#[track_caller]
fn assert_close(what: &str, got: &Tensor, want: &Tensor, relative: f32) {
    assert_eq!(got.dims(), want.dims(), "{what}");
    let (got, want) = (values(got), values(want));
    if Cpu::detect() != Cpu::detect().single() {
        // Frozen networks round to bf16 where the processor multiplies it, and a ReLU passes all of a gradient or nothing.
        let length = |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
        let off = length(&mut got.iter().zip(&want).map(|(got, want)| got - want));
        let share = off / length(&mut want.iter().copied()).max(1e-6);
        assert!(share < relative.max(0.15), "{what}: off by {share} of its length");
        return;
    }
    let largest = want.iter().fold(1e-6, |most, v| f32::max(most, v.abs()));
    let worst = got.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= relative * largest, "{what}: off by {worst}, where the largest is {largest}");
}

/// Each level's map, and what the pictures change in the sum over all levels of map x weighting.
fn check(network: &dyn Features, case: &HashMap<String, Tensor>, relative: f32) {
    let pictures = Var::from_tensor(&channels_last(&case["input"])).expect("pictures");
    let maps = network.forward(&pictures).expect("the network runs");
    assert_eq!(maps.len(), network.levels().len());
    let mut sums = Vec::new();
    for (level, map) in network.levels().iter().zip(&maps) {
        assert_close(level.name, map, &channels_last(&case[level.name]), relative);
        let weighting = channels_last(&case[&format!("weighting.{}", level.name)]);
        sums.push((map * weighting).and_then(|product| product.sum_all()).expect("a sum"));
    }
    let loss = Tensor::stack(&sums, 0).and_then(|sums| sums.sum_all()).expect("a sum");
    let gradients = loss.backward().expect("gradients");
    let gradient = gradients.get(&pictures).expect("the pictures have a gradient");
    assert_close("gradient", gradient, &channels_last(&case["gradient.input"]), relative);
}

#[test]
fn vgg19_is_pytorchs() {
    let network = Vgg19::read(&golden_path("vgg19-tiny"), "relu3_2").expect("the golden's weights");
    let level = |name, channels, stride| Level { name, channels, stride };
    let want = [
        level("relu1_1", 4, 1),
        level("relu1_2", 6, 1),
        level("relu2_1", 10, 2),
        level("relu2_2", 9, 2),
        level("relu3_1", 12, 4),
        level("relu3_2", 8, 4),
    ];
    assert_eq!(network.levels(), want);
    check(&network, &golden("vgg19-tiny"), 1e-5);
}

/// So the weights in the program stay what they are, too.
#[test]
fn the_small_network_is_pytorchs() {
    check(&Perceptual::embedded(), &golden("perceptual"), 1e-4);
}

#[test]
fn pictures_without_three_channels_are_refused() {
    let grey = Tensor::zeros((1, 8, 8, 1), DType::F32, &Device::Cpu).expect("a tensor");
    let error = Perceptual::embedded().forward(&grey).expect_err("no picture").to_string();
    assert!(error.contains("[1, 8, 8, 1]"), "{error}");
}

#[test]
fn weights_of_another_network_are_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut tensors = golden("vgg19-tiny");
    let wrong = tensors["block2_conv1.weight"].narrow(1, 0, 5)?.contiguous()?;
    tensors.insert("block2_conv1.weight".to_owned(), wrong);
    let narrow = folder.path().join("narrow.safetensors");
    candle_core::safetensors::save(&tensors, &narrow)?;
    let noise = folder.path().join("noise.safetensors");
    std::fs::write(&noise, [7; 100])?;
    for (path, want) in [
        (golden_path("block"), "block1_conv1.weight is missing"),
        (narrow, "block2_conv1.weight is [10, 5, 3, 3], not [10, 6, 3, 3]"),
        (noise, "can't be read as weights"),
        (folder.path().join("none.safetensors"), "can't be read as weights"),
    ] {
        let message = Vgg19::read(&path, "relu3_1").expect_err("no VGG19").to_string();
        assert!(message.contains(want) && message.contains(&*path.to_string_lossy()), "{message}");
    }
    Ok(())
}

/// The real one: a picture's features are those that PyTorch computes from the same file.
#[test]
fn vgg19_of_the_data_is_pytorchs() {
    let Some(data) = std::env::var_os("UTSUSHI_DATA").map(PathBuf::from) else {
        eprintln!("skipped: UTSUSHI_DATA is not set");
        return;
    };
    let path = data.join("perceptual/vgg19_conv1_1-conv3_4.safetensors");
    let network = Vgg19::read(&path, "relu3_4").expect("VGG19 in UTSUSHI_DATA");
    let case = golden("vgg19-real");
    let maps = network.forward(&channels_last(&case["input"])).expect("the network runs");
    for (level, map) in network.levels().iter().zip(&maps) {
        // The golden keeps a pixel a level.
        let pixel = map.narrow(1, 1, 1).and_then(|m| m.narrow(2, 2, 1)).expect("a pixel");
        assert_close(level.name, &pixel, &channels_last(&case[level.name]), 1e-5);
    }
}
