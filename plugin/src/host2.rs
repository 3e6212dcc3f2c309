//! GIMP 2.10: registers the procedures, and takes their calls.

#![allow(unsafe_code, reason = "calling C and being called by it")]

use std::ffi::{CStr, CString, c_char, c_int};
use std::ptr;
use std::sync::OnceLock;

use crate::dialog::{Dialog, Opening};
use crate::ffi::gegl::{self, Gegl};
use crate::ffi::gimp2::{self, Gimp2, Param, ParamData, ParamDef, PlugInInfo};
use crate::ffi::items::Items;
use crate::ffi::widgets::Ui;
use crate::ffi::window::Answer;
use crate::ffi::{Libraries, LoadError, c_string, gettext, guarded};
use crate::filter;
use crate::host::{Failure, Layer, Status, connect, failure, profile, status};
use crate::kept::Kept;
use crate::params::{self, Kind, PARAMS, Settings, Value};
use crate::procedure::{self as p, Procedure};

static FUNCTIONS: OnceLock<Functions> = OnceLock::new();

struct Functions {
    gimp: Gimp2,
    items: Items<i32>,
    gegl: Gegl,
}

static INFO: PlugInInfo = PlugInInfo { init: None, quit: None, query: Some(query), run: Some(run) };

/// Serves the GIMP that started this process with these arguments, until it is done.
pub(crate) fn serve(arguments: &mut [*mut c_char]) -> Result<c_int, LoadError> {
    let names = [&gimp2::LIBRARIES[..], &gegl::LIBRARIES].concat();
    let libraries = Libraries::open(&names)?;
    // SAFETY: these are the libraries of 2.10, in which items are numbers.
    let functions = unsafe {
        Functions {
            gimp: Gimp2::load(libraries)?,
            items: Items::load(libraries)?,
            gegl: Gegl::open(libraries)?,
        }
    };
    let functions = FUNCTIONS.get_or_init(|| functions);
    let count = arguments.len() as c_int - 1;
    // SAFETY: `INFO` lives for ever, and `arguments` are C strings up to a null.
    Ok(unsafe { (functions.gimp.gimp_main)(&INFO, count, arguments.as_mut_ptr()) })
}

fn functions() -> &'static Functions {
    FUNCTIONS.get().expect("GIMP calls back after gimp_main")
}

/// GIMP asks what there is.
unsafe extern "C" fn query() {
    if let Err(defect) = guarded(register) {
        eprintln!("utsushi-gimp: {defect}");
    }
}

fn register() {
    let define = |kind, name: &CStr, description: &CStr| ParamDef {
        kind,
        name: name.as_ptr(),
        description: description.as_ptr(),
    };
    // 2.10 translates what follows itself, whatever its language is by then.
    if let Some(folder) = gettext::folder() {
        // SAFETY: GIMP copies both texts.
        unsafe {
            (functions().gimp.gimp_plugin_domain_register)(gettext::DOMAIN.as_ptr(), folder.as_ptr());
        }
    }
    let [name, _, description] = p::RUN_MODE;
    let run_mode = || define(gimp2::INT32, name, description);
    let descriptions: Vec<CString> = PARAMS.iter().map(describe).collect();
    let mut defined = vec![
        run_mode(),
        define(gimp2::IMAGE, c"image", c"The image; unused"),
        define(gimp2::DRAWABLE, c"drawable", c"The layer"),
    ];
    defined.extend(PARAMS.iter().zip(&descriptions).map(|(param, description)| {
        let kind = match param.kind {
            Kind::Style => gimp2::STRING,
            Kind::Number { .. } => gimp2::FLOAT,
            Kind::Choice(_) | Kind::Seed => gimp2::INT32,
        };
        define(kind, param.name, description)
    }));
    install(&p::STYLIZE, Some(p::IMAGE_TYPES), &defined, &[]);

    let [name, _, description] = p::STATUS_VALUE;
    install(&p::STATUS, None, &[run_mode()], &[define(gimp2::STRING, name, description)]);
}

