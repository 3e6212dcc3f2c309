//! The weights' moving average.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, bail};

use super::{Parameters, Tensors};

/// Steps after which the average forgets as slowly as it is told to.
const YOUNG_STEPS: f64 = 10.0;

/// An exponential moving average of weights, which draws better than they themselves (Yazici et al. 2019,
/// <https://arxiv.org/abs/1806.04498>): a = d a + (1 - d) w, where d grows to the decay as t / (t + 10) does, so
/// that the beginning is soon forgotten.
#[derive(Debug, Clone)]
pub struct Average {
    decay: f64,
    steps: u64,
    values: BTreeMap<String, (Vec<usize>, Vec<f32>)>,
}

impl Average {
    /// Begins at the weights.
    ///
    /// # Errors
    /// If they can't be read.
    pub fn new(decay: f64, parameters: &Parameters) -> Result<Self> {
        Self::restored(decay, 0, &parameters.tensors()?)
    }

    /// Goes on after so many steps, from the values of [`Self::tensors`].
    ///
    /// # Errors
    /// If they can't be read.
    pub fn restored(decay: f64, steps: u64, tensors: &Tensors) -> Result<Self> {
        let values = |(name, tensor): (&String, &Tensor)| {
            Ok((name.clone(), (tensor.dims().to_vec(), tensor.flatten_all()?.to_vec1()?)))
        };
        Ok(Self { decay, steps, values: tensors.iter().map(values).collect::<Result<_>>()? })
    }

    /// Follows the weights.
    ///
    /// # Errors
    /// If they are not those that it began with.
    pub fn step(&mut self, parameters: &Parameters) -> Result<()> {
        self.steps += 1;
        let young = self.steps as f64 / (self.steps as f64 + YOUNG_STEPS);
        let share = (1.0 - self.decay.min(young)) as f32;
        for (name, variable) in parameters.iter() {
            let Some((_, average)) = self.values.get_mut(name) else { bail!("{name} has no average") };
            let values: Vec<f32> = variable.flatten_all()?.to_vec1()?;
            average
                .iter_mut()
                .zip(values)
                .for_each(|(average, value)| *average += share * (value - *average));
        }
        Ok(())
    }

    /// How many steps it has followed.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The averages, in the weights' shapes.
    ///
    /// # Errors
    /// If memory can't be had.
    pub fn tensors(&self) -> Result<Tensors> {
        let tensor = |(name, (shape, values)): (&String, &(Vec<usize>, Vec<f32>))| {
            Ok((name.clone(), Tensor::from_slice(values, &shape[..], &Device::Cpu)?))
        };
        self.values.iter().map(tensor).collect()
    }
}
