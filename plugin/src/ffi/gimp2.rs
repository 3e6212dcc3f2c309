//! What only GIMP 2.10 has: the plug-in's entry points, and its procedural database of numbers.

use std::ffi::{c_char, c_int, c_void};

use super::items::Offsets;
use super::symbols;

/// GIMP's own libraries.
pub(crate) const LIBRARIES: [&str; 2] = ["libgimp-2.0.so.0", "libgimpbase-2.0.so.0"];

/// `GimpPDBArgType`.
pub(crate) const INT32: c_int = 0;
pub(crate) const FLOAT: c_int = 3;
pub(crate) const STRING: c_int = 4;
pub(crate) const IMAGE: c_int = 13;
pub(crate) const DRAWABLE: c_int = 16;
pub(crate) const STATUS: c_int = 21;

/// `GimpPDBProcType`: a plug-in's procedure.
pub(crate) const PLUGIN: c_int = 1;

/// `GimpPlugInInfo`.
#[repr(C)]
pub(crate) struct PlugInInfo {
    pub(crate) init: Option<unsafe extern "C" fn()>,
    pub(crate) quit: Option<unsafe extern "C" fn()>,
    pub(crate) query: Option<unsafe extern "C" fn()>,
    pub(crate) run: Option<Run>,
}

/// `GimpRunProc`: name, number of arguments, arguments, number of values, values.
pub(crate) type Run = unsafe extern "C" fn(*const c_char, c_int, *const Param, *mut c_int, *mut *mut Param);

/// `GimpParamData`; its largest member is a colour.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) union ParamData {
    pub(crate) int32: i32,
    pub(crate) float: f64,
    pub(crate) string: *const c_char,
    pub(crate) colour: [f64; 4],
}

/// `GimpParam`: the type says which member of the union it is.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Param {
    pub(crate) kind: c_int,
    pub(crate) data: ParamData,
}

/// `GimpParamDef`.
#[repr(C)]
pub(crate) struct ParamDef {
    pub(crate) kind: c_int,
    pub(crate) name: *const c_char,
    pub(crate) description: *const c_char,
}

const _: () = assert!(size_of::<PlugInInfo>() == 32);
const _: () = assert!(size_of::<ParamData>() == 32);
const _: () = assert!(size_of::<Param>() == 40 && std::mem::offset_of!(Param, data) == 8);
const _: () = assert!(size_of::<ParamDef>() == 24);

symbols! {
    /// The functions.
    Gimp2 {
        gimp_main: unsafe extern "C" fn(*const PlugInInfo, c_int, *mut *mut c_char) -> c_int,
        gimp_install_procedure: unsafe extern "C" fn(
            *const c_char, *const c_char, *const c_char, *const c_char, *const c_char, *const c_char,
            *const c_char, *const c_char, c_int, c_int, c_int, *const ParamDef, *const ParamDef,
        ),
        gimp_directory: unsafe extern "C" fn() -> *const c_char,
        gimp_plugin_domain_register: unsafe extern "C" fn(*const c_char, *const c_char) -> c_int,
        gimp_plugin_menu_register: unsafe extern "C" fn(*const c_char, *const c_char) -> c_int,
        gimp_item_is_drawable: unsafe extern "C" fn(i32) -> c_int,
        gimp_item_is_valid: unsafe extern "C" fn(i32) -> c_int,
        gimp_drawable_offsets: Offsets<i32>,
        gimp_message: unsafe extern "C" fn(*const c_char) -> c_int,
        gimp_procedural_db_get_data_size: unsafe extern "C" fn(*const c_char) -> c_int,
        gimp_procedural_db_get_data: unsafe extern "C" fn(*const c_char, *mut c_void) -> c_int,
        gimp_procedural_db_set_data: unsafe extern "C" fn(*const c_char, *const c_void, u32) -> c_int,
    }
}