/// Without image types, it can be called without an image, too.
fn install(procedure: &Procedure, image_types: Option<&CStr>, arguments: &[ParamDef], values: &[ParamDef]) {
    let gimp = &functions().gimp;
    let none_or_all = |defined: &[ParamDef]| if defined.is_empty() { ptr::null() } else { defined.as_ptr() };
    // SAFETY: every pointer is to text, or to as many definitions as are said, which live until the calls return.
    unsafe {
        (gimp.gimp_install_procedure)(
            procedure.name.as_ptr(),
            procedure.blurb.english().as_ptr(),
            procedure.help.english().as_ptr(),
            p::AUTHORS.as_ptr(),
            p::AUTHORS.as_ptr(),
            p::YEAR.as_ptr(),
            procedure.menu_label.english().as_ptr(),
            image_types.map_or(ptr::null(), CStr::as_ptr),
            gimp2::PLUGIN,
            arguments.len() as c_int,
            values.len() as c_int,
            none_or_all(arguments),
            none_or_all(values),
        );
        (gimp.gimp_plugin_menu_register)(procedure.name.as_ptr(), p::MENU_PATH.as_ptr());
    }
}

/// A parameter's help; of a choice also its numbers, as 2.10 knows no choices.
fn describe(param: &params::Param) -> CString {
    let help = param.help.english().to_string_lossy();
    match param.kind {
        Kind::Choice(options) => {
            let options = options.iter().enumerate();
            let options: Vec<_> =
                options.map(|(i, (name, _))| format!("{} ({i})", name.to_string_lossy())).collect();
            c_string(&format!("{help} {{ {} }}", options.join(", ")))
        }
        _ => c_string(&help),
    }
}

/// GIMP calls a procedure.
unsafe extern "C" fn run(
    name: *const c_char,
    count: c_int,
    arguments: *const Param,
    value_count: *mut c_int,
    values: *mut *mut Param,
) {
    let outcome = guarded(|| {
        // SAFETY: GIMP hands over the name, and as many arguments as it says, each of the type that was registered;
        // they stay until this function returns.
        let (name, arguments) = unsafe {
            let count = usize::try_from(count).unwrap_or(0);
            (CStr::from_ptr(name), std::slice::from_raw_parts(arguments, count))
        };
        if name == p::STATUS.name { tell(arguments).map(Some) } else { call(arguments).map(|()| None) }
    });
    let (status, text) = match outcome {
        Ok(Ok(value)) => (Status::Success, value),
        Ok(Err(failure)) => failure,
        Err(defect) => (Status::ExecutionError, Some(defect)),
    };

    // The caller reads them after this function has returned; a process runs one procedure, so little is leaked.
    let mut returned = vec![Param { kind: gimp2::STATUS, data: ParamData { int32: status as i32 } }];
    if let Some(text) = text {
        let string = c_string(&text).into_raw().cast_const();
        returned.push(Param { kind: gimp2::STRING, data: ParamData { string } });
    }
    // SAFETY: GIMP gives places for a count and a pointer; what the pointer is to lives for ever.
    unsafe {
        *value_count = returned.len() as c_int;
        *values = returned.leak().as_mut_ptr();
    }
}

/// How the daemon is; shown if nobody else would show it.
fn tell(arguments: &[Param]) -> Result<String, Failure> {
    let status = status()?;
    // SAFETY: GIMP has checked that the first is of the type that was registered, INT32.
    if arguments.first().is_some_and(|mode| unsafe { mode.data.int32 } == p::INTERACTIVE) {
        // SAFETY: GIMP copies the text.
        unsafe { (functions().gimp.gimp_message)(c_string(&status).as_ptr()) };
    }
    Ok(status)
}

