//! A smaller, faster style file that draws almost the same.
//!
//! A brush's cost lies in its blocks: `p2(ReLU(p1(...)))` through twice as many channels as the map has. Some
//! of these channels say little that the others don't. For each block, with a(x) the channels after the ReLU
//! and a 1 for the bias, and W what `p2` and its bias multiply them with, this looks for fewer channels, and
//! new weights for them, whose result differs least from W a on calibration pictures:
//!
//! ```text
//! S = mean of a a^T             P = S^-1
//! cost of channel j             |g W_j|^2 / P_jj
//! without it                    W_i -= W_j P_ji / P_jj,   P -= P_j P_j^T / P_jj
//! ```
//!
//! The channel that costs least goes, again and again: Optimal Brain Surgeon (Hassibi & Stork 1993), of whole
//! channels as in Optimal Brain Compression (Frantar & Alistarh 2022, <https://arxiv.org/abs/2208.11580>).
//! What is left is at every moment the least-squares fit. Nothing is trained.

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use crate::arch::Arch;
use crate::arch::brush::{Sizes, TrainableBrush, Version};
use crate::differentiable::{BlockTensors, block};
use crate::style_file::{StyleFile, StyleFileError};
use crate::{Generator, Grain, Region};

/// Pictures are cut to this many pixels a side, around their middle.
const LONGEST_PX: usize = 384;
/// What the network's sides are multiples of.
const MULTIPLE_PX: usize = 8;
/// Channels come in vectors: fewer than a whole one save nothing.
const VECTOR: usize = 8;
/// Added to S, as a share of its diagonal's mean, for channels that are never on.
const DAMPING: f64 = 1e-6;

/// How far to go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// The share of the channels inside each block that stays, above 0, at most 1; rounded to vectors of 8.
    pub keep: f64,
}

/// A picture to calibrate on and to measure with: like those that the style will draw.
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    /// In pixels; at least 8.
    pub width: usize,
    /// In pixels; at least 8.
    pub height: usize,
    /// `height * width * 3` bytes, sRGB.
    pub rgb: &'a [u8],
}

/// What was saved, and what it costs.
#[derive(Debug, Clone, PartialEq)]
pub struct PruneReport {
    /// The channels inside all blocks together, before and after.
    pub channels: [usize; 2],
    /// The file's bytes, before and after.
    pub bytes: [usize; 2],
    /// Products a pixel of the picture inside the blocks, before and after.
    pub block_products: [usize; 2],
    /// For each picture that was measured with, drawn in each style: the peak signal-to-noise ratio between
    /// the styles before and after, in dB. Infinite where nothing differs.
    pub psnr_db: Vec<f64>,
}

impl PruneReport {
    /// The picture that came out worst, in dB.
    pub fn worst_psnr_db(&self) -> f64 {
        self.psnr_db.iter().copied().fold(f64::INFINITY, f64::min)
    }
}

