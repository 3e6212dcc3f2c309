//! The operation `utsushi:stylize`, as GEGL sees it: a module with two functions that GEGL looks for, and a class.
//!
//! GEGL loads the module into every process that begins with it, so that nothing is done there but to register the class
//! and to look which styles there are. What the class then does is in [`crate::operation`]; here its calls come in from C,
//! and none lets a panic out.

mod class;
mod properties;

use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr;
use std::sync::{Arc, OnceLock};

use utsushi_ipc::client::{Client, Starter};
use utsushi_ipc::paths;
use utsushi_ipc::protocol::Profile;

use self::class::{FLAGS, FilterClass, Functions, MESSAGE, ModuleInfo, TypeInfo, UNCACHED};
use super::gegl::{self, Buffer, Gegl};
use super::gimp3::TypeQuery;
use super::{Libraries, LoadError, Object, c_string, guarded};
use crate::filter::pixel_format;
use crate::operation::styles::{self, Style};
use crate::operation::{Buffers, Operation, Picture, Studio};
use crate::region::Rect;

/// The version of GEGL's modules.
const ABI_VERSION: u32 = 0x000A;
const INPUT: *const c_char = c"input".as_ptr();
const OUTPUT: *const c_char = c"output".as_ptr();

/// What GEGL and GIMP are told of the operation.
const KEYS: [(&CStr, &CStr); 9] = [
    (c"name", c"utsushi:stylize"),
    (c"title", c"Utsushi: Stylize live"),
    (c"categories", c"artistic"),
    (c"position-dependent", c"true"),
    (
        c"description",
        c"Re-draw what is below in a style that a neural network has learned. Utsushi's daemon does it, on this machine",
    ),
    (c"gimp:menu-path", c"<Image>/Filters/Utsushi"),
    (c"gimp:menu-label", c"Stylize _live…"),
    (c"reference-composition", c""),
    (c"reference-hash", c"unstable"),
];

/// What GObject calls the class.
const NAME: &CStr = c"UtsushiStylizeOperation";

static CLASS: OnceLock<Class> = OnceLock::new();

/// What there is of the class once it is registered. Its parent's part comes first in every operation, then a pointer.
struct Class {
    functions: Functions,
    gegl: Gegl,
    styles: Vec<Style>,
    studio: Studio,
    /// Where the pointer is.
    offset: usize,
    /// The parent's `finalize`, once the class is made.
    finalize: OnceLock<unsafe extern "C" fn(Object)>,
}

/// GEGL asks whether this is a module of its version.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn gegl_module_query(_module: *mut c_void) -> *const ModuleInfo {
    static INFO: ModuleInfo = ModuleInfo { abi_version: ABI_VERSION };
    &INFO
}

/// GEGL asks for what the module has.
///
/// # Safety
///
/// Only GEGL may call it, with its module.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn gegl_module_register(module: *mut c_void) -> c_int {
    // SAFETY: the caller's promise.
    let registered = guarded(|| unsafe { register(module) });
    match registered {
        Ok(Ok(())) => 1,
        Ok(Err(error)) => {
            eprintln!("utsushi: the operation for GEGL is left out: {error}");
            0
        }
        Err(defect) => {
            eprintln!("utsushi: {defect}");
            0
        }
    }
}

