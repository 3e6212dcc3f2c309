//! Utsushi's engine: generators, the style files that hold them, and the stylizer that runs them over pictures
//! of any size in bands.
//!
//! ```text
//! style_file   bytes -> arch, weights, styles      untrusted input, checked here
//! weights      bytes -> arch, weights              those of others, PyTorch's files too
//! arch/        weights + mix -> Generator          a network a file
//! bands        rows in, rows with context out      why bands equal the whole picture bit for bit
//! rows         a map, in one tensor or in several  what lets bands be read without copying them together
//! ops          tensors <-> utsushi-kernels         what networks are made of
//! prune        a style file with fewer channels
//! onnx         networks as files that other programs run
//! differentiable                                   the same for whole maps, with gradients: for training
//! colour_space ICC profiles -> sRGB and back
//! stylizer     pixels in, pixels out               alpha > scale > generator > scale > colour
//! enlargement  pixels in, more pixels out          alpha > generator > colour
//! ```
//!
//! Beside training, the only crate that names candle. It knows no IPC and no files but style files.

mod alpha;
pub mod arch;
mod bands;
mod bicubic;
mod buffers;
pub mod checksum;
mod colour;
mod colour_space;
mod device;
pub mod differentiable;
mod enlargement;
mod error;
mod front;
mod in_order;
mod onnx;
mod ops;
mod pixels;
pub mod prune;
mod pth;
mod rows;
mod scale;
mod source;
pub mod style_file;
mod stylizer;
mod threads;
pub mod weights;
mod whole;
mod window;

pub use arch::{Generator, Grain, Region, RowStream};
pub use buffers::let_go;
pub use colour_space::{ColourSpace, ProfileError};
pub use device::{Device, DeviceChoice, NoDevice};
pub use enlargement::{EnlargeSettings, Enlargement};
pub use error::EngineError;
pub use pixels::{Depth, Layout};
pub use stylizer::{BrushScale, Mixture, Place, Settings, Stylizer};
pub use threads::start_threads;
pub use utsushi_kernels::prepare_process;
pub use whole::{
    leftovers_in, remove_leftover, remove_leftovers, remove_leftovers_in, unfinished, write_new, write_whole,
};