/// Why a style can't be pruned.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Another kind of network.
    #[error("a network of the kind {0:?} can't be pruned: only brushes can")]
    NotABrush(&'static str),
    /// No share.
    #[error("{0} is no share of channels to keep: give one above 0, at most 1")]
    Keep(f64),
    /// Nothing to measure on.
    #[error("there is no picture of 8 x 8 pixels or more: give some that are like those the style will draw")]
    NoPictures,
    /// The network failed.
    #[error("the network failed: {0}")]
    Network(#[from] candle_core::Error),
    /// The result is no style.
    #[error("the pruned style can't be written: {0}")]
    File(#[from] StyleFileError),
}

/// Removes channels inside the blocks of a style's network. With more than one picture, every second is only
/// measured with, so that what the report says holds for others, too.
///
/// # Errors
/// If the network is no brush, the settings are not possible, or there is no picture.
///
/// # Panics
/// If a picture hasn't as many bytes as its sides say.
pub fn prune(
    file: &StyleFile,
    settings: Settings,
    pictures: &[Picture],
) -> std::result::Result<(StyleFile, PruneReport), PruneError> {
    let (arch, weights) = file.network();
    let (Arch::Brush(version, sizes) | Arch::PrunedBrush(version, sizes)) = arch else {
        return Err(PruneError::NotABrush(arch.name()));
    };
    if !(settings.keep > 0.0 && settings.keep <= 1.0) {
        return Err(PruneError::Keep(settings.keep));
    }
    let pictures = pictures.iter().filter_map(|picture| picture.tensor().transpose());
    let pictures = pictures.collect::<Result<Vec<_>>>()?;
    let every_second = |first| pictures.iter().skip(first).step_by(2);
    let measured: Vec<_> = every_second(usize::from(pictures.len() > 1)).collect();
    if measured.is_empty() {
        return Err(PruneError::NoPictures);
    }
    let styles = file.styles().len();
    let moments = calibrate((version, sizes), styles, weights, every_second(0))?;
    let mut pruned = weights.clone();
    for (name, moments) in sizes.block_names().iter().zip(moments) {
        prune_block(&mut pruned, name, moments, settings.keep)?;
    }
    let widths = [weights, &pruned].map(|weights| widths(sizes, weights));
    let arch = if widths[0] == widths[1] { arch } else { Arch::PrunedBrush(version, sizes) };
    // What is measured is what will be read.
    let bytes = file.with_network(arch, pruned)?.to_bytes()?;
    let pruned = StyleFile::parse(&bytes)?;
    let mut psnr_db = Vec::new();
    for style in 0..styles {
        let shares: Vec<f32> = (0..styles).map(|i| f32::from(i == style)).collect();
        let (before, after) = (file.generator(&shares)?, pruned.generator(&shares)?);
        for picture in &measured {
            psnr_db.push(psnr(&draw(&*before, picture)?, &draw(&*after, picture)?));
        }
    }
    let report = PruneReport {
        channels: widths.each_ref().map(|widths| widths.iter().map(|(_, inside)| inside).sum()),
        bytes: [file.to_bytes()?.len(), bytes.len()],
        block_products: widths.map(|widths| products_per_pixel(sizes, &widths)),
        psnr_db,
    };
    Ok((pruned, report))
}

impl Picture<'_> {
    /// `[1, height, width, 3]`, RGB in -1..1, the sides such as a network wants; none if it is too small.
    fn tensor(&self) -> Result<Option<Tensor>> {
        let Self { width, height, rgb } = *self;
        assert_eq!(rgb.len(), width * height * 3);
        let values = rgb.iter().map(|v| f32::from(*v) / 127.5 - 1.0).collect::<Vec<_>>();
        let whole = Tensor::from_vec(values, (1, height, width, 3), &Device::Cpu)?;
        let cut = |side: usize| side.min(LONGEST_PX) / MULTIPLE_PX * MULTIPLE_PX;
        let (rows, cols) = (cut(height), cut(width));
        if rows * cols == 0 {
            return Ok(None);
        }
        whole
            .narrow(1, (height - rows) / 2, rows)?
            .narrow(2, (width - cols) / 2, cols)?
            .contiguous()
            .map(Some)
    }
}

/// The mean of a a^T for a block, its last row and column those of the 1.
struct Moments {
    size: usize,
    pixels: f64,
    sums: Vec<f64>,
}

/// Runs the pictures through the network in each of its styles; for each block, the channels' moments.
fn calibrate<'a>(
    (version, sizes): (Version, Sizes),
    styles: usize,
    weights: &HashMap<String, Tensor>,
    pictures: impl Iterator<Item = &'a Tensor> + Clone,
) -> Result<Vec<Moments>> {
    let weights = VarBuilder::from_tensors(weights.clone(), DType::F32, &Device::Cpu);
    let network = TrainableBrush::load(version, sizes, styles, &weights)?;
    let mut all: Vec<Moments> = Vec::new();
    for style in 0..styles {
        let shares: Vec<f32> = (0..styles).map(|i| f32::from(i == style)).collect();
        let shares = Tensor::new(shares, &Device::Cpu)?;
        for picture in pictures.clone() {
            let mut index = 0;
            network.forward_watched(
                &picture.clone().into(),
                &shares,
                &[Grain::default()],
                &mut |x, weights, noise| {
                    let activations = activations(x.here()?, weights, noise)?;
                    let size = activations.dim(1)?;
                    if index == all.len() {
                        all.push(Moments { size, pixels: 0.0, sums: vec![0.0; size * size] });
                    }
                    all[index].add(&activations)?;
                    index += 1;
                    Ok(())
                },
            )?;
        }
    }
    Ok(all)
}

