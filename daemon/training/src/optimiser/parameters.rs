//! A network's weights as variables.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use candle_core::{DType, Device, Error, Result, Shape, Tensor, Var, bail};
use candle_nn::VarBuilder;
use candle_nn::var_builder::SimpleBackend;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::Initialise;

/// Tensors by name, in the names' order.
pub type Tensors = BTreeMap<String, Tensor>;

/// Variables by name, `f32` on the CPU. Networks that were loaded from them see every change.
#[derive(Debug)]
pub struct Parameters {
    variables: BTreeMap<String, Var>,
}

impl Parameters {
    /// Loads a network from variables that are made as it asks for them: their values depend on the seed and on
    /// the order alone.
    ///
    /// # Errors
    /// If the network can't be built.
    pub fn initialised<N>(
        seed: u64,
        initialise: Initialise,
        load: impl FnOnce(&VarBuilder) -> Result<N>,
    ) -> Result<(Self, N)> {
        let made = Arc::new(Mutex::new(Made {
            random: ChaCha8Rng::seed_from_u64(seed),
            initialise,
            variables: BTreeMap::new(),
        }));
        let backend: Box<dyn SimpleBackend> = Box::new(Fresh(Arc::clone(&made)));
        let network = load(&VarBuilder::from_backend(backend, DType::F32, Device::Cpu))?;
        let variables = std::mem::take(&mut lock(&made)?.variables);
        Ok((Self { variables }, network))
    }

    /// Makes variables of copies.
    ///
    /// # Errors
    /// If one can't be copied to the CPU as `f32`.
    pub fn from_tensors(tensors: &Tensors) -> Result<Self> {
        let variable = |(name, tensor): (&String, &Tensor)| {
            let copy = tensor.to_dtype(DType::F32)?.to_device(&Device::Cpu)?.copy()?;
            Ok((name.clone(), Var::from_tensor(&copy.contiguous()?)?))
        };
        Ok(Self { variables: tensors.iter().map(variable).collect::<Result<_>>()? })
    }

    /// For loading a network that is to be trained.
    pub fn trained(&self) -> VarBuilder<'static> {
        self.builder(|variable| variable.as_tensor().clone())
    }

    /// For loading a network that gives gradients only to what it is shown.
    pub fn frozen(&self) -> VarBuilder<'static> {
        self.builder(Var::as_detached_tensor)
    }

    fn builder(&self, tensor: impl Fn(&Var) -> Tensor) -> VarBuilder<'static> {
        let tensors: HashMap<_, _> =
            self.variables.iter().map(|(name, variable)| (name.clone(), tensor(variable))).collect();
        VarBuilder::from_tensors(tensors, DType::F32, &Device::Cpu)
    }

    /// Copies of the values.
    ///
    /// # Errors
    /// If memory can't be copied.
    pub fn tensors(&self) -> Result<Tensors> {
        self.variables.iter().map(|(name, variable)| Ok((name.clone(), variable.copy()?.detach()))).collect()
    }

    /// Takes the values of tensors that have the same names and shapes.
    ///
    /// # Errors
    /// If one is missing, there is one too many, or one has another shape.
    pub fn set(&self, tensors: &Tensors) -> Result<()> {
        if let Some(name) = tensors.keys().find(|name| !self.variables.contains_key(*name)) {
            bail!("the network has no weights {name}");
        }
        for (name, variable) in &self.variables {
            let Some(tensor) = tensors.get(name) else { bail!("the weights {name} are missing") };
            if tensor.dims() != variable.dims() {
                bail!("the weights {name} are {:?}, not {:?}", tensor.dims(), variable.dims());
            }
            variable.set(&tensor.to_dtype(DType::F32)?.contiguous()?.copy()?)?;
        }
        Ok(())
    }

    /// In the names' order.
    pub fn iter(&self) -> impl Iterator<Item = (&String, &Var)> {
        self.variables.iter()
    }

    /// How many numbers there are to train.
    pub fn count(&self) -> usize {
        self.variables.values().map(|variable| variable.elem_count()).sum()
    }
}

/// Variables that come to be when a network asks for them.
struct Fresh(Arc<Mutex<Made>>);

struct Made {
    random: ChaCha8Rng,
    initialise: Initialise,
    variables: BTreeMap<String, Var>,
}

fn lock(made: &Mutex<Made>) -> Result<std::sync::MutexGuard<'_, Made>> {
    made.lock().map_err(|_| Error::Msg("a network failed while it was built".into()))
}

impl SimpleBackend for Fresh {
    fn get(
        &self,
        shape: Shape,
        name: &str,
        _: candle_nn::Init,
        dtype: DType,
        device: &Device,
    ) -> Result<Tensor> {
        let mut made = lock(&self.0)?;
        let Made { random, initialise, variables } = &mut *made;
        if let Some(variable) = variables.get(name) {
            return Ok(variable.as_tensor().clone());
        }
        // A bias is as large as the weights beside it.
        let weight = name.strip_suffix("bias").and_then(|prefix| variables.get(&format!("{prefix}weight")));
        let beside = weight.map(|weight| weight.dims());
        let values = initialise(random, name, shape.dims(), beside);
        let variable = Var::from_tensor(&Tensor::from_vec(values, shape, device)?.to_dtype(dtype)?)?;
        let tensor = variable.as_tensor().clone();
        variables.insert(name.to_owned(), variable);
        Ok(tensor)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Result<Tensor> {
        bail!("{name} can't be made without a shape")
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.0.lock().is_ok_and(|made| made.variables.contains_key(name))
    }
}
