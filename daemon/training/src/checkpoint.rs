//! All of a training's state in one file.

use crate::recipe::Recipe;
use crate::trainer::Snapshot;

/// A training at one moment.
#[derive(Debug, Clone)]
pub struct Checkpoint {
    /// What it follows.
    pub recipe: Recipe,
    pub(crate) now: Snapshot,
    pub(crate) good: Snapshot,
}
