//! Who is connected, who of them is idle, and how many wait for a picture.
//!
//! When all places are taken, the connection that has been idle for longest gives way to a new one. Its client is told,
//! and will find a place again as any other when it has something to ask.

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
    /// Counts what happens: connections are named by it, and told apart by how long they have been idle.
    clock: u64,
    connected: HashMap<u64, Entry>,
    busy: usize,
}

struct Entry {
    hangup: Hangup,
    /// Since when the daemon owes it nothing.
    idle_since: Option<u64>,
    /// It was told to give way, and has no place any more.
    is_leaving: bool,
}

impl State {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn staying(&self) -> usize {
        self.connected.values().filter(|entry| !entry.is_leaving).count()
    }
}

impl Roster {
    /// With room for this many connections.
    pub(crate) fn new(most: usize) -> Self {
        Self { most, state: Mutex::default(), became_idle: Condvar::new() }
    }

    /// A place for a connection, if one is free, or held by somebody idle.
    pub(crate) fn enter(&self, hangup: Hangup) -> Option<Seat<'_>> {
        let mut state = self.lock();
        if state.staying() >= self.most {
            let idle = state.connected.values_mut().filter(|entry| !entry.is_leaving);
            let longest =
                idle.filter(|entry| entry.idle_since.is_some()).min_by_key(|entry| entry.idle_since)?;
            longest.is_leaving = true;
            longest.hangup.stop_reading();
        }
        let key = state.tick();
        state.connected.insert(key, Entry { hangup, idle_since: Some(key), is_leaving: false });
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
        self.lock().connected.values().for_each(|entry| entry.hangup.shutdown());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with the lock")
    }
}

/// A connection's place, free again when dropped. It begins idle: who hasn't asked for anything isn't owed anything.
pub(crate) struct Seat<'a> {
    roster: &'a Roster,
    key: u64,
}

impl Seat<'_> {
    /// The client has its answer, and may be silent for as long as it likes, or until somebody else needs the place.
    pub(crate) fn rest(&self) {
        let mut state = self.roster.lock();
        let now = state.tick();
        self.entry(&mut state, |entry| entry.idle_since = Some(now));
    }

    /// The client has asked for something. False if it has given way already.
    pub(crate) fn work(&self) -> bool {
        let mut state = self.roster.lock();
        self.entry(&mut state, |entry| entry.idle_since = None);
        !state.connected.get(&self.key).is_some_and(|entry| entry.is_leaving)
    }

    /// Has it given way to another?
    pub(crate) fn is_leaving(&self) -> bool {
        self.roster.lock().connected.get(&self.key).is_some_and(|entry| entry.is_leaving)
    }

    fn entry(&self, state: &mut State, change: impl FnOnce(&mut Entry)) {
        if let Some(entry) = state.connected.get_mut(&self.key) {
            change(entry);
        }
    }
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
