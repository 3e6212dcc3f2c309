//! Training jobs: asking for one, following it, and having it wait, go on or end.

use std::ops::ControlFlow;

use super::{Client, ClientError, unexpected};
use crate::protocol::{JobId, JobInfo, Reply, Request, TrainSpec};

/// How many jobs a daemon may tell of.
const MAX_JOBS: usize = 100_000;

impl Client {
    /// Queues a training. It goes on without this client.
    pub fn train(&mut self, spec: TrainSpec) -> Result<JobInfo, ClientError> {
        self.ask_job(&Request::Train(spec))
    }

    /// Every job that has a folder, oldest first.
    pub fn jobs(&mut self) -> Result<Vec<JobInfo>, ClientError> {
        let mut jobs = Vec::new();
        let mut reply = self.ask(&Request::Jobs)?;
        loop {
            match reply {
                Reply::Job(_) if jobs.len() == MAX_JOBS => {
                    return Err(ClientError::protocol(format!("it told of more than {MAX_JOBS} jobs")));
                }
                Reply::Job(job) => jobs.push(job),
                Reply::Done => return Ok(jobs),
                other => return Err(unexpected(&other)),
            }
            reply = self.reply(Ok(()))?;
        }
    }

    /// Follows a job to its end, or until the caller has enough: `news` is called with how it is now, then whenever
    /// something has changed, and at least once a second. Returns what it was called with last.
    ///
    /// The connection ends with this, since an answer may still be on its way.
    pub fn watch_job(
        mut self,
        id: JobId,
        mut news: impl FnMut(&JobInfo) -> ControlFlow<()>,
    ) -> Result<JobInfo, ClientError> {
        let mut reply = self.ask(&Request::WatchJob(id))?;
        let mut last = None;
        loop {
            match (reply, last) {
                (Reply::Job(job), _) => {
                    if news(&job).is_break() {
                        return Ok(job);
                    }
                    last = Some(job);
                }
                (Reply::Done, Some(job)) => return Ok(job),
                (other, _) => return Err(unexpected(&other)),
            }
            reply = self.reply(Ok(()))?;
        }
    }

    /// Has a job wait; comes back when it does.
    pub fn pause_job(&mut self, id: JobId) -> Result<JobInfo, ClientError> {
        self.ask_job(&Request::PauseJob(id))
    }

    /// Has a job go on that waits or has failed.
    pub fn resume_job(&mut self, id: JobId) -> Result<JobInfo, ClientError> {
        self.ask_job(&Request::ResumeJob(id))
    }

    /// Ends a job for good; comes back when it has ended.
    pub fn cancel_job(&mut self, id: JobId) -> Result<JobInfo, ClientError> {
        self.ask_job(&Request::CancelJob(id))
    }

    /// Deletes what is left of a job that has ended.
    pub fn remove_job(&mut self, id: JobId) -> Result<(), ClientError> {
        self.ask_done(&Request::RemoveJob(id))
    }

    fn ask_job(&mut self, request: &Request) -> Result<JobInfo, ClientError> {
        match self.ask(request)? {
            Reply::Job(job) => Ok(job),
            other => Err(unexpected(&other)),
        }
    }
}
