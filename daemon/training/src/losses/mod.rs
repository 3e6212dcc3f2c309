//! What a generator and a discriminator are to make small, a formula each.
//!
//! ```text
//! adversarial   hinge: what both sides of the game pay
//! content       what a perceptual network sees, its contrast taken out
//! gram          textures: how features go together
//! colour        a palette, and what is left of a picture without it
//! smoothness    differences at a pixel and between neighbours
//! ```
//!
//! Pictures and maps are `[pictures, height, width, channels]`; a loss is a scalar. Those of pictures and features are
//! computed [where these are](utsushi_engine::differentiable::Maps).

mod adversarial;
mod colour;
mod content;
mod gram;
mod smoothness;

pub use adversarial::{THRESHOLD, generator, hinge};
pub use colour::{Colours, Palette, chroma, colour, colour_distances, grey, luminance};
pub use content::content;
pub(crate) use content::contrast_floor;
pub use gram::style;
pub use smoothness::{gradient_l1, l1};
