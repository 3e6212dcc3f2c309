//! Messages about training: what a style is to be trained from, and how the job goes.

use std::{fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// The most folders of art for a style.
pub const MAX_ART_FOLDERS: usize = 8;
/// The longest path of a folder.
pub const MAX_PATH_BYTES: usize = 4096;
/// The longest recipe.
pub const MAX_RECIPE_BYTES: usize = 8 << 10;
/// The longest name, author, licence and attribution, each.
pub const MAX_TEXT_BYTES: usize = 2000;
/// The most steps of a training, and the most minutes.
pub const MAX_STEPS: u32 = 10_000_000;

/// A style to be trained, from folders that the daemon reads itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainSpec {
    /// The id that the style gets, as [`StyleInfo::id`](super::StyleInfo::id).
    pub style: String,
    /// Its name, for people.
    pub name: String,
    /// Folders with pictures in the style, from the root; at most [`MAX_ART_FOLDERS`].
    pub art: Vec<PathBuf>,
    /// A folder with the pictures that are to be re-drawn, from the root.
    pub photos: PathBuf,
    /// For how long.
    pub budget: Budget,
    /// The style to start from, instead of the usual beginning.
    pub like: Option<String>,
    /// All the other numbers.
    pub recipe: RecipeChoice,
    /// Who trains it.
    pub author: String,
    /// An SPDX expression, or `private`.
    pub licence: String,
    /// Whom to credit for the art.
    pub attribution: String,
    /// On how many processor cores; on all if it is not said.
    pub threads: Option<u32>,
    /// Go on when the machine runs on its battery.
    pub on_battery: bool,
}

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Budget {
    /// As long as the recipe says.
    Recipe,
    /// As many steps as fit into this time; pauses don't count.
    Minutes(u32),
    /// So many steps.
    Steps(u32),
}

/// The numbers of a training.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecipeChoice {
    /// For a first look.
    Fast,
    /// For a style to keep.
    Quality,
    /// The text of a recipe file, TOML.
    Own(String),
}

/// Names a training job, for as long as its folder is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u32);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How a training job is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobInfo {
    /// Which one.
    pub id: JobId,
    /// The id of the style that it makes; once it is finished, of the one that it has made.
    pub style: String,
    /// The style's name.
    pub name: String,
    /// What it does.
    pub state: JobState,
    /// The part of the work that it is at, in words; empty before the first.
    pub stage: String,
    /// This part's finished steps; while the job is prepared, pictures.
    pub step: u32,
    /// This part's steps, or pictures; 0 while that isn't known.
    pub steps: u32,
    /// The share of all the training that is done, 0 to 1.
    pub done: f32,
    /// How far off the last step was, by the names of the losses.
    pub losses: Vec<Loss>,
    /// How long it will still take, if it goes on as it does.
    pub seconds_left: Option<u32>,
    /// The last thing that is worth telling, as that the training went back a little.
    pub note: String,
    /// Its folder, where its log is.
    pub folder: PathBuf,
    /// The page to look at, once there is one.
    pub report: Option<PathBuf>,
}

/// One of the numbers that training makes smaller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Loss {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f32,
}

/// What a job does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum JobState {
    /// Waits for its turn: one job trains at a time.
    Queued,
    /// Reads its pictures.
    Preparing,
    /// Trains.
    Running,
    /// Waits for something else.
    Paused {
        /// For what.
        cause: PauseCause,
        /// The same in words: what happened, and what to do.
        why: String,
    },
    /// The style is installed.
    Finished,
    /// It can't go on.
    Failed {
        /// What happened, and what to do.
        why: String,
    },
    /// The user ended it.
    Cancelled,
}

impl JobState {
    /// Is nothing more going to happen, unless the user resumes it?
    pub fn is_ended(&self) -> bool {
        matches!(self, Self::Finished | Self::Failed { .. } | Self::Cancelled)
    }
}

/// What a paused job waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum PauseCause {
    /// For the user, who paused it.
    User,
    /// For mains power; then it goes on by itself.
    Battery,
    /// For the user, who has to make room on the disk.
    Disk,
}
