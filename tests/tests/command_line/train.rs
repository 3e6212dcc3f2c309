//! Training: from two folders to a style that draws, whatever happens in between.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use utsushi::picture::{self, Format, WriteOptions};
use utsushi_engine::style_file::StyleFile;
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, assert_code, errors, finish, signal, wait_until};
use utsushi_tests::pictures::{cut, sample, write_drawn};
use utsushi_tests::training::{write_pictures, write_recipe, write_waves};
use utsushi_training::recipe::Length;

/// No file grows beyond 16 KiB, which a checkpoint does: like a full disk but for the words.
const FULL: &str = "trap '' XFSZ; ulimit -f 32;";
/// More steps than any test waits for.
const MANY: &str = "1000000";
const TRAIN: [&str; 11] = [
    "train",
    "--name",
    "Hana",
    "--art",
    "art",
    "--photos",
    "photos",
    "--recipe",
    "recipe.toml",
    "--licence",
    "CC0-1.0",
];

/// A home with just enough pictures, and a recipe of short steps.
pub(crate) fn home() -> Home {
    let home = Home::new();
    write_pictures(home.path());
    write_recipe(home.path(), Length::Steps(12));
    home
}

#[test]
fn a_preset_starts_from_the_style_that_is_most_like_its_art() {
    let home = Home::new();
    fs::create_dir(home.path().join("photos")).expect("a folder");
    for (name, width) in [("astronaut", 512), ("chelsea", 451), ("coffee", 600)] {
        let whole = picture::read(&sample(&format!("{name}.jpg"))).expect("a photo");
        for part in 0..4 {
            let part_of = cut(&whole, part * (width - 256) / 3, 20 * part, 256, 200);
            let path = home.path().join(format!("photos/{name}-{part}.png"));
            picture::write(&path, Format::Png, &part_of, &WriteOptions::default()).expect("written");
        }
    }
    home.expect(0, &["batch", "photos", "-o", "art", "--style", "impressionist"]);
    home.expect(0, &["train", "--name", "Hana", "--art", "art", "--photos", "photos", "--steps", "1"]);
    let log = String::from_utf8(home.expect(0, &["jobs", "log", "1"]).stdout).expect("UTF-8");
    let nearest = "starting from impressionist; how far the art is from each style: impressionist";
    assert!(log.contains(nearest), "{log}");
    let told = String::from_utf8(home.expect(0, &["styles", "show", "hana"]).stdout).expect("UTF-8");
    assert!(told.contains("starting from impressionist"), "{told}");
}

/// The command with these options, too.
pub(crate) fn train<'a>(options: &[&'a str]) -> Vec<&'a str> {
    [&TRAIN, options].concat()
}

fn jobs(home: &Home) -> Vec<Value> {
    let list = home.expect(0, &["jobs", "--json"]).stdout;
    serde_json::from_slice(&list).expect("a list")
}

fn state(home: &Home) -> String {
    jobs(home)[0]["state"].as_str().expect("a word").to_owned()
}

/// Is it begun? A busy machine may still be preparing it.
fn is_training(home: &Home) -> bool {
    matches!(&state(home)[..], "preparing" | "running")
}

/// The style's description and weights. A file's header has its entries in no certain order.
fn style(home: &Home) -> (Value, Vec<u8>) {
    let file = fs::read(home.path().join("styles/hana.safetensors")).expect("a style");
    let (length, rest) = file.split_first_chunk().expect("a header");
    let (header, weights) = rest.split_at(u64::from_le_bytes(*length) as usize);
    (serde_json::from_slice(header).expect("JSON"), weights.to_vec())
}

pub(crate) fn checkpoints(home: &Home) -> Vec<PathBuf> {
    let names = home.names("state/utsushi/jobs/1-hana/checkpoints");
    names.into_iter().filter(|name| name.ends_with(".safetensors")).map(PathBuf::from).collect()
}

/// A daemon that keeps every step, after the shell has run `before`.
pub(crate) fn serve(home: &Home, before: &str) -> Child {
    let mut command = home.utsushi_after(before, &["serve", "--checkpoint-interval", "1ms"]);
    let child = command.stderr(Stdio::null()).spawn().expect("the binary runs");
    wait_until("the daemon answers", || home.status()["running"] == true);
    child
}

pub(crate) fn kill(mut daemon: Child) {
    signal(daemon.id() as i32, Signal::KILL);
    daemon.wait().expect("a child");
}

