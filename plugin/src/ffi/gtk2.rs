//! What the dialog takes of GTK 2 and of GIMP 2.10's widgets that the later ones don't have so.

use std::ffi::{c_char, c_int, c_uint};

use super::{Object, symbols};

/// `GdkColor`: its number for the screen, which isn't needed, then red, green and blue.
#[repr(C)]
pub(super) struct Colour {
    pixel: u32,
    rgb: [u16; 3],
}
const _: () = assert!(size_of::<Colour>() == 12);

/// `GTK_STATE_SELECTED`.
pub(super) const SELECTED: c_int = 3;
/// A line that is chosen, and its words. The dark theme of 2.10 has them white on white in a plug-in's list.
pub(super) const CHOSEN: Colour = Colour { pixel: 0, rgb: [0x3400, 0x6500, 0xa400] };
pub(super) const CHOSEN_WORDS: Colour = Colour { pixel: 0, rgb: [0xffff; 3] };

/// Opened only for a dialog: they take longer to load than all the rest.
pub(crate) const LIBRARIES: [&str; 5] = [
    "libgimpui-2.0.so.0",
    "libgimpwidgets-2.0.so.0",
    "libgtk-x11-2.0.so.0",
    "libgobject-2.0.so.0",
    "libglib-2.0.so.0",
];

symbols! {
    /// The functions.
    Gtk2 {
        gimp_ui_init: unsafe extern "C" fn(*const c_char, c_int),
        gimp_dialog_new: unsafe extern "C" fn(
            *const c_char, *const c_char, Object, c_int, Object, *const c_char, ...
        ) -> Object,
        gimp_dialog_run: unsafe extern "C" fn(Object) -> c_int,
        gimp_window_set_transient: unsafe extern "C" fn(Object),
        gimp_scale_entry_new: unsafe extern "C" fn(
            Object, c_int, c_int, *const c_char, c_int, c_int, f64, f64, f64, f64, f64, c_uint, c_int, f64, f64,
            *const c_char, *const c_char,
        ) -> Object,
        gtk_widget_modify_base: unsafe extern "C" fn(Object, c_int, *const Colour),
        gtk_widget_modify_text: unsafe extern "C" fn(Object, c_int, *const Colour),
        gdk_cairo_create: unsafe extern "C" fn(Object) -> Object,
        cairo_destroy: unsafe extern "C" fn(Object),
    }
}
