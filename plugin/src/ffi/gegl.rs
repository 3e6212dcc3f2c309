//! GEGL and babl, which are the same for every GIMP: pixels out of a drawable's buffer and into it.

use std::ffi::{CStr, c_char, c_int, c_long, c_void};
use std::ptr::{self, NonNull};
use std::sync::Once;

use utsushi_ipc::pixels::{Channels, Depth, PixelFormat};

use super::{Libraries, LoadError, Object, symbols};
use crate::region::Rect;

const _: () = assert!(size_of::<Rect>() == 16 && align_of::<Rect>() == 4);

/// A babl format; babl keeps them for ever.
pub(crate) type Babl = *const c_void;

/// `BABL_ICC_INTENT_RELATIVE_COLORIMETRIC`.
const RELATIVE: c_int = 1;

/// The libraries to open besides GIMP's own.
pub(crate) const LIBRARIES: [&str; 4] =
    ["libgegl-0.4.so.0", "libbabl-0.1.so.0", "libgobject-2.0.so.0", "libglib-2.0.so.0"];

symbols! {
    /// The functions.
    Gegl {
        gegl_init: unsafe extern "C" fn(*mut c_int, *mut c_void),
        gegl_buffer_get: unsafe extern "C" fn(Object, *const Rect, f64, Babl, *mut c_void, c_int, c_int),
        gegl_buffer_set: unsafe extern "C" fn(Object, *const Rect, c_int, Babl, *const c_void, c_int),
        gegl_buffer_flush: unsafe extern "C" fn(Object),
        gegl_buffer_get_extent: unsafe extern "C" fn(Object) -> *const Rect,
        babl_format: unsafe extern "C" fn(*const c_char) -> Babl,
        babl_fish: unsafe extern "C" fn(Babl, Babl) -> Babl,
        babl_process: unsafe extern "C" fn(Babl, *const c_void, *mut c_void, c_long) -> c_long,
        babl_space_from_icc: unsafe extern "C" fn(*const c_char, c_int, c_int, *mut *const c_char) -> Babl,
        babl_format_with_space: unsafe extern "C" fn(*const c_char, Babl) -> Babl,
        babl_format_get_space: unsafe extern "C" fn(Babl) -> Babl,
        babl_space: unsafe extern "C" fn(*const c_char) -> Babl,
        babl_space_get_icc: unsafe extern "C" fn(Babl, *mut c_int) -> *const c_char,
        babl_format_get_encoding: unsafe extern "C" fn(Babl) -> *const c_char,
        g_object_unref: unsafe extern "C" fn(Object),
    }
}

/// Has GEGL load no operations, of which none is needed, and which take longer to load than many a layer to draw.
/// Must come before anything else of the process.
pub(crate) fn without_operations() {
    // SAFETY: there is only this thread yet, as is demanded.
    unsafe { std::env::set_var("GEGL_PATH", "/nonexistent") };
}

impl Gegl {
    /// Finds the functions.
    pub(crate) fn open(libraries: &Libraries) -> Result<Self, LoadError> {
        // SAFETY: these are GEGL's, babl's and GObject's declarations, stable through their series 0.4, 0.1 and 2.0.
        unsafe { Self::load(libraries) }
    }

    /// Must come before the first buffer.
    pub(crate) fn init(&self) {
        static ONCE: Once = Once::new();
        // SAFETY: null for both is allowed.
        ONCE.call_once(|| unsafe { (self.gegl_init)(ptr::null_mut(), ptr::null_mut()) });
    }

    /// The name of a format without its colour space, as in `R'G'B'A u8`.
    ///
    /// # Safety
    ///
    /// `format` must be a babl format.
    pub(crate) unsafe fn encoding(&self, format: Babl) -> String {
        // SAFETY: the caller's promise; babl keeps the name.
        let name = unsafe { CStr::from_ptr((self.babl_format_get_encoding)(format)) };
        name.to_string_lossy().into_owned()
    }

