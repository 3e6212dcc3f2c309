//! Jobs, told by daemons with a script.

use std::ops::ControlFlow;

use super::*;
use crate::protocol::{JobId, JobInfo, JobState};

fn job(state: JobState, step: u32) -> JobInfo {
    JobInfo {
        id: JobId(3),
        style: "hana".into(),
        name: "Hana".into(),
        state,
        stage: String::new(),
        step,
        steps: 2,
        done: 0.5,
        losses: Vec::new(),
        seconds_left: None,
        note: String::new(),
        folder: "/jobs/3-hana".into(),
        report: None,
    }
}

/// Watches a daemon that answers with these, and gives up when it hears of step 2 of a job that still runs.
fn watch(replies: Vec<Reply>) -> (Vec<u32>, Result<JobInfo, ClientError>) {
    let daemon = FakeDaemon::new(move |mut peer| {
        assert_eq!(peer.read::<Request>().expect("a request"), Request::WatchJob(JobId(3)));
        replies.iter().for_each(|reply| peer.reply(reply));
        peer.expect_closed();
    });
    let mut steps = Vec::new();
    let ended = daemon.connect().watch_job(JobId(3), |job| {
        steps.push(job.step);
        match (&job.state, job.step) {
            (JobState::Running, 2) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        }
    });
    (steps, ended)
}

#[test]
fn watching() {
    let running = |step| Reply::Job(job(JobState::Running, step));
    let (steps, ended) =
        watch(vec![running(0), running(1), Reply::Job(job(JobState::Finished, 2)), Reply::Done]);
    assert_eq!((steps, ended.expect("it ends").state), (vec![0, 1, 2], JobState::Finished));
    let (steps, ended) = watch(vec![running(1), running(2)]);
    assert_eq!((steps, ended.expect("it had enough").step), (vec![1, 2], 2));
    let (_, ended) = watch(vec![Reply::Done]);
    assert!(matches!(ended, Err(ClientError::Protocol { .. })), "{ended:?}");
    let unknown = Fault::new(FaultKind::UnknownJob, "there is no job 3");
    let (_, ended) = watch(vec![Reply::Fault(unknown.clone())]);
    assert!(matches!(ended, Err(ClientError::Fault(fault)) if fault == unknown));
}

#[test]
fn lists() {
    let daemon = FakeDaemon::new(|mut peer| {
        assert_eq!(peer.read::<Request>().expect("a request"), Request::Jobs);
        peer.reply(&Reply::Job(job(JobState::Cancelled, 1)));
        peer.reply(&Reply::Job(job(JobState::Queued, 0)));
        peer.reply(&Reply::Done);
        assert_eq!(peer.read::<Request>().expect("a request"), Request::RemoveJob(JobId(3)));
        peer.reply(&Reply::Job(job(JobState::Queued, 0)));
        peer.expect_closed();
    });
    let mut client = daemon.connect();
    assert_eq!(client.jobs().expect("a list").len(), 2);
    assert!(matches!(client.remove_job(JobId(3)), Err(ClientError::Protocol { .. })));
}
