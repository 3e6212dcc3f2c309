//! What pictures are compared with: a perceptual network.

use std::path::Path;
use std::sync::Arc;

use utsushi_training::networks::perceptual::{Features, Perceptual};
use utsushi_training::networks::vgg19::Vgg19;

/// The variable that names a file with VGG19's first layers, for whoever has them and likes them better.
const VGG19_VARIABLE: &str = "UTSUSHI_VGG19";
/// The deepest of them that is looked at.
const DEEPEST: &str = "relu3_1";

/// Ours, or VGG19.
pub(crate) fn features() -> Result<Arc<dyn Features + Send + Sync>, String> {
    let Some(file) = std::env::var_os(VGG19_VARIABLE).filter(|file| !file.is_empty()) else {
        return Ok(Arc::new(Perceptual::embedded()));
    };
    match Vgg19::read(Path::new(&file), DEEPEST) {
        Ok(network) => Ok(Arc::new(network)),
        Err(error) => Err(format!("{VGG19_VARIABLE}: {error}")),
    }
}
