//! What GTK 2 and GTK 3 have in common, and what the libraries below them have: all that the dialog needs. What the two have
//! otherwise is in `gtk2` and `gtk3`. GTK 3 still has, for those who knew GTK 2, what is deprecated of it.

use std::ffi::{c_char, c_int, c_uint, c_ulong};

use super::{Object, symbols};
use crate::region::Rect;

/// `GUnixFDSourceFunc`: descriptor, condition, data; 0 ends it.
pub(super) type DescriptorFunc = unsafe extern "C" fn(c_int, c_int, Object) -> c_int;
/// `GClosureNotify`: data, closure.
pub(super) type ClosureNotify = unsafe extern "C" fn(Object, Object);

/// `GtkTreeIter`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct TreeIter {
    stamp: c_int,
    data: [usize; 3],
}
const _: () = assert!(size_of::<TreeIter>() == 32);

impl TreeIter {
    /// For a function to fill in.
    pub(super) const EMPTY: Self = Self { stamp: 0, data: [0; 3] };
}

/// What `GdkEventButton`, `GdkEventMotion` and `GdkEventScroll` begin with.
#[repr(C)]
pub(super) struct PointerEvent {
    kind: c_int,
    window: Object,
    send_event: i8,
    time: u32,
    pub(super) x: f64,
    pub(super) y: f64,
}

/// `GdkEventButton`, up to the button.
#[repr(C)]
pub(super) struct ButtonEvent {
    pub(super) pointer: PointerEvent,
    axes: Object,
    state: c_uint,
    pub(super) button: c_uint,
}

/// `GdkEventScroll`, up to the direction.
#[repr(C)]
pub(super) struct ScrollEvent {
    pub(super) pointer: PointerEvent,
    state: c_uint,
    pub(super) direction: c_int,
}

/// `GdkEventKey`, up to the key.
#[repr(C)]
pub(super) struct KeyEvent {
    kind: c_int,
    window: Object,
    send_event: i8,
    time: u32,
    pub(super) state: c_uint,
    pub(super) key: c_uint,
}
const _: () = assert!(std::mem::offset_of!(PointerEvent, x) == 24);
const _: () = assert!(std::mem::offset_of!(ButtonEvent, button) == 52);
const _: () = assert!(std::mem::offset_of!(ScrollEvent, direction) == 44);
const _: () = assert!(std::mem::offset_of!(KeyEvent, key) == 28);

