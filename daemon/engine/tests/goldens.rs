//! The networks against PyTorch: `tests/reference` makes the goldens.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use rayon::prelude::*;
use utsushi_engine::arch::Arch;
use utsushi_engine::arch::animegan2::{self, AnimeGan2};
use utsushi_engine::arch::brush::{Sizes, Version};
use utsushi_engine::style_file::{StyleFile, StyleMeta};
use utsushi_engine::weights::Weights;
use utsushi_engine::{self as engine, DeviceChoice, Generator, Grain, Region};
use utsushi_kernels::Cpu;

fn load(path: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(path, &Device::Cpu).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// The engine's folder; a test that was carried to another machine is told.
fn folder() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into()).into()
}

fn golden(name: &str) -> HashMap<String, Tensor> {
    let folder = folder().join("../../tests/data/goldens");
    load(&folder.join(name).with_extension("safetensors"))
}

/// `[1, 3, rows, cols]` to `[rows, cols, 3]`.
fn channels_last(picture: &Tensor) -> Tensor {
    picture.squeeze(0).and_then(|p| p.permute((1, 2, 0))).and_then(|p| p.contiguous()).expect("a picture")
}

fn values(picture: &Tensor) -> Vec<f32> {
    picture.flatten_all().and_then(|p| p.to_vec1()).expect("values")
}

/// That of the goldens.
const GRAIN: Grain = Grain { seed: (5 << 32) + 7, strength: 0.75 };

/// Runs a picture in bands of this many rows.
fn run(network: &dyn Generator, picture: &Tensor, band: usize) -> Vec<f32> {
    let (height, width, _) = picture.dims3().expect("a picture");
    run_region(network, picture, Region::whole(height, width), GRAIN, band)
}

/// Runs a part of a picture in bands of this many rows.
fn run_region(
    network: &dyn Generator,
    picture: &Tensor,
    region: Region,
    grain: Grain,
    band: usize,
) -> Vec<f32> {
    let Region { width, height, .. } = region;
    let mut stream = network.stream(region, grain);
    let mut result = Vec::new();
    let picture = values(picture);
    let bands = || picture.chunks(band * width * 3);
    for rows in bands().filter(|_| network.looks_first()) {
        stream.look(rows).expect("the network looks");
    }
    for rows in bands() {
        stream.push(rows, &mut result).expect("the network runs");
    }
    assert_eq!(result.len(), height * width * 3);
    result
}

/// What a picture by products of bf16 must have at least against the exact one, in dB: with weights that draw, no
/// more than anyone can see.
const SEEN_BY_NONE: f64 = 50.0;
/// With small networks of random weights, which is harder.
const RANDOM: f64 = 40.0;

/// Does this process compute with nothing less than `f32`?
fn is_single() -> bool {
    Cpu::detect() == Cpu::detect().single() && choice() == DeviceChoice::Cpu
}

/// Where the tests draw: `UTSUSHI_TEST_DEVICE`, or the processor.
fn choice() -> DeviceChoice {
    let asked = std::env::var("UTSUSHI_TEST_DEVICE");
    asked.map_or(DeviceChoice::Cpu, |text| text.parse().expect("UTSUSHI_TEST_DEVICE"))
}

fn device() -> engine::Device {
    engine::Device::choose(choice()).expect("the device is there")
}

/// Of pictures of -1..1.
fn psnr_db(a: &[f32], b: &[f32]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    10.0 * (4.0 * a.len() as f64 / squares.max(1e-12)).log10()
}

#[track_caller]
fn check(what: &str, network: &dyn Generator, case: &HashMap<String, Tensor>, tolerance: f32, least_db: f64) {
    let (input, want) = (channels_last(&case["input"]), values(&channels_last(&case["output"])));
    let height = input.dims()[0];
    let whole = run(network, &input, height);
    let worst = whole.iter().zip(&want).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    if is_single() {
        assert!(worst <= tolerance, "{what}: off by {worst}");
    } else {
        let psnr = psnr_db(&whole, &want);
        assert!(psnr >= least_db, "{what}: {psnr:.1} dB, off by up to {worst}");
    }
    for band in [1, 2, 5, 8, 13, 64] {
        assert!(run(network, &input, band) == whole, "{what}: bands of {band} rows give another picture");
    }
}

fn brush(
    version: Version,
    sizes: Sizes,
    shares: &[f32],
    weights: HashMap<String, Tensor>,
) -> Arc<dyn Generator> {
    let weights = VarBuilder::from_tensors(weights, DType::F32, &Device::Cpu);
    Arch::Brush(version, sizes).load(shares, &weights, &device()).expect("the weights fit")
}

const TINY: Sizes = Sizes { c1: 8, c2: 16, blocks: [1, 2, 1], ch: 8, cf: 4 };
const TINY_BRUSH2: Sizes = Sizes { cf: 5, ..TINY };

