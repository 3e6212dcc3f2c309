//! Buffers for maps, used again: taken anew each time, zeroing and their pages would cost a tenth of a picture.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};

use utsushi_kernels::give_memory_back;

/// Those of all networks.
static FREE: Pool = Pool(Mutex::new(Vec::new()));

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
        let mut values = FREE.take(len);
        if values.len() < len {
            values.resize(len, 0.0);
        }
        Self { values, len }
    }
}

/// An empty vector with room for so many values.
pub(crate) fn room(len: usize) -> Vec<f32> {
    let mut values = FREE.take(len);
    values.clear();
    values
}

/// Keeps a vector's room for another.
pub(crate) fn keep(values: Vec<f32>) {
    FREE.keep(values);
}

/// Gives the memory back to the system that is kept for the next picture, by this pool and by the allocator. The latter
/// keeps some for each thread that draws, which must give it back itself.
pub fn let_go() {
    FREE.lock().clear();
    rayon::broadcast(|_| give_memory_back());
    give_memory_back();
}

/// Vectors that nobody uses, the longest unused first.
struct Pool(Mutex<Vec<Vec<f32>>>);

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Vec<Vec<f32>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The smallest that has room, or a new one.
    fn take(&self, len: usize) -> Vec<f32> {
        let mut free = self.lock();
        let has_room = |values: &Vec<f32>| values.capacity() >= len && values.capacity() / LEAST_SHARE <= len;
        // Of those as large, the one that was used last: it may still be in the processor's cache.
        let places = free.iter().enumerate().rev().filter(|(_, values)| has_room(values));
        let place = places.min_by_key(|(_, values)| values.capacity()).map(|(i, _)| i);
        place.map(|i| free.remove(i)).unwrap_or_else(|| Vec::with_capacity(len))
    }

    fn keep(&self, values: Vec<f32>) {
        if values.capacity() == 0 {
            return;
        }
        let mut free = self.lock();
        if free.len() == MOST_FREE {
            free.remove(0);
        }
        free.push(values);
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
        keep(std::mem::take(&mut self.values));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_is_used_again_if_it_fits() {
        fn check(what: &str, first: usize, second: usize, again: bool) {
            let pool = Pool(Mutex::default());
            let values = Vec::with_capacity(first);
            let place = values.as_ptr();
            pool.keep(values);
            let values = pool.take(second);
            assert!(values.capacity() >= second, "{what}");
            assert_eq!(values.as_ptr() == place, again, "{what}");
        }

        check("the same size", 100, 100, true);
        check("a smaller one", 100, 30, true);
        check("a much smaller one", 100, 20, false);
        check("a larger one", 100, 101, false);
    }

    #[test]
    fn the_last_used_and_few_are_kept() {
        let pool = Pool(Mutex::default());
        let vectors: Vec<_> = (0..100).map(|_| Vec::with_capacity(10)).collect();
        let last = vectors[99].as_ptr();
        vectors.into_iter().for_each(|values| pool.keep(values));
        pool.keep(Vec::new());
        assert_eq!(pool.lock().len(), MOST_FREE);
        let values = pool.take(10);
        assert_eq!(values.as_ptr(), last);
    }

    #[test]
    fn a_buffer_is_as_long_as_was_asked_for() {
        for len in [7, 100, 0, 3, 50] {
            let mut buffer = Buffer::new(len);
            buffer.fill(1.0);
            assert_eq!(buffer.len(), len);
        }
    }
}