    /// The ICC profile of a format's colours, with its gamma; empty for sRGB, and for a space that has none.
    ///
    /// # Safety
    ///
    /// `format` must be a babl format.
    pub(crate) unsafe fn profile(&self, format: Babl) -> Vec<u8> {
        // SAFETY: the caller's promise; babl keeps its spaces, and their profiles, of which it tells the length.
        unsafe {
            let space = (self.babl_format_get_space)(format);
            if space.is_null() || space == (self.babl_space)(c"sRGB".as_ptr()) {
                return Vec::new();
            }
            let mut length: c_int = 0;
            let icc = (self.babl_space_get_icc)(space, &mut length);
            match usize::try_from(length) {
                Ok(length @ 1..) if !icc.is_null() => std::slice::from_raw_parts(icc.cast(), length).to_vec(),
                _ => Vec::new(),
            }
        }
    }

    /// What babl calls such pixels, with the colour space of a format; gamma-encoded.
    ///
    /// # Safety
    ///
    /// `own` must be a babl format.
    pub(crate) unsafe fn format(&self, format: PixelFormat, own: Babl) -> Babl {
        // SAFETY: the name is one that babl knows, and the space is taken of a format, by the caller's promise.
        unsafe { (self.babl_format_with_space)(babl_name(format, false).as_ptr(), own) }
    }

    /// Turns 8-bit samples into sRGB's. Their colours are those of the profile, or of the space of the format `own` if that is
    /// empty. What is no colour space of babl's stays as it is.
    ///
    /// # Safety
    ///
    /// `own` must be a babl format.
    pub(crate) unsafe fn convert_to_srgb(
        &self,
        own: Babl,
        profile: &[u8],
        format: PixelFormat,
        pixels: &mut [u8],
    ) {
        assert_eq!(format.depth, Depth::U8, "samples for a screen");
        let count = pixels.len() / format.pixel_bytes();
        // SAFETY: the profile is read up to its length, and copied; the message, which is babl's, isn't looked at. Both
        // formats are of the same samples, so that each pixel becomes one of the same size.
        unsafe {
            let srgb = (self.babl_space)(c"sRGB".as_ptr());
            let mut message = ptr::null();
            let space = match c_int::try_from(profile.len()) {
                Ok(length @ 1..) => {
                    (self.babl_space_from_icc)(profile.as_ptr().cast(), length, RELATIVE, &mut message)
                }
                _ => (self.babl_format_get_space)(own),
            };
            if space.is_null() || space == srgb {
                return;
            }
            let name = babl_name(format, false).as_ptr();
            let with = self.babl_format_with_space;
            let (from, to) = (with(name, space), with(name, srgb));
            if from.is_null() || from == to {
                return;
            }
            let source = pixels.to_vec();
            let target = pixels.as_mut_ptr().cast();
            (self.babl_process)((self.babl_fish)(from, to), source.as_ptr().cast(), target, count as c_long);
        }
    }

    /// Takes over a reference to a buffer.
    ///
    /// # Safety
    ///
    /// `buffer` must be null, or a reference to a `GeglBuffer` that is the caller's, and `own` the format of its
    /// drawable. `is_linear`: floating-point numbers are wanted as light, and not gamma-encoded.
    pub(crate) unsafe fn buffer(&self, buffer: Object, own: Babl, is_linear: bool) -> Option<Buffer> {
        Some(Buffer { gegl: *self, buffer: NonNull::new(buffer)?, own, is_linear })
    }
}

/// A reference to the buffer of a drawable.
pub(crate) struct Buffer {
    gegl: Gegl,
    buffer: NonNull<c_void>,
    own: Babl,
    is_linear: bool,
}

impl Buffer {
    /// Where it lies.
    pub(crate) fn extent(&self) -> Rect {
        // SAFETY: the buffer lives as long as `self`, and so does its extent, which is copied.
        unsafe { *(self.gegl.gegl_buffer_get_extent)(self.buffer.as_ptr()) }
    }

