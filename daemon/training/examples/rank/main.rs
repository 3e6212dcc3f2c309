//! Does the small perceptual network find the same pictures alike as VGG19?
//!
//! ```text
//! cargo run --release -p utsushi-training --example rank -- \
//!     --pictures PHOTOS --pictures ART --teacher VGG19.safetensors
//! ```
//!
//! From crops of pictures that `examples/distil` left out to variants of them and to other pictures: the
//! distances that training's losses measure, content and texture, of the luminance, in either network's
//! features. Printed is the rank correlation (Spearman 1904) between the two networks over all pairs, and
//! over those of one kind. Beside it the same for the mean difference of pixels, and for the small network
//! with random weights: what needs no teacher.

#[path = "../distil/pictures.rs"]
mod pictures;
#[path = "../distil/variants.rs"]
mod variants;

use std::path::PathBuf;

use anyhow::Result;
use candle_core::{Device, Tensor};
use clap::Parser;
use image::RgbImage;
use pictures::{Crop, Part};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use utsushi_engine::differentiable::Maps;
use utsushi_engine::style_file::StyleFile;
use utsushi_engine::{Grain, Region};
use utsushi_training::losses::{content, grey, style};
use utsushi_training::networks::perceptual::{Features, Perceptual};
use utsushi_training::networks::vgg19::Vgg19;
use utsushi_training::optimiser::{Parameters, usual_weights};
use variants::Variant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whether the small network finds the same pictures alike as VGG19.
#[derive(Parser)]
struct Arguments {
    /// The folders that were trained on: every tenth picture was left out.
    #[arg(long, required = true)]
    pictures: Vec<PathBuf>,
    /// VGG19's weights.
    #[arg(long)]
    teacher: PathBuf,
    /// The built-in style, whose pictures are one kind of pairs.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/../styles/cel.safetensors"))]
    style: PathBuf,
    /// Which of the pictures: those that were left out, or those that were not.
    #[arg(long, value_enum, default_value = "held-out")]
    part: Part,
    /// How many crops.
    #[arg(long, default_value_t = 60)]
    crops: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const CROP_PX: usize = 144;
/// Content is measured at the last level, textures at these: relu1_1, relu2_1 and relu3_1 of VGG19.
const VGG_TEXTURES: [usize; 3] = [0, 2, 4];
const OUR_TEXTURES: [usize; 3] = [0, 1, 2];

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let pictures = pictures::read(&arguments.pictures, arguments.part, CROP_PX as u32)?;
    let vgg = Vgg19::read(&arguments.teacher, "relu3_1")?;
    let ours = Perceptual::embedded();
    let (_, random) = Parameters::initialised(1, usual_weights, Perceptual::load)?;
    let style = StyleFile::open(&arguments.style)?;
    let style = style.generator(&vec![1.0 / style.styles().len() as f32; style.styles().len()])?;
    let draw = |crop: &Crop| -> candle_core::Result<Crop> {
        let mut values = Vec::new();
        let rows: Vec<f32> = tensor(crop)?.flatten_all()?.to_vec1()?;
        style.stream(Region::whole(crop.size, crop.size), Grain::default()).push(&rows, &mut values)?;
        Ok(Crop { size: crop.size, rgb: values.into_iter().map(|v| v.clamp(-1.0, 1.0)).collect() })
    };
    let mut pairs = Vec::new();
    let mut random_state = ChaCha8Rng::seed_from_u64(arguments.seed);
    for _ in 0..arguments.crops {
        let crop = Crop::random(&pictures, CROP_PX, &mut random_state);
        let mut others: Vec<_> = Variant::ALL
            .into_iter()
            .map(|variant| (format!("{variant:?}").to_lowercase(), variant.of(&crop, &mut random_state)))
            .collect();
        others.push(("in the built-in style".to_owned(), draw(&crop)?));
        others.push(("another picture".to_owned(), other(&pictures, &mut random_state)));
        for (kind, other) in others {
            let [a, b] = [&crop, &other].map(|crop| tensor(crop).and_then(|crop| grey(&crop.into())));
            let (a, b) = (a?, b?);
            let pixels = f64::from(a.distance(&b)?.here()?.to_scalar::<f32>()?);
            let distances = [
                distances(&vgg, VGG_TEXTURES, &a, &b)?,
                distances(&ours, OUR_TEXTURES, &a, &b)?,
                distances(&random, OUR_TEXTURES, &a, &b)?,
                [pixels; 2],
            ];
            pairs.push((kind, distances));
        }
    }
    println!("{} pairs from {} pictures", pairs.len(), pictures.len());
    let mut kinds: Vec<_> = pairs.iter().map(|(kind, _)| kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    println!("{:24}{:>30}{:>30}", "", "content", "textures");
    println!("{:24}{}", "", ["ours", "random", "pixels"].map(|who| format!("{who:>10}")).concat().repeat(2));
    for kind in [None].into_iter().chain(kinds.into_iter().map(Some)) {
        let of_kind: Vec<_> = pairs.iter().filter(|(k, _)| kind.is_none_or(|kind| kind == k)).collect();
        let column = |who: usize, what: usize| of_kind.iter().map(|(_, d)| d[who][what]).collect::<Vec<_>>();
        let cell =
            |what: usize, who: usize| format!("{:10.3}", spearman(&column(0, what), &column(who, what)));
        let cells: String = [0, 1].iter().flat_map(|what| [1, 2, 3].map(|who| cell(*what, who))).collect();
        println!("{:24}{cells}", kind.unwrap_or("all"));
    }
    Ok(())
}

fn other(pictures: &[RgbImage], random: &mut ChaCha8Rng) -> Crop {
    Crop::random(pictures, CROP_PX, random)
}

/// `[1, size, size, 3]`
fn tensor(crop: &Crop) -> candle_core::Result<Tensor> {
    Tensor::from_slice(&crop.rgb, (1, crop.size, crop.size, 3), &Device::Cpu)
}

/// Of content and of textures, as training measures them.
fn distances(
    network: &dyn Features,
    textures: [usize; 3],
    a: &Maps,
    b: &Maps,
) -> candle_core::Result<[f64; 2]> {
    let (a, b) = (network.see(a)?, network.see(b)?);
    let last = a.len() - 1;
    let grams = |maps: &[Maps]| -> candle_core::Result<Vec<Tensor>> {
        textures.iter().map(|level| maps[*level].gram()?.here().cloned()).collect()
    };
    let number = |distance: &Tensor| distance.to_scalar::<f32>().map(f64::from);
    Ok([number(content(&b[last], &a[last])?.here()?)?, number(&style(&grams(&b)?, &grams(&a)?)?)?])
}

/// Pearson's correlation of the ranks; what is equal shares the mean of its ranks.
fn spearman(a: &[f64], b: &[f64]) -> f64 {
    let (a, b) = (ranks(a), ranks(b));
    let mean = (a.len() as f64 - 1.0) / 2.0;
    let sum = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    sum(&a, &b) / (sum(&a, &a) * sum(&b, &b)).sqrt()
}

fn ranks(values: &[f64]) -> Vec<f64> {
    let below = |v: f64| values.iter().filter(|other| **other < v).count();
    let up_to = |v: f64| values.iter().filter(|other| **other <= v).count();
    values.iter().map(|v| (below(*v) + up_to(*v) - 1) as f64 / 2.0).collect()
}
