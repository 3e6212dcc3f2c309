//! Training jobs through the real client; only the trainings are fake ones.

use std::{ops::ControlFlow, path::Path, thread, time::Duration};

use utsushi_ipc::{
    client::{self, Client, ClientError},
    protocol::{FaultKind, JobId, JobInfo, JobState, PauseCause, Request, TrainSpec},
};

use super::{Fixture, NO_STALL, redraw};
use crate::{
    jobs::fake::{Event, PICTURES, number_after, spec},
    worker::fake,
};

/// More steps than a test waits for.
const MANY: u32 = 3000;

impl Fixture {
    fn photos(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn train(&self, style: &str, steps: u32) -> JobId {
        let job = self.client().train(spec(self.photos(), style, steps)).expect("it is queued");
        assert_eq!((job.style.as_str(), &job.state), (style, &JobState::Queued));
        job.id
    }

    /// Follows a job until this is so.
    fn watch(&self, id: JobId, is_so: impl Fn(&JobInfo) -> bool) -> JobInfo {
        let stop_at =
            |job: &JobInfo| if is_so(job) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        self.client().watch_job(id, stop_at).expect("it comes to that")
    }

    /// What a training's style says of it, once the library has it.
    fn number_of(&self, style: &str) -> Option<u64> {
        let library = crate::library::Library::open(self.folder.path().join("styles"));
        library.find(style)?.training.parse().ok()
    }

    /// Lets a gated training step on until the client has its answer.
    fn ask_meanwhile<T: Send + 'static>(&self, ask: impl FnOnce(&mut Client) -> T + Send + 'static) -> T {
        let mut client = self.client();
        let asking = thread::spawn(move || ask(&mut client));
        while !asking.is_finished() {
            self.training.gate.send(()).expect("it trains");
            thread::sleep(Duration::from_millis(1));
        }
        asking.join().expect("no panic")
    }

    fn until_training(&self, last: &Event) {
        while self.training.events.recv_timeout(super::PATIENCE).expect("the event comes") != *last {}
    }
}

#[test]
fn from_an_order_to_a_style() {
    let fixture = Fixture::start(NO_STALL);
    assert_eq!(fixture.client().jobs().expect("a list"), []);
    let id = fixture.train("gated", 5);
    let preparing = fixture.watch(id, |job| job.state == JobState::Running);
    assert_eq!(preparing.id, JobId(1));
    (0..4).for_each(|_| fixture.training.gate.send(()).expect("it trains"));
    let job = fixture.watch(id, |job| job.step == 4);
    assert_eq!((job.stage.as_str(), job.steps, job.done, job.note.as_str()), ("counting", 5, 0.8, "a note"));
    assert_eq!((job.losses[0].name.as_str(), job.losses[0].value), ("l1", 0.25));
    fixture.training.gate.send(()).expect("it trains");
    let job = fixture.watch(id, |job| job.state.is_ended());
    assert_eq!((job.state, job.seconds_left), (JobState::Finished, None));
    assert_eq!(fixture.number_of("gated"), Some(number_after(5)));
    assert!(job.report.is_some_and(|report| report.exists()) && job.folder.join("log.txt").exists());
    // All of it is told to those who come late, too, and the connection is good for more.
    let told = fixture.watch(id, |_| false);
    assert_eq!(told.state, JobState::Finished);

    let mut client = fixture.client();
    assert_eq!(client.jobs().expect("a list"), [told]);
    client.remove_job(id).expect("it has ended");
    assert!(!job.folder.exists() && fixture.number_of("gated").is_some());
    assert_eq!(client.jobs().expect("a list"), []);
    fixture.end();
}

#[test]
fn refused() {
    let fixture = Fixture::start(NO_STALL);
    let check = |change: &dyn Fn(&mut TrainSpec), kind: FaultKind, words: &str| {
        let mut spec = spec(fixture.photos(), "hana", 3);
        change(&mut spec);
        match fixture.client().train(spec) {
            Err(ClientError::Fault(fault)) => {
                assert_eq!(fault.kind, kind, "{fault}");
                assert!(fault.message.contains(words), "{fault}, not {words}");
            }
            other => panic!("{other:?}, not {words}"),
        }
    };
    check(&|spec| spec.style = "refused".into(), FaultKind::Invalid, "the test asked for it");
    check(&|spec| spec.style = "../x".into(), FaultKind::Invalid, "no style can be called");
    check(&|spec| spec.style = "cel".into(), FaultKind::Invalid, "there is a style \"cel\" already");
    check(&|spec| spec.like = Some("nothing".into()), FaultKind::UnknownStyle, "no style \"nothing\"");
    assert!(!fixture.folder.path().join("jobs").exists(), "nothing was begun");
    let unknown = fixture.client().watch_job(JobId(7), |_| ControlFlow::Continue(()));
    assert!(matches!(unknown, Err(ClientError::Fault(fault)) if fault.kind == FaultKind::UnknownJob));

    let id = fixture.train("gated", MANY);
    check(&|spec| spec.style = "gated".into(), FaultKind::Invalid, "job 1 is there for the style");
    let mut client = fixture.client();
    assert!(client.remove_job(id).is_err_and(|error| error.to_string().contains("has not ended")));
    let job = fixture.ask_meanwhile(move |client| client.cancel_job(id)).expect("it is there");
    assert_eq!(job.state, JobState::Cancelled);
    assert_eq!(fixture.client().cancel_job(id).expect("again").state, JobState::Cancelled);
    for refused in [fixture.client().pause_job(id), fixture.client().resume_job(id)] {
        assert!(refused.is_err_and(|error| error.to_string().contains("has ended for good")));
    }
    fixture.end();
}

