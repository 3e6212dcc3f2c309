//! All that changes while a training runs, at one moment.

use std::collections::BTreeMap;

use candle_core::{Result, bail};
use serde::{Deserialize, Serialize};

use super::Progress;
use crate::optimiser::Tensors;

/// A state to go back to. Two trainers with the same are the same, to the last bit.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Snapshot {
    pub(super) progress: Progress,
    /// How many steps Adam and the average have taken.
    pub(super) steps: BTreeMap<String, u64>,
    /// Weights, moments and the rest.
    #[serde(skip)]
    pub(crate) tensors: Tensors,
}

impl Snapshot {
    pub(super) fn new(progress: Progress) -> Self {
        Self { progress, steps: BTreeMap::new(), tensors: Tensors::new() }
    }

    /// Adds tensors as `PREFIX.NAME`.
    pub(super) fn put(&mut self, prefix: &str, tensors: Tensors) {
        self.tensors.extend(tensors.into_iter().map(|(name, tensor)| (format!("{prefix}.{name}"), tensor)));
    }

    /// Those whose names begin with `PREFIX.`, without it.
    pub(super) fn get(&self, prefix: &str) -> Tensors {
        let inside = |name: &str| name.strip_prefix(prefix)?.strip_prefix('.').map(str::to_owned);
        self.tensors.iter().filter_map(|(name, tensor)| Some((inside(name)?, tensor.clone()))).collect()
    }

    pub(super) fn steps_of(&self, name: &str) -> Result<u64> {
        let Some(steps) = self.steps.get(name) else { bail!("how many steps {name} took is missing") };
        Ok(*steps)
    }
}
