//! What pictures are compared with: the perceptual network.

use std::path::Path;
use std::sync::Arc;

use utsushi_training::networks::perceptual::Features;
use utsushi_training::networks::vgg19::Vgg19;

/// The variable that names a file with VGG19's first layers, to train with these.
const VGG19_VARIABLE: &str = "UTSUSHI_VGG19";
/// The deepest of them that is looked at.
const DEEPEST: &str = "relu3_1";

/// VGG19, where the user has it.
pub(super) fn features() -> Result<Option<Arc<dyn Features + Send + Sync>>, String> {
    let Some(file) = std::env::var_os(VGG19_VARIABLE).filter(|file| !file.is_empty()) else {
        return Ok(None);
    };
    match Vgg19::read(Path::new(&file), DEEPEST) {
        Ok(network) => Ok(Some(Arc::new(network))),
        Err(error) => Err(format!("{VGG19_VARIABLE}: {error}")),
    }
}