#[test]
fn small_brushes_at_every_size_and_in_every_band() {
    for (name, version, sizes) in [("tiny", Version::One, TINY), ("tiny-brush2", Version::Two, TINY_BRUSH2)] {
        let network = brush(version, sizes, &[1.0], golden(name));
        for size in ["40x56", "37x53", "8x8", "1x1", "3x29"] {
            let name = format!("{name}-{size}");
            check(&name, &*network, &golden(&name), 2e-5, RANDOM);
        }
    }
}

/// Whatever its weights are.
#[test]
fn without_noise_even_pictures_stay_even_in_every_corner() {
    let network = brush(Version::Two, TINY_BRUSH2, &[1.0], golden("tiny-brush2"));
    let none = Grain { strength: 0.0, ..GRAIN };
    for (colour, height, width) in
        [([-0.8, -0.8, -0.8], 40, 64), ([0.3, -0.1, 0.6], 37, 21), ([1.0; 3], 8, 8)]
    {
        let picture: Vec<f32> = colour.repeat(height * width);
        let picture = Tensor::from_vec(picture, (height, width, 3), &Device::Cpu).expect("a picture");
        let drawn = run_region(&*network, &picture, Region::whole(height, width), none, 13);
        let is_even = drawn.chunks_exact(3).all(|pixel| pixel == &drawn[..3]);
        assert!(is_even, "{colour:?}, {height} x {width}: {:?} and others", &drawn[..3]);
        let noisy = run(&*network, &picture, 13);
        assert!(noisy.iter().zip(&drawn).any(|(a, b)| (a - b).abs() > 0.01), "the noise has no effect");
    }
}

/// As in the whole, where the part's sides aren't seen: so for a picture that is moved, too.
#[test]
fn parts_are_drawn_as_in_the_whole() {
    let sizes = Sizes { blocks: [1, 1, 0], ..TINY_BRUSH2 };
    for version in [Version::One, Version::Two] {
        let mut weights = golden(if version == Version::One { "tiny" } else { "tiny-brush2" });
        weights.retain(|name, _| !name.starts_with("d1.") && !name.starts_with("mid.1."));
        let sizes = Sizes { cf: if version == Version::One { TINY.cf } else { TINY_BRUSH2.cf }, ..sizes };
        let network = brush(version, sizes, &[1.0], weights);
        let reach = network.reach_px() as usize;
        let (height, width) = (2 * reach + 90, 2 * reach + 75);
        let value = |i: usize| ((i * 37 % 1009) as f32 / 504.5 - 1.0) * ((i / 97 % 5) as f32 / 4.0);
        let whole: Vec<f32> = (0..height * width * 3).map(value).collect();
        let cut = |x: usize, y: usize, w: usize, h: usize, from: &[f32]| -> Vec<f32> {
            (y..y + h).flat_map(|row| from[(row * width + x) * 3..][..w * 3].to_vec()).collect()
        };
        let tensor = |values: Vec<f32>, h: usize, w: usize| {
            Tensor::from_vec(values, (h, w, 3), &Device::Cpu).expect("a picture")
        };
        let want = run(&*network, &tensor(whole.clone(), height, width), 64);
        for (x, y) in [(0, 0), (8, 16), (16, 8), (1, 3), (13, 7), (31, 40)] {
            let (w, h) = (2 * reach + 41, 2 * reach + 37);
            let part = tensor(cut(x, y, w, h, &whole), h, w);
            let got = run_region(&*network, &part, Region { width: w, height: h, x, y }, GRAIN, 29);
            for row in reach..h - reach {
                let inside = &got[(row * w + reach) * 3..(row * w + w - reach) * 3];
                let there = cut(x + reach, y + row, w - 2 * reach, 1, &want);
                assert!(inside == there, "{version:?}: row {row} of the part at {x}, {y}");
            }
        }
    }
}

#[test]
fn a_mix_of_styles_is_a_mix_of_their_norms() {
    let case = golden("tiny-2-styles-11x13");
    let sizes = Sizes { c1: 4, c2: 8, blocks: [1, 1, 1], ch: 4, cf: 4 };
    let network = brush(Version::One, sizes, &values(&case["mix"]), golden("tiny-2-styles"));
    check("tiny-2-styles", &*network, &case, 2e-5, RANDOM);
    let case = golden("tiny-brush2-2-styles-11x13");
    let network = brush(Version::Two, sizes, &values(&case["mix"]), golden("tiny-brush2-2-styles"));
    check("tiny-brush2-2-styles", &*network, &case, 2e-5, RANDOM);
}

