//! A layer in GIMP, for the filter. The same for both generations but for how they name a layer.
//!
//! What is drawn goes into a drawable's shadow, which GIMP merges under the selection, in one step to undo.

#![allow(unsafe_code, reason = "calling C")]

use std::ffi::{CStr, OsStr, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use utsushi_ipc::client::{Client, ClientError, Starter};
use utsushi_ipc::paths;
use utsushi_ipc::pixels::PixelFormat;
use utsushi_ipc::protocol::Profile;
use utsushi_ipc::status::{NOT_RUNNING, describe};

use crate::ffi::c_string;
use crate::ffi::gegl::{Buffer, Gegl};
use crate::ffi::items::{GRAY_ALPHA, Id, Items, NORMAL, Offsets, RGBA};
use crate::filter::{FilterError, Host, HostError, Rows, Target, TargetKind};
use crate::params::Output;
use crate::region::Rect;
use crate::trouble;

/// `GimpPDBStatusType`, the same in both generations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Status {
    ExecutionError = 0,
    CallingError = 1,
    Success = 3,
    Cancel = 4,
}

/// How a call ended, if not well: its status, and words for the user where there is something to say.
pub(crate) type Failure = (Status, Option<String>);

/// A failure with words.
pub(crate) fn failure(status: Status, error: &dyn std::error::Error) -> Failure {
    (status, Some(error.to_string()))
}

impl From<&FilterError> for Status {
    fn from(error: &FilterError) -> Self {
        match error {
            FilterError::Value(_) => Self::CallingError,
            _ => Self::ExecutionError,
        }
    }
}

/// The daemon, started if it isn't running.
pub(crate) fn connect() -> Result<Client, ClientError> {
    Client::connect_or_start(&paths::socket(), &Starter::from_environment())
}

/// GIMP's profile, as GIMP names it.
pub(crate) fn profile(folder: *const c_char) -> PathBuf {
    if folder.is_null() {
        return PathBuf::new();
    }
    // SAFETY: `gimp_directory` has returned it, which keeps it for ever.
    PathBuf::from(OsStr::from_bytes(unsafe { CStr::from_ptr(folder) }.to_bytes()))
}

/// How the daemon is, in words; it isn't started.
pub(crate) fn status() -> Result<String, Failure> {
    match Client::connect(&paths::socket()).and_then(|mut client| client.status()) {
        Ok(status) => Ok(describe(&status).trim_end().into()),
        Err(ClientError::NotRunning { .. }) => Ok(NOT_RUNNING.into()),
        Err(error) => Err((Status::ExecutionError, Some(trouble::describe(&error)))),
    }
}

/// A drawable that was chosen, and where it is drawn.
pub(crate) struct Layer<I: Id> {
    gegl: Gegl,
    items: Items<I>,
    offsets: Offsets<I>,
    layer: I,
    source: Option<Buffer>,
    drawing: Option<Drawing<I>>,
}

struct Drawing<I> {
    /// The layer, or a new one, which is not in the image yet.
    on: I,
    is_new: bool,
    /// Where it lies in the layer.
    place: Rect,
    shadow: Buffer,
}

impl<I: Id> Layer<I> {
    /// # Safety
    ///
    /// `layer` must name a drawable of the GIMP that called, `items` and `offsets` must be functions of this GIMP; all stay
    /// so until the plug-in returns to GIMP. Only the thread on which GIMP called may have it.
    pub(crate) unsafe fn new(gegl: Gegl, items: Items<I>, offsets: Offsets<I>, layer: I) -> Self {
        gegl.init();
        Self { gegl, items, offsets, layer, source: None, drawing: None }
    }

    fn source(&mut self) -> &Buffer {
        let is_linear = self.colours().2;
        let Self { gegl, items, layer, source, .. } = self;
        source.get_or_insert_with(|| {
            // SAFETY: `layer` is a drawable, by `new`; the buffer's reference is the caller's, thus ours.
            let buffer = unsafe {
                let own = (items.gimp_drawable_get_format)(*layer);
                gegl.buffer((items.gimp_drawable_get_buffer)(*layer), own, is_linear)
            };
            buffer.expect("a drawable has a buffer")
        })
    }

    /// What its samples are, the ICC profile of its colours, if they aren't sRGB, and whether that tells of light where
    /// the samples are light.
    fn colours(&self) -> (String, Vec<u8>, bool) {
        // SAFETY: `layer` is a drawable, by `new`, and its image is there.
        unsafe {
            let format = (self.items.gimp_drawable_get_format)(self.layer);
            let encoding = self.gegl.encoding(format);
            if I::HAS_SPACES {
                return (encoding, self.gegl.profile(format), false);
            }
            // Here babl takes everything for sRGB, and what the samples are, the image's profile says.
            let profile = self.image_profile();
            let is_linear = !profile.is_empty() && !encoding.contains('\'');
            (encoding, profile, is_linear)
        }
    }

