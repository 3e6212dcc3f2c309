//! The dialog in other languages.

use utsushi::picture::{self, Format, WriteOptions};
use utsushi_tests::gimp::{Session, installed};
use utsushi_tests::pictures::{cut, sample};
use utsushi_tests::window::Window;

use crate::dialog::DEFAULTS;

#[test]
fn gimp_shows_the_dialog_in_its_language() {
    for (language, title, waiting) in [
        (("de", "de_DE.UTF-8"), "^Stilisieren$", "Die Auswahl berührt die Ebene nicht"),
        (("ja", "ja_JP.UTF-8"), "^スタイル変換$", "選択範囲がレイヤーに重なっていません"),
    ] {
        for gimp in installed() {
            let version = gimp.version;
            if !gimp.speaks(language.1) {
                continue;
            }
            let session = Session::speaking(gimp, language);
            let original = cut(&picture::read(&sample("chelsea.jpg")).expect("a sample"), 0, 0, 400, 300);
            let path = session.home().path().join("in.png");
            picture::write(&path, Format::Png, &original, &WriteOptions::default()).expect("it is written");
            let Some(mut window) = Window::open(&session, "in.png") else { return };
            let beside =
                "(gimp-layer-set-offsets layer 500 500) (gimp-image-select-rectangle image 2 0 0 9 9)";
            for (name, body, words) in
                [("dialog", "", "the list shows restore"), ("message", beside, waiting)]
            {
                let is_done = window.begin(&format!("{body} {}", session.stylize(0, DEFAULTS)));
                window.wait_for_words(words, 1);
                window.wait_until("the dialog has its title", |screen| screen.find_window(title).is_some());
                window.screen().keep(&format!("{version}-{}-{name}", language.0));
                window.screen().press("Escape");
                window.wait_until("the dialog is closed", |_| is_done());
            }
        }
    }
}
