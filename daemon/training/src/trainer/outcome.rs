//! What a step's losses were.

use candle_core::{Result, Tensor};

use super::watch::Vitals;

/// A step's losses, and how the networks are.
#[derive(Default)]
pub(super) struct Outcome {
    /// Each loss by its name, before it is weighted.
    pub(super) losses: Vec<(&'static str, f64)>,
    /// Their weighted sum.
    sum: Option<Tensor>,
    pub(super) vitals: Vitals,
}

impl Outcome {
    /// Adds a loss so many times; one that doesn't count isn't computed.
    pub(super) fn add(
        &mut self,
        name: &'static str,
        weight: f64,
        loss: impl FnOnce() -> Result<Tensor>,
    ) -> Result<()> {
        if weight == 0.0 {
            return Ok(());
        }
        let loss = loss()?;
        self.losses.push((name, loss.to_scalar::<f32>()?.into()));
        let loss = (loss * weight)?;
        self.sum = Some(match self.sum.take() {
            Some(sum) => (sum + loss)?,
            None => loss,
        });
        Ok(())
    }

    /// Adds a number to be told of that nothing is learned from.
    pub(super) fn tell(&mut self, name: &'static str, value: f64) {
        self.losses.push((name, value));
    }

    /// What is to be made small.
    pub(super) fn total(&mut self) -> Result<Tensor> {
        let Some(sum) = self.sum.take() else { candle_core::bail!("a stage without a loss") };
        self.vitals.losses.push(sum.to_scalar::<f32>()?.into());
        Ok(sum)
    }

    /// Are losses and gradients numbers?
    pub(super) fn is_finite(&self) -> bool {
        self.vitals.are_finite()
    }
}