/// # Safety
///
/// `module` must be a `GTypeModule` that is being loaded.
unsafe fn register(module: Object) -> Result<(), LoadError> {
    if CLASS.get().is_none() {
        let libraries = Libraries::open(&gegl::LIBRARIES)?;
        // SAFETY: these are the libraries of the declarations.
        let functions = unsafe { Functions::load(libraries)? };
        // SAFETY: a name.
        if unsafe { (functions.g_type_from_name)(NAME.as_ptr()) } != 0 {
            // It is installed for the user and for all, too.
            return Ok(());
        }
        let parent = query(&functions);
        if parent.class_bytes as usize != size_of::<FilterClass>() {
            let what = format!("the class of GEGL's filters takes {} bytes", parent.class_bytes);
            return Err(LoadError::Layout { gimp: "this GEGL".into(), what });
        }
        let class = Class {
            functions,
            gegl: Gegl::open(libraries)?,
            styles: styles::installed(&paths::styles()),
            studio: Studio::new(Arc::new(connect)),
            offset: (parent.instance_bytes as usize).next_multiple_of(align_of::<Object>()),
            finalize: OnceLock::new(),
        };
        stay();
        let _ = CLASS.set(class);
    }
    let class = class();
    let too_large =
        |_| LoadError::Layout { gimp: "this GEGL".into(), what: "its operations are huge".into() };
    let instance_bytes = u16::try_from(class.offset + size_of::<Object>()).map_err(too_large)?;
    let info = TypeInfo {
        class_bytes: size_of::<FilterClass>() as u16,
        base_init: None,
        base_finalize: None,
        class_init: Some(fill_class),
        class_finalize: None,
        class_data: ptr::null(),
        instance_bytes,
        preallocated: 0,
        instance_init: Some(init),
        value_table: ptr::null(),
    };
    // SAFETY: the class is as large as the parent's, whose size was compared, and an instance holds the parent's and the
    // pointer. GObject copies the information.
    unsafe {
        let parent = (class.functions.gegl_operation_filter_get_type)();
        (class.functions.g_type_module_register_type)(module, parent, NAME.as_ptr(), &info, 0);
    }
    Ok(())
}

/// The sizes of the class that the operation's is derived from.
fn query(functions: &Functions) -> TypeQuery {
    let mut query = TypeQuery { kind: 0, name: ptr::null(), class_bytes: 0, instance_bytes: 0 };
    // SAFETY: GObject fills in the query; its name is only a pointer.
    unsafe { (functions.g_type_query)((functions.gegl_operation_filter_get_type)(), &mut query) };
    query
}

/// The file that this code was loaded from.
fn own_file() -> Option<PathBuf> {
    // SAFETY: null pointers are allowed in this struct, which is filled in.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: an address of this very code, which is nobody else's name, as `gegl_module_query` is; and a struct to be filled in; the name lives as long as the code is loaded,
    // and is copied.
    unsafe {
        let found = libc::dladdr(own_file as *const c_void, &mut info);
        if found == 0 || info.dli_fname.is_null() {
            return None;
        }
        Some(PathBuf::from(OsStr::from_bytes(CStr::from_ptr(info.dli_fname).to_bytes())))
    }
}

/// Keeps the module in memory whatever GEGL does with it: its threads may be waiting for a daemon.
fn stay() {
    use libloading::os::unix::{Library, RTLD_LAZY};
    let Some(file) = own_file() else { return };
    // SAFETY: it is loaded already, so that nothing of it runs.
    if let Ok(own) = unsafe { Library::open(Some(file), RTLD_LAZY | libc::RTLD_NODELETE) } {
        std::mem::forget(own);
    }
}

/// The daemon, started if it isn't running: `utsushi install` puts it beside the module.
fn connect() -> Result<Client, utsushi_ipc::client::ClientError> {
    let folder = own_file().and_then(|file| Some(file.parent()?.to_path_buf()));
    Client::connect_or_start(&paths::socket(), &Starter::from_environment_or(folder.as_deref()))
}

fn class() -> &'static Class {
    CLASS.get().expect("GEGL calls what was registered")
}

/// Says this once to whoever looks after the process: GIMP shows GEGL's messages to the user.
fn tell(words: &str) {
    // SAFETY: numbers of this process and of this thread.
    let is_main = unsafe { libc::gettid() == libc::getpid() };
    match CLASS.get() {
        Some(class) if is_main => {
            let words = c_string(words);
            // SAFETY: texts, the format of one text, and that text; GLib copies them.
            unsafe {
                (class.functions.g_log)(c"GEGL".as_ptr(), MESSAGE, c"%s".as_ptr(), words.as_ptr());
            }
        }
        // GIMP's messages belong to its first thread.
        _ => eprintln!("utsushi: {words}"),
    }
}

/// For callbacks that can't say what went wrong.
fn guarded_or<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    guarded(body).unwrap_or_else(|defect| {
        tell(&defect);
        fallback
    })
}

/// Leaves all signals to the threads that were there before this one. A daemon that is gone while it is written to would
/// otherwise end the process, unless that ignores it.
pub(crate) fn without_signals() {
    // SAFETY: a set that is filled before it is used; only this thread's mask changes.
    unsafe {
        let mut all: libc::sigset_t = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::pthread_sigmask(libc::SIG_BLOCK, &all, ptr::null_mut());
    }
}

