//! Which numbers a recipe may have.

use super::{Adversarial, Course, Imitation, Length, MULTIPLE_PX, Pictures, RecipeError, Watch};
use crate::abstraction::Brushwork;
use crate::data::MIN_SIDE_PX;

const MOST_WEIGHT: f64 = 1e4;
const MOST_STEPS: u64 = 1_000_000_000;

impl Pictures {
    pub(super) fn check(&self) -> Result<(), RecipeError> {
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
    pub(super) fn check(&self) -> Result<(), RecipeError> {
        let losses = [("l1", self.l1), ("gradient", self.gradient), ("content", self.content)];
        for (name, weight) in losses {
            range(&format!("imitation.{name}"), weight, 0.0, MOST_WEIGHT)?;
        }
        if losses.iter().all(|(_, weight)| *weight == 0.0) {
            return Err(wrong("imitation", "without any loss", "l1, gradient or content above 0"));
        }
        let brushwork = self.brushwork.as_ref().map_or(Ok(()), Brushwork::check);
        brushwork.map_err(|error| wrong("imitation.brushwork", "out of range", error))?;
        self.course.check("imitation.course")
    }
}

impl Adversarial {
    pub(super) fn check(&self) -> Result<(), RecipeError> {
        let Self { weights: w, course, .. } = self;
        range("adversarial.statistics_batches", self.statistics_batches, 1, 10_000)?;
        range("adversarial.palette", self.palette, 0.0, 1.0)?;
        range("adversarial.share", self.share, 0.0, 1.0)?;
        range("adversarial.discriminator_rate", self.discriminator_rate, 0.0, 1.0)?;
        for (name, value) in [
            ("weights.l1", w.l1),
            ("weights.content", w.content),
            ("weights.style", w.style),
            ("weights.adversarial", w.adversarial),
            ("weights.colour", w.colour),
            ("weights.smoothness", w.smoothness),
        ] {
            range(&format!("adversarial.{name}"), value, 0.0, MOST_WEIGHT)?;
        }
        // What is seen of colours is measured against the mean over so many pixels.
        match course.crops_px.iter().find(|px| self.local_colour && !px.is_multiple_of(2 * MULTIPLE_PX)) {
            Some(px) => Err(wrong("adversarial.course.crops_px", px, "a multiple of 16 with local_colour")),
            None => course.check("adversarial.course"),
        }
    }
}

impl Course {
    pub(super) fn check(&self, name: &str) -> Result<(), RecipeError> {
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
    pub(super) fn check(&self) -> Result<(), RecipeError> {
        range("watch.keep_every", self.keep_every, 1, MOST_STEPS)?;
        range("watch.gradient_factor", self.gradient_factor, 1.0, 1e9)?;
        range("watch.steps_in_row", self.steps_in_row, 1, 10_000)?;
        range("watch.accuracy", self.accuracy, 0.5, 1.0)?;
        range("watch.accuracy_steps", self.accuracy_steps, 1, 10_000)?;
        range("watch.least_variation", self.least_variation, 0.0, 1.0)?;
        range("watch.most_returns", self.most_returns, 0, 1000)
    }
}

pub(super) fn wrong(field: impl Into<String>, value: impl ToString, must: impl ToString) -> RecipeError {
    RecipeError::Wrong { field: field.into(), value: value.to_string(), must: must.to_string() }
}

/// NaN is in no range.
pub(super) fn range<T: PartialOrd + std::fmt::Display>(
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