/// A block's channels after the ReLU, and a 1: `[pixels, channels + 1]`. Read off the block itself, as many
/// channels at a time as it has outputs, with `p2` replaced by a selection.
fn activations(x: &Tensor, weights: &BlockTensors, noise: Option<&Tensor>) -> Result<Tensor> {
    let (outputs, inside) = weights.project.dims2()?;
    let mut parts = Vec::new();
    for first in (0..inside).step_by(outputs) {
        let count = outputs.min(inside - first);
        let select = |at: usize| f32::from(at / inside + first == at % inside && at / inside < count);
        let project =
            Tensor::from_vec((0..outputs * inside).map(select).collect(), (outputs, inside), x.device())?;
        let project_bias = weights.project_bias.zeros_like()?;
        let selected = BlockTensors { project, project_bias, ..weights.clone() };
        parts.push((block(x, &selected, noise)? - x)?.narrow(3, 0, count)?.flatten(0, 2)?);
    }
    parts.push(Tensor::ones((parts[0].dim(0)?, 1), DType::F32, x.device())?);
    Tensor::cat(&parts, 1)
}

impl Moments {
    fn add(&mut self, activations: &Tensor) -> Result<()> {
        let products = activations.t()?.matmul(activations)?.flatten_all()?.to_vec1::<f32>()?;
        self.sums.iter_mut().zip(products).for_each(|(sum, product)| *sum += f64::from(product));
        self.pixels += activations.dim(0)? as f64;
        Ok(())
    }

    /// P: the inverse of the mean, damped.
    fn inverse(self) -> Vec<f64> {
        let Self { size, pixels, mut sums } = self;
        sums.iter_mut().for_each(|sum| *sum /= pixels);
        let damping = DAMPING * (0..size).map(|i| sums[i * size + i]).sum::<f64>() / size as f64;
        (0..size).for_each(|i| sums[i * size + i] += damping);
        // Gauss and Jordan, in place; a positive definite matrix needs no pivots.
        for k in 0..size {
            let pivot = sums[k * size + k].recip();
            sums[k * size + k] = 1.0;
            sums[k * size..(k + 1) * size].iter_mut().for_each(|v| *v *= pivot);
            let row = sums[k * size..(k + 1) * size].to_vec();
            for other in (0..size).filter(|other| *other != k) {
                let other = &mut sums[other * size..(other + 1) * size];
                let factor = std::mem::take(&mut other[k]);
                other.iter_mut().zip(&row).for_each(|(v, r)| *v -= factor * r);
            }
        }
        sums
    }
}