/// A call: mode, image, layer, and in a script's call the values.
fn call(arguments: &[Param]) -> Result<(), Failure> {
    let [mode, _image, layer, given @ ..] = arguments else {
        return Err((Status::CallingError, Some("run-mode, image and drawable are needed".into())));
    };
    // SAFETY: GIMP has checked that these two are of the types that were registered, INT32 and DRAWABLE.
    let (mode, layer) = unsafe { (mode.data.int32, layer.data.int32) };
    let Functions { gimp, items, gegl } = functions();
    // SAFETY: both take any number.
    if unsafe { (gimp.gimp_item_is_valid)(layer) == 0 || (gimp.gimp_item_is_drawable)(layer) == 0 } {
        return Err((Status::CallingError, Some(format!("there is no such layer ({layer})"))));
    }
    // SAFETY: the drawable exists. This is the thread on which GIMP called.
    let host = move || unsafe { Layer::new(*gegl, *items, gimp.gimp_drawable_offsets, layer) };
    let values = match mode {
        p::NON_INTERACTIVE => given.iter().map(value).collect(),
        p::INTERACTIVE => ask(host)?,
        _ => last_values(),
    };
    let settings = Settings::parse(&values).map_err(|error| failure(Status::CallingError, &error))?;
    filter::run(&mut host(), &settings, connect).map_err(|error| failure(Status::from(&error), &error))?;
    if mode == p::INTERACTIVE {
        keep_values(&values);
    }
    Ok(())
}

/// Shows the dialog, with the last values.
fn ask(host: impl Fn() -> Layer<i32> + 'static) -> Result<Vec<Value>, Failure> {
    // SAFETY: this is the thread on which GIMP called, and it waits.
    let (_, window) = unsafe { Ui::open_2() }.map_err(|error| failure(Status::ExecutionError, &error))?;
    let opening = Opening {
        window,
        host: host(),
        obstacle: Box::new(move |output| {
            filter::subject(&mut host(), output).err().map(|error| error.to_string())
        }),
        // SAFETY: it takes nothing.
        kept: Kept::of(&profile(unsafe { (functions().gimp.gimp_directory)() })),
        values: last_values(),
        changed: Box::new(|_| {}),
    };
    let dialog = Dialog::new(opening).map_err(|error| failure(Status::ExecutionError, &error))?;
    loop {
        match dialog.window().run_2() {
            Answer::Ok => return Ok(dialog.values()),
            Answer::Reset => dialog.set(&PARAMS.iter().map(params::Param::default).collect::<Vec<_>>()),
            Answer::Cancel => return Err((Status::Cancel, None)),
        }
    }
}

fn value(argument: &Param) -> Value {
    // SAFETY: the type says which member it is; a string is text or null.
    unsafe {
        match argument.kind {
            gimp2::STRING if argument.data.string.is_null() => Value::Style(String::new()),
            gimp2::STRING => {
                Value::Style(CStr::from_ptr(argument.data.string).to_string_lossy().into_owned())
            }
            gimp2::FLOAT => Value::Number(argument.data.float),
            _ => Value::Whole(argument.data.int32),
        }
    }
}

/// What the last interactive run had.
fn last_values() -> Vec<Value> {
    let gimp = &functions().gimp;
    // SAFETY: GIMP writes as many bytes as it has said.
    let text = unsafe {
        let size = (gimp.gimp_procedural_db_get_data_size)(p::STYLIZE.name.as_ptr());
        let mut text = vec![0_u8; usize::try_from(size).unwrap_or(0)];
        if !text.is_empty() {
            (gimp.gimp_procedural_db_get_data)(p::STYLIZE.name.as_ptr(), text.as_mut_ptr().cast());
        }
        text
    };
    params::from_text(&String::from_utf8_lossy(&text))
}

/// Keeps them for the next run, until GIMP ends.
fn keep_values(values: &[Value]) {
    let text = params::to_text(values);
    let gimp = &functions().gimp;
    // SAFETY: GIMP copies as many bytes as it is told.
    unsafe {
        (gimp.gimp_procedural_db_set_data)(p::STYLIZE.name.as_ptr(), text.as_ptr().cast(), text.len() as u32)
    };
}