/// GObject makes the class.
unsafe extern "C" fn fill_class(class: *mut FilterClass, _data: Object) {
    guarded_or((), || {
        let own = self::class();
        // SAFETY: GObject hands over the class that was registered, with its parent's content, on one thread, and nobody
        // else uses it yet. The reference ends before C is called with the class.
        unsafe {
            {
                let operation = &mut (*class).operation;
                if let Some(finalize) = operation.object.finalize {
                    let _ = own.finalize.set(finalize);
                }
                operation.object.set_property = Some(properties::set);
                operation.object.get_property = Some(properties::get);
                operation.object.finalize = Some(finalize);
                // GEGL's own cache would keep what couldn't be drawn. Blocks are found again in ours.
                operation.flags = (operation.flags & !FLAGS) | UNCACHED;
                operation.prepare = Some(prepare);
                operation.get_required_for_output = Some(required);
                operation.get_invalidated_by_change = Some(invalidated);
                (*class).process = Some(process);
            }
            properties::install(&own.functions, class, &own.styles);
            for (key, value) in KEYS {
                (own.functions.gegl_operation_class_set_key)(class, key.as_ptr(), value.as_ptr());
            }
        }
    });
}

/// Where an operation's own pointer is.
///
/// # Safety
///
/// `object` must be an instance of the class.
unsafe fn place(object: Object) -> *mut *mut Operation {
    // SAFETY: an instance has the pointer at this place, aligned.
    unsafe { object.byte_add(class().offset).cast() }
}

/// # Safety
///
/// `object` must be an instance of the class, and live as long as the reference.
unsafe fn operation<'a>(object: Object) -> &'a Operation {
    // SAFETY: `init` has made it, before anybody else had the instance, and `finalize` ends it.
    unsafe { &**place(object) }
}

/// GObject makes an operation.
unsafe extern "C" fn init(object: Object, _class: Object) {
    guarded_or((), || {
        // SAFETY: a new instance, whose pointer nobody has used.
        unsafe { place(object).write(Box::into_raw(Box::new(Operation::new()))) }
    });
}

/// GObject ends an operation.
unsafe extern "C" fn finalize(object: Object) {
    guarded_or((), || {
        // SAFETY: `init` has put it there, and nobody has the instance any more. The parent's part comes last.
        unsafe {
            drop(Box::from_raw(place(object).replace(ptr::null_mut())));
            if let Some(finalize) = class().finalize.get() {
                finalize(object);
            }
        }
    });
}

/// GEGL is going to draw: pixels are wanted as they are, where the daemon knows such.
unsafe extern "C" fn prepare(object: Object) {
    guarded_or((), || {
        let Class { functions, gegl, .. } = class();
        // SAFETY: GEGL calls with an operation that is in a graph; babl keeps its formats and spaces.
        unsafe {
            let source = (functions.gegl_operation_get_source_format)(object, INPUT);
            let known = if source.is_null() { None } else { pixel_format(&gegl.encoding(source)) };
            let format = match known {
                Some(format) => gegl.format(format, source),
                None => {
                    let space = (functions.gegl_operation_get_source_space)(object, INPUT);
                    (gegl.babl_format_with_space)(c"R'G'B'A float".as_ptr(), space)
                }
            };
            (functions.gegl_operation_set_format)(object, INPUT, format);
            (functions.gegl_operation_set_format)(object, OUTPUT, format);
        }
    });
}

/// What is below; nothing if there is nothing, or nothing of which it was said what it is.
///
/// # Safety
///
/// `object` must be an operation that is in a graph.
unsafe fn picture(object: Object) -> Option<Picture> {
    let Class { functions, gegl, .. } = class();
    // SAFETY: the caller's promise; GEGL keeps the rectangle while it is copied, and babl its formats.
    unsafe {
        let extent = (functions.gegl_operation_source_get_bounding_box)(object, INPUT);
        let format = (functions.gegl_operation_get_format)(object, OUTPUT);
        if extent.is_null() || format.is_null() {
            return None;
        }
        let profile = Profile(gegl.profile(format).into());
        Some(Picture { extent: *extent, format: pixel_format(&gegl.encoding(format))?, profile })
    }
}