#[test]
fn two_folders_become_a_style() {
    let home = home();
    let output = home.expect(0, &train(&["--author", "Me", "--attribution", "the waves", "--json"]));
    let told: Vec<Value> = output
        .stdout
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).expect("an object"))
        .collect();
    let (first, last) = (&told[0], &told[told.len() - 1]);
    assert_eq!(
        (&first["state"], &first["id"], &first["style"]),
        (&"queued".into(), &1.into(), &"hana".into())
    );
    assert_eq!((&last["state"], &last["done"]), (&"finished".into(), &1.0.into()), "{last}");
    // News that come fast are told together, so that not every state is.
    assert!(told.iter().any(|job| job["state"] == "preparing" || job["state"] == "running"), "{told:?}");
    assert!(last["note"].as_str().is_some_and(|note| note.contains("only 10")), "{last}");

    let shown = home.expect(0, &["styles", "show", "hana", "--json"]).stdout;
    let shown: Value = serde_json::from_slice(&shown).expect("an object");
    assert_eq!((&shown["name"], &shown["author"]), (&"Hana".into(), &"Me".into()));
    assert_eq!((&shown["licence"], &shown["attribution"]), (&"CC0-1.0".into(), &"the waves".into()));
    assert!(
        shown["training"].as_str().is_some_and(|text| text.contains("12 steps on 10 pictures")),
        "{shown}"
    );
    let file = StyleFile::open(&home.path().join("styles/hana.safetensors")).expect("a style");
    assert!(file.thumbnail("hana").is_some());
    let photo = "photos/below/1.png";
    home.expect(0, &["stylize", photo, "-o", "out.png", "--style", "hana"]);
    home.expect(0, &["stylize", photo, "-o", "mix.png", "--style", "hana=1", "--style", "cel=1"]);
    assert!(home.files(".")["out.png"] != home.files(".")[photo]);

    // What is left of the job, and that it goes.
    let log = String::from_utf8(home.expect(0, &["jobs", "log", "hana"]).stdout).expect("UTF-8");
    assert!(log.contains("imitation, step 12 of 12") && log.contains("finished"), "{log}");
    let lines = String::from_utf8(home.expect(0, &["jobs"]).stdout).expect("UTF-8");
    assert!(lines.starts_with("1\thana\tfinished\t100 %\t"), "{lines}");
    assert!(checkpoints(&home).is_empty());
    let again = home.expect(2, &train(&[]));
    assert!(errors(&again).contains("there is a style \"hana\" already"), "{}", errors(&again));
    home.expect(0, &["jobs", "remove", "1"]);
    assert_eq!((jobs(&home).len(), home.names("styles")), (0, vec!["hana.safetensors".to_owned()]));
}

#[test]
fn a_daemon_that_dies_changes_nothing() {
    let undisturbed = home();
    undisturbed.expect(0, &train(&["--steps", "30"]));
    let expected = style(&undisturbed);

    let home = home();
    let daemon = serve(&home, "");
    home.expect(0, &train(&["--steps", "30", "--detach"]));
    wait_until("some steps are kept", || checkpoints(&home).iter().any(|name| name.as_os_str() > "00000003"));
    kill(daemon);
    let left = &home.files("state/utsushi/jobs/1-hana")["job.json"];
    let left: Value = serde_json::from_slice(left).expect("an object");
    assert_eq!(left["state"], "Running", "it was through already");
    let watched = home.expect(0, &["jobs", "watch", "1"]);
    assert!(String::from_utf8_lossy(&watched.stdout).contains("finished: the style \"hana\""), "{watched:?}");
    assert!(style(&home) == expected, "another style");
    let log = String::from_utf8(home.expect(0, &["jobs", "log", "1"]).stdout).expect("UTF-8");
    assert!(log.contains("a daemon takes it up again"), "{log}");

    // On another number of threads, too.
    let threads = self::home();
    threads.expect(0, &train(&["--steps", "30", "--threads", "1"]));
    assert!(style(&threads) == expected, "another style on one thread");
}

