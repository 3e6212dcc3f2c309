//! Every number of a training, as a TOML file that reproduces it.
//!
//! A file says everything: nothing that is left out has a value of its own, so that an old file means what it
//! meant. [`Recipe::preset`] gives one to begin with.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use utsushi_engine::arch::brush::Sizes;

use crate::abstraction::Settings;
use crate::data::{Crops, Damage, MIN_SIDE_PX, Picture};
use crate::losses::Form;

/// The longest recipe that is read.
pub const MAX_BYTES: usize = 64 << 10;
/// The generator's pictures have sides of whole multiples of this many pixels.
pub(crate) const MULTIPLE_PX: usize = 8;

/// How a style is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What all randomness comes from.
    pub seed: u64,
    /// How many styles the network gets: one a folder of art.
    pub styles: usize,
    /// The generator's sizes.
    pub generator: Sizes,
    /// How large pictures are looked at.
    pub pictures: Pictures,
    /// The filter that is imitated.
    pub abstraction: Settings,
    /// Instead of that: what is done to photos, and is to be undone.
    pub damage: Option<Damage>,
    /// The first stage: to draw what a filter makes of a photo. A training that begins with weights that can do
    /// without it.
    pub imitation: Option<Imitation>,
    /// The second stage: to draw what can't be told from the art. Without it, the style is the filter's.
    pub adversarial: Option<Adversarial>,
    /// When a training has gone wrong.
    pub watch: Watch,
}

/// How large pictures are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pictures {
    /// The longest side to which photos are reduced.
    pub photo_side_px: u32,
    /// Scales of their crops, the least and the largest: at 0.5, twice as much fits in.
    pub photo_scales: [f32; 2],
    /// The longest side to which art is reduced.
    pub art_side_px: u32,
    /// Scales of its crops. So small that lines are a pixel or two wide and faces fit in.
    pub art_scales: [f32; 2],
}

/// The first stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Imitation {
    /// What differs from the target at a pixel.
    pub l1: f64,
    /// What differs between neighbours: keeps edges crisp.
    pub gradient: f64,
    /// What differs in what a perceptual network sees. 0 spares running it.
    pub content: f64,
    /// How it runs.
    pub course: Course,
}

/// The second stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adversarial {
    /// Batches of art over which the fixed targets (Gram matrices and palette) are measured first.
    pub statistics_batches: u64,
    /// The discriminators' highest learning rate.
    pub discriminator_rate: f64,
    /// Pictures are reduced so many times, 1, 2 or 4, before a network looks at them. What is finer is nobody's
    /// wish, then: no weave of the canvas, and no grid instead of one.
    pub reduction: usize,
    /// What the generator minimises.
    pub weights: Weights,
    /// What it plays against.
    pub discriminators: Discriminators,
    /// How it runs.
    pub course: Course,
}

/// How much each loss of the generator counts; 0 for not at all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// The luminance's difference from the filter's picture.
    pub l1: f64,
    /// What a perceptual network sees, against the filter's picture.
    pub content: f64,
    /// Gram matrices against the art's.
    pub style: f64,
    /// What the discriminators say.
    pub adversarial: f64,
    /// Colours against the filter's picture in the art's palette.
    pub colour: f64,
    /// Total variation.
    pub smoothness: f64,
    /// What is drawn on surfaces of one colour, which should be one colour.
    pub grid: f64,
}

/// The discriminators of a style.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Discriminators {
    /// The loss they and the generator play for.
    pub form: Form,
    /// How much the one on perceptual features counts; 0 for none.
    pub features: f64,
    /// How much the one on luminance counts; 0 for none.
    pub pixels: f64,
    /// Are their convolutions kept from amplifying?
    pub spectral_norm: bool,
    /// Are real and fake pictures changed alike before they are shown?
    pub augment: bool,
    /// How much art with smoothed edges counts among the fakes; 0 for none.
    pub edge_smoothed: f64,
    /// How much it counts that the one on luminance is steep at the art; 0 for not at all.
    pub penalty: f64,
    /// The deviation of the noise by which the steepness is measured.
    pub penalty_deviation: f64,
}

