//! A person in the dialog: choosing by pictures, looking closely, keeping values, and being told what is in the way.

use std::fs;

use moxcms::{ColorProfile, Layout, TransformOptions};
use utsushi::picture::{self, Format, Metadata, Picture, WriteOptions};
use utsushi_ipc::pixels::{Channels, Depth, PixelFormat, Raster};
use utsushi_tests::binary::binary;
use utsushi_tests::gimp::{Gimp, Session, installed};
use utsushi_tests::pictures::{cut, sample};
use utsushi_tests::screen::Screen;
use utsushi_tests::window::Window;

use crate::stylize;

pub(crate) const DEFAULTS: [&str; 9] = ["\"anime\"", "1.0", "0.0", "0.0", "\"\"", "0.5", "0", "0", "1.0"];

const TITLE: &str = "^Stylize$";

/// A session with a part of a photo in `in.png`.
fn session(gimp: Gimp, (width, height): (u32, u32)) -> (Session, Picture) {
    let session = Session::new(gimp);
    let photo = picture::read(&sample("chelsea.jpg")).expect("a sample");
    let width = width.min(photo.raster.width());
    let original = cut(&photo, 0, 0, width, height.min(photo.raster.height()));
    let path = session.home().path().join("in.png");
    picture::write(&path, Format::Png, &original, &WriteOptions::default()).expect("it is written");
    (session, original)
}

/// Opens the dialog; tells when it is closed.
fn open(window: &mut Window, session: &Session, before: &str) -> impl Fn() -> bool + use<> {
    window.begin(&format!("{before} {}", session.telling(&session.stylize(0, DEFAULTS))))
}

/// On all of the screen, as xdotool counts a window's frame twice.
fn shows(screen: &Screen, picture: &Picture) -> bool {
    screen.find_window(TITLE).is_some() && screen.shows(picture, screen.area())
}

#[test]
fn styles_are_chosen_by_pictures_starred_and_kept_as_presets() {
    for gimp in installed() {
        let version = gimp.version;
        let (session, original) = session(gimp, (180, 180));
        let middle = |picture: &Picture| cut(picture, 60, 60, 60, 60);
        let anime = middle(&stylize(&session, "in.png", &[]));
        let comic = middle(&stylize(&session, "in.png", &["--style", "comic"]));
        let weak = middle(&stylize(&session, "in.png", &["--style", "comic", "--strength", "0.5"]));
        let Some(mut window) = Window::open(&session, "in.png") else { return };
        let kept = |name: &str| {
            let path = session.home().path().join("profile/utsushi").join(name);
            fs::read_to_string(path).unwrap_or_default()
        };
        let is_done = open(&mut window, &session, "");
        // Each style has its picture, with nobody asking for it.
        for style in
            ["anime", "comic", "ukiyo-e", "oil", "van-gogh", "impressionist", "cel", "paint", "restore"]
        {
            window.wait_for_words(&format!("the list shows {style}\n"), 1);
        }
        window.screen().keep(&format!("{version}-styles"));
        window.screen().press("alt+y Down");
        window.wait_until("the preview shows the next style", |screen| shows(screen, &comic));
        window.screen().press("alt+f");
        window.wait_until("it is a favourite", |_| kept("favourites") == "comic\n");
        window.screen().press("alt+t ctrl+a 0 period 5 Tab");
        window.wait_until("the preview shows half of the style", |screen| shows(screen, &weak));
        window.screen().press("alt+p m i n e Tab");
        window.screen().press("space");
        window.wait_until("there is a preset", |_| kept("presets.toml").contains("[mine]"));
        assert!(kept("presets.toml").contains("strength = 0.5\n"), "{}", kept("presets.toml"));
        window.screen().keep(&format!("{version}-starred"));
        window.screen().press("Escape");
        window.wait_until("the dialog is closed", |_| is_done());

        // After a restart of the plug-in, the preset has both the style and its strength.
        let is_done = open(&mut window, &session, "");
        window.wait_for_words("the list shows restore\n", 2);
        window.screen().press("alt+p Down");
        window.wait_until("the preview shows the preset", |screen| shows(screen, &weak));
        window.screen().keep(&format!("{version}-preset"));
        if version == "2.10" {
            window.screen().press("alt+r");
            window.wait_until("everything is as at first", |screen| shows(screen, &anime));
        } else {
            // GIMP's own settings, which go by the configuration.
            // GTK presses a button some time after its key.
            window.screen().press("alt+s");
            window.wait_until("the settings are saved", |_| {
                let saved = session.home().names("profile/plug-in-settings");
                saved.iter().any(|name| name.ends_with(".default"))
            });
            window.screen().press("alt+t ctrl+a 1 Tab");
            window.wait_until("the preview shows all of the style", |screen| shows(screen, &comic));
            window.screen().press("alt+l");
            window.wait_until("what was saved is loaded", |screen| shows(screen, &weak));
        }
        window.screen().press("Escape");
        window.wait_until("the dialog is closed", |_| is_done());
        window.assert_no_complaints();
        assert!(original.raster.width() == 180, "all of it is seen at its own size");
    }
}

