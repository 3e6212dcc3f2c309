//! The filter over a GIMP of arrays.

use super::*;
use crate::fake::{Daemon, Deed, Fake, REACH_PX, settings};
use crate::params::Value;

/// Runs the filter; gives what the daemon was asked for, too.
fn run_with(
    host: &mut Fake,
    settings: &Settings,
    deeds: &'static [Deed],
) -> (Result<(), FilterError>, Vec<StylizeSpec>) {
    let daemon = Daemon::start([deeds]);
    let result = run(host, settings, daemon.connector());
    (result, daemon.finish())
}

#[test]
fn a_layer_is_drawn_in_its_own_format_or_a_finer_one() {
    use Channels::{Grey, GreyAlpha, Rgb, Rgba};
    let check = |encoding: &str, expected: Option<(Channels, Depth)>| {
        let expected = expected.map(|(channels, depth)| PixelFormat { channels, depth });
        assert_eq!(pixel_format(encoding), expected, "{encoding}");
    };
    check("R'G'B' u8", Some((Rgb, Depth::U8)));
    check("R'G'B'A u8", Some((Rgba, Depth::U8)));
    check("R'G'B'A u16", Some((Rgba, Depth::U16)));
    check("R'G'B'A u32", Some((Rgba, Depth::F32)));
    check("R'G'B'A half", Some((Rgba, Depth::F32)));
    check("R'G'B' float", Some((Rgb, Depth::F32)));
    check("R'G'B' double", Some((Rgb, Depth::F32)));
    check("Y' u8", Some((Grey, Depth::U8)));
    check("Y'A u16", Some((GreyAlpha, Depth::U16)));
    check("YA float", Some((GreyAlpha, Depth::F32)));
    check("RGBA float", Some((Rgba, Depth::F32)));
    // Fewer bits are enough for gamma-encoded values only.
    check("RGB u8", Some((Rgb, Depth::F32)));
    check("R~G~B~A u8", Some((Rgba, Depth::F32)));
    check("CMYK u8", None);
    check("R'G'B' u15", None);
    check("", None);
}

#[test]
fn a_whole_layer_goes_through_the_daemon_in_bands() {
    fn check(width: i32, height: i32, encoding: &str) {
        let mut host = Fake::new(width, height, encoding);
        let expected = host.inverted(host.target.extent);
        let (result, specs) = run_with(&mut host, &settings(&[]), &[Deed::Invert]);
        result.unwrap_or_else(|error| panic!("{encoding}: {error}"));
        assert!(host.layer == expected, "{width} x {height} {encoding}");
        assert!(host.largest_band_bytes <= 2 << 20, "{} bytes", host.largest_band_bytes);
        assert_eq!(host.progress.last(), Some(&1.0));

        let raster = &specs[0].raster;
        assert_eq!((raster.width(), raster.height()), (width as u32, height as u32));
        assert_eq!(Some(raster.format()), pixel_format(encoding));
        let brush = BrushSize::Auto.resolve(width as u32, height as u32);
        assert_eq!(specs[0].brush_size, BrushSize::Factor(brush));
    }
    for model in ["Y'", "Y'A", "R'G'B'", "R'G'B'A"] {
        for samples in ["u8", "u16", "float"] {
            check(31, 17, &format!("{model} {samples}"));
        }
    }
    check(1, 1, "R'G'B'A u8");
    check(1300, 1100, "R'G'B'A float");
}

#[test]
fn a_selection_is_drawn_with_what_the_network_sees_around_it() {
    let selected = Rect::new(40, 50, 9, 5);
    let mut host = Fake::new(200, 150, "R'G'B'A u8").selecting(Some(selected));
    let expected = host.inverted(selected);
    let (result, specs) = run_with(&mut host, &settings(&[]), &[Deed::Invert]);
    result.expect("it is drawn");
    assert!(host.layer == expected);
    let region = selected.with_context(host.target.extent, REACH_PX, 1.0, true);
    let raster = &specs[0].raster;
    assert_eq!((raster.width() as i32, raster.height() as i32), (region.width, region.height));
    assert!(region.width < 200 && region.height < 150);
    let place = Place { x: region.x as u32, y: region.y as u32, width: 200, height: 150 };
    assert_eq!(specs[0].place, (region != host.target.extent).then_some(place));
}

#[test]
fn a_part_is_drawn_as_its_place_in_the_layer() {
    let styles = ["cel", "ink"].map(crate::fake::style);
    let layer = Rect::new(0, 0, 6000, 4000);
    let check = |encoding: &str, changes: &[(&str, Value)], selected: Rect| {
        let format = pixel_format(encoding).expect("a format");
        let Plan { spec, region, .. } =
            plan(&settings(changes), &styles, Scaled::whole(layer), format, selected).expect("a plan");
        assert_eq!(selected.within(region), Some(selected), "{encoding}, {changes:?}");
        let place = Place { x: region.x as u32, y: region.y as u32, width: 6000, height: 4000 };
        assert_eq!(spec.place, (region != layer).then_some(place), "{encoding}, {changes:?}");
        assert!(spec.place().holds(region.width as u32, region.height as u32));
        assert_eq!(spec.brush_factor(), settings(changes).brush_size.resolve(6000, 4000));
    };
    let middle = Rect::new(3001, 2003, 300, 300);
    check("R'G'B' u8", &[], middle);
    check("R'G'B'A u8", &[("brush-size", Value::Number(1.0))], middle);
    check("R'G'B'A float", &[("brush-size", Value::Number(2.5))], Rect::new(5990, 0, 10, 4000));
    check("R'G'B' u8", &[], layer);
}

