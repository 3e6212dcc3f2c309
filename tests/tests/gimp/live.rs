//! The operation in GEGL, from its own command line and as a filter that stays on a layer of GIMP 3's.

use std::fs;
use std::path::Path;

use moxcms::ColorProfile;
use rustix::process::Signal;
use utsushi::picture::{self, Format, Metadata, Picture, WriteOptions};
use utsushi_ipc::pixels::{Channels, Depth};
use utsushi_tests::binary::{Home, finish, operation, signal, wait_until};
use utsushi_tests::gimp::{Session, has_gegl, installed};
use utsushi_tests::pictures::{drawn, write_drawn};

use crate::layers::write;
use crate::{assert_alike, read, samples, stylize};

/// Puts the filter on the layer.
fn append(values: &str) -> String {
    format!(
        "(gimp-drawable-append-new-filter layer \"utsushi:stylize\" \"\" LAYER-MODE-REPLACE 1.0 {values})"
    )
}

/// A GIMP whose layers have filters that stay.
fn sessions() -> impl Iterator<Item = Session> {
    let threes = installed().into_iter().filter(|gimp| gimp.version != "2.10");
    threes.map(|gimp| Session::new(gimp).with_operation())
}

#[test]
fn gegl_draws_what_the_command_line_draws() {
    if !has_gegl() {
        return;
    }
    let home = home_with_operation();
    let check = |size: (u32, u32), channels, depth, values: &[&str], options: &[&str]| {
        write_drawn(&home.path().join("in.png"), size.0, size.1, channels, depth);
        let log = gegl(&home, values);
        home.expect(0, &[&["stylize", "in.png", "-o", "own.png"], options].concat());
        let file = |name: &str| picture::read(&home.path().join(name)).expect(&log);
        let (found, expected) = (file("gegl.png"), file("own.png"));
        // GEGL writes 16 bits, whatever there were.
        assert_eq!(found.raster.format().channels, expected.raster.format().channels, "{values:?}: {log}");
        assert!(samples(&found) == samples(&expected), "{values:?}: {log}");
    };
    let finest = ["--brush-size", "1"];
    check((150, 110), Channels::Rgb, Depth::U8, &["brush-size=1"], &finest);
    check((150, 110), Channels::Rgba, Depth::U8, &["brush-size=1"], &finest);
    check((150, 110), Channels::Rgba, Depth::U16, &["brush-size=1"], &finest);
    check((150, 110), Channels::Grey, Depth::U8, &["brush-size=1"], &finest);
    check(
        (90, 70),
        Channels::Rgb,
        Depth::U8,
        &["style=van-gogh", "seed=7", "grain=0.5", "strength=0.75", "keep-colours=0.25"],
        &[
            "--style",
            "van-gogh",
            "--seed",
            "7",
            "--grain",
            "0.5",
            "--strength",
            "0.75",
            "--keep-colours",
            "0.25",
        ],
    );
    check(
        (90, 70),
        Channels::Rgb,
        Depth::U8,
        &["style=oil", "second-style=cel", "second-share=0.25"],
        &["--style", "oil=0.75", "--style", "cel=0.25"],
    );
    // Drawn in several parts, and such that the brush's grid falls into pixels.
    check(
        (1500, 1100),
        Channels::Rgb,
        Depth::U8,
        &["style=van-gogh", "brush-size=1"],
        &["--style", "van-gogh", "--brush-size", "1"],
    );
    check((2300, 1700), Channels::Rgba, Depth::U8, &["brush-size=1.3"], &["--brush-size", "1.3"]);
}

