//! What is declared of GObject and GEGL to make an operation.
//!
//! The layouts are those of GEGL 0.4 on 64-bit systems that lay out C as System V's ABI says. Whoever registers the class
//! compares their sizes with what GObject says.

use std::ffi::{c_char, c_int, c_uint, c_void};

use super::super::gegl::Babl;
use super::super::gimp3::{GType, TypeQuery};
use super::super::{Object, symbols};
use crate::region::Rect;

/// `GParamFlags`: readable, writable, and set when the object is made.
pub(super) const PROPERTY: c_uint = 1 | 2 | 4;
/// `G_LOG_LEVEL_MESSAGE`: GIMP takes warnings for defects, which it may hide.
pub(super) const MESSAGE: c_int = 1 << 5;

/// `GTypeInfo`.
#[repr(C)]
pub(super) struct TypeInfo {
    pub(super) class_bytes: u16,
    pub(super) base_init: Option<unsafe extern "C" fn(Object)>,
    pub(super) base_finalize: Option<unsafe extern "C" fn(Object)>,
    pub(super) class_init: Option<unsafe extern "C" fn(*mut FilterClass, Object)>,
    pub(super) class_finalize: Option<unsafe extern "C" fn(Object, Object)>,
    pub(super) class_data: *const c_void,
    pub(super) instance_bytes: u16,
    pub(super) preallocated: u16,
    pub(super) instance_init: Option<unsafe extern "C" fn(Object, Object)>,
    pub(super) value_table: *const c_void,
}

/// `GEnumValue`.
#[repr(C)]
pub(super) struct EnumValue {
    pub(super) number: c_int,
    pub(super) name: *const c_char,
    pub(super) nick: *const c_char,
}

/// Sets or tells a property: object, number, `GValue`, `GParamSpec`.
pub(super) type Property = unsafe extern "C" fn(Object, c_uint, Object, Object);

/// `GObjectClass`.
#[repr(C)]
pub(super) struct ObjectClass {
    kind: GType,
    construct_properties: Object,
    constructor: Object,
    pub(super) set_property: Option<Property>,
    pub(super) get_property: Option<Property>,
    dispose: Object,
    pub(super) finalize: Option<unsafe extern "C" fn(Object)>,
    rest: [usize; 10],
}

/// What of one area follows from another: operation, pad, area.
pub(super) type AreaOfPad = unsafe extern "C" fn(Object, *const c_char, *const Rect) -> Rect;

/// `GeglOperationClass`.
#[repr(C)]
pub(super) struct OperationClass {
    pub(super) object: ObjectClass,
    name: *const c_char,
    compat_name: *const c_char,
    keys: Object,
    pub(super) flags: u64,
    attach: Object,
    pub(super) prepare: Option<unsafe extern "C" fn(Object)>,
    get_bounding_box: Option<unsafe extern "C" fn(Object) -> Rect>,
    pub(super) get_invalidated_by_change: Option<AreaOfPad>,
    pub(super) get_required_for_output: Option<AreaOfPad>,
    get_cached_region: Option<unsafe extern "C" fn(Object, *const Rect) -> Rect>,
    process: Object,
    detect: Object,
    opencl: Object,
    is_available: Object,
    reserved: [usize; 8],
}

/// Bits of [`OperationClass::flags`]: `no_cache`, `opencl_support`, `want_in_place`, `threaded`, and two for
/// `cache_policy`.
pub(super) const FLAGS: u64 = 0b11_1111;
/// `GEGL_CACHE_POLICY_NEVER`, and none of the others.
pub(super) const UNCACHED: u64 = 1 << 4;

/// Draws: operation, input, output, area, level.
pub(super) type Process = unsafe extern "C" fn(Object, Object, Object, *const Rect, c_int) -> c_int;

/// `GeglOperationFilterClass`.
#[repr(C)]
pub(super) struct FilterClass {
    pub(super) operation: OperationClass,
    pub(super) process: Option<Process>,
    get_split_strategy: Object,
    reserved: [usize; 3],
}

/// `GeglParamSpecSeed`, which begins as `GParamSpecUInt` does.
#[repr(C)]
pub(super) struct SeedSpec {
    spec: [usize; 9],
    least: c_uint,
    pub(super) most: c_uint,
    default: c_uint,
    least_shown: c_uint,
    pub(super) most_shown: c_uint,
}

const _: () = assert!(size_of::<usize>() == 8 && cfg!(target_endian = "little"));
const _: () = assert!(size_of::<TypeInfo>() == 72 && size_of::<EnumValue>() == 24);
const _: () = assert!(size_of::<ObjectClass>() == 136 && size_of::<OperationClass>() == 312);
const _: () = assert!(size_of::<FilterClass>() == 352 && size_of::<SeedSpec>() == 96);

/// `GeglModuleInfo`.
#[repr(C)]
pub(crate) struct ModuleInfo {
    pub(super) abi_version: u32,
}

symbols! {
    /// The functions.
    Functions {
        gegl_operation_filter_get_type: unsafe extern "C" fn() -> GType,
        g_type_query: unsafe extern "C" fn(GType, *mut TypeQuery),
        g_type_from_name: unsafe extern "C" fn(*const c_char) -> GType,
        g_type_module_register_type:
            unsafe extern "C" fn(Object, GType, *const c_char, *const TypeInfo, c_uint) -> GType,
        g_enum_register_static: unsafe extern "C" fn(*const c_char, *const EnumValue) -> GType,
        g_object_class_install_property: unsafe extern "C" fn(*mut FilterClass, c_uint, Object),
        g_object_ref: unsafe extern "C" fn(Object) -> Object,
        gegl_param_spec_double: unsafe extern "C" fn(
            *const c_char, *const c_char, *const c_char, f64, f64, f64, f64, f64, f64, c_uint,
        ) -> Object,
        gegl_param_spec_double_set_steps: unsafe extern "C" fn(Object, f64, f64),
        gegl_param_spec_double_set_digits: unsafe extern "C" fn(Object, c_int),
        gegl_param_spec_enum: unsafe extern "C" fn(
            *const c_char, *const c_char, *const c_char, GType, c_int, c_uint,
        ) -> Object,
        gegl_param_spec_seed:
            unsafe extern "C" fn(*const c_char, *const c_char, *const c_char, c_uint) -> Object,
        g_value_get_double: unsafe extern "C" fn(Object) -> f64,
        g_value_set_double: unsafe extern "C" fn(Object, f64),
        g_value_get_enum: unsafe extern "C" fn(Object) -> c_int,
        g_value_set_enum: unsafe extern "C" fn(Object, c_int),
        g_value_get_uint: unsafe extern "C" fn(Object) -> c_uint,
        g_value_set_uint: unsafe extern "C" fn(Object, c_uint),
        gegl_operation_class_set_key:
            unsafe extern "C" fn(*mut FilterClass, *const c_char, *const c_char),
        gegl_operation_set_format: unsafe extern "C" fn(Object, *const c_char, Babl),
        gegl_operation_get_format: unsafe extern "C" fn(Object, *const c_char) -> Babl,
        gegl_operation_get_source_format: unsafe extern "C" fn(Object, *const c_char) -> Babl,
        gegl_operation_get_source_space: unsafe extern "C" fn(Object, *const c_char) -> Babl,
        gegl_operation_source_get_bounding_box:
            unsafe extern "C" fn(Object, *const c_char) -> *const Rect,
        gegl_buffer_copy:
            unsafe extern "C" fn(Object, *const Rect, c_int, Object, *const Rect),
        g_log: unsafe extern "C" fn(*const c_char, c_int, *const c_char, ...),
    }
}
