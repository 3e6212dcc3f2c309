//! The list of styles: in which order they stand, and what is said of each.

use std::collections::BTreeSet;

use utsushi_ipc::protocol::StyleInfo;

use crate::words::{self, Word};

/// From how many styles on there is a search.
pub(crate) const SEARCH_FROM: usize = 13;

/// Letters of a credit that the list shows.
const SHORT: usize = 25;

/// What the built-in styles do.
const SUMMARIES: [(&str, Word); 9] = [
    ("anime", words::ANIME),
    ("comic", words::COMIC),
    ("ukiyo-e", words::UKIYO_E),
    ("oil", words::OIL),
    ("van-gogh", words::VAN_GOGH),
    ("impressionist", words::IMPRESSIONIST),
    ("cel", words::CEL),
    ("paint", words::PAINT),
    ("restore", words::RESTORE),
];

/// The styles' indices in the order of the list: favourites first, and only those that the words sought are said of.
pub(crate) fn order(styles: &[StyleInfo], favourites: &BTreeSet<String>, sought: &str) -> Vec<usize> {
    let sought = sought.to_lowercase();
    let is_found = |style: &StyleInfo| {
        let said = [&style.id, &style.name, &style.author, summary(style)].join("\n").to_lowercase();
        sought.split_whitespace().all(|word| said.contains(word))
    };
    let found = (0..styles.len()).filter(|index| is_found(&styles[*index]));
    let (first, rest): (Vec<_>, Vec<_>) = found.partition(|index| favourites.contains(&styles[*index].id));
    [first, rest].concat()
}

/// What a style does, in a line; empty if nobody knows.
pub(crate) fn summary(style: &StyleInfo) -> &'static str {
    if !style.built_in {
        return words::OWN_STYLE.text();
    }
    let known = SUMMARIES.iter().find(|(id, _)| *id == style.id);
    known.map_or("", |(_, summary)| summary.text())
}

/// Who made a style.
fn credit(style: &StyleInfo) -> String {
    let parts = [&style.author, &style.licence, &style.attribution].map(String::as_str);
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    parts.join("; ")
}

/// A style's name; the default says that it is.
pub(crate) fn name(styles: &[StyleInfo], index: usize) -> String {
    let name = &styles[index].name;
    if index == 0 { words::DEFAULT_STYLE.with(&[("style", name)]) } else { name.clone() }
}

/// The words beside a style's picture, and all that is to say of it, in pango's markup.
pub(crate) fn markup(styles: &[StyleInfo], index: usize) -> (String, String) {
    let style = &styles[index];
    let [name, summary, credit] = [&*name(styles, index), summary(style), &credit(style)].map(escape);
    let short = escape(&shorten(&self::credit(style)));
    let lines = [
        format!("<b>{name}</b>"),
        format!("<small>{summary}</small>"),
        format!("<small><span alpha=\"65%\">{short}</span></small>"),
    ];
    (lines.join("\n"), format!("<b>{name}</b>\n{summary}\n<small>{credit}</small>"))
}

/// What fits into a line of the list.
fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHORT) {
        Some((end, _)) => format!("{}…", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(id: &str, built_in: bool) -> StyleInfo {
        StyleInfo {
            id: id.into(),
            name: id.to_uppercase(),
            author: "A & B".into(),
            licence: "MIT".into(),
            attribution: String::new(),
            built_in,
            reach_px: 1,
        }
    }

    #[test]
    fn favourites_come_first_and_what_is_sought_alone() {
        let styles = ["anime", "oil", "ink", "my-ink"].map(|id| style(id, id != "my-ink"));
        let check = |favourites: &[&str], sought: &str, expected: &[&str]| {
            let favourites = favourites.iter().map(|id| (*id).to_owned()).collect();
            let found = order(&styles, &favourites, sought);
            let found: Vec<_> = found.iter().map(|index| styles[*index].id.as_str()).collect();
            assert_eq!(found, expected, "{favourites:?}, {sought:?}");
        };
        check(&[], "", &["anime", "oil", "ink", "my-ink"]);
        check(&["ink", "gone"], "", &["ink", "anime", "oil", "my-ink"]);
        check(&["my-ink"], "INK", &["my-ink", "ink"]);
        check(&[], "strokes", &["oil"]);
        check(&[], "own ink", &["my-ink"]);
        check(&[], " b ", &["anime", "oil", "ink", "my-ink"]);
        check(&["oil"], "nothing like it", &[]);
    }

    #[test]
    fn a_style_is_named_told_of_and_credited() {
        let styles = [style("anime", true), style("x<y", false)];
        let (words, all) = markup(&styles, 0);
        assert!(words.starts_with("<b>ANIME (default)</b>\n<small>Flat, light"), "{words}");
        assert!(words.ends_with("A &amp; B; MIT</span></small>"), "{words}");
        assert!(all.contains("<small>A &amp; B; MIT</small>"), "{all}");
        assert!(markup(&styles, 1).0.starts_with("<b>X&lt;Y</b>\n<small>A style of your own"));
        assert_eq!(name(&styles, 1), "X<Y");
        let long = StyleInfo { attribution: "after the works of somebody".into(), ..style("oil", true) };
        let (words, all) = markup(&[long], 0);
        assert!(words.ends_with("A &amp; B; MIT; after the wor…</span></small>"), "{words}");
        assert!(all.contains("somebody"), "{all}");
    }

    /// A style that is added to the daemon's is to be told of here, too.
    #[test]
    fn every_built_in_style_is_told_of() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../daemon/styles");
        let files = std::fs::read_dir(folder).expect("the styles").map(|entry| entry.expect("a file").path());
        let mut ids: Vec<_> = files
            .filter(|file| file.extension().is_some_and(|extension| extension == "safetensors"))
            .map(|file| file.file_stem().expect("a name").to_string_lossy().into_owned())
            .collect();
        ids.sort();
        let mut known = SUMMARIES.map(|(id, _)| id);
        known.sort_unstable();
        assert_eq!(ids, known);
    }
}
