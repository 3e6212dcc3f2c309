//! What the dialogs of both generations say of the styles.

use utsushi_ipc::protocol::StyleInfo;

use crate::params::{PARAMS, Param};

/// The response that GTK gives for OK.
pub(crate) const OK: i32 = -5;
/// The response that GTK gives for Cancel.
pub(crate) const CANCEL: i32 = -6;

/// A line of a list of styles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StyleRow {
    /// The value of the parameter.
    pub(crate) id: String,
    pub(crate) label: String,
}

/// The lines for a parameter: what it means to choose none, then every style.
pub(crate) fn style_rows(param: &Param, styles: &[StyleInfo]) -> Vec<StyleRow> {
    let is_first = param.name == PARAMS[0].name;
    let none = match styles.first() {
        Some(first) if is_first => format!("Default ({})", first.name),
        _ => "None".into(),
    };
    let styles = styles.iter().map(|style| StyleRow { id: style.id.clone(), label: style.name.clone() });
    std::iter::once(StyleRow { id: String::new(), label: none }).chain(styles).collect()
}

/// Who made the styles, a line each.
pub(crate) fn credits(styles: &[StyleInfo]) -> String {
    let credit = |style: &StyleInfo| {
        let parts = [&style.author, &style.licence, &style.attribution].map(String::as_str);
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("{}: {}", style.name, parts.join("; "))
    };
    styles.iter().map(credit).collect::<Vec<_>>().join("\n")
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
        let check = |param: &Param, styles: &[StyleInfo], expected: &[(&str, &str)]| {
            let rows = style_rows(param, styles);
            let rows: Vec<_> = rows.iter().map(|row| (row.id.as_str(), row.label.as_str())).collect();
            assert_eq!(rows, expected, "{:?}", param.name);
        };
        check(&PARAMS[0], &styles, &[("", "Default (CEL)"), ("cel", "CEL"), ("ink", "INK")]);
        check(&PARAMS[4], &styles, &[("", "None"), ("cel", "CEL"), ("ink", "INK")]);
        check(&PARAMS[0], &[], &[("", "None")]);
        assert_eq!(credits(&styles), "CEL: A; MIT; photographs by B\nINK: A; MIT");
    }
}