#[test]
fn a_style_of_brush_1() {
    let style = StyleFile::open(&folder().join("../../tests/data/styles/brush-1.safetensors"));
    let network = style.expect("a style file").generator_on(&device(), &[1.0]).expect("a network");
    check("cel", &*network, &golden("cel-f16"), 2e-5, SEEN_BY_NONE);
}

#[test]
fn pictures_that_are_drawn_at_once_are_those_that_are_drawn_alone() {
    let sizes = Sizes { c1: 8, c2: 16, blocks: [1, 2, 1], ch: 8, cf: 4 };
    let network = brush(Version::One, sizes, &[1.0], golden("tiny"));
    let side = 104;
    let draw = |picture: usize| {
        let values = (0..side * side * 3).map(|i| ((i * (picture + 7)) % 251) as f32 / 125.5 - 1.0);
        let input: Vec<f32> = values.collect();
        let mut drawn = Vec::new();
        network
            .stream(Region::whole(side, side), Grain::default())
            .push(&input, &mut drawn)
            .expect("it draws");
        drawn
    };
    let alone: Vec<_> = (0..4).map(draw).collect();
    let at_once: Vec<_> = (0..4).into_par_iter().map(draw).collect();
    assert!(at_once == alone);
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
    let network = undescribed(&bytes);
    check("cel, f32", &*network, &load(&weights.join("brush1-cel-golden.safetensors")), 1e-4, SEEN_BY_NONE);
}

/// The network of weights that don't say whose style they are.
fn undescribed(bytes: &[u8]) -> Arc<dyn Generator> {
    let meta = StyleMeta {
        id: "x".into(),
        name: "X".into(),
        licence: "private".into(),
        author: String::new(),
        attribution: String::new(),
        training: String::new(),
        source: String::new(),
    };
    let weights = Weights::read(bytes).expect("weights");
    StyleFile::from_weights(weights, meta)
        .expect("a style")
        .generator_on(&device(), &[1.0])
        .expect("a network")
}

const TINY_ANIME: animegan2::Sizes = animegan2::Sizes { widths: [4, 6, 8, 10] };

#[test]
fn small_animegans_at_every_size_and_in_every_band() {
    let weights = VarBuilder::from_tensors(golden("animegan2-tiny"), DType::F32, &Device::Cpu);
    let network = AnimeGan2::load(TINY_ANIME, &weights).expect("the weights fit");
    for name in ["24x40", "37x53", "1x1", "3x29"] {
        check(name, &network, &golden(&format!("animegan2-tiny-{name}")), 2e-5, RANDOM);
    }
}

#[test]
fn weights_are_recognised_as_safetensors_and_as_pytorch_saves_them() {
    let folder = folder().join("../../tests/data/goldens");
    for name in ["animegan2-tiny.safetensors", "animegan2-tiny.pth"] {
        let bytes = std::fs::read(folder.join(name)).expect("a golden");
        assert!(Weights::read(&bytes).expect("weights").is_foreign());
        check(name, &*undescribed(&bytes), &golden("animegan2-tiny-24x40"), 2e-5, RANDOM);
    }
}

/// Beyond what is drawn with its own statistics.
#[test]
fn the_bands_of_a_large_picture_do_not_show() {
    let (height, width) = (1030, 1100);
    assert!(height * width > animegan2::SURVEY_PX);
    let value = |i: usize| {
        let (x, y, c) = ((i / 3 % width) as f32, (i / 3 / width) as f32, (i % 3) as f32);
        0.5 * (x * 0.021 + c).sin() * (y * 0.017).cos() + if x > y { 0.3 } else { -0.2 }
    };
    let values: Vec<f32> = (0..height * width * 3).map(value).collect();
    let picture = Tensor::from_vec(values, (height, width, 3), &Device::Cpu).expect("a picture");
    let weights = VarBuilder::from_tensors(golden("animegan2-tiny"), DType::F32, &Device::Cpu);
    let network = AnimeGan2::load(TINY_ANIME, &weights).expect("the weights fit");
    let whole = run(&network, &picture, height);
    for band in [3, 64, 201] {
        assert!(run(&network, &picture, band) == whole, "bands of {band} rows give another picture");
    }
}

#[test]
fn an_imported_network_with_its_real_weights() {
    let Some(data) = data() else {
        eprintln!("skipped: UTSUSHI_DATA is not set");
        return;
    };
    let weights = std::fs::read(data.join("parity/animeganv2_hayao_dequant.safetensors"));
    let network = undescribed(&weights.expect("the weights in UTSUSHI_DATA"));
    let mut case = load(&data.join("parity/animeganv2_hayao.safetensors"));
    case.insert("input".into(), case["input_nchw"].clone());
    case.insert("output".into(), case["output_align_False"].clone());
    check("AnimeGANv2", &*network, &case, 2e-4, SEEN_BY_NONE);
}
