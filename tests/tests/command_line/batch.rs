//! Many pictures: a tree of them, what is told to a program, and what the same command does again.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::{Output, Stdio};
use std::thread;
use std::time::SystemTime;

use serde_json::Value;
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, assert_code, errors};
use utsushi_tests::pictures::{sample, write_drawn};

/// Where a batch notes what it has drawn.
pub(crate) const JOURNAL: &str = ".utsushi-batch.jsonl";

/// A home with a tree of five pictures in `in`, one of which is broken, and other things.
fn home() -> Home {
    let home = Home::new();
    let path = |name: &str| home.path().join("in").join(name);
    write_drawn(&path("a.png"), 60, 40, Channels::Rgb, Depth::U8);
    write_drawn(&path("sub/b.TIF"), 40, 60, Channels::Rgba, Depth::U16);
    write_drawn(&path("sub/deeper/c.webp"), 33, 44, Channels::Rgb, Depth::U8);
    fs::copy(sample("chelsea.jpg"), path("sub/cat.jpg")).expect("a copy");
    let cat = fs::read(sample("chelsea.jpg")).expect("a file");
    fs::write(path("sub/broken.jpg"), &cat[..cat.len() / 2]).expect("written");
    fs::write(path("notes.txt"), "no picture").expect("written");
    fs::write(path("sub/.hidden.png"), "no picture").expect("written");
    home
}

const DRAWN: [&str; 4] = ["a.png", "sub/b.TIF", "sub/cat.jpg", "sub/deeper/c.webp"];

