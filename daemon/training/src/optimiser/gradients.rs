//! A loss's gradients by the weights' names.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Result, bail};

use super::Parameters;

/// A gradient for each of a network's parameters.
#[derive(Debug, Clone)]
pub struct Gradients {
    values: BTreeMap<String, Vec<f32>>,
}

impl Gradients {
    /// Takes a network's share of what a loss gave.
    ///
    /// # Errors
    /// If the loss doesn't depend on one of the parameters.
    pub fn of(parameters: &Parameters, store: &GradStore) -> Result<Self> {
        let of = |(name, variable): (&String, &candle_core::Var)| {
            let Some(gradient) = store.get(variable) else { bail!("the loss doesn't depend on {name}") };
            Ok((name.clone(), gradient.flatten_all()?.to_vec1()?))
        };
        Ok(Self { values: parameters.iter().map(of).collect::<Result<_>>()? })
    }

    /// Of all together, Euclidean. Not finite if any of them isn't.
    pub fn norm(&self) -> f64 {
        let squares = |values: &Vec<f32>| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>();
        self.values.values().map(squares).sum::<f64>().sqrt()
    }

    /// Shortens them together to a norm of at most `most` (Pascanu et al. 2013,
    /// <https://arxiv.org/abs/1211.5063>, algorithm 1). Returns the norm before.
    pub fn clip(&mut self, most: f64) -> f64 {
        let norm = self.norm();
        if norm > most {
            let factor = (most / norm) as f32;
            self.values.values_mut().flatten().for_each(|value| *value *= factor);
        }
        norm
    }

    /// Of the parameter with this name, if it is one.
    pub fn get(&self, name: &str) -> Option<&[f32]> {
        self.values.get(name).map(Vec::as_slice)
    }
}
