//! Lists of lines to choose from, the same in both generations.

use std::ffi::{c_char, c_int, c_ulong};

use super::{Object, symbols};

symbols! {
    /// The functions.
    ListWidget {
        gtk_combo_box_get_active: unsafe extern "C" fn(Object) -> c_int,
        gtk_widget_set_tooltip_text: unsafe extern "C" fn(Object, *const c_char),
        g_signal_connect_data: unsafe extern "C" fn(
            Object, *const c_char, *const (), Object, unsafe extern "C" fn(Object, Object), c_int,
        ) -> c_ulong,
    }
}