/// Leaves a block the channels that count.
fn prune_block(weights: &mut HashMap<String, Tensor>, name: &str, moments: Moments, keep: f64) -> Result<()> {
    let of = |part: &str| format!("{name}.{part}");
    let values = |part: &str| weights[&of(part)].flatten_all()?.to_vec1::<f32>();
    let (p1, p1_bias, p2, p2_bias) =
        (values("p1.weight")?, values("p1.bias")?, values("p2.weight")?, values("p2.bias")?);
    let gains = values("g")?;
    let (inside, channels) = (p1_bias.len(), p2_bias.len());
    let vectors = (keep * inside as f64 / VECTOR as f64).round().max(1.0) as usize;
    let target = (vectors * VECTOR).min(inside);
    let size = moments.size;
    let mut inverse = moments.inverse();
    // Column by column: what each channel, and the 1, is multiplied with.
    let mut columns: Vec<Vec<f64>> = (0..inside)
        .map(|j| (0..channels).map(|o| f64::from(p2[o * inside + j])).collect())
        .chain([p2_bias.iter().map(|v| f64::from(*v)).collect()])
        .collect();
    let mut kept: Vec<usize> = (0..inside).collect();
    while kept.len() > target {
        let cost = |j: usize| {
            let effect = columns[j].iter().zip(&gains).map(|(w, g)| (w * f64::from(*g)).powi(2));
            effect.sum::<f64>() / inverse[j * size + j]
        };
        let costs: Vec<f64> = kept.iter().map(|j| cost(*j)).collect();
        let least =
            (0..kept.len()).min_by(|a, b| costs[*a].total_cmp(&costs[*b])).expect("there are channels");
        let gone = kept.remove(least);
        let row: Vec<f64> = inverse[gone * size..(gone + 1) * size].to_vec();
        let column = columns[gone].clone();
        for i in kept.iter().copied().chain([inside]) {
            let factor = row[i] / row[gone];
            columns[i].iter_mut().zip(&column).for_each(|(w, of_gone)| *w -= factor * of_gone);
            let others = &mut inverse[i * size..(i + 1) * size];
            others.iter_mut().zip(&row).for_each(|(v, r)| *v -= factor * r);
        }
    }
    let p1: Vec<f32> =
        kept.iter().flat_map(|j| p1[j * channels..(j + 1) * channels].iter().copied()).collect();
    let p1_bias: Vec<f32> = kept.iter().map(|j| p1_bias[*j]).collect();
    let p2: Vec<f32> = (0..channels)
        .flat_map(|o| kept.iter().map(move |j| (*j, o)))
        .map(|(j, o)| columns[j][o] as f32)
        .collect();
    let p2_bias: Vec<f32> = columns[inside].iter().map(|v| *v as f32).collect();
    let mut set = |part: &str, values: Vec<f32>, shape: &[usize]| {
        weights.insert(of(part), Tensor::from_vec(values, shape, &Device::Cpu)?);
        Ok(())
    };
    set("p1.weight", p1, &[kept.len(), channels, 1, 1])?;
    set("p1.bias", p1_bias, &[kept.len()])?;
    set("p2.weight", p2, &[channels, kept.len(), 1, 1])?;
    set("p2.bias", p2_bias, &[channels])
}

/// For each block, the channels outside and inside.
fn widths(sizes: Sizes, weights: &HashMap<String, Tensor>) -> Vec<(usize, usize)> {
    let width = |name: &String, part: &str| weights[&format!("{name}.{part}")].elem_count();
    sizes.block_names().iter().map(|name| (width(name, "p2.bias"), width(name, "p1.bias"))).collect()
}

/// Of the 1x1 convolutions, whose maps have a quarter, an eighth or half of the picture's size.
fn products_per_pixel(sizes: Sizes, widths: &[(usize, usize)]) -> usize {
    let products = |(block, (outside, inside)): (usize, &(usize, usize))| {
        2 * outside * inside / (sizes.factor(block) * sizes.factor(block))
    };
    widths.iter().enumerate().map(products).sum()
}

/// A picture as a network draws it, its values -1..1.
fn draw(network: &dyn Generator, picture: &Tensor) -> Result<Vec<f32>> {
    let (_, height, width, _) = picture.dims4()?;
    let (rows, mut drawn) = (picture.flatten_all()?.to_vec1::<f32>()?, Vec::new());
    network.stream(Region::whole(height, width), Grain::default()).push(&rows, &mut drawn)?;
    Ok(drawn.into_iter().map(|v| v.clamp(-1.0, 1.0)).collect())
}

/// Of two pictures whose values are -1..1, in dB.
fn psnr(a: &[f32], b: &[f32]) -> f64 {
    let squares: f64 = a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
    10.0 * (4.0 * a.len() as f64 / squares).log10()
}
