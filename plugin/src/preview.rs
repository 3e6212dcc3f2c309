//! Shows in a dialog what the filter would make of a part of the layer; what happens, and when, is in `live`.
//!
//! `GimpPreview` says that it must be drawn 200 ms after it was told so. That is too late: here, every change of a
//! control is followed at once, and so is every change of place, which is found out when the widget appears anew on
//! the screen. The worker's answers come through a socket that the main loop watches, so that GTK is called on the
//! dialog's thread alone.

#![allow(unsafe_code, reason = "calling C and being called by it")]

use std::cell::{OnceCell, RefCell};
use std::ffi::{CStr, c_int, c_uint};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::rc::Rc;

use utsushi_ipc::protocol::StyleInfo;

use crate::ffi::items::Id;
use crate::ffi::preview::{PreviewWidget, READABLE};
use crate::ffi::signals::{Connected, PLAIN, SWAPPED, Signals};
use crate::ffi::{Libraries, LoadError, Object, c_string, guarded};
use crate::host::{Layer, connect};
use crate::live::{Live, MOMENT, Pace};
use crate::params::{BadValue, Settings};
use crate::region::Rect;

/// If this is set, how long each preview took is told on standard error.
const TRACE_VARIABLE: &str = "UTSUSHI_TRACE";

/// A side of the preview, in pixels, unless the layer is smaller.
const SIDE_PX: c_int = 300;

/// What a widget needs to be drawn; it must live as long as the widget.
pub(crate) struct Preview<'a, I: Id> {
    functions: PreviewWidget,
    /// The `GimpPreview`.
    widget: Object,
    /// A label for words.
    label: Object,
    live: RefCell<Live<'a, Layer<I>>>,
    settings: Box<dyn Fn() -> Result<Settings, BadValue> + 'a>,
    /// Bytes come when the worker has something.
    bell: UnixStream,
    calls: OnceCell<Calls>,
    is_traced: bool,
}

/// What calls a preview back.
struct Calls {
    _connected: Vec<Connected>,
    /// Watches the bell.
    source: c_uint,
}

/// What a preview needs of a dialog.
pub(crate) struct Widgets<'a> {
    /// A `GimpPreview` of the layer.
    pub(crate) preview: Object,
    /// A `GtkLabel` for words.
    pub(crate) label: Object,
    pub(crate) names: &'a Names,
    /// What is to be followed, and by which signals.
    pub(crate) controls: &'a [(Object, &'a CStr)],
}

/// Signals that GTK 2 and GTK 3 call otherwise.
pub(crate) struct Names {
    /// A widget appears on the screen.
    pub(crate) exposed: &'static CStr,
    /// A widget has got its style.
    pub(crate) styled: &'static CStr,
}

impl<'a, I: Id> Preview<'a, I> {
    /// Draws in `widgets` from now on; `settings` tells what the dialog says.
    ///
    /// # Safety
    ///
    /// The libraries must be those of the GIMP that called, on whose thread this is. All of the widgets must live until
    /// the preview is dropped.
    pub(crate) unsafe fn new(
        libraries: &Libraries,
        layer: Layer<I>,
        styles: &'a [StyleInfo],
        widgets: &Widgets<'_>,
        settings: impl Fn() -> Result<Settings, BadValue> + 'a,
    ) -> Result<Rc<Self>, LoadError> {
        // SAFETY: the caller's promise.
        let (functions, signals) = unsafe { (PreviewWidget::load(libraries)?, Signals::load(libraries)?) };
        let (bell, rope) = pair().map_err(LoadError::Bell)?;
        let live = Live::new(layer, styles, MOMENT, connect, move || {
            // Full of bytes that nobody has read yet, it rings just as well.
            let _ = (&rope).write(&[0]);
        });
        let preview = Rc::new(Self {
            functions,
            widget: widgets.preview,
            label: widgets.label,
            live: RefCell::new(live),
            settings: Box::new(settings),
            bell,
            calls: OnceCell::new(),
            is_traced: std::env::var_os(TRACE_VARIABLE).is_some(),
        });
        // SAFETY: the caller's promise.
        let calls = unsafe { preview.follow(&signals, widgets) };
        let _ = preview.calls.set(calls);
        Ok(preview)
    }

