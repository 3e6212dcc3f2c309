//! A style from the menu of a real panel's icon.

use utsushi_tests::binary::wait_until;
use utsushi_tests::dbus::Icon;
use utsushi_tests::panel::Panel;

use utsushi_training::recipe::Length;

use super::Session;

/// The icon's, and that of its bar.
const SEAL: [u8; 3] = [0xd2, 0x3c, 0x28];
const DONE: [u8; 3] = [0x63, 0xd8, 0x7c];

#[test]
fn a_style_is_trained_from_the_tray() {
    let Some((session, desktop)) = Session::begin(Length::Minutes(0.3)) else { return };
    let Some(panel) = Panel::start(&session.bus, session.home.path()) else { return };
    std::fs::rename(session.path("art"), session.path("Hana no uta")).expect("renamed");
    let screen = panel.screen();
    let daemon = session.serve(&[]);
    let icon = Icon::wait_for(&session.bus, daemon.pid());
    screen.wait_until("the icon is on the panel", || panel.find(SEAL).is_some());
    assert_eq!(panel.find(DONE), None);

    desktop.seen().answers.extend([Some(session.path("Hana no uta")), Some(session.path("photos"))]);
    icon.click("Train a style…");
    wait_until("both folders were asked for", || desktop.seen().asked.len() == 2);
    assert!(desktop.wait_for_notice("A training begins").body.contains("\u{201c}Hana no uta\u{201d}"));
    let percent = || {
        let label = icon.line("Hana no uta: ")?.label;
        label.split_once(" %")?.0.rsplit(' ').next()?.parse::<u32>().ok()
    };
    wait_until("the menu tells of progress", || percent().is_some_and(|percent| percent > 1));
    screen.wait_until("the icon tells of it, too", || panel.find(DONE).is_some());
    let before = percent();
    wait_until("it goes on", || percent() > before);

    icon.click("Pause");
    session.wait_for_job(1, "paused");
    wait_until("the menu tells", || icon.line("Hana no uta: paused at").is_some());
    let (_, paused_at) = session.job(1).expect("the job");
    screen.wait_until("the icon tells, too", || panel.find(DONE).is_none());
    icon.click("Show the progress");
    let report = session.path("state/utsushi/jobs/1-hana-no-uta/report.html");
    wait_until("the page is shown", || desktop.seen().opened == [report.clone()]);
    assert_eq!(session.job(1), Some(("paused".into(), paused_at)));
    icon.click("Resume");
    wait_until("it goes on", || session.job(1).is_some_and(|(_, step)| step > paused_at));
    screen.wait_until("the icon tells, too", || panel.find(DONE).is_some());

    // What a person sees who clicks on it.
    wait_until("it says how long it will take", || {
        icon.line("Hana no uta: ").is_some_and(|line| line.label.ends_with(" left"))
    });
    open_menu(&panel);
    screen.press_and_see("Down");
    screen.press_and_see("Down");
    screen.press_and_see("Right");
    screen.keep("tray");
    screen.press("Escape Escape Escape");

    session.wait_for_job(1, "finished");
    let notice = desktop.wait_for_notice("A style is ready");
    assert!(
        notice.body.contains("\u{201c}Hana no uta\u{201d}") && notice.actions.contains(&"Show it".into()),
        "{notice:?}"
    );
    // Pressed again, as a person would, should the first time have been too early.
    wait_until("its button shows the page", || {
        desktop.press(&notice, "show");
        desktop.seen().opened.len() > 1
    });
    assert_eq!(desktop.seen().opened[1], report);
    wait_until("the style is in the menu", || icon.line("Hana no uta").is_some_and(|line| line.is_enabled));
    screen.wait_until("the icon is at rest", || panel.find(SEAL).is_some() && panel.find(DONE).is_none());
    session.home.expect(0, &["styles", "show", "hana-no-uta"]);
    open_menu(&panel);
    ["Down", "Down", "Right"].into_iter().for_each(|key| screen.press_and_see(key));
    screen.keep("tray-styles");
    screen.press("Escape Escape Escape");
}

/// As a person does, by clicking on the icon.
fn open_menu(panel: &Panel) {
    let screen = panel.screen();
    let unopened = screen.look();
    let at = panel.find(SEAL).expect("it is there");
    screen.click((at.0 + 6, at.1 + 6), 1);
    // There would be words beside the pointer soon, over the menu.
    screen.point_at((640, 600));
    let mut last = screen.look();
    screen.wait_until("the menu is open", || {
        let now = screen.look();
        let changed = now.pixels.chunks(3).zip(unopened.pixels.chunks(3)).filter(|(a, b)| a != b).count();
        let is_still = now == last;
        last = now;
        is_still && changed > 10_000
    });
}
