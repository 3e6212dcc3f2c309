//! What libgimp offers for images, layers and progress. Both generations have it under the same names; what differs
//! is how an item is named: by a number in 2.10, by a pointer in 3.

use std::ffi::{c_char, c_int};

use super::gegl::Babl;
use super::{Object, symbols};

/// How a GIMP names images and their items.
pub(crate) trait Id: Copy {
    /// Do the formats of this GIMP's drawables tell their colour space?
    const HAS_SPACES: bool;
    /// Does it name anything?
    fn exists(self) -> bool;
}

impl Id for i32 {
    const HAS_SPACES: bool = false;

    fn exists(self) -> bool {
        self > 0
    }
}

impl Id for Object {
    const HAS_SPACES: bool = true;

    fn exists(self) -> bool {
        !self.is_null()
    }
}

/// Where a drawable lies in its image; the generations call it by different names.
pub(crate) type Offsets<I> = unsafe extern "C" fn(I, *mut c_int, *mut c_int) -> c_int;

/// `GimpImageType`, with alpha, and `GIMP_LAYER_MODE_NORMAL`.
pub(crate) const RGBA: c_int = 1;
pub(crate) const GRAY_ALPHA: c_int = 3;
pub(crate) const NORMAL: c_int = 28;

symbols! {
    /// The functions.
    Items<I> {
        gimp_item_is_layer: unsafe extern "C" fn(I) -> c_int,
        gimp_item_is_group: unsafe extern "C" fn(I) -> c_int,
        gimp_item_is_layer_mask: unsafe extern "C" fn(I) -> c_int,
        gimp_item_get_lock_content: unsafe extern "C" fn(I) -> c_int,
        gimp_item_get_image: unsafe extern "C" fn(I) -> I,
        gimp_item_get_parent: unsafe extern "C" fn(I) -> I,
        gimp_item_get_name: unsafe extern "C" fn(I) -> *mut c_char,
        gimp_item_set_name: unsafe extern "C" fn(I, *const c_char) -> c_int,
        gimp_item_delete: unsafe extern "C" fn(I) -> c_int,
        gimp_layer_is_floating_sel: unsafe extern "C" fn(I) -> c_int,
        gimp_layer_new:
            unsafe extern "C" fn(I, *const c_char, c_int, c_int, c_int, f64, c_int) -> I,
        gimp_layer_set_offsets: unsafe extern "C" fn(I, c_int, c_int) -> c_int,
        gimp_drawable_is_gray: unsafe extern "C" fn(I) -> c_int,
        gimp_image_get_color_profile: unsafe extern "C" fn(I) -> Object,
        gimp_color_profile_get_icc_profile: unsafe extern "C" fn(Object, *mut usize) -> *const u8,
        gimp_image_get_selection: unsafe extern "C" fn(I) -> I,
        gimp_selection_is_empty: unsafe extern "C" fn(I) -> c_int,
        gimp_image_get_item_position: unsafe extern "C" fn(I, I) -> c_int,
        gimp_image_insert_layer: unsafe extern "C" fn(I, I, I, c_int) -> c_int,
        gimp_image_remove_layer: unsafe extern "C" fn(I, I) -> c_int,
        gimp_image_undo_group_start: unsafe extern "C" fn(I) -> c_int,
        gimp_image_undo_group_end: unsafe extern "C" fn(I) -> c_int,
        gimp_drawable_is_indexed: unsafe extern "C" fn(I) -> c_int,
        gimp_drawable_get_format: unsafe extern "C" fn(I) -> Babl,
        gimp_drawable_get_buffer: unsafe extern "C" fn(I) -> Object,
        gimp_drawable_get_shadow_buffer: unsafe extern "C" fn(I) -> Object,
        gimp_drawable_free_shadow: unsafe extern "C" fn(I) -> c_int,
        gimp_drawable_merge_shadow: unsafe extern "C" fn(I, c_int) -> c_int,
        gimp_drawable_mask_intersect:
            unsafe extern "C" fn(I, *mut c_int, *mut c_int, *mut c_int, *mut c_int) -> c_int,
        gimp_drawable_update: unsafe extern "C" fn(I, c_int, c_int, c_int, c_int) -> c_int,
        gimp_displays_flush: unsafe extern "C" fn(),
        gimp_progress_init: unsafe extern "C" fn(*const c_char) -> c_int,
        gimp_progress_update: unsafe extern "C" fn(f64) -> c_int,
        g_free: unsafe extern "C" fn(Object),
    }
}
