//! Which picture is worked on next: pure policy, without threads, clocks or pixels.
//!
//! - People go first: an interactive job comes before every batch job, at the next band of whatever runs.
//! - Among equals, first come is first served.
//! - A job is chosen only while it is *ready*: it has rows to work on and its client has room for the result.
//!   A client that stalls therefore holds up nobody but itself.
//! - A job that was worked on once is *started*. Started jobs hold the engine's state, so that their number is
//!   bounded, and some of the places are kept from batch jobs, so that a person finds one free.
//! - A job for which there is no memory beside the started ones waits until one of all jobs has gone. Others that come
//!   after it may find room meanwhile.
//! - A started job that isn't ready gives up its place to one that is, and can't start for want of a place, once its
//!   client has been too slow; how slow that is, the caller measures.
//! - The queue of the others is bounded too; beyond it, jobs are turned away.
//! - Training comes last: a step of it may begin only while there is no job at all, not even one whose client stalls,
//!   since its next rows may come at any moment.

use std::time::Duration;

use utsushi_ipc::protocol::Priority;

/// Names a job for as long as the daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct JobId(pub u64);

/// How many jobs are held at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Jobs that wait for their first turn.
    pub queued: usize,
    /// Started jobs.
    pub started: usize,
    /// Started jobs that are [`Priority::Batch`]; fewer than [`Limits::started`].
    pub started_batch: usize,
    /// How far a job's client may be behind before it loses its place to somebody who waits.
    pub grace: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queued: 32, started: 8, started_batch: 4, grace: Duration::from_secs(5) }
    }
}

/// The queue has no place left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueFull;

/// The jobs, in the order in which they came.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    jobs: Vec<Job>,
}

#[derive(Debug)]
struct Job {
    id: JobId,
    priority: Priority,
    is_started: bool,
    is_ready: bool,
    is_put_off: bool,
}

impl Scheduler {
    /// Without jobs.
    pub fn new(limits: Limits) -> Self {
        Self { limits, jobs: Vec::new() }
    }

    /// Puts a job at the end of the queue, not yet ready.
    pub fn admit(&mut self, id: JobId, priority: Priority) -> Result<(), QueueFull> {
        if self.queued() >= self.limits.queued {
            return Err(QueueFull);
        }
        self.jobs.push(Job { id, priority, is_started: false, is_ready: false, is_put_off: false });
        Ok(())
    }

