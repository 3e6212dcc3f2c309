//! The board and the runner by themselves, with fake trainings and without sockets.

use std::fs;
use std::path::Path;
use std::thread::{self, JoinHandle};

use tempfile::TempDir;

use super::fake::{Event, FakeTrainers, Remote, number_after, spec};
use super::*;
use crate::worker;

/// Long enough for any machine; reached only where something is broken.
const PATIENCE: Duration = Duration::from_secs(60);

const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A daemon's jobs, whose pictures and styles are in the same folder.
struct Office {
    jobs: Jobs,
    remote: Remote,
    running: Option<JoinHandle<()>>,
}

impl Office {
    fn open(folder: &Path, checkpoint_interval: Duration) -> Self {
        let (trainers, remote) = FakeTrainers::new();
        let config = Config {
            power_supplies: folder.join("power"),
            checkpoint_interval,
            poll_interval: POLL_INTERVAL,
            ..Config::new(folder.join("jobs"), Library::open(folder.join("styles")))
        };
        let jobs = Jobs::new(config, trainers);
        let running = thread::spawn({
            let (jobs, turn) = (jobs.clone(), Turn::default());
            move || jobs.run(&turn)
        });
        Self { jobs, remote, running: Some(running) }
    }

    /// Waits until this is so.
    fn wait(&self, id: JobId, is_so: impl Fn(&JobInfo) -> bool) -> JobInfo {
        let (began, mut seen) = (Instant::now(), None);
        loop {
            let (info, version) = self.jobs.wait(id, seen, PATIENCE).expect("the job is there");
            if is_so(&info) {
                return info;
            }
            assert!(began.elapsed() < PATIENCE, "it stays {info:?}");
            seen = Some(version);
        }
    }

    fn until(&self, last: &Event) -> Vec<Event> {
        let mut events = Vec::new();
        while events.last() != Some(last) {
            events.push(self.remote.events.recv_timeout(PATIENCE).expect("the event comes"));
        }
        events
    }

    /// The daemon stops in good order; a gated step passes.
    fn close(mut self) {
        self.jobs.stop();
        drop(self.remote);
        self.running.take().expect("once").join().expect("no panic");
        assert!(self.jobs.wait_until_stopped(Instant::now()));
    }
}

fn number_of(folder: &Path, style: &str) -> Option<u64> {
    Library::open(folder.join("styles")).find(style)?.training.parse().ok()
}

fn is_paused_for(cause: PauseCause) -> impl Fn(&JobInfo) -> bool {
    move |info| matches!(info.state, JobState::Paused { cause: found, .. } if found == cause)
}

#[test]
fn a_daemon_that_stops_leaves_its_jobs_to_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let office = Office::open(folder.path(), PATIENCE);
    let first = office.jobs.train(spec(folder.path(), "gated", 9)).expect("queued").id;
    let second = office.jobs.train(spec(folder.path(), "later", 1)).expect("queued").id;
    (0..4).for_each(|_| office.remote.gate.send(()).expect("it trains"));
    office.until(&Event::Stepped("gated".into(), 4));
    office.close();

    let office = Office::open(folder.path(), PATIENCE);
    // With the step that was under way when the daemon stopped, if there was one.
    let begun = office.remote.events.recv_timeout(PATIENCE).expect("the event comes");
    assert!(matches!(begun, Event::Begun(_, 4 | 5)), "{begun:?}");
    (0..5).for_each(|_| office.remote.gate.send(()).expect("it trains"));
    for id in [first, second] {
        assert_eq!(office.wait(id, |info| info.state.is_ended()).state, JobState::Finished);
    }
    assert_eq!(number_of(folder.path(), "gated"), Some(number_after(9)));
    office.close();
}

