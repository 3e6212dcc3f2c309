//! EXIF data: a small TIFF file without a picture, inside a picture file.
//!
//! Where it stays in the kind of file it came in, it stays as it is, byte by byte, because makers' notes hold
//! offsets into it; only what the new pixels make untrue is changed ([`settle`]). A TIFF file has these fields in
//! its own directories: there they are taken out as [`Fields`] and put in again.
//!
//! Nothing here trusts an offset, a count or a type.

use super::metadata::Resolution;
use super::orientation::Orientation;

/// The most bytes of values that are taken out as [`Fields`].
pub(super) const MAX_VALUE_BYTES: usize = 1 << 20;
/// The longest EXIF data that is kept.
const MAX_EXIF_BYTES: usize = 16 << 20;

pub(super) mod tag {
    pub(in crate::picture) const ORIENTATION: u16 = 0x0112;
    pub(in crate::picture) const X_RESOLUTION: u16 = 0x011a;
    pub(in crate::picture) const Y_RESOLUTION: u16 = 0x011b;
    pub(in crate::picture) const RESOLUTION_UNIT: u16 = 0x0128;
    pub(in crate::picture) const EXIF: u16 = 0x8769;
    pub(in crate::picture) const GPS: u16 = 0x8825;
    pub(in crate::picture) const MAKER_NOTE: u16 = 0x927c;
    pub(in crate::picture) const COLOUR_SPACE: u16 = 0xa001;
    pub(in crate::picture) const PIXEL_X_DIMENSION: u16 = 0xa002;
    pub(in crate::picture) const PIXEL_Y_DIMENSION: u16 = 0xa003;
    pub(in crate::picture) const INTEROPERABILITY: u16 = 0xa005;
    /// In a directory of its own.
    pub(in crate::picture) const INTEROPERABILITY_INDEX: u16 = 1;
}

/// Types of values, as TIFF numbers them.
pub(super) mod kind {
    pub(in crate::picture) const BYTE: u16 = 1;
    pub(in crate::picture) const SHORT: u16 = 3;
    pub(in crate::picture) const LONG: u16 = 4;
    pub(in crate::picture) const RATIONAL: u16 = 5;
    pub(in crate::picture) const UNDEFINED: u16 = 7;
}

/// Does a field of the main directory tell about the picture, and not about how it is stored? These are
/// description, make, model, software, date, artist, computer and copyright.
pub(super) fn is_about_the_picture(tag: u16) -> bool {
    matches!(tag, 0x010e | 0x010f | 0x0110 | 0x0131 | 0x0132 | 0x013b | 0x013c | 0x8298)
}

/// Does a field of the other directories keep its sense in another place?
pub(super) fn is_portable(tag: u16) -> bool {
    !matches!(tag, tag::MAKER_NOTE | tag::INTEROPERABILITY)
}

/// EXIF data as a file has it; without the name that some writers put before it.
pub(super) fn from_chunk(chunk: &[u8]) -> Option<Vec<u8>> {
    let exif = chunk.strip_prefix(b"Exif\0\0").unwrap_or(chunk);
    (exif.len() <= MAX_EXIF_BYTES && Tiff::new(exif).is_some()).then(|| exif.to_vec())
}

/// How the picture has to be turned.
pub(super) fn orientation(exif: &[u8]) -> Orientation {
    let value = Tiff::new(exif).and_then(|tiff| {
        let entry = tiff.find(tiff.main()?, tag::ORIENTATION)?;
        tiff.number(&entry)
    });
    value.map_or(Orientation::UPRIGHT, |value| Orientation::from_tag(value.try_into().unwrap_or(1)))
}

