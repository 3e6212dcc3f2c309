//! How a training goes from stage to stage, and back where it went wrong.

use candle_core::Result;

use super::plan::Plan;
use super::snapshot::Snapshot;
use super::statistics::Statistics;
use super::watch::{History, Trouble};
use super::{Progress, Stage, TrainError, Trainer, course};
use crate::optimiser::Average;

impl Trainer {
    /// After a step: keeps a good state, ends a stage.
    pub(super) fn go_on(&mut self) -> Result<()> {
        if self.progress.plan.steps.is_some_and(|steps| self.progress.step >= steps) {
            self.next_stage()?;
        } else if self.progress.step.is_multiple_of(self.recipe.watch.keep_every)
            && self.history.is_calm(&self.recipe.watch)
        {
            self.keep()?;
        }
        Ok(())
    }

    fn keep(&mut self) -> Result<()> {
        self.progress.returns = 0;
        self.good = Some(self.snapshot()?);
        Ok(())
    }

    fn next_stage(&mut self) -> Result<()> {
        let stage = match (self.progress.stage, &self.recipe.adversarial) {
            (Stage::Imitation, Some(_)) => Stage::Measuring,
            (Stage::Measuring, Some(_)) => Stage::Adversarial,
            _ => Stage::Done,
        };
        self.enter(stage)
    }

    /// Begins a stage. The first state of each is a good one.
    pub(super) fn enter(&mut self, stage: Stage) -> Result<()> {
        let Some(course) = course(&self.recipe, stage).cloned() else { candle_core::bail!("no such stage") };
        let mut plan = Plan::new(&course);
        if let (Stage::Measuring, Some(adversarial)) = (stage, &self.recipe.adversarial) {
            plan.steps = Some(adversarial.statistics_batches * self.recipe.styles as u64);
        }
        self.progress =
            Progress { stage, step: 0, tick: self.progress.tick, plan, rates: [1.0; 2], returns: 0 };
        if stage != Stage::Done {
            // What drew best goes on, and its moments belonged to other losses.
            self.before = self.average.tensors()?;
            self.generator.parameters.set(&self.before)?;
            self.generator.begin(&course);
            self.average = Average::new(course.average_decay, &self.generator.parameters)?;
        }
        self.history = History::default();
        self.keep()
    }

    /// Returns to the last good state, and says so.
    pub(super) fn go_back(&mut self, trouble: Trouble) -> std::result::Result<String, TrainError> {
        self.progress.returns += 1;
        if self.progress.returns > self.recipe.watch.most_returns {
            return Err(TrainError::Diverged(self.progress.returns));
        }
        let [generator, discriminators] = &mut self.progress.rates;
        *discriminators /= 2.0;
        // One that is never wrong is the only one that learns too fast.
        let whose = match trouble {
            Trouble::TooEasy => "its learning rate",
            _ => {
                *generator /= 2.0;
                "the learning rate"
            }
        };
        let progress = self.progress.clone();
        if let Some(good) = self.good.take() {
            self.restore(&good)?;
            self.good = Some(good);
        }
        let good = self.progress.step;
        self.progress = progress;
        self.history = History::default();
        Ok(format!(
            "{}: it went back to what it was after step {good}, and halved {whose}",
            trouble.in_words()
        ))
    }

    pub(super) fn snapshot(&self) -> Result<Snapshot> {
        let mut snapshot = Snapshot::new(self.progress.clone());
        self.generator.save("generator", &mut snapshot)?;
        snapshot.put("before", self.before.clone());
        snapshot.put("average", self.average.tensors()?);
        snapshot.steps.insert("average".into(), self.average.steps());
        for (i, (critic, statistics)) in self.critics.iter().zip(&self.statistics).enumerate() {
            critic.save(&format!("discriminators.{i}"), &mut snapshot)?;
            statistics.save(&format!("statistics.{i}"), &mut snapshot)?;
        }
        snapshot.put("history", self.history.tensors()?);
        Ok(snapshot)
    }

    pub(super) fn restore(&mut self, from: &Snapshot) -> Result<()> {
        self.progress = from.progress.clone();
        let Some(course) = course(&self.recipe, self.progress.stage).cloned() else {
            candle_core::bail!("it is in a stage that the recipe doesn't have")
        };
        self.generator.restore("generator", course.betas, course.most_gradient, from)?;
        self.before = from.get("before");
        let average = from.get("average");
        // The same names and shapes as the weights'.
        self.generator.parameters.set(&average)?;
        self.average = Average::restored(course.average_decay, from.steps_of("average")?, &average)?;
        self.generator.parameters.set(&from.get("generator.weights"))?;
        if let Some(features) = &self.data.features {
            for (i, critic) in self.critics.iter_mut().enumerate() {
                critic.restore(&format!("discriminators.{i}"), from)?;
                let name = format!("statistics.{i}");
                self.statistics[i] = Statistics::restored(&name, features.levels(), from)?;
            }
        }
        self.history = History::restored(&self.recipe.watch, &from.get("history"))?;
        Ok(())
    }
}