#[test]
fn a_killed_daemons_job_goes_on_from_the_newest_checkpoint_that_can_be_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let office = Office::open(folder.path(), Duration::ZERO);
    let info = office.jobs.train(spec(folder.path(), "gated", 6)).expect("queued");
    (0..4).for_each(|_| office.remote.gate.send(()).expect("it trains"));
    office.until(&Event::Saved(4));
    office.wait(info.id, |info| info.step == 4);
    // What a daemon leaves that dies now.
    let left: TempDir = tempfile::tempdir().expect("a folder");
    let copied = left.path().join("jobs").join(info.folder.file_name().expect("a name"));
    fs::create_dir_all(copied.join("checkpoints")).expect("made");
    // Version 0.1.0 named them by their steps alone.
    for (name, kept) in [
        ("job.json", "job.json"),
        ("log.txt", "log.txt"),
        ("checkpoints/00000003-00000003.safetensors", "checkpoints/00000003.safetensors"),
    ] {
        fs::copy(info.folder.join(name), copied.join(kept)).expect("copied");
    }
    fs::write(copied.join("checkpoints/00000004.safetensors"), "half of").expect("written");
    fs::write(copied.join("checkpoints/.utsushi-4.tmp"), "half of").expect("written");
    office.close();

    let office = Office::open(left.path(), PATIENCE);
    office.until(&Event::Begun("gated".into(), 3));
    (0..3).for_each(|_| office.remote.gate.send(()).expect("it trains"));
    office.wait(info.id, |info| info.state.is_ended());
    assert_eq!(number_of(left.path(), "gated"), Some(number_after(6)));
    let log = fs::read_to_string(copied.join("log.txt")).expect("a log");
    assert!(log.contains("a daemon takes it up again") && log.contains("finished"), "{log}");
    let told = ["00000004.unreadable: these are no numbers", "goes on from", "00000003.safetensors"];
    assert!(told.iter().all(|words| log.contains(words)), "{log}");
    let left: Vec<_> = fs::read_dir(copied.join("checkpoints")).expect("a folder").flatten().collect();
    assert_eq!(left.len(), 1, "the others are of no use any more: {left:?}");
    assert_eq!(left[0].file_name(), "00000004.unreadable");
    office.close();
}

#[test]
fn a_job_that_lost_its_checkpoints_begins_anew_only_if_the_user_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let office = Office::open(folder.path(), Duration::ZERO);
    let job = office.jobs.train(spec(folder.path(), "gated", 6)).expect("queued");
    (0..4).for_each(|_| office.remote.gate.send(()).expect("it trains"));
    office.until(&Event::Saved(4));
    office.close();
    let checkpoints = job.folder.join("checkpoints");
    let names = || {
        let entries = fs::read_dir(&checkpoints).expect("a folder").flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().into_string().expect("UTF-8")).collect();
        names.sort();
        names
    };
    let spoiled = names();
    assert_eq!(spoiled.len(), 2);
    for name in &spoiled {
        fs::write(checkpoints.join(name), "flipped").expect("written");
    }
    let aside: Vec<_> = spoiled.iter().map(|name| name.replace("safetensors", "unreadable")).collect();

    let is_told = |info: &JobInfo| match &info.state {
        JobState::Failed { why } => why.contains(&aside[1]) && why.contains("utsushi jobs resume 1"),
        _ => false,
    };
    let office = Office::open(folder.path(), Duration::ZERO);
    office.wait(job.id, is_told);
    assert_eq!(names(), aside, "all is kept");
    office.close();
    // Neither does the next daemon, also after a kill before that was written down.
    let path = job.folder.join("job.json");
    let record = fs::read_to_string(&path).expect("a job");
    let mut record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    record["state"] = "Preparing".into();
    fs::write(&path, record.to_string()).expect("written");
    let office = Office::open(folder.path(), Duration::ZERO);
    office.wait(job.id, is_told);

    office.jobs.resume(job.id).expect("it failed");
    office.until(&Event::Begun("gated".into(), 0));
    office.remote.gate.send(()).expect("it trains");
    office.until(&Event::Saved(1));
    office.close();
    let kept = names();
    assert!(aside.iter().all(|name| kept.contains(name)) && kept.len() > 2, "{kept:?}");

    let office = Office::open(folder.path(), PATIENCE);
    let begun = office.remote.events.recv_timeout(PATIENCE).expect("the event comes");
    assert!(matches!(begun, Event::Begun(_, 1 | 2)), "what was written last counts: {begun:?}");
    (0..6).for_each(|_| office.remote.gate.send(()).expect("it trains"));
    office.wait(job.id, |info| info.state == JobState::Finished);
    assert_eq!(number_of(folder.path(), "gated"), Some(number_after(6)));
    assert_eq!(names(), aside, "only removing the job deletes them");
    office.close();
}