/// Are the colours Adobe RGB's? Cameras say so by the name of a rule, and some programs by a number of their own.
pub(super) fn is_adobe_rgb(exif: &[u8]) -> bool {
    const ADOBE_RGB: u32 = 2;
    const UNCALIBRATED: u32 = 0xffff;
    let says = || {
        let tiff = Tiff::new(exif)?;
        let directory = tiff.pointed(tiff.main()?, tag::EXIF)?;
        let space = tiff.number(&tiff.find(directory, tag::COLOUR_SPACE)?)?;
        let rule = || {
            let rules = tiff.pointed(directory, tag::INTEROPERABILITY)?;
            tiff.value(&tiff.find(rules, tag::INTEROPERABILITY_INDEX)?)
        };
        let is_by_rule = || rule().is_some_and(|rule| rule.starts_with(b"R03"));
        Some(space == ADOBE_RGB || (space == UNCALIBRATED && is_by_rule()))
    };
    says().unwrap_or(false)
}

/// The resolution, for files that have no other place for it.
pub(super) fn resolution(exif: &[u8]) -> Option<Resolution> {
    let tiff = Tiff::new(exif)?;
    let main = tiff.main()?;
    let rational = |tag| {
        let value = tiff.value(&tiff.find(main, tag)?)?;
        let (numerator, denominator) = (tiff.u32_of(value.get(..4)?)?, tiff.u32_of(value.get(4..8)?)?);
        Some(f64::from(numerator) / f64::from(denominator))
    };
    let (x, y) = (rational(tag::X_RESOLUTION)?, rational(tag::Y_RESOLUTION)?);
    match tiff.find(main, tag::RESOLUTION_UNIT).and_then(|entry| tiff.number(&entry)) {
        Some(3) => Resolution::per_centimetre(x, y),
        _ => Resolution::per_inch(x, y),
    }
}

/// Makes the data true for upright pixels of this size: orientation 1, the size itself, and no thumbnail.
pub(super) fn settle(exif: &mut [u8], width: u32, height: u32) {
    let mut patches = Vec::new();
    if let Some(tiff) = Tiff::new(exif)
        && let Some(main) = tiff.main()
    {
        patches.extend(tiff.find(main, tag::ORIENTATION).map(|entry| (entry, 1)));
        if let Some(directory) = tiff.pointed(main, tag::EXIF) {
            patches.extend(tiff.find(directory, tag::PIXEL_X_DIMENSION).map(|entry| (entry, width)));
            patches.extend(tiff.find(directory, tag::PIXEL_Y_DIMENSION).map(|entry| (entry, height)));
        }
        let big_endian = tiff.big_endian;
        let next = tiff.next(main);
        for (entry, value) in patches {
            patch(exif, big_endian, &entry, value);
        }
        // The link to the next directory is the link to the thumbnail.
        if let Some(link) = next.and_then(|at| exif.get_mut(at..at + 4)) {
            link.fill(0);
        }
    }
}

fn patch(exif: &mut [u8], big_endian: bool, entry: &Entry, value: u32) {
    let mut bytes = [0; 4];
    match entry.kind {
        kind::SHORT => {
            let short = u16::try_from(value).unwrap_or(u16::MAX);
            bytes[..2].copy_from_slice(&if big_endian { short.to_be_bytes() } else { short.to_le_bytes() });
        }
        kind::LONG => bytes = if big_endian { value.to_be_bytes() } else { value.to_le_bytes() },
        _ => return,
    }
    if entry.count == 1
        && let Some(field) = exif.get_mut(entry.field..entry.field + 4)
    {
        field.copy_from_slice(&bytes);
    }
}

/// The fields of EXIF data, by directory, in no file's order or place.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Fields {
    pub(super) main: Vec<Field>,
    pub(super) exif: Vec<Field>,
    pub(super) gps: Vec<Field>,
}

/// One field; its value is in the machine's byte order.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) tag: u16,
    pub(super) kind: u16,
    pub(super) value: Vec<u8>,
}

impl Fields {
    /// The fields of EXIF data that keep their sense in another place.
    pub(super) fn of(exif: &[u8]) -> Option<Self> {
        let tiff = Tiff::new(exif)?;
        let main = tiff.main()?;
        let pointed = |tag| tiff.pointed(main, tag).map(|directory| tiff.fields(directory, is_portable));
        Some(Self {
            main: tiff.fields(main, is_about_the_picture),
            exif: pointed(tag::EXIF).unwrap_or_default(),
            gps: pointed(tag::GPS).unwrap_or_default(),
        })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.main.is_empty() && self.exif.is_empty() && self.gps.is_empty()
    }

