//! Places where nothing can be written, and requests that make no sense: each is told, and nothing is left behind.

use std::fs::{self, File, Permissions};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Stdio;

use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, assert_code, errors, finish};
use utsushi_tests::pictures::write_drawn;

/// No file grows beyond 4 KiB, which is like a full disk but for the words.
const FULL: &str = "trap '' XFSZ; ulimit -f 8;";

/// A home with a daemon and a picture that is larger than [`FULL`] allows, drawn and not.
fn home() -> Home {
    let home = Home::new();
    write_drawn(&home.path().join("in/a.png"), 300, 200, Channels::Rgb, Depth::U16);
    home.expect(0, &["stylize", "in/a.png", "-o", "drawn.png"]);
    assert!(home.files(".")["drawn.png"].len() > 100 << 10);
    home
}

#[test]
fn requests_that_make_no_sense_start_nothing() {
    let home = Home::new();
    write_drawn(&home.path().join("in.png"), 9, 9, Channels::Rgb, Depth::U8);
    let before = home.files(".");
    let check = |line: &str, words: &str| {
        let args: Vec<_> = line.split_whitespace().collect();
        let output = home.expect(2, &args);
        assert!(errors(&output).contains(words), "{line}: {}", errors(&output));
        assert!(output.stdout.is_empty(), "{line}");
        assert_eq!((home.files("."), home.processes()), (before.clone(), vec![]), "{line}");
    };
    check("", "Usage");
    check("paint", "paint");
    check("stylize", "<IN>");
    check("stylize in.png", "--output");
    check("stylize in.png -o out.gif", "out.gif");
    check("stylize in.png -o out.webp --quality 80", "without loss");
    check("batch in.png -o out --format webp --quality 80", "without loss");
    check("batch in.png -o x.png", "`utsushi stylize in.png -o x.png`");
    check("batch in.png -o x.mkv", "ffmpeg");
    check("stylize in.png -o in.png", "--in-place");
    check("stylize in.png -o nowhere/out.png", "nowhere");
    check("stylize missing.png -o out.png", "missing.png");
    check("stylize . -o out.png", "utsushi batch");
    check("stylize in.png -o out.png --strength 2", "from 0 to 1");
    check("stylize in.png -o out.png --keep-colours -1", "-1");
    check("stylize in.png -o out.png --grain 7", "from 0 to 1");
    check("stylize in.png -o out.png --grain NaN", "from 0 to 1");
    check("stylize in.png -o out.png --seed 2147483648", "0..=2147483647");
    check("stylize in.png -o out.png --seed -1", "-1");
    check("batch in.png -o out --seed many", "many");
    check("stylize in.png -o out.png --brush-size 0.5", "from 1 to 64");
    check("stylize in.png -o out.png --style cel --style cel", "twice");
    check("stylize in.png -o out.png --style cel=0", "above 0");
    check("stylize in.png -o out.png --quality 101", "101");
    check("stylize in.png -o out.png --json --quiet", "--quiet");
    check("batch missing -o out", "missing");
    check("batch missing-*.png -o out", "missing-*.png");
    check("batch in.png -o in.png", "in.png");
    check("batch . -o .", "overwritten");
    check("batch in.png", "--output");
    check("serve --idle-unload soon", "90s");
    check("styles --what", "--what");
    check("completions tcsh", "tcsh");
}

#[test]
fn an_unknown_style_is_found_before_anything_is_drawn() {
    let home = home();
    for command in [&["stylize", "in/a.png", "-o", "out.png"][..], &["batch", "in", "-o", "out"]] {
        let output = home.expect(2, &[command, &["--style", "cle"]].concat());
        assert!(errors(&output).contains("`cle`") && errors(&output).contains("cel"), "{}", errors(&output));
    }
    assert_eq!(home.files(".").get("out.png"), None);
}

