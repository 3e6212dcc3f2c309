//! Buffers for maps, used again: taken anew each time, zeroing and their pages would cost a tenth of a picture.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

thread_local! {
    /// Those that nobody uses, the longest unused first. Networks run on one thread, which hands out the kernels' work.
    static FREE: RefCell<Vec<Vec<f32>>> = const { RefCell::new(Vec::new()) };
}

/// About as many maps as a network lets go of before it takes one of a size again.
const MOST_FREE: usize = 24;
/// A buffer is used for a map that fills at least this part of it.
const LEAST_SHARE: usize = 4;

/// Values of a map. They start as whatever was in the buffer.
pub(crate) struct Buffer {
    values: Vec<f32>,
    len: usize,
}

impl Buffer {
    pub(crate) fn new(len: usize) -> Self {
        let fits = |free: &Vec<f32>| free.len() >= len && free.len() / LEAST_SHARE <= len;
        let values = FREE.with_borrow_mut(|free| {
            let places = free.iter().enumerate().filter(|(_, free)| fits(free));
            places.min_by_key(|(_, free)| free.len()).map(|(i, _)| i).map(|i| free.remove(i))
        });
        Self { values: values.unwrap_or_else(|| vec![0.0; len]), len }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[..self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.len]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let values = std::mem::take(&mut self.values);
        // There is no pool any more when the thread ends.
        let _ = FREE.try_with(|free| {
            let mut free = free.borrow_mut();
            if free.len() == MOST_FREE {
                free.remove(0);
            }
            free.push(values);
        });
    }
}

/// Gives the memory back that this thread keeps for the next picture.
pub fn let_go() {
    FREE.with_borrow_mut(Vec::clear);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_if_it_fits() {
        fn check(what: &str, first: usize, second: usize, again: bool) {
            let_go();
            let mut buffer = Buffer::new(first);
            buffer.fill(1.0);
            drop(buffer);
            let buffer = Buffer::new(second);
            assert_eq!(buffer.len(), second, "{what}");
            assert_eq!(buffer.iter().all(|v| *v == 1.0), again, "{what}");
        }

        check("the same size", 100, 100, true);
        check("a smaller map", 100, 30, true);
        check("a much smaller one", 100, 20, false);
        check("a larger one", 100, 101, false);
    }

    #[test]
    fn few_are_kept() {
        let_go();
        drop((0..100).map(|_| Buffer::new(10)).collect::<Vec<_>>());
        assert_eq!(FREE.with_borrow(Vec::len), MOST_FREE);
        let_go();
        assert_eq!(FREE.with_borrow(Vec::len), 0);
    }
}
