//! Which of a training's styles is kept: the best, and not the last.
//!
//! Now and then, at steps that only the recipe decides on, what the style makes of the held-out photos is judged. The
//! best so far lies in the job's folder as a style file. A job that goes on from a checkpoint comes by the same steps
//! again, judges the same, and so comes to the same choice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use utsushi_engine::style_file::{StyleFile, StyleFileError};
use utsushi_engine::write_whole;
use utsushi_training::data::{MIN_SIDE_PX, Picture};
use utsushi_training::evaluate::{Bounds, Judge, LEAST_PICTURES, Scores, best, common_side, stacked};
use utsushi_training::networks::perceptual::Features;
use utsushi_training::trainer::{Stage, StepReport, Trainer};

use super::kept::kept;
use crate::jobs::folder::JobFolder;
use crate::jobs::training::Halt;

/// How often the last stage is judged.
const SITTINGS: u64 = 12;
/// The middles of photos and art are judged, after they were reduced to this, but not below training's least side.
const PHOTO_PX: u32 = 512;
const ART_PX: u32 = 384;
const MOST_ART: usize = 24;

/// Judges a training.
pub(super) struct Jury {
    judge: Judge,
    features: Arc<dyn Features + Send + Sync>,
    scores: PathBuf,
    best: PathBuf,
    sittings: Vec<Sitting>,
}

/// What was found at a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Sitting {
    pub(super) step: u64,
    pub(super) scores: Scores,
}

impl Jury {
    /// Of the job in this folder, after so many steps. None where there are too few pictures to judge by.
    pub(super) fn seat(
        folder: &JobFolder,
        steps: u64,
        photos: &[Picture],
        art: &[Picture],
        features: Arc<dyn Features + Send + Sync>,
    ) -> Result<Option<Self>, Halt> {
        let Some(judge) = judge(photos, art, &*features)? else { return Ok(None) };
        let (scores, best) = (folder.path().join("scores.json"), folder.path().join("best.safetensors"));
        let mut sittings: Vec<Sitting> = kept(folder, &scores)?.unwrap_or_default();
        // It comes by the later ones again.
        sittings.retain(|sitting| sitting.step <= steps);
        Ok(Some(Self { judge, features, scores, best, sittings }))
    }

    /// Judges what this step has led to, if it is time for that. The style is asked for only if it is the best so far.
    pub(super) fn look(
        &mut self,
        told: &StepReport,
        trainer: &Trainer,
        style: impl FnOnce() -> Result<StyleFile, Halt>,
    ) -> Result<Option<Sitting>, Halt> {
        if !is_sitting(told) || self.sittings.iter().any(|sitting| sitting.step == told.steps_in_all) {
            return Ok(None);
        }
        let judged = trainer
            .draw(self.judge.photos(), 0)
            .and_then(|results| self.judge.judge(&*self.features, &results));
        let scores = judged.map_err(|error| Halt::Failed(error.to_string()))?;
        let sitting = Sitting { step: told.steps_in_all, scores };
        self.sittings.push(sitting);
        let is_best = self.best_sitting().is_some_and(|best| best.step == sitting.step);
        let saved = || -> Result<(), Halt> {
            if is_best {
                style()?.save(&self.best).map_err(|error| match error {
                    StyleFileError::Io { .. } => Halt::Disk(error.to_string()),
                    other => Halt::Failed(other.to_string()),
                })?;
            }
            self.write().map_err(|error| Halt::Disk(format!("{}: {error}", self.scores.display())))
        };
        if let Err(halt) = saved() {
            // Not written, it is to be judged again.
            self.sittings.pop();
            return Err(halt);
        }
        Ok(Some(sitting))
    }

    fn write(&self) -> io::Result<()> {
        write_whole(&self.scores, &serde_json::to_vec(&self.sittings)?)
    }

    fn best_sitting(&self) -> Option<&Sitting> {
        let scores: Vec<_> = self.sittings.iter().map(|sitting| sitting.scores).collect();
        best(&scores, Bounds::default()).map(|place| &self.sittings[place])
    }

    /// The best style, if one was judged.
    pub(super) fn verdict(&self) -> Option<(Sitting, StyleFile)> {
        let sitting = *self.best_sitting()?;
        Some((sitting, StyleFile::open(&self.best).ok()?))
    }
}

/// Is the step one of those at which the last stage is judged?
fn is_sitting(told: &StepReport) -> bool {
    let Some(of) = told.of.filter(|_| told.stage == Stage::Adversarial) else { return false };
    told.step == of || told.step.is_multiple_of(of.div_ceil(SITTINGS).max(1))
}

/// Who judges by these; nobody where they are too few.
pub(super) fn judge(
    photos: &[Picture],
    art: &[Picture],
    features: &dyn Features,
) -> Result<Option<Judge>, Halt> {
    let photos = large_enough(photos, PHOTO_PX);
    let art: Vec<_> = large_enough(art, ART_PX).into_iter().take(MOST_ART).collect();
    if photos.len().min(art.len()) < LEAST_PICTURES {
        return Ok(None);
    }
    let side = common_side(photos.iter().chain(&art));
    let judge = || Judge::new(features, &stacked(&art, side)?, &stacked(&photos, side)?);
    judge().map(Some).map_err(|error| Halt::Failed(error.to_string()))
}

fn large_enough(pictures: &[Picture], long_side_px: u32) -> Vec<Picture> {
    let reduced = pictures.iter().map(|picture| picture.reduced_within(long_side_px, MIN_SIDE_PX));
    reduced.filter(|picture| picture.width.min(picture.height) >= MIN_SIDE_PX).collect()
}

/// Where a job's folder is cleared of what it needs no more.
pub(super) fn clear(folder: &Path) {
    let _ = fs::remove_file(folder.join("best.safetensors"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sittings_are_a_matter_of_the_step() {
        fn check(stage: Stage, of: Option<u64>, expected: &[u64]) {
            let told = |step| StepReport {
                stage,
                step,
                of,
                steps_in_all: 60 + step,
                losses: Vec::new(),
                learning_rate: 0.0,
                gradient: 0.0,
                event: None,
                seconds: 0.0,
            };
            let found: Vec<_> = (1..=of.unwrap_or(100)).filter(|step| is_sitting(&told(*step))).collect();
            assert_eq!(found, expected, "{stage:?} {of:?}");
        }
        check(Stage::Adversarial, Some(3), &[1, 2, 3]);
        check(Stage::Adversarial, Some(30), &[3, 6, 9, 12, 15, 18, 21, 24, 27, 30]);
        check(Stage::Adversarial, Some(25), &[3, 6, 9, 12, 15, 18, 21, 24, 25]);
        // Before it is known how long it takes, and where there is no art to compare with.
        check(Stage::Adversarial, None, &[]);
        check(Stage::Imitation, Some(30), &[]);
        check(Stage::Measuring, Some(30), &[]);
    }
}