#[test]
fn a_folder_that_takes_no_files_is_told() {
    let home = home();
    let check = |folder: &str| {
        let out = format!("{folder}/out.png");
        for args in [
            &["stylize", "in/a.png", "-o", &out][..],
            &["batch", "in", "-o", folder],
            &["batch", "in", "-o", &format!("{folder}/new")],
        ] {
            let output = home.expect(1, args);
            let errors = errors(&output);
            assert!(errors.contains(folder) && errors.contains("can't"), "{args:?}: {errors}");
        }
    };
    // Nobody makes files there, root neither.
    check("/proc");
    let folder = home.path().join("closed");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, Permissions::from_mode(0o555)).expect("a folder of ours");
    match fs::write(folder.join("probe"), "") {
        Ok(()) => eprintln!("skipped in part: this user may write everywhere"),
        Err(_) => check(folder.to_str().expect("UTF-8")),
    }
}

#[test]
fn a_file_that_does_not_fit_leaves_what_was_there() {
    let home = home();
    let before = home.files(".");
    for (name, args) in [
        ("new.png", &["stylize", "in/a.png", "-o", "new.png"][..]),
        ("new.tif", &["stylize", "in/a.png", "-o", "new.tif"]),
        ("new.webp", &["stylize", "in/a.png", "-o", "new.webp"]),
        ("new.jpg", &["stylize", "in/a.png", "-o", "new.jpg"]),
        ("drawn.png", &["stylize", "in/a.png", "-o", "drawn.png", "--strength", "0.5"]),
        ("in/a.png", &["stylize", "in/a.png", "--in-place"]),
    ] {
        let output = finish(home.utsushi_after(FULL, args));
        assert_code(&output, 1, args);
        let errors = errors(&output);
        assert!(errors.contains(&format!("{name}: can't be written")), "{args:?}: {errors}");
        let mut after = home.files(".");
        after.insert("state/utsushi/daemon.log".into(), before["state/utsushi/daemon.log"].clone());
        assert_eq!(after.keys().collect::<Vec<_>>(), before.keys().collect::<Vec<_>>(), "{args:?}");
        assert!(after == before, "{args:?}: what was there has changed");
    }
}

#[test]
fn a_batch_goes_on_when_there_is_room_again() {
    let home = home();
    write_drawn(&home.path().join("in/small.png"), 5, 5, Channels::Rgb, Depth::U8);
    let args = ["batch", "in", "-o", "out"];
    let output = finish(home.utsushi_after(FULL, &args));
    assert_code(&output, 1, &args);
    let errors = errors(&output);
    assert!(errors.contains("out/a.png: can't be written"), "{errors}");
    assert_eq!(home.names("out"), [".utsushi-batch.jsonl", "small.png"]);
    let output = home.expect(0, &args);
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 drawn, 1 already there"), "{output:?}");
    assert!(home.files("out")["a.png"] == home.files(".")["drawn.png"]);
}

#[test]
fn a_device_is_no_place_for_a_picture() {
    let home = home();
    symlink("/dev/full", home.path().join("full.png")).expect("a link");
    let output = home.expect(1, &["stylize", "in/a.png", "-o", "full.png"]);
    assert!(errors(&output).contains("full.png: can't be written"), "{}", errors(&output));
    assert_eq!(home.names("."), ["drawn.png", "full.png", "in", "run", "state"]);
}

#[test]
fn an_answer_that_could_not_be_written_is_no_success() {
    let home = home();
    for args in [
        &["styles"][..],
        &["styles", "--json"],
        &["styles", "show", "cel"],
        &["status"],
        &["status", "--json"],
        &["man"],
        &["completions", "bash"],
        &["completions", "zsh"],
        &["completions", "fish"],
    ] {
        let full = File::options().write(true).open("/dev/full").expect("a system with /dev/full");
        let mut child =
            home.utsushi(args).stdout(full).stderr(Stdio::piped()).spawn().expect("the binary runs");
        let mut errors = String::new();
        child.stderr.take().expect("a pipe").read_to_string(&mut errors).expect("UTF-8");
        assert_eq!(child.wait().expect("a child").code(), Some(1), "{args:?}: {errors}");
        assert!(errors.contains("No space left"), "{args:?}: {errors}");
    }
}