#[test]
fn what_is_asked_for_reaches_the_daemon() {
    let number = Value::Number;
    let settings = settings(&[
        ("style", Value::Style("ink".into())),
        ("strength", number(0.5)),
        ("brush-size", number(2.5)),
        ("keep-colours", number(0.25)),
        ("second-style", Value::Style("cel".into())),
        ("second-share", number(0.25)),
        ("seed", Value::Whole(7)),
        ("grain", number(0.5)),
    ]);
    let (result, specs) = run_with(&mut Fake::new(20, 10, "R'G'B' u8"), &settings, &[Deed::Invert]);
    result.expect("it is drawn");
    let [spec] = &specs[..] else { panic!("{} pictures", specs.len()) };
    let share = |id: &str, share| StyleShare { id: id.into(), share };
    assert_eq!(spec.mix, [share("ink", 0.75), share("cel", 0.25)]);
    assert_eq!((spec.strength, spec.keep_colours), (0.5, 0.25));
    assert_eq!(spec.brush_size, BrushSize::Factor(2.5));
    assert_eq!((spec.seed, spec.grain, spec.place), (7, 0.5, None));
    assert_eq!(spec.priority, Priority::Interactive);
}

#[test]
fn a_new_layer_leaves_the_old_one_alone() {
    let mut host = Fake::new(20, 10, "R'G'B' u8");
    let (before, expected) = (host.layer.clone(), host.inverted(host.target.extent));
    let settings = settings(&[("output", Value::Whole(1))]);
    run_with(&mut host, &settings, &[Deed::Invert]).0.expect("it is drawn");
    assert_eq!(host.layer, before);
    assert_eq!(host.new_layer, Some(("CEL".into(), expected)));
}

#[test]
fn what_cannot_be_drawn_on_is_said_before_the_daemon_is_asked() {
    fn check(host: Fake, changes: &[(&str, Value)], expected: &str) {
        let mut host = host;
        let before = host.layer.clone();
        let error =
            run(&mut host, &settings(changes), || panic!("no daemon is needed")).expect_err("a refusal");
        assert!(error.to_string().contains(expected), "{error}");
        assert_eq!(host.layer, before);
    }
    let host = || Fake::new(20, 10, "R'G'B' u8");
    let new_layer = [("output", Value::Whole(1))];
    check(host().of_kind(TargetKind::Group), &[], "choose a layer in it");
    check(host().of_kind(TargetKind::Mask), &[], "choose the layer itself");
    check(host().of_kind(TargetKind::Channel), &[], "choose a layer");
    check(host().of_kind(TargetKind::Indexed), &[], "Image > Mode > RGB");
    check(host().of_kind(TargetKind::Locked), &[], "unlock them");
    check(host().of_kind(TargetKind::FloatingSelection), &new_layer, "anchor it first");
    assert!(subject(&mut host().of_kind(TargetKind::Locked), Output::NewLayer).is_ok());
    check(host().selecting(None), &[], "the selection doesn't touch the layer");
    check(Fake::new(20, 10, "CMYK u8"), &[], "(CMYK u8)");
}

#[test]
fn a_failure_leaves_the_layer_as_it_was() {
    fn check(host: Fake, style: &str, deeds: &'static [Deed], expected: &str) {
        let mut host = host;
        let before = host.layer.clone();
        let settings = settings(&[("style", Value::Style(style.into()))]);
        let error = run_with(&mut host, &settings, deeds).0.expect_err("a failure");
        assert!(error.to_string().contains(expected), "{error}");
        assert!(host.layer == before, "{error}");
        assert!(host.shadow.is_none() && host.new_layer.is_none(), "{error}");
    }
    let large = || Fake::new(1300, 1100, "R'G'B'A float");
    check(large(), "oil", &[Deed::Invert], "there is no style `oil`; there are: cel, ink");
    check(large(), "cel", &[Deed::Die], "the daemon was lost before it had finished");
    check(large(), "cel", &[Deed::Fail], "there is no memory left; the layer is unchanged");
    check(Fake { refuses: true, ..large() }, "cel", &[Deed::Invert], "GIMP could not do it");

    let mut host = large();
    let socket = std::path::PathBuf::from("/nowhere/daemon.sock");
    let error =
        run(&mut host, &settings(&[]), || Err(ClientError::NotRunning { socket })).expect_err("no daemon");
    assert!(error.to_string().contains("no daemon is running"), "{error}");
}

#[test]
fn who_waits_for_others_is_told_so() {
    let mut host = Fake::new(20, 10, "R'G'B' u8");
    run_with(&mut host, &settings(&[]), &[Deed::Wait]).0.expect("it is drawn");
    let waits = |what: &str| format!("Utsushi: waiting, as {what}");
    let two = waits("2 other pictures go first");
    let expected = ["Utsushi".into(), "Utsushi: CEL".into(), two, waits("another picture goes first")];
    assert_eq!(host.announced[..4], expected);
    assert_eq!(host.announced[4..], ["Utsushi: CEL"], "its turn has come");
}
