//! The widget that shows a part of a layer, and what stands below it, the same in both generations.

use std::ffi::{c_char, c_int, c_uint};

use super::{Object, symbols};

/// `G_IO_IN`: there is something to read.
pub(crate) const READABLE: c_int = 1;

/// `GUnixFDSourceFunc`: descriptor, condition, data; 0 ends it.
pub(crate) type DescriptorFunc = unsafe extern "C" fn(c_int, c_int, Object) -> c_int;

symbols! {
    /// The functions.
    PreviewWidget {
        gimp_preview_get_position: unsafe extern "C" fn(Object, *mut c_int, *mut c_int),
        gimp_preview_get_size: unsafe extern "C" fn(Object, *mut c_int, *mut c_int),
        gimp_preview_get_update: unsafe extern "C" fn(Object) -> c_int,
        gimp_preview_get_area: unsafe extern "C" fn(Object) -> Object,
        gimp_preview_draw: unsafe extern "C" fn(Object),
        gimp_preview_draw_buffer: unsafe extern "C" fn(Object, *const u8, c_int),
        gtk_label_set_text: unsafe extern "C" fn(Object, *const c_char),
        gtk_label_get_text: unsafe extern "C" fn(Object) -> *const c_char,
        gtk_label_set_line_wrap: unsafe extern "C" fn(Object, c_int),
        gtk_widget_set_no_show_all: unsafe extern "C" fn(Object, c_int),
        gtk_widget_set_visible: unsafe extern "C" fn(Object, c_int),
        gtk_widget_set_size_request: unsafe extern "C" fn(Object, c_int, c_int),
        g_unix_fd_add: unsafe extern "C" fn(c_int, c_int, DescriptorFunc, Object) -> c_uint,
        g_source_remove: unsafe extern "C" fn(c_uint) -> c_int,
    }
}
