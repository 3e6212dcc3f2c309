//! What the dialogs of both generations say of the styles.

use utsushi_ipc::protocol::StyleInfo;

use crate::params::{PARAMS, Param};

/// The response that GTK gives for OK.
pub(crate) const OK: i32 = -5;
/// The response that GTK gives for Cancel.
pub(crate) const CANCEL: i32 = -6;

/// How far the brush size's slider goes, which is enough for 250 megapixels; larger ones can be typed.
pub(crate) const SLIDER_BRUSH_SIZE: f64 = 16.0;
/// How far the arrow keys move it.
pub(crate) const BRUSH_SIZE_STEP: f64 = 0.1;
/// How far the page keys move it.
pub(crate) const BRUSH_SIZE_PAGE: f64 = 1.0;

/// A line of a list of styles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StyleRow {
    /// The value of the parameter.
    pub(crate) id: String,
    pub(crate) label: String,
    /// What is told of it while it is chosen.
    pub(crate) tip: String,
}

/// The lines for a parameter: what it means to choose none, then every style.
pub(crate) fn style_rows(param: &Param, styles: &[StyleInfo]) -> Vec<StyleRow> {
    let is_first = param.name == PARAMS[0].name;
    let (label, tip) = match styles.first() {
        Some(first) if is_first => (format!("Default ({})", first.name), credit(first)),
        _ => ("None".into(), param.help.to_string_lossy().into_owned()),
    };
    let row =
        |style: &StyleInfo| StyleRow { id: style.id.clone(), label: style.name.clone(), tip: credit(style) };
    let none = StyleRow { id: String::new(), label, tip };
    std::iter::once(none).chain(styles.iter().map(row)).collect()
}

/// Who made a style.
fn credit(style: &StyleInfo) -> String {
    let parts = [&style.author, &style.licence, &style.attribution].map(String::as_str);
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    format!("{}: {}", style.name, parts.join("; "))
}

/// What a brush size becomes in a dialog: there is nothing between 0, which is automatic, and 1, the finest.
pub(crate) fn whole_brush_size(number: f64) -> f64 {
    if number > 0.0 { number.max(1.0) } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(id: &str, attribution: &str) -> StyleInfo {
        StyleInfo {
            id: id.into(),
            name: id.to_uppercase(),
            author: "A".into(),
            licence: "MIT".into(),
            attribution: attribution.into(),
            built_in: true,
            reach_px: 1,
        }
    }

    #[test]
    fn styles_are_listed_and_credited() {
        let styles = [style("cel", "photographs by B"), style("ink", "")];
        let (cel, ink) = ("CEL: A; MIT; photographs by B", "INK: A; MIT");
        let check = |param: &Param, styles: &[StyleInfo], expected: &[(&str, &str, &str)]| {
            let rows = style_rows(param, styles);
            let rows: Vec<_> =
                rows.iter().map(|row| (row.id.as_str(), row.label.as_str(), row.tip.as_str())).collect();
            assert_eq!(rows, expected, "{:?}", param.name);
        };
        let help = [&PARAMS[0], &PARAMS[4]].map(|param| param.help.to_str().expect("plain text"));
        check(&PARAMS[0], &styles, &[("", "Default (CEL)", cel), ("cel", "CEL", cel), ("ink", "INK", ink)]);
        check(&PARAMS[4], &styles, &[("", "None", help[1]), ("cel", "CEL", cel), ("ink", "INK", ink)]);
        check(&PARAMS[0], &[], &[("", "None", help[0])]);
    }

    #[test]
    fn there_is_no_brush_between_automatic_and_the_finest() {
        let check = |number, expected| assert_eq!(whole_brush_size(number), expected, "{number}");
        check(0.0, 0.0);
        check(0.1, 1.0);
        check(0.9, 1.0);
        check(1.0, 1.0);
        check(2.3, 2.3);
    }
}
