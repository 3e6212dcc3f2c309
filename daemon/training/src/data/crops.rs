//! Batches of crops, each a pure function of the seed and the step.

use std::ops::RangeInclusive;

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::damage::Damage;
use super::resample::{Area, resample};
use super::{Picture, Sheet};

/// How often what is transparent is laid on one colour, where there are pictures to lay it on.
const PLAIN_SHARE: f64 = 0.3;

/// Pictures that crops are taken of; of each, one or several versions that are cropped alike: a photo and what is
/// to become of it. What is transparent is laid on grounds, each time another: crops of the opaque pictures among them,
/// or plain colours of these.
pub struct Crops {
    /// By version, then by picture.
    versions: Vec<Vec<Picture>>,
    /// How opaque pictures are, where they aren't all over.
    opacities: Vec<Option<Picture>>,
    /// Those that are.
    opaque: Vec<usize>,
    /// What else may lie below.
    grounds: Vec<Picture>,
    scales: RangeInclusive<f32>,
    damage: Option<Damage>,
}

impl Crops {
    /// Crops of `pictures` at scales within 0..=1: 0.5 shows twice as much as 1, at half the size. A picture that is
    /// smaller than a crop is enlarged to it.
    ///
    /// # Panics
    /// If there are no pictures, or no scales.
    pub fn new(pictures: Vec<Picture>, scales: RangeInclusive<f32>) -> Self {
        Self::of_sheets(pictures.into_iter().map(Sheet::from).collect(), scales)
    }

    /// The same of pictures that may be transparent.
    ///
    /// # Panics
    /// As [`Self::new`].
    pub fn of_sheets(sheets: Vec<Sheet>, scales: RangeInclusive<f32>) -> Self {
        assert!(!sheets.is_empty(), "crops of no pictures");
        assert!(*scales.start() > 0.0 && scales.start() <= scales.end(), "scales of {scales:?}");
        let (pictures, opacities): (_, Vec<_>) =
            sheets.into_iter().map(|sheet| (sheet.picture, sheet.opacity)).unzip();
        let opaque = (0..opacities.len()).filter(|i| opacities[*i].is_none()).collect();
        Self { versions: vec![pictures], opacities, opaque, grounds: Vec::new(), scales, damage: None }
    }

    /// Adds pictures for what is transparent to be laid on.
    #[must_use]
    pub fn with_grounds(mut self, grounds: Vec<Picture>) -> Self {
        self.grounds.extend(grounds);
        self
    }

    /// The last version that was added: what is to become of the pictures.
    pub fn targets(&self) -> &[Picture] {
        self.versions.last().expect("there is one")
    }

    /// How many of the pictures are opaque all over.
    pub fn opaque(&self) -> usize {
        self.opaque.len()
    }

    /// Adds another version of each picture, in the same order and of the same size.
    ///
    /// # Panics
    /// If it isn't.
    pub fn with_version(mut self, version: Vec<Picture>) -> Self {
        let sizes = |pictures: &[Picture]| pictures.iter().map(|p| (p.width, p.height)).collect::<Vec<_>>();
        assert_eq!(sizes(&self.versions[0]), sizes(&version), "versions have the sizes of the pictures");
        self.versions.push(version);
        self
    }

    /// Puts damaged crops before the first version, which is what is to become of them.
    pub fn with_damage(self, damage: Damage) -> Self {
        Self { damage: Some(damage), ..self }
    }

    /// The pictures.
    pub fn pictures(&self) -> &[Picture] {
        &self.versions[0]
    }

