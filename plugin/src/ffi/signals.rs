//! GObject's signals, connected for as long as somebody holds on to them.

use std::ffi::{CStr, c_char, c_int, c_ulong};
use std::ptr;

use super::{Object, symbols};

/// The callback gets the object first, as usual.
pub(crate) const PLAIN: c_int = 0;
/// `G_CONNECT_SWAPPED`: the callback gets the data first.
pub(crate) const SWAPPED: c_int = 2;

symbols! {
    /// The functions.
    Signals {
        g_signal_connect_data: unsafe extern "C" fn(
            Object, *const c_char, *const (), Object, Object, c_int,
        ) -> c_ulong,
        g_signal_handler_disconnect: unsafe extern "C" fn(Object, c_ulong),
    }
}

/// A connected signal; it is disconnected when this is dropped.
pub(crate) struct Connected {
    signals: Signals,
    object: Object,
    handler: c_ulong,
}

impl Signals {
    /// # Safety
    ///
    /// `callback` must be a function that the signal can call with the data, in the order that `flags` say; what it
    /// leaves out at the end is ignored, as C allows. The data must live, and the object too, until what this returns
    /// is dropped.
    pub(crate) unsafe fn connect(
        &self,
        object: Object,
        signal: &CStr,
        callback: *const (),
        data: Object,
        flags: c_int,
    ) -> Connected {
        let connect = self.g_signal_connect_data;
        // SAFETY: the caller's promise.
        let handler = unsafe { connect(object, signal.as_ptr(), callback, data, ptr::null_mut(), flags) };
        Connected { signals: *self, object, handler }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        // SAFETY: the object lives, as `connect` was promised, and the handler is disconnected once.
        unsafe { (self.signals.g_signal_handler_disconnect)(self.object, self.handler) };
    }
}
