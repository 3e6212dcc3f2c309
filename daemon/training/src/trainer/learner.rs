//! A network's weights, and what moves them.

use candle_core::Result;
use candle_core::backprop::GradStore;

use super::snapshot::Snapshot;
use crate::optimiser::{Adam, Gradients, Parameters};
use crate::recipe::Course;

/// What is trained of a network.
pub(super) struct Learner {
    pub(super) parameters: Parameters,
    adam: Adam,
    most_gradient: f64,
}

impl Learner {
    pub(super) fn new(parameters: Parameters, betas: [f64; 2], most_gradient: f64) -> Self {
        Self { parameters, adam: Adam::new(betas), most_gradient }
    }

    /// A stage begins: forgets the moments.
    pub(super) fn begin(&mut self, course: &Course) {
        self.adam = Adam::new(course.betas);
        self.most_gradient = course.most_gradient;
    }

    /// The gradients, shortened, and their norm before.
    pub(super) fn gradients(&self, store: &GradStore) -> Result<(Gradients, f64)> {
        let mut gradients = Gradients::of(&self.parameters, store)?;
        let norm = gradients.clip(self.most_gradient);
        Ok((gradients, norm))
    }

    pub(super) fn step(&mut self, gradients: &Gradients, rate: f64) -> Result<()> {
        self.adam.step(&self.parameters, gradients, rate)
    }

    pub(super) fn save(&self, name: &str, to: &mut Snapshot) -> Result<()> {
        to.put(&format!("{name}.weights"), self.parameters.tensors()?);
        to.put(&format!("{name}.moments"), self.adam.tensors()?);
        to.steps.insert(name.to_owned(), self.adam.steps());
        Ok(())
    }

    pub(super) fn restore(
        &mut self,
        name: &str,
        betas: [f64; 2],
        most_gradient: f64,
        from: &Snapshot,
    ) -> Result<()> {
        self.most_gradient = most_gradient;
        self.parameters.set(&from.get(&format!("{name}.weights")))?;
        let moments = from.get(&format!("{name}.moments"));
        self.adam = Adam::restored(betas, from.steps_of(name)?, &moments, &self.parameters)?;
        Ok(())
    }
}
