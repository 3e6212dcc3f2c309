//! What training does on a GPU: single operations over whole maps, each with its gradient.
//!
//! Maps are `f32`, `[maps, rows, cols, channels]`, as on the processor, whose operations (`utsushi_kernels::backward`) these
//! are held to. Products are computed in TF32, which rounds what is multiplied to 11 bits, with sums in `f32`. A sum over
//! pixels is made of parts that depend on sizes alone, in order: the same on every GPU.

mod bench;
mod blur;
mod change;
mod conv;
mod depthwise;
mod elementwise;
mod gram;
mod noise;
mod norms;
mod pixels;
mod rearrange;

pub use bench::{Batch, Values, Workbench};
pub use blur::{blur, blur_gradient};
pub use change::{Change, change, change_gradient};
pub use conv::{Conv, WeightGradients};
pub use depthwise::{depthwise_forward, depthwise_input_gradient, depthwise_weight_gradients};
pub use elementwise::{add, before_activation, distance, distance_gradient, mean_abs};
pub use gram::{gram, gram_gradient};
pub use noise::{add_noise, noise, noise_gradient};
pub use norms::{
    NormGradients, instance_norm, instance_norm_gradient, norm_forward, norm_gradients, pixel_norm,
    pixel_norm_gradient,
};
pub use pixels::{deviation, reduce, reduction_gradient, subtract, variation, variation_gradient};
pub use rearrange::{
    join, max_pool2, max_pool2_gradient, part, pixel_shuffle, pixel_unshuffle, upsample2_add,
    upsample2_gradient,
};
