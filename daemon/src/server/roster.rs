//! Who is connected, and how many of them wait for a picture.

use std::{
    collections::HashMap,
    sync::{Condvar, Mutex, MutexGuard},
    time::Duration,
};

use utsushi_ipc::endpoint::Hangup;

/// Keeps the number of connections within its bound, waits for the busy ones, and ends them all.
pub(crate) struct Roster {
    most: usize,
    state: Mutex<State>,
    became_idle: Condvar,
}

#[derive(Default)]
struct State {
    last_key: u64,
    connected: HashMap<u64, Hangup>,
    busy: usize,
}

impl Roster {
    /// With room for this many connections.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default(), became_idle: Condvar::new() }
    }

    /// A place for a connection, if one is free.
    pub(crate) fn enter(&self, hangup: Hangup) -> Option<Seat<'_>> {
        let mut state = self.lock();
        if state.connected.len() >= self.most {
            return None;
        }
        state.last_key += 1;
        let key = state.last_key;
        state.connected.insert(key, hangup);
        Some(Seat { roster: self, key })
    }

    /// Counts a picture, for as long as the guard lives.
    pub(crate) fn begin(&self) -> Busy<'_> {
        self.lock().busy += 1;
        Busy(self)
    }

    /// Waits until no picture is left; false if that takes longer than this.
    pub(crate) fn wait_until_idle(&self, most: Duration) -> bool {
        let waited = self.became_idle.wait_timeout_while(self.lock(), most, |state| state.busy > 0);
        let (_state, result) = waited.expect("nobody panics with the lock");
        !result.timed_out()
    }

    /// Ends all connections.
    pub(crate) fn hang_up(&self) {
        self.lock().connected.values().for_each(Hangup::shutdown);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the lock")
    }
}

/// A connection's place, free again when dropped.
pub(crate) struct Seat<'a> {
    roster: &'a Roster,
    key: u64,
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.roster.lock().connected.remove(&self.key);
    }
}

/// A picture that somebody waits for.
pub(crate) struct Busy<'a>(&'a Roster);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.lock().busy -= 1;
        self.0.became_idle.notify_all();
    }
}
