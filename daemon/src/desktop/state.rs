//! What there is to show, without a bus: the jobs' news become a face, words and notices.

use std::collections::BTreeSet;
use std::path::PathBuf;

use utsushi_ipc::protocol::{JobId, JobInfo, JobState, PauseCause};

use crate::cli::span;

/// What the icon tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Face {
    /// Nothing happens.
    Idle,
    /// A picture is being drawn.
    Working,
    /// A style is being trained; so many per cent are done.
    Training(u8),
    /// A training can't go on, and nobody has looked yet.
    Problem,
}

/// All that the tray shows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct State {
    /// The jobs that can still go on, oldest first.
    pub(super) jobs: Vec<JobInfo>,
    /// Those of them that need somebody, until somebody has looked.
    problems: BTreeSet<JobId>,
    pub(super) is_drawing: bool,
    /// The user's own styles.
    pub(super) styles: Vec<Style>,
    /// The names of those that come with the program.
    pub(super) built_in: Vec<String>,
    /// `None` where there is no place to say so.
    pub(super) starts_at_login: Option<bool>,
}

/// A style of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) name: String,
    pub(super) file: PathBuf,
}

/// Something to tell at once.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Notice {
    /// The job's style is there.
    Ready(JobInfo),
    /// The job can't go on; why.
    Problem(JobInfo, String),
}

impl State {
    /// Nothing is known yet but the styles that come with the program.
    pub(super) fn new(built_in: Vec<String>) -> Self {
        Self { built_in, ..Self::default() }
    }

    /// Takes the news of all jobs, and tells what of it is worth a notice. What has ended long before isn't.
    pub(super) fn hear(&mut self, all: &[JobInfo], before: Option<&[JobInfo]>) -> Vec<Notice> {
        let mut notices = Vec::new();
        if let Some(before) = before {
            for job in all {
                let known = before.iter().find(|known| known.id == job.id);
                if known.map(|known| kind(&known.state)) != Some(kind(&job.state)) {
                    notices.extend(notice(job));
                }
            }
        }
        let is_problem = |job: &&JobInfo| notice(job).is_some_and(|it| matches!(it, Notice::Problem(..)));
        let still: BTreeSet<_> = all.iter().filter(is_problem).map(|job| job.id).collect();
        self.problems.retain(|id| still.contains(id));
        self.problems.extend(notices.iter().filter_map(|notice| match notice {
            Notice::Problem(job, _) => Some(job.id),
            Notice::Ready(_) => None,
        }));
        let is_over = |state: &JobState| matches!(state, JobState::Finished | JobState::Cancelled);
        self.jobs = all.iter().filter(|job| !is_over(&job.state)).cloned().collect();
        notices
    }

    /// Somebody has looked at the job.
    pub(super) fn look_at(&mut self, id: JobId) {
        self.problems.remove(&id);
    }

    pub(super) fn face(&self) -> Face {
        match self.training() {
            _ if !self.problems.is_empty() => Face::Problem,
            Some(job) => Face::Training(percent(job)),
            None if self.is_drawing => Face::Working,
            None => Face::Idle,
        }
    }

    fn training(&self) -> Option<&JobInfo> {
        self.jobs.iter().find(|job| matches!(job.state, JobState::Preparing | JobState::Running))
    }

    /// In a line.
    pub(super) fn words(&self) -> String {
        let troubled = || self.jobs.iter().find(|job| self.problems.contains(&job.id));
        match (self.face(), self.training()) {
            (Face::Problem, _) => troubled().map(words).unwrap_or_default(),
            (Face::Training(_), Some(job)) => words(job),
            (Face::Working, _) => "a picture is being drawn".to_owned(),
            _ => "nothing to do".to_owned(),
        }
    }
}

/// What makes a notice when it changes.
fn kind(state: &JobState) -> u8 {
    match state {
        JobState::Finished => 1,
        JobState::Failed { .. } => 2,
        JobState::Paused { cause: PauseCause::Disk, .. } => 3,
        _ => 0,
    }
}

fn notice(job: &JobInfo) -> Option<Notice> {
    match &job.state {
        JobState::Finished => Some(Notice::Ready(job.clone())),
        JobState::Failed { why } | JobState::Paused { cause: PauseCause::Disk, why } => {
            Some(Notice::Problem(job.clone(), why.clone()))
        }
        _ => None,
    }
}

pub(super) fn percent(job: &JobInfo) -> u8 {
    (job.done.clamp(0.0, 1.0) * 100.0) as u8
}