    /// The profile that the image was given; empty without.
    fn image_profile(&self) -> Vec<u8> {
        // SAFETY: `layer` is an item of an image. The profile's reference is ours, and given back once its bytes, whose
        // number it tells, are copied.
        unsafe {
            let image = (self.items.gimp_item_get_image)(self.layer);
            let profile = (self.items.gimp_image_get_color_profile)(image);
            if profile.is_null() {
                return Vec::new();
            }
            let mut length = 0;
            let icc = (self.items.gimp_color_profile_get_icc_profile)(profile, &mut length);
            let icc =
                if icc.is_null() { Vec::new() } else { std::slice::from_raw_parts(icc, length).to_vec() };
            (self.gegl.g_object_unref)(profile);
            icc
        }
    }

    fn kind(&self) -> TargetKind {
        let Items {
            gimp_item_is_layer_mask,
            gimp_item_is_layer,
            gimp_item_is_group,
            gimp_drawable_is_indexed,
            gimp_item_get_lock_content,
            gimp_layer_is_floating_sel,
            ..
        } = self.items;
        // SAFETY: `layer` is a drawable, by `new`, thus an item; what is asked of layers alone is asked of layers.
        unsafe {
            if gimp_item_is_layer_mask(self.layer) != 0 {
                TargetKind::Mask
            } else if gimp_item_is_layer(self.layer) == 0 {
                TargetKind::Channel
            } else if gimp_item_is_group(self.layer) != 0 {
                TargetKind::Group
            } else if gimp_drawable_is_indexed(self.layer) != 0 {
                TargetKind::Indexed
            } else if gimp_item_get_lock_content(self.layer) != 0 {
                TargetKind::Locked
            } else if gimp_layer_is_floating_sel(self.layer) != 0 {
                TargetKind::FloatingSelection
            } else {
                TargetKind::Layer
            }
        }
    }

    /// A new layer for this part of the layer: plain, with nothing on it, and not in the image yet.
    fn new_layer(&self, area: Rect) -> I {
        // SAFETY: `layer` is an item of an image; GIMP copies the name, and writes two numbers.
        unsafe {
            let image = (self.items.gimp_item_get_image)(self.layer);
            let is_grey = (self.items.gimp_drawable_is_gray)(self.layer) != 0;
            let kind = if is_grey { GRAY_ALPHA } else { RGBA };
            let (width, height) = (area.width, area.height);
            let name = c"Utsushi".as_ptr();
            let layer = (self.items.gimp_layer_new)(image, name, width, height, kind, 100.0, NORMAL);
            if layer.exists() {
                let (mut x, mut y) = (0, 0);
                (self.offsets)(self.layer, &mut x, &mut y);
                (self.items.gimp_layer_set_offsets)(layer, x + area.x, y + area.y);
            }
            layer
        }
    }

    /// Puts the new layer into the image, right above the layer.
    fn insert(&self, new: I, name: &str) -> Result<(), HostError> {
        // SAFETY: `layer` and `new` are layers; GIMP copies the name that it is given, and the one that it gives is
        // ours, to be freed once.
        let inserted = unsafe {
            let own_name = (self.items.gimp_item_get_name)(self.layer);
            if !own_name.is_null() {
                let name = format!("{} ({name})", CStr::from_ptr(own_name).to_string_lossy());
                (self.items.gimp_item_set_name)(new, c_string(&name).as_ptr());
                (self.items.g_free)(own_name.cast());
            }
            let image = (self.items.gimp_item_get_image)(self.layer);
            let parent = (self.items.gimp_item_get_parent)(self.layer);
            let position = (self.items.gimp_image_get_item_position)(image, self.layer);
            (self.items.gimp_image_insert_layer)(image, new, parent, position)
        };
        if inserted == 0 { Err(HostError("add a layer to the image")) } else { Ok(()) }
    }

    /// Adding the new layer and drawing on it are one step to undo.
    fn finish_new(&self, drawing: &Drawing<I>, name: &str) -> Result<(), HostError> {
        let Rect { width, height, .. } = drawing.place;
        // SAFETY: `layer` is an item of an image, in which the new one is once it was inserted. The group is ended.
        unsafe {
            let image = (self.items.gimp_item_get_image)(self.layer);
            (self.items.gimp_image_undo_group_start)(image);
            let finished = match self.insert(drawing.on, name) {
                Ok(()) => self.merge(drawing, Rect::new(0, 0, width, height)).inspect_err(|_| {
                    (self.items.gimp_image_remove_layer)(image, drawing.on);
                }),
                Err(error) => {
                    (self.items.gimp_item_delete)(drawing.on);
                    Err(error)
                }
            };
            (self.items.gimp_image_undo_group_end)(image);
            finished
        }
    }

    fn merge(&self, drawing: &Drawing<I>, area: Rect) -> Result<(), HostError> {
        // SAFETY: a drawable of an image; 1 asks for a step to undo.
        unsafe {
            if (self.items.gimp_drawable_merge_shadow)(drawing.on, 1) == 0 {
                return Err(HostError("put what was drawn into the layer"));
            }
            (self.items.gimp_drawable_update)(drawing.on, area.x, area.y, area.width, area.height);
        }
        Ok(())
    }
}

