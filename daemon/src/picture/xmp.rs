//! XMP: what programs write about a picture, as XML.
//!
//! It is kept as it came, but for what the written file makes untrue: a turned picture is upright, what lay beside it in
//! its file is gone, and a thumbnail would show the picture as it was.

/// The longest that is kept.
const MAX_BYTES: usize = 16 << 20;
/// Words by which XMP tells of other pictures in the same file: gain maps, videos, depth maps.
const COMPANIONS: [&str; 5] =
    ["hdrgm:", "Container:Directory", "GCamera:MotionPhoto", "GCamera:MicroVideo", "GDepth:Data"];

/// A packet as a file has it; `None` if it can't be kept.
pub(super) fn from_packet(packet: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(packet.get(..packet.len().min(MAX_BYTES + 1))?).ok()?;
    let is_kept = text.len() <= MAX_BYTES && !COMPANIONS.iter().any(|word| text.contains(word));
    let text = is_kept.then(|| text.trim_end_matches('\0'))?;
    // An extension lies in other segments of a JPEG.
    let text = without(text, "xmpNote:HasExtendedXMP=\"", "\"");
    let text = without(&text, "<xmp:Thumbnails", "</xmp:Thumbnails>");
    Some(upright(text).into_bytes())
}

/// What is left without a part that begins and ends so.
fn without(text: &str, begin: &str, end: &str) -> String {
    let part = text.find(begin).and_then(|from| {
        let value = from + begin.len();
        Some(from..value + text[value..].find(end)? + end.len())
    });
    match part {
        Some(part) => format!("{}{}", &text[..part.start], &text[part.end..]),
        None => text.to_owned(),
    }
}

/// With an orientation of 1, if it tells one, as an attribute or as an element.
fn upright(mut text: String) -> String {
    const NAME: &str = "tiff:Orientation";
    let mut at = 0;
    while let Some(found) = text[at..].find(NAME) {
        at += found + NAME.len();
        let rest = &text[at..];
        let value =
            rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '=' | '"' | '\'' | '>'));
        let place = at + (rest.len() - value.len());
        let is_end = text[..at].ends_with(&format!("</{NAME}"));
        if place > at && !is_end && value.starts_with(|c: char| ('2'..='8').contains(&c)) {
            text.replace_range(place..=place, "1");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_becomes_untrue_goes() {
        #[track_caller]
        fn check(packet: &str, expected: Option<&str>) {
            let kept = from_packet(packet.as_bytes()).map(|kept| String::from_utf8(kept).unwrap());
            assert_eq!(kept.as_deref(), expected, "{packet}");
        }
        check("<x dc:title=\"Ä\"/>", Some("<x dc:title=\"Ä\"/>"));
        check("<x tiff:Orientation=\"6\" a='6'/>", Some("<x tiff:Orientation=\"1\" a='6'/>"));
        check("<x tiff:Orientation = '8'/>", Some("<x tiff:Orientation = '1'/>"));
        check("<tiff:Orientation>3</tiff:Orientation>5", Some("<tiff:Orientation>1</tiff:Orientation>5"));
        check("<x tiff:Orientation", Some("<x tiff:Orientation"));
        check("<x tiff:Orientation6", Some("<x tiff:Orientation6"));
        check("<x hdrgm:Version=\"1.0\"/>", None);
        check("<x GCamera:MotionPhoto=\"1\"/>", None);
        check("a<xmp:Thumbnails><a/></xmp:Thumbnails>b", Some("ab"));
        check("a<xmp:Thumbnails>b", Some("a<xmp:Thumbnails>b"));
        check("<x xmpNote:HasExtendedXMP=\"0123\" b='1'/>", Some("<x  b='1'/>"));
        check("<x/>\0\0", Some("<x/>"));
        check("", Some(""));
        assert_eq!(from_packet(b"\xff\xfe<\0x\0"), None, "UTF-16");
    }
}
