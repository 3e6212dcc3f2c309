//! How a picture is to be drawn, checked before anything is drawn.

use utsushi_engine::style_file::is_style_id;
use utsushi_ipc::pixels::Raster;
use utsushi_ipc::protocol::{
    BrushSize, EnlargeSpec, Fault, FaultKind, MAX_MIX, MAX_PROFILE_BYTES, MAX_SEED, Place, Profile,
    StylizeSpec,
};

/// Checks every number, and settles what was left open: afterwards the shares add up to 1, and the brush size is
/// a factor.
pub(super) fn parse(mut spec: StylizeSpec) -> Result<StylizeSpec, Fault> {
    let invalid = |message: String| Err(Fault::new(FaultKind::Invalid, message));
    for (name, value) in
        [("strength", spec.strength), ("share of kept colours", spec.keep_colours), ("grain", spec.grain)]
    {
        if !(0.0..=1.0).contains(&value) {
            return invalid(format!("the {name} is {value}; give a number from 0 to 1"));
        }
    }

    if spec.seed > MAX_SEED {
        return invalid(format!("the seed is {}; give a whole number from 0 to {MAX_SEED}", spec.seed));
    }

    check_profile(&spec.profile)?;

    if let Some(place @ Place { x, y, width, height }) = spec.place {
        let (part_width, part_height) = (spec.raster.width(), spec.raster.height());
        if !place.holds(part_width, part_height) {
            return invalid(format!(
                "a part of {part_width} x {part_height} pixels at {x}, {y} lies outside of its picture, which has \
                 {width} x {height}; give a place within it"
            ));
        }
        // A picture of which a part may be drawn may be drawn.
        if let Err(error) = Raster::new(width, height, spec.raster.format()) {
            return invalid(error.to_string());
        }
    }

    let brush_size = spec.brush_factor();
    if !(1.0..=BrushSize::MAX).contains(&brush_size) {
        return invalid(format!(
            "the brush size is {brush_size}; give a number from 1 to {}, or leave it to the daemon",
            BrushSize::MAX
        ));
    }
    spec.brush_size = BrushSize::Factor(brush_size);

    if !(1..=MAX_MIX).contains(&spec.mix.len()) {
        return invalid(format!("the mix has {} styles; give 1 to {MAX_MIX}", spec.mix.len()));
    }
    if let Some(style) = spec.mix.iter().find(|style| !is_style_id(&style.id)) {
        // In short: as long as it came, it might not fit into the answer.
        let shown: String = style.id.chars().take(64).collect();
        return Err(Fault::new(
            FaultKind::UnknownStyle,
            format!("no style can be called {shown:?}; run `utsushi styles` to see which there are"),
        ));
    }
    if let Some(style) = spec.mix.iter().find(|style| !(style.share.is_finite() && style.share > 0.0)) {
        return invalid(format!(
            "the share of the style {:?} is {}; give a number above 0",
            style.id, style.share
        ));
    }
    let sum: f64 = spec.mix.iter().map(|style| f64::from(style.share)).sum();
    for style in &mut spec.mix {
        style.share = ((f64::from(style.share) / sum) as f32).max(f32::MIN_POSITIVE);
    }
    Ok(spec)
}

/// The same of a picture that is enlarged.
pub(super) fn parse_enlarge(spec: EnlargeSpec) -> Result<EnlargeSpec, Fault> {
    check_profile(&spec.profile).map(|()| spec)
}