/// The lines of `--json`.
pub(crate) fn events(output: &Output) -> Vec<Value> {
    let text = std::str::from_utf8(&output.stdout).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

/// How many events there are of a kind.
pub(crate) fn count(events: &[Value], kind: &str) -> usize {
    events.iter().filter(|event| event["event"] == kind).count()
}

/// The pictures in a folder: everything but the journal, and thus also whatever doesn't belong there.
pub(crate) fn outputs(home: &Home, folder: &str) -> BTreeMap<String, Vec<u8>> {
    let mut files = home.files(folder);
    files.remove(JOURNAL);
    files
}

fn modified(home: &Home, folder: &str) -> Vec<(String, SystemTime)> {
    let time =
        |name: &String| home.path().join(folder).join(name).metadata().and_then(|file| file.modified());
    outputs(home, folder).into_keys().map(|name| (name.clone(), time(&name).expect("a time"))).collect()
}

#[test]
fn a_tree_is_drawn_but_for_what_is_broken() {
    let home = home();
    let args = ["batch", "in", "--recursive", "-o", "out"];
    let output = home.expect(1, &args);
    let (told, errors) = (String::from_utf8_lossy(&output.stdout).into_owned(), errors(&output));
    assert!(errors.contains("in/sub/broken.jpg") && errors.contains("broken or cut short"), "{errors}");
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(told.contains("4 drawn, 1 failed"), "{told}");
    assert!(DRAWN.iter().all(|name| told.contains(&format!("in/{name} -> out/{name}"))), "{told}");
    assert_eq!(outputs(&home, "out").into_keys().collect::<Vec<_>>(), DRAWN);
    for name in DRAWN {
        let alone = format!("alone.{}", name.rsplit_once('.').expect("an extension").1);
        home.expect(0, &["stylize", &format!("in/{name}"), "-o", &alone]);
        assert!(outputs(&home, "out")[name] == home.files(".")[&alone], "{name}: not as if drawn alone");
    }

    // Again, nothing is drawn but what failed, which fails again.
    let before = modified(&home, "out");
    let told = String::from_utf8(home.expect(1, &args).stdout).expect("UTF-8");
    assert!(told.contains("4 already there, 1 failed"), "{told}");
    assert_eq!(modified(&home, "out"), before);

    // Mended, it is drawn, and nothing else.
    fs::copy(sample("chelsea.jpg"), home.path().join("in/sub/broken.jpg")).expect("a copy");
    let told = String::from_utf8(home.expect(0, &args).stdout).expect("UTF-8");
    assert!(told.contains("1 drawn, 4 already there"), "{told}");
    let drawn = outputs(&home, "out");
    assert!(drawn["sub/broken.jpg"] == drawn["sub/cat.jpg"]);
    let after = modified(&home, "out");
    assert!(before.iter().all(|file| after.contains(file)), "the others were left alone");
}

#[test]
fn other_settings_draw_everything_again() {
    let home = home();
    fs::remove_file(home.path().join("in/sub/broken.jpg")).expect("removed");
    let args = ["batch", "in", "-r", "-o", "out"];
    home.expect(0, &args);
    let plain = outputs(&home, "out");
    let done = |more: &[&str]| {
        let events = events(&home.expect(0, &[&args[..], more, &["--json"]].concat()));
        (count(&events, "done"), count(&events, "skipped"))
    };
    assert_eq!(done(&["--strength", "0.5"]), (4, 0));
    let weaker = outputs(&home, "out");
    assert!(plain.iter().all(|(name, content)| weaker[name] != *content), "each of them differs");
    assert_eq!(done(&["--strength", "0.5"]), (0, 4));
    assert_eq!(done(&["--strength", "0.5", "--quality", "50"]), (1, 3), "only JPEG has a quality");
    assert_eq!(done(&["--skip-existing"]), (0, 4));
    assert_eq!(done(&[]), (4, 0));
    assert!(outputs(&home, "out") == plain);
    assert_eq!(done(&["--redo"]), (4, 0));
    assert!(outputs(&home, "out") == plain);
}

#[test]
fn programs_are_told_everything() {
    let home = home();
    let check = |expected: [usize; 3], code: i32| {
        let args = ["batch", "in", "-r", "-o", "out", "--json"];
        let output = home.run(&args);
        assert_code(&output, code, &args);
        assert_eq!(errors(&output), "");
        let events = events(&output);
        assert_eq!(["done", "skipped", "failed"].map(|kind| count(&events, kind)), expected);
        assert_eq!(count(&events, "started"), expected[0]);
        assert_eq!(count(&events, "summary"), 1);
        let summary = events.last().expect("a last line");
        assert_eq!(summary["event"], "summary");
        assert_eq!(
            ["done", "skipped", "failed"].map(|kind| summary[kind].clone()),
            expected.map(Value::from)
        );
        assert_eq!((&summary["undone"], &summary["interrupted"]), (&Value::from(0), &Value::from(false)));

        for event in events.iter().filter(|event| event["event"] == "done") {
            let (source, output) = (event["source"].as_str(), event["output"].as_str());
            let name = source.and_then(|source| source.strip_prefix("in/")).expect("a source");
            assert_eq!(output, Some(format!("out/{name}").as_str()));
            assert!(event["engine_ms"].as_f64() > Some(0.0) && event["brush_size"] == 1.0, "{event}");
            let last = events
                .iter()
                .rfind(|progress| progress["event"] == "progress" && progress["source"] == event["source"]);
            let last = last.expect("progress");
            assert!(last["rows"].as_u64() > Some(0) && last["rows_done"] == last["rows"], "{last}");
        }
        for event in events.iter().filter(|event| event["event"] == "failed") {
            assert_eq!(event["source"], "in/sub/broken.jpg");
            assert!(event["message"].as_str().is_some_and(|words| words.contains("broken")), "{event}");
        }
        assert!(
            events.iter().all(|event| event["event"] != "skipped" || event["reason"] == "finished"),
            "{events:?}"
        );
    };
    check([4, 0, 1], 1);
    check([0, 4, 1], 1);
    fs::remove_file(home.path().join("in/sub/broken.jpg")).expect("removed");
    check([0, 4, 0], 0);
}

#[test]
fn the_work_goes_on_when_nobody_reads() {
    let home = home();
    fs::remove_file(home.path().join("in/sub/broken.jpg")).expect("removed");
    let mut command = home.utsushi(&["batch", "in", "-r", "-o", "out", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    drop((child.stdout.take(), child.stderr.take()));
    assert!(child.wait().expect("a child").success());
    assert_eq!(outputs(&home, "out").into_keys().collect::<Vec<_>>(), DRAWN);
}

#[test]
fn patterns_files_and_folders_and_another_format() {
    let home = home();
    let args = ["batch", "in/sub/*.TIF", "in/a.png", "in/sub/deeper", "-o", "new/out", "--format", "jpeg"];
    home.expect(0, &args);
    assert_eq!(outputs(&home, "new/out").into_keys().collect::<Vec<_>>(), ["a.jpg", "b.jpg", "c.jpg"]);
    assert!(outputs(&home, "new/out").values().all(|content| content.starts_with(&[0xff, 0xd8, 0xff])));
    let output = home.expect(0, &["batch", "in/a.png", "-o", "quiet", "--quiet"]);
    assert!(output.stdout.is_empty() && output.stderr.is_empty());
}

#[test]
fn names_may_be_strange() {
    let home = Home::new();
    let names =
        ["a b.png", "-r.png", "[1].png", "*.png", "写し.png", "line\nbreak.png", "'\"$x.png", "%s.x.png"];
    for name in names {
        write_drawn(&home.path().join("in").join(name), 20, 10, Channels::Rgb, Depth::U8);
    }
    let no_utf8 = OsStr::from_bytes(b"\xff.png");
    write_drawn(&home.path().join("in").join(no_utf8), 20, 10, Channels::Rgb, Depth::U8);
    let args = ["batch", "in", "--output=-o", "--json"];
    let first = events(&home.expect(0, &args));
    assert_eq!(count(&first, "done"), names.len() + 1);
    for name in names {
        assert!(first.iter().any(|event| event["output"] == format!("-o/{name}")), "{name:?}");
        assert!(home.path().join("-o").join(name).is_file(), "{name:?}");
    }
    assert!(home.path().join("-o").join(no_utf8).is_file());
    assert_eq!(count(&events(&home.expect(0, &args)), "skipped"), names.len() + 1);
    home.expect(0, &["stylize", "--output", "in/out.png", "--", "in/-r.png"]);
}

#[test]
fn two_batches_into_one_folder_do_no_harm() {
    let home = home();
    fs::remove_file(home.path().join("in/sub/broken.jpg")).expect("removed");
    let args = |folder| ["batch", "in", "-r", "-o", folder, "--json"];
    home.expect(0, &args("expected"));
    thread::scope(|scope| {
        let running = [(); 3].map(|()| scope.spawn(|| home.expect(0, &args("out"))));
        running.into_iter().for_each(|batch| drop(batch.join().expect("it succeeds")));
    });
    assert!(outputs(&home, "out") == outputs(&home, "expected"));
    assert_eq!(count(&events(&home.expect(0, &args("out"))), "skipped"), DRAWN.len());
}
