//! A bus that is not there, has no panel, or goes away.

use std::fs;
use std::thread;
use std::time::Duration;

use utsushi_tests::binary::{Home, wait_until};
use utsushi_tests::dbus::{Desktop, Icon, Manners};

use super::{Daemon, LONG, SHORT, Session};

/// The processor's time that it has taken so far.
fn ticks(daemon: &Daemon) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).expect("a process");
    let fields = stat.rsplit_once(')').expect("a name").1.split_whitespace().skip(11).take(2);
    fields.map(|field| field.parse::<u64>().expect("a number")).sum()
}

fn has_tray(daemon: &Daemon) -> bool {
    daemon.threads().iter().any(|name| name.starts_with("tray"))
}

#[test]
fn panels_and_buses_come_and_go() {
    let Some((mut session, desktop)) = Session::begin(LONG) else { return };
    let daemon = session.serve(&[]);
    let complaints = || session.log().matches("no panel here shows tray icons").count();
    wait_until("it is said", || complaints() == 1);
    for round in 1..=2 {
        desktop.set_panel(true);
        wait_until("the icon is there", || desktop.seen().items.len() == round);
        desktop.set_panel(false);
    }
    assert_eq!(complaints(), 1);

    for _ in 0..2 {
        session.bus.stop();
        session.home.expect(0, &["styles"]);
        let began = ticks(&daemon);
        thread::sleep(Duration::from_secs(2));
        let taken = ticks(&daemon) - began;
        assert!(taken < 40, "without a bus it takes {taken} of 200 ticks");
        assert_eq!(session.home.status()["running"], true);
        session.bus.restart();
        let desktop = Desktop::on(&session.bus);
        desktop.set_panel(true);
        wait_until("the icon is there again", || !desktop.seen().items.is_empty());
        let icon = Icon::wait_for(&session.bus, daemon.pid());
        icon.click("About Utsushi");
        desktop.wait_for_notice("Utsushi");
        // Choosers, too.
        icon.click("Train a style…");
        wait_until("a folder is asked for", || desktop.seen().asked.len() == 1);
    }
    assert_eq!(session.log().matches("no panel here shows tray icons").count(), 1);
}

#[test]
fn a_panel_may_fail_or_hang() {
    let Some((session, desktop)) = Session::begin(SHORT) else { return };
    desktop.seen().panel = Manners::Failing;
    desktop.set_panel(true);
    let daemon = session.serve(&[]);
    wait_until("it is said", || session.log().contains("the tray icon can't be shown"));
    desktop.seen().panel = Manners::Hanging;
    let train = ["train", "--name", "Hana", "--art", "art", "--photos", "photos", "--recipe", "recipe.toml"];
    session.home.expect(0, &train);
    // Who waits for the panel keeps nobody waiting.
    desktop.wait_for_notice("A style is ready");
    assert_eq!(desktop.seen().items, [""; 0]);
    desktop.seen().panel = Manners::Good;
    let icon = Icon::wait_for(&session.bus, daemon.pid());
    wait_until("it is up to date", || icon.line("Hana").is_some() && icon.tip() == "nothing to do");
    assert_eq!(session.log().matches("the tray icon can't be shown").count(), 1);

    // One that hangs when it comes back, too.
    desktop.set_panel(false);
    desktop.seen().panel = Manners::Hanging;
    desktop.set_panel(true);
    session.home.expect(0, &[&train[..], &["--id", "second"]].concat());
    wait_until("it is told again", || {
        desktop.seen().notices.iter().filter(|notice| notice.title == "A style is ready").count() == 2
    });
    desktop.seen().panel = Manners::Good;
    wait_until("it is up to date", || icon.lines().iter().filter(|line| line.label == "Hana").count() == 2);
}

#[test]
fn no_tray_where_none_is_wanted() {
    let Some((session, desktop)) = Session::begin(SHORT) else { return };
    desktop.set_panel(true);
    let daemon = session.serve(&["--no-tray"]);
    assert!(!has_tray(&daemon), "{:?}", daemon.threads());
    drop(daemon);
    for address in ["", "disabled:"] {
        let mut command = session.utsushi(&["serve"]);
        let daemon = Daemon(command.env("DBUS_SESSION_BUS_ADDRESS", address).spawn().expect("it runs"));
        wait_until("the daemon answers", || session.home.status()["running"] == true);
        assert!(!has_tray(&daemon), "{:?}", daemon.threads());
    }
    assert_eq!(desktop.seen().items, [""; 0]);
    // As all other tests have it.
    let home = Home::new();
    let daemon = Daemon(home.utsushi(&["serve"]).spawn().expect("it runs"));
    wait_until("the daemon answers", || home.status()["running"] == true);
    assert!(!has_tray(&daemon), "{:?}", daemon.threads());
}

#[test]
fn a_daemon_that_a_command_starts_has_an_icon() {
    let Some((session, desktop)) = Session::begin(SHORT) else { return };
    desktop.set_panel(true);
    let status = session.utsushi(&["jobs"]).status().expect("the binary runs");
    assert!(status.success());
    wait_until("the icon is there", || desktop.seen().items.len() == 1);
    let status = session.utsushi(&["stop"]).status().expect("the binary runs");
    assert!(status.success());
}

#[test]
fn an_address_where_no_bus_is_delays_nothing() {
    let Some((session, _desktop)) = Session::begin(SHORT) else { return };
    let mut command = session.utsushi(&["serve"]);
    command.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={}/nothing", session.home.path().display()));
    let daemon = Daemon(command.spawn().expect("it runs"));
    wait_until("the daemon answers", || session.home.status()["running"] == true);
    assert!(has_tray(&daemon), "it waits for a bus");
    session.home.expect(0, &["stop"]);
}
