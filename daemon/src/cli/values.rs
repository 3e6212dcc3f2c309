//! What the values of options look like: shares of a style, brush sizes, spans of time. Each function parses
//! one, or says what would be right.

use std::time::Duration;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use utsushi_ipc::protocol::{BrushSize, EnlargeScale, PictureKind, StyleShare};

/// How long something may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    After(Duration),
    Never,
}

/// What kind of picture is enlarged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind(pub(super) PictureKind);

impl ValueEnum for Kind {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(PictureKind::Photo), Self(PictureKind::Drawing)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            PictureKind::Photo => "What a camera took, or was painted",
            PictureKind::Drawing => "Lines and surfaces: comics, anime, scans of drawings",
        };
        Some(PossibleValue::new(kind_name(self.0)).help(help))
    }
}

/// As on the command line.
pub(super) const fn kind_name(kind: PictureKind) -> &'static str {
    match kind {
        PictureKind::Photo => "photo",
        PictureKind::Drawing => "drawing",
    }
}

/// How many times longer each side becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale(pub(super) EnlargeScale);

impl ValueEnum for Scale {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self(EnlargeScale::Two), Self(EnlargeScale::Four)]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(match self.0 {
            EnlargeScale::Two => PossibleValue::new("2"),
            EnlargeScale::Four => PossibleValue::new("4"),
        })
    }
}

/// `cel`, or `cel=0.7` in a mix.
pub(super) fn style_share(text: &str) -> Result<StyleShare, String> {
    let (id, share) = match text.rsplit_once('=') {
        None => (text, 1.0),
        Some((id, share)) => match share.parse::<f32>() {
            Ok(share) if share.is_finite() && share > 0.0 => (id, share),
            _ => return Err(format!("the share `{share}` must be a number above 0, as in {id}=0.7")),
        },
    };
    if id.is_empty() {
        return Err("the style's id is missing; `utsushi styles` lists them".into());
    }
    Ok(StyleShare { id: id.into(), share })
}

/// A number from 0 to 1.
pub(super) fn fraction(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(number) if (0.0..=1.0).contains(&number) => Ok(number),
        _ => Err("must be a number from 0 to 1".into()),
    }
}

/// `auto`, or a factor.
pub(super) fn brush_size(text: &str) -> Result<BrushSize, String> {
    match text.parse::<f32>() {
        _ if text.eq_ignore_ascii_case("auto") => Ok(BrushSize::Auto),
        Ok(factor) if (1.0..=BrushSize::MAX).contains(&factor) => Ok(BrushSize::Factor(factor)),
        _ => Err(format!("must be `auto` or a number from 1 to {}", BrushSize::MAX)),
    }
}

/// A span of time above 0, or `never`.
pub(super) fn limit(text: &str) -> Result<Limit, String> {
    if text.eq_ignore_ascii_case("never") { Ok(Limit::Never) } else { duration(text).map(Limit::After) }
}

/// `90s`, `5m`, `1h30m`: whole numbers with the units `ms`, `s`, `m`, `h`, `d`; above 0.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text)
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "must be a time above 0 with its unit, as in 90s, 5m or 1h30m".into())
}

fn parse_duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, tail) = rest.split_at(unit_at);
        let unit_end = tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(unit_end);
        let unit_ms = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        let span = Duration::from_millis(number.parse::<u64>().ok()?.checked_mul(unit_ms)?);
        total = total.checked_add(span)?;
        rest = next;
    }
    Some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn style_shares() {
        fn check(text: &str, expected: Option<(&str, f32)>) {
            let parsed = style_share(text).ok().map(|style| (style.id, style.share));
            assert_eq!(parsed, expected.map(|(id, share)| (id.to_owned(), share)), "{text}");
        }
        check("cel", Some(("cel", 1.0)));
        check("cel=0.7", Some(("cel", 0.7)));
        check("cel=7", Some(("cel", 7.0)));
        check("", None);
        check("=1", None);
        check("cel=", None);
        check("cel=0", None);
        check("cel=-1", None);
        check("cel=inf", None);
        check("cel=NaN", None);
        check("cel=much", None);
    }

    #[test]
    fn fractions() {
        fn check(text: &str, expected: Option<f32>) {
            assert_eq!(fraction(text).ok(), expected, "{text}");
        }
        check("0", Some(0.0));
        check("0.25", Some(0.25));
        check("1", Some(1.0));
        check("1.01", None);
        check("-0.1", None);
        check("NaN", None);
        check("50%", None);
    }

    #[test]
    fn brush_sizes() {
        fn check(text: &str, expected: Option<BrushSize>) {
            assert_eq!(brush_size(text).ok(), expected, "{text}");
        }
        check("auto", Some(BrushSize::Auto));
        check("Auto", Some(BrushSize::Auto));
        check("1", Some(BrushSize::Factor(1.0)));
        check("2.5", Some(BrushSize::Factor(2.5)));
        check("64", Some(BrushSize::Factor(64.0)));
        check("0.5", None);
        check("65", None);
        check("NaN", None);
        check("large", None);
    }

    #[test]
    fn limits() {
        fn check(text: &str, expected: Option<Limit>) {
            assert_eq!(limit(text).ok(), expected, "{text}");
        }
        let after = |seconds| Some(Limit::After(Duration::from_secs(seconds)));
        check("never", Some(Limit::Never));
        check("90s", after(90));
        check("5m", after(300));
        check("1h30m", after(5400));
        check("2d", after(172_800));
        check("1500ms", Some(Limit::After(Duration::from_millis(1500))));
        check("", None);
        check("0s", None);
        check("90", None);
        check("5 m", None);
        check("m5", None);
        check("5x", None);
        check("1.5h", None);
        check("-5m", None);
        check("99999999999999999999s", None);
        check("18446744073709551615d", None);
    }
}
