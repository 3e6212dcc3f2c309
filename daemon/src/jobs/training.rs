//! What trains, as the jobs know it: begun from an order, then a step at a time.

use std::ops::ControlFlow;
use std::path::Path;

use serde::{Deserialize, Serialize};
use utsushi_engine::style_file::StyleFile;
use utsushi_ipc::protocol::{Fault, JobState, Loss};

use super::checkpoints::IfLost;
use super::folder::JobFolder;
use super::order::Order;

/// Begins trainings.
pub trait Trainers: Send + Sync + 'static {
    /// Refuses what can be seen at once to make no sense, before there is a job.
    fn check(&self, order: &Order) -> Result<(), Fault>;
    /// Reads the pictures, and begins, or [goes on](JobFolder::go_on) from the newest checkpoint that can be read.
    ///
    /// `tell` is called often enough to stop at: it returns [`ControlFlow::Break`] if this is to end with
    /// [`Halt::Asked`], and takes its time while others need the processor.
    fn begin(
        &self,
        order: &Order,
        folder: &JobFolder,
        if_lost: IfLost,
        tell: &mut dyn FnMut(News<'_>) -> ControlFlow<()>,
    ) -> Result<Box<dyn Training>, Halt>;
    /// Tells on the job's page how the job is now.
    fn settled(&self, folder: &JobFolder, state: &JobState);
}

/// A training that was begun. Its steps depend on the checkpoint that it came from, and on nothing else.
pub trait Training {
    /// Is there nothing left to do?
    fn is_done(&self) -> bool;
    /// How many steps were taken in all.
    fn steps(&self) -> u32;
    /// Takes a step, unless it is done.
    fn step(&mut self) -> Result<Step, Halt>;
    /// Writes all that the next step depends on, so that the file is there as a whole or not at all.
    fn checkpoint(&mut self, path: &Path) -> Result<(), Halt>;
    /// Writes the page to look at, in the same way.
    fn report(&mut self, path: &Path) -> Result<(), Halt>;
    /// The style, described as ordered.
    fn style(&mut self) -> Result<StyleFile, Halt>;
}

/// How preparing goes.
#[derive(Debug, Clone, Copy)]
pub enum News<'a> {
    /// So many of so many are done of this.
    Doing(&'a str, u32, u32),
    /// Something for the log, and for whoever watches.
    Note(&'a str),
}

/// How far a training is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Progress {
    /// The stage that it is at, in words.
    pub stage: String,
    /// The stage's finished steps.
    pub step: u32,
    /// The stage's steps; 0 while that isn't known.
    pub steps: u32,
    /// The share of all stages that is done, 0 to 1.
    pub done: f32,
}

/// What a step tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Where it has led.
    pub progress: Progress,
    /// How far off it was.
    pub losses: Vec<Loss>,
    /// Was it the last of an epoch?
    pub ends_epoch: bool,
    /// Something that is worth telling, as that the training went back a little.
    pub note: Option<String>,
}

/// Why a training doesn't go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Halt {
    /// `tell` said so.
    Asked,
    /// Nothing can be written; why, and where.
    Disk(String),
    /// No checkpoint can be read; one of them, and why.
    Lost(String),
    /// It can't be done; what happened, and what to do.
    Failed(String),
}
