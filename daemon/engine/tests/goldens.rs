//! The networks against PyTorch: `tests/reference` makes the goldens.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use utsushi_engine::Generator;
use utsushi_engine::arch::brush::{Brush, Sizes};
use utsushi_engine::style_file::{StyleFile, StyleMeta};

fn load(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn golden(name: &str) -> HashMap<String, Tensor> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/goldens");
    load(&folder.join(name).with_extension("safetensors"))
}

/// `[1, 3, rows, cols]` to `[rows, cols, 3]`.
fn channels_last(picture: &Tensor) -> Tensor {
    picture.squeeze(0).and_then(|p| p.permute((1, 2, 0))).and_then(|p| p.contiguous()).expect("a picture")
}

fn values(picture: &Tensor) -> Vec<f32> {
    picture.flatten_all().and_then(|p| p.to_vec1()).expect("values")
}

/// Runs a picture in bands of this many rows.
fn run(network: &dyn Generator, picture: &Tensor, band: usize) -> Vec<f32> {
    let (height, width, _) = picture.dims3().expect("a picture");
    let mut stream = network.stream(height, width);
    let mut result = Vec::new();
    for from in (0..height).step_by(band) {
        let rows = picture.narrow(0, from, band.min(height - from)).expect("rows");
        if let Some(rows) = stream.push(rows).expect("the network runs") {
            result.extend(values(&rows));
        }
    }
    assert_eq!(result.len(), height * width * 3);
    result
}

#[track_caller]
fn check(what: &str, network: &dyn Generator, case: &HashMap<String, Tensor>, tolerance: f32) {
    let (input, want) = (channels_last(&case["input"]), values(&channels_last(&case["output"])));
    let height = input.dims()[0];
    let whole = run(network, &input, height);
    let worst = whole.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(worst <= tolerance, "{what}: off by {worst}");
    for band in [1, 2, 5, 8, 13, 64] {
        assert!(run(network, &input, band) == whole, "{what}: bands of {band} rows give another picture");
    }
}

fn brush(sizes: Sizes, shares: &[f32], weights: HashMap<String, Tensor>) -> Brush {
    let weights = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
    Brush::load(sizes, shares, &weights).expect("the weights fit")
}

#[test]
fn small_brushes_at_every_size_and_in_every_band() {
    let sizes = Sizes { c1: 8, c2: 16, blocks: [1, 2, 1], ch: 8, cf: 4 };
    let network = brush(sizes, &[1.0], golden("tiny"));
    for name in ["tiny-40x56", "tiny-37x53", "tiny-8x8", "tiny-1x1", "tiny-3x29"] {
        check(name, &network, &golden(name), 2e-5);
    }
}

#[test]
fn a_mix_of_styles_is_a_mix_of_their_norms() {
    let case = golden("tiny-2-styles-11x13");
    let sizes = Sizes { c1: 4, c2: 8, blocks: [1, 1, 1], ch: 4, cf: 4 };
    let network = brush(sizes, &values(&case["mix"]), golden("tiny-2-styles"));
    check("tiny-2-styles", &network, &case, 2e-5);
}

#[test]
fn the_style_that_ships() {
    let style = StyleFile::open(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../styles/cel.safetensors"));
    let network = style.expect("a style file").generator(&[1.0]).expect("a network");
    check("cel", &*network, &golden("cel-f16"), 2e-5);
}

/// The folder of data that is too large, or not ours, to be kept with the project.
fn data() -> Option<PathBuf> {
    std::env::var_os("UTSUSHI_DATA").map(PathBuf::from)
}

#[test]
fn full_precision_weights_as_the_training_script_writes_them() {
    let Some(data) = data() else {
        eprintln!("skipped: UTSUSHI_DATA is not set");
        return;
    };
    let weights = data.join("../weights");
    let bytes =
        std::fs::read(weights.join("brush1-cel.safetensors")).expect("the weights beside UTSUSHI_DATA");
    let text = |text: &str| text.to_owned();
    let meta = StyleMeta {
        id: text("cel"),
        name: text("Cel"),
        author: text(""),
        licence: text("private"),
        attribution: text(""),
        training: text(""),
    };
    let network =
        StyleFile::from_training(&bytes, meta).expect("a style").generator(&[1.0]).expect("a network");
    check("cel, f32", &*network, &load(&weights.join("brush1-cel-golden.safetensors")), 1e-4);
}
