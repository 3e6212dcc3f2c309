//! The stages of a training, a step at a time.
//!
//! ```text
//! imitation     draw what a filter makes of a photo                    L1, gradients
//! measuring     what is the art like, on the whole? batch by batch     no learning
//! adversarial   draw what discriminators take for art                  content, style, colour, the game
//! ```
//!
//! The caller owns the loop: it asks for a step, and may stop, wait or keep a [`Checkpoint`] between any two.
//! What a step does is a function of the recipe, the data and the state before it; the number of threads
//! doesn't matter. So a run that was resumed is the run that was never stopped, bit for bit. (Where a stage's
//! length is given in minutes, its steps are counted once, from what the first ones took.)
//!
//! The trainer watches itself ([`Watch`](crate::recipe::Watch)): when a loss is no number, gradients explode,
//! pictures collapse to one colour or the discriminator is never wrong any more, it goes back to the last state
//! in which all was well, halves the learning rate, and says so. Time isn't turned back: what comes next are new
//! pictures, not those it failed on.

mod adversarial;
mod critic;
mod imitation;
mod learner;
mod network;
mod outcome;
mod plan;
mod random;
mod snapshot;
mod statistics;
mod supply;
mod turns;
mod watch;

use std::collections::HashMap;
use std::time::Instant;

use candle_core::{Device, Result, Tensor};
use serde::{Deserialize, Serialize};
use utsushi_engine::Grain;
use utsushi_engine::arch::brush::is_of_noise;
use utsushi_engine::differentiable::{Maps, Place};

use self::critic::Critic;
use self::learner::Learner;
use self::network::Network;
use self::outcome::Outcome;
use self::plan::Plan;
use self::random::Purpose;
pub use self::snapshot::Snapshot;
use self::statistics::Statistics;
use self::supply::check_data;
pub use self::supply::{Batches, TrainingData};
use self::watch::History;
use crate::checkpoint::Checkpoint;
use crate::data::Picture;
use crate::optimiser::{Average, Gradients, Parameters, Schedule, Tensors, brush_weights};
use crate::recipe::{Adversarial, Course, MULTIPLE_PX, Recipe, RecipeError};

/// Why a training can't go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// It can't be followed.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// Recipe, data and weights don't belong together.
    #[error("{0}")]
    Unfit(String),
    /// A network failed.
    #[error("a network failed: {0}")]
    Network(#[from] candle_core::Error),
    /// It went wrong again and again.
    #[error("the training went wrong {0} times in a row; a lower learning rate, or more pictures, may help")]
    Diverged(u32),
}

/// The name in a [`Snapshot`] of the discriminator alone.
const DISCRIMINATOR: &str = "discriminator";

/// A part of a training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The generator learns a filter.
    #[default]
    Imitation,
    /// The art is measured.
    Measuring,
    /// The generator learns the art.
    Adversarial,
    /// There is nothing left to do.
    Done,
}

/// How far it is.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    stage: Stage,
    /// Steps in the stage.
    step: u64,
    /// Steps in all stages.
    tick: u64,
    plan: Plan,
    /// What is left of the learning rates: the generator's and the discriminators'.
    rates: [f64; 2],
    /// How often it went back since the last good state.
    returns: u32,
}

/// What a step has done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// In this stage.
    pub stage: Stage,
    /// Its number in the stage, from 1.
    pub step: u64,
    /// The steps of the stage; not known at first where the recipe gives minutes.
    pub of: Option<u64>,
    /// Of all stages.
    pub steps_in_all: u64,
    /// Each loss by its name, before it is weighted.
    pub losses: Vec<(String, f64)>,
    /// The generator's.
    pub learning_rate: f64,
    /// The norm of the generator's gradients, before they were shortened.
    pub gradient: f64,
    /// What happened out of the ordinary, in words.
    pub event: Option<String>,
    /// What it took.
    pub seconds: f64,
}

/// A training between two steps.
pub struct Trainer {
    recipe: Recipe,
    data: TrainingData,
    progress: Progress,
    generator: Learner,
    network: Network,
    average: Average,
    /// The weights that the stage began with.
    before: Tensors,
    /// One a style, where there is an adversarial stage.
    critics: Vec<Critic>,
    statistics: Vec<Statistics>,
    history: History,
    place: Place,
    /// The last state in which all was well.
    good: Option<Snapshot>,
}

