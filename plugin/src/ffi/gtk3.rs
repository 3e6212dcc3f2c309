//! What the dialog takes of GTK 3 and of GIMP 3's widgets that the earlier ones don't have so.

use std::ffi::{c_char, c_int};

use super::{Object, symbols};

/// Opened only for a dialog: they take longer to load than all the rest.
pub(crate) const LIBRARIES: [&str; 5] = [
    "libgimpui-3.0.so.0",
    "libgimpwidgets-3.0.so.0",
    "libgtk-3.so.0",
    "libgobject-2.0.so.0",
    "libglib-2.0.so.0",
];

symbols! {
    /// The functions.
    Gtk3 {
        gimp_ui_init: unsafe extern "C" fn(*const c_char),
        gimp_procedure_dialog_new: unsafe extern "C" fn(Object, Object, *const c_char) -> Object,
        gimp_procedure_dialog_run: unsafe extern "C" fn(Object) -> c_int,
        gtk_adjustment_new: unsafe extern "C" fn(f64, f64, f64, f64, f64, f64) -> Object,
        gimp_spin_scale_new: unsafe extern "C" fn(Object, *const c_char, c_int) -> Object,
        gimp_spin_scale_set_scale_limits: unsafe extern "C" fn(Object, f64, f64),
    }
}