    /// Reads pixels, in the colour space of the drawable; those of a copy that is smaller by `scale`, if that is below 1.
    pub(crate) fn read(&self, area: Rect, scale: f64, format: PixelFormat, pixels: &mut [u8]) {
        check_pixels(area, format, pixels);
        let format = self.format(format);
        // SAFETY: `pixels` has room for the area in this format, without gaps between rows (0), and is aligned for
        // it, both of which were checked; 0 is GEGL_ABYSS_NONE.
        unsafe {
            let pixels = pixels.as_mut_ptr().cast();
            (self.gegl.gegl_buffer_get)(self.buffer.as_ptr(), &area, scale, format, pixels, 0, 0);
        }
    }

    /// Reads a selection, as [`Self::read`] does: a byte a pixel.
    pub(crate) fn read_mask(&self, area: Rect, scale: f64) -> Vec<u8> {
        let mut mask = vec![0; area.width.max(0) as usize * area.height.max(0) as usize];
        // SAFETY: there is room for the area in this format, a byte a pixel.
        unsafe {
            let format = (self.gegl.babl_format)(c"Y u8".as_ptr());
            let pixels = mask.as_mut_ptr().cast();
            (self.gegl.gegl_buffer_get)(self.buffer.as_ptr(), &area, scale, format, pixels, 0, 0);
        }
        mask
    }

    /// Writes pixels, in the colour space of the drawable.
    pub(crate) fn write(&self, area: Rect, format: PixelFormat, pixels: &[u8]) {
        check_pixels(area, format, pixels);
        let format = self.format(format);
        // SAFETY: as in `read`; level 0 is full size.
        unsafe {
            let pixels = pixels.as_ptr().cast();
            (self.gegl.gegl_buffer_set)(self.buffer.as_ptr(), &area, 0, format, pixels, 0);
        }
    }

    /// Hands what was written to GIMP.
    pub(crate) fn flush(&self) {
        // SAFETY: the buffer lives as long as `self`.
        unsafe { (self.gegl.gegl_buffer_flush)(self.buffer.as_ptr()) }
    }

    fn format(&self, format: PixelFormat) -> Babl {
        // SAFETY: the name is one that babl knows, and `own` is a format, whose space is taken.
        unsafe { (self.gegl.babl_format_with_space)(babl_name(format, self.is_linear).as_ptr(), self.own) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the reference is ours, and given back once.
        unsafe { (self.gegl.g_object_unref)(self.buffer.as_ptr()) }
    }
}

fn check_pixels(area: Rect, format: PixelFormat, pixels: &[u8]) {
    let (width, height) = (area.width.max(0) as usize, area.height.max(0) as usize);
    assert_eq!(pixels.len(), width * height * format.pixel_bytes(), "pixels of {area:?}");
    assert!(pixels.as_ptr().addr().is_multiple_of(format.depth.bytes()), "pixels are aligned");
}

fn babl_name(format: PixelFormat, is_linear: bool) -> &'static CStr {
    match (format.channels, format.depth) {
        (Channels::Grey, Depth::F32) if is_linear => c"Y float",
        (Channels::GreyAlpha, Depth::F32) if is_linear => c"YA float",
        (Channels::Rgb, Depth::F32) if is_linear => c"RGB float",
        (Channels::Rgba, Depth::F32) if is_linear => c"RGBA float",
        (Channels::Grey, Depth::U8) => c"Y' u8",
        (Channels::Grey, Depth::U16) => c"Y' u16",
        (Channels::Grey, Depth::F32) => c"Y' float",
        (Channels::GreyAlpha, Depth::U8) => c"Y'A u8",
        (Channels::GreyAlpha, Depth::U16) => c"Y'A u16",
        (Channels::GreyAlpha, Depth::F32) => c"Y'A float",
        (Channels::Rgb, Depth::U8) => c"R'G'B' u8",
        (Channels::Rgb, Depth::U16) => c"R'G'B' u16",
        (Channels::Rgb, Depth::F32) => c"R'G'B' float",
        (Channels::Rgba, Depth::U8) => c"R'G'B'A u8",
        (Channels::Rgba, Depth::U16) => c"R'G'B'A u16",
        (Channels::Rgba, Depth::F32) => c"R'G'B'A float",
    }
}