/// How a stage runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Course {
    /// How long it takes.
    pub length: Length,
    /// Crops in a step.
    pub batch: usize,
    /// The crops' sides, through equal parts of the stage.
    pub crops_px: Vec<usize>,
    /// The highest learning rate.
    pub learning_rate: f64,
    /// Steps until it is reached.
    pub warm_up_steps: u64,
    /// The share of it that is left at the end.
    pub last_rate_share: f64,
    /// Adam's decay rates of the moments.
    pub betas: [f64; 2],
    /// The norm to which gradients are shortened.
    pub most_gradient: f64,
    /// The decay of the weights' moving average.
    pub average_decay: f64,
}

/// How long a stage takes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Length {
    /// So many steps.
    Steps(u64),
    /// As many steps as fit into so many minutes of work, judged by the first ones. Another machine takes
    /// another number.
    Minutes(f64),
}

/// When a training has gone wrong, so that it goes back to where it was good, at half the rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watch {
    /// Steps from one good state that is kept to the next.
    pub keep_every: u64,
    /// Gradients so many times as long as usual are an explosion.
    pub gradient_factor: f64,
    /// Pictures that vary by less than this share of the photos' variation are a collapse.
    pub least_variation: f64,
    /// After so many steps in a row with either, it goes back.
    pub steps_in_row: u32,
    /// A discriminator that is right so often ...
    pub accuracy: f64,
    /// ... over so many steps teaches nothing any more.
    pub accuracy_steps: usize,
    /// After going back so often without a good state in between, the training ends.
    pub most_returns: u32,
}

/// A recipe that the program brings along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preset {
    /// About an hour on two cores.
    Fast,
    /// A night.
    Quality,
}

/// What is wrong with a recipe.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecipeError {
    /// Too long to be one.
    #[error("a recipe has at most {MAX_BYTES} bytes, and this has {0}")]
    TooLong(usize),
    /// It can't be read.
    #[error("the recipe can't be read: {0}")]
    Unreadable(String),
    /// A number that can't be.
    #[error("the recipe's {field} is {value}: it must be {must}")]
    Wrong {
        /// Which.
        field: String,
        /// What it is.
        value: String,
        /// What it can be.
        must: String,
    },
}

impl Recipe {
    /// A recipe to begin with.
    pub fn preset(preset: Preset) -> Self {
        let quality = preset == Preset::Quality;
        let course = |minutes: f64, crops_px: &[usize], learning_rate: f64| Course {
            length: Length::Minutes(if quality { 8.0 * minutes } else { minutes }),
            batch: if quality { 8 } else { 4 },
            crops_px: crops_px.to_vec(),
            learning_rate,
            warm_up_steps: 100,
            last_rate_share: 0.0,
            betas: [0.5, 0.99],
            most_gradient: 1.0,
            average_decay: if quality { 0.9995 } else { 0.998 },
        };
        let crops: &[usize] = if quality { &[128, 192, 256] } else { &[128, 160] };
        Self {
            seed: 1,
            styles: 1,
            generator: Sizes::default(),
            pictures: Pictures {
                photo_side_px: 768,
                photo_scales: [0.35, 1.0],
                art_side_px: 1024,
                art_scales: [0.22, 0.5],
            },
            abstraction: Settings::default(),
            damage: None,
            imitation: Some(Imitation {
                l1: 1.0,
                gradient: 1.0,
                content: 0.0,
                course: course(15.0, crops, 1e-3),
            }),
            adversarial: Some(Adversarial {
                statistics_batches: 60,
                discriminator_rate: 6e-4,
                reduction: 1,
                // A strong game fills even surfaces with patterns, and makes strokes grainy.
                weights: Weights {
                    l1: 4.0,
                    content: 1.0,
                    style: 0.15,
                    adversarial: 0.2,
                    colour: 6.0,
                    smoothness: 0.05,
                    grid: 30.0,
                },
                discriminators: Discriminators {
                    form: Form::Hinge,
                    features: 1.0,
                    pixels: 0.5,
                    spectral_norm: true,
                    augment: true,
                    edge_smoothed: 0.5,
                    penalty: 0.0,
                    penalty_deviation: 0.02,
                },
                course: course(45.0, crops, 3e-4),
            }),
            watch: Watch {
                keep_every: 50,
                gradient_factor: 20.0,
                least_variation: 0.1,
                steps_in_row: 10,
                accuracy: 0.995,
                accuracy_steps: 300,
                most_returns: 5,
            },
        }
    }

