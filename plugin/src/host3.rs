//! GIMP 3: registers the procedures, and takes their calls.

#![allow(unsafe_code, reason = "calling C and being called by it")]

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int};
use std::ptr;
use std::rc::Rc;
use std::sync::OnceLock;

use utsushi_ipc::protocol::MAX_SEED;

use crate::dialog::{Dialog, Opening};
use crate::ffi::gegl::{self, Gegl};
use crate::ffi::gimp3::{self, Gimp3, PlugInClass, TypeQuery};
use crate::ffi::items::Items;
use crate::ffi::widgets::{Ui, Widget};
use crate::ffi::{Libraries, LoadError, Object, c_string, guarded};
use crate::filter;
use crate::host::{self, Failure, Layer, Status, connect, failure, profile};
use crate::kept::Kept;
use crate::params::{Kind, PARAMS, Param, Settings, Value};
use crate::procedure::{self as p, Procedure};

static FUNCTIONS: OnceLock<Functions> = OnceLock::new();

struct Functions {
    gimp: Gimp3,
    items: Items<Object>,
    gegl: Gegl,
}

/// Serves the GIMP that started this process with these arguments, until it is done.
pub(crate) fn serve(arguments: &mut [*mut c_char]) -> Result<c_int, LoadError> {
    let names = [&gimp3::LIBRARIES[..], &gegl::LIBRARIES].concat();
    let libraries = Libraries::open(&names)?;
    // SAFETY: these are the libraries of GIMP 3, in which items are objects.
    let functions = unsafe {
        Functions {
            gimp: Gimp3::load(libraries)?,
            items: Items::load(libraries)?,
            gegl: Gegl::open(libraries)?,
        }
    };
    let gimp = &FUNCTIONS.get_or_init(|| functions).gimp;

    // SAFETY: GObject fills in the query; its name is only a pointer.
    let (parent, query) = unsafe {
        let parent = (gimp.gimp_plug_in_get_type)();
        let mut query = TypeQuery { kind: 0, name: ptr::null(), class_bytes: 0, instance_bytes: 0 };
        (gimp.g_type_query)(parent, &mut query);
        (parent, query)
    };
    if query.class_bytes as usize != gimp3::PLUG_IN_CLASS_BYTES {
        let what = format!("a plug-in's class takes {} bytes", query.class_bytes);
        return Err(LoadError::Layout { gimp: libraries.gimp(), what });
    }
    let count = arguments.len() as c_int - 1;
    // SAFETY: the class and instance are as large as the parent's, and `fill_class` writes members of the parent's
    // class, whose size was compared. `arguments` are C strings up to a null.
    Ok(unsafe {
        let (class, instance) = (query.class_bytes, query.instance_bytes);
        let name = c"UtsushiPlugIn".as_ptr();
        let kind = (gimp.g_type_register_static_simple)(
            parent,
            name,
            class,
            fill_class,
            instance,
            ptr::null_mut(),
            0,
        );
        (gimp.gimp_main)(kind, count, arguments.as_mut_ptr())
    })
}

fn functions() -> &'static Functions {
    FUNCTIONS.get().expect("GIMP calls back after gimp_main")
}

/// For callbacks that can't say what went wrong.
fn guarded_or<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    guarded(body).unwrap_or_else(|defect| {
        eprintln!("utsushi-gimp: {defect}");
        fallback
    })
}

/// Nothing in here can panic.
unsafe extern "C" fn fill_class(class: *mut PlugInClass, _data: Object) {
    // SAFETY: GObject hands over the class of the type that was registered.
    let class = unsafe { &mut *class };
    class.query_procedures = Some(query);
    class.create_procedure = Some(create);
    class.set_i18n = Some(set_i18n);
}

/// The plug-in binds its catalogues itself, as it must for 2.10; nothing in here can panic.
unsafe extern "C" fn set_i18n(
    _plug_in: Object,
    _procedure: *const c_char,
    _domain: *mut *mut c_char,
    _folder: *mut *mut c_char,
) -> c_int {
    0
}

/// GIMP asks which procedures there are.
unsafe extern "C" fn query(_plug_in: Object) -> Object {
    guarded_or(ptr::null_mut(), || {
        let gimp = &functions().gimp;
        // SAFETY: a list of texts; GIMP frees all.
        let append = |list, procedure: &Procedure| unsafe {
            (gimp.g_list_append)(list, (gimp.g_strdup)(procedure.name.as_ptr()))
        };
        [p::STYLIZE, p::STATUS].iter().fold(ptr::null_mut(), append)
    })
}

