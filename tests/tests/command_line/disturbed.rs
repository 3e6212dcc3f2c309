//! A batch whose daemon is killed, and one that is interrupted: in the end there is what an undisturbed run makes.

use std::cell::Cell;
use std::fs;
use std::io::{BufRead, BufReader, Lines, Read};
use std::process::{Child, ChildStdout, ExitStatus, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, signal, wait_until};
use utsushi_tests::pictures::{sample, write_drawn};

use crate::batch::{JOURNAL, count, events, outputs};

/// A home with pictures in `in`: some of several bands, and in the end enough of them that no batch is through
/// before a signal reaches it.
fn home() -> Home {
    let home = Home::new();
    let path = |name: &str| home.path().join("in").join(name);
    write_drawn(&path("a.png"), 60, 40, Channels::Rgb, Depth::U8);
    write_drawn(&path("b.tif"), 900, 900, Channels::Rgba, Depth::F32);
    write_drawn(&path("c/c.png"), 900, 900, Channels::Rgb, Depth::U16);
    for name in ["d.jpg", "e.jpg", "f.jpg", "g.jpg", "h.jpg", "i.jpg"] {
        fs::copy(sample("coffee.jpg"), path(name)).expect("a copy");
    }
    home
}

const PICTURES: usize = 9;

fn batch(folder: &str) -> [&str; 8] {
    ["batch", "in", "-r", "-o", folder, "--json", "--brush-size", "1"]
}

/// A command that is followed as it goes.
struct Run {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    events: Vec<Value>,
}

