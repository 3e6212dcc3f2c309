//! Weights that don't say whose style they are: those that our training script writes, and those that others
//! have trained.
//!
//! | file | what tells the network |
//! |---|---|
//! | safetensors whose metadata has `arch` | that, and the sizes beside it: ours |
//! | safetensors without, or a PyTorch state dict (`pth.rs`) | the tensors' names and shapes |
//!
//! With a description they become a [`StyleFile`](crate::style_file::StyleFile).

use std::collections::HashMap;

use candle_core::Tensor;

use crate::arch::Arch;
use crate::pth;
use crate::style_file::{StyleFileError, check_arch, field, safetensors, tensor, weight};

/// A network's weights, recognised but not yet checked against it.
pub struct Weights {
    pub(crate) arch: Arch,
    pub(crate) tensors: HashMap<String, Tensor>,
    is_foreign: bool,
}

impl Weights {
    /// Reads a file's bytes.
    pub fn read(bytes: &[u8]) -> Result<Self, StyleFileError> {
        if pth::is_pth(bytes) {
            let saved = pth::read(bytes).map_err(StyleFileError::NotWeights)?;
            let tensors = saved.into_iter().map(|saved| {
                let tensor = tensor(&saved.name, saved.values, saved.shape)?;
                Ok((saved.name, tensor))
            });
            return Self::foreign(tensors.collect::<Result<_, _>>()?);
        }
        let (file, metadata) = safetensors(bytes)?;
        let ours = metadata.get("arch").map(|arch| check_arch(Some(arch))).transpose()?;
        let arch = ours.map(|name| Arch::of_training(name, &metadata).map_err(|(key, why)| field(key, why)));
        let arch = arch.transpose()?;
        let read = |(name, view): (String, _)| Ok((name.clone(), weight(arch.as_ref(), &name, &view)?));
        let tensors = file.tensors().into_iter().map(read).collect::<Result<_, StyleFileError>>()?;
        match arch {
            Some(arch) => Ok(Self { arch, tensors, is_foreign: false }),
            None => Self::foreign(tensors),
        }
    }

    /// Those of a network that was trained here.
    pub fn of_training(arch: Arch, tensors: HashMap<String, Tensor>) -> Self {
        Self { arch, tensors, is_foreign: false }
    }

    fn foreign(tensors: HashMap<String, Tensor>) -> Result<Self, StyleFileError> {
        let arch = Arch::of_foreign_weights(|name| tensors.get(name).map(Tensor::dims));
        let arch = arch.ok_or(StyleFileError::UnknownWeights)?;
        Ok(Self { arch, tensors, is_foreign: true })
    }

    /// Did others train them?
    pub fn is_foreign(&self) -> bool {
        self.is_foreign
    }
}
