//! *New layer above*, and which layers are drawn.

use utsushi::picture::{self, Format, Metadata, Picture, WriteOptions};
use utsushi_ipc::pixels::{Channels, Depth, Raster};
use utsushi_tests::gimp::{Session, installed};
use utsushi_tests::pictures::{cut, drawn};

use crate::{assert_alike, read, stylize};

const LAYER: [&str; 9] = ["\"anime\"", "1.0", "1.0", "0.0", "\"\"", "0.5", "0", "0", "1.0"];
const NEW_LAYER: [&str; 9] = ["\"anime\"", "1.0", "1.0", "0.0", "\"\"", "0.5", "1", "0", "1.0"];

fn write(session: &Session, name: &str, width: u32, height: u32) -> Raster {
    let (raster, pixels) = drawn(width, height, Channels::Rgb, Depth::U8);
    let picture = Picture { raster, pixels, metadata: Metadata::default() };
    let path = session.home().path().join(name);
    picture::write(&path, Format::Png, &picture, &WriteOptions::default()).expect("it is written");
    raster
}

/// Prints these numbers behind a name.
fn tell(name: &str, numbers: &[String]) -> String {
    let words: Vec<_> = numbers.iter().map(|number| format!("(number->string {number}) \" \"")).collect();
    format!("(gimp-message (string-append \"{name}: \" {} \".\"))", words.join(" "))
}

#[test]
fn a_new_layer_is_plain_whatever_the_old_one_is() {
    for gimp in installed() {
        let session = Session::new(gimp);
        let version = session.gimp().version;
        write(&session, "in.png", 120, 90);
        let expected = cut(&stylize(&session, "in.png", &[]), 20, 10, 40, 30);
        let (width, height) = match version {
            "2.10" => ("gimp-drawable-width", "gimp-drawable-height"),
            _ => ("gimp-drawable-get-width", "gimp-drawable-get-height"),
        };
        let call = session.stylize(1, NEW_LAYER);
        let select = "(gimp-image-select-rectangle image 2 20 10 40 30)";
        let check = |name: &str, change: &str| {
            let new = format!("(vector-ref {} 0)", session.layers());
            let of_new = |function: &str| format!("(car ({function} new))");
            let numbers = ["gimp-layer-get-opacity", "gimp-layer-get-mode", width, height].map(of_new);
            let show = "(gimp-image-crop image 40 30 20 10) (gimp-image-flatten image)";
            let body =
                format!("{change} {select} {call} (let ((new {new})) {}) {show}", tell(name, &numbers));
            let output = format!("{name}.png");
            let log = session.run(&session.step("in.png", &body, &output));
            // Numbers may have been told as 100 or 100.0.
            let told = log.replace(".0 ", " ");
            assert!(told.contains(&format!("{name}: 100 28 40 30 ")), "GIMP {version}\n{log}");
            assert_alike(
                &read(&session, &output, &log),
                &expected,
                0,
                &format!("{name}, GIMP {version}\n{log}"),
            );
        };
        check("plain", "");
        check("weak", "(gimp-layer-set-opacity layer 50)");
        check("multiply", "(gimp-layer-set-mode layer 30)");
        check("hidden", "(gimp-item-set-visible layer FALSE)");
        check("locked", "(gimp-item-set-lock-content layer TRUE)");
        let mask = "(gimp-layer-add-mask layer (car (gimp-layer-create-mask layer 0)))";
        check("masked", mask);
    }
}

#[test]
fn a_feathered_new_layer_looks_as_the_changed_one_does() {
    for gimp in installed() {
        let session = Session::new(gimp);
        write(&session, "in.png", 160, 120);
        let select = "(gimp-image-select-ellipse image 2 30 20 90 70) (gimp-selection-feather image 15)";
        let run = |values, name: &str| {
            let body = format!("{select} {} (gimp-image-flatten image)", session.stylize(1, values));
            let log = session.run(&session.step("in.png", &body, name));
            read(&session, name, &log)
        };
        let (changed, above) = (run(LAYER, "changed.png"), run(NEW_LAYER, "above.png"));
        // GIMP rounds where it merges.
        assert_alike(&above, &changed, 3 * 257, session.gimp().version);
    }
}

#[test]
fn a_layer_that_is_not_there_is_told() {
    for gimp in installed() {
        if gimp.version != "2.10" {
            // Later ones don't call without a layer.
            continue;
        }
        let session = Session::new(gimp);
        write(&session, "in.png", 60, 50);
        let call = session.stylize(1, LAYER).replace("image layer", "image -1");
        let log = session.run(&session.open("in.png", &session.telling(&call)));
        assert!(log.contains("there is no such layer"), "{log}");
    }
}

#[test]
fn several_layers_are_drawn_in_one_go() {
    for gimp in installed() {
        if gimp.version == "2.10" {
            // In which one layer is chosen at a time.
            continue;
        }
        let session = Session::new(gimp);
        write(&session, "in.png", 120, 90);
        let expected = stylize(&session, "in.png", &[]);
        let add = "(gimp-image-insert-layer image (car (gimp-layer-new-from-drawable layer image)) 0 0)";
        let all = format!("#:drawables {}", session.layers());
        let call = session.stylize(1, LAYER).replace("#:drawables (vector layer)", &all);
        let hide = format!("(gimp-item-set-visible (vector-ref {} 0) FALSE)", session.layers());
        for (name, end) in [("top.png", ""), ("below.png", hide.as_str())] {
            let body = format!("{add} {call} {end} (gimp-image-flatten image)");
            let log = session.run(&session.step("in.png", &body, name));
            assert_alike(&read(&session, name, &log), &expected, 0, &format!("{name}\n{log}"));
        }
    }
}
