//! Shows in a dialog what the filter would make of a part of the layer. The daemon is asked anew whenever the widget
//! says that it must be drawn, which it does a moment after the last change.
//!
//! What can't be drawn is shown as it is: the words for it come when the filter itself runs.

#![allow(unsafe_code, reason = "calling C and being called by it")]

use utsushi_ipc::protocol::StyleInfo;

use crate::ffi::items::Id;
use crate::ffi::preview::{PreviewWidget, SWAPPED};
use crate::ffi::{Libraries, LoadError, Object, guarded};
use crate::filter;
use crate::host::{Layer, connect};
use crate::params::{BadValue, Settings};
use crate::region::Rect;

/// What a widget needs to be drawn; it must live as long as the widget.
pub(crate) struct Preview<'a, I: Id> {
    widget: PreviewWidget,
    layer: Layer<I>,
    styles: &'a [StyleInfo],
    settings: Box<dyn Fn() -> Result<Settings, BadValue> + 'a>,
}

impl<'a, I: Id> Preview<'a, I> {
    /// `settings` tells what the dialog says now.
    ///
    /// # Safety
    ///
    /// The libraries must be those of the GIMP that called.
    pub(crate) unsafe fn new(
        libraries: &Libraries,
        layer: Layer<I>,
        styles: &'a [StyleInfo],
        settings: impl Fn() -> Result<Settings, BadValue> + 'a,
    ) -> Result<Self, LoadError> {
        // SAFETY: the caller's promise.
        let widget = unsafe { PreviewWidget::load(libraries)? };
        Ok(Self { widget, layer, styles, settings: Box::new(settings) })
    }

    /// Draws `preview` from now on.
    ///
    /// # Safety
    ///
    /// `preview` must be a `GimpPreview` of the layer, and be destroyed before `self` is used again or dropped.
    pub(crate) unsafe fn draw_in(&mut self, preview: Object) {
        let draw: unsafe extern "C" fn(Object, Object) = invalidated::<I>;
        let this = (&raw mut *self).cast();
        // SAFETY: "invalidated" calls with the widget and the data, which the caller keeps until the widget is gone.
        unsafe {
            let connect = self.widget.g_signal_connect_data;
            connect(preview, c"invalidated".as_ptr(), draw as *const (), this, std::ptr::null_mut(), 0);
        }
    }

    /// Has `preview` drawn again when `object` sends this signal.
    ///
    /// # Safety
    ///
    /// Both must live until the dialog is destroyed; no more is passed to handlers of the signal than they can ignore.
    pub(crate) unsafe fn follow(&self, preview: Object, object: Object, signal: &std::ffi::CStr) {
        // SAFETY: the caller's promise; swapped, the widget comes first, and the rest is ignored, as C allows.
        unsafe {
            let again = self.widget.gimp_preview_invalidate as *const ();
            let null = std::ptr::null_mut();
            (self.widget.g_signal_connect_data)(object, signal.as_ptr(), again, preview, null, SWAPPED);
        }
    }

    /// # Safety
    ///
    /// `preview` must be the widget that is drawn.
    unsafe fn draw(&mut self, preview: Object) {
        let mut area = Rect::new(0, 0, 0, 0);
        // SAFETY: the widget writes the four numbers.
        unsafe {
            (self.widget.gimp_preview_get_position)(preview, &mut area.x, &mut area.y);
            (self.widget.gimp_preview_get_size)(preview, &mut area.width, &mut area.height);
        }
        let Ok(settings) = (self.settings)() else { return };
        let Some(look) = filter::preview(&mut self.layer, &settings, area, self.styles, connect) else {
            return;
        };
        // SAFETY: the widget takes rows of 8-bit samples, as many a pixel as the layer has channels, and copies them.
        unsafe { (self.widget.gimp_preview_draw_buffer)(preview, look.pixels.as_ptr(), look.row_bytes) };
    }
}

/// The widget asks to be drawn.
unsafe extern "C" fn invalidated<I: Id>(preview: Object, data: Object) {
    let drawn = guarded(|| {
        // SAFETY: `draw_in` connected this with a preview that lives as long as the widget, and that nothing else uses
        // while GTK runs.
        unsafe { (*data.cast::<Preview<'_, I>>()).draw(preview) };
    });
    if let Err(defect) = drawn {
        eprintln!("utsushi-gimp: {defect}");
    }
}
