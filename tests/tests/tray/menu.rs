//! The menu, by the protocol by which panels show it.

use std::fs;
use std::process::Command;

use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::wait_until;
use utsushi_tests::dbus::{Icon, is_there};
use utsushi_tests::pictures::write_drawn;
use utsushi_tests::waiting::waiting_picture;

use super::{LONG, Session};

#[test]
fn trainings_that_fail_or_are_given_up() {
    let Some((session, desktop)) = Session::begin(LONG) else { return };
    desktop.set_panel(true);
    let daemon = session.serve(&[]);
    let icon = Icon::wait_for(&session.bus, daemon.pid());
    assert_eq!((icon.status().as_str(), icon.tip().as_str()), ("Active", "nothing to do"));

    // Nothing is chosen, at first or in the end: nothing begins.
    desktop.seen().answers.extend([None, Some(session.path("art")), None]);
    for asked in [1, 3] {
        icon.click("Train a style…");
        wait_until("the folders are asked for", || desktop.seen().asked.len() == asked);
    }
    wait_until("the answers are heard", || desktop.seen().answers.is_empty());

    // Folders in which there is nothing to learn from.
    fs::create_dir(session.path("none")).expect("made");
    desktop.seen().answers.extend([Some(session.path("none")), Some(session.path("photos"))]);
    icon.click("Train a style…");
    let notice = desktop.wait_for_notice("The style can't be trained");
    assert!(notice.body.contains("at least 10 are needed"), "{notice:?}");
    assert!(session.job(1).is_none());

    // Pictures that turn out to be broken.
    fs::write(session.path("art/0.png"), "broken").expect("written");
    desktop.seen().answers.extend([Some(session.path("art")), Some(session.path("photos"))]);
    icon.click("Train a style…");
    let notice = desktop.wait_for_notice("A training can't go on");
    assert!(notice.body.starts_with("art: ") && notice.body.contains("at least 10 are needed"), "{notice:?}");
    assert!(notice.actions.is_empty(), "there is nothing to see: {notice:?}");
    wait_until("the icon tells", || icon.status() == "NeedsAttention" && icon.tip() == "art: failed");
    assert!(icon.lines().iter().any(|line| !line.is_enabled && line.label.contains("can be used")));
    icon.click("Show the log");
    wait_until("the log is shown", || {
        desktop.seen().opened == [session.path("state/utsushi/jobs/1-art/log.txt")]
    });
    wait_until("somebody has looked", || icon.status() == "Active");

    fs::copy(session.path("photos/below/0.png"), session.path("art/0.png")).expect("copied");
    icon.click("Try again");
    session.wait_for_job(1, "running");
    wait_until("the icon tells", || icon.tip().starts_with("art: ") && icon.tip().contains('%'));
    icon.click("Give up this training");
    session.wait_for_job(1, "cancelled");
    wait_until("the menu has it no more", || icon.line("art: ").is_none());
    assert_eq!(icon.tip(), "nothing to do");
}

#[test]
fn what_is_not_a_training() {
    let Some((session, desktop)) = Session::begin(LONG) else { return };
    desktop.set_panel(true);
    let mut daemon = session.serve(&[]);
    let icon = Icon::wait_for(&session.bus, daemon.pid());

    // The network's memory.
    write_drawn(&session.path("in.png"), 90, 70, Channels::Rgb, Depth::U8);
    session.home.expect(0, &["stylize", "in.png", "-o", "out.png"]);
    wait_until("it was drawn", || icon.tip() == "nothing to do");
    let picture = waiting_picture(&session.home.socket());
    wait_until("the icon tells", || icon.tip() == "a picture is being drawn");
    drop(picture);
    wait_until("it is over", || icon.tip() == "nothing to do");
    let loaded = || session.home.status()["loaded"].as_array().map(Vec::len);
    assert_eq!(loaded(), Some(1));
    icon.click("Free the model's memory");
    wait_until("it is free", || loaded() == Some(0));

    // Styles, also those that have come since.
    for label in ["None of your own yet", "Cel (built in)", "Van Gogh (built in)"] {
        assert!(icon.line(label).is_some_and(|line| !line.is_enabled), "{label}");
    }
    session.home.expect(0, &["styles", "export", "cel", "-o", "mine.safetensors"]);
    let import = ["styles", "import", "mine.safetensors", "--id", "mine", "--name", "My_own & <b>"];
    session.home.expect(0, &import);
    icon.open();
    icon.click("My_own & <b>");
    let style = session.path("styles/mine.safetensors");
    wait_until("it is shown", || desktop.seen().opened == [style.clone()]);
    icon.click("Open the folder of your styles");
    wait_until("it is shown", || desktop.seen().opened == [style.clone(), session.path("styles")]);

    // The entry that starts the daemon with the session.
    let entry = session.path("config/autostart/org.utsushi.Utsushi.desktop");
    let is_checked = || icon.line("Start at login").is_some_and(|line| line.is_checked);
    assert!(!is_checked() && !entry.exists());
    icon.click("Start at login");
    wait_until("it is marked", is_checked);
    if is_there("desktop-file-validate") {
        let output = Command::new("desktop-file-validate").arg(&entry).output().expect("it runs");
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    }
    // Somebody else may take it away.
    fs::remove_file(&entry).expect("removed");
    icon.open();
    wait_until("it isn't marked", || !is_checked());
    icon.click("Start at login");
    wait_until("it is there", || entry.exists());
    icon.click("Start at login");
    wait_until("it is gone", || !entry.exists() && !is_checked());

    icon.click("About Utsushi");
    assert!(desktop.wait_for_notice("Utsushi").body.contains(env!("CARGO_PKG_VERSION")));

    // A training goes on with the next daemon.
    desktop.seen().answers.extend([Some(session.path("art")), Some(session.path("photos"))]);
    icon.click("Train a style…");
    assert!(desktop.wait_for_notice("A training begins").body.contains("art"));
    session.wait_for_job(1, "running");
    icon.click("Quit");
    assert!(daemon.0.wait().expect("a child").success());
    let daemon = session.serve(&[]);
    let icon = Icon::wait_for(&session.bus, daemon.pid());
    session.wait_for_job(1, "running");
    wait_until("the icon tells", || icon.tip().contains('%'));
}