impl Trainer {
    /// Begins a training; with weights of a generator, from there. Weights of one style start every style.
    ///
    /// # Errors
    /// If recipe, data and weights don't fit together.
    pub fn new(
        recipe: Recipe,
        data: TrainingData,
        start: Option<&Tensors>,
    ) -> std::result::Result<Self, TrainError> {
        recipe.check()?;
        check_data(&recipe, &data)?;
        let (sizes, styles) = (recipe.generator, recipe.styles);
        let weights_seed = random::seed(recipe.seed, Purpose::GeneratorWeights, 0);
        let (parameters, network) = Parameters::initialised(weights_seed, brush_weights, |weights| {
            Network::load(sizes, styles, weights)
        })?;
        if let Some(start) = start {
            let start = for_styles(start, &parameters)?;
            parameters
                .set(&start)
                .map_err(|e| TrainError::Unfit(format!("the weights to start from don't fit: {e}")))?;
        }
        let stage = if recipe.imitation.is_some() { Stage::Imitation } else { Stage::Measuring };
        let Some(course) = course(&recipe, stage) else {
            return Err(TrainError::Unfit("the recipe has no stage".into()));
        };
        let critic = |style| match (&recipe.adversarial, &data.features) {
            (Some(_), Some(features)) => {
                let seed = random::seed(recipe.seed, Purpose::DiscriminatorWeights, style);
                Some(Critic::new(features.levels(), seed))
            }
            _ => None,
        };
        let critics = (0..styles).filter_map(critic).collect::<Result<Vec<_>>>()?;
        let mut trainer = Self {
            progress: Progress::default(),
            average: Average::new(course.average_decay, &parameters)?,
            before: Tensors::new(),
            generator: Learner::new(parameters, course.betas, course.most_gradient),
            statistics: critics.iter().map(|_| Statistics::default()).collect(),
            critics,
            network,
            history: History::default(),
            place: Place::default(),
            good: None,
            recipe,
            data,
        };
        trainer.enter(stage)?;
        Ok(trainer)
    }

    /// Goes on where a checkpoint was taken.
    ///
    /// # Errors
    /// If it doesn't fit the data, isn't whole, or is of other networks: those of an older version.
    pub fn resume(checkpoint: &Checkpoint, data: TrainingData) -> std::result::Result<Self, TrainError> {
        let mut trainer = Self::new(checkpoint.recipe.clone(), data, None)?;
        trainer.check_networks(&checkpoint.now)?;
        let unfit = |e: candle_core::Error| TrainError::Unfit(format!("the checkpoint isn't whole: {e}"));
        // To be sure of it now, and not when it is needed.
        trainer.restore(&checkpoint.good).map_err(unfit)?;
        trainer.restore(&checkpoint.now).map_err(unfit)?;
        trainer.good = Some(checkpoint.good.clone());
        Ok(trainer)
    }

    /// Are the networks of the same kind?
    fn check_networks(&self, of: &Snapshot) -> std::result::Result<(), TrainError> {
        let critics = self.critics.iter().enumerate();
        let critics = critics.map(|(i, critic)| (format!("discriminators.{i}"), critic.parameters()));
        let own = std::iter::once(("generator".to_owned(), &self.generator.parameters)).chain(critics);
        for (network, parameters) in own {
            let theirs = of.get(&format!("{network}.weights"));
            let is_same = |(name, variable): (&String, &candle_core::Var)| {
                theirs.get(name).is_some_and(|weight| weight.dims() == variable.dims())
            };
            if theirs.len() != parameters.iter().count() || !parameters.iter().all(is_same) {
                return Err(TrainError::Unfit(format!(
                    "the checkpoint's {network} is another network than this version's: the training has to begin anew"
                )));
            }
        }
        Ok(())
    }

    /// Trains in this place from now on. If it fails, the processor takes over.
    #[must_use]
    pub fn in_place(mut self, place: Place) -> Self {
        self.place = place;
        self
    }

    /// All of it, to be kept.
    ///
    /// # Errors
    /// If memory can't be had.
    pub fn checkpoint(&self) -> Result<Checkpoint> {
        let now = self.snapshot()?;
        let good = self.good.clone().unwrap_or_else(|| now.clone());
        Ok(Checkpoint { recipe: self.recipe.clone(), now, good })
    }

    /// Is there nothing left to do?
    pub fn is_done(&self) -> bool {
        self.progress.stage == Stage::Done
    }

    /// The steps that it has taken, of all stages.
    pub fn steps(&self) -> u64 {
        self.progress.tick
    }

