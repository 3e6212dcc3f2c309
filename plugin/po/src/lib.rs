//! The plug-in's words in other languages, as catalogues that gettext reads: `.po` files, compiled while this is built.
//!
//! Another language is a file `LANGUAGE.po` beside the others, begun as a copy of `utsushi-gimp.pot`. The tests of the
//! plug-in tell what it lacks.

/// What gettext calls the catalogues.
pub const DOMAIN: &str = "utsushi-gimp";

/// A language's code, as in a locale's name, and its catalogue.
pub const CATALOGUES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/catalogues.rs"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_catalogues_that_gettext_knows() {
        let languages: Vec<_> = CATALOGUES.iter().map(|(language, _)| *language).collect();
        assert_eq!(languages, ["de", "ja"]);
        for (language, catalogue) in CATALOGUES {
            // The magic number, in either order of bytes.
            let magic = &catalogue[..4];
            assert!(
                [0x9504_12de_u32.to_le_bytes(), 0x9504_12de_u32.to_be_bytes()].iter().any(|m| m == magic),
                "{language}"
            );
        }
    }
}
