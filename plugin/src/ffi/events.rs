//! GTK's signals as closures.

use std::ffi::{CStr, c_int, c_ulong, c_void};

use super::canvas::Canvas;
use super::gtk::{ButtonEvent, KeyEvent, PointerEvent, ScrollEvent};
use super::widgets::{Own, Ui, Widget};
use super::{Object, guarded};

/// `G_CONNECT_SWAPPED`: the callback gets its data first, and can leave out whatever follows, as C allows.
const SWAPPED: c_int = 2;

/// What a person does with the pointer or the keyboard. Places are in pixels from the widget's top left corner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event {
    Press {
        x: f64,
        y: f64,
        button: u32,
        is_double: bool,
    },
    Release {
        x: f64,
        y: f64,
    },
    Motion {
        x: f64,
        y: f64,
    },
    /// Up, or away from the person.
    ScrollUp {
        x: f64,
        y: f64,
    },
    ScrollDown {
        x: f64,
        y: f64,
    },
    /// A key, by GDK's number, and whether Shift was held.
    Key {
        key: u32,
        with_shift: bool,
    },
    Other,
}

/// A connected signal; it is disconnected when this is dropped.
pub(crate) struct Connected {
    object: Widget,
    handler: c_ulong,
}

impl Drop for Connected {
    fn drop(&mut self) {
        // SAFETY: the object lives, and the handler is disconnected once.
        unsafe { (self.object.ui.gtk().g_signal_handler_disconnect)(self.object.raw(), self.handler) };
    }
}

type Plain = Box<dyn Fn()>;
type Eventful = Box<dyn Fn(Event) -> bool>;
type Painter = (Ui, Box<dyn Fn(&Canvas)>);

impl Widget {
    /// Calls back on a signal without a return value, as long as the widget isn't destroyed.
    pub(crate) fn on(&self, signal: &CStr, call: impl Fn() + 'static) {
        let call: Plain = Box::new(call);
        // SAFETY: `plain` takes such data.
        unsafe { self.connect(signal, plain as *const (), call) };
    }

    /// The same, but only as long as what it returns is held.
    pub(crate) fn on_while(&self, signal: &CStr, call: impl Fn() + 'static) -> Connected {
        let call: Plain = Box::new(call);
        // SAFETY: `plain` takes such data.
        let handler = unsafe { self.connect(signal, plain as *const (), call) };
        Connected { object: self.clone(), handler }
    }

    /// Calls back on a signal of an event; true ends the event there.
    pub(crate) fn on_event(&self, signal: &CStr, call: impl Fn(Event) -> bool + 'static) {
        let call: Eventful = Box::new(call);
        // SAFETY: `eventful` takes such data; the signal is one of those that have an event, as all of GTK's ending in
        // `-event` do.
        unsafe { self.connect(signal, eventful as *const (), call) };
    }

    /// Calls back to have a drawing area drawn.
    pub(crate) fn on_draw(&self, call: impl Fn(&Canvas) + 'static) {
        let painter: Painter = (self.ui, Box::new(call));
        let signal = if matches!(self.ui.functions.own, Own::Two(_)) { c"expose-event" } else { c"draw" };
        // SAFETY: `paint` takes such data.
        unsafe { self.connect(signal, paint as *const (), painter) };
    }

    /// # Safety
    ///
    /// `callback` must be one for this signal, swapped, with data of this type.
    unsafe fn connect<T: 'static>(&self, signal: &CStr, callback: *const (), data: T) -> c_ulong {
        let data: *mut T = Box::into_raw(Box::new(data));
        let connect = self.ui.gtk().g_signal_connect_data;
        // SAFETY: the object lives. GObject hands the data to `forget` once, when nothing calls back any more.
        unsafe { connect(self.raw(), signal.as_ptr(), callback, data.cast(), forget::<T>, SWAPPED) }
    }
}

unsafe extern "C" fn plain(call: *mut Plain) {
    // SAFETY: `connect` made it, and it lives as long as the connection.
    report(guarded(|| unsafe { (*call)() }));
}

unsafe extern "C" fn eventful(call: *mut Eventful, event: *const c_void) -> c_int {
    // SAFETY: as in `plain`; GTK hands over an event.
    let ended = guarded(|| unsafe { (*call)(read(event)) });
    report(ended).unwrap_or(false).into()
}

/// GTK 2 hands over an event, GTK 3 the cairo to draw with, then both the widget.
unsafe extern "C" fn paint(painter: *mut Painter, what: Object, area: Object) -> c_int {
    report(guarded(|| {
        // SAFETY: `connect` made the painter, and it lives as long as the connection. GTK hands over the widget, which is on
        // the screen, and GTK 3 a cairo for this call.
        unsafe {
            let (ui, call) = &*painter;
            Canvas::with(&ui.shared(area), what, call);
        }
    }));
    0
}

/// For `g_unix_fd_add`: goes on watching.
pub(super) unsafe extern "C" fn readable(_descriptor: c_int, _condition: c_int, call: Object) -> c_int {
    // SAFETY: `on_readable` made it, and it lives as long as the source.
    report(guarded(|| unsafe { (*call.cast::<Plain>())() }));
    1
}

/// GObject is done with the data.
unsafe extern "C" fn forget<T>(data: Object, _closure: Object) {
    // SAFETY: `connect` made it of this type, and this is called once.
    report(guarded(|| drop(unsafe { Box::from_raw(data.cast::<T>()) })));
}

fn report<T>(ended: Result<T, String>) -> Option<T> {
    ended.inspect_err(|defect| eprintln!("utsushi-gimp: {defect}")).ok()
}

/// # Safety
///
/// It must be a `GdkEvent`.
unsafe fn read(event: *const c_void) -> Event {
    // SAFETY: every event begins with its type, which tells what else it is. The numbers of the types, and of directions and
    // modifiers below, are those of both GTKs.
    unsafe {
        let place = |event: &PointerEvent| (event.x, event.y);
        match *event.cast::<c_int>() {
            3 => {
                let (x, y) = place(&*event.cast());
                Event::Motion { x, y }
            }
            kind @ (4 | 5) => {
                let ButtonEvent { pointer, button, .. } = &*event.cast();
                Event::Press { x: pointer.x, y: pointer.y, button: *button, is_double: kind == 5 }
            }
            7 => {
                let (x, y) = place(&*event.cast());
                Event::Release { x, y }
            }
            8 => {
                let KeyEvent { state, key, .. } = &*event.cast();
                Event::Key { key: *key, with_shift: state & 1 != 0 }
            }
            31 => {
                let ScrollEvent { pointer: PointerEvent { x, y, .. }, direction, .. } = &*event.cast();
                match direction {
                    0 => Event::ScrollUp { x: *x, y: *y },
                    1 => Event::ScrollDown { x: *x, y: *y },
                    _ => Event::Other,
                }
            }
            _ => Event::Other,
        }
    }
}