    /// The batch of a step: for each version `count` crops of `size` x `size` pixels, NHWC, values in -1..1. Damaged
    /// ones may be [smaller](Damage::scale).
    pub fn batch(&self, seed: u64, step: u64, count: usize, size: usize) -> Vec<Vec<f32>> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(step);
        let mut batch = vec![Vec::with_capacity(count * size * size * 3); self.versions.len()];
        let mut damaged = Vec::new();
        for _ in 0..count {
            let picture = random.random_range(0..self.pictures().len());
            let crop = self.choose(&self.pictures()[picture], size, &mut random);
            for (version, batch) in self.versions.iter().zip(&mut batch) {
                crop.push(&version[picture], size, batch);
            }
            if let Some(opacity) = &self.opacities[picture] {
                let shares = crop.of(opacity, size);
                let grounds = self.grounds(size, &mut random);
                for (batch, ground) in batch.iter_mut().zip(grounds) {
                    let first = batch.len() - shares.len();
                    lay(&mut batch[first..], &shares, &ground);
                }
            }
            if let Some(damage) = &self.damage {
                let first = batch[0].len() - size * size * 3;
                let whole = Picture::from_values(size as u32, size as u32, &batch[0][first..]);
                damaged.extend(damage.done_to(&whole, &mut random).values());
            }
        }
        if self.damage.is_some() {
            batch.insert(0, damaged);
        }
        batch
    }

    fn choose(&self, picture: &Picture, size: usize, random: &mut ChaCha8Rng) -> Crop {
        let scale: f32 = random.random_range(self.scales.clone());
        let (width, height) = (picture.width as usize, picture.height as usize);
        let side = ((size as f32 / scale).round() as usize).clamp(1, width.min(height));
        let left = random.random_range(0..=width - side);
        let top = random.random_range(0..=height - side);
        let area = Area { left, top, width: side, height: side };
        Crop { area, is_flipped: random.random() }
    }

    /// What something transparent is laid on, for each version.
    fn grounds(&self, size: usize, random: &mut ChaCha8Rng) -> Vec<Vec<f32>> {
        let count = self.opaque.len() + self.grounds.len();
        if count == 0 {
            let colour: [f32; 3] = std::array::from_fn(|_| random.random_range(-1.0..=1.0));
            return vec![colour.repeat(size * size); self.versions.len()];
        }
        let chosen = random.random_range(0..count);
        let is_plain = random.random_bool(PLAIN_SHARE);
        let ground = |version: usize| match self.opaque.get(chosen) {
            Some(own) => &self.versions[version][*own],
            None => &self.grounds[chosen - self.opaque.len()],
        };
        let grounds: Vec<_> = (0..self.versions.len()).map(ground).collect();
        if is_plain {
            let pixel = random.random_range(0..grounds[0].rgb.len() / 3);
            let colour = |of: &&Picture| {
                let rgb = &of.rgb[pixel * 3..][..3];
                rgb.iter().map(|byte| f32::from(*byte) / 127.5 - 1.0).collect::<Vec<_>>().repeat(size * size)
            };
            return grounds.iter().map(colour).collect();
        }
        let crop = self.choose(grounds[0], size, random);
        grounds.into_iter().map(|ground| crop.of(ground, size)).collect()
    }
}

/// Where a crop is taken from.
struct Crop {
    area: Area,
    is_flipped: bool,
}

impl Crop {
    fn push(&self, picture: &Picture, size: usize, values: &mut Vec<f32>) {
        let crop = resample(picture, self.area, (size, size));
        let first = values.len();
        values.extend(crop.into_iter().map(|value| value / 127.5 - 1.0));
        if self.is_flipped {
            for row in values[first..].chunks_exact_mut(size * 3) {
                row.as_chunks_mut::<3>().0.reverse();
            }
        }
    }

    fn of(&self, picture: &Picture, size: usize) -> Vec<f32> {
        let mut values = Vec::with_capacity(size * size * 3);
        self.push(picture, size, &mut values);
        values
    }
}

/// Lays what was laid over white, 1, on a ground instead. Opacities are in -1..1, as all values.
fn lay(values: &mut [f32], opacities: &[f32], ground: &[f32]) {
    for ((value, opacity), ground) in values.iter_mut().zip(opacities).zip(ground) {
        let uncovered = (1.0 - opacity) / 2.0;
        *value = (*value + (ground - 1.0) * uncovered).clamp(-1.0, 1.0);
    }
}

