//! Shares of a batch, as tasks that know nothing of each other draw them.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::thread;

use rustix::process::Signal;
use serde_json::{Value, json};
use utsushi_tests::binary::{Home, assert_code, errors, finish, signal, wait_until};

use crate::fixture::{assert_whole, draw, drawn, events, merged, numbers, on_a_node, write_frames};

const FRAMES: usize = 40;

fn home() -> Home {
    let home = Home::new();
    write_frames(&home, FRAMES, 30, 20);
    home
}

#[test]
fn shares_make_up_the_whole() {
    let home = home();
    let report = |args: &[&str]| home.run(&[&["batch", "--report", "-o", "out"], args].concat());
    assert_code(&report(&[]), 2, &["nothing was drawn"]);

    let shards = ["1/4", "2/4", "4/4"];
    let mut told = Vec::new();
    thread::scope(|scope| {
        let running = shards.map(|shard| scope.spawn(|| draw(&home, &["--shard", shard], &[])));
        for task in running {
            let output = task.join().expect("it ends");
            assert_code(&output, 0, &shards);
            told.extend(events(&output.stdout));
        }
    });
    let three = merged(&home, 1);
    assert_eq!(three["missing"], json!([3]));
    let undone = three["undone"].as_u64().expect("a number");
    assert!((6..=14).contains(&undone), "{three}");
    let words = String::from_utf8(report(&[]).stdout).expect("UTF-8");
    assert!(words.contains("never begun, of 4 shares: 3\n"), "{words}");

    told.extend(events(&draw(&home, &["--shard", "3/4"], &[]).stdout));
    assert_eq!(numbers(&merged(&home, 0)), [FRAMES as u64, FRAMES as u64, 0, 0, 0]);
    let drawn = drawn(&told);
    assert_eq!(drawn.len(), FRAMES);
    assert!(drawn.values().all(|times| *times == 1), "{drawn:?}");
    assert_whole(&home, FRAMES);
    assert_eq!(home.names("tmp"), Vec::<String>::new(), "no daemon has left its folder");
    assert_eq!(home.processes(), Vec::<i32>::new());
    assert!(!home.path().join("state").exists(), "nobody has written into the user's folders");

    // Whatever has been drawn by shares is known to all: to other shares, and without any.
    let skipped = |args: &[&str]| {
        let output = draw(&home, args, &[]);
        assert_code(&output, 0, args);
        events(&output.stdout).iter().filter(|event| event["event"] == "skipped").count()
    };
    let by_three: usize = ["1/3", "2/3", "3/3"].iter().map(|shard| skipped(&["--shard", shard])).sum();
    assert_eq!(by_three, FRAMES);
    assert_eq!(skipped(&[]), FRAMES);
    // The pictures are those that one machine draws.
    let args = ["batch", "in", "-o", "alone", "--quiet"];
    home.expect(0, &args);
    let same = |name: &String| home.files("out")[name] == home.files("alone")[name];
    assert!((1..=FRAMES).map(|number| format!("frame.{number:04}.png")).all(|name| same(&name)));
}

#[test]
fn what_fails_is_told_by_all() {
    let home = home();
    fs::write(home.path().join("in/frame.0007.png"), "no picture").expect("written");
    let codes: Vec<_> = (1..=2)
        .map(|number| draw(&home, &["--shard", &format!("{number}/2")], &[]).status.code().expect("a code"))
        .collect();
    assert_eq!(codes.iter().sum::<i32>(), 1, "one of them fails: {codes:?}");
    let report = merged(&home, 1);
    assert_eq!(numbers(&report), [FRAMES as u64, FRAMES as u64 - 1, 0, 1, 0]);
    let failure = &report["failures"][0];
    assert_eq!(failure["source"], "in/frame.0007.png");
    assert!(
        failure["message"].as_str().is_some_and(|message| message.contains("frame.0007.png")),
        "{failure}"
    );

    // Mended, its share is drawn again, and only this picture.
    fs::copy(home.path().join("in/frame.0008.png"), home.path().join("in/frame.0007.png")).expect("a copy");
    let again = if codes[0] == 1 { "1/2" } else { "2/2" };
    let events = events(&draw(&home, &["--shard", again], &[]).stdout);
    assert_eq!(drawn(&events).into_iter().collect::<Vec<_>>(), [("out/frame.0007.png".to_owned(), 1)]);
    let [pictures, done, skipped, failed, undone] = numbers(&merged(&home, 0));
    assert_eq!((pictures, done + skipped, failed, undone), (FRAMES as u64, FRAMES as u64, 0, 0));
}