    /// # Safety
    ///
    /// As for `new`; what this returns must be dropped with the preview.
    unsafe fn follow(self: &Rc<Self>, signals: &Signals, widgets: &Widgets<'_>) -> Calls {
        let exposed: unsafe extern "C" fn(Object, Object, Object) -> c_int = exposed::<I>;
        let this: Object = Rc::as_ptr(self).cast_mut().cast();
        let (preview, label) = (self.widget, self.label);
        // SAFETY: the widgets live, and nothing calls back once `self` is dropped, which the callbacks only share.
        unsafe {
            let area = (self.functions.gimp_preview_get_area)(preview);
            (self.functions.gtk_label_set_line_wrap)(label, 1);
            (self.functions.gtk_widget_set_size_request)(label, SIDE_PX, -1);
            (self.functions.gtk_widget_set_no_show_all)(label, 1);

            let (invalidated, styled) = (invalidated::<I> as *const (), styled::<I> as *const ());
            let mut connected = vec![
                signals.connect(preview, widgets.names.styled, styled, this, SWAPPED),
                signals.connect(preview, c"invalidated", invalidated, this, SWAPPED),
                signals.connect(area, widgets.names.exposed, exposed as *const (), this, PLAIN),
            ];
            connected.extend(widgets.controls.iter().map(|(control, signal)| {
                signals.connect(*control, signal, changed::<I> as *const (), this, SWAPPED)
            }));
            let source = (self.functions.g_unix_fd_add)(self.bell.as_raw_fd(), READABLE, rung::<I>, this);
            Calls { _connected: connected, source }
        }
    }

    /// Makes room for a good part of the layer; with its style, the widget has made less.
    fn resize(&self) {
        let Rect { width, height, .. } = self.live.borrow().extent();
        // SAFETY: the widget lives.
        unsafe {
            let area = (self.functions.gimp_preview_get_area)(self.widget);
            (self.functions.gtk_widget_set_size_request)(area, width.min(SIDE_PX), height.min(SIDE_PX));
        }
    }

    /// What is visible, in pixels of the layer.
    fn area(&self) -> Rect {
        let mut area = Rect::new(0, 0, 0, 0);
        // SAFETY: the widget lives, and writes the four numbers.
        unsafe {
            (self.functions.gimp_preview_get_position)(self.widget, &mut area.x, &mut area.y);
            (self.functions.gimp_preview_get_size)(self.widget, &mut area.width, &mut area.height);
        }
        area
    }

    /// Has what is visible drawn, if it isn't, or isn't on its way.
    fn ask(&self) {
        let (settings, area) = ((self.settings)(), self.area());
        // SAFETY: the widget lives.
        let is_wanted = unsafe { (self.functions.gimp_preview_get_update)(self.widget) } != 0;
        let mut live = self.live.borrow_mut();
        if is_wanted {
            live.ask(settings, area);
        } else {
            live.forget();
        }
        let trouble = live.trouble().to_owned();
        drop(live);
        self.tell(&trouble);
    }

    /// Shows what was drawn of what is visible, if anything was.
    fn show(&self) -> bool {
        let live = self.live.borrow();
        let Some(look) = live.look(self.area()) else { return false };
        // SAFETY: the widget takes rows of 8-bit samples, as many a pixel as the layer has channels, and copies them.
        unsafe {
            (self.functions.gimp_preview_draw_buffer)(self.widget, look.pixels.as_ptr(), look.row_bytes)
        };
        true
    }

