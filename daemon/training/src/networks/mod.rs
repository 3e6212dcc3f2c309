//! The networks that a generator is trained against, one a file.

pub mod feature_discriminator;
pub mod layer;
pub mod perceptual;
pub mod vgg19;
