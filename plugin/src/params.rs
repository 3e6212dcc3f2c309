//! The filter's parameters: one table that both generations of GIMP register, and its values, checked.

use std::ffi::CStr;

use utsushi_ipc::protocol::{BrushSize, MAX_SEED, StyleInfo, StyleShare};

use crate::words::{self, Word};

/// A parameter of the procedure.
pub(crate) struct Param {
    /// As scripts write it.
    pub(crate) name: &'static CStr,
    /// As dialogs write it, with its mnemonic.
    pub(crate) label: Word,
    pub(crate) help: Word,
    pub(crate) kind: Kind,
}

/// What values a parameter takes.
pub(crate) enum Kind {
    /// A style's id, or nothing.
    Style,
    Number {
        least: f64,
        most: f64,
        default: f64,
    },
    /// The first one is the default; each has its name and its label.
    Choice(&'static [(&'static CStr, Word)]),
    /// A whole number from 0, the default, to [`MAX_SEED`].
    Seed,
}

/// A value of a parameter, as a host or a file hands it over.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Style(String),
    Number(f64),
    /// An index of a choice, or a seed.
    Whole(i32),
}

/// The parameter whose values have a gap.
pub(crate) const BRUSH_SIZE: &CStr = c"brush-size";

/// In the order of a script's arguments, to which new ones are added at the end. [`Settings::parse`] knows this order,
/// too.
pub(crate) const PARAMS: [Param; 9] = [
    Param { name: c"style", label: words::STYLE, help: words::STYLE_HELP, kind: Kind::Style },
    Param {
        name: c"strength",
        label: words::STRENGTH,
        help: words::STRENGTH_HELP,
        kind: Kind::Number { least: 0.0, most: 1.0, default: 1.0 },
    },
    Param {
        name: BRUSH_SIZE,
        label: words::BRUSH_SIZE,
        help: words::BRUSH_SIZE_HELP,
        kind: Kind::Number { least: 0.0, most: BrushSize::MAX as f64, default: 0.0 },
    },
    Param {
        name: c"keep-colours",
        label: words::KEEP_COLOURS,
        help: words::KEEP_COLOURS_HELP,
        kind: Kind::Number { least: 0.0, most: 1.0, default: 0.0 },
    },
    Param {
        name: c"second-style",
        label: words::SECOND_STYLE,
        help: words::SECOND_STYLE_HELP,
        kind: Kind::Style,
    },
    Param {
        name: c"second-share",
        label: words::SECOND_SHARE,
        help: words::SECOND_SHARE_HELP,
        kind: Kind::Number { least: 0.0, most: 1.0, default: 0.5 },
    },
    Param {
        name: c"output",
        label: words::OUTPUT,
        help: words::OUTPUT_HELP,
        kind: Kind::Choice(&[(c"layer", words::CHANGE_LAYER), (c"new-layer", words::NEW_LAYER)]),
    },
    Param { name: c"seed", label: words::SEED, help: words::SEED_HELP, kind: Kind::Seed },
    Param {
        name: c"grain",
        label: words::GRAIN,
        help: words::GRAIN_HELP,
        kind: Kind::Number { least: 0.0, most: 1.0, default: 1.0 },
    },
];

/// Where the drawn picture goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Into the layer itself.
    Layer,
    /// Into a copy of the layer, above it.
    NewLayer,
}

/// Checked values. Which styles there are is the daemon's to say: [`Settings::mix`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Settings {
    style: String,
    second: Option<StyleShare>,
    pub(crate) strength: f32,
    pub(crate) brush_size: BrushSize,
    pub(crate) keep_colours: f32,
    pub(crate) output: Output,
    pub(crate) seed: u64,
    pub(crate) grain: f32,
}

/// Values that can't be: what is wrong, and what would be right.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct BadValue(String);

impl Param {
    /// The value if nothing else is said.
    pub(crate) fn default(&self) -> Value {
        match self.kind {
            Kind::Style => Value::Style(String::new()),
            Kind::Number { default, .. } => Value::Number(default),
            Kind::Choice(_) | Kind::Seed => Value::Whole(0),
        }
    }

    fn text(&self) -> std::borrow::Cow<'static, str> {
        self.name.to_string_lossy()
    }

    /// The number, if it is one that this parameter takes.
    fn number(&self, value: &Value) -> Result<f32, BadValue> {
        match (&self.kind, value) {
            (Kind::Number { least, most, .. }, Value::Number(number))
                if (*least..=*most).contains(number) =>
            {
                Ok(*number as f32)
            }
            (Kind::Number { least, most, .. }, _) => {
                Err(BadValue(format!("{} must be a number from {least} to {most}", self.text())))
            }
            _ => Err(self.misplaced()),
        }
    }

    fn style(&self, value: &Value) -> Result<String, BadValue> {
        match value {
            Value::Style(id) => Ok(id.trim().to_owned()),
            _ => Err(self.misplaced()),
        }
    }

    fn choice(&self, value: &Value) -> Result<usize, BadValue> {
        match (&self.kind, value) {
            (Kind::Choice(options), Value::Whole(index)) => {
                let index = usize::try_from(*index).ok().filter(|index| *index < options.len());
                index.ok_or_else(|| {
                    BadValue(format!("{} must be a number from 0 to {}", self.text(), options.len() - 1))
                })
            }
            _ => Err(self.misplaced()),
        }
    }

    fn seed(&self, value: &Value) -> Result<u64, BadValue> {
        match (&self.kind, value) {
            (Kind::Seed, Value::Whole(seed)) => u64::try_from(*seed).map_err(|_| {
                BadValue(format!("{} must be a whole number from 0 to {MAX_SEED}", self.text()))
            }),
            _ => Err(self.misplaced()),
        }
    }

    fn misplaced(&self) -> BadValue {
        BadValue(format!("the value of {} is of another type", self.text()))
    }
}

