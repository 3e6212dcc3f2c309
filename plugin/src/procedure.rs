//! How the procedure introduces itself, the same to both generations of GIMP.

use std::ffi::{CStr, c_int};

pub(crate) const NAME: &CStr = c"plug-in-utsushi-stylize";
pub(crate) const BLURB: &CStr = c"Re-draw the layer in a style that a neural network has learned";
pub(crate) const HELP: &CStr =
    c"The layer is drawn by Utsushi's daemon, which is started if it isn't running. \
    Everything happens on this machine. The selection is respected, transparency stays as it is.";
pub(crate) const AUTHORS: &CStr = c"The Utsushi authors";
pub(crate) const YEAR: &CStr = c"2026";
pub(crate) const MENU_LABEL: &CStr = c"_Stylize…";
pub(crate) const MENU_PATH: &CStr = c"<Image>/Filters/Utsushi";
/// Indexed images have no colours to spare.
pub(crate) const IMAGE_TYPES: &CStr = c"RGB*, GRAY*";

/// `GimpRunMode`: called from a menu.
pub(crate) const INTERACTIVE: c_int = 0;
/// `GimpRunMode`: called by a script, with values.
pub(crate) const NON_INTERACTIVE: c_int = 1;
