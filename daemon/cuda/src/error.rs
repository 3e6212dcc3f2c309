//! Why a GPU doesn't draw.

use cudarc::driver::DriverError;
use cudarc::driver::sys::CUresult;

/// Why a GPU can't be used, or can't go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The program has no kernels.
    #[error("this program was built without kernels for CUDA")]
    NoKernels,
    /// `libcuda` isn't there.
    #[error("there is no driver for CUDA (libcuda.so.1)")]
    NoDriver,
    /// The driver finds no such GPU.
    #[error("there is no GPU with the number {0}; the driver finds {1}, counted from 0")]
    NoDevice(usize, i32),
    /// The GPU is from before Turing.
    #[error("{name} is too old: its compute capability is {major}.{minor}, and 7.5 is needed")]
    TooOld {
        /// The GPU's.
        name: String,
        /// Of the compute capability.
        major: i32,
        /// Of the compute capability.
        minor: i32,
    },
    /// The GPU is from before Ampere.
    #[error("{name} is too old to train: its compute capability is {major}.{minor}, and 8.0 is needed")]
    TooOldToTrain {
        /// The GPU's.
        name: String,
        /// Of the compute capability.
        major: i32,
        /// Of the compute capability.
        minor: i32,
    },
    /// The network has more channels than there are kernels for.
    #[error("the network is too wide for the GPU's kernels: {0} channels")]
    TooWide(usize),
    /// Its memory is full.
    #[error("the GPU's memory is full")]
    OutOfMemory,
    /// Anything else, in the driver's words.
    #[error("the GPU failed: {0}")]
    Failed(String),
}

impl From<DriverError> for Error {
    fn from(error: DriverError) -> Self {
        match error.0 {
            CUresult::CUDA_ERROR_OUT_OF_MEMORY => Self::OutOfMemory,
            _ => {
                let words = error.error_string().map(|words| words.to_string_lossy().into_owned());
                Self::Failed(words.unwrap_or_else(|_| format!("{:?}", error.0)))
            }
        }
    }
}