    /// Adds the resolution, for formats that have no other place for it.
    pub(super) fn with_resolution(mut self, resolution: Resolution) -> Self {
        let rational = |tag, value| {
            let (numerator, denominator) = to_rational(value);
            let value = [numerator.to_ne_bytes(), denominator.to_ne_bytes()].concat();
            Field { tag, kind: kind::RATIONAL, value }
        };
        self.main.push(rational(tag::X_RESOLUTION, resolution.x_ppi));
        self.main.push(rational(tag::Y_RESOLUTION, resolution.y_ppi));
        let inch = 2_u16.to_ne_bytes().to_vec();
        self.main.push(Field { tag: tag::RESOLUTION_UNIT, kind: kind::SHORT, value: inch });
        self
    }

    /// EXIF data with these fields.
    pub(super) fn to_exif(&self) -> Vec<u8> {
        let mark = if cfg!(target_endian = "big") { b"MM" } else { b"II" };
        let mut bytes = [&mark[..], &42_u16.to_ne_bytes(), &8_u32.to_ne_bytes()].concat();
        let mut main = self.main.clone();
        let directories = [(tag::EXIF, &self.exif), (tag::GPS, &self.gps)];
        let pointers = directories.into_iter().filter(|(_, fields)| !fields.is_empty());
        // A directory's length doesn't depend on where its pointers point, so they are filled in afterwards.
        let nowhere = |tag| Field { tag, kind: kind::LONG, value: vec![0; 4] };
        main.extend(pointers.clone().map(|(tag, _)| nowhere(tag)));
        main.sort_by_key(|field| field.tag);
        push_directory(&mut bytes, &main);
        for (tag, fields) in pointers {
            let start = bytes.len() as u32;
            push_directory(&mut bytes, fields);
            let place = Tiff::new(&bytes).and_then(|tiff| tiff.find(8, tag)).map(|entry| entry.field);
            if let Some(pointer) = place.and_then(|place| bytes.get_mut(place..place + 4)) {
                pointer.copy_from_slice(&start.to_ne_bytes());
            }
        }
        bytes
    }
}

/// A positive number as a TIFF rational.
pub(super) fn to_rational(value: f64) -> (u32, u32) {
    let whole = value.round();
    if whole == value { (whole as u32, 1) } else { ((value * 1000.0).round() as u32, 1000) }
}

/// Entries, the end of the list, then the values that don't fit into an entry.
fn push_directory(bytes: &mut Vec<u8>, fields: &[Field]) {
    let mut values_at = bytes.len() + 2 + fields.len() * 12 + 4;
    let mut values = Vec::new();
    bytes.extend((fields.len() as u16).to_ne_bytes());
    for field in fields {
        let count = field.value.len() / kind_bytes(field.kind).unwrap_or(1);
        bytes.extend(field.tag.to_ne_bytes());
        bytes.extend(field.kind.to_ne_bytes());
        bytes.extend((count as u32).to_ne_bytes());
        if field.value.len() <= 4 {
            let mut inline = [0; 4];
            inline[..field.value.len()].copy_from_slice(&field.value);
            bytes.extend(inline);
        } else {
            bytes.extend((values_at as u32).to_ne_bytes());
            values.extend_from_slice(&field.value);
            values.resize(values.len().next_multiple_of(2), 0);
            values_at = values_at - values_at % 2 + field.value.len().next_multiple_of(2);
        }
    }
    bytes.extend([0; 4]);
    bytes.extend(values);
}

/// Bytes a value of this type.
pub(super) fn kind_bytes(kind: u16) -> Option<usize> {
    match kind {
        kind::BYTE | 2 | 6 | kind::UNDEFINED => Some(1),
        kind::SHORT | 8 => Some(2),
        kind::LONG | 9 | 11 | 13 => Some(4),
        kind::RATIONAL | 10 | 12 => Some(8),
        _ => None,
    }
}

/// A TIFF structure that is read with care.
struct Tiff<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

/// A directory's entry.
struct Entry {
    tag: u16,
    kind: u16,
    count: usize,
    /// Where the four bytes lie that are the value, or point at it.
    field: usize,
}