#[test]
fn what_goes_wrong_is_told_and_the_next_job_has_its_turn() {
    let fixture = Fixture::start(NO_STALL);
    let ids = ["few", "fails", "panics", "unsettled", "works"].map(|style| fixture.train(style, 3));
    let ended = ids.map(|id| fixture.watch(id, |job| job.state.is_ended()).state);
    let why = |state: &JobState| match state {
        JobState::Failed { why } => why.clone(),
        other => panic!("{other:?}"),
    };
    assert!(why(&ended[0]).contains("it takes 20"), "{ended:?}");
    assert!(why(&ended[1]).contains("the test asked for it"), "{ended:?}");
    for defect in &ended[2..4] {
        assert!(why(defect).contains("(the test asked for it); this is a defect"), "{ended:?}");
    }
    assert_eq!(ended[4], JobState::Finished);
    // A job that failed may be tried again.
    let job = fixture.client().resume_job(ids[0]).expect("it failed");
    assert_eq!(job.state, JobState::Queued);
    let job = fixture.watch(ids[0], |job| job.state.is_ended());
    assert_eq!((job.step, job.steps), (0, 0), "{PICTURES} pictures were prepared, but no step taken");
    assert_eq!(fixture.client().cancel_job(ids[0]).expect("it is there").state, JobState::Cancelled);
    fixture.end();
}

#[test]
fn one_at_a_time_and_paused_ones_make_way() {
    let fixture = Fixture::start(NO_STALL);
    let (first, second) = (fixture.train("gated-1", MANY), fixture.train("gated-2", 2));
    fixture.watch(first, |job| job.state == JobState::Running);
    assert_eq!(fixture.watch(second, |_| true).state, JobState::Queued);
    fixture.training.gate.send(()).expect("it trains");
    fixture.until_training(&Event::Stepped("gated-1".into(), 1));
    // The step at hand is finished first.
    let job = fixture.ask_meanwhile(move |client| client.pause_job(first)).expect("it is there");
    let is_paused = |job: &JobInfo| matches!(job.state, JobState::Paused { cause: PauseCause::User, .. });
    assert!(is_paused(&job), "{job:?}");
    fixture.watch(second, |job| job.state == JobState::Running);
    assert!(is_paused(&fixture.client().pause_job(first).expect("again")));
    assert_eq!(fixture.client().resume_job(first).expect("it is there").state, JobState::Queued);
    (0..2 * MANY).for_each(|_| fixture.training.gate.send(()).expect("it trains"));
    for id in [first, second] {
        assert_eq!(fixture.watch(id, |job| job.state.is_ended()).state, JobState::Finished);
    }
    let numbers = (fixture.number_of("gated-1"), fixture.number_of("gated-2"));
    assert_eq!(numbers, (Some(number_after(MANY)), Some(number_after(2))), "as if it had never waited");
    fixture.end();
}

#[test]
fn no_step_begins_while_a_picture_is_there() {
    let fixture = Fixture::start(NO_STALL);
    let id = fixture.train("gated", 3);
    fixture.watch(id, |job| job.state == JobState::Running);
    // This client owes its rows, which may come at any moment.
    let mut picture = fixture.raw();
    picture.send(&Request::Stylize(fake::spec("invert", 1, 9, 9)), &[]);
    super::eventually(|| fixture.client().status().expect("the daemon answers").queued == 1);
    // At most the step at hand.
    (0..3).for_each(|_| fixture.training.gate.send(()).expect("it trains"));
    redraw(fixture.client(), &fake::spec("invert", 2, 5, 5)).expect("others are drawn");
    assert!(fixture.watch(id, |_| true).step <= 1);
    drop(picture);
    assert_eq!(fixture.watch(id, |job| job.state.is_ended()).state, JobState::Finished);
    fixture.end();
}

#[test]
fn a_client_that_stops_watching_is_noticed() {
    let fixture = Fixture::start(NO_STALL);
    let id = fixture.train("gated", 2);
    let mut watching = fixture.raw();
    watching.send(&Request::WatchJob(id), &[]);
    watching.receive().expect("the state");
    watching.send(&Request::Status, &[]);
    let fault = watching.last_words().expect("a fault");
    assert_eq!((fault.kind, fault.message.contains("watched")), (FaultKind::Malformed, true));
    // Watchers that are still there when the daemon stops don't hold it up.
    let mut watching = fixture.raw();
    watching.send(&Request::WatchJob(id), &[]);
    watching.receive().expect("the state");
    (0..9).for_each(|_| fixture.training.gate.send(()).expect("it trains"));
    fixture.end();
}

#[test]
fn a_second_daemon_leaves_the_first_ones_jobs_alone() {
    let fixture = Fixture::start(NO_STALL);
    let id = fixture.train("gated", MANY);
    fixture.watch(id, |job| job.state == JobState::Running);
    let second = Fixture::with_jobs_of(&fixture);
    let refused = |result: Result<(), ClientError>| match result {
        Err(ClientError::Fault(fault)) => fault.message.contains("another daemon of yours trains"),
        _ => false,
    };
    assert!(refused(second.client().jobs().map(drop)));
    assert!(refused(second.client().train(spec(second.photos(), "mine", 1)).map(drop)));
    // When the first one goes, the second takes its jobs up.
    let socket = fixture.socket.clone();
    fixture.ask_meanwhile(move |_| client::stop(&socket)).expect("the daemon answers");
    super::eventually(|| second.client().jobs().is_ok());
    (0..MANY).for_each(|_| second.training.gate.send(()).expect("it trains"));
    assert_eq!(second.watch(id, |job| job.state.is_ended()).state, JobState::Finished);
    let library = crate::library::Library::open(fixture.folder.path().join("styles"));
    assert_eq!(library.find("gated").expect("a style").training, number_after(MANY).to_string());
    second.end();
}