    /// Crops of photos, and of what is to become of them: `targets`, unless it is the photos themselves that are to
    /// come out of damaged ones.
    pub fn photo_crops<E>(
        &self,
        photos: Vec<Picture>,
        targets: impl FnOnce(&[Picture]) -> Result<Vec<Picture>, E>,
    ) -> Result<Crops, E> {
        let [least, most] = self.pictures.photo_scales;
        if let Some(damage) = self.damage {
            return Ok(Crops::new(photos, least..=most).with_damage(damage));
        }
        let targets = targets(&photos)?;
        Ok(Crops::new(photos, least..=most).with_version(targets))
    }

    /// What a style is shown instead of a photo: the photo, or a damaged one.
    pub fn shown(&self, photo: Picture) -> Picture {
        match self.damage {
            Some(damage) => damage.done_to(&photo, &mut ChaCha8Rng::seed_from_u64(self.seed)),
            None => photo,
        }
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        if text.len() > MAX_BYTES {
            return Err(RecipeError::TooLong(text.len()));
        }
        let recipe: Self =
            toml::from_str(text).map_err(|e| RecipeError::Unreadable(e.to_string().trim_end().to_owned()))?;
        recipe.check()?;
        Ok(recipe)
    }

    /// As a file's text.
    ///
    /// # Errors
    /// If a number can't be written: more than 2^63.
    pub fn to_toml(&self) -> Result<String, RecipeError> {
        toml::to_string(self).map_err(|e| RecipeError::Unreadable(e.to_string()))
    }

    /// Can a training follow it?
    ///
    /// # Errors
    /// The first number that can't be.
    pub fn check(&self) -> Result<(), RecipeError> {
        let Self { seed, styles, generator, pictures, abstraction, damage, imitation, adversarial, watch } =
            self;
        // TOML's numbers have a sign.
        range("seed", *seed, 0, i64::MAX as u64)?;
        range("styles", *styles, 1, utsushi_engine::style_file::MAX_STYLES)?;
        if !generator.are_sane() {
            return Err(wrong("generator", format!("{generator:?}"), "1 to 512 channels, at most 32 blocks"));
        }
        pictures.check()?;
        abstraction.check().map_err(|e| wrong("abstraction", "out of range", e))?;
        if let Some(damage) = damage {
            damage.check().map_err(|e| wrong("damage", "out of range", e))?;
        }
        if imitation.is_none() && adversarial.is_none() {
            return Err(wrong("list of stages", "empty", "imitation, adversarial or both"));
        }
        if let Some(imitation) = imitation {
            imitation.check()?;
        }
        if let Some(adversarial) = adversarial {
            adversarial.check()?;
        }
        watch.check()
    }
}

const MOST_WEIGHT: f64 = 1e4;
const MOST_STEPS: u64 = 1_000_000_000;

impl Pictures {
    fn check(&self) -> Result<(), RecipeError> {
        for (name, side) in [("photo_side_px", self.photo_side_px), ("art_side_px", self.art_side_px)] {
            range(&format!("pictures.{name}"), side, MIN_SIDE_PX, 8192)?;
        }
        for (name, [least, most]) in [("photo_scales", self.photo_scales), ("art_scales", self.art_scales)] {
            range(&format!("pictures.{name}"), least, 0.01, 1.0)?;
            range(&format!("pictures.{name}"), most, least, 1.0)?;
        }
        Ok(())
    }
}

impl Imitation {
    fn check(&self) -> Result<(), RecipeError> {
        let losses = [("l1", self.l1), ("gradient", self.gradient), ("content", self.content)];
        for (name, weight) in losses {
            range(&format!("imitation.{name}"), weight, 0.0, MOST_WEIGHT)?;
        }
        if losses.iter().all(|(_, weight)| *weight == 0.0) {
            return Err(wrong("imitation", "without any loss", "l1, gradient or content above 0"));
        }
        self.course.check("imitation.course")
    }
}

