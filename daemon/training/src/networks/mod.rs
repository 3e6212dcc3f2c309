//! The networks that a generator is trained against, one a file.

pub mod perceptual;
pub mod vgg19;
