//! The operation's properties, from the table of the filter's parameters.

use std::ffi::{CStr, CString, c_char, c_int, c_uint};
use std::ptr;

use utsushi_ipc::protocol::MAX_SEED;

use super::super::gimp3::TypeQuery;
use super::super::{Object, c_string, guarded};
use super::class::{EnumValue, FilterClass, Functions, PROPERTY, SeedSpec};
use super::{class, operation, tell};
use crate::dialog::form::{BRUSH_SIZE_PAGE, BRUSH_SIZE_STEP, SLIDER_BRUSH_SIZE};
use crate::operation::styles::{NONE, Style};
use crate::params::{BRUSH_SIZE, Kind, PARAMS, Param, Value};

/// What a slider does at a time, of 1.
const STEP: f64 = 0.01;
const PAGE: f64 = 0.1;
const DIGITS: c_int = 2;

/// The parameter that may be no style.
const SECOND_STYLE: &CStr = c"second-style";

/// Gives a new class its properties.
///
/// # Safety
///
/// `class` must be the class of the operation, which is being made, on whose thread this is.
pub(super) unsafe fn install(functions: &Functions, class: *mut FilterClass, styles: &[Style]) {
    for (param, number) in PARAMS.iter().zip(1..) {
        // SAFETY: the caller's promise; the class takes the specification over.
        unsafe {
            let spec = specification(functions, param, styles);
            if !spec.is_null() {
                (functions.g_object_class_install_property)(class, number, spec);
            }
        }
    }
}

/// Null for a parameter that makes no sense here: what is drawn goes on from here, whatever that means to the graph.
///
/// # Safety
///
/// As for `install`.
unsafe fn specification(functions: &Functions, param: &Param, styles: &[Style]) -> Object {
    // A label's mnemonic is a dialog's own.
    let label = c_string(&param.label.english().to_string_lossy().replace('_', ""));
    let (name, nick, blurb) = (param.name.as_ptr(), label.as_ptr(), param.help.english().as_ptr());
    // SAFETY: all texts are copied; an enumeration's are leaked, as its type stays for good.
    unsafe {
        match param.kind {
            Kind::Style => {
                let has_none = param.name == SECOND_STYLE;
                let kind = enumeration(functions, has_none, styles);
                let first = styles.first().filter(|_| !has_none).map_or(NONE, |style| style.number);
                (functions.gegl_param_spec_enum)(name, nick, blurb, kind, first, PROPERTY)
            }
            Kind::Number { least, most, default } => {
                let is_brush_size = param.name == BRUSH_SIZE;
                let shown = if is_brush_size { SLIDER_BRUSH_SIZE } else { most };
                let (step, page) =
                    if is_brush_size { (BRUSH_SIZE_STEP, BRUSH_SIZE_PAGE) } else { (STEP, PAGE) };
                let spec = (functions.gegl_param_spec_double)(
                    name, nick, blurb, least, most, default, least, shown, 1.0, PROPERTY,
                );
                (functions.gegl_param_spec_double_set_steps)(spec, step, page);
                (functions.gegl_param_spec_double_set_digits)(spec, DIGITS);
                spec
            }
            Kind::Seed => {
                let spec = (functions.gegl_param_spec_seed)(name, nick, blurb, PROPERTY);
                limit_seed(functions, spec);
                spec
            }
            Kind::Choice(_) => ptr::null_mut(),
        }
    }
}

/// # Safety
///
/// `spec` must be a new `GeglParamSpecSeed`.
unsafe fn limit_seed(functions: &Functions, spec: Object) {
    let mut query = TypeQuery { kind: 0, name: ptr::null(), class_bytes: 0, instance_bytes: 0 };
    // SAFETY: GObject fills in the query, with zeros for a type that it doesn't know. The specification is written to if
    // it is as large as was declared, and nobody else has it yet.
    unsafe {
        (functions.g_type_query)((functions.g_type_from_name)(c"GeglParamSeed".as_ptr()), &mut query);
        if query.instance_bytes as usize == size_of::<SeedSpec>()
            && let Some(spec) = spec.cast::<SeedSpec>().as_mut()
        {
            spec.most = MAX_SEED as c_uint;
            spec.most_shown = MAX_SEED as c_uint;
        }
    }
}

/// The type of a choice of styles; GObject keeps it for good.
///
/// # Safety
///
/// As for `install`.
unsafe fn enumeration(functions: &Functions, has_none: bool, styles: &[Style]) -> usize {
    let name = if has_none { c"UtsushiSecondStyle" } else { c"UtsushiStyle" };
    // SAFETY: GObject doesn't copy the values, which are leaked, and end with one of zeros.
    unsafe {
        let found = (functions.g_type_from_name)(name.as_ptr());
        if found != 0 {
            return found;
        }
        let kept = |text: &str| -> *const c_char { CString::into_raw(c_string(text)) };
        let none = has_none.then_some((NONE, "None", "none"));
        let styles = styles.iter().map(|style| (style.number, style.name.as_str(), style.id.as_str()));
        let values = none.into_iter().chain(styles);
        let mut values: Vec<EnumValue> = values
            .map(|(number, name, nick)| EnumValue { number, name: kept(name), nick: kept(nick) })
            .collect();
        values.push(EnumValue { number: 0, name: ptr::null(), nick: ptr::null() });
        (functions.g_enum_register_static)(name.as_ptr(), Vec::leak(values).as_ptr())
    }
}

/// The id that a style's number stands for; empty for none.
fn id_of(styles: &[Style], number: c_int) -> String {
    let style = styles.iter().find(|style| style.number == number);
    style.map_or_else(String::new, |style| style.id.clone())
}

/// GObject sets a property.
pub(super) unsafe extern "C" fn set(object: Object, number: c_uint, value: Object, _spec: Object) {
    let done = guarded(|| {
        let class = class();
        let Some(index) = (number as usize).checked_sub(1) else { return };
        let Some(param) = PARAMS.get(index) else { return };
        let functions = &class.functions;
        // SAFETY: GObject calls with an operation, and with a value of the property's type.
        unsafe {
            let value = match param.kind {
                Kind::Style => Value::Style(id_of(&class.styles, (functions.g_value_get_enum)(value))),
                Kind::Number { .. } => Value::Number((functions.g_value_get_double)(value)),
                Kind::Seed => {
                    // Should GEGL's own limit still hold, higher ones start anew from 0.
                    let seed = u64::from((functions.g_value_get_uint)(value)) & MAX_SEED;
                    Value::Whole(seed as i32)
                }
                Kind::Choice(_) => return,
            };
            operation(object).set(index, value);
        }
    });
    if let Err(defect) = done {
        tell(&defect);
    }
}

/// GObject asks for a property.
pub(super) unsafe extern "C" fn get(object: Object, number: c_uint, value: Object, _spec: Object) {
    let done = guarded(|| {
        let class = class();
        let Some(index) = (number as usize).checked_sub(1) else { return };
        let functions = &class.functions;
        // SAFETY: as in `set`; the value is of the property's type, and takes numbers.
        unsafe {
            match operation(object).value(index) {
                Some(Value::Style(id)) => {
                    let style = class.styles.iter().find(|style| style.id == id);
                    (functions.g_value_set_enum)(value, style.map_or(NONE, |style| style.number));
                }
                Some(Value::Number(number)) => (functions.g_value_set_double)(value, number),
                Some(Value::Whole(number)) => (functions.g_value_set_uint)(value, number as c_uint),
                None => {}
            }
        }
    });
    if let Err(defect) = done {
        tell(&defect);
    }
}