/// Sets `held_out` of the pictures apart, chosen by the seed; both parts keep their order. At least half of them stay
/// for training.
pub fn split<T>(pictures: Vec<T>, held_out: usize, seed: u64) -> (Vec<T>, Vec<T>) {
    let mut order: Vec<usize> = (0..pictures.len()).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let apart = &order[..held_out.min(pictures.len() / 2)];
    let (mut training, mut judged) = (Vec::new(), Vec::new());
    for (index, picture) in pictures.into_iter().enumerate() {
        if apart.contains(&index) { judged.push(picture) } else { training.push(picture) }
    }
    (training, judged)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red grows to the right, green downwards, blue tells which.
    fn ramp(width: u32, height: u32, blue: u8) -> Picture {
        let rgb = (0..width * height).flat_map(|i| [(i % width) as u8, (i / width) as u8, blue]).collect();
        Picture { width, height, rgb }
    }

    fn crops() -> Crops {
        Crops::new(vec![ramp(200, 100, 10), ramp(90, 140, 20)], 0.4..=1.0)
    }

    #[test]
    fn a_batch_is_a_function_of_seed_and_step() {
        let batch = crops().batch(1, 7, 5, 32);
        assert_eq!(batch[0].len(), 5 * 32 * 32 * 3);
        assert_eq!(crops().batch(1, 7, 5, 32), batch);
        assert_ne!(crops().batch(1, 8, 5, 32), batch);
        assert_ne!(crops().batch(2, 7, 5, 32), batch);
        assert!(batch[0].iter().all(|v| (-1.0..=1.0).contains(v)));
    }

    #[test]
    fn versions_are_cropped_alike() {
        let inverted = |p: &Picture| Picture { rgb: p.rgb.iter().map(|b| 255 - b).collect(), ..p.clone() };
        let crops = crops();
        let targets = crops.pictures().iter().map(inverted).collect();
        let crops = crops.with_version(targets);
        for step in 0..20 {
            let [photos, targets] = &crops.batch(3, step, 2, 24)[..] else { panic!("two versions") };
            assert!(photos.iter().zip(targets).all(|(a, b)| (a + b).abs() < 1e-4), "step {step}");
        }
    }

    #[test]
    fn damaged_crops_come_before_what_they_were() {
        let damage = Damage {
            blur_px: [0.0; 2],
            reduction: [1.0; 2],
            noise: [0.05; 2],
            jpeg_quality: [100; 2],
            spared: 0.0,
            scale: 1,
        };
        let whole = crops().batch(3, 1, 2, 24);
        let crops = crops().with_damage(damage);
        let [damaged, _] = &crops.batch(3, 1, 2, 24)[..] else { panic!("two versions") };
        assert_eq!(damaged.len(), whole[0].len());
        // The first crop is the same; then the damage has used the random numbers.
        let difference = |batch: &[f32]| -> f32 {
            batch.iter().zip(&whole[0]).take(24 * 24 * 3).map(|(a, b)| (a - b).abs()).sum::<f32>()
                / (24.0 * 24.0 * 3.0)
        };
        assert!((0.02..0.15).contains(&difference(damaged)), "{}", difference(damaged));
        assert_eq!(difference(&crops.batch(3, 1, 2, 24)[1]), 0.0);
    }

    #[test]
    fn all_places_scales_and_both_directions_come_up() {
        let (mut flipped, mut blues, mut steps) = ([0, 0], [0, 0], Vec::new());
        for step in 0..400 {
            let crop = &crops().batch(5, step, 1, 32)[0];
            let slope = (crop[31 * 3] - crop[0]) * 127.5 / 31.0;
            flipped[usize::from(slope < 0.0)] += 1;
            blues[usize::from((crop[2] + 1.0) * 127.5 > 15.0)] += 1;
            steps.push(slope.abs());
        }
        assert!(flipped.iter().chain(&blues).all(|&n| n > 120), "{flipped:?} {blues:?}");
        // A pixel of the crop is 1 / scale pixels of the picture, so far as the picture reaches.
        let (least, most) =
            (steps.iter().copied().fold(9.0, f32::min), steps.iter().copied().fold(0.0, f32::max));
        assert!((0.99..1.1).contains(&least) && (2.3..=2.55).contains(&most), "{least} {most}");
    }

    #[test]
    fn what_is_transparent_is_laid_on_grounds() {
        let plain = |value: u8| Picture { width: 64, height: 64, rgb: vec![value; 64 * 64 * 3] };
        // A dark figure, half of it opaque, a quarter of that glass, on white; and what is to become of it, brighter.
        let alpha = |i: u32| match i % 64 {
            0..32 => 0,
            32..48 => 255,
            _ => 128,
        };
        let opacity = Picture { rgb: (0..64 * 64).flat_map(|i| [alpha(i) as u8; 3]).collect(), ..plain(0) };
        let over_white = |colour: u32| {
            let over = |i| ((colour * alpha(i) + 255 * (255 - alpha(i))) / 255) as u8;
            Picture { rgb: (0..64 * 64).flat_map(|i| [over(i); 3]).collect(), ..plain(0) }
        };
        let figure = || Sheet { picture: over_white(20), opacity: Some(opacity.clone()) };
        // The figure's columns, in bytes.
        let columns = |crops: &Crops, version: usize, step| -> [f32; 3] {
            let batch = &crops.batch(3, step, 1, 64)[version];
            let mut row: Vec<f32> = batch[..64 * 3].iter().step_by(3).map(|v| (v + 1.0) * 127.5).collect();
            if row[23] < row[40] {
                row.reverse();
            }
            [row[10], row[40], row[60]]
        };
        let near = |a: f32, b: f32| (a - b).abs() < 1.5;
        // On an opaque picture, 90, which becomes 60.
        let crops = Crops::of_sheets(vec![figure(), plain(90).into()], 1.0..=1.0);
        assert_eq!(crops.opaque(), 1);
        let crops = crops.with_version(vec![over_white(40), plain(60)]);
        let mut figures = 0;
        for step in 0..40 {
            let [ground, body, glass] = columns(&crops, 0, step);
            if near(body, 90.0) {
                continue;
            }
            figures += 1;
            assert!(near(ground, 90.0) && near(body, 20.0) && near(glass, 55.0), "{ground} {body} {glass}");
            let [ground, body, glass] = columns(&crops, 1, step);
            assert!(near(ground, 60.0) && near(body, 40.0) && near(glass, 50.0), "{ground} {body} {glass}");
        }
        assert!((12..28).contains(&figures), "{figures}");
        // On others' pictures, and where there are none on colours.
        let crops = Crops::of_sheets(vec![figure()], 1.0..=1.0).with_grounds(vec![plain(150)]);
        assert!((0..10).all(|step| near(columns(&crops, 0, step)[0], 150.0)));
        let crops = Crops::of_sheets(vec![figure()], 1.0..=1.0);
        let grounds: Vec<_> = (0..10).map(|step| crops.batch(3, step, 1, 64)[0].clone()).collect();
        assert!(grounds.windows(2).all(|pair| pair[0] != pair[1]));
        assert!(grounds.iter().flatten().all(|value| (-1.0..=1.0).contains(value)));
    }

    #[test]
    fn a_small_picture_is_enlarged() {
        let crops = Crops::new(vec![ramp(20, 30, 0)], 0.5..=1.0);
        assert_eq!(crops.batch(0, 0, 1, 64)[0].len(), 64 * 64 * 3);
    }

    #[test]
    fn a_split_keeps_all_and_depends_on_the_seed() {
        for (count, held_out, want) in [(20, 6, 6), (10, 6, 5), (1, 6, 0), (0, 6, 0), (9, 0, 0)] {
            let pictures: Vec<usize> = (0..count).collect();
            let (training, judged) = split(pictures.clone(), held_out, 4);
            assert_eq!(judged.len(), want, "{held_out} of {count}");
            assert!(training.is_sorted() && judged.is_sorted());
            let mut all = [training, judged].concat();
            all.sort_unstable();
            assert_eq!(all, pictures);
        }
        let of_seed = |seed| split((0..50).collect::<Vec<_>>(), 8, seed).1;
        assert_eq!(of_seed(1), of_seed(1));
        assert_ne!(of_seed(1), of_seed(2));
    }
}
