//! What only GIMP 3 has: the plug-in's class, its procedures, and their configuration.

use std::ffi::{c_char, c_int, c_uint};

use super::items::Offsets;
use super::{Object, symbols};

/// GIMP's own libraries. GIMP 3.2 still calls them 3.0.
pub(crate) const LIBRARIES: [&str; 2] = ["libgimp-3.0.so.0", "libgimpbase-3.0.so.0"];

/// A GObject type's number.
pub(crate) type GType = usize;

/// `GimpPDBProcType`: a plug-in's procedure.
pub(crate) const PLUGIN: c_int = 1;
/// `G_PARAM_READWRITE`.
pub(crate) const READ_WRITE: c_int = 3;
/// `GIMP_PROCEDURE_SENSITIVE_DRAWABLE` and `_DRAWABLES`: one drawable or several are chosen.
pub(crate) const DRAWABLES: c_int = 1 | 2;

/// `GTypeQuery`.
#[repr(C)]
pub(crate) struct TypeQuery {
    pub(crate) kind: GType,
    pub(crate) name: *const c_char,
    pub(crate) class_bytes: c_uint,
    pub(crate) instance_bytes: c_uint,
}

/// `GimpPlugInClass`, up to the last member that is used; ten reserved pointers follow.
#[repr(C)]
pub(crate) struct PlugInClass {
    /// `GObjectClass`.
    parent: [usize; 17],
    pub(crate) query_procedures: Option<unsafe extern "C" fn(Object) -> Object>,
    init_procedures: Option<unsafe extern "C" fn(Object) -> Object>,
    pub(crate) create_procedure: Option<unsafe extern "C" fn(Object, *const c_char) -> Object>,
    quit: Option<unsafe extern "C" fn(Object)>,
    pub(crate) set_i18n:
        Option<unsafe extern "C" fn(Object, *const c_char, *mut *mut c_char, *mut *mut c_char) -> c_int>,
}

/// The size of the whole `GimpPlugInClass`, to be compared with what GObject says.
pub(crate) const PLUG_IN_CLASS_BYTES: usize = 256;
const _: () = assert!(size_of::<PlugInClass>() + 10 * size_of::<usize>() == PLUG_IN_CLASS_BYTES);
const _: () = assert!(size_of::<TypeQuery>() == 24);

/// `GClassInitFunc`.
pub(crate) type ClassInit = unsafe extern "C" fn(*mut PlugInClass, Object);

/// `GimpRunFunc`: procedure, configuration, data.
pub(crate) type Run = unsafe extern "C" fn(Object, Object, Object) -> Object;

/// `GimpRunImageFunc`: procedure, run mode, image, drawables up to a null, configuration, data.
pub(crate) type RunImage =
    unsafe extern "C" fn(Object, c_int, Object, *const Object, Object, Object) -> Object;

symbols! {
    /// The functions.
    Gimp3 {
        gimp_main: unsafe extern "C" fn(GType, c_int, *mut *mut c_char) -> c_int,
        gimp_plug_in_get_type: unsafe extern "C" fn() -> GType,
        g_type_query: unsafe extern "C" fn(GType, *mut TypeQuery),
        g_type_register_static_simple: unsafe extern "C" fn(
            GType, *const c_char, c_uint, ClassInit, c_uint, Object, c_uint,
        ) -> GType,
        g_list_append: unsafe extern "C" fn(Object, Object) -> Object,
        g_strdup: unsafe extern "C" fn(*const c_char) -> Object,
        g_object_get: unsafe extern "C" fn(Object, *const c_char, ...),
        g_error_new_literal: unsafe extern "C" fn(u32, c_int, *const c_char) -> Object,
        g_quark_from_string: unsafe extern "C" fn(*const c_char) -> u32,
        g_value_set_string: unsafe extern "C" fn(Object, *const c_char),
        g_object_set: unsafe extern "C" fn(Object, *const c_char, ...),
        gimp_directory: unsafe extern "C" fn() -> *const c_char,
        gimp_drawable_get_offsets: Offsets<Object>,
        gimp_message: unsafe extern "C" fn(*const c_char) -> c_int,
        gimp_run_mode_get_type: unsafe extern "C" fn() -> GType,
        gimp_value_array_index: unsafe extern "C" fn(Object, c_int) -> Object,
        gimp_procedure_new:
            unsafe extern "C" fn(Object, *const c_char, c_int, Run, Object, Object) -> Object,
        gimp_procedure_add_enum_argument: unsafe extern "C" fn(
            Object, *const c_char, *const c_char, *const c_char, GType, c_int, c_int,
        ),
        gimp_procedure_add_string_return_value: unsafe extern "C" fn(
            Object, *const c_char, *const c_char, *const c_char, *const c_char, c_int,
        ),
        gimp_image_procedure_new:
            unsafe extern "C" fn(Object, *const c_char, c_int, RunImage, Object, Object) -> Object,
        gimp_procedure_set_menu_label: unsafe extern "C" fn(Object, *const c_char),
        gimp_procedure_add_menu_path: unsafe extern "C" fn(Object, *const c_char),
        gimp_procedure_set_image_types: unsafe extern "C" fn(Object, *const c_char),
        gimp_procedure_set_sensitivity_mask: unsafe extern "C" fn(Object, c_int),
        gimp_procedure_set_documentation:
            unsafe extern "C" fn(Object, *const c_char, *const c_char, *const c_char),
        gimp_procedure_set_attribution:
            unsafe extern "C" fn(Object, *const c_char, *const c_char, *const c_char),
        gimp_procedure_add_string_argument: unsafe extern "C" fn(
            Object, *const c_char, *const c_char, *const c_char, *const c_char, c_int,
        ),
        gimp_procedure_add_double_argument: unsafe extern "C" fn(
            Object, *const c_char, *const c_char, *const c_char, f64, f64, f64, c_int,
        ),
        gimp_procedure_add_int_argument: unsafe extern "C" fn(
            Object, *const c_char, *const c_char, *const c_char, c_int, c_int, c_int, c_int,
        ),
        gimp_procedure_add_choice_argument: unsafe extern "C" fn(
            Object, *const c_char, *const c_char, *const c_char, Object, *const c_char, c_int,
        ),
        gimp_choice_new: unsafe extern "C" fn() -> Object,
        gimp_choice_add: unsafe extern "C" fn(Object, *const c_char, c_int, *const c_char, *const c_char),
        gimp_procedure_config_get_choice_id: unsafe extern "C" fn(Object, *const c_char) -> c_int,
        gimp_procedure_new_return_values: unsafe extern "C" fn(Object, c_int, Object) -> Object,
    }
}