impl<I: Id> Rows for Layer<I> {
    fn read(&mut self, area: Rect, scale: f64, format: PixelFormat, pixels: &mut [u8]) {
        self.source().read(area, scale, format, pixels);
    }

    fn write(&mut self, area: Rect, format: PixelFormat, pixels: &[u8]) {
        let drawing = self.drawing.as_ref().expect("the filter begins first");
        let area = Rect { x: area.x - drawing.place.x, y: area.y - drawing.place.y, ..area };
        drawing.shadow.write(area, format, pixels);
    }

    fn progress(&mut self, fraction: f64) {
        // SAFETY: a number.
        unsafe { (self.items.gimp_progress_update)(fraction) };
    }

    fn announce(&mut self, what: &str) {
        // SAFETY: GIMP copies the text.
        unsafe { (self.items.gimp_progress_init)(c_string(what).as_ptr()) };
    }
}

impl<I: Id> Host for Layer<I> {
    fn target(&mut self) -> Target {
        let kind = self.kind();
        let extent = self.source().extent();
        let (encoding, profile, is_linear) = self.colours();
        Target { kind, extent, encoding, profile: Profile(profile.into()), is_linear }
    }

    fn selection(&mut self) -> Option<Rect> {
        let mut area = Rect::new(0, 0, 0, 0);
        let Rect { x, y, width, height } = &mut area;
        // SAFETY: `layer` is a drawable, by `new`; GIMP writes the four numbers.
        let some = unsafe { (self.items.gimp_drawable_mask_intersect)(self.layer, x, y, width, height) };
        (some != 0 && area.width > 0 && area.height > 0).then_some(area)
    }

    fn mask(&mut self, area: Rect, scale: f64) -> Option<Vec<u8>> {
        let (mut x, mut y) = (0, 0);
        // SAFETY: `layer` is an item of an image, whose selection is a drawable. GIMP writes two numbers, and the buffer's
        // reference is ours.
        let selection = unsafe {
            let image = (self.items.gimp_item_get_image)(self.layer);
            if (self.items.gimp_selection_is_empty)(image) != 0 {
                return None;
            }
            (self.offsets)(self.layer, &mut x, &mut y);
            let selection = (self.items.gimp_image_get_selection)(image);
            let own = (self.items.gimp_drawable_get_format)(selection);
            self.gegl.buffer((self.items.gimp_drawable_get_buffer)(selection), own, true)?
        };
        let [x, y] = [x, y].map(|px| (f64::from(px) * scale).round() as i32);
        Some(selection.read_mask(Rect { x: area.x + x, y: area.y + y, ..area }, scale))
    }

    fn look_again(&mut self) {
        self.source = None;
    }

    fn show(&self, format: PixelFormat, pixels: &mut [u8]) {
        let profile = if I::HAS_SPACES { Vec::new() } else { self.image_profile() };
        // SAFETY: `layer` is a drawable, by `new`.
        unsafe {
            let own = (self.items.gimp_drawable_get_format)(self.layer);
            self.gegl.convert_to_srgb(own, &profile, format, pixels);
        }
    }

    fn begin(&mut self, output: Output, area: Rect) -> Result<(), HostError> {
        let is_new = output == Output::NewLayer;
        let place = if is_new { area } else { Rect::new(0, 0, area.width, area.height) };
        // SAFETY: the filter begins with layers only. GIMP gives the shadow's reference to the caller.
        let (on, shadow) = unsafe {
            let on = if is_new { self.new_layer(area) } else { self.layer };
            if !on.exists() {
                return Err(HostError("make a new layer"));
            }
            let own = (self.items.gimp_drawable_get_format)(on);
            let is_linear = self.colours().2;
            (on, self.gegl.buffer((self.items.gimp_drawable_get_shadow_buffer)(on), own, is_linear))
        };
        let shadow = shadow.ok_or(HostError("make room to draw on"))?;
        self.drawing = Some(Drawing { on, is_new, place, shadow });
        Ok(())
    }

    fn finish(&mut self, area: Rect, name: &str) -> Result<(), HostError> {
        let drawing = self.drawing.take().expect("the filter begins first");
        drawing.shadow.flush();
        self.source = None;
        let finished = if drawing.is_new {
            self.finish_new(&drawing, name)
        } else {
            let merged = self.merge(&drawing, area);
            if merged.is_err() {
                self.drawing = Some(drawing);
                self.abandon();
            }
            merged
        };
        // SAFETY: it has no arguments. Without it an interactive run leaves the window as it was.
        unsafe { (self.items.gimp_displays_flush)() };
        finished
    }

    fn abandon(&mut self) {
        let Some(Drawing { on, is_new, shadow, .. }) = self.drawing.take() else { return };
        drop(shadow);
        // SAFETY: `on` is a drawable; a new layer is not in the image yet, and not used any more.
        unsafe {
            if is_new {
                (self.items.gimp_item_delete)(on);
            } else {
                (self.items.gimp_drawable_free_shadow)(on);
            }
        }
    }
}