/// GIMP asks for a procedure, to register it or to call it.
unsafe extern "C" fn create(plug_in: Object, name: *const c_char) -> Object {
    guarded_or(ptr::null_mut(), || {
        // SAFETY: GIMP hands over its plug-in, and the name that it asks for.
        unsafe {
            let name = CStr::from_ptr(name);
            if name == p::STYLIZE.name {
                stylize(plug_in)
            } else if name == p::STATUS.name {
                status(plug_in)
            } else {
                ptr::null_mut()
            }
        }
    })
}

/// # Safety
///
/// `plug_in` must be the plug-in.
unsafe fn stylize(plug_in: Object) -> Object {
    let gimp = &functions().gimp;
    // SAFETY: GIMP copies every text; `run` is of the type that an image procedure calls; the procedure goes to GIMP.
    unsafe {
        let (null, name) = (ptr::null_mut(), p::STYLIZE.name.as_ptr());
        let procedure = (gimp.gimp_image_procedure_new)(plug_in, name, gimp3::PLUGIN, run, null, null);
        introduce(gimp, procedure, &p::STYLIZE);
        (gimp.gimp_procedure_set_image_types)(procedure, p::IMAGE_TYPES.as_ptr());
        (gimp.gimp_procedure_set_sensitivity_mask)(procedure, gimp3::DRAWABLES);
        for param in &PARAMS {
            add_argument(gimp, procedure, param);
        }
        procedure
    }
}

/// # Safety
///
/// `plug_in` must be the plug-in.
unsafe fn status(plug_in: Object) -> Object {
    let gimp = &functions().gimp;
    // SAFETY: as in `stylize`; `tell` is of the type that a procedure calls.
    unsafe {
        let (null, name) = (ptr::null_mut(), p::STATUS.name.as_ptr());
        let procedure = (gimp.gimp_procedure_new)(plug_in, name, gimp3::PLUGIN, tell, null, null);
        introduce(gimp, procedure, &p::STATUS);
        let ([name, label, help], kind) = (p::RUN_MODE.map(CStr::as_ptr), (gimp.gimp_run_mode_get_type)());
        let add = gimp.gimp_procedure_add_enum_argument;
        add(procedure, name, label, help, kind, p::NON_INTERACTIVE, gimp3::READ_WRITE);
        let [name, label, help] = p::STATUS_VALUE.map(CStr::as_ptr);
        let add = gimp.gimp_procedure_add_string_return_value;
        add(procedure, name, label, help, c"".as_ptr(), gimp3::READ_WRITE);
        procedure
    }
}

/// # Safety
///
/// `procedure` must be a procedure.
unsafe fn introduce(gimp: &Gimp3, procedure: Object, words: &Procedure) {
    // SAFETY: GIMP copies every text.
    unsafe {
        let [label, blurb, help] =
            [words.menu_label, words.blurb, words.help].map(|word| c_string(word.text()));
        let authors = p::AUTHORS.as_ptr();
        (gimp.gimp_procedure_set_menu_label)(procedure, label.as_ptr());
        (gimp.gimp_procedure_add_menu_path)(procedure, p::MENU_PATH.as_ptr());
        (gimp.gimp_procedure_set_documentation)(procedure, blurb.as_ptr(), help.as_ptr(), ptr::null());
        (gimp.gimp_procedure_set_attribution)(procedure, authors, authors, p::YEAR.as_ptr());
    }
}

/// # Safety
///
/// `procedure` must be a procedure.
unsafe fn add_argument(gimp: &Gimp3, procedure: Object, param: &Param) {
    let (label, help) = (c_string(param.label.text()), c_string(param.help.text()));
    let (name, label, help) = (param.name.as_ptr(), label.as_ptr(), help.as_ptr());
    // SAFETY: GIMP copies every text, and takes over the choice.
    unsafe {
        match param.kind {
            Kind::Style => {
                let add = gimp.gimp_procedure_add_string_argument;
                add(procedure, name, label, help, c"".as_ptr(), gimp3::READ_WRITE);
            }
            Kind::Number { least, most, default } => {
                let add = gimp.gimp_procedure_add_double_argument;
                add(procedure, name, label, help, least, most, default, gimp3::READ_WRITE);
            }
            Kind::Seed => {
                let add = gimp.gimp_procedure_add_int_argument;
                add(procedure, name, label, help, 0, MAX_SEED as c_int, 0, gimp3::READ_WRITE);
            }
            Kind::Choice(options) => {
                let choice = (gimp.gimp_choice_new)();
                for (id, (name, label)) in (0..).zip(options) {
                    let label = c_string(label.text());
                    (gimp.gimp_choice_add)(choice, name.as_ptr(), id, label.as_ptr(), ptr::null());
                }
                let (add, default) = (gimp.gimp_procedure_add_choice_argument, options[0].0.as_ptr());
                add(procedure, name, label, help, choice, default, gimp3::READ_WRITE);
            }
        }
    }
}

