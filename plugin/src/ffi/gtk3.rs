//! What the dialog takes of GTK 3 and of GIMP 3's widgets.

use std::ffi::{c_char, c_int, c_uint};

use super::{Object, symbols};

/// Opened only for a dialog: they take longer to load than all the rest.
pub(crate) const LIBRARIES: [&str; 5] = [
    "libgimpui-3.0.so.0",
    "libgimpwidgets-3.0.so.0",
    "libgtk-3.so.0",
    "libgobject-2.0.so.0",
    "libglib-2.0.so.0",
];

/// `G_BINDING_BIDIRECTIONAL | G_BINDING_SYNC_CREATE`.
pub(crate) const BOTH_WAYS: c_int = 3;

symbols! {
    /// The functions.
    Gtk3 {
        gimp_ui_init: unsafe extern "C" fn(*const c_char),
        gimp_procedure_dialog_new: unsafe extern "C" fn(Object, Object, *const c_char) -> Object,
        gimp_procedure_dialog_get_spin_scale: unsafe extern "C" fn(Object, *const c_char, f64) -> Object,
        gimp_spin_scale_set_scale_limits: unsafe extern "C" fn(Object, f64, f64),
        gimp_procedure_dialog_get_drawable_preview:
            unsafe extern "C" fn(Object, *const c_char, Object) -> Object,
        gimp_procedure_dialog_fill: unsafe extern "C" fn(Object, *const c_char, ...),
        gimp_procedure_dialog_run: unsafe extern "C" fn(Object) -> c_int,
        gtk_dialog_get_content_area: unsafe extern "C" fn(Object) -> Object,
        gtk_spin_button_set_increments: unsafe extern "C" fn(Object, f64, f64),
        gtk_box_new: unsafe extern "C" fn(c_int, c_int) -> Object,
        gtk_box_pack_start: unsafe extern "C" fn(Object, Object, c_int, c_int, c_uint),
        gtk_label_new: unsafe extern "C" fn(*const c_char) -> Object,
        gtk_label_new_with_mnemonic: unsafe extern "C" fn(*const c_char) -> Object,
        gtk_label_set_mnemonic_widget: unsafe extern "C" fn(Object, Object),
        gtk_combo_box_text_new: unsafe extern "C" fn() -> Object,
        gtk_combo_box_text_append: unsafe extern "C" fn(Object, *const c_char, *const c_char),
        gtk_widget_show_all: unsafe extern "C" fn(Object),
        gtk_widget_destroy: unsafe extern "C" fn(Object),
        g_object_get: unsafe extern "C" fn(Object, *const c_char, ...),
        g_object_set: unsafe extern "C" fn(Object, *const c_char, ...),
        g_object_bind_property:
            unsafe extern "C" fn(Object, *const c_char, Object, *const c_char, c_int) -> Object,
    }
}