    /// What it follows.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Does the next thing there is to do.
    ///
    /// # Errors
    /// If a network fails, or the training went wrong again and again.
    ///
    /// # Panics
    /// If it [is done](Self::is_done).
    pub fn step(&mut self) -> std::result::Result<StepReport, TrainError> {
        assert!(!self.is_done(), "a step after the last");
        let start = Instant::now();
        let stage = self.progress.stage;
        self.place = self.place.renewed();
        let mut lost = None;
        // The discriminator learns first: were the step begun anew with what it knows then, it would learn twice.
        let discriminator = self.place.is_gpu().then(|| self.discriminator(stage)).transpose()?.flatten();
        let outcome = match self.work(stage) {
            Err(TrainError::Network(error)) if self.place.is_gpu() => {
                self.place = Place::default();
                lost = Some(format!("the GPU failed ({error}); the training goes on on the processor"));
                if let Some(discriminator) = discriminator {
                    let style = self.style();
                    self.critics[style].restore(DISCRIMINATOR, &discriminator)?;
                }
                self.work(stage)?
            }
            outcome => outcome?,
        };
        let course = course(&self.recipe, stage).cloned();
        let learning_rate = course.as_ref().map_or(0.0, |course| self.rate(course));
        let event = match self.history.look(&self.recipe.watch, &outcome.vitals) {
            Some(trouble) => Some(self.go_back(trouble)?),
            None => lost,
        };
        let seconds = start.elapsed().as_secs_f64();
        if let Some(course) = course.as_ref().filter(|_| stage != Stage::Measuring) {
            self.progress.plan.measure(course, self.progress.step, seconds);
        }
        self.progress.step += 1;
        self.progress.tick += 1;
        let report = StepReport {
            stage,
            step: self.progress.step,
            of: self.progress.plan.steps,
            steps_in_all: self.progress.tick,
            losses: outcome.losses.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect(),
            learning_rate,
            gradient: outcome.vitals.gradient,
            event,
            seconds,
        };
        self.go_on()?;
        Ok(report)
    }

    /// The discriminator that learns in a step of this stage, if one does.
    fn discriminator(&self, stage: Stage) -> Result<Option<Snapshot>> {
        let Some(critic) = self.critics.get(self.style()).filter(|_| stage == Stage::Adversarial) else {
            return Ok(None);
        };
        let mut snapshot = Snapshot::new(self.progress.clone());
        critic.save(DISCRIMINATOR, &mut snapshot)?;
        Ok(Some(snapshot))
    }

    /// Does a stage's work. The generator's weights change at its very end.
    fn work(&mut self, stage: Stage) -> std::result::Result<Outcome, TrainError> {
        let Recipe { imitation, adversarial, .. } = self.recipe.clone();
        match (stage, &imitation, &adversarial) {
            (Stage::Imitation, Some(recipe), _) => Ok(self.imitate(recipe)?),
            (Stage::Measuring, _, Some(recipe)) => Ok(self.measure(recipe)?),
            (Stage::Adversarial, _, Some(recipe)) => Ok(self.play(recipe)?),
            _ => Err(TrainError::Unfit("the recipe doesn't have the stage that it is in".into())),
        }
    }

    /// Re-draws pictures, `[pictures, height, width, 3]`, RGB in -1..1, sides multiples of 8, in a style, as the
    /// average of the weights draws, all with the same noise; larger, if the network enlarges.
    ///
    /// # Errors
    /// If the sides don't fit, or there is no such style.
    pub fn draw(&self, pictures: &Tensor, style: usize) -> Result<Tensor> {
        let network = self.network_of(self.style_weights()?.into_iter().collect())?;
        let styles = self.recipe.styles;
        let grains = vec![Grain::default(); pictures.dim(0)?];
        let drawn = network.redraw(&pictures.clone().into(), &one_of(styles, style)?, &grains)?;
        drawn.here()?.clamp(-1f32, 1f32)
    }

    /// Re-draws a picture in a style, as [`Self::draw`] does; what its sides have beyond a multiple of 8 is cut off.
    ///
    /// # Errors
    /// If it is smaller than that, or there is no such style.
    pub fn sample(&self, picture: &Picture, style: usize) -> Result<Picture> {
        let (width, height) = (picture.width as usize, picture.height as usize);
        let values = Tensor::from_vec(picture.values(), (1, height, width, 3), &Device::Cpu)?;
        let (height, width) = (height - height % MULTIPLE_PX, width - width % MULTIPLE_PX);
        let values = values.narrow(1, 0, height)?.narrow(2, 0, width)?.contiguous()?;
        let drawn: Vec<f32> = self.draw(&values, style)?.flatten_all()?.to_vec1()?;
        let factor = self.recipe.generator.factor();
        Ok(Picture::from_values((width * factor) as u32, (height * factor) as u32, &drawn))
    }

