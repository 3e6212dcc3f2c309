//! Changes of pictures before a discriminator sees them, so that it can't learn a few of them by heart: DiffAugment
//! (Zhao et al. 2020, <https://arxiv.org/abs/2006.10738>).
//!
//! Real and fake pictures are changed alike, and gradients flow through: the generator doesn't learn to draw what
//! is changed. Of the paper's colour changes saturation is left out, which luminance doesn't have.
//!
//! Only the discriminator on luminance sees changed pictures. That on features sees the maps that the generator's
//! losses need anyway, of pictures that aren't changed: another pass through the perceptual network would cost more
//! than all the rest. What it sees are random crops, scaled and flipped, which is half of it.

use candle_core::Result;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use utsushi_engine::differentiable::{Change, Maps};

/// So much is added or taken, at most.
const BRIGHTNESS: f32 = 0.5;
/// Contrast is raised or lowered by so much, at most.
const CONTRAST: f32 = 0.5;
/// The share of the side that pictures are moved by, at most.
const TRANSLATION: f32 = 1.0 / 8.0;
/// The share of the side that is cut out.
const CUTOUT: f32 = 0.5;

/// What is done to each picture of a batch.
pub(super) struct Augmentation {
    changes: Vec<Change>,
}

impl Augmentation {
    /// For so many pictures of `size` x `size` pixels.
    pub(super) fn random(random: &mut ChaCha8Rng, count: usize, size: usize) -> Self {
        let most = (size as f32 * TRANSLATION) as i32;
        let hole_px = (size as f32 * CUTOUT) as usize;
        let half = hole_px as i32 / 2;
        let change = |_| Change {
            brightness: random.random_range(-BRIGHTNESS..=BRIGHTNESS),
            contrast: random.random_range(1.0 - CONTRAST..=1.0 + CONTRAST),
            shift: std::array::from_fn(|_| random.random_range(-most..=most) as isize),
            hole: std::array::from_fn(|_| (random.random_range(0..=size as i32) - half) as isize),
            hole_px,
        };
        Self { changes: (0..count).map(change).collect() }
    }

    /// Changes `[count, size, size, 1]`.
    pub(super) fn apply(&self, pictures: &Maps) -> Result<Maps> {
        pictures.change(&self.changes)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};

    use super::super::random::of_step;
    use super::*;

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().and_then(|t| t.to_vec1()).expect("values")
    }

    #[test]
    fn pictures_are_changed_as_drawn() {
        const SIZE: usize = 16;
        let pixels = |i: usize| (i as f32 * 0.37).sin();
        let pictures: Vec<f32> = (0..2 * SIZE * SIZE).map(pixels).collect();
        let tensor = Tensor::from_vec(pictures.clone(), (2, SIZE, SIZE, 1), &Device::Cpu).expect("pictures");
        let (mut seen_hole, mut seen_edge) = (0, 0);
        for step in 0..20 {
            let augmentation = Augmentation::random(&mut of_step(1, step), 2, SIZE);
            let got = values(
                augmentation
                    .apply(&tensor.clone().into())
                    .and_then(|maps| maps.here().cloned())
                    .as_ref()
                    .expect("it is changed"),
            );
            for (i, got) in got.into_iter().enumerate() {
                let (n, row, col) = (i / (SIZE * SIZE), i / SIZE % SIZE, i % SIZE);
                let change = &augmentation.changes[n];
                let picture = &pictures[n * SIZE * SIZE..][..SIZE * SIZE];
                let mean = picture.iter().sum::<f32>() / picture.len() as f32;
                let [y, x] = [row as isize - change.shift[0], col as isize - change.shift[1]];
                let is_inside = |at: isize| (0..SIZE as isize).contains(&at);
                let is_cut = |at: usize, first: isize| (first..first + 8).contains(&(at as isize));
                let want = if is_cut(row, change.hole[0]) && is_cut(col, change.hole[1]) {
                    seen_hole += 1;
                    0.0
                } else if !is_inside(y) || !is_inside(x) {
                    seen_edge += 1;
                    0.0
                } else {
                    let value = picture[y as usize * SIZE + x as usize];
                    (value - mean) * change.contrast + mean + change.brightness
                };
                assert!(
                    (got - want).abs() < 1e-5,
                    "step {step}, picture {n}, {row}, {col}: {got}, not {want}"
                );
            }
        }
        assert!(seen_hole > 500 && seen_edge > 200, "{seen_hole}, {seen_edge}");
    }
}