/// GIMP calls the procedure.
unsafe extern "C" fn run(
    procedure: Object,
    mode: c_int,
    _image: Object,
    drawables: *const Object,
    config: Object,
    _data: Object,
) -> Object {
    let outcome = guarded(|| {
        // SAFETY: GIMP hands over drawables up to a null, and a configuration of the procedure's arguments, and they
        // stay until this function returns.
        unsafe { call(procedure, mode, drawables, config) }
    });
    // SAFETY: GIMP hands over the procedure.
    unsafe { end(procedure, outcome.map(|ended| ended.map(|()| None))) }
}

/// GIMP asks how the daemon is.
unsafe extern "C" fn tell(procedure: Object, config: Object, _data: Object) -> Object {
    let outcome = guarded(|| {
        let (gimp, status) = (&functions().gimp, host::status()?);
        let mut mode = p::NON_INTERACTIVE;
        // SAFETY: the property is a number of an enumeration, for which a place is given. GIMP copies the message.
        unsafe {
            (gimp.g_object_get)(config, p::RUN_MODE[0].as_ptr(), &raw mut mode, ptr::null::<c_char>());
            if mode == p::INTERACTIVE {
                (gimp.gimp_message)(c_string(&status).as_ptr());
            }
        }
        Ok(Some(status))
    });
    // SAFETY: GIMP hands over the procedure, whose value is a text.
    unsafe { end(procedure, outcome) }
}

/// What a call returns to GIMP: its value if it has one, or why it failed.
///
/// # Safety
///
/// `procedure` must be a procedure whose values are as many as are given.
unsafe fn end(procedure: Object, outcome: Result<Result<Option<String>, Failure>, String>) -> Object {
    let (status, value, message) = match outcome {
        Ok(Ok(value)) => (Status::Success, value, None),
        Ok(Err((status, message))) => (status, None, message),
        Err(defect) => (Status::ExecutionError, None, Some(defect)),
    };
    let gimp = &functions().gimp;
    // SAFETY: GObject copies the texts; GIMP takes over the error and the values, of which the first is the status.
    unsafe {
        let error = message.map_or(ptr::null_mut(), |message| {
            let domain = (gimp.g_quark_from_string)(c"utsushi".as_ptr());
            (gimp.g_error_new_literal)(domain, 0, c_string(&message).as_ptr())
        });
        let values = (gimp.gimp_procedure_new_return_values)(procedure, status as c_int, error);
        if let Some(value) = value {
            (gimp.g_value_set_string)((gimp.gimp_value_array_index)(values, 1), c_string(&value).as_ptr());
        }
        values
    }
}

/// # Safety
///
/// `drawables` must be drawables up to a null, and `config` the procedure's configuration.
unsafe fn call(
    procedure: Object,
    mode: c_int,
    drawables: *const Object,
    config: Object,
) -> Result<(), Failure> {
    // SAFETY: there is at least the null at the end.
    let layers: Vec<Object> = unsafe {
        let drawable = |index| *drawables.add(index);
        (0..).map(drawable).take_while(|drawable| !drawable.is_null()).collect()
    };
    let [first, ..] = layers[..] else {
        return Err((Status::CallingError, Some("choose a layer".into())));
    };
    // SAFETY: the caller's promise.
    let values = move || PARAMS.iter().map(|param| unsafe { value(config, param) }).collect::<Vec<_>>();
    let Functions { items, gegl, gimp } = functions();
    // SAFETY: a drawable of the GIMP that called; this is the thread on which it did.
    let host = |layer| unsafe { Layer::new(*gegl, *items, gimp.gimp_drawable_get_offsets, layer) };

    if mode == p::INTERACTIVE {
        // SAFETY: the caller's promise; this is the thread on which GIMP called.
        let wanted = unsafe { ask(procedure, config, layers.clone(), host, values) };
        if !wanted.map_err(|error| failure(Status::ExecutionError, &error))? {
            return Err((Status::Cancel, None));
        }
    }
    let settings = Settings::parse(&values()).map_err(|error| failure(Status::CallingError, &error))?;
    let draw = |layer: &Object| {
        filter::run(&mut host(*layer), &settings, connect)
            .map_err(|error| failure(Status::from(&error), &error))
    };
    if let [layer] = &layers[..] {
        return draw(layer);
    }
    // SAFETY: a drawable is an item of an image; the group is ended.
    unsafe {
        let image = (items.gimp_item_get_image)(first);
        (items.gimp_image_undo_group_start)(image);
        let drawn = layers.iter().try_for_each(draw);
        (items.gimp_image_undo_group_end)(image);
        drawn
    }
}

