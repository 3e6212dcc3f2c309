//! Whether it is training's turn: the worker says so, training asks before every step.

use std::{
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

/// Free at first.
#[derive(Debug, Clone, Default)]
pub struct Turn(Arc<(Mutex<bool>, Condvar)>);

impl Turn {
    /// Lets training have its turn, or asks it to wait before its next step.
    pub(super) fn set(&self, is_free: bool) {
        let (is_taken, changed) = &*self.0;
        let mut is_taken = is_taken.lock().expect("nobody panics with the lock");
        if *is_taken == is_free {
            *is_taken = !is_free;
            changed.notify_all();
        }
    }

    /// Whether pictures have it; waits, for so long at most, until that isn't `seen` any more.
    pub(crate) fn wait_for_change(&self, seen: bool, patience: Duration) -> bool {
        let (is_taken, changed) = &*self.0;
        let guard = is_taken.lock().expect("nobody panics with the lock");
        let waited = changed.wait_timeout_while(guard, patience, |is_taken| *is_taken == seen);
        *waited.expect("nobody panics with the lock").0
    }

    /// Waits for training's turn; false if it doesn't come in time.
    pub fn wait(&self, patience: Duration) -> bool {
        let (is_taken, changed) = &*self.0;
        let guard = is_taken.lock().expect("nobody panics with the lock");
        let waited = changed.wait_timeout_while(guard, patience, |is_taken| *is_taken);
        !*waited.expect("nobody panics with the lock").0
    }
}