    /// Shows the worker's news; false if there will be no more.
    fn listen(&self) -> bool {
        let mut bytes = [0; 64];
        let is_open = loop {
            match (&self.bell).read(&mut bytes) {
                Ok(0) => break false,
                Ok(_) => {}
                Err(_) => break true,
            }
        };
        let news = self.live.borrow_mut().take();
        let Some(pace) = news else { return is_open };
        if !self.show() {
            // SAFETY: the widget lives, and shows the layer as it is.
            unsafe { (self.functions.gimp_preview_draw)(self.widget) };
        }
        let trouble = self.live.borrow().trouble().to_owned();
        self.tell(&trouble);
        if self.is_traced {
            let Pace { asked, read, engine_ms } = pace;
            let ms = |duration: std::time::Duration| duration.as_secs_f64() * 1e3;
            let Rect { x, y, width, height } = self.area();
            eprintln!(
                "utsushi-gimp: preview of {width} x {height} at {x}, {y}: {:.1} ms after the change, of these \
                 {:.1} ms to read the layer and {engine_ms:.1} ms in the engine",
                ms(asked.elapsed()),
                ms(read)
            );
        }
        is_open
    }

    /// Says this below the preview; nothing takes no room.
    fn tell(&self, words: &str) {
        let words = c_string(words);
        // SAFETY: the label lives, and copies the text; its own is compared before it changes.
        unsafe {
            if CStr::from_ptr((self.functions.gtk_label_get_text)(self.label)) != words.as_c_str() {
                (self.functions.gtk_label_set_text)(self.label, words.as_ptr());
                (self.functions.gtk_widget_set_visible)(self.label, (!words.is_empty()).into());
            }
        }
    }
}

impl<I: Id> Drop for Preview<'_, I> {
    fn drop(&mut self) {
        if let Some(Calls { source, .. }) = self.calls.get() {
            // SAFETY: the source is the one that `follow` has added.
            unsafe { (self.functions.g_source_remove)(*source) };
        }
    }
}

/// Two ends, neither of which keeps anybody waiting.
fn pair() -> io::Result<(UnixStream, UnixStream)> {
    let (bell, rope) = UnixStream::pair()?;
    bell.set_nonblocking(true)?;
    rope.set_nonblocking(true)?;
    Ok((bell, rope))
}

/// Calls back into a preview.
///
/// # Safety
///
/// `data` must be a preview that lives.
unsafe fn with<I: Id, T: Default>(data: Object, body: impl FnOnce(&Preview<'_, I>) -> T) -> T {
    // SAFETY: the caller's promise; it is only ever shared.
    guarded(|| body(unsafe { &*data.cast::<Preview<'_, I>>() })).unwrap_or_else(|defect| {
        eprintln!("utsushi-gimp: {defect}");
        T::default()
    })
}

/// A control has another value.
unsafe extern "C" fn changed<I: Id>(data: Object) {
    // SAFETY: `follow` connected this with a preview that lives as long as the controls.
    unsafe { with(data, |preview: &Preview<'_, I>| preview.ask()) };
}

/// The widget has got its style.
unsafe extern "C" fn styled<I: Id>(data: Object) {
    // SAFETY: as in `changed`.
    unsafe { with(data, |preview: &Preview<'_, I>| preview.resize()) };
}

/// The widget asks to be drawn, and has just drawn the layer as it is.
unsafe extern "C" fn invalidated<I: Id>(data: Object) {
    // SAFETY: as in `changed`.
    unsafe {
        with(data, |preview: &Preview<'_, I>| {
            preview.ask();
            preview.show()
        });
    }
}

/// The widget appears on the screen, maybe with another part of the layer.
unsafe extern "C" fn exposed<I: Id>(_area: Object, _how: Object, data: Object) -> c_int {
    // SAFETY: as in `changed`.
    unsafe { with(data, |preview: &Preview<'_, I>| preview.ask()) };
    0
}

/// The worker has something.
unsafe extern "C" fn rung<I: Id>(_bell: c_int, _condition: c_int, data: Object) -> c_int {
    // SAFETY: `follow` added this with a preview, whose end removes it.
    unsafe { with(data, |preview: &Preview<'_, I>| preview.listen()).into() }
}