/// Lets a person change the configuration; false if they don't want to go on.
///
/// # Safety
///
/// `procedure` must be the procedure that is running, and `config` its configuration, of which `values` tells the values.
/// Only the thread on which GIMP called may call this.
unsafe fn ask(
    procedure: Object,
    config: Object,
    layers: Vec<Object>,
    host: impl Fn(Object) -> Layer<Object> + 'static,
    values: impl Fn() -> Vec<Value> + 'static,
) -> Result<bool, LoadError> {
    // SAFETY: the caller's promise; `config` is a GObject.
    let (window, config) = unsafe {
        let (ui, window) = Ui::open_3(procedure, config)?;
        (window, ui.object(config))
    };
    let is_ours = Rc::new(Cell::new(false));
    let changed = {
        let (config, is_ours) = (config.clone(), Rc::clone(&is_ours));
        move |values: &[Value]| {
            is_ours.set(true);
            // SAFETY: it is the configuration of a procedure with these parameters.
            PARAMS.iter().zip(values).for_each(|(param, value)| unsafe { set(&config, param, value) });
            is_ours.set(false);
        }
    };
    let opening = Opening {
        window,
        host: host(layers[0]),
        // SAFETY: it takes nothing.
        kept: Kept::of(&profile(unsafe { (functions().gimp.gimp_directory)() })),
        obstacle: Box::new(move |output| {
            let mut hosts = layers.iter().map(|layer| host(*layer));
            hosts.find_map(|mut host| filter::subject(&mut host, output).err()).map(|error| error.to_string())
        }),
        values: values(),
        changed: Box::new(changed),
    };
    let dialog = Dialog::new(opening)?;
    // Reset, and what was saved, come by the configuration.
    let set = dialog.setter();
    let _following = config.on_while(c"notify", move || {
        if !is_ours.get() {
            set(&values());
        }
    });
    Ok(dialog.window().run_3())
}

/// # Safety
///
/// `config` must be the configuration of a procedure with this parameter.
unsafe fn set(config: &Widget, param: &Param, value: &Value) {
    let (set, name, end) = (functions().gimp.g_object_set, param.name.as_ptr(), ptr::null::<c_char>());
    let config = config.raw();
    // SAFETY: the property is of the type that the parameter was registered with, and so is the value; texts are copied.
    unsafe {
        match (&param.kind, value) {
            (Kind::Choice(options), Value::Whole(index)) => {
                if let Some((option, _)) = usize::try_from(*index).ok().and_then(|index| options.get(index)) {
                    set(config, name, option.as_ptr(), end);
                }
            }
            (_, Value::Style(id)) => set(config, name, c_string(id).as_ptr(), end),
            (_, Value::Number(number)) => set(config, name, *number, end),
            (_, Value::Whole(seed)) => set(config, name, *seed, end),
        }
    }
}

/// # Safety
///
/// `config` must be the configuration of a procedure with this parameter.
unsafe fn value(config: Object, param: &Param) -> Value {
    let Functions { gimp, items, .. } = functions();
    let name = param.name.as_ptr();
    let end = ptr::null::<c_char>();
    // SAFETY: the property is of the type that the parameter was registered with, and a place of this type is given
    // for its value. A text is the caller's, to be freed once.
    unsafe {
        match param.kind {
            Kind::Style => {
                let mut text: *mut c_char = ptr::null_mut();
                (gimp.g_object_get)(config, name, &raw mut text, end);
                if text.is_null() {
                    return Value::Style(String::new());
                }
                let style = CStr::from_ptr(text).to_string_lossy().into_owned();
                (items.g_free)(text.cast());
                Value::Style(style)
            }
            Kind::Number { .. } => {
                let mut number = 0.0_f64;
                (gimp.g_object_get)(config, name, &raw mut number, end);
                Value::Number(number)
            }
            Kind::Seed => {
                let mut seed: c_int = 0;
                (gimp.g_object_get)(config, name, &raw mut seed, end);
                Value::Whole(seed)
            }
            Kind::Choice(_) => Value::Whole((gimp.gimp_procedure_config_get_choice_id)(config, name)),
        }
    }
}