/// GEGL asks what it has to have for this area.
unsafe extern "C" fn required(object: Object, _pad: *const c_char, area: *const Rect) -> Rect {
    // SAFETY: GEGL hands over a rectangle and an operation that is in a graph.
    unsafe {
        let area = *area;
        guarded_or(area, || {
            let Some(picture) = picture(object) else { return area };
            let studio = &class().studio;
            operation(object).needed_for(studio, &picture, area).unwrap_or_else(|trouble| {
                // It isn't tried again for the drawing.
                if let Some(words) = studio.words(&trouble) {
                    tell(&words);
                }
                area
            })
        })
    }
}

/// GEGL asks what changes with this area.
unsafe extern "C" fn invalidated(object: Object, _pad: *const c_char, area: *const Rect) -> Rect {
    // SAFETY: as in `required`.
    unsafe {
        let area = *area;
        guarded_or(area, || operation(object).changed_by(&class().studio, picture(object).as_ref(), area))
    }
}

/// The two buffers of a call.
struct Pair {
    input: Buffer,
    output: Buffer,
    picture: Picture,
    /// Where pixels lie aligned, should those that are handed over not be.
    spare: Vec<u32>,
}

impl Pair {
    fn is_aligned(&self, pixels: &[u8]) -> bool {
        pixels.as_ptr().addr().is_multiple_of(self.picture.format.depth.bytes())
    }

    /// Room for as many bytes.
    fn aligned(&mut self, bytes: usize) -> &mut [u8] {
        self.spare.resize(bytes.div_ceil(size_of::<u32>()), 0);
        &mut bytemuck::cast_slice_mut(&mut self.spare)[..bytes]
    }
}

impl Buffers for Pair {
    fn read(&mut self, area: Rect, pixels: &mut [u8]) {
        if self.is_aligned(pixels) {
            return self.input.read(area, 1.0, self.picture.format, pixels);
        }
        self.aligned(pixels.len());
        let aligned = &mut bytemuck::cast_slice_mut(&mut self.spare)[..pixels.len()];
        self.input.read(area, 1.0, self.picture.format, aligned);
        pixels.copy_from_slice(aligned);
    }

    fn write(&mut self, area: Rect, pixels: &[u8]) {
        if self.is_aligned(pixels) {
            return self.output.write(area, self.picture.format, pixels);
        }
        self.aligned(pixels.len()).copy_from_slice(pixels);
        let aligned = &bytemuck::cast_slice(&self.spare)[..pixels.len()];
        self.output.write(area, self.picture.format, aligned);
    }
}

/// GEGL wants this area drawn. What can't be drawn is what is below.
unsafe extern "C" fn process(
    object: Object,
    input: Object,
    output: Object,
    area: *const Rect,
    level: c_int,
) -> c_int {
    let drawn = guarded(|| {
        let class = class();
        // SAFETY: GEGL hands over an operation that is in a graph, its buffers, and a rectangle. Each buffer's reference is
        // taken for as long as it is used here.
        unsafe {
            let Some(picture) = picture(object).filter(|_| level == 0) else { return Ok(false) };
            let own = (class.functions.gegl_operation_get_format)(object, OUTPUT);
            let held = |buffer: Object| {
                if buffer.is_null() {
                    return None;
                }
                class.gegl.buffer((class.functions.g_object_ref)(buffer), own, false)
            };
            let (Some(input), Some(output)) = (held(input), held(output)) else { return Ok(false) };
            let mut pair = Pair { input, output, picture: picture.clone(), spare: Vec::new() };
            operation(object).draw(&class.studio, &picture, *area, &mut pair).map(|()| true)
        }
    });
    let words = match drawn {
        Ok(Ok(true)) => return 1,
        Ok(Ok(false)) => None,
        Ok(Err(trouble)) => CLASS.get().and_then(|class| class.studio.words(&trouble)),
        Err(defect) => Some(defect),
    };
    if let Some(words) = words {
        tell(&words);
    }
    guarded_or(0, || {
        // SAFETY: as above; 0 is GEGL_ABYSS_NONE.
        unsafe {
            if !input.is_null() && !output.is_null() {
                (class().functions.gegl_buffer_copy)(input, area, 0, output, area);
            }
        }
        1
    })
}