impl Settings {
    /// Checks values that stand in the order of [`PARAMS`].
    pub(crate) fn parse(values: &[Value]) -> Result<Self, BadValue> {
        let [style, strength, brush, keep, second, share, output, seed, grain] = values else {
            return Err(BadValue(format!("{} values are needed, not {}", PARAMS.len(), values.len())));
        };
        let [style_p, strength_p, brush_p, keep_p, second_p, share_p, output_p, seed_p, grain_p] = &PARAMS;

        let brush_size = match brush_p.number(brush)? {
            0.0 => BrushSize::Auto,
            factor if factor >= 1.0 => BrushSize::Factor(factor),
            _ => {
                return Err(BadValue(format!(
                    "brush-size must be 0, which chooses it by the layer's size, or a number from 1 to {}",
                    BrushSize::MAX
                )));
            }
        };
        let second = StyleShare { id: second_p.style(second)?, share: share_p.number(share)? };
        Ok(Self {
            style: style_p.style(style)?,
            second: (!second.id.is_empty() && second.share > 0.0).then_some(second),
            strength: strength_p.number(strength)?,
            brush_size,
            keep_colours: keep_p.number(keep)?,
            output: if output_p.choice(output)? == 0 { Output::Layer } else { Output::NewLayer },
            seed: seed_p.seed(seed)?,
            grain: grain_p.number(grain)?,
        })
    }

    /// The styles to draw with, of those that there are, and their shares.
    pub(crate) fn mix<'a>(&self, styles: &'a [StyleInfo]) -> Result<Vec<(&'a StyleInfo, f32)>, BadValue> {
        let find = |id: &str| {
            let found = styles.iter().find(|style| id.is_empty() || style.id == id);
            found.ok_or_else(|| match styles {
                [] => BadValue(words::NO_STYLES.text().into()),
                _ => {
                    let ids: Vec<_> = styles.iter().map(|style| style.id.as_str()).collect();
                    BadValue(format!("there is no style `{id}`; there are: {}", ids.join(", ")))
                }
            })
        };
        let first = find(&self.style)?;
        let Some(second) = &self.second else { return Ok(vec![(first, 1.0)]) };
        let mut mix = vec![(first, 1.0 - second.share), (find(&second.id)?, second.share)];
        mix.retain(|(_, share)| *share > 0.0);
        Ok(mix)
    }
}

/// Values as text, to be kept until the next run: a line each.
pub(crate) fn to_text(values: &[Value]) -> String {
    let line = |value: &Value| match value {
        Value::Style(id) => format!("{id}\n"),
        Value::Number(number) => format!("{number}\n"),
        Value::Whole(number) => format!("{number}\n"),
    };
    values.iter().map(line).collect()
}