#[test]
fn many_styles_can_be_searched() {
    for gimp in installed() {
        let version = gimp.version;
        let (session, _) = session(gimp, (180, 180));
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/styles/paint.safetensors");
        for id in ["mine-1", "mine-2", "mine-3", "mine-4"] {
            session.home().expect(0, &["styles", "import", own, "--id", id]);
        }
        let Some(mut window) = Window::open(&session, "in.png") else { return };
        let is_done = open(&mut window, &session, "");
        window.wait_for_words("the list shows mine-4\n", 1);
        window.screen().press("alt+h m i n e minus 3");
        window.screen().press_and_see("alt+y");
        window.screen().keep(&format!("{version}-search"));
        // It is the only line.
        window.screen().press("Home space alt+f");
        let file = session.home().path().join("profile/utsushi/favourites");
        window.wait_until("what was found is a favourite", |_| {
            fs::read_to_string(&file).is_ok_and(|favourites| favourites == "mine-3\n")
        });
        window.screen().press("Escape");
        window.wait_until("the dialog is closed", |_| is_done());
        window.assert_no_complaints();
    }
}

#[test]
fn the_preview_zooms_moves_splits_and_grows() {
    for gimp in installed() {
        let version = gimp.version;
        let (session, original) = session(gimp, (1_000, 1_000));
        // Larger than any preview here.
        let enlarged = session.home().path().join("in.png");
        let large = enlarge(&original, 3);
        picture::write(&enlarged, Format::Png, &large, &WriteOptions::default()).expect("it is written");
        let (width, height) = (large.raster.width(), large.raster.height());
        let drawn = stylize(&session, "in.png", &[]);
        let Some(mut window) = Window::open(&session, "in.png") else { return };
        let is_done = open(&mut window, &session, "");
        window.wait_for_words("preview ", 1);
        window.screen().keep(&format!("{version}-whole"));

        // The brush size is 1, so that the command line's is the same.
        window.screen().press("alt+b ctrl+a 1 Tab alt+1");
        let middle = cut(&drawn, width / 2 - 60, height / 2 - 60, 120, 120);
        window.wait_until("the middle is seen pixel for pixel", |screen| shows(screen, &middle));
        window.screen().keep(&format!("{version}-one-to-one"));

        let dialog = window.screen().find_window(TITLE).expect("it is open");
        let (x, y) = (dialog.x + 250, dialog.y + 250);
        let corner = cut(&drawn, 5, 5, 120, 120);
        let drag_there = |screen: &Screen| {
            (0..8).for_each(|_| screen.drag((x - 150, y - 100), (x + 200, y + 200)));
        };
        drag_there(window.screen());
        window.wait_until("the corner was dragged here", |screen| shows(screen, &corner));

        // Left of the middle is the layer as it is.
        window.screen().press("alt+a");
        let before = cut(&large, 5, 5, 120, 120);
        window.wait_until("the corner is seen before", |screen| shows(screen, &before));
        window.screen().keep(&format!("{version}-split"));
        window.screen().click((x - 100, y), 1);
        window.screen().press(&["shift+Left"; 10].join(" "));
        // Below the words.
        let left = cut(&drawn, 8, 60, 100, 60);
        window.wait_until("the line was moved to the left", |screen| shows(screen, &left));
        window.screen().press("alt+a");
        window.screen().click((x, y), 5);
        window.wait_until("the wheel zooms out", |screen| !shows(screen, &corner));
        // What is under the pointer stays there, which is not what was before the corner was reached.
        window.screen().click((x, y), 4);
        drag_there(window.screen());
        window.wait_until("the wheel zooms in", |screen| shows(screen, &corner));

        // What was too wide for the preview isn't any more.
        let wide = cut(&drawn, 5, 300, 590, 40);
        assert!(!shows(window.screen(), &wide));
        window.screen().resize_window(TITLE, 1270, 860);
        window.screen().press("alt+v alt+v");
        window.wait_until("the preview has grown", |screen| {
            screen.find_window(TITLE).is_some_and(|dialog| dialog.height > 800)
        });
        window.screen().keep(&format!("{version}-grown"));
        window.screen().press("Escape");
        window.wait_until("the dialog is closed", |_| is_done());
        window.assert_no_complaints();
    }
}

