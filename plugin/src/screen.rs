//! From a layer's samples to what a screen shows of them.

use utsushi_ipc::pixels::{Channels, PixelFormat};

use crate::ffi::canvas::Pixels;
use crate::ffi::list::Thumbnail;
use crate::region::Rect;

/// The side of the squares that are seen through transparent pixels, and how light they are, as GIMP has them.
const SQUARE_PX: i32 = 8;
const SQUARES: [u8; 2] = [0x66, 0x99];

/// Pixels of `area`, of 8 bits a sample in sRGB, as a screen has them. What lies under transparent ones depends on their
/// place.
pub(crate) fn pack(samples: &[u8], format: PixelFormat, area: Rect) -> Pixels {
    let count = format.channels.count();
    let mut bytes = Vec::with_capacity(samples.len() / count * 4);
    let rows = samples.chunks_exact((area.width as usize * count).max(1));
    for (y, row) in (area.y..).zip(rows) {
        for (x, pixel) in (area.x..).zip(row.chunks_exact(count)) {
            let (rgb, alpha) = match (format.channels, pixel) {
                (Channels::Grey, [y]) => ([*y; 3], 255),
                (Channels::GreyAlpha, [y, a]) => ([*y; 3], *a),
                (Channels::Rgba, [r, g, b, a]) => ([*r, *g, *b], *a),
                (_, [r, g, b, ..]) => ([*r, *g, *b], 255),
                _ => ([0; 3], 255),
            };
            let square = SQUARES[((x / SQUARE_PX + y / SQUARE_PX) & 1) as usize];
            let [r, g, b] = rgb.map(|sample| mix(square, sample, alpha));
            bytes.extend([b, g, r, 0]);
        }
    }
    Pixels { width: area.width, height: area.height, bytes }
}

/// What is drawn where that much is selected, which a byte a pixel says.
pub(crate) fn select(drawn: &mut Pixels, before: &Pixels, mask: &[u8]) {
    let pixels = drawn.bytes.chunks_exact_mut(4).zip(before.bytes.chunks_exact(4));
    for ((drawn, before), selected) in pixels.zip(mask) {
        for (drawn, before) in drawn.iter_mut().zip(before) {
            *drawn = mix(*before, *drawn, *selected);
        }
    }
}

/// `over` where `share` is 255, `under` where it is 0.
fn mix(under: u8, over: u8, share: u8) -> u8 {
    let (under, over, share) = (u32::from(under), u32::from(over), u32::from(share));
    ((under * (255 - share) + over * share + 127) / 255) as u8
}

/// A picture that is smaller: each of its pixels is the mean of `by` x `by`, those at the border that aren't whole left out.
pub(crate) fn thumbnail(pixels: &Pixels, by: i32) -> Thumbnail {
    let (width, height) = ((pixels.width / by).max(1), (pixels.height / by).max(1));
    let (across, down) = (by.min(pixels.width), by.min(pixels.height));
    let mut rgb = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            for channel in [2, 1, 0] {
                let row = |dy: i32| ((y * by + dy) * pixels.width + x * by) as usize * 4 + channel;
                let sum: u32 = (0..down)
                    .flat_map(|dy| (0..across as usize).map(move |dx| row(dy) + dx * 4))
                    .map(|index| u32::from(pixels.bytes[index]))
                    .sum();
                let count = (across * down) as u32;
                rgb.push(((sum + count / 2) / count) as u8);
            }
        }
    }
    Thumbnail { width, height, rgb }
}

/// A thumbnail that isn't drawn yet: paler than the layer is.
pub(crate) fn pale(thumbnail: &Thumbnail) -> Thumbnail {
    let rgb = thumbnail.rgb.chunks_exact(3).flat_map(|pixel| {
        let mean = pixel.iter().map(|sample| u32::from(*sample)).sum::<u32>() / 3;
        [mix(mean as u8, 0xd0, 150); 3]
    });
    Thumbnail { rgb: rgb.collect(), ..thumbnail.clone() }
}

#[cfg(test)]
mod tests {
    use utsushi_ipc::pixels::Depth;

    use super::*;

    fn check(channels: Channels, samples: &[u8], place: (i32, i32), expected: &[u8]) {
        let format = PixelFormat { channels, depth: Depth::U8 };
        let width = (samples.len() / channels.count()) as i32;
        let area = Rect::new(place.0, place.1, width, 1);
        let pixels = pack(samples, format, area);
        let bgr: Vec<u8> = pixels.bytes.chunks(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
        assert_eq!(bgr, expected, "{channels:?} {samples:?} at {place:?}");
    }

    #[test]
    fn samples_become_what_a_screen_shows() {
        check(Channels::Rgb, &[1, 2, 3, 4, 5, 6], (0, 0), &[3, 2, 1, 6, 5, 4]);
        check(Channels::Grey, &[7, 8], (0, 0), &[7, 7, 7, 8, 8, 8]);
        check(Channels::Rgba, &[1, 2, 3, 255], (0, 0), &[3, 2, 1]);
        // What is transparent shows squares, where it lies.
        check(Channels::Rgba, &[1, 2, 3, 0, 1, 2, 3, 0], (7, 0), &[0x66, 0x66, 0x66, 0x99, 0x99, 0x99]);
        check(Channels::GreyAlpha, &[9, 0], (7, 8), &[0x99; 3]);
        check(Channels::GreyAlpha, &[202, 128], (0, 0), &[152; 3]);
    }

    #[test]
    fn what_is_not_selected_stays() {
        let pixels = |bytes: &[u8]| Pixels { width: 3, height: 1, bytes: bytes.to_vec() };
        let before = pixels(&[10; 12]);
        let mut drawn = pixels(&[200; 12]);
        select(&mut drawn, &before, &[0, 255, 51]);
        assert_eq!(drawn.bytes, [[10; 4], [200; 4], [48; 4]].concat());
    }

    #[test]
    fn thumbnails_are_means() {
        let rows = [[0, 2, 8, 8, 1], [2, 4, 8, 8, 1], [9, 9, 9, 9, 9]];
        let bytes = rows.iter().flatten().flat_map(|sample| [*sample, 100 + sample, 200 - sample, 0]);
        let pixels = Pixels { width: 5, height: 3, bytes: bytes.collect() };
        let expected = Thumbnail { width: 2, height: 1, rgb: vec![198, 102, 2, 192, 108, 8] };
        assert_eq!(thumbnail(&pixels, 2), expected);
        let line = Pixels { width: 1, height: 4, bytes: vec![6; 16] };
        assert_eq!(thumbnail(&line, 2), Thumbnail { width: 1, height: 2, rgb: vec![6; 6] });
        let white = Thumbnail { width: 1, height: 1, rgb: vec![0, 0, 0] };
        assert!(pale(&white).rgb[0] > 100);
    }
}