/// What [`to_text`] wrote. Whatever isn't understood is the default, as is all that another version wrote.
pub(crate) fn from_text(text: &str) -> Vec<Value> {
    let mut lines = text.lines();
    let value = |param: &Param| {
        let line = lines.next()?;
        match param.kind {
            Kind::Style => Some(Value::Style(line.to_owned())),
            Kind::Number { .. } => line.parse().ok().map(Value::Number),
            Kind::Choice(_) | Kind::Seed => line.parse().ok().map(Value::Whole),
        }
    };
    let values: Option<Vec<_>> = PARAMS.iter().map(value).collect();
    values
        .filter(|values| Settings::parse(values).is_ok())
        .unwrap_or_else(|| PARAMS.iter().map(Param::default).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(style: &str, numbers: [f64; 3], second: &str, share: f64, output: i32) -> Vec<Value> {
        let [strength, brush, keep] = numbers.map(Value::Number);
        let [style, second] = [style, second].map(|id| Value::Style(id.into()));
        let [seed, grain] = [Value::Whole(0), Value::Number(1.0)];
        vec![style, strength, brush, keep, second, Value::Number(share), Value::Whole(output), seed, grain]
    }

    /// The defaults, but for these two.
    fn textured(seed: i32, grain: f64) -> Vec<Value> {
        let mut values = values("", [1.0, 0.0, 0.0], "", 0.5, 0);
        values.truncate(7);
        values.extend([Value::Whole(seed), Value::Number(grain)]);
        values
    }

    fn style(id: &str) -> StyleInfo {
        StyleInfo {
            id: id.into(),
            name: id.into(),
            author: String::new(),
            licence: String::new(),
            attribution: String::new(),
            built_in: true,
            reach_px: 165,
        }
    }

    #[test]
    fn defaults_are_values() {
        let defaults: Vec<_> = PARAMS.iter().map(Param::default).collect();
        let expected = Settings {
            style: String::new(),
            second: None,
            strength: 1.0,
            brush_size: BrushSize::Auto,
            keep_colours: 0.0,
            output: Output::Layer,
            seed: 0,
            grain: 1.0,
        };
        assert_eq!(Settings::parse(&defaults), Ok(expected));
    }

    #[test]
    fn values_are_checked() {
        fn check(values: &[Value], expected: Option<&str>) {
            let found = Settings::parse(values).err().map(|error| error.to_string());
            match (&found, expected) {
                (None, None) => {}
                (Some(message), Some(part)) => assert!(message.contains(part), "{message}"),
                _ => panic!("{values:?}: {found:?} instead of {expected:?}"),
            }
        }
        check(&values("cel", [0.5, 2.5, 1.0], "ink", 0.3, 1), None);
        check(&values("cel", [0.0, 64.0, 0.0], "", 0.0, 0), None);
        check(&values("cel", [1.1, 1.0, 0.0], "", 0.0, 0), Some("strength must be a number from 0 to 1"));
        check(&values("cel", [f64::NAN, 1.0, 0.0], "", 0.0, 0), Some("strength must be"));
        check(&values("cel", [1.0, 0.5, 0.0], "", 0.0, 0), Some("brush-size must be 0,"));
        check(&values("cel", [1.0, 65.0, 0.0], "", 0.0, 0), Some("brush-size must be a number from 0 to 64"));
        check(&values("cel", [1.0, 1.0, -0.1], "", 0.0, 0), Some("keep-colours must be"));
        check(&values("cel", [1.0, 1.0, 0.0], "", 2.0, 0), Some("second-share must be"));
        check(&values("cel", [1.0, 1.0, 0.0], "", 0.0, 2), Some("output must be a number from 0 to 1"));
        check(&values("cel", [1.0, 1.0, 0.0], "", 0.0, -1), Some("output must be"));
        check(&[], Some("9 values are needed, not 0"));
        check(&textured(7, 0.5), None);
        check(&textured(i32::MAX, 0.0), None);
        check(&textured(-1, 1.0), Some("seed must be a whole number from 0 to 2147483647"));
        check(&textured(0, 7.0), Some("grain must be a number from 0 to 1"));
        check(&textured(0, f64::NAN), Some("grain must be"));
        let mut swapped = values("cel", [1.0, 1.0, 0.0], "", 0.0, 0);
        swapped.swap(0, 1);
        check(&swapped, Some("another type"));
    }

    #[test]
    fn mixes_are_of_styles_that_there_are() {
        let styles = [style("cel"), style("ink")];
        let check = |first: &str, second: &str, share: f64, expected: Result<&[(&str, f32)], &str>| {
            let settings =
                Settings::parse(&values(first, [1.0, 0.0, 0.0], second, share, 0)).expect("values");
            let found = settings.mix(&styles).map_err(|error| error.to_string());
            let found = found
                .map(|mix| mix.iter().map(|(style, share)| (style.id.as_str(), *share)).collect::<Vec<_>>());
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{first}, {second}, {share}");
        };
        check("", "", 0.5, Ok(&[("cel", 1.0)]));
        check("ink", "", 0.5, Ok(&[("ink", 1.0)]));
        check(" ink ", "", 0.5, Ok(&[("ink", 1.0)]));
        check("cel", "ink", 0.25, Ok(&[("cel", 0.75), ("ink", 0.25)]));
        check("cel", "ink", 0.0, Ok(&[("cel", 1.0)]));
        check("cel", "ink", 1.0, Ok(&[("ink", 1.0)]));
        check("oil", "", 0.5, Err("there is no style `oil`; there are: cel, ink"));
        check("cel", "oil", 0.5, Err("there is no style `oil`; there are: cel, ink"));

        let settings = Settings::parse(&values("", [1.0, 0.0, 0.0], "", 0.5, 0)).expect("values");
        assert!(settings.mix(&[]).is_err());
    }

    #[test]
    fn the_last_values_come_back() {
        let defaults: Vec<_> = PARAMS.iter().map(Param::default).collect();
        let check = |text: &str, expected: &[Value]| assert_eq!(from_text(text), expected, "{text:?}");

        let kept = values("cel", [0.3, 2.5, 1.0], "ink", 0.1, 1);
        check(&to_text(&kept), &kept);
        check(&to_text(&defaults), &defaults);
        check(&to_text(&textured(7, 0.25)), &textured(7, 0.25));
        check("cel\n1\n0\n0\n\n0.5\n0\n0.5\n1\n", &defaults);
        // As an earlier version wrote them.
        check("cel\n1\n0\n0\n\n0.5\n1\n", &defaults);
        check("", &defaults);
        check("cel\n1\n0\n0\n", &defaults);
        check("cel\nmuch\n0\n0\n\n0.5\n0\n", &defaults);
        check("cel\n7\n0\n0\n\n0.5\n0\n", &defaults);
    }
}
