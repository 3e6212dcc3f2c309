//! A person at the screen: the filter is opened from the menu, a control is moved, the preview follows, and what was
//! done is undone in one step.

use utsushi::picture::{self, Format, Picture, WriteOptions};
use utsushi_tests::gimp::{Session, installed};
use utsushi_tests::pictures::{cut, sample};
use utsushi_tests::screen::Screen;
use utsushi_tests::window::Window;

use crate::{assert_alike, read, stylize};

/// So small that GIMP shows all of it at its own size, and the dialog's preview, too.
const SIZE_PX: u32 = 180;

/// The middle of the picture, which nothing is drawn over.
fn middle(whole: &Picture) -> Picture {
    cut(whole, 60, 60, 60, 60)
}

/// Opens Filters > Utsushi by the keyboard.
fn open_menu(window: &Window, version: &str) {
    // 2.10 has two more entries below.
    let ups = if version == "2.10" { 3 } else { 1 };
    window.screen().press_and_see("alt+r");
    (0..ups).for_each(|_| window.screen().press_and_see("Up"));
    window.screen().press_and_see("Right");
}

#[test]
fn from_the_menu_through_the_preview_and_back() {
    for gimp in installed() {
        let version = gimp.version;
        let session = Session::new(gimp);
        let original =
            cut(&picture::read(&sample("chelsea.jpg")).expect("a sample"), 60, 40, SIZE_PX, SIZE_PX);
        let path = session.home().path().join("in.png");
        picture::write(&path, Format::Png, &original, &WriteOptions::default()).expect("it is written");
        let strong = stylize(&session, "in.png", &[]);
        let weak = stylize(&session, "in.png", &["--strength", "0.5"]);
        let seeded = stylize(&session, "in.png", &["--seed", "7", "--grain", "0.5"]);
        let Some(mut window) = Window::open(&session, "in.png") else { return };
        let shows = |screen: &Screen, picture: &Picture| screen.shows(&middle(picture), screen.area());
        let keep = |window: &Window, name: &str| window.screen().keep(&format!("{version}-{name}"));
        window.wait_until("the picture is open", |screen| shows(screen, &original));

        open_menu(&window, version);
        keep(&window, "menu");
        window.screen().press("s");

        let preview = |screen: &Screen, picture: &Picture| {
            screen.find_window("^Stylize$").is_some_and(|dialog| screen.shows(&middle(picture), dialog))
        };
        window.wait_until("the dialog's preview shows the style", |screen| preview(screen, &strong));
        keep(&window, "dialog");
        window.screen().press_and_see("alt+t");
        window.screen().press("ctrl+a 0 period 5 Tab");
        window.wait_until("the preview shows half of the style", |screen| preview(screen, &weak));
        keep(&window, "changed");
        let saved = |window: &mut Window, expected: &Picture, what: &str| {
            window.save("saved.png");
            assert_alike(&read(&session, "saved.png", ""), expected, 0, &format!("{version}, {what}"));
        };
        saved(&mut window, &original, "a preview leaves the layer as it is");

        window.screen().press("alt+o");
        window.wait_until("the layer is drawn", |screen| {
            screen.find_window("^Stylize$").is_none() && shows(screen, &weak)
        });
        keep(&window, "drawn");
        saved(&mut window, &weak, "OK");
        for (key, expected) in [
            ("ctrl+z", &original),
            ("ctrl+y", &weak),
            ("ctrl+z", &original),
            ("ctrl+f", &weak),
            ("ctrl+z", &original),
        ] {
            window.screen().press(key);
            window.wait_until(&format!("{key} is done"), |screen| shows(screen, expected));
            saved(&mut window, expected, key);
        }

        // A new layer, too, is one step to undo: the layer and what is drawn on it.
        let call = session.stylize(1, ["\"anime\"", "1.0", "0.0", "0.0", "\"\"", "0.5", "1", "7", "0.5"]);
        let count = |layers| {
            let counted = format!("(vector-length {})", session.layers());
            format!("(if (not (= {layers} {counted})) (error \"layers\" {counted}))")
        };
        window.evaluate(&format!("{call} {}", count(2)));
        window.wait_until("a new layer is drawn", |screen| shows(screen, &seeded));
        keep(&window, "new-layer");
        window.screen().press("ctrl+z");
        window.wait_until("the new layer is gone", |screen| shows(screen, &original));
        window.evaluate(&count(1));

        open_menu(&window, version);
        window.screen().press("d");
        window.wait_until("the daemon's status is told", |screen| screen.find_window("Message").is_some());
        keep(&window, "status");
        window.assert_no_complaints();
    }
}
