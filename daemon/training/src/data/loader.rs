//! The next steps' batches, prepared while the present one is computed.

use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

/// A thread that prepares what later steps need, a few steps ahead. Dropping it ends the thread.
pub struct Loader<T> {
    /// `None` only while it is dropped.
    ready: Option<Receiver<T>>,
    thread: Option<JoinHandle<()>>,
    next: u64,
}

impl<T: Send + 'static> Loader<T> {
    /// Prepares `make(first)`, `make(first + 1)`, ...: `ahead` of them, and one in the making. What `make` gives may
    /// be a `Result`: what comes after an error is up to the caller.
    pub fn new(
        first: u64,
        ahead: usize,
        mut make: impl FnMut(u64) -> T + Send + 'static,
    ) -> std::io::Result<Self> {
        let (sender, ready) = sync_channel(ahead);
        let run = move || {
            let mut step = first;
            while sender.send(make(step)).is_ok() {
                step += 1;
            }
        };
        let thread = thread::Builder::new().name("loader".into()).spawn(run)?;
        Ok(Self { ready: Some(ready), thread: Some(thread), next: first })
    }

    /// The step whose batch comes next.
    pub fn step(&self) -> u64 {
        self.next
    }

    /// The next step's.
    ///
    /// # Panics
    /// With the panic of `make`, if it panicked.
    pub fn next_batch(&mut self) -> T {
        let batch = self.ready.as_ref().and_then(|ready| ready.recv().ok());
        let Some(batch) = batch else {
            let panic = self.thread.take().and_then(|thread| thread.join().err());
            std::panic::resume_unwind(panic.unwrap_or_else(|| Box::new("the loader has ended before")));
        };
        self.next += 1;
        batch
    }
}

impl<T> Drop for Loader<T> {
    fn drop(&mut self) {
        // Nobody takes from the channel any more: the thread ends after what it is making.
        self.ready = None;
        if let Some(thread) = self.thread.take() {
            // A panic in there was told of by `next_batch`, or concerns a batch that nobody wants.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn batches_come_in_order_and_not_too_many_ahead() {
        let made = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&made);
        let make = move |step| {
            count.fetch_add(1, Ordering::SeqCst);
            step * 10
        };
        let mut loader = Loader::new(5, 2, make).expect("a thread");
        assert_eq!(
            (5..25).map(|_| loader.next_batch()).collect::<Vec<_>>(),
            (5..25).map(|s| s * 10).collect::<Vec<_>>()
        );
        assert_eq!(loader.step(), 25);
        drop(loader);
        // Twenty were taken; two waited, one was being handed over.
        assert!((20..=23).contains(&made.load(Ordering::SeqCst)), "{made:?}");
    }

    #[test]
    fn it_ends_when_dropped_and_not_before() {
        let alive = Arc::new(());
        let held = Arc::clone(&alive);
        let loader = Loader::new(0, 1, move |_| Arc::clone(&held)).expect("a thread");
        drop(loader);
        assert_eq!(Arc::strong_count(&alive), 1, "the thread has ended, and its batches are gone");
    }

    #[test]
    fn errors_and_panics_reach_the_caller() {
        let make = |step| if step == 1 { Err("no picture") } else { Ok(step) };
        let mut loader = Loader::new(0, 1, make).expect("a thread");
        assert_eq!(
            (loader.next_batch(), loader.next_batch(), loader.next_batch()),
            (Ok(0), Err("no picture"), Ok(2))
        );

        let make = |step: u64| if step == 1 { std::panic::panic_any("burst") } else { step };
        let mut loader = Loader::new(0, 1, make).expect("a thread");
        assert_eq!(loader.next_batch(), 0);
        for want in ["burst", "the loader has ended before"] {
            let panic = catch_unwind(AssertUnwindSafe(|| loader.next_batch())).expect_err("a panic");
            assert_eq!(panic.downcast_ref::<&str>(), Some(&want));
        }
    }
}
