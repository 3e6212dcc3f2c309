//! The generator `brush` on NVIDIA's GPUs, by kernels of our own.
//!
//! The driver's library is looked for when a device is opened, so that a program with this crate starts on a machine
//! without any. A picture is drawn in few, large bands, each with all that the network looks at around it, since there is
//! more memory than on a processor's chip and starting work costs more. What is drawn doesn't depend on the cuts: no value
//! is computed differently for where it lies in a band.
//!
//! Maps, weights and pictures on the GPU are f16, sums f32. What crosses from it is what the network adds to the picture, so
//! that a picture has f32 where little is changed.

mod brush;
mod error;
mod gpu;
mod launch;
mod packing;
mod strokes;
pub mod training;
mod transfer;
mod workspace;

pub use brush::{Block, Brush, Conv, Part, Weights};
pub use error::Error;
pub use gpu::{Gpu, check};
pub use launch::Noise;
