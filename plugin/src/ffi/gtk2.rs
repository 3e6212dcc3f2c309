//! What the dialog takes of GTK 2 and of GIMP 2.10's widgets.

use std::ffi::{c_char, c_int, c_uint};

use super::{Object, symbols};

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
        gimp_table_attach_aligned: unsafe extern "C" fn(
            Object, c_int, c_int, *const c_char, f32, f32, Object, c_int, c_int,
        ) -> Object,
        gimp_drawable_preview_new_from_drawable_id: unsafe extern "C" fn(i32) -> Object,
        gtk_dialog_get_content_area: unsafe extern "C" fn(Object) -> Object,
        gtk_table_new: unsafe extern "C" fn(c_uint, c_uint, c_int) -> Object,
        gtk_table_set_row_spacings: unsafe extern "C" fn(Object, c_uint),
        gtk_table_set_col_spacings: unsafe extern "C" fn(Object, c_uint),
        gtk_container_set_border_width: unsafe extern "C" fn(Object, c_uint),
        gtk_box_pack_start: unsafe extern "C" fn(Object, Object, c_int, c_int, c_uint),
        gimp_scale_entry_new: unsafe extern "C" fn(
            Object, c_int, c_int, *const c_char, c_int, c_int, f64, f64, f64, f64, f64, c_uint, c_int, f64, f64,
            *const c_char, *const c_char,
        ) -> Object,
        gtk_adjustment_set_value: unsafe extern "C" fn(Object, f64),
        gtk_adjustment_get_value: unsafe extern "C" fn(Object) -> f64,
        gtk_spin_button_set_value: unsafe extern "C" fn(Object, f64),
        gtk_spin_button_get_value: unsafe extern "C" fn(Object) -> f64,
        gtk_label_new: unsafe extern "C" fn(*const c_char) -> Object,
        gtk_combo_box_text_new: unsafe extern "C" fn() -> Object,
        gtk_combo_box_text_append_text: unsafe extern "C" fn(Object, *const c_char),
        gtk_combo_box_set_active: unsafe extern "C" fn(Object, c_int),
        gtk_combo_box_get_active: unsafe extern "C" fn(Object) -> c_int,
        gtk_widget_set_tooltip_text: unsafe extern "C" fn(Object, *const c_char),
        gtk_widget_show_all: unsafe extern "C" fn(Object),
        gtk_widget_destroy: unsafe extern "C" fn(Object),
    }
}
