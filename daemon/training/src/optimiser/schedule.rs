//! The learning rate through a stage.

use std::f64::consts::PI;

/// Rises in a line, then falls as half a cosine (Loshchilov and Hutter 2017,
/// <https://arxiv.org/abs/1608.03983>, equation 5).
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// The highest rate.
    pub rate: f64,
    /// Steps until it is reached.
    pub warm_up_steps: u64,
    /// The share of it that is left at the end.
    pub last_share: f64,
}

impl Schedule {
    /// The rate of a step, counted from 0, where `done` (0..1) of the stage lies behind.
    pub fn at(&self, step: u64, done: f64) -> f64 {
        let risen = ((step + 1) as f64 / self.warm_up_steps.max(1) as f64).min(1.0);
        let left = 0.5 + 0.5 * (PI * done.clamp(0.0, 1.0)).cos();
        self.rate * risen * (self.last_share + (1.0 - self.last_share) * left)
    }
}