/// Runs GEGL's command line, for which the home has the operation.
fn gegl(home: &Home, values: &[&str]) -> String {
    let mut command = home.program(Path::new("gegl"));
    command.args(["in.png", "-o", "gegl.png", "--", "utsushi:stylize"]).args(values);
    command.env("HOME", home.path()).env_remove("XDG_DATA_HOME").env_remove("GEGL_PATH");
    let output = finish(command);
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// A home that has the operation twice, as where it is installed for the user and for all.
fn home_with_operation() -> Home {
    let home = Home::new();
    let folder = home.path().join(".local/share/gegl-0.4/plug-ins");
    fs::create_dir_all(&folder).expect("folders");
    for name in ["utsushi.so", "utsushi-again.so"] {
        fs::copy(operation(), folder.join(name)).expect("it is copied");
    }
    home
}

#[test]
fn gegl_offers_the_styles_that_the_daemon_has() {
    if !has_gegl() {
        return;
    }
    let home = home_with_operation();
    write_drawn(&home.path().join("in.png"), 30, 20, Channels::Rgb, Depth::U8);
    let listed = home.expect(0, &["styles", "--json"]);
    let listed: serde_json::Value = serde_json::from_slice(&listed.stdout).expect("a list");
    let ids = listed.as_array().expect("a list").iter().map(|style| style["id"].as_str().expect("an id"));
    let ids: Vec<_> = ids.collect();
    let log = gegl(&home, &["style=ochre"]);
    let offered = log.lines().find_map(|line| line.strip_prefix("accepted values: ")).expect(&log);
    assert_eq!(offered.split_whitespace().collect::<Vec<_>>(), ids, "{log}");
}

#[test]
fn a_filter_that_stays_draws_what_the_command_line_draws() {
    for session in sessions() {
        let check = |name: &str, channels, depth, precision: Option<u32>, most: i32| {
            let input = format!("{name}.png");
            write(&session, &input, (150, 110), channels, depth);
            let expected = stylize(&session, &input, &["--strength", "0.75", "--keep-colours", "0.5"]);
            let call = append("\"strength\" 0.75 \"keep-colours\" 0.5 \"brush-size\" 1.0");
            let convert = |to| format!("(gimp-image-convert-precision image {to})");
            let body = match precision {
                None => call,
                Some(to) => format!("{} {call} {}", convert(to), convert(250)),
            };
            let output = format!("{name}-live.png");
            let log = session.run(&session.step(&input, &body, &output));
            let what = format!("{name} in GIMP {}\n{log}", session.gimp().version);
            assert_alike(&read(&session, &output, &log), &expected, most, &what);
        };
        check("rgba8", Channels::Rgba, Depth::U8, None, 0);
        check("rgb16", Channels::Rgb, Depth::U16, None, 0);
        check("grey8", Channels::Grey, Depth::U8, None, 0);
        check("grey-alpha16", Channels::GreyAlpha, Depth::U16, None, 0);
        // As in `layers`.
        check("float", Channels::Rgb, Depth::U16, Some(650), 128);
        check("linear-float", Channels::Rgba, Depth::U16, Some(600), 128);
    }
}

#[test]
fn it_hears_the_profile_of_a_layer() {
    for session in sessions() {
        let (raster, pixels) = drawn(150, 110, Channels::Rgb, Depth::U8);
        let icc = picture::encode_profile(&ColorProfile::new_display_p3());
        let with = Picture { raster, pixels, metadata: Metadata { icc, ..Metadata::default() } };
        let save = |name: &str, picture: &Picture| {
            let path = session.home().path().join(name);
            picture::write(&path, Format::Png, picture, &WriteOptions::default()).expect("it is written");
        };
        save("p3.png", &with);
        let expected = stylize(&session, "p3.png", &[]);
        let log = session.run(&session.step("p3.png", &append(""), "p3-live.png"));
        // As in `colours`.
        let what = format!("GIMP {}\n{log}", session.gimp().version);
        assert_alike(&read(&session, "p3-live.png", &log), &expected, 257, &what);
        save("bare.png", &Picture { metadata: Metadata::default(), ..with });
        assert!(
            stylize(&session, "bare.png", &[]).pixels != expected.pixels,
            "the profile makes a difference"
        );
    }
}

#[test]
fn it_follows_what_is_painted_below_and_comes_back_with_the_file() {
    for session in sessions() {
        let version = session.gimp().version;
        write(&session, "in.png", (1500, 1000), Channels::Rgb, Depth::U8);
        let values = "\"style\" \"van-gogh\" \"seed\" 7 \"brush-size\" 1.0";
        let options = ["--style", "van-gogh", "--seed", "7"];
        let paint = "(gimp-context-set-foreground '(200 30 90))
            (gimp-image-select-ellipse image 2 600 300 100 400)
            (gimp-drawable-edit-fill layer 0) (gimp-selection-none image)";
        let save = |name: &str| session.save(&format!("\"{}\"", session.inside(name)));
        let body = format!(
            "{} {} {paint} {} {}",
            append(values),
            save("before.png"),
            save("after.png"),
            save("kept.xcf")
        );
        let painted = session.step("in.png", paint, "painted.png");
        let log = session.run(&format!("{} {painted}", session.open("in.png", &body)));
        let before = stylize(&session, "in.png", &options);
        let after = stylize(&session, "painted.png", &options);
        assert!(before.pixels != after.pixels, "the stroke makes a difference");
        assert_alike(&read(&session, "before.png", &log), &before, 0, &format!("{version}: {log}"));
        assert_alike(&read(&session, "after.png", &log), &after, 0, &format!("{version}: {log}"));

        // In another GIMP, which has drawn nothing yet.
        let log = session.run(&session.step("kept.xcf", "", "again.png"));
        assert_alike(&read(&session, "again.png", &log), &after, 0, &format!("{version}, again: {log}"));
        // What is below is still there.
        let bare = "(for-each (lambda (filter) (gimp-drawable-filter-delete filter))
            (vector->list (car (gimp-drawable-get-filters layer))))";
        let log = session.run(&session.step("kept.xcf", bare, "bare.png"));
        let painted = read(&session, "painted.png", &log);
        assert_alike(&read(&session, "bare.png", &log), &painted, 0, &format!("{version}, bare: {log}"));
    }
}

