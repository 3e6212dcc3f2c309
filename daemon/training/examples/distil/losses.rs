//! How far the small network is from VGG19: in what can be read off it, in what it finds unlike, and in
//! texture.

use candle_core::{Result, Tensor};
use candle_nn::VarBuilder;
use utsushi_engine::differentiable::{WholeConv, conv};
use utsushi_training::networks::perceptual::{Features, Perceptual};
use utsushi_training::networks::vgg19::Vgg19;

/// Of VGG19's levels, those that each of ours answers to: they have its stride.
pub(crate) const ANSWERS: [std::ops::Range<usize>; 3] = [0..2, 2..4, 4..5];
/// Of the rows of a level's maps, one in so many is read off: neighbours differ little, and VGG's maps are
/// large.
const ROW_STEPS: [usize; 3] = [4, 2, 1];
/// What keeps roots and logarithms of distances from steep slopes.
const EPSILON: f64 = 1e-4;

/// VGG19, its maps divided by what they usually are.
pub(crate) struct Teacher {
    network: Vgg19,
    /// The root mean square of each level, and of each of its channels.
    scales: Vec<(f64, Tensor)>,
}

impl Teacher {
    /// Measures on some pictures how large the maps are.
    pub(crate) fn new(network: Vgg19, pictures: &Tensor) -> Result<Self> {
        let scale = |map: &Tensor| {
            let squares = map.sqr()?.mean((0, 1, 2))?;
            let level = f64::from(squares.mean_all()?.to_scalar::<f32>()?).sqrt();
            // A channel that is hardly ever on doesn't count as much as the others.
            Ok((level, (squares + 0.01 * level * level)?.sqrt()?))
        };
        let scales = network.forward(pictures)?.iter().map(scale).collect::<Result<_>>()?;
        Ok(Self { network, scales })
    }

    /// The root mean square of the levels that each of ours answers to.
    pub(crate) fn scales(&self) -> [f64; 3] {
        ANSWERS.map(|levels| {
            let count = levels.len() as f64;
            self.scales[levels].iter().map(|(level, _)| level / count).sum()
        })
    }

    /// The maps of each level, divided by the level's size.
    pub(crate) fn look(&self, pictures: &Tensor) -> Result<Vec<Tensor>> {
        let maps = self.network.forward(pictures)?;
        maps.iter().zip(&self.scales).map(|(map, (level, _))| map / *level).collect()
    }
}

/// 1x1 convolutions that predict VGG19's channels from ours.
pub(crate) struct ReadOuts(Vec<(Tensor, Tensor)>);

impl ReadOuts {
    pub(crate) fn load(weights: &VarBuilder, teacher: &Teacher) -> Result<Self> {
        let levels = teacher.network.levels();
        let mut all = Vec::new();
        for (ours, answers) in Perceptual::LEVELS.iter().zip(ANSWERS) {
            let outputs = levels[answers].iter().map(|level| level.channels).sum::<usize>();
            let weights = weights.pp(ours.name);
            all.push((weights.get((outputs, ours.channels, 1, 1), "weight")?, weights.get(outputs, "bias")?));
        }
        Ok(Self(all))
    }
}

/// The parts of the loss.
pub(crate) struct Losses {
    /// The mean square of what the read-outs miss, where VGG19's channels have a mean square of 1.
    pub(crate) read_out: Tensor,
    /// The mean square of what pixels' distances, from a picture to its variant, are wrong by.
    pub(crate) distance: Tensor,
    /// The mean square of what the logarithms of Gram matrices' distances, of all pairs, are wrong by.
    pub(crate) gram: Tensor,
}

impl Losses {
    pub(crate) fn total(&self) -> Result<Tensor> {
        &self.read_out + ((&self.distance * 0.5)? + (&self.gram * 0.1)?)?
    }
}

/// Compares our maps with VGG19's, of pictures and then as many variants of them.
pub(crate) fn losses(
    ours: &[Tensor],
    vgg: &[Tensor],
    read_outs: &ReadOuts,
    teacher: &Teacher,
) -> Result<Losses> {
    let (mut read_out, mut distance, mut gram) = (Vec::new(), Vec::new(), Vec::new());
    for (level, answers) in ANSWERS.into_iter().enumerate() {
        let (ours, vgg) = (&ours[level..=level], &vgg[answers.clone()]);
        let rows: Vec<u32> = (0..ours[0].dim(1)? as u32).step_by(ROW_STEPS[level]).collect();
        let rows = Tensor::new(rows, ours[0].device())?;
        let (weight, bias) = &read_outs.0[level];
        let predicted = conv(&ours[0].index_select(&rows, 1)?, weight, bias, WholeConv::same(1))?;
        let wanted = vgg.iter().zip(&teacher.scales[answers]).map(|(map, (level, channels))| {
            map.index_select(&rows, 1)?.broadcast_mul(&channels.recip()?.affine(*level, 0.0)?)
        });
        let wanted = Tensor::cat(&wanted.collect::<Result<Vec<_>>>()?, 3)?;
        read_out.push((predicted - wanted)?.sqr()?.mean_all()?);
        distance.push((distances(ours)? - distances(vgg)?)?.sqr()?.mean_all()?);
        gram.push((gram_distances(ours)?.log()? - gram_distances(vgg)?.log()?)?.sqr()?.mean_all()?);
    }
    let mean = |parts: Vec<Tensor>| Tensor::stack(&parts, 0)?.mean_all();
    Ok(Losses { read_out: mean(read_out)?, distance: mean(distance)?, gram: mean(gram)? })
}

/// From each pixel of the first half to that of the second: the root of the channels' mean squared
/// difference.
fn distances(maps: &[Tensor]) -> Result<Tensor> {
    let squares = maps.iter().map(|map| {
        let half = map.dim(0)? / 2;
        (map.narrow(0, 0, half)? - map.narrow(0, half, half)?)?.sqr()?.mean(3)
    });
    let squares = Tensor::stack(&squares.collect::<Result<Vec<_>>>()?, 0)?.mean(0)?;
    (squares + EPSILON)?.sqrt()
}

/// Of every pair of pictures: the mean difference of their centred Gram matrices.
fn gram_distances(maps: &[Tensor]) -> Result<Tensor> {
    let count = maps[0].dim(0)? as u32;
    let pairs = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
    let (a, b): (Vec<u32>, Vec<u32>) = pairs.unzip();
    let device = maps[0].device();
    let (a, b) = (Tensor::new(a, device)?, Tensor::new(b, device)?);
    let differences = maps.iter().map(|map| {
        let gram = gram(map)?;
        // The diagonal holds more than all the rest, and ever less of the matrix the more channels there are:
        // so the matrices are compared as vectors of one length, not value by value.
        (gram.index_select(&a, 0)? - gram.index_select(&b, 0)?)?
            .sqr()?
            .sum((1, 2))?
            .affine(1.0, EPSILON)?
            .sqrt()
    });
    Tensor::stack(&differences.collect::<Result<Vec<_>>>()?, 0)?.mean(0)
}

/// The channels' covariance over the pixels, divided by their number: `[pictures, channels, channels]`.
pub(crate) fn gram(map: &Tensor) -> Result<Tensor> {
    let (_, rows, cols, channels) = map.dims4()?;
    let map = map.flatten(1, 2)?;
    let centred = map.broadcast_sub(&map.mean_keepdim(1)?)?;
    centred.t()?.matmul(&centred)? / (rows * cols * channels) as f64
}
