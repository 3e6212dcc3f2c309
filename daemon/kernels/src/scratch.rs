//! Buffers that a thread keeps from one operation to the next: taken anew each time, their pages alone would
//! cost a tenth of a small layer.

use std::cell::RefCell;

/// What an operation's parts need them for is their own affair; they hold what the last one left there.
pub(crate) type Buffers = [Vec<f32>; 3];

/// Runs `f`, which must not call this again, with the thread's buffers.
pub(crate) fn with_buffers<T>(f: impl FnOnce(&mut Buffers) -> T) -> T {
    thread_local! {
        static BUFFERS: RefCell<Buffers> = const { RefCell::new([const { Vec::new() }; 3]) };
    }
    BUFFERS.with_borrow_mut(f)
}

/// The first `len` values of a buffer, which grows if it must.
pub(crate) fn first(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}
