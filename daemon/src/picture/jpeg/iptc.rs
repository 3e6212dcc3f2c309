//! IPTC's records in a JPEG: one of the resources that Photoshop puts into a segment.

const NAME: &[u8] = b"Photoshop 3.0\0";
const MARK: &[u8] = b"8BIM";
const IPTC: [u8; 2] = [0x04, 0x04];

/// The records, if they are in this segment.
pub(super) fn from_segment(segment: &[u8]) -> Option<Vec<u8>> {
    let mut rest = segment.strip_prefix(NAME)?;
    loop {
        let (kind, named) = rest.strip_prefix(MARK)?.split_first_chunk::<2>()?;
        // A name, with its length before it, and a length: each of an even number of bytes.
        let name = (1 + usize::from(*named.first()?)).next_multiple_of(2);
        let (length, data) = named.get(name..)?.split_first_chunk::<4>()?;
        let length = u32::from_be_bytes(*length) as usize;
        if *kind == IPTC {
            return data.get(..length).map(<[u8]>::to_vec);
        }
        rest = data.get(length.next_multiple_of(2)..)?;
    }
}

/// A segment with these records.
pub(super) fn to_segment(records: &[u8]) -> Vec<u8> {
    let length = (records.len() as u32).to_be_bytes();
    let mut segment = [NAME, MARK, &IPTC, &[0; 2], &length, records].concat();
    segment.resize(segment.len() + records.len() % 2, 0);
    segment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back() {
        for records in [&b"\x1c\x02\x05\0\x03one"[..], b"\x1c\x02\x05\0\x02on", b""] {
            let segment = to_segment(records);
            assert_eq!(from_segment(&segment).as_deref(), Some(records));
            // Behind another resource, of odd lengths.
            let other = b"8BIM\x04\x25\x02ab\0\0\0\0\x03xyz\0";
            let both = [NAME, other, &segment[NAME.len()..]].concat();
            assert_eq!(from_segment(&both).as_deref(), Some(records));
            for end in 0..segment.len() - 1 - records.len() % 2 {
                assert!(
                    from_segment(&segment[..end]).is_none_or(|found| found.len() < records.len()),
                    "{end}"
                );
            }
        }
        assert_eq!(from_segment(b"Photoshop 3.0\x008BIM\x04\x04\0\0\xff\xff\xff\xff"), None);
    }
}
