//! What a generator and a discriminator are to make small, a formula each.
//!
//! ```text
//! adversarial   hinge: what both sides of the game pay
//! content       what a perceptual network sees, its contrast taken out
//! gram          textures: how features go together
//! colour        colours against those of a target, and what is left of a picture without them
//! palette       how colours become the art's
//! smoothness    differences at a pixel and between neighbours
//! ```
//!
//! Pictures and maps are `[pictures, height, width, channels]`; a loss is a scalar. Those of pictures and features are
//! computed [where these are](utsushi_engine::differentiable::Maps).

mod adversarial;
mod colour;
mod content;
mod gram;
mod palette;
mod smoothness;

pub use adversarial::{THRESHOLD, generator, hinge};
pub use colour::{
    chroma, colour, colour_distances, grey, luminance, luminance_and_chroma, with_local_colour,
};
pub use content::content;
pub(crate) use content::contrast_floor;
pub use gram::style;
pub use palette::{Colours, Palette, usual_share};
pub use smoothness::{gradient_l1, l1};
