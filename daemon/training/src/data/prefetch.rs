//! Batches that are ready when they are asked for.

use std::sync::{Arc, Mutex, PoisonError};

use super::{Crops, Loader};
use crate::trainer::Batches;

/// Batches of which the next steps' are prepared in the background, as long as steps are asked for in order. When
/// another is asked for, it goes on from there. What comes is the same as without it.
pub struct Prefetched {
    batches: Arc<dyn Batches>,
    ahead: usize,
    loading: Mutex<Option<Loading>>,
}

struct Loading {
    seed: u64,
    count: usize,
    size: usize,
    loader: Loader<Vec<Vec<f32>>>,
}

impl Prefetched {
    /// Prepares so many steps' batches ahead.
    pub fn new(batches: Arc<dyn Batches>, ahead: usize) -> Self {
        Self { batches, ahead, loading: Mutex::new(None) }
    }
}

impl From<Crops> for Prefetched {
    fn from(crops: Crops) -> Self {
        Self::new(Arc::new(crops), 2)
    }
}

impl Batches for Prefetched {
    fn batch(&self, seed: u64, step: u64, count: usize, size: usize) -> Vec<Vec<f32>> {
        // A panic while it was locked came from making a batch, and left the loader as one that has ended.
        let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        let is_next = |l: &Loading| (l.seed, l.count, l.size, l.loader.step()) == (seed, count, size, step);
        if let Some(next) = loading.as_mut().filter(|loading| is_next(loading)) {
            return next.loader.next_batch();
        }
        // The old thread ends before a new one begins.
        *loading = None;
        let batches = Arc::clone(&self.batches);
        let make = move |step| batches.batch(seed, step, count, size);
        // Without a thread it is only slower.
        let Ok(loader) = Loader::new(step, self.ahead, make) else {
            return self.batches.batch(seed, step, count, size);
        };
        loading.insert(Loading { seed, count, size, loader }).loader.next_batch()
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    /// Tells what was asked for; panics at step 7, the first time.
    #[derive(Default)]
    struct Echo {
        has_panicked: AtomicBool,
    }

    impl Batches for Echo {
        fn batch(&self, seed: u64, step: u64, count: usize, size: usize) -> Vec<Vec<f32>> {
            assert!(step != 7 || self.has_panicked.swap(true, Ordering::SeqCst), "step 7");
            vec![vec![seed as f32, step as f32, count as f32, size as f32]]
        }
    }

    #[test]
    fn it_gives_what_is_asked_for_in_any_order() {
        let prefetched = Prefetched::new(Arc::new(Echo::default()), 2);
        let asked =
            [(1, 0, 4, 64), (1, 1, 4, 64), (1, 2, 4, 64), (1, 2, 4, 64), (1, 1, 4, 64), (1, 2, 4, 128)];
        for (seed, step, count, size) in
            asked.into_iter().chain([(2, 3, 4, 128), (2, 4, 5, 128), (2, 5, 5, 128)])
        {
            let want = vec![vec![seed as f32, step as f32, count as f32, size as f32]];
            assert_eq!(prefetched.batch(seed, step, count, size), want);
        }
    }

    #[test]
    fn it_goes_on_after_a_panic() {
        let prefetched = Prefetched::new(Arc::new(Echo::default()), 1);
        assert_eq!(prefetched.batch(0, 6, 1, 8)[0][1], 6.0);
        catch_unwind(AssertUnwindSafe(|| prefetched.batch(0, 7, 1, 8))).expect_err("step 7 panics");
        assert_eq!(prefetched.batch(0, 8, 1, 8)[0][1], 8.0);
    }
}