#[test]
fn a_task_that_is_killed_takes_its_daemon_with_it() {
    let home = Home::new();
    write_frames(&home, 60, 400, 300);
    let args = ["batch", "in", "-o", "out", "--shard", "1/1"];
    let mut task = on_a_node(&home, home.utsushi(&args));
    let mut task = task.stdout(Stdio::null()).spawn().expect("it starts");
    wait_until("a picture is there", || home.names("out").iter().any(|name| name.ends_with(".png")));
    let running = merged(&home, 1);
    assert_eq!(running["runs"][0]["state"], "running", "{running}");
    let pid = i32::try_from(task.id()).expect("a number");
    signal(pid, Signal::KILL);
    task.wait().expect("a child");
    wait_until("the daemon is gone", || home.processes().is_empty());
    assert_eq!(home.names("tmp"), Vec::<String>::new());
    let killed = merged(&home, 1);
    assert_eq!(killed["runs"][0]["state"], "lost", "{killed}");
    let [_, done, _, _, undone] = numbers(&killed);
    assert!(done > 0 && undone > 0, "{killed}");

    let output = finish(on_a_node(&home, home.utsushi(&args)));
    assert_code(&output, 0, &args);
    let again = merged(&home, 0);
    assert_eq!(numbers(&again), [60, 60 - done, done, 0, 0], "{again}");
}

#[test]
fn the_environment_says_which_share() {
    let home = home();
    let check = |shard: &str, environment: &[(&str, &str)], code: i32, words: &str| {
        let output = draw(&home, &["--shard", shard], environment);
        assert_code(&output, code, &[shard]);
        assert!(errors(&output).contains(words), "{}", errors(&output));
    };
    check("0/4", &[], 2, "they are 1 to 4");
    check("auto", &[], 2, "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX");
    check("auto", &[("JOB_COMPLETION_INDEX", "0")], 2, "JOB_COMPLETIONS");
    check("auto/2", &[("JOB_COMPLETION_INDEX", "2")], 2, "0 to 1");
    let array = [
        ("SLURM_ARRAY_TASK_ID", "5"),
        ("SLURM_ARRAY_TASK_COUNT", "3"),
        ("SLURM_ARRAY_TASK_MIN", "1"),
        ("SLURM_ARRAY_TASK_MAX", "9"),
        ("SLURM_ARRAY_TASK_STEP", "4"),
    ];
    check("auto", &array, 0, "");
    check("auto/3", &[("SLURM_ARRAY_TASK_ID", "0")], 0, "");
    check("auto", &[("JOB_COMPLETION_INDEX", "2"), ("JOB_COMPLETIONS", "3")], 0, "");
    let report = merged(&home, 0);
    assert_eq!(numbers(&report), [FRAMES as u64, FRAMES as u64, 0, 0, 0]);
    let shares: Vec<_> = report["runs"].as_array().expect("runs").iter().map(|run| &run["share"]).collect();
    assert_eq!(shares, [1, 2, 3]);
}

#[test]
fn the_job_for_kubernetes_draws_everything() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/farm/kubernetes.yaml");
    let manifest = fs::read_to_string(manifest).expect("the manifest");
    let value = |key: &str| {
        let found = manifest.lines().find_map(|line| line.trim().strip_prefix(key)?.strip_prefix(": "));
        found.unwrap_or_else(|| panic!("no {key}"))
    };
    let completions = value("completions");
    let told = manifest.split_once("name: JOB_COMPLETIONS").expect("the variable").1;
    assert_eq!(told.lines().nth(1).map(str::trim), Some(format!("value: \"{completions}\"").as_str()));
    let command: Vec<String> = serde_json::from_str(value("command")).expect("words");
    assert_eq!(command[0], "utsushi");

    let home = home();
    let inside = |word: &String| match word.as_str() {
        "/frames" => "in".to_owned(),
        "/drawn" => "out".to_owned(),
        word => word.to_owned(),
    };
    let args: Vec<String> = command[1..].iter().map(inside).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    for index in 0..completions.parse::<usize>().expect("a number") {
        let mut pod = on_a_node(&home, home.utsushi(&args));
        pod.env("JOB_COMPLETION_INDEX", index.to_string()).env("JOB_COMPLETIONS", completions);
        assert_code(&finish(pod), 0, &args);
    }
    assert_eq!(numbers(&merged(&home, 0)), [FRAMES as u64, FRAMES as u64, 0, 0, 0]);
    assert_whole(&home, FRAMES);
}

#[test]
fn a_daemon_that_was_named_is_used() {
    let home = home();
    let socket = home.socket();
    let socket = socket.to_str().expect("plain");
    home.expect(0, &["batch", "in", "-o", "out", "--shard", "1/2", "--socket", socket, "--quiet"]);
    let status: Value = home.status();
    assert!(status["finished"].as_u64() > Some(0), "{status}");
    // Nobody else's trainings, or anything, in a daemon that serves one process: it ends with that.
    let mut serve = home.utsushi(&["serve", "--parent", "1"]);
    serve.env("UTSUSHI_SOCKET", home.path().join("other/daemon.sock"));
    assert_code(&finish(serve), 1, &["serve", "--parent", "1"]);
}
