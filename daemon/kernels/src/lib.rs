//! Convolutions for small image-to-image networks, on the CPU.
//!
//! Maps are `f32`, channels last, row by row ([`Map`]). Every operation comes as a struct that is built once
//! from weights, laid out for the CPU it finds ([`Cpu`]), and then run on maps:
//!
//! - [`Conv`]: a k x k convolution, with the pixel-unshuffle or the norm before it and the
//!   pixel-shuffle, (leaky) ReLU or addition after it fused in, by Winograd where that is faster;
//! - [`Block`]: depthwise 5x5, channel norm, 1x1, ReLU, 1x1, residual, in one pass over the map;
//! - [`Tail`]: the last layers of `brush`, at the picture's full size, in one pass;
//! - [`Depthwise`]: depthwise 3x3;
//! - [`prepare()`]: what stands between the convolutions of networks that normalise over the whole picture;
//! - [`upsample2_add`]: bilinear x2, added to another map;
//! - [`blur_add`]: the binomial filter behind a pixel-shuffle, added to another map;
//! - [`Noise`]: what a network paints strokes of, by position, along [`Directions`] or without;
//! - [`Enlarge`]: a re-drawn picture to its source's size, along the source's edges;
//! - [`backward`]: whole maps and their gradients, for training.
//!
//! Rows and columns are not alike here, because pictures arrive in bands. *Columns* are padded by replication
//! inside every operation. *Rows* are not padded: a map handed in carries the rows of context above and below
//! that the operation needs, and the result has as many fewer. Whoever holds the bands knows what lies beyond
//! them; at a picture's edge it repeats the edge row.
//!
//! The instruction set is chosen at run time through `pulp`. Where the CPU multiplies bf16, products of inputs and
//! weights are rounded to it, and everything else remains `f32`: maps, sums, norms, what a residual is added to.
//! Everything but these instructions (`cpu/bf16.rs`), and what is the process's (`process.rs`), is safe Rust.

#![allow(
    clippy::needless_range_loop,
    clippy::manual_memcpy,
    reason = "in a large kernel iterators and copies may remain calls, for which sums leave their registers"
)]

pub mod backward;
mod block;
mod blur;
mod conv;
mod cpu;
mod depthwise;
mod enlarge;
mod gemm;
mod map;
mod noise;
mod patch;
mod planar;
mod prepare;
mod process;
mod scratch;
mod tail;
mod toom;
mod upsample;
mod winograd;

pub use block::{Block, BlockWeights};
pub use blur::{REACH as BLUR_REACH, blur_add};
pub use conv::{Activation, Conv, ConvWeights, Geometry, InputNorm};
pub use cpu::Cpu;
pub use depthwise::Depthwise;
pub use enlarge::{Enlarge, LowRows};
pub use map::{Map, Shape};
pub use noise::{Directions, Noise};
pub use patch::Source;
pub use prepare::{Affine, Columns, PreparedRow, channel_sums, prepare};
pub use process::{give_memory_back, prepare_process};
pub use tail::{Tail, TailWeights};
pub use upsample::upsample2_add;

/// How many rows a thread takes at a time: few enough that every thread gets some, many enough that the rows
/// of context that neighbours share are not gathered too often.
fn strip_rows(rows: usize) -> usize {
    rows.div_ceil(2 * rayon::current_num_threads()).clamp(1, 8)
}
