//! How the procedures introduce themselves, the same to both generations of GIMP.

use std::ffi::{CStr, c_int};

/// What GIMP can call.
pub(crate) struct Procedure {
    pub(crate) name: &'static CStr,
    pub(crate) blurb: &'static CStr,
    pub(crate) help: &'static CStr,
    pub(crate) menu_label: &'static CStr,
}

pub(crate) const STYLIZE: Procedure = Procedure {
    name: c"plug-in-utsushi-stylize",
    blurb: c"Re-draw the layer in a style that a neural network has learned",
    help: c"The layer is drawn by Utsushi's daemon, which is started if it isn't running. \
        Everything happens on this machine. The selection is respected, transparency stays as it is.",
    menu_label: c"_Stylize…",
};
/// Indexed images have no colours to spare.
pub(crate) const IMAGE_TYPES: &CStr = c"RGB*, GRAY*";

pub(crate) const STATUS: Procedure = Procedure {
    name: c"plug-in-utsushi-status",
    blurb: c"Tell how Utsushi's daemon is: version, styles in memory, device, memory, queue",
    help: c"Called from the menu, it shows what `utsushi status` shows; a script gets it as a text. \
        A daemon that isn't running isn't started.",
    menu_label: c"_Daemon status",
};
/// What a script gets of it: name, label, description.
pub(crate) const STATUS_VALUE: [&CStr; 3] = [c"status", c"Status", c"How the daemon is, in words"];

/// The argument that both have: name, label, description.
pub(crate) const RUN_MODE: [&CStr; 3] = [
    c"run-mode",
    c"Run mode",
    c"The run mode { RUN-INTERACTIVE (0), RUN-NONINTERACTIVE (1), RUN-WITH-LAST-VALS (2) }",
];

pub(crate) const AUTHORS: &CStr = c"The Utsushi authors";
pub(crate) const YEAR: &CStr = c"2026";
pub(crate) const MENU_PATH: &CStr = c"<Image>/Filters/Utsushi";

/// `GimpRunMode`: called from a menu.
pub(crate) const INTERACTIVE: c_int = 0;
/// `GimpRunMode`: called by a script, with values.
pub(crate) const NON_INTERACTIVE: c_int = 1;
