//! Every number of a training, as a TOML file that reproduces it.
//!
//! A file says everything, so that an old file means what it meant. A field that came later may be left out; its default
//! is what was done before. [`Recipe::preset`] gives one to begin with. What version 0.1 had and no version has any more is passed over.

mod checks;
mod generator;

use checks::{range, wrong};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use utsushi_engine::arch::brush;
use utsushi_engine::style_file::is_style_id;

pub use self::generator::Generator;
use crate::abstraction::{Brushwork, Settings};
use crate::data::{Content, Crops, Damage, Picture, Sheet};
use crate::losses::usual_share;

/// The longest recipe that is read.
pub const MAX_BYTES: usize = 64 << 10;
/// The generator's pictures have sides of whole multiples of this many pixels.
pub(crate) const MULTIPLE_PX: usize = 8;
/// Fewer pictures than these are too few to lay characters on; so many others are taken, at most.
const FEW_GROUNDS: usize = 8;
const MOST_GROUNDS: usize = 40;

/// How a style is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// What all randomness comes from.
    pub seed: u64,
    /// How many styles the network gets: one a folder of art.
    pub styles: usize,
    /// The generator's sizes.
    pub generator: Generator,
    /// How large pictures are looked at.
    pub pictures: Pictures,
    /// The filter that is imitated.
    pub abstraction: Settings,
    /// Instead of the filter: what draws the pictures that photos are to become.
    pub target: Option<Target>,
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

/// What draws the pictures that photos are to become.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// A style's id.
    pub style: String,
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
    /// What the generator imitates is painted, where its noise says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub brushwork: Option<Brushwork>,
    /// How it runs.
    pub course: Course,
}

/// The second stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adversarial {
    /// Batches of art over which the fixed targets (Gram matrices and palette) are measured first.
    pub statistics_batches: u64,
    /// How much of the way colours go from the target's to the art's.
    #[serde(default = "usual_share")]
    pub palette: f64,
    /// Where the style's weights lie between the stage's first weights, at 0, and its last, at 1 (network interpolation,
    /// Wang et al. 2019, <https://arxiv.org/abs/1811.10515>): in between, surfaces stay clean and keep the strokes.
    #[serde(default = "all_of_it")]
    pub share: f64,
    /// Networks see how colours change from stroke to stroke, too, which luminance alone doesn't tell: for painted art.
    #[serde(default)]
    pub local_colour: bool,
    /// Targets are what the stage's first weights draw of the same crops with the same noise, so that strokes stay where
    /// they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub own_targets: bool,
    /// The discriminator's learning rate, which stays.
    pub discriminator_rate: f64,
    /// What the generator minimises.
    pub weights: Weights,
    /// How it runs.
    pub course: Course,
}

fn all_of_it() -> f64 {
    1.0
}

/// How much each loss of the generator counts; 0 for not at all.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// The luminance's difference from the target.
    pub l1: f64,
    /// What a perceptual network sees, against the target.
    pub content: f64,
    /// Gram matrices against the art's.
    pub style: f64,
    /// What the discriminator says.
    pub adversarial: f64,
    /// Colours against the target in the art's palette.
    pub colour: f64,
    /// Total variation.
    pub smoothness: f64,
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

/// What art is, roughly: the weights of losses differ, and what photos are to become first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Lines and flat surfaces.
    Drawn,
    /// Paint.
    Painted,
}

