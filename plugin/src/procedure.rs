//! How the procedures introduce themselves, the same to both generations of GIMP.

use std::ffi::{CStr, c_int};

use crate::words::{self, Word};

/// What GIMP can call.
pub(crate) struct Procedure {
    pub(crate) name: &'static CStr,
    pub(crate) blurb: Word,
    pub(crate) help: Word,
    pub(crate) menu_label: Word,
}

pub(crate) const STYLIZE: Procedure = Procedure {
    name: c"plug-in-utsushi-stylize",
    blurb: words::STYLIZE_BLURB,
    help: words::STYLIZE_HELP,
    menu_label: words::STYLIZE,
};
/// All of them: what can't be done with an indexed image is said by the dialog, rather than by an entry that is grey.
pub(crate) const IMAGE_TYPES: &CStr = c"RGB*, GRAY*, INDEXED*";

pub(crate) const STATUS: Procedure = Procedure {
    name: c"plug-in-utsushi-status",
    blurb: words::STATUS_BLURB,
    help: words::STATUS_HELP,
    menu_label: words::STATUS,
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