impl<'a> Tiff<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let big_endian = match bytes.get(..4)? {
            [b'I', b'I', 42, 0] => false,
            [b'M', b'M', 0, 42] => true,
            _ => return None,
        };
        Some(Self { bytes, big_endian })
    }

    fn u16_of(&self, bytes: &[u8]) -> Option<u16> {
        let bytes = bytes.try_into().ok()?;
        Some(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) })
    }

    fn u32_of(&self, bytes: &[u8]) -> Option<u32> {
        let bytes = bytes.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn slice(&self, at: usize, length: usize) -> Option<&'a [u8]> {
        self.bytes.get(at..at.checked_add(length)?)
    }

    fn offset(&self, at: usize) -> Option<usize> {
        usize::try_from(self.u32_of(self.slice(at, 4)?)?).ok()
    }

    /// Where the first directory lies.
    fn main(&self) -> Option<usize> {
        self.offset(4)
    }

    fn length(&self, directory: usize) -> usize {
        self.slice(directory, 2).and_then(|count| self.u16_of(count)).map_or(0, usize::from)
    }

    /// Where the link to the next directory lies.
    fn next(&self, directory: usize) -> Option<usize> {
        let link = directory.checked_add(2 + 12 * self.length(directory))?;
        self.slice(link, 4).map(|_| link)
    }

    fn entries(&self, directory: usize) -> impl Iterator<Item = Entry> {
        (0..self.length(directory)).map_while(move |index| {
            let start = directory.checked_add(2 + 12 * index)?;
            let entry = self.slice(start, 12)?;
            Some(Entry {
                tag: self.u16_of(&entry[..2])?,
                kind: self.u16_of(&entry[2..4])?,
                count: usize::try_from(self.u32_of(&entry[4..8])?).ok()?,
                field: start + 8,
            })
        })
    }

    fn find(&self, directory: usize, tag: u16) -> Option<Entry> {
        self.entries(directory).find(|entry| entry.tag == tag)
    }

    /// Where the directory lies that an entry points at.
    fn pointed(&self, directory: usize, tag: u16) -> Option<usize> {
        self.offset(self.find(directory, tag)?.field)
    }

    fn value(&self, entry: &Entry) -> Option<&'a [u8]> {
        let length = entry.count.checked_mul(kind_bytes(entry.kind)?)?;
        let at = if length <= 4 { entry.field } else { self.offset(entry.field)? };
        self.slice(at, length)
    }

    /// The first value, if it is a whole number.
    fn number(&self, entry: &Entry) -> Option<u32> {
        let value = self.value(entry)?;
        match entry.kind {
            kind::BYTE => value.first().copied().map(u32::from),
            kind::SHORT => self.u16_of(value.get(..2)?).map(u32::from),
            kind::LONG => self.u32_of(value.get(..4)?),
            _ => None,
        }
    }

    fn fields(&self, directory: usize, wanted: fn(u16) -> bool) -> Vec<Field> {
        let mut left = MAX_VALUE_BYTES;
        let mut fields: Vec<Field> = Vec::new();
        for entry in self.entries(directory).filter(|entry| wanted(entry.tag)) {
            let Some(value) = self.value(&entry).filter(|value| value.len() <= left) else { continue };
            left -= value.len();
            fields.push(Field { tag: entry.tag, kind: entry.kind, value: self.to_native(value, entry.kind) });
        }
        fields.sort_by_key(|field| field.tag);
        fields.dedup_by_key(|field| field.tag);
        fields
    }

    fn to_native(&self, value: &[u8], kind: u16) -> Vec<u8> {
        let mut value = value.to_vec();
        if self.big_endian != cfg!(target_endian = "big") {
            // A rational is two numbers of four bytes; a double (12) is one of eight.
            let number_bytes = match (kind, kind_bytes(kind)) {
                (12, _) => 8,
                (_, Some(bytes)) => bytes.min(4),
                (_, None) => 1,
            };
            value.chunks_exact_mut(number_bytes).for_each(<[u8]>::reverse);
        }
        value
    }
}