    /// Says whether the job has rows to work on and room for its result. Unknown jobs are ignored: they may
    /// have been removed while the news was on its way.
    pub fn set_ready(&mut self, id: JobId, is_ready: bool) {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) {
            job.is_ready = is_ready;
        }
    }

    /// Chooses the job whose turn it is, and marks it as started.
    pub fn choose(&mut self) -> Option<JobId> {
        let (index, _) = self
            .jobs
            .iter()
            .enumerate()
            .filter(|(_, job)| {
                job.is_ready && (job.is_started || (!job.is_put_off && self.has_place(job.priority)))
            })
            .min_by_key(|(index, job)| (job.priority, *index))?;
        self.jobs[index].is_started = true;
        Some(self.jobs[index].id)
    }

    /// Has a job that was chosen, and couldn't begin, wait until one of all jobs is removed.
    pub fn put_off(&mut self, id: JobId) {
        if let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) {
            (job.is_started, job.is_put_off) = (false, true);
        }
    }

    /// The started jobs of which one has to go so that a job can start that is ready and has no place, or no memory; none
    /// if there is no such job.
    pub fn in_the_way(&self) -> Vec<JobId> {
        let has_place = |job: &Job| !job.is_put_off && self.has_place(job.priority);
        let wants = |job: &&Job| job.is_ready && !job.is_started && !has_place(job);
        let Some(priority) = self.jobs.iter().filter(wants).map(|job| job.priority).min() else {
            return Vec::new();
        };
        let is_for_people = self.started_batch() >= self.limits.started_batch;
        // A place that a batch may not have is of no use to it.
        let helps = |job: &&Job| {
            priority == Priority::Interactive || !is_for_people || job.priority == Priority::Batch
        };
        self.jobs
            .iter()
            .filter(|job| job.is_started && !job.is_ready)
            .filter(helps)
            .map(|job| job.id)
            .collect()
    }

    /// The jobs in the queue whose clients owe their first rows.
    pub fn unready_in_queue(&self) -> Vec<JobId> {
        self.jobs.iter().filter(|job| !job.is_started && !job.is_ready).map(|job| job.id).collect()
    }

    fn has_place(&self, priority: Priority) -> bool {
        self.started() < self.limits.started
            && (priority == Priority::Interactive || self.started_batch() < self.limits.started_batch)
    }

    /// Forgets a job that is finished, failed or cancelled.
    pub fn remove(&mut self, id: JobId) {
        self.jobs.retain(|job| job.id != id);
        self.jobs.iter_mut().for_each(|job| job.is_put_off = false);
    }

    /// May a step of a training begin?
    pub fn may_train(&self) -> bool {
        self.jobs.is_empty()
    }

    /// Jobs that were worked on already.
    pub fn started(&self) -> usize {
        self.jobs.iter().filter(|job| job.is_started).count()
    }

    /// Jobs that wait for their first turn.
    pub fn queued(&self) -> usize {
        self.jobs.len() - self.started()
    }

    /// The jobs that wait for their first turn, in the order in which they will have it.
    pub fn waiting(&self) -> Vec<JobId> {
        let mut waiting: Vec<&Job> = self.jobs.iter().filter(|job| !job.is_started).collect();
        // Stable, so that among equals who came first goes first.
        waiting.sort_by_key(|job| job.priority);
        waiting.into_iter().map(|job| job.id).collect()
    }

    fn started_batch(&self) -> usize {
        self.jobs.iter().filter(|job| job.is_started && job.priority == Priority::Batch).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { queued: 3, started: 3, started_batch: 2, grace: Duration::ZERO };

    /// Plays a script, a word an event:
    /// `i1` `b2` an interactive or batch job comes, ready; `i1-` comes, not ready; `i1!` comes and is refused;
    /// `+1` `-1` becomes ready or not; `x1` goes; `=1` is next; `p1` is put off; `=0` nobody is; `t0` `t1` training may not,
    /// or may; `>12` these are in the way, `>` nobody is.
    fn check(script: &str) {
        let mut scheduler = Scheduler::new(LIMITS);
        for word in script.split_whitespace() {
            if let Some(digits) = word.strip_prefix('>') {
                let expected: Vec<JobId> =
                    digits.bytes().map(|digit| JobId(u64::from(digit - b'0'))).collect();
                assert_eq!(scheduler.in_the_way(), expected, "{word} of {script}");
                continue;
            }
            let number = word.trim_matches(|c: char| !c.is_ascii_digit()).parse().expect("a job's number");
            let id = JobId(number);
            match &word[..1] {
                "i" | "b" => {
                    let priority =
                        if word.starts_with('i') { Priority::Interactive } else { Priority::Batch };
                    let expected = if word.ends_with('!') { Err(QueueFull) } else { Ok(()) };
                    assert_eq!(scheduler.admit(id, priority), expected, "{word} of {script}");
                    scheduler.set_ready(id, !word.ends_with('-'));
                }
                "+" => scheduler.set_ready(id, true),
                "-" => scheduler.set_ready(id, false),
                "x" => scheduler.remove(id),
                "p" => scheduler.put_off(id),
                "=" => {
                    let expected = (number != 0).then_some(id);
                    assert_eq!(scheduler.choose(), expected, "{word} of {script}");
                }
                "t" => assert_eq!(scheduler.may_train(), number == 1, "{word} of {script}"),
                _ => panic!("no such event: {word}"),
            }
        }
    }

    #[test]
    fn the_order_of_work() {
        for script in [
            // Nobody; one, for as long as it is there.
            "=0",
            "b1 =1 =1 x1 =0",
            // First come, first served.
            "b1 b2 =1 =1 x1 =2",
            "i1 i2 =1 x1 =2",
            // People first, at the next band.
            "b1 =1 i2 =2 =2 x2 =1",
            "b1 b2 i3 =3 x3 =1",
            // A stalled job holds up nobody, and has its place again afterwards.
            "b1- b2 =2 +1 =1",
            "i1 =1 -1 b2 =2 +1 =1 -1 =2",
            "i1- =0 +1 =1",
            // Cancelled jobs are gone, whether they waited or ran; news of them is ignored.
            "b1 b2 x1 =2 x2 =0",
            "b1 =1 x1 +1 =0",
            // Two batch jobs may be started, the third waits; a person still finds a place, but one only.
            "b1 =1 -1 b2 =2 -2 b3 =0 i4 =4 -4 i5 =0 x4 =5",
            "b1 =1 -1 b2 =2 -2 b3 x1 =3",
            "i1 =1 -1 i2 =2 -2 i3 =3 -3 b4 =0 x1 =4",
            // Three may wait; the fourth is refused; whoever starts or goes makes room.
            "b1 b2 b3 b4! i4! =1 b5 b6!",
            "b1 b2 b3 x2 b4 b5!",
            // Who is put off waits until somebody goes, and has its place again; others pass.
            "b1 b2 =1 -1 =2 p2 =0 b3 =3 x1 =2",
            "i1 =1 -1 i2 =2 p2 b3 =3 x3 =2",
            "b1 =1 p1 b2 =2 x2 =1",
            "b1 =1 -1 > b2 =2 p2 >1 x1 =2",
            // Who waits, ready, for a place can have one of those that aren't ready; nobody else can.
            "i1 =1 -1 i2 =2 -2 > i3 =3 i4 >12 -3 >123 x4 >",
            "i1 =1 -1 i2 =2 -2 i3 =3 -3 i4- > +4 >123 -4 >",
            "b1 =1 -1 b2 =2 -2 > b3 >12 i4 >12 =4 -4 >12 i5 >124",
            "b1 =1 -1 i2 =2 -2 i3 =3 -3 b4 >123 x3 =4 >",
            "b1 =1 -1 b2 =2 -2 i3 =3 -3 +1 =1 b4 >2 i5 >23",
            // Training comes after everything, and waits for those, too, that wait for their clients.
            "t1 i1 t0 =1 t0 x1 t1",
            "b1- t0 +1 =1 t0 -1 t0 i2 x1 t0 =2 x2 t1",
        ] {
            check(script);
        }
    }

    #[test]
    fn the_counts() {
        let mut scheduler = Scheduler::new(LIMITS);
        for number in 1..=3 {
            scheduler.admit(JobId(number), Priority::Batch).expect("there is room");
        }
        scheduler.set_ready(JobId(2), true);
        assert_eq!(scheduler.choose(), Some(JobId(2)));
        assert_eq!((scheduler.started(), scheduler.queued()), (1, 2));
        assert_eq!(scheduler.waiting(), [JobId(1), JobId(3)]);
    }
}