#[test]
fn pictures_are_drawn_while_a_job_trains_waits_and_ends() {
    let home = home();
    write_drawn(&home.path().join("in.png"), 90, 70, Channels::Rgb, Depth::U8);
    let told = home.expect(0, &train(&["--steps", MANY, "--detach"]));
    assert!(String::from_utf8_lossy(&told.stdout).starts_with("job 1: the style \"hana\""), "{told:?}");
    wait_until("it trains", || state(&home) == "running");
    home.expect(0, &["stylize", "in.png", "-o", "out.png"]);
    assert!(is_training(&home));

    let told = home.expect(0, &["jobs", "pause", "hana"]);
    assert!(String::from_utf8_lossy(&told.stdout).contains("utsushi jobs resume 1"), "{told:?}");
    assert_eq!((state(&home), checkpoints(&home).len()), ("paused".to_owned(), 1));
    let step = || jobs(&home)[0]["step"].as_u64();
    let paused_at = step();
    home.expect(0, &["stylize", "in.png", "-o", "out.png"]);
    assert_eq!(step(), paused_at);
    home.expect(0, &["stop"]);
    assert_eq!((state(&home), step()), ("paused".to_owned(), paused_at), "another daemon leaves it so");
    home.expect(0, &["jobs", "resume", "1"]);
    wait_until("it goes on", || step() > paused_at);

    // Whoever follows may leave, and is told when it ends.
    let mut leaving = home.utsushi(&["jobs", "watch", "1"]);
    let mut leaving = leaving.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    let mut lines = BufReader::new(leaving.stdout.take().expect("a pipe")).lines();
    lines.next().expect("news").expect("UTF-8");
    signal(leaving.id() as i32, Signal::INT);
    let left = leaving.wait_with_output().expect("a child");
    assert_code(&left, 130, &["jobs", "watch", "1"]);
    assert!(errors(&left).contains("utsushi jobs cancel 1"), "{}", errors(&left));
    assert!(is_training(&home));
    let staying = home.utsushi(&["jobs", "watch", "1"]).stderr(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let staying = staying.expect("the binary runs");
    home.expect(0, &["jobs", "cancel", "1"]);
    assert_code(&staying.wait_with_output().expect("a child"), 1, &["jobs", "watch", "1"]);
    assert_eq!((state(&home), home.names("styles").len()), ("cancelled".to_owned(), 0));
    assert!(checkpoints(&home).is_empty());
    home.expect(2, &["jobs", "resume", "1"]);
}

#[test]
fn a_full_disk_loses_nothing() {
    let undisturbed = home();
    undisturbed.expect(0, &train(&["--steps", "8"]));
    let home = home();
    let daemon = serve(&home, FULL);
    let args = train(&["--steps", "8"]);
    let output = home.expect(1, &args);
    assert!(errors(&output).contains("make room on the disk"), "{}", errors(&output));
    assert_eq!((state(&home), home.names("styles").len()), ("paused".to_owned(), 0));
    assert!(home.names("state/utsushi/jobs/1-hana/checkpoints").is_empty(), "nothing half-written stays");
    kill(daemon);
    assert_eq!(state(&home), "paused");
    home.expect(0, &["jobs", "resume", "1"]);
    home.expect(0, &["jobs", "watch", "1"]);
    assert!(style(&home) == style(&undisturbed));
}

#[test]
fn too_little_to_learn_from_is_told() {
    let home = home();
    let refused = |code: i32, args: &[&str], words: &str| {
        let output = home.expect(code, args);
        assert!(errors(&output).contains(words), "{args:?}: {}", errors(&output));
    };
    fs::create_dir(home.path().join("none")).expect("made");
    let mut args = train(&[]);
    args[4] = "none";
    refused(2, &args, "0 pictures (PNG, JPEG, WebP, TIFF) are there, and at least 10 are needed for the art");
    args[4] = "missing";
    refused(2, &args, "missing: can't be read");
    args[4] = "recipe.toml";
    refused(2, &args, "is no folder");
    refused(2, &train(&["--like", "nothing"]), "there is no style \"nothing\"");
    refused(2, &train(&["--id", "No"]), "no style can be called");
    assert_eq!(jobs(&home).len(), 0);

    // Enough by their names, but not one more than that.
    fs::write(home.path().join("art/0.png"), "broken").expect("written");
    fs::copy(home.path().join("art/2.png"), home.path().join("art/1.png")).expect("copied");
    refused(1, &train(&[]), "8 of its 10 pictures can be used, and at least 10 are needed");
    let log = String::from_utf8(home.expect(0, &["jobs", "log", "1"]).stdout).expect("UTF-8");
    assert!(log.contains("art/0.png: skipped: it is ") && log.contains("is the same picture as"), "{log}");
    assert_eq!(state(&home), "failed");
    // Once there are enough, the job goes on.
    (10..12).for_each(|number| write_waves(&home.path().join(format!("art/{number}.png")), number));
    home.expect(0, &["jobs", "resume", "1"]);
    home.expect(0, &["jobs", "watch", "1"]);
    assert_eq!(home.names("styles"), ["hana.safetensors"]);

    let mut command = home.utsushi(&["jobs", "report", "9"]);
    command.stdin(Stdio::null());
    assert_code(&finish(command), 2, &["jobs", "report", "9"]);
}
