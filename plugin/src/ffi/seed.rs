//! A number with a button beside it, the same in both generations. GTK 3 has `gtk_hbox_new` for those who knew GTK 2.

use std::ffi::{c_char, c_int, c_uint, c_ulong};

use super::{Object, symbols};

symbols! {
    /// The functions.
    SeedWidget {
        gtk_hbox_new: unsafe extern "C" fn(c_int, c_int) -> Object,
        gtk_box_pack_start: unsafe extern "C" fn(Object, Object, c_int, c_int, c_uint),
        gtk_spin_button_new_with_range: unsafe extern "C" fn(f64, f64, f64) -> Object,
        gtk_spin_button_set_value: unsafe extern "C" fn(Object, f64),
        gtk_button_new_with_mnemonic: unsafe extern "C" fn(*const c_char) -> Object,
        gtk_widget_set_tooltip_text: unsafe extern "C" fn(Object, *const c_char),
        g_signal_connect_data: unsafe extern "C" fn(
            Object, *const c_char, *const (), Object, unsafe extern "C" fn(Object, Object), c_int,
        ) -> c_ulong,
    }
}
