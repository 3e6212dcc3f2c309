//! How weights follow their gradients.
//!
//! ```text
//! Parameters   a network's weights: variables by name, from a seed or from tensors
//! Gradients    what a loss's gradient is for each of them; clipped together
//! Adam         the step that they take, and the moments it remembers
//! Average      the weights' moving average, which is what draws in the end
//! Schedule     how fast: warm-up, then a cosine
//! ```
//!
//! All sums run in the order of the names, so that the same steps give the same bits.

mod adam;
mod average;
mod gradients;
mod initialise;
mod parameters;
mod schedule;

pub use adam::Adam;
pub use average::Average;
pub use gradients::Gradients;
pub use initialise::{Initialise, brush_weights, usual_weights};
pub use parameters::{Parameters, Tensors};
pub use schedule::Schedule;