#[test]
fn checkpoints_come_in_time_and_at_epochs() {
    /// Of six steps, epochs of three.
    fn check(interval: Duration, expected: &[u32]) {
        let folder = tempfile::tempdir().expect("a folder");
        let office = Office::open(folder.path(), interval);
        office.jobs.train(spec(folder.path(), "hana", 6)).expect("queued");
        let saved: Vec<_> = office.until(&Event::Saved(6)).into_iter().collect();
        let saved = saved.iter().filter_map(|event| match event {
            Event::Saved(step) => Some(*step),
            _ => None,
        });
        assert_eq!(saved.collect::<Vec<_>>(), expected, "{interval:?}");
        office.close();
    }
    check(PATIENCE, &[6]);
    // A tenth of it is no time at all.
    check(Duration::from_nanos(9), &[1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_full_disk_pauses_the_job() {
    let folder = tempfile::tempdir().expect("a folder");
    let office = Office::open(folder.path(), Duration::ZERO);
    let id = office.jobs.train(spec(folder.path(), "full", 3)).expect("queued").id;
    let info = office.wait(id, is_paused_for(PauseCause::Disk));
    assert!(format!("{info:?}").contains("no space left") && format!("{info:?}").contains("jobs resume 1"));
    // Others have their turn.
    let other = office.jobs.train(spec(folder.path(), "other", 1)).expect("queued").id;
    office.wait(other, |info| info.state == JobState::Finished);
    fs::write(folder.path().join("room"), "").expect("written");
    assert_eq!(office.jobs.resume(id).expect("it is there").state, JobState::Queued);
    office.wait(id, |info| info.state == JobState::Finished);
    assert_eq!(number_of(folder.path(), "full"), Some(number_after(3)));
    office.close();
}

#[test]
fn training_waits_for_the_mains() {
    let folder = tempfile::tempdir().expect("a folder");
    let battery = folder.path().join("power/BAT0");
    fs::create_dir_all(&battery).expect("made");
    fs::write(battery.join("type"), "Battery\n").expect("written");
    let set = |status: &str| fs::write(battery.join("status"), status).expect("written");
    set("Discharging");
    let office = Office::open(folder.path(), PATIENCE);
    let careful = office.jobs.train(spec(folder.path(), "gated-1", 3)).expect("queued").id;
    office.wait(careful, is_paused_for(PauseCause::Battery));
    let undaunted = TrainSpec { on_battery: true, ..spec(folder.path(), "undaunted", 2) };
    let undaunted = office.jobs.train(undaunted).expect("queued").id;
    office.wait(undaunted, |info| info.state == JobState::Finished);
    office.wait(careful, is_paused_for(PauseCause::Battery));

    set("Charging");
    office.wait(careful, |info| info.state == JobState::Running);
    set("Discharging");
    // The step at hand is finished, and then it is time to look again.
    thread::sleep(2 * POLL_INTERVAL);
    office.remote.gate.send(()).expect("it trains");
    let info = office.wait(careful, |info| info.state != JobState::Running);
    assert!(is_paused_for(PauseCause::Battery)(&info), "{info:?}");
    // The user may insist.
    office.jobs.resume(careful).expect("it is there");
    (0..3).for_each(|_| office.remote.gate.send(()).expect("it trains"));
    office.wait(careful, |info| info.state == JobState::Finished);
    assert_eq!(number_of(folder.path(), "gated-1"), Some(number_after(3)));
    office.close();
}

#[test]
fn a_style_whose_id_was_taken_in_the_meantime_gets_another() {
    let folder = tempfile::tempdir().expect("a folder");
    let office = Office::open(folder.path(), PATIENCE);
    let id = office.jobs.train(spec(folder.path(), "gated", 1)).expect("queued").id;
    office.wait(id, |info| info.state == JobState::Running);
    let styles = folder.path().join("styles");
    fs::create_dir_all(&styles).expect("made");
    fs::write(styles.join("gated.safetensors"), "precious").expect("written");
    office.remote.gate.send(()).expect("it trains");
    let info = office.wait(id, |info| info.state.is_ended());
    assert_eq!((info.state, info.style.as_str()), (JobState::Finished, "gated-2"));
    assert_eq!(number_of(folder.path(), "gated-2"), Some(number_after(1)));
    assert_eq!(fs::read(styles.join("gated.safetensors")).expect("a file"), b"precious");
    office.close();
}

/// However far the end was when the daemon was killed.
#[test]
fn a_style_is_installed_once() {
    fn check(change: impl FnOnce(&Path), left_at: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let office = Office::open(folder.path(), Duration::ZERO);
        let job = office.jobs.train(spec(folder.path(), "gated", 2)).expect("queued");
        office.remote.gate.send(()).expect("it trains");
        office.until(&Event::Saved(1));
        let left = fs::read(job.folder.join("job.json")).expect("a job");
        office.remote.gate.send(()).expect("it trains");
        office.wait(job.id, |info| info.state == JobState::Finished);
        office.close();
        let styles = || fs::read_dir(folder.path().join("styles")).expect("a folder").count();
        assert_eq!((styles(), job.folder.join("style.safetensors").exists()), (1, false));

        // As it was before the job was settled.
        fs::write(job.folder.join("job.json"), left).expect("written");
        let style = folder.path().join("styles/gated.safetensors");
        fs::copy(&style, job.folder.join("style.safetensors")).expect("copied");
        change(&style);
        let office = Office::open(folder.path(), PATIENCE);
        let info = office.wait(job.id, |info| info.state.is_ended());
        assert_eq!((info.state, info.style.as_str()), (JobState::Finished, "gated"), "{left_at}");
        assert_eq!(styles(), 1, "{left_at}");
        assert_eq!(number_of(folder.path(), "gated"), Some(number_after(2)), "{left_at}");
        assert!(!job.folder.join("style.safetensors").exists(), "{left_at}");
        assert_eq!(office.remote.events.try_iter().count(), 0, "{left_at}: nothing is trained again");
        office.close();
    }
    check(|_installed| (), "the style was installed");
    check(|installed| fs::remove_file(installed).expect("removed"), "it wasn't yet");
}

#[test]
fn a_job_that_cannot_be_read_keeps_its_number_and_its_style() {
    let folder = tempfile::tempdir().expect("a folder");
    let office = Office::open(folder.path(), PATIENCE);
    let jobs = ["hana", "kaki", "ink"].map(|style| office.jobs.train(spec(folder.path(), style, 1)));
    let [_, _, last] = jobs.map(|job| job.expect("queued"));
    office.wait(last.id, |info| info.state == JobState::Finished);
    office.close();
    fs::write(last.folder.join("job.json"), "{").expect("written");
    fs::remove_dir_all(folder.path().join("styles")).expect("removed");

    let office = Office::open(folder.path(), PATIENCE);
    let all = office.jobs.list().expect("a list");
    let listed: Vec<_> = all.iter().map(|job| (job.id.0, job.style.as_str())).collect();
    assert_eq!(listed, [(1, "hana"), (2, "kaki"), (3, "ink")]);
    let JobState::Failed { why } = &all[2].state else { panic!("{:?}", all[2]) };
    assert!(why.starts_with("damaged: ") && why.contains("job.json"), "{why}");
    let refused = |fault: Fault, words: &str| {
        assert_eq!((fault.kind, fault.message.contains(words)), (FaultKind::Invalid, true), "{fault}");
    };
    refused(office.jobs.resume(last.id).expect_err("it can't"), "utsushi jobs remove 3");
    refused(office.jobs.cancel(last.id).expect_err("it can't"), "utsushi jobs remove 3");
    refused(office.jobs.train(spec(folder.path(), "ink", 1)).expect_err("it is taken"), "job 3");
    let next = office.jobs.train(spec(folder.path(), "lino", 1)).expect("queued");
    assert_eq!(next.id, JobId(4));
    // Only the user gives it up.
    assert!(last.folder.exists());
    office.jobs.remove(last.id).expect("removed");
    assert!(!last.folder.exists());
    office.jobs.train(spec(folder.path(), "ink", 1)).expect("queued");
    office.close();
}

#[test]
fn training_has_the_lowest_priority() {
    let turn = worker::channel().0.turn().clone();
    let folder = tempfile::tempdir().expect("a folder");
    let (trainers, remote) = FakeTrainers::new();
    let library = Library::open(folder.path().join("styles"));
    let jobs = Jobs::new(Config::new(folder.path().join("jobs"), library), trainers);
    let niceness = || rustix::process::nice(0).expect("a number");
    let before = niceness();
    let trainer = thread::spawn({
        let jobs = jobs.clone();
        move || {
            jobs.run(&turn);
            niceness()
        }
    });
    jobs.train(spec(folder.path(), "hana", 1)).expect("queued");
    while remote.events.recv_timeout(PATIENCE).expect("the event comes") != Event::Saved(1) {}
    jobs.stop();
    assert_eq!(trainer.join().expect("no panic"), 19);
    assert_eq!(niceness(), before, "this thread's own");
}