/// A job, in a few words.
pub(super) fn words(job: &JobInfo) -> String {
    let (name, percent) = (&job.name, percent(job));
    match &job.state {
        JobState::Queued => format!("{name}: waits for its turn"),
        JobState::Preparing => format!("{name}: looks at its pictures"),
        JobState::Running => match job.seconds_left {
            Some(seconds) => format!("{name}: {percent} %, {} left", span(seconds)),
            None => format!("{name}: {percent} %"),
        },
        JobState::Paused { cause: PauseCause::User, .. } => format!("{name}: paused at {percent} %"),
        JobState::Paused { cause: PauseCause::Battery, .. } => {
            format!("{name}: waits for mains power, at {percent} %")
        }
        JobState::Paused { cause: PauseCause::Disk, .. } => format!("{name}: waits for room on the disk"),
        JobState::Finished => format!("{name}: is ready"),
        JobState::Failed { .. } => format!("{name}: failed"),
        JobState::Cancelled => format!("{name}: cancelled"),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::jobs::fake::info;

    pub(in super::super) fn failed() -> JobState {
        JobState::Failed { why: "the pictures are too few; add some".into() }
    }

    pub(in super::super) fn paused(cause: PauseCause) -> JobState {
        JobState::Paused { cause, why: "no room; make some".into() }
    }

    #[test]
    fn faces_and_words() {
        /// Of jobs that came to these states one by one.
        fn check(states: &[JobState], is_drawing: bool, face: Face, words: &str) {
            let jobs: Vec<_> = (1..).zip(states).map(|(id, state)| info(id, state.clone())).collect();
            let mut state = State { is_drawing, ..State::default() };
            state.hear(&jobs, Some(&[]));
            assert_eq!((state.face(), state.words().as_str()), (face, words), "{states:?}");
        }
        let (queued, running) = (JobState::Queued, JobState::Running);
        check(&[], false, Face::Idle, "nothing to do");
        check(&[], true, Face::Working, "a picture is being drawn");
        check(&[JobState::Finished, JobState::Cancelled, queued.clone()], false, Face::Idle, "nothing to do");
        check(&[JobState::Preparing], false, Face::Training(43), "Hana: looks at its pictures");
        check(&[queued.clone(), running.clone()], true, Face::Training(43), "Hana: 43 %, 12 min left");
        check(&[paused(PauseCause::User)], false, Face::Idle, "nothing to do");
        check(&[paused(PauseCause::Battery)], true, Face::Working, "a picture is being drawn");
        check(&[failed(), running], false, Face::Problem, "Hana: failed");
        check(&[paused(PauseCause::Disk)], false, Face::Problem, "Hana: waits for room on the disk");
    }

    #[test]
    fn notices_come_once() {
        let mut state = State::default();
        let mut before: Option<Vec<JobInfo>> = None;
        let mut check = |states: &[JobState], expected: &[&str], face: Face| {
            let jobs: Vec<_> = (1..).zip(states).map(|(id, state)| info(id, state.clone())).collect();
            let notices = state.hear(&jobs, before.as_deref());
            let told: Vec<_> = notices
                .iter()
                .map(|notice| match notice {
                    Notice::Ready(job) => format!("{} ready", job.id),
                    Notice::Problem(job, why) => format!("{}: {why}", job.id),
                })
                .collect();
            assert_eq!(
                (&told[..], state.face()),
                (&expected.iter().map(|it| it.to_string()).collect::<Vec<_>>()[..], face)
            );
            before = Some(jobs);
        };
        let running = JobState::Running;
        // What a new daemon finds is nothing new.
        check(&[failed(), JobState::Finished, running.clone()], &[], Face::Training(43));
        check(&[failed(), JobState::Finished, running.clone()], &[], Face::Training(43));
        check(&[failed(), JobState::Finished, JobState::Finished], &["3 ready"], Face::Idle);
        // A job may be so short that nobody has heard of it before.
        let (few, room) = ("4: the pictures are too few; add some", "4: no room; make some");
        let done = JobState::Finished;
        check(&[done.clone(), done.clone(), done.clone(), failed()], &["1 ready", few], Face::Problem);
        check(&[done.clone(), done.clone(), done.clone(), running], &[], Face::Training(43));
        check(&[done.clone(), done.clone(), done, paused(PauseCause::Disk)], &[room], Face::Problem);
    }

    #[test]
    fn a_problem_was_seen() {
        let mut state = State::default();
        state.hear(&[info(1, failed())], Some(&[]));
        assert_eq!(state.face(), Face::Problem);
        state.look_at(JobId(1));
        state.hear(&[info(1, failed())], Some(&[info(1, failed())]));
        assert_eq!((state.face(), state.jobs.len()), (Face::Idle, 1));
    }
}
