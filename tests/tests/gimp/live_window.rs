//! The operation on the canvas of a person's GIMP: chosen from the menu, seen, undone, done again.

use utsushi::picture::{self, Format, Picture, WriteOptions};
use utsushi_tests::binary::wait_until;
use utsushi_tests::gimp::{Session, installed};
use utsushi_tests::pictures::{cut, sample};
use utsushi_tests::screen::Screen;
use utsushi_tests::window::Window;

use crate::{assert_alike, read, stylize};

/// So small that GIMP shows all of it at its own size.
const SIZE_PX: u32 = 180;

/// What is below the filter, into a file.
fn save_below(session: &Session, name: &str) -> String {
    let save = session.save(&format!("\"{}\"", session.inside(name)));
    format!(
        "(let* ((image (car (gimp-image-duplicate image)))
                (below (vector-ref (car (gimp-image-get-layers image)) 0)))
            (for-each gimp-drawable-filter-delete (vector->list (car (gimp-drawable-get-filters below))))
            {save})"
    )
}

/// The middle of the picture, which nothing is drawn over.
fn middle(whole: &Picture) -> Picture {
    cut(whole, 60, 60, 60, 60)
}

/// Chooses the operation by the keyboard.
fn choose(window: &mut Window, version: &str) {
    if version == "2.10" {
        window.screen().press_and_see("alt+t");
        window.screen().press("g");
        window.wait_until("the tool's dialog", |screen| screen.find_window("GEGL").is_some());
        // It is the last one of the list.
        window.screen().press_and_see("End");
    } else {
        window.screen().press_and_see("alt+r");
        window.screen().press_and_see("Up");
        window.screen().press_and_see("Right");
        window.screen().keep(&format!("{version}-live-menu"));
        window.screen().press("l");
    }
}

/// Writes the picture that is opened, `in.png`.
fn write_original(session: &Session) -> Picture {
    let original = cut(&picture::read(&sample("chelsea.jpg")).expect("a sample"), 60, 40, SIZE_PX, SIZE_PX);
    let path = session.home().path().join("in.png");
    picture::write(&path, Format::Png, &original, &WriteOptions::default()).expect("it is written");
    original
}

#[test]
fn on_the_canvas_and_back() {
    for gimp in installed() {
        let version = gimp.version;
        let session = Session::new(gimp).with_operation();
        let original = write_original(&session);
        let drawn = stylize(&session, "in.png", &[]);
        let Some(mut window) = Window::open(&session, "in.png") else { return };
        let shows = |screen: &Screen, picture: &Picture| screen.shows(&middle(picture), screen.area());
        let keep = |window: &Window, name: &str| window.screen().keep(&format!("{version}-live-{name}"));
        window.wait_until("the picture is open", |screen| shows(screen, &original));
        choose(&mut window, version);
        window.wait_until("the canvas shows the style", |screen| shows(screen, &drawn));
        keep(&window, "drawn");
        let saved = |window: &mut Window, expected: &Picture, what: &str| {
            window.save("saved.png");
            assert_alike(&read(&session, "saved.png", ""), expected, 0, &format!("{version}, {what}"));
        };
        window.screen().press("alt+o");
        window.wait_until("the dialog is closed", |screen| screen.find_window("live").is_none());
        saved(&mut window, &drawn, "OK");
        keep(&window, "kept");
        for (key, expected) in [("ctrl+z", &original), ("ctrl+y", &drawn)] {
            window.screen().press(key);
            window.wait_until(&format!("{key} is done"), |screen| shows(screen, expected));
            saved(&mut window, expected, key);
        }
        if version == "2.10" {
            continue;
        }
        // What is painted below is drawn, too.
        window.evaluate(
            "(gimp-context-set-foreground '(200 30 90))
            (gimp-context-set-brush (car (gimp-brush-new \"round\"))) (gimp-context-set-brush-size 12)",
        );
        let (x, y) = window.screen().find(&middle(&drawn), window.screen().area()).expect("it is seen");
        window.screen().press("p");
        window.screen().drag((x + 20, y + 5), (x + 35, y + 50));
        window.screen().point_at((1279, 899));
        let mut painted = drawn.clone();
        // The stroke takes its time.
        wait_until("the stroke is drawn", || {
            window.evaluate(&save_below(&session, "below.png"));
            painted = stylize(&session, "below.png", &[]);
            painted.pixels != drawn.pixels && shows(window.screen(), &painted)
        });
        saved(&mut window, &painted, "painted");
        keep(&window, "painted");
        window.screen().press("ctrl+z");
        window.wait_until("the stroke is undone", |screen| shows(screen, &drawn));
        saved(&mut window, &drawn, "unpainted");
    }
}

#[test]
fn a_failure_is_told_on_the_screen() {
    for gimp in installed() {
        let version = gimp.version;
        let session = Session::new(gimp).with_operation();
        let original = write_original(&session);
        let daemon = session.home().path().join("profile/plug-ins/utsushi-gimp/utsushi");
        std::fs::remove_file(daemon).expect("it was installed");
        let Some(mut window) = Window::open(&session, "in.png") else { return };
        let shows = |screen: &Screen| screen.shows(&middle(&original), screen.area());
        window.wait_until("the picture is open", shows);
        choose(&mut window, version);
        window.wait_until("the failure is told", |screen| screen.find_window("Message").is_some());
        window.screen().keep(&format!("{version}-live-failure"));
        window.screen().press("Return");
        window.wait_until("the picture is as it was", shows);
        window.save("saved.png");
        assert_alike(&read(&session, "saved.png", ""), &original, 0, version);
    }
}