impl Adversarial {
    fn check(&self) -> Result<(), RecipeError> {
        let Self { statistics_batches, discriminator_rate, reduction, weights: w, discriminators: d, course } =
            self;
        range("adversarial.statistics_batches", *statistics_batches, 1, 10_000)?;
        range("adversarial.discriminator_rate", *discriminator_rate, 0.0, 1.0)?;
        if ![1, 2, 4].contains(reduction) {
            return Err(wrong("adversarial.reduction", reduction, "1, 2 or 4"));
        }
        for (name, value) in [
            ("weights.l1", w.l1),
            ("weights.content", w.content),
            ("weights.style", w.style),
            ("weights.adversarial", w.adversarial),
            ("weights.colour", w.colour),
            ("weights.smoothness", w.smoothness),
            ("weights.grid", w.grid),
            ("discriminators.features", d.features),
            ("discriminators.pixels", d.pixels),
            ("discriminators.edge_smoothed", d.edge_smoothed),
            ("discriminators.penalty", d.penalty),
        ] {
            range(&format!("adversarial.{name}"), value, 0.0, MOST_WEIGHT)?;
        }
        range("adversarial.discriminators.penalty_deviation", d.penalty_deviation, 1e-4, 1.0)?;
        if w.adversarial > 0.0 && d.features + d.pixels == 0.0 {
            return Err(wrong("adversarial.discriminators", "none", "features or pixels above 0"));
        }
        course.check("adversarial.course")
    }
}

impl Course {
    fn check(&self, name: &str) -> Result<(), RecipeError> {
        let field = |field: &str| format!("{name}.{field}");
        match self.length {
            Length::Steps(steps) => range(&field("length.steps"), steps, 1, MOST_STEPS)?,
            Length::Minutes(minutes) => range(&field("length.minutes"), minutes, 0.1, 1e6)?,
        }
        range(&field("batch"), self.batch, 1, 64)?;
        range(&field("crops_px, in number,"), self.crops_px.len(), 1, 16)?;
        for side in &self.crops_px {
            range(&field("crops_px"), *side, 64, 1024)?;
            if !side.is_multiple_of(MULTIPLE_PX) {
                return Err(wrong(field("crops_px"), side, format!("a multiple of {MULTIPLE_PX}")));
            }
        }
        range(&field("learning_rate"), self.learning_rate, 0.0, 1.0)?;
        range(&field("warm_up_steps"), self.warm_up_steps, 0, MOST_STEPS)?;
        range(&field("last_rate_share"), self.last_rate_share, 0.0, 1.0)?;
        for beta in self.betas {
            range(&field("betas"), beta, 0.0, 0.999_999)?;
        }
        range(&field("most_gradient"), self.most_gradient, 1e-6, 1e6)?;
        range(&field("average_decay"), self.average_decay, 0.0, 0.999_999)
    }
}

impl Watch {
    fn check(&self) -> Result<(), RecipeError> {
        range("watch.keep_every", self.keep_every, 1, MOST_STEPS)?;
        range("watch.gradient_factor", self.gradient_factor, 1.0, 1e9)?;
        range("watch.steps_in_row", self.steps_in_row, 1, 10_000)?;
        range("watch.accuracy", self.accuracy, 0.5, 1.0)?;
        range("watch.accuracy_steps", self.accuracy_steps, 1, 10_000)?;
        range("watch.least_variation", self.least_variation, 0.0, 1.0)?;
        range("watch.most_returns", self.most_returns, 0, 1000)
    }
}

fn wrong(field: impl Into<String>, value: impl ToString, must: impl ToString) -> RecipeError {
    RecipeError::Wrong { field: field.into(), value: value.to_string(), must: must.to_string() }
}

/// NaN is in no range.
fn range<T: PartialOrd + std::fmt::Display>(
    field: &str,
    value: T,
    least: T,
    most: T,
) -> Result<(), RecipeError> {
    if least <= value && value <= most {
        return Ok(());
    }
    Err(wrong(field, value, format!("{least} to {most}")))
}

#[cfg(test)]
mod tests;
