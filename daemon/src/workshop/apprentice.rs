//! A training under way.

use std::path::Path;

use utsushi_engine::style_file::{StyleFile, StyleMeta, Thumbnail};
use utsushi_ipc::protocol::{Loss, RecipeChoice};
use utsushi_training::checkpoint::CheckpointError;
use utsushi_training::data::Picture;
use utsushi_training::recipe::Recipe;
use utsushi_training::report::MAX_SAMPLE_PICTURES;
use utsushi_training::trainer::{Stage, StepReport, Trainer};

use super::course::shares;
use super::diary::Diary;
use super::jury::Jury;
use super::material::Material;
use crate::jobs::folder::JobFolder;
use crate::jobs::order::Order;
use crate::jobs::training::{Halt, Progress, Step, Training};

/// The longest side of a style's thumbnail.
const THUMBNAIL_PX: u32 = 256;
/// That of the page's pictures.
const SAMPLE_PX: u32 = 512;

/// A trainer with what it learns from.
pub(super) struct Apprentice {
    trainer: Trainer,
    material: Material,
    order: Order,
    diary: Diary,
    jury: Option<Jury>,
    steps: u32,
}

impl Apprentice {
    pub(super) fn new(
        trainer: Trainer,
        material: Material,
        order: Order,
        folder: &JobFolder,
    ) -> Result<Self, Halt> {
        let Material { held_out, exhibits, skipped, features, .. } = &material;
        let diary = Diary::open(folder, &order.name, trainer.recipe(), held_out, skipped)?;
        let jury = match &trainer.recipe().adversarial {
            Some(_) => Jury::seat(folder, trainer.steps(), held_out, exhibits, features.clone())?,
            None => None,
        };
        let steps = trainer.steps() as u32;
        Ok(Self { trainer, material, order, diary, jury, steps })
    }

    fn describe(&self) -> StyleMeta {
        let Order { style, name, author, licence, attribution, recipe, like, .. } = &self.order;
        let recipe = match recipe {
            RecipeChoice::Fast => "the preset fast",
            RecipeChoice::Quality => "the preset quality",
            RecipeChoice::Own(_) => "a recipe of its own",
        };
        let like = like.as_ref().map_or(String::new(), |like| format!(", starting from {like}"));
        let counts = self.material.counts;
        let training = format!(
            "Utsushi {}: {} steps on {} pictures and {} photos, by {recipe}{like}",
            env!("CARGO_PKG_VERSION"),
            self.steps,
            counts.art,
            counts.photos,
        );
        StyleMeta {
            id: style.clone(),
            name: name.clone(),
            author: author.clone(),
            licence: licence.clone(),
            attribution: attribution.clone(),
            training,
            source: String::new(),
        }
    }

    /// The style as it is now.
    fn present(&self) -> Result<StyleFile, Halt> {
        let tensors = self.trainer.style_weights().map_err(failed)?.into_iter().collect();
        let weights = self.trainer.recipe().weights(tensors);
        let mut file = StyleFile::from_weights(weights, self.describe()).map_err(failed)?;
        if let Some(thumbnail) = self.thumbnail()? {
            file.set_thumbnail(&self.order.style, thumbnail);
        }
        Ok(file)
    }

    fn judge(&mut self, report: &StepReport) -> Result<(), Halt> {
        let Some(mut jury) = self.jury.take() else { return Ok(()) };
        let looked = jury.look(report, &self.trainer, || self.present());
        self.jury = Some(jury);
        if let Some(sitting) = looked? {
            self.diary.judged(&sitting);
        }
        Ok(())
    }

    /// A held-out photo in the style.
    fn thumbnail(&self) -> Result<Option<Thumbnail>, Halt> {
        let Some(photo) = self.material.held_out.first() else { return Ok(None) };
        let Picture { width, height, rgb } =
            self.trainer.sample(&photo.reduced(THUMBNAIL_PX), 0).map_err(failed)?;
        Ok(Some(Thumbnail { width: width as usize, height: height as usize, rgb }))
    }
}

impl Training for Apprentice {
    fn is_done(&self) -> bool {
        self.trainer.is_done()
    }

    fn steps(&self) -> u32 {
        self.steps
    }

    fn step(&mut self) -> Result<Step, Halt> {
        let report = self.trainer.step().map_err(failed)?;
        self.steps = report.steps_in_all as u32;
        let losses =
            report.losses.iter().map(|(name, value)| Loss { name: name.clone(), value: *value as f32 });
        let recipe = self.trainer.recipe();
        let progress = progress(recipe, &report, self.trainer.is_done());
        self.diary.step(&report, &progress);
        self.judge(&report)?;
        let recipe = self.trainer.recipe();
        Ok(Step {
            losses: losses.collect(),
            ends_epoch: ends_epoch(recipe, &report, self.material.counts.photos),
            progress,
            note: report.event,
        })
    }

    fn checkpoint(&mut self, path: &Path) -> Result<(), Halt> {
        let checkpoint = self.trainer.checkpoint().map_err(failed)?;
        checkpoint.write(path).map_err(|error| match error {
            CheckpointError::Io { .. } => Halt::Disk(error.to_string()),
            other => failed(other),
        })
    }

    fn report(&mut self, path: &Path) -> Result<(), Halt> {
        if self.diary.wants_sample(self.trainer.is_done()) {
            let photos: Vec<_> = self
                .material
                .held_out
                .iter()
                .map(|photo| photo.reduced(SAMPLE_PX))
                .take(MAX_SAMPLE_PICTURES)
                .collect();
            let results = photos.iter().map(|photo| self.trainer.sample(photo, 0));
            let results = results.collect::<Result<Vec<_>, _>>().map_err(failed)?;
            self.diary.sample(&photos, &results);
        }
        self.diary.write(path).map_err(|error| Halt::Disk(format!("{}: {error}", path.display())))
    }

    fn style(&mut self) -> Result<StyleFile, Halt> {
        match self.jury.as_ref().and_then(Jury::verdict) {
            Some((_, style)) => Ok(style),
            None => self.present(),
        }
    }
}

fn failed(error: impl std::fmt::Display) -> Halt {
    Halt::Failed(error.to_string())
}

fn progress(recipe: &Recipe, report: &StepReport, is_done: bool) -> Progress {
    let [imitation, adversarial] = shares(recipe);
    let (stage, before, share) = match report.stage {
        Stage::Imitation => ("imitation", 0.0, imitation),
        Stage::Measuring => ("looking at the art", imitation, 0.0),
        Stage::Adversarial | Stage::Done => ("adversarial", imitation, adversarial),
    };
    let of_stage = report.of.map_or(0.0, |of| report.step as f64 / of.max(1) as f64);
    let done = if is_done { 1.0 } else { (before + share * of_stage).clamp(0.0, 1.0) };
    let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    Progress {
        stage: stage.into(),
        step: count(report.step),
        steps: report.of.map_or(0, count),
        done: done as f32,
    }
}

/// Has every photo had its turn once more, on the average?
fn ends_epoch(recipe: &Recipe, report: &StepReport, photos: usize) -> bool {
    let course = match report.stage {
        Stage::Imitation => recipe.imitation.as_ref().map(|stage| &stage.course),
        _ => recipe.adversarial.as_ref().map(|stage| &stage.course),
    };
    let batch = course.map_or(1, |course| course.batch);
    report.steps_in_all.is_multiple_of(photos.div_ceil(batch).max(1) as u64)
}
