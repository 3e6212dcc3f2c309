//! Adam.

use std::collections::BTreeMap;

use candle_core::{Device, Result, Tensor, bail};

use super::{Gradients, Parameters, Tensors};

/// What keeps a weight from being divided by nothing.
const EPSILON: f32 = 1e-8;

/// Adam (Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>, algorithm 1): with the gradient g,
///
/// ```text
/// m = b1 m + (1 - b1) g            first moment
/// v = b2 v + (1 - b2) g g          second moment
/// w = w - rate m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + 1e-8)
/// ```
#[derive(Debug, Clone)]
pub struct Adam {
    betas: [f64; 2],
    steps: u64,
    moments: BTreeMap<String, [Vec<f32>; 2]>,
}

impl Adam {
    /// Remembers nothing yet.
    pub fn new(betas: [f64; 2]) -> Self {
        Self { betas, steps: 0, moments: BTreeMap::new() }
    }

    /// Moves the parameters.
    ///
    /// # Errors
    /// If there is no gradient of one's length.
    pub fn step(&mut self, parameters: &Parameters, gradients: &Gradients, rate: f64) -> Result<()> {
        self.steps += 1;
        let power = i32::try_from(self.steps).unwrap_or(i32::MAX);
        let [b1, b2] = self.betas;
        let rate = (rate / (1.0 - b1.powi(power))) as f32;
        let root = (1.0 - b2.powi(power)).sqrt() as f32;
        let [b1, b2] = self.betas.map(|beta| beta as f32);
        for (name, variable) in parameters.iter() {
            let mut values: Vec<f32> = variable.flatten_all()?.to_vec1()?;
            let gradient = gradients.get(name).filter(|gradient| gradient.len() == values.len());
            let Some(gradient) = gradient else { bail!("{name} has no gradient") };
            let zeros = || [vec![0.0; values.len()], vec![0.0; values.len()]];
            let [first, second] = self.moments.entry(name.clone()).or_insert_with(zeros);
            let moments = first.iter_mut().zip(second);
            for ((value, g), (m, v)) in values.iter_mut().zip(gradient).zip(moments) {
                *m += (1.0 - b1) * (g - *m);
                *v = b2 * *v + (1.0 - b2) * g * g;
                *value -= rate * *m / (v.sqrt() / root + EPSILON);
            }
            variable.set(&Tensor::from_vec(values, variable.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }

    /// How many steps it has taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The moments, as `first.NAME` and `second.NAME`.
    ///
    /// # Errors
    /// If memory can't be had.
    pub fn tensors(&self) -> Result<Tensors> {
        let mut tensors = Tensors::new();
        for (name, [first, second]) in &self.moments {
            tensors.insert(format!("first.{name}"), Tensor::from_slice(first, first.len(), &Device::Cpu)?);
            tensors.insert(format!("second.{name}"), Tensor::from_slice(second, second.len(), &Device::Cpu)?);
        }
        Ok(tensors)
    }

    /// Goes on after so many steps, with the moments of [`Self::tensors`].
    ///
    /// # Errors
    /// If they are not those of these parameters.
    pub fn restored(betas: [f64; 2], steps: u64, tensors: &Tensors, parameters: &Parameters) -> Result<Self> {
        let mut moments = BTreeMap::new();
        if steps > 0 {
            for (name, variable) in parameters.iter() {
                let get = |moment: &str| {
                    let tensor = tensors.get(&format!("{moment}.{name}"));
                    let Some(tensor) = tensor.filter(|t| t.dims() == [variable.elem_count()]) else {
                        bail!("the {moment} moment of {name} is missing, or has another size")
                    };
                    tensor.to_vec1()
                };
                moments.insert(name.clone(), [get("first")?, get("second")?]);
            }
        }
        if tensors.len() != 2 * moments.len() {
            bail!("there are {} moments, not {}", tensors.len(), 2 * moments.len());
        }
        Ok(Self { betas, steps, moments })
    }
}