#[test]
fn a_daemon_that_dies_leaves_the_picture_and_gimp_as_they_were() {
    for session in sessions() {
        let input = write(&session, "in.png", (1200, 1200), Channels::Rgba, Depth::U8);
        // Two networks take their time.
        let call = append("\"style\" \"oil\" \"second-style\" \"cel\" \"brush-size\" 1.0");
        let done = "(gimp-message \"GIMP goes on\")";
        let log = session.run_while(&format!("{} {done}", session.step("in.png", &call, "out.png")), || {
            // The first one is taken for a connection that has gone cold, so that another is started.
            let mut killed = None;
            for _ in 0..2 {
                wait_until("another daemon draws", || {
                    let status = session.home().status();
                    status["drawing"].as_i64() == Some(1) && status["pid"].as_i64() != killed
                });
                let pid = session.home().daemon_pid().expect("it draws");
                signal(pid, Signal::KILL);
                killed = Some(i64::from(pid));
            }
        });
        let what = format!("GIMP {}\n{log}", session.gimp().version);
        assert_alike(&read(&session, "out.png", &log), &input, 0, &what);
        assert!(log.contains("GIMP goes on"), "{what}");
        assert_eq!(
            log.matches("the daemon was lost before it had finished").count(),
            1,
            "it is told once: {what}"
        );
    }
}

#[test]
fn without_a_daemon_the_picture_is_shown_as_it_is() {
    for session in sessions() {
        let input = write(&session, "in.png", (150, 110), Channels::Rgba, Depth::U8);
        let mut command = session.command(&session.step("in.png", &append(""), "out.png"), None);
        command.env("UTSUSHI_DAEMON", "/nonexistent/utsushi");
        let output = finish(command);
        let log = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert_alike(&read(&session, "out.png", &log), &input, 0, &log);
        assert_eq!(log.matches("there is no such program; set UTSUSHI_DAEMON").count(), 1, "{log}");
    }
}