    /// The weights under their names in a style file: their average; against discriminators, a share of the way to it.
    ///
    /// # Errors
    /// If memory can't be had.
    pub fn style_weights(&self) -> Result<Tensors> {
        let mut weights = self.average.tensors()?;
        let Some(share) = self.recipe.adversarial.as_ref().map(|stage| stage.share) else {
            return Ok(weights);
        };
        if matches!(self.progress.stage, Stage::Adversarial | Stage::Done) && share < 1.0 {
            for (name, weight) in &mut weights {
                let Some(before) = self.before.get(name) else { continue };
                *weight = ((&*weight - before)? * share)?.add(before)?;
            }
        }
        Ok(weights)
    }

    /// The generator's learning rate in the step that comes.
    fn rate(&self, course: &Course) -> f64 {
        let Course { learning_rate: rate, warm_up_steps, last_rate_share: last_share, .. } = *course;
        let Progress { step, plan, rates, .. } = &self.progress;
        Schedule { rate, warm_up_steps, last_share }.at(*step, plan.done(*step)) * rates[0]
    }

    /// That of the discriminators, which doesn't fall: who judges keeps up with who draws.
    fn discriminator_rate(&self, recipe: &Adversarial) -> f64 {
        recipe.discriminator_rate * self.progress.rates[1]
    }

    fn move_generator(&mut self, course: &Course, gradients: &Gradients) -> Result<()> {
        self.generator.step(gradients, self.rate(course))?;
        self.average.step(&self.generator.parameters)
    }

    /// The sides of the step's crops. Art is measured in small ones.
    fn crop_px(&self, course: &Course) -> usize {
        let Progress { stage, step, plan, .. } = &self.progress;
        let step = if *stage == Stage::Measuring { 0 } else { *step };
        plan.crop_px(course, step)
    }

    /// Styles take turns.
    fn style(&self) -> usize {
        (self.progress.tick % self.recipe.styles as u64) as usize
    }

    fn shares(&self) -> Result<Tensor> {
        one_of(self.recipe.styles, self.style())
    }

    /// Draws the step's pictures, each with noise of its own.
    fn redraw(&self, pictures: &Maps) -> Result<Maps> {
        let count = pictures.dims().first().copied().unwrap_or(0);
        self.network.redraw(pictures, &self.shares()?, &self.grains(count))
    }

    /// The noise of the step's pictures.
    fn grains(&self, count: usize) -> Vec<Grain> {
        let seed = random::seed(self.recipe.seed, Purpose::Noise, 0);
        random::grains(seed, self.progress.tick, count)
    }

    /// What the stage's first weights draw of the step's pictures, with the same noise as [`Self::redraw`].
    fn redraw_as_before(&self, pictures: &Maps) -> Result<Maps> {
        let weights = self.before.clone().into_iter().collect();
        let network = self.network_of(weights)?;
        let count = pictures.dims().first().copied().unwrap_or(0);
        network.redraw(pictures, &self.shares()?, &self.grains(count))
    }

    fn network_of(&self, weights: HashMap<String, Tensor>) -> Result<Network> {
        let weights = candle_nn::VarBuilder::from_tensors(weights, candle_core::DType::F32, &Device::Cpu);
        let Recipe { generator, styles, .. } = self.recipe;
        Network::load(generator, styles, &weights)
    }
}

/// The course of a stage; that of the last for what comes after it.
fn course(recipe: &Recipe, stage: Stage) -> Option<&Course> {
    let imitation = recipe.imitation.as_ref().map(|stage| &stage.course);
    let adversarial = recipe.adversarial.as_ref().map(|stage| &stage.course);
    match stage {
        Stage::Imitation => imitation,
        Stage::Measuring | Stage::Adversarial => adversarial,
        Stage::Done => adversarial.or(imitation),
    }
}

/// Only this style.
fn one_of(styles: usize, style: usize) -> Result<Tensor> {
    Tensor::from_vec((0..styles).map(|i| f32::from(i == style)).collect(), styles, &Device::Cpu)
}

/// Weights of one style as those of as many as the parameters have. A style without noise gets that of the parameters.
fn for_styles(weights: &Tensors, parameters: &Parameters) -> Result<Tensors> {
    let mut weights = weights.clone();
    for (name, variable) in parameters.iter() {
        if is_of_noise(name) && !weights.contains_key(name) {
            weights.insert(name.clone(), variable.copy()?.detach());
        }
        let Some(weight) = weights.get_mut(name) else { continue };
        if weight.dims() != variable.dims() && weight.dims().first() == Some(&1) {
            *weight = weight.broadcast_as(variable.shape())?.contiguous()?;
        }
    }
    Ok(weights)
}