/// What it says is looked at when the picture is begun; what is no profile at all is told at once.
fn check_profile(Profile(icc): &Profile) -> Result<(), Fault> {
    let invalid = |message: String| Err(Fault::new(FaultKind::Invalid, message));
    if !icc.is_empty() && icc.get(36..40) != Some(b"acsp") {
        return invalid(
            "the colour profile is no ICC profile; assign another, or convert the picture to sRGB".into(),
        );
    }
    if icc.len() > MAX_PROFILE_BYTES {
        return invalid(format!(
            "the colour profile has {} bytes, and {MAX_PROFILE_BYTES} are the most; convert the picture to sRGB",
            icc.len()
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::iter;

    use utsushi_ipc::protocol::StyleShare;

    use super::*;
    use crate::worker::fake;

    /// Is the spec refused after this change? The message is to name what is wrong.
    fn check(change: impl FnOnce(&mut StylizeSpec), refused_for: Option<&str>) {
        let mut spec = fake::spec("ink", 0, 2048, 2048);
        change(&mut spec);
        match (parse(spec.clone()), refused_for) {
            (Ok(parsed), None) => {
                let sum: f32 = parsed.mix.iter().map(|style| style.share).sum();
                assert!((sum - 1.0).abs() < 1e-6, "{spec:?}");
                assert!(matches!(parsed.brush_size, BrushSize::Factor(_)), "{spec:?}");
            }
            (Err(fault), Some(name)) => {
                assert_eq!(fault.kind, FaultKind::Invalid, "{spec:?}");
                assert!(fault.message.contains(name), "{fault} of {spec:?}");
            }
            (parsed, _) => panic!("{parsed:?} of {spec:?}"),
        }
    }

    #[test]
    fn specs() {
        for (value, is_sound) in [(0.0, true), (0.5, true), (1.0, true), (-0.1, false), (1.1, false)] {
            check(|spec| spec.strength = value, (!is_sound).then_some("strength"));
            check(|spec| spec.keep_colours = value, (!is_sound).then_some("colours"));
        }
        for (value, is_sound) in [(0.0, true), (0.3, true), (1.0, true), (-0.1, false), (7.0, false)] {
            check(|spec| spec.grain = value, (!is_sound).then_some("the grain is"));
        }
        for (seed, is_sound) in
            [(0, true), (7, true), (MAX_SEED, true), (MAX_SEED + 1, false), (u64::MAX, false)]
        {
            check(|spec| spec.seed = seed, (!is_sound).then_some("the seed is"));
        }
        for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            check(|spec| spec.grain = value, Some("grain"));
            check(|spec| spec.strength = value, Some("strength"));
            check(|spec| spec.keep_colours = value, Some("colours"));
            check(|spec| spec.brush_size = BrushSize::Factor(value), Some("brush"));
            check(|spec| spec.mix[0].share = value, Some("share"));
        }
        for (value, is_sound) in [(1.0, true), (64.0, true), (0.99, false), (64.1, false), (-2.0, false)] {
            check(|spec| spec.brush_size = BrushSize::Factor(value), (!is_sound).then_some("brush"));
        }
        for (value, is_sound) in [(f32::MIN_POSITIVE, true), (f32::MAX, true), (0.0, false), (-1.0, false)] {
            check(|spec| spec.mix[0].share = value, (!is_sound).then_some("ink"));
        }
        for (count, is_sound) in [(0, false), (1, true), (8, true), (9, false)] {
            let widen = |spec: &mut StylizeSpec| {
                let style = spec.mix[0].clone();
                spec.mix = iter::repeat_n(style, count).collect();
                spec.mix.iter_mut().for_each(|style| style.share = f32::MAX);
            };
            check(widen, (!is_sound).then_some("mix"));
        }
    }

    #[test]
    fn profiles() {
        let check = |bytes: usize, mark: &[u8], refused_for| {
            let mut icc = vec![0; bytes];
            icc.get_mut(36..40).into_iter().for_each(|place| place.copy_from_slice(mark));
            check(|spec| spec.profile = Profile(icc.into()), refused_for);
        };
        check(0, b"acsp", None);
        check(128, b"acsp", None);
        check(MAX_PROFILE_BYTES, b"acsp", None);
        check(MAX_PROFILE_BYTES + 1, b"acsp", Some("are the most"));
        check(128, b"none", Some("no ICC profile"));
        check(24, b"acsp", Some("no ICC profile"));
    }

    #[test]
    fn places() {
        // Of 2048 x 2048 pixels.
        let place = |(x, y), (width, height), refused_for| {
            check(|spec| spec.place = Some(Place { x, y, width, height }), refused_for);
        };
        let outside = Some("lies outside of its picture");
        place((0, 0), (2048, 2048), None);
        place((5, 0), (2053, 2048), None);
        place((5, 7), (6000, 4000), None);
        place((5, 0), (2052, 2048), outside);
        place((0, 5), (2048, 2052), outside);
        place((0, 0), (2047, 2048), outside);
        place((0, 0), (0, 0), outside);
        place((u32::MAX, 0), (2048, 2048), outside);
        place((u32::MAX, u32::MAX), (u32::MAX, u32::MAX), outside);
        place((0, 0), (1 << 18, 1 << 13), None);
        place((0, 0), ((1 << 18) + 1, 2048), Some("at most 262144 a side"));
        place((0, 0), (u32::MAX, u32::MAX), Some("at most 262144 a side"));
    }

    #[test]
    fn no_share_is_lost() {
        let mut spec = fake::spec("ink", 0, 1, 1);
        spec.mix.push(StyleShare { id: "oil".into(), share: f32::MIN_POSITIVE });
        spec.mix[0].share = f32::MAX;
        let parsed = parse(spec).expect("sound");
        assert!(parsed.mix[0].share == 1.0 && parsed.mix[1].share > 0.0);
    }

    #[test]
    fn the_brush_size_is_settled() {
        let parsed = parse(fake::spec("ink", 0, 2048, 2048)).expect("sound");
        assert_eq!(parsed.brush_size, BrushSize::Factor(2.0));
        // A part has the brush of its picture.
        let place = Some(Place { x: 4, y: 0, width: 4096, height: 4096 });
        let parsed = parse(StylizeSpec { place, ..fake::spec("ink", 0, 2048, 2048) }).expect("sound");
        assert_eq!(parsed.brush_size, BrushSize::Factor(4.0));
    }
}
