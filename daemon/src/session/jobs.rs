//! Requests about training jobs. All but watching are answered from the jobs' board.

use std::time::Duration;

use utsushi_ipc::protocol::{HEARTBEAT, JobId, JobInfo, Reply, Request};

use super::{End, Session, malformed, send};

/// How often news is told at most; steps may be much shorter.
const NEWS_INTERVAL: Duration = Duration::from_millis(100);

impl Session<'_> {
    pub(super) fn list_jobs(&mut self) -> Result<Request, End> {
        for job in self.daemon.jobs.list()? {
            send(&mut self.sender, &Reply::Job(job), &[])?;
        }
        self.answer(Reply::Done)
    }

    pub(super) fn answer_job(&mut self, job: JobInfo) -> Result<Request, End> {
        self.answer(Reply::Job(job))
    }

    /// Tells how the job is, until it has ended or the client closes.
    pub(super) fn watch_job(&mut self, id: JobId) -> Result<Request, End> {
        let mut seen = None;
        loop {
            let (job, version) = self.daemon.jobs.wait(id, seen, HEARTBEAT)?;
            seen = Some(version);
            let is_ended = job.state.is_ended();
            send(&mut self.sender, &Reply::Job(job), &[])?;
            if is_ended {
                return self.answer(Reply::Done);
            }
            if self.reader.receiver.wait(NEWS_INTERVAL).map_err(End::Lost)? {
                self.reader.next_request()?;
                return Err(malformed("another request came while a job was being watched"));
            }
        }
    }
}
