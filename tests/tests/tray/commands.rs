//! What the menu does, by commands, as a desktop's entry runs them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use utsushi_tests::binary::{assert_code, errors, finish};
use utsushi_tests::dbus::is_there;

use super::{SHORT, Session};

const ENTRY: &str = "../packaging/desktop/org.utsushi.Utsushi.desktop";

/// A program of that name in the session's folder `bin`, a script.
fn write_program(session: &Session, name: &str, script: &str) {
    let path = session.path("bin").join(name);
    fs::create_dir_all(session.path("bin")).expect("made");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be run");
}

/// Runs the command with no programs but those, and says on which screen.
fn run(session: &Session, args: &[&str], display: &str) -> Output {
    let mut command = session.utsushi(args);
    command.env("PATH", session.path("bin")).env("DISPLAY", display);
    finish(command)
}

#[test]
fn the_entry_is_one() {
    let entry = Path::new(env!("CARGO_MANIFEST_DIR")).join(ENTRY);
    if is_there("desktop-file-validate") {
        let output = Command::new("desktop-file-validate").arg(&entry).output().expect("it runs");
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    }
    // What it runs is understood.
    let Some((session, _desktop)) = Session::begin(SHORT) else { return };
    let text = fs::read_to_string(&entry).expect("the entry");
    let runs: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("Exec=utsushi ")).collect();
    assert_eq!(runs, ["serve", "train --ask", "jobs report --open", "stop"]);
    for line in runs {
        let args: Vec<_> = line.split(' ').chain(["--help"]).collect();
        session.home.expect(0, &args);
    }
}

#[test]
fn folders_are_asked_for_by_whoever_can() {
    let Some((session, desktop)) = Session::begin(SHORT) else { return };
    let art = session.path("art").display().to_string();
    let photos = session.path("photos").display().to_string();
    let train = ["train", "--ask", "--name", "Hana", "--recipe", "recipe.toml", "--licence", "MIT"];
    let wait = |style: &str| {
        session.home.expect(0, &["jobs", "watch", style]);
    };

    // The portal, as in the menu.
    desktop.seen().answers.extend([Some(art.clone().into()), Some(photos.clone().into())]);
    assert_code(&run(&session, &train, ":99"), 0, &train);
    assert_eq!(desktop.seen().asked.len(), 2);
    assert!(desktop.wait_for_notice("A training begins").body.contains("Hana"));
    wait("hana");
    desktop.seen().answers.push_back(None);
    assert_code(&run(&session, &train, ":99"), 130, &train);

    // Zenity, or else kdialog: each says what it was asked, and answers with one folder after the other.
    let desktop = desktop.without_portal();
    let answers = format!(
        "echo \"$0 $@\" >> asked\nif [ -e second ]; then echo '{photos}'; else echo '{art}'; : > second; fi"
    );
    for (program, style, words) in [
        ("kdialog", "hana-2", "--getexistingdirectory"),
        ("zenity", "hana-3", "--file-selection --directory"),
    ] {
        let _ = fs::remove_file(session.path("second"));
        write_program(&session, program, &answers);
        assert_code(&run(&session, &train, ":99"), 0, &train);
        let asked = fs::read_to_string(session.path("asked")).expect("it was asked");
        let last = asked.lines().last().expect("a line");
        assert!(last.contains(program) && last.contains(words), "{last}");
        wait(style);
    }
    write_program(&session, "zenity", "exit 1");
    assert_code(&run(&session, &train, ":99"), 130, &train);

    // Nobody can, or there is no screen to do it on: the command that does without is named.
    for (has_programs, display) in [(true, ""), (false, ":99")] {
        if !has_programs {
            fs::remove_dir_all(session.path("bin")).expect("removed");
        }
        let output = run(&session, &train, display);
        assert_code(&output, 1, &train);
        assert!(errors(&output).contains("utsushi train --name NAME --art FOLDER"), "{}", errors(&output));
        let notice = desktop.wait_for_notice("Utsushi");
        assert!(notice.body.contains("utsushi train --name NAME --art FOLDER"), "{notice:?}");
        desktop.seen().notices.clear();
    }
}

#[test]
fn the_progress_can_be_asked_for() {
    let Some((session, desktop)) = Session::begin(SHORT) else { return };
    let report = ["jobs", "report", "--open"];
    assert_code(&finish(session.utsushi(&report)), 2, &report);
    assert!(desktop.wait_for_notice("Utsushi").body.contains("there are no jobs"));
    let train = ["train", "--name", "Hana", "--art", "art", "--photos", "photos", "--recipe", "recipe.toml"];
    session.home.expect(0, &train);
    write_program(&session, "xdg-open", "echo \"$1\" > opened");
    assert_code(&run(&session, &report, ":99"), 0, &report);
    let opened = fs::read_to_string(session.path("opened")).expect("it was opened");
    assert_eq!(Path::new(opened.trim()), session.path("state/utsushi/jobs/1-hana/report.html"));
}
