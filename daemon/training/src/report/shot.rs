//! A picture inside a page.

use jpeg_encoder::{ColorType, Encoder};
use serde::{Deserialize, Serialize};

use crate::data::Picture;

/// Good enough to judge by.
const JPEG_QUALITY: u8 = 82;

/// A small JPEG, in the form in which a page holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Shot {
    width: u16,
    height: u16,
    /// In base64 (RFC 4648).
    base64: String,
}

impl Shot {
    /// The picture, reduced to this size.
    pub(super) fn new(picture: &Picture, long_side_px: u32) -> Self {
        let small = picture.reduced(long_side_px);
        let side = |px: u32| u16::try_from(px).expect("a reduced picture is small");
        let (width, height) = (side(small.width), side(small.height));
        let mut jpeg = Vec::new();
        Encoder::new(&mut jpeg, JPEG_QUALITY)
            .encode(&small.rgb, width, height, ColorType::Rgb)
            .expect("a small picture fits into memory");
        Self { width, height, base64: base64(&jpeg) }
    }

    /// Width by height.
    pub(super) fn ratio(&self) -> f64 {
        f64::from(self.width.max(1)) / f64::from(self.height.max(1))
    }

    /// What an `img` shows. A kept report is untrusted: only what base64 is made of gets into the page.
    pub(super) fn address(&self) -> String {
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
        let data = if self.base64.chars().all(is_base64) { &self.base64 } else { "" };
        format!("data:image/jpeg;base64,{data}")
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let four = |three: &[u8]| {
        let byte = |i: usize| u32::from(three.get(i).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = |i: usize| char::from(DIGITS[(bits >> (18 - 6 * i)) as usize % 64]);
        std::array::from_fn::<char, 4, _>(|i| if i <= three.len() { digit(i) } else { '=' })
    };
    bytes.chunks(3).flat_map(four).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_its_definition() {
        for (bytes, want) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), want);
        }
        assert_eq!(base64(&[0xff, 0xef, 0xbe]), "/+++");
    }

    #[test]
    fn a_shot_is_a_reduced_picture_and_nothing_else() {
        let picture = Picture { width: 400, height: 100, rgb: vec![77; 400 * 100 * 3] };
        let shot = Shot::new(&picture, 40);
        assert_eq!((shot.width, shot.height), (40, 10));
        assert!(shot.address().starts_with("data:image/jpeg;base64,/9j/"));
        let forged = Shot { base64: "\" onerror=\"alert(1)".into(), ..shot };
        assert_eq!(forged.address(), "data:image/jpeg;base64,");
    }
}