impl Run {
    fn start(home: &Home, args: &[&str]) -> Self {
        let child = home.utsushi(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the binary runs");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Self { child, lines, events: Vec::new() }
    }

    fn next(&mut self) -> Option<Value> {
        let line = self.lines.next()?.expect("UTF-8");
        let event: Value = serde_json::from_str(&line).expect("an object");
        self.events.push(event.clone());
        Some(event)
    }

    /// Reads on until such an event.
    fn follow(&mut self, is_it: impl Fn(&Value) -> bool) {
        while !is_it(&self.next().expect("it goes on")) {}
    }

    fn end(mut self) -> (ExitStatus, Vec<Value>, String) {
        while self.next().is_some() {}
        let mut errors = String::new();
        self.child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("UTF-8");
        (self.child.wait().expect("a child"), self.events, errors)
    }
}

fn is_done(event: &Value) -> bool {
    event["event"] == "done"
}

fn is_started(event: &Value) -> bool {
    event["event"] == "started"
}

/// Is a picture with more than one band half-drawn?
fn is_half_done(event: &Value) -> bool {
    event["event"] == "progress" && event["rows_done"] != 0 && event["rows_done"] != event["rows"]
}

#[test]
fn a_daemon_that_dies_leaves_no_trace_in_the_pictures() {
    let home = home();
    home.expect(0, &batch("undisturbed"));
    let expected = outputs(&home, "undisturbed");
    assert_eq!(expected.len(), PICTURES);
    let check = |when: &str, moment: fn(&Value) -> bool, end: &dyn Fn(i32)| {
        let victim = home.daemon_pid().expect("a daemon");
        let mut run = Run::start(&home, &batch(when));
        run.follow(moment);
        end(victim);
        let (status, events, errors) = run.end();
        assert!(status.success() && errors.is_empty(), "{when}: {status} {errors} {events:?}");
        let summary = events.last().expect("a summary");
        assert_eq!((&summary["done"], &summary["failed"]), (&PICTURES.into(), &0.into()), "{when}");
        assert_eq!(count(&events, "error"), 0, "{when}: {events:?}");
        let pid = home.daemon_pid().expect("another daemon");
        assert!(pid != victim, "{when}: it didn't end in the middle");
        let drawn = outputs(&home, when);
        assert_eq!(drawn.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>(), "{when}");
        assert!(drawn == expected, "{when}: other pixels");
    };
    let kill = |pid| signal(pid, Signal::KILL);
    check("killed at the start", is_started, &kill);
    check("killed half-way", is_half_done, &kill);
    check("killed between pictures", is_done, &kill);
    check("stopped half-way", is_half_done, &|_| drop(home.expect(0, &["stop"])));
    check("stopped between pictures", is_done, &|pid| signal(pid, Signal::TERM));
    wait_until("there is one daemon", || home.daemons().len() == 1);
}

#[test]
fn a_picture_that_kills_two_daemons_is_named_and_the_others_are_drawn() {
    const CULPRIT: &str = "in/b.tif";
    let home = home();
    home.expect(0, &batch("undisturbed"));
    let mut run = Run::start(&home, &batch("out"));
    let rows_done = |event: &Value| match event["source"] == CULPRIT && is_half_done(event) {
        true => event["rows_done"].as_u64(),
        false => None,
    };
    let first_band = Cell::new(0);
    run.follow(|event| first_band.replace(rows_done(event).unwrap_or(first_band.get())) != 0);
    signal(home.daemons()[0], Signal::KILL);
    // Its first band is told again when another daemon has drawn it.
    run.follow(|event| rows_done(event).is_some_and(|rows| rows <= first_band.get()));
    signal(home.daemon_pid().expect("a daemon"), Signal::KILL);

    let (status, events, _) = run.end();
    assert_eq!(status.code(), Some(1), "{events:?}");
    let failed: Vec<_> = events.iter().filter(|event| event["event"] == "failed").collect();
    assert_eq!((failed.len(), &failed[0]["source"]), (1, &CULPRIT.into()), "{failed:?}");
    assert!(failed[0]["message"].as_str().is_some_and(|words| words.contains("twice")), "{failed:?}");
    assert_eq!(count(&events, "done"), PICTURES - 1);
    assert_eq!(outputs(&home, "out").len(), PICTURES - 1);
    home.expect(0, &batch("out"));
    assert!(outputs(&home, "out") == outputs(&home, "undisturbed"));
}

#[test]
fn commands_of_one_instant_survive_their_daemon() {
    let home = home();
    home.expect(0, &["stylize", "in/b.tif", "-o", "expected.tif"]);
    let victim = home.daemon_pid().expect("a daemon");
    let mut runs = ["1.tif", "2.tif", "3.tif", "4.tif"]
        .map(|output| Run::start(&home, &["stylize", "in/b.tif", "-o", output, "--json"]));
    runs[0].follow(is_half_done);
    signal(victim, Signal::KILL);
    for run in runs {
        let (status, events, errors) = run.end();
        assert!(status.success(), "{errors} {events:?}");
    }
    let mut files = home.files(".");
    files.retain(|name, _| name.ends_with(".tif") && !name.contains('/'));
    assert_eq!(files.keys().collect::<Vec<_>>(), ["1.tif", "2.tif", "3.tif", "4.tif", "expected.tif"]);
    assert!(files.values().all(|file| *file == files["expected.tif"]));
    wait_until("there is one other daemon", || matches!(home.daemons()[..], [pid] if pid != victim));
}

#[test]
fn an_interrupted_batch_leaves_whole_files_and_goes_on() {
    let home = home();
    home.expect(0, &batch("undisturbed"));
    let expected = outputs(&home, "undisturbed");
    let check = |kind: Signal, when: &str, moment: fn(&Value) -> bool| {
        let folder = format!("{kind:?} {when}");
        let mut run = Run::start(&home, &batch(&folder));
        run.follow(moment);
        signal(run.child.id() as i32, kind);
        let (status, told, errors) = run.end();
        assert_eq!(status.code(), Some(130), "{folder}: {status} {errors} {told:?}");
        assert!(errors.contains("run the same command again to go on"), "{folder}: {errors}");
        let summary = told.last().expect("a summary");
        assert_eq!(summary["interrupted"], true, "{folder}: {summary}");
        let done = count(&told, "done");
        assert!(done < PICTURES, "{folder}: it was through already");
        assert_eq!(
            (&summary["done"], &summary["undone"], &summary["failed"]),
            (&done.into(), &(PICTURES - done).into(), &0.into()),
            "{folder}"
        );

        // What was told to be done is there as a whole, and nothing else.
        let left = outputs(&home, &folder);
        let mut names: Vec<_> = told.iter().filter(|event| is_done(event)).collect();
        names.sort_by_key(|event| event["output"].as_str());
        let names: Vec<_> = names.iter().map(|event| event["output"].as_str().expect("a name")).collect();
        let found: Vec<_> = left.keys().map(|name| format!("{folder}/{name}")).collect();
        assert_eq!(found, names, "{folder}");
        assert!(left.iter().all(|(name, content)| *content == expected[name]), "{folder}: half-written");

        let again = events(&home.expect(0, &batch(&folder)));
        let summary = again.last().expect("a summary");
        assert_eq!(
            (&summary["done"], &summary["skipped"]),
            (&(PICTURES - done).into(), &done.into()),
            "{folder}"
        );
        assert!(outputs(&home, &folder) == expected, "{folder}: other pictures");
        assert!(home.path().join(&folder).join(JOURNAL).exists());
        fs::remove_dir_all(home.path().join(folder)).expect("removed");
    };
    check(Signal::INT, "started", is_started);
    check(Signal::INT, "half-done", is_half_done);
    check(Signal::INT, "done", is_done);
    check(Signal::TERM, "half-done", is_half_done);
    check(Signal::HUP, "done", is_done);
    wait_until("the daemon is free", || home.status()["drawing"] == 0);
    assert_eq!(home.daemons().len(), 1, "it was not interrupted");
}

#[test]
fn a_file_that_is_being_written_is_finished_however_often_one_interrupts() {
    let home = home();
    let temporary = |folder: &str| home.names(folder).into_iter().find(|name| name.ends_with(".tmp"));
    for round in 1..=3 {
        let folder = format!("out-{round}");
        let run = Run::start(&home, &batch(&folder));
        // The largest of them.
        wait_until("a file is written", || temporary(&format!("{folder}/c")).is_some());
        for kind in [Signal::HUP, Signal::HUP, Signal::TERM] {
            signal(run.child.id() as i32, kind);
        }
        let (status, ..) = run.end();
        assert_eq!(status.code(), Some(130));
        let left = outputs(&home, &folder).into_keys().collect::<Vec<_>>();
        assert!(left.iter().all(|name| !name.ends_with(".tmp")), "{left:?}");
    }
}
