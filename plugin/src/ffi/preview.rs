//! The widget that shows a part of a layer, the same in both generations.

use std::ffi::{c_char, c_int, c_ulong};

use super::{Object, symbols};

/// `G_CONNECT_SWAPPED`: the callback gets the data first.
pub(crate) const SWAPPED: c_int = 2;

symbols! {
    /// The functions.
    PreviewWidget {
        gimp_preview_get_position: unsafe extern "C" fn(Object, *mut c_int, *mut c_int),
        gimp_preview_get_size: unsafe extern "C" fn(Object, *mut c_int, *mut c_int),
        gimp_preview_draw_buffer: unsafe extern "C" fn(Object, *const u8, c_int),
        gimp_preview_invalidate: unsafe extern "C" fn(Object),
        g_signal_connect_data: unsafe extern "C" fn(
            Object, *const c_char, *const (), Object, Object, c_int,
        ) -> c_ulong,
    }
}
