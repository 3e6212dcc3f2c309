//! Seals: how a text tells that it is as it was written, so that what the user has changed stays.
//!
//! The last line is a comment with a checksum of those before it. That holds through versions of this program, whose
//! texts differ, and for a program that has moved.

/// How a comment begins and ends in units and desktop entries.
pub(super) const HASH: [&str; 2] = ["# ", ""];
/// The same in XML.
pub(super) const XML: [&str; 2] = ["<!-- ", " -->"];

/// The text, which ends with its last line's end, and its seal.
pub(super) fn sealed(text: &str, [begin, end]: [&str; 2]) -> String {
    let sum = crc32fast::hash(text.as_bytes());
    format!(
        "{text}{begin}Written by `utsushi install`, and left alone by it once it is changed: {sum:08x}{end}\n"
    )
}

/// Does the text end with its seal?
pub(super) fn is_whole(text: &str) -> bool {
    let lines = text.trim_end_matches('\n');
    let body = &text[..lines.rfind('\n').map_or(0, |end| end + 1)];
    [HASH, XML].iter().any(|comment| sealed(body, *comment) == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_break_a_seal() {
        for comment in [HASH, XML] {
            for text in ["", "one\n", "one\n\ntwo\n"] {
                assert!(is_whole(&sealed(text, comment)), "{text:?}");
            }
        }
        let text = sealed("one\ntwo\n", HASH);
        let changed = [
            text.replace("two", "three"),
            format!("{text}\n"),
            format!("{text}three\n"),
            text.trim_end().to_owned(),
            text.replace("# W", "W"),
            "one\n".to_owned(),
            String::new(),
            "\n".to_owned(),
            "名".to_owned(),
        ];
        for text in changed {
            assert!(!is_whole(&text), "{text:?}");
        }
    }
}
