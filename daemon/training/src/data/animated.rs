//! Does a picture move? Told from a file's beginning, without decoding it.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// GIF, PNG and WebP say within this many bytes whether they move, unless large metadata comes first.
const HEAD_BYTES: u64 = 256 << 10;

/// Is the file an animation?
pub(super) fn is_animated(path: &Path) -> io::Result<bool> {
    let mut head = Vec::new();
    File::open(path)?.take(HEAD_BYTES).read_to_end(&mut head)?;
    Ok(says_animated(&head))
}

fn says_animated(head: &[u8]) -> bool {
    if head.starts_with(b"GIF8") {
        // The extension by which every animated GIF says how often it is repeated.
        return head.windows(11).any(|bytes| bytes == b"NETSCAPE2.0");
    }
    if head.starts_with(b"\x89PNG\r\n\x1a\n") {
        return png_chunks(&head[8..]).take_while(|kind| kind != b"IDAT").any(|kind| &kind == b"acTL");
    }
    // RIFF, size, WEBP, VP8X, size, flags.
    let is_webp = head.starts_with(b"RIFF") && head.get(8..16) == Some(b"WEBPVP8X");
    is_webp && head.get(20).is_some_and(|flags| flags & 2 != 0)
}

/// The kinds of a PNG's chunks.
fn png_chunks(mut rest: &[u8]) -> impl Iterator<Item = [u8; 4]> {
    std::iter::from_fn(move || {
        let (length, kind) = (rest.first_chunk::<4>()?, rest.get(4..8)?.try_into().ok()?);
        rest = rest.get((u32::from_be_bytes(*length) as usize).saturating_add(12)..).unwrap_or_default();
        Some(kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(kinds: &[&[u8; 4]]) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
        for kind in kinds {
            file.extend([&[0, 0, 0, 2], &kind[..], &[1, 2], &[0; 4]].concat());
        }
        file
    }

    #[track_caller]
    fn check(head: &[u8], want: bool) {
        assert_eq!(says_animated(head), want, "{}", String::from_utf8_lossy(head));
    }

    #[test]
    fn animations_are_told_from_still_pictures() {
        check(b"GIF89a....\x21\xff\x0bNETSCAPE2.0....", true);
        check(b"GIF87a....", false);
        check(&png(&[b"IHDR", b"acTL", b"IDAT"]), true);
        check(&png(&[b"IHDR", b"IDAT", b"acTL"]), false);
        check(&png(&[b"IHDR"]), false);
        check(b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffIHDR", false);
        check(b"RIFF....WEBPVP8X....\x02", true);
        check(b"RIFF....WEBPVP8X....\x10", false);
        check(b"RIFF....WEBPVP8 ", false);
        check(b"\xff\xd8\xff\xe0 a JPEG", false);
        check(b"", false);
    }
}
