//! Frames, tasks without a user's session, and what they tell.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, assert_code, finish};
use utsushi_tests::pictures::write_drawn;

/// Are these programs installed? Says so if they aren't.
pub(crate) fn are_there(programs: &[&str]) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Where a user's shell doesn't look.
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    let folders: Vec<PathBuf> = folders.collect();
    let missing = programs.iter().find(|program| !folders.iter().any(|folder| folder.join(program).exists()));
    if let Some(program) = missing {
        let why = format!("{program} is not installed");
        assert!(std::env::var_os("UTSUSHI_REQUIRE_FARM").is_none(), "{why}");
        eprintln!("skipped: {why}");
    }
    missing.is_none()
}

/// Writes `in/frame.0001.png` and so on.
pub(crate) fn write_frames(home: &Home, count: usize, width: u32, height: u32) {
    for number in 1..=count {
        let path = home.path().join(format!("in/frame.{number:04}.png"));
        write_drawn(&path, width + number as u32 % 7, height, Channels::Rgb, Depth::U8);
    }
}

/// A command of the home as a node of a farm runs it: no session, no home to write to, a folder for temporary files.
pub(crate) fn on_a_node(home: &Home, mut command: Command) -> Command {
    let temporary = home.path().join("tmp");
    fs::create_dir_all(&temporary).expect("a folder");
    command
        .env("HOME", "/nonexistent")
        .env("TMPDIR", temporary)
        .env_remove("XDG_RUNTIME_DIR")
        .env_remove("DBUS_SESSION_BUS_ADDRESS");
    for variable in ["SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "JOB_COMPLETIONS", "SLURM_CPUS_PER_TASK"]
    {
        command.env_remove(variable);
    }
    command
}

/// Runs `batch in -o out` with these arguments, and these variables, on a node.
pub(crate) fn draw(home: &Home, args: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command =
        on_a_node(home, home.utsushi(&[&["batch", "in", "-o", "out", "--json"], args].concat()));
    command.envs(environment.iter().copied());
    finish(command)
}

/// What the batch into `out` came to, and the exit code.
pub(crate) fn merged(home: &Home, code: i32) -> Value {
    let args = ["batch", "--report", "-o", "out", "--json"];
    let output = home.run(&args);
    assert_code(&output, code, &args);
    serde_json::from_slice(&output.stdout).expect("an object")
}

/// The numbers of a report: pictures, done, skipped, failed, undone.
pub(crate) fn numbers(report: &Value) -> [u64; 5] {
    ["pictures", "done", "skipped", "failed", "undone"].map(|name| report[name].as_u64().expect("a number"))
}

/// What a command told, a line an event.
pub(crate) fn events(said: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(said);
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The outputs of these events, and how often each was drawn.
pub(crate) fn drawn(events: &[Value]) -> BTreeMap<String, usize> {
    let mut drawn = BTreeMap::new();
    for event in events.iter().filter(|event| event["event"] == "done") {
        *drawn.entry(event["output"].as_str().expect("a name").to_owned()).or_default() += 1;
    }
    drawn
}

/// Every picture is there, once, and nothing else but the journals.
pub(crate) fn assert_whole(home: &Home, count: usize) {
    let names = home.names("out");
    let is_journal = |name: &String| name.starts_with(".utsushi-batch.") && name.ends_with(".jsonl");
    let expected: BTreeSet<_> = (1..=count).map(|number| format!("frame.{number:04}.png")).collect();
    let found: BTreeSet<_> = names.into_iter().filter(|name| !is_journal(name)).collect();
    assert_eq!(found.symmetric_difference(&expected).collect::<Vec<_>>(), Vec::<&String>::new());
}
