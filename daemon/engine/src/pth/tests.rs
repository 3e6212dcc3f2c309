use std::io::Write;

use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::*;

/// An archive as PyTorch writes it, with this pickle and one storage.
fn archive(pickle: &[u8], storage: &[u8]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in [("x/data.pkl", pickle), ("x/byteorder", b"little"), ("x/data/0", storage)] {
        zip.start_file(name, options).expect("an entry");
        zip.write_all(bytes).expect("written");
    }
    zip.finish().expect("an archive").into_inner()
}

/// A dict of one tensor `a` of 2 x 2, in pieces that tests change.
fn pickle(storage: &str, function: &str, offset: u8, sides: [u8; 2], strides: [u8; 2]) -> Vec<u8> {
    dict(&item("a", storage, function, offset, sides, strides))
}

fn dict(items: &[u8]) -> Vec<u8> {
    [b"\x80\x02}q\x00(", items, b"u."].concat()
}

fn item(name: &str, storage: &str, function: &str, offset: u8, sides: [u8; 2], strides: [u8; 2]) -> Vec<u8> {
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    [
        text(name),
        format!("c{function}\n((").into_bytes(),
        text("storage"),
        format!("c{storage}\n").into_bytes(),
        text("0"),
        text("cpu"),
        b"K\x04tq\x07Q".to_vec(),
        vec![b'K', offset, b'K', sides[0], b'K', sides[1], 0x86],
        vec![b'K', strides[0], b'K', strides[1], 0x86],
        b"\x89ccollections\nOrderedDict\n)RtR".to_vec(),
    ]
    .concat()
}

const REBUILD: &str = "torch._utils\n_rebuild_tensor_v2";
const FLOATS: &str = "torch\nFloatStorage";

fn four_floats() -> Vec<u8> {
    [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|v| v.to_le_bytes()).collect()
}

#[test]
fn a_tensor_is_read() {
    let good = archive(&pickle(FLOATS, REBUILD, 0, [2, 2], [2, 1]), &four_floats());
    assert!(is_pth(&good));
    let tensors = read(&good).expect("weights");
    assert_eq!(tensors.len(), 1);
    let Saved { name, shape, values } = &tensors[0];
    assert_eq!((&name[..], &shape[..], &values[..]), ("a", &[2, 2][..], &[1.0, 2.0, 3.0, 4.0][..]));
    // A part of a storage.
    let part = archive(&pickle(FLOATS, REBUILD, 2, [2, 1], [1, 1]), &four_floats());
    assert_eq!(read(&part).expect("weights")[0].values, [3.0, 4.0]);
    // As many as there may be, all of one storage: read for each, it would be 64 GiB.
    let items = (0..MAX_TENSORS).flat_map(|i| item(&i.to_string(), FLOATS, REBUILD, 2, [2, 1], [1, 1]));
    let storage = [four_floats(), vec![0; 16 << 20]].concat();
    let shared = read(&archive(&dict(&items.collect::<Vec<_>>()), &storage)).expect("weights");
    assert!(shared.len() == MAX_TENSORS && shared.iter().all(|saved| saved.values == [3.0, 4.0]));
}

#[test]
fn what_is_no_state_dict_is_refused() {
    let check = |what: &str, bytes: &[u8], words: &str| match read(bytes) {
        Ok(_) => panic!("{what} was taken for weights"),
        Err(error) => assert!(error.contains(words), "{what}: {error}"),
    };
    let of = |pickle: &[u8]| archive(pickle, &four_floats());
    let with =
        |storage, function, offset, sides, strides| of(&pickle(storage, function, offset, sides, strides));
    check("an old file", b"\x80\x02\x8a\nl", "before 1.6");
    check("an empty archive", b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", "not one of weights");
    check("no archive", b"PK\x03\x04 and then nothing", "");
    check("a call", &with(FLOATS, "os\nsystem", 0, [2, 2], [2, 1]), "wants to call os.system");
    check("whole numbers", &with("torch\nLongStorage", REBUILD, 0, [2, 2], [2, 1]), "torch.LongStorage");
    check("too few values", &with(FLOATS, REBUILD, 1, [2, 2], [2, 1]), "values are missing");
    check("too many values", &with(FLOATS, REBUILD, 0, [255, 255], [255, 1]), "values are missing");
    check("columns first", &with(FLOATS, REBUILD, 0, [2, 2], [1, 2]), "out of order");
    check("nothing", &of(b""), "ends too early");
    check("no dict", &of(b"K\x01."), "no state dict");
    check("an empty stack", &of(b"."), "makes no sense");
    check("no mark", &of(b"t."), "makes no sense");
    check("an endless text", &of(b"X\xff\xff\xff\xff."), "ends too early");
    check("an unknown instruction", &of(b"i."), "0x69");
    check("a wrong memo", &of(b"h\x09."), "refers to nothing");
    check("a long pickle", &of(&vec![b'N'; MAX_PICKLE_BYTES as usize + 1]), "too large");
    // Each the pair of the one before, 40 times: copied out, 2^40 values.
    let doubled =
        b"K\x01".iter().copied().chain(b"q\x00h\x00\x86".repeat(40)).chain(*b".").collect::<Vec<_>>();
    check("doubled tuples", &of(&doubled), "no state dict");
    // Tuples in tuples, a hundred thousand deep.
    let deep = [&b")"[..], &b"\x85".repeat(100_000), b"."].concat();
    check("deep tuples", &of(&deep), "no state dict");
}

#[test]
fn no_cut_and_no_flipped_bit_brings_the_reader_down() {
    let pickle = pickle(FLOATS, REBUILD, 0, [2, 2], [2, 1]);
    for at in 0..pickle.len() {
        assert!(read(&archive(&pickle[..at], &four_floats())).is_err());
        for bit in 0..8 {
            let mut pickle = pickle.clone();
            pickle[at] ^= 1 << bit;
            // Some flips only change a letter of a name.
            let _ = read(&archive(&pickle, &four_floats()));
        }
    }
    let good = archive(&pickle, &four_floats());
    for at in 0..good.len() {
        let _ = read(&good[..at]);
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        let _ = read(&bytes);
    }
}
