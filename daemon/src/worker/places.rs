//! Who gives up a place for somebody else, and what those who wait are told.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use utsushi_ipc::protocol::{Fault, FaultKind};

use super::{Engine, Worker};
use crate::scheduler::{JobId, QueueFull};

/// How many pictures go first, as a job's session sees it.
#[derive(Debug)]
pub(super) struct Behind(AtomicU32);

/// Nobody goes first: the job is begun.
const BEGUN: u32 = u32::MAX;

impl Default for Behind {
    fn default() -> Self {
        Self(AtomicU32::new(0))
    }
}

impl Behind {
    pub(super) fn get(&self) -> Option<u32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|behind| *behind != BEGUN)
    }

    fn set(&self, behind: Option<u32>) {
        self.0.store(behind.unwrap_or(BEGUN), Ordering::Relaxed);
    }
}

impl<E: Engine> Worker<E> {
    /// Lets a job into the queue; if that is full, in the place of one whose client has kept it waiting for too long.
    pub(super) fn admit(&mut self, id: JobId) -> Result<(), QueueFull> {
        let Some(priority) = self.jobs.get(&id).map(|job| job.spec.priority()) else { return Ok(()) };
        self.scheduler.admit(id, priority).or_else(|QueueFull| {
            let unready = self.scheduler.unready_in_queue();
            let slowest = self.slowest(&unready, Instant::now()).ok_or(QueueFull)?;
            self.give_up(slowest);
            self.scheduler.admit(id, priority)
        })
    }

    /// If somebody waits for a place, ends one of those who hold one without getting on.
    pub(super) fn make_room(&mut self) {
        if let Some(slowest) = self.slowest(&self.scheduler.in_the_way(), Instant::now()) {
            self.give_up(slowest);
        }
    }

    /// When [`Self::make_room`] will have something to do if nobody says anything.
    pub(super) fn next_look(&self) -> Option<Duration> {
        let now = Instant::now();
        let in_the_way = self.scheduler.in_the_way();
        let left = in_the_way.iter().filter_map(|id| self.jobs.get(id));
        left.map(|job| self.grace.saturating_sub(job.patience.behind(now))).min()
    }

    /// Of those who are too far behind, a batch's before a person's, the one that is furthest.
    fn slowest(&self, ids: &[JobId], now: Instant) -> Option<JobId> {
        let jobs = ids.iter().filter_map(|id| Some((*id, self.jobs.get(id)?)));
        let slow = jobs.map(|(id, job)| (job.spec.priority(), job.patience.behind(now), id));
        slow.filter(|(_, behind, _)| *behind >= self.grace)
            .max_by_key(|(priority, behind, id)| (*priority, *behind, id.0))
            .map(|(_, _, id)| id)
    }

    fn give_up(&mut self, id: JobId) {
        let message = format!(
            "the picture was given up, as others wait, and its program kept it waiting for more than {} s; try again",
            self.grace.as_secs_f32()
        );
        self.fail(id, Fault::new(FaultKind::Busy, message));
    }

    /// Tells those who wait how many go first.
    pub(super) fn tell_places(&self) {
        let waiting = self.scheduler.waiting();
        for (id, job) in &self.jobs {
            let place = waiting.iter().position(|waiting| waiting == id);
            job.behind.set(place.map(|place| (place + self.scheduler.started()) as u32));
        }
    }
}