symbols! {
    /// The functions.
    Gtk {
        g_object_ref: unsafe extern "C" fn(Object) -> Object,
        g_object_ref_sink: unsafe extern "C" fn(Object) -> Object,
        g_object_unref: unsafe extern "C" fn(Object),
        g_object_get_data: unsafe extern "C" fn(Object, *const c_char) -> Object,
        g_object_set: unsafe extern "C" fn(Object, *const c_char, ...),
        g_signal_connect_data: unsafe extern "C" fn(
            Object, *const c_char, *const (), Object, ClosureNotify, c_int,
        ) -> c_ulong,
        g_signal_handler_disconnect: unsafe extern "C" fn(Object, c_ulong),
        g_unix_fd_add: unsafe extern "C" fn(c_int, c_int, DescriptorFunc, Object) -> c_uint,
        g_source_remove: unsafe extern "C" fn(c_uint) -> c_int,

        gtk_widget_show_all: unsafe extern "C" fn(Object),
        gtk_widget_destroy: unsafe extern "C" fn(Object),
        gtk_widget_set_sensitive: unsafe extern "C" fn(Object, c_int),
        gtk_widget_set_visible: unsafe extern "C" fn(Object, c_int),
        gtk_widget_set_no_show_all: unsafe extern "C" fn(Object, c_int),
        gtk_widget_set_can_focus: unsafe extern "C" fn(Object, c_int),
        gtk_widget_grab_focus: unsafe extern "C" fn(Object),
        gtk_widget_has_focus: unsafe extern "C" fn(Object) -> c_int,
        gtk_widget_set_tooltip_text: unsafe extern "C" fn(Object, *const c_char),
        gtk_widget_set_size_request: unsafe extern "C" fn(Object, c_int, c_int),
        gtk_widget_queue_draw: unsafe extern "C" fn(Object),
        gtk_widget_get_allocation: unsafe extern "C" fn(Object, *mut Rect),
        gtk_widget_add_events: unsafe extern "C" fn(Object, c_int),
        gtk_widget_get_window: unsafe extern "C" fn(Object) -> Object,
        gtk_widget_create_pango_layout: unsafe extern "C" fn(Object, *const c_char) -> Object,
        gtk_widget_get_accessible: unsafe extern "C" fn(Object) -> Object,
        atk_object_set_name: unsafe extern "C" fn(Object, *const c_char),
        gtk_window_set_default_size: unsafe extern "C" fn(Object, c_int, c_int),
        gtk_dialog_get_content_area: unsafe extern "C" fn(Object) -> Object,
        gtk_dialog_set_response_sensitive: unsafe extern "C" fn(Object, c_int, c_int),
        gtk_container_add: unsafe extern "C" fn(Object, Object),
        gtk_container_set_border_width: unsafe extern "C" fn(Object, c_uint),
        gtk_hbox_new: unsafe extern "C" fn(c_int, c_int) -> Object,
        gtk_vbox_new: unsafe extern "C" fn(c_int, c_int) -> Object,
        gtk_box_pack_start: unsafe extern "C" fn(Object, Object, c_int, c_int, c_uint),
        gtk_hpaned_new: unsafe extern "C" fn() -> Object,
        gtk_paned_pack1: unsafe extern "C" fn(Object, Object, c_int, c_int),
        gtk_paned_pack2: unsafe extern "C" fn(Object, Object, c_int, c_int),
        gtk_table_new: unsafe extern "C" fn(c_uint, c_uint, c_int) -> Object,
        gtk_table_set_row_spacings: unsafe extern "C" fn(Object, c_uint),
        gtk_table_set_col_spacings: unsafe extern "C" fn(Object, c_uint),
        gtk_table_attach: unsafe extern "C" fn(
            Object, Object, c_uint, c_uint, c_uint, c_uint, c_int, c_int, c_uint, c_uint,
        ),
        gtk_notebook_new: unsafe extern "C" fn() -> Object,
        gtk_notebook_append_page: unsafe extern "C" fn(Object, Object, Object) -> c_int,
        gtk_notebook_set_show_tabs: unsafe extern "C" fn(Object, c_int),
        gtk_notebook_set_show_border: unsafe extern "C" fn(Object, c_int),
        gtk_notebook_set_current_page: unsafe extern "C" fn(Object, c_int),
        gtk_frame_new: unsafe extern "C" fn(*const c_char) -> Object,
        gtk_frame_set_shadow_type: unsafe extern "C" fn(Object, c_int),
        gtk_label_new: unsafe extern "C" fn(*const c_char) -> Object,
        gtk_label_new_with_mnemonic: unsafe extern "C" fn(*const c_char) -> Object,
        gtk_label_set_mnemonic_widget: unsafe extern "C" fn(Object, Object),
        gtk_label_set_text: unsafe extern "C" fn(Object, *const c_char),
        gtk_label_set_markup: unsafe extern "C" fn(Object, *const c_char),
        gtk_label_set_max_width_chars: unsafe extern "C" fn(Object, c_int),
        gtk_label_set_line_wrap: unsafe extern "C" fn(Object, c_int),
        gtk_label_set_selectable: unsafe extern "C" fn(Object, c_int),
        gtk_label_set_ellipsize: unsafe extern "C" fn(Object, c_int),
        gtk_misc_set_alignment: unsafe extern "C" fn(Object, f32, f32),
        gtk_button_new_with_mnemonic: unsafe extern "C" fn(*const c_char) -> Object,
        gtk_check_button_new_with_mnemonic: unsafe extern "C" fn(*const c_char) -> Object,
        gtk_toggle_button_set_active: unsafe extern "C" fn(Object, c_int),
        gtk_toggle_button_get_active: unsafe extern "C" fn(Object) -> c_int,
        gtk_entry_new: unsafe extern "C" fn() -> Object,
        gtk_entry_get_text: unsafe extern "C" fn(Object) -> *const c_char,
        gtk_entry_set_text: unsafe extern "C" fn(Object, *const c_char),
        gtk_bin_get_child: unsafe extern "C" fn(Object) -> Object,
        gtk_spin_button_new_with_range: unsafe extern "C" fn(f64, f64, f64) -> Object,
        gtk_spin_button_set_value: unsafe extern "C" fn(Object, f64),
        gtk_spin_button_get_value: unsafe extern "C" fn(Object) -> f64,
        gtk_adjustment_set_value: unsafe extern "C" fn(Object, f64),
        gtk_adjustment_get_value: unsafe extern "C" fn(Object) -> f64,
        gtk_combo_box_text_new: unsafe extern "C" fn() -> Object,
        gtk_combo_box_text_new_with_entry: unsafe extern "C" fn() -> Object,
        gtk_combo_box_text_append_text: unsafe extern "C" fn(Object, *const c_char),
        gtk_combo_box_text_remove: unsafe extern "C" fn(Object, c_int),
        gtk_combo_box_set_active: unsafe extern "C" fn(Object, c_int),
        gtk_combo_box_get_active: unsafe extern "C" fn(Object) -> c_int,

        gtk_scrolled_window_new: unsafe extern "C" fn(Object, Object) -> Object,
        gtk_scrolled_window_set_policy: unsafe extern "C" fn(Object, c_int, c_int),
        gtk_scrolled_window_set_shadow_type: unsafe extern "C" fn(Object, c_int),
        gtk_list_store_newv: unsafe extern "C" fn(c_int, *const usize) -> Object,
        gtk_list_store_append: unsafe extern "C" fn(Object, *mut TreeIter),
        gtk_list_store_set: unsafe extern "C" fn(Object, *mut TreeIter, ...),
        gtk_list_store_clear: unsafe extern "C" fn(Object),
        gtk_tree_model_iter_nth_child: unsafe extern "C" fn(Object, *mut TreeIter, *mut TreeIter, c_int) -> c_int,
        gtk_tree_model_get_path: unsafe extern "C" fn(Object, *mut TreeIter) -> Object,
        gtk_tree_path_get_indices: unsafe extern "C" fn(Object) -> *const c_int,
        gtk_tree_path_free: unsafe extern "C" fn(Object),
        gtk_tree_path_new_from_indices: unsafe extern "C" fn(c_int, ...) -> Object,
        gtk_tree_view_new_with_model: unsafe extern "C" fn(Object) -> Object,
        gtk_tree_view_append_column: unsafe extern "C" fn(Object, Object) -> c_int,
        gtk_tree_view_set_headers_visible: unsafe extern "C" fn(Object, c_int),
        gtk_tree_view_set_enable_search: unsafe extern "C" fn(Object, c_int),
        gtk_tree_view_set_tooltip_column: unsafe extern "C" fn(Object, c_int),
        gtk_tree_view_get_selection: unsafe extern "C" fn(Object) -> Object,
        gtk_tree_view_get_path_at_pos: unsafe extern "C" fn(
            Object, c_int, c_int, *mut Object, *mut Object, *mut c_int, *mut c_int,
        ) -> c_int,
        gtk_tree_view_set_cursor: unsafe extern "C" fn(Object, Object, Object, c_int),
        gtk_tree_view_scroll_to_cell: unsafe extern "C" fn(Object, Object, Object, c_int, f32, f32),
        gtk_tree_selection_get_selected: unsafe extern "C" fn(Object, *mut Object, *mut TreeIter) -> c_int,
        gtk_tree_view_column_new: unsafe extern "C" fn() -> Object,
        gtk_tree_view_column_pack_start: unsafe extern "C" fn(Object, Object, c_int),
        gtk_tree_view_column_add_attribute: unsafe extern "C" fn(Object, Object, *const c_char, c_int),
        gtk_tree_view_column_set_expand: unsafe extern "C" fn(Object, c_int),
        gtk_cell_renderer_pixbuf_new: unsafe extern "C" fn() -> Object,
        gtk_cell_renderer_text_new: unsafe extern "C" fn() -> Object,
        gdk_pixbuf_get_type: unsafe extern "C" fn() -> usize,
        gdk_pixbuf_new: unsafe extern "C" fn(c_int, c_int, c_int, c_int, c_int) -> Object,
        gdk_pixbuf_get_pixels: unsafe extern "C" fn(Object) -> *mut u8,
        gdk_pixbuf_get_rowstride: unsafe extern "C" fn(Object) -> c_int,

        gtk_drawing_area_new: unsafe extern "C" fn() -> Object,
        cairo_save: unsafe extern "C" fn(Object),
        cairo_restore: unsafe extern "C" fn(Object),
        cairo_rectangle: unsafe extern "C" fn(Object, f64, f64, f64, f64),
        cairo_clip: unsafe extern "C" fn(Object),
        cairo_fill: unsafe extern "C" fn(Object),
        cairo_paint: unsafe extern "C" fn(Object),
        cairo_translate: unsafe extern "C" fn(Object, f64, f64),
        cairo_scale: unsafe extern "C" fn(Object, f64, f64),
        cairo_move_to: unsafe extern "C" fn(Object, f64, f64),
        cairo_set_source_rgba: unsafe extern "C" fn(Object, f64, f64, f64, f64),
        cairo_set_source_surface: unsafe extern "C" fn(Object, Object, f64, f64),
        cairo_get_source: unsafe extern "C" fn(Object) -> Object,
        cairo_pattern_set_filter: unsafe extern "C" fn(Object, c_int),
        cairo_image_surface_create_for_data: unsafe extern "C" fn(*const u8, c_int, c_int, c_int, c_int) -> Object,
        cairo_surface_finish: unsafe extern "C" fn(Object),
        cairo_surface_destroy: unsafe extern "C" fn(Object),
        pango_layout_get_pixel_size: unsafe extern "C" fn(Object, *mut c_int, *mut c_int),
        pango_cairo_show_layout: unsafe extern "C" fn(Object, Object),
    }
}