#[test]
fn the_preview_shows_colours_as_a_screen_does() {
    for gimp in installed() {
        let version = gimp.version;
        let session = Session::new(gimp);
        let (p3, srgb) = (ColorProfile::new_display_p3(), ColorProfile::new_srgb());
        let format = PixelFormat { channels: Channels::Rgb, depth: Depth::U8 };
        let raster = Raster::new(180, 180, format).expect("a raster");
        let (colour, mut on_screen) = ([200, 90, 80], [0_u8; 3]);
        let convert = p3.create_transform_8bit(Layout::Rgb, &srgb, Layout::Rgb, TransformOptions::default());
        convert.and_then(|convert| convert.transform(&colour, &mut on_screen)).expect("it is converted");
        let metadata = Metadata { icc: picture::encode_profile(&p3), ..Metadata::default() };
        let flat = Picture { raster, pixels: colour.repeat(180 * 180), metadata };
        let path = session.home().path().join("in.png");
        picture::write(&path, Format::Png, &flat, &WriteOptions::default()).expect("it is written");

        let Some(mut window) = Window::open(&session, "in.png") else { return };
        let is_done = open(&mut window, &session, "");
        window.wait_for_words("the list shows restore\n", 1);
        // The layer as it is.
        window.screen().press("alt+v");
        let count = |screen: &Screen, colour: [u8; 3]| {
            let seen = screen.look();
            let is_like = |pixel: &&[u8]| pixel.iter().zip(colour).all(|(a, b)| a.abs_diff(b) <= 1);
            seen.pixels.chunks(3).filter(is_like).count()
        };
        window.wait_until("it has the screen's colour", |screen| count(screen, on_screen) >= 180 * 180);
        assert!(count(window.screen(), colour) < 500, "{version}: {on_screen:?}, not {colour:?}");
        window.screen().press("Escape");
        window.wait_until("the dialog is closed", |_| is_done());
        window.assert_no_complaints();
    }
}

/// Each pixel becomes `by` x `by`.
fn enlarge(picture: &Picture, by: usize) -> Picture {
    let row = |row: &[u8]| -> Vec<u8> {
        row.chunks(3).flat_map(|pixel| pixel.repeat(by)).collect::<Vec<u8>>().repeat(by)
    };
    let pixels = picture.pixels.chunks(picture.raster.row_bytes()).flat_map(row).collect();
    let (width, height) = (picture.raster.width() * by as u32, picture.raster.height() * by as u32);
    let raster = Raster::new(width, height, picture.raster.format()).expect("a raster");
    Picture { raster, pixels, metadata: picture.metadata.clone() }
}

#[test]
fn what_is_in_the_way_is_said_in_the_dialog() {
    for gimp in installed() {
        let version = gimp.version;
        let (session, _) = session(gimp, (180, 180));
        let Some(mut window) = Window::open(&session, "in.png") else { return };
        let group = session.new_group();
        let cases = [
            (
                "selection",
                "(gimp-layer-set-offsets layer 500 500) (gimp-image-select-rectangle image 2 0 0 9 9)"
                    .to_owned(),
                "(gimp-layer-set-offsets layer 0 0) (gimp-selection-none image)",
                "The selection doesn't touch the layer",
            ),
            (
                "locked",
                "(gimp-item-set-lock-content layer TRUE)".to_owned(),
                "(gimp-item-set-lock-content layer FALSE)",
                "The layer's pixels are locked",
            ),
            (
                "group",
                format!("(set! layer {group}) (gimp-image-insert-layer image layer 0 0)"),
                "(gimp-image-remove-layer image layer) (set! layer the-layer)",
                "A layer group has no pixels of its own",
            ),
            (
                "indexed",
                "(gimp-image-convert-indexed image 0 0 8 FALSE FALSE \"\")".to_owned(),
                "(gimp-image-convert-rgb image)",
                "An indexed image has no colours to spare",
            ),
        ];
        for (name, before, after, words) in cases {
            let is_done = open(&mut window, &session, &before);
            window.wait_for_words(&format!("the dialog says: {words}"), 1);
            window.wait_until("the dialog is seen", |screen| screen.find_window(TITLE).is_some());
            // There is nothing that OK could do.
            window.screen().press_and_see("alt+b");
            window.screen().press("alt+o");
            window.screen().press_and_see("alt+k");
            assert!(!is_done(), "{version}, {name}");
            window.screen().keep(&format!("{version}-{name}"));
            window.screen().press("Escape");
            window.wait_until("the dialog is closed", |_| is_done());
            window.assert_no_complaints();
            window.evaluate(after);
        }
    }
}

#[test]
fn a_daemon_that_is_missing_is_said_and_tried_again() {
    for gimp in installed() {
        let version = gimp.version;
        let (session, _) = session(gimp, (180, 180));
        let drawn = cut(&stylize(&session, "in.png", &[]), 60, 60, 60, 60);
        session.home().run(&["stop"]);
        let daemon = session.home().path().join("profile/plug-ins/utsushi-gimp/utsushi");
        fs::remove_file(&daemon).expect("it is there");
        let Some(mut window) = Window::open(&session, "in.png") else { return };
        let is_done = open(&mut window, &session, "");
        window.wait_for_words("the dialog says: Can't start the daemon with", 1);
        window.wait_until("the dialog is seen", |screen| screen.find_window(TITLE).is_some());
        window.screen().keep(&format!("{version}-no-daemon"));
        fs::copy(binary(), &daemon).expect("copied");
        window.screen().press("space");
        window.wait_until("the style is drawn", |screen| shows(screen, &drawn));
        window.screen().press("Escape");
        window.wait_until("the dialog is closed", |_| is_done());
        window.assert_no_complaints();
    }
}