impl Kind {
    /// The built-in style to start from, if it isn't known which the art is like.
    pub fn base(self) -> &'static str {
        match self {
            Self::Drawn => "anime",
            Self::Painted => "oil",
        }
    }
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
    /// A recipe to begin with, for drawn art.
    pub fn preset(preset: Preset) -> Self {
        Self::preset_for(preset, Kind::Drawn)
    }

    /// A recipe to begin with, for art of a kind.
    pub fn preset_for(preset: Preset, kind: Kind) -> Self {
        let quality = preset == Preset::Quality;
        let course = |minutes: f64, crops_px: &[usize], average_decay: f64| Course {
            length: Length::Minutes(if quality { 8.0 * minutes } else { minutes }),
            batch: 4,
            crops_px: crops_px.to_vec(),
            learning_rate: 1e-3,
            warm_up_steps: 50,
            last_rate_share: 0.0,
            betas: [0.5, 0.99],
            most_gradient: 1.0,
            average_decay,
        };
        // Small enough for lines to be a pixel or two wide, or for strokes to be strokes.
        let (l1, adversarial, art_scales) = match kind {
            Kind::Drawn => (1.0, 0.9, [0.25, 0.6]),
            Kind::Painted => (0.7, 1.0, [0.4, 0.9]),
        };
        Self {
            seed: 1,
            styles: 1,
            generator: Generator::Brush(brush::Sizes::default()),
            pictures: Pictures {
                photo_side_px: 640,
                photo_scales: [0.5, 1.0],
                art_side_px: 1024,
                art_scales,
            },
            abstraction: Settings::default(),
            target: None,
            damage: None,
            imitation: Some(Imitation {
                l1: 1.0,
                gradient: 1.0,
                content: 0.0,
                brushwork: None,
                course: course(15.0, &[128, 160], 0.998),
            }),
            adversarial: Some(Adversarial {
                statistics_batches: 40,
                // Of which `share` is left.
                palette: 1.0,
                share: 0.6,
                local_colour: kind == Kind::Painted,
                own_targets: true,
                discriminator_rate: 6e-4,
                weights: Weights { l1, content: 1.5, style: 1.5, adversarial, colour: 4.0, smoothness: 0.01 },
                course: course(45.0, &[160], 0.99),
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

    /// Crops of what is shown, and of what is to become of it: of photos `targets`, unless it is the photos themselves that
    /// are to come out of damaged ones; of drawings they themselves.
    ///
    /// # Errors
    /// Those of `targets`.
    pub fn photo_crops<E>(
        &self,
        shown: Vec<Content>,
        targets: impl FnOnce(&[Picture]) -> Result<Vec<Picture>, E>,
    ) -> Result<Crops, E> {
        let [least, most] = self.pictures.photo_scales;
        let (drawings, photos): (Vec<_>, Vec<_>) = shown.into_iter().partition(|content| content.is_drawn);
        let sheets = photos.into_iter().chain(drawings).map(|content| (content.sheet, content.is_drawn));
        let (sheets, are_drawn): (Vec<_>, Vec<_>) = sheets.unzip();
        let crops = Crops::of_sheets(sheets, least..=most);
        if let Some(damage) = self.damage {
            return Ok(crops.with_damage(damage));
        }
        if !self.has_targets() {
            return Ok(crops);
        }
        let (photos, drawings) = crops.pictures().split_at(are_drawn.iter().filter(|is| !**is).count());
        let mut made = targets(photos)?;
        made.extend_from_slice(drawings);
        Ok(crops.with_version(made))
    }

    /// Are photos to become what is computed before the training?
    pub(crate) fn has_targets(&self) -> bool {
        self.imitation.is_some() || !self.adversarial.as_ref().is_some_and(|stage| stage.own_targets)
    }

    /// Crops of art. Where hardly any of it is opaque, what is transparent is laid on what photos become, too.
    pub fn art_crops(&self, art: Vec<Sheet>, shown: &Crops) -> Crops {
        let [least, most] = self.pictures.art_scales;
        let crops = Crops::of_sheets(art, least..=most);
        if crops.opaque() >= FEW_GROUNDS {
            return crops;
        }
        let targets = shown.targets();
        crops.with_grounds(
            targets.iter().step_by(targets.len().div_ceil(MOST_GROUNDS).max(1)).cloned().collect(),
        )
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
        let unreadable = |e: toml::de::Error| RecipeError::Unreadable(e.to_string().trim_end().to_owned());
        let recipe: Self = match (toml::from_str(text), without_retired(text)) {
            (Err(_), Some(rest)) => rest.try_into().map_err(unreadable)?,
            (recipe, _) => recipe.map_err(unreadable)?,
        };
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
        let Self { seed, styles, pictures, abstraction, target, .. } = self;
        let Self { damage, imitation, adversarial, watch, .. } = self;
        // TOML's numbers have a sign.
        range("seed", *seed, 0, i64::MAX as u64)?;
        range("styles", *styles, 1, utsushi_engine::style_file::MAX_STYLES)?;
        self.check_generator()?;
        pictures.check()?;
        abstraction.check().map_err(|e| wrong("abstraction", "out of range", e))?;
        if let Some(Target { style }) = target {
            if !is_style_id(style) {
                let shown: String = style.chars().take(64).collect();
                return Err(wrong("target.style", shown, "a style's id"));
            }
            if damage.is_some() {
                return Err(wrong("target", "a style beside a damage", "the one or the other"));
            }
        }
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

/// What recipes of version 0.1 said, and nobody asks for any more: pictures that were reduced before networks looked, a
/// loss against grids, and a discriminator on pixels with all that kept it in bounds.
const RETIRED: [&[&str]; 3] =
    [&["adversarial", "reduction"], &["adversarial", "weights", "grid"], &["adversarial", "discriminators"]];

/// A file's table without what is retired; nothing if nothing is, or it is no table.
fn without_retired(text: &str) -> Option<toml::Table> {
    let mut all: toml::Table = text.parse().ok()?;
    let mut removed = false;
    for path in RETIRED {
        let (last, tables) = path.split_last()?;
        let table = tables.iter().try_fold(&mut all, |table, name| table.get_mut(*name)?.as_table_mut());
        removed |= table.is_some_and(|table| table.remove(*last).is_some());
    }
    removed.then_some(all)
}

#[cfg(test)]
mod tests;
