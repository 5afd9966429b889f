//! Memory that runs out in the middle is an error that says so, and the classifier goes on. Images
//! that ask for much memory with few bytes are refused before it is taken.

#[path = "small.rs"]
mod small;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use ed25519_dalek::SigningKey;
use half::f16;
use medforge_packer::base::Vit;
use medforge_packer::export::build_bundle;
use medforge_runtime::Error;
use medforge_runtime::bundle::{self, Trust};
use medforge_runtime::classify::{Cancel, Classifier, Row, Selection};
use medforge_runtime::image::{self, RgbImage8};

/// The system's allocator, which gives large pieces only as much as is left.
struct Short;

thread_local! {
    /// Bytes that large pieces may still take on this thread. Other threads, such as the test
    /// harness, have no bound.
    static LEFT: Cell<isize> = const { Cell::new(isize::MAX) };
}
/// The smallest large piece. Activations of the smallest base are larger, results of two rows
/// smaller.
const LARGE: usize = 1500;

// SAFETY: it is the system's allocator, except that it refuses at times, as every allocator may.
unsafe impl GlobalAlloc for Short {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (left, size) = (LEFT.get(), layout.size() as isize);
        if layout.size() >= LARGE && left != isize::MAX {
            if left < size {
                return std::ptr::null_mut();
            }
            LEFT.set(left - size);
        }
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; alloc is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Short = Short;

/// What `work` gives while large pieces may take `left` bytes.
fn with_only<T>(left: isize, work: impl FnOnce() -> T) -> T {
    LEFT.set(left);
    let result = work();
    LEFT.set(isize::MAX);
    result
}

#[test]
fn too_little_memory_is_an_error_and_the_next_call_runs() {
    too_little(false);
    too_little(true);
}

/// With weights stored in 32 or in 16 bits.
fn too_little(half: bool) {
    let dir = tempfile::tempdir().unwrap();
    let mut vit: Vit = small::base(dir.path());
    for stored in vit.tensors.values_mut().filter(|_| half) {
        let mut tensor = stored.read();
        tensor.data.iter_mut().for_each(|value| *value = f16::from_f32(*value).to_f32());
        *stored = tensor.into();
    }
    let key = SigningKey::from_bytes(&[1; 32]);
    let options = small::options("b");
    let bytes =
        build_bundle(&vit, &[small::module(&vit)], &options, std::slice::from_ref(&key)).unwrap();
    let bundle = bundle::verify(bytes, &Trust::new(vec![key.verifying_key()], 1).unwrap()).unwrap();
    let classifier = Classifier::load(bundle).unwrap();
    let picture =
        RgbImage8::new((0..16 * 16 * 3).map(|i| (i * 37 % 251) as u8).collect(), 16, 16).unwrap();
    let one = || classifier.classify(picture.view(), None);
    let expected = one().unwrap();

    // A batch whose pixels alone are more than there is.
    let views = vec![picture.view(); 500];
    let result = with_only(1 << 20, || classifier.classify_batch(&views, None).map(|_| ()));
    let said = result.unwrap_err();
    assert!(said.to_string().contains("not enough memory for an image's pixels"), "{said}");
    assert_eq!(one().unwrap(), expected);

    // Two networks over one image: the second needs buffers of its own.
    let rows = [Selection::Default, Selection::Frozen]
        .map(|selection| Row { selection, ..Row::default() });
    let two = || classifier.active().classify_rows(&[picture.view()], &rows, &Cancel::default());
    let mut refused = 0;
    for left in (0..60_000).step_by(500) {
        // Pixels take most of 4,000 bytes, and what refuses them has been seen above.
        match with_only(4_000 + left, two) {
            Ok(found) => assert_eq!(found[0], expected),
            Err(Error::Memory { what }) => {
                assert!(what.contains("activations") || what.contains("patches"), "{what}");
                refused += 1;
            }
            Err(error) => panic!("{error}"),
        }
        assert_eq!(one().unwrap(), expected, "{left}");
    }
    assert!(refused > 0, "memory was never short");
    assert_eq!(two().unwrap()[0], expected);
}

/// A PNG of one pixel, with `more` chunks after its header.
fn png(more: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let pixel = ::image::RgbImage::from_pixel(1, 1, ::image::Rgb([1, 2, 3]));
    pixel.write_to(&mut std::io::Cursor::new(&mut bytes), ::image::ImageFormat::Png).unwrap();
    let mut all = bytes[..33].to_vec();
    for (name, data) in more {
        let named = [name.as_slice(), data].concat();
        all.extend((data.len() as u32).to_be_bytes());
        all.extend_from_slice(&named);
        all.extend(crc32fast::hash(&named).to_be_bytes());
    }
    all.extend_from_slice(&bytes[33..]);
    all
}

/// 64 MiB of zeros by zlib: what is in a black PNG of that size.
fn bomb() -> Vec<u8> {
    let mut bytes = Vec::new();
    let black = ::image::GrayImage::new(1 << 13, 1 << 13);
    black.write_to(&mut std::io::Cursor::new(&mut bytes), ::image::ImageFormat::Png).unwrap();
    let (mut zeros, mut at) = (Vec::new(), 8);
    while at < bytes.len() {
        let length = u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        if &bytes[at + 4..at + 8] == b"IDAT" {
            zeros.extend_from_slice(&bytes[at + 8..at + 8 + length]);
        }
        at += 12 + length;
    }
    zeros
}

#[test]
fn attack_a_png_whose_profile_or_text_is_a_bomb() {
    let bomb = bomb();
    let packed = |before: &[u8]| [before, &bomb].concat();
    for chunks in [
        vec![(b"iCCP", packed(b"profile\0\0"))],
        vec![(b"zTXt", packed(b"text\0\0"))],
        vec![(b"iTXt", packed(b"text\0\x01\0\0\0"))],
        vec![(b"iTXt", packed(b"XML:com.adobe.xmp\0\x01\0\0\0")); 50],
    ] {
        let png = png(&chunks);
        let shown = with_only(2 << 20, || image::decode(&png, "x"));
        assert_eq!(shown.unwrap().data(), [1, 2, 3], "{:?}", chunks[0].0);
    }
}

/// The side of images that their data cannot fill.
const SIDE: u32 = 11_000;

/// A grey TIFF of `SIDE` by `SIDE` pixels with 3,000 bytes of data.
fn tiff(compression: u16) -> Vec<u8> {
    let field = |tag: u16, kind: u16, value: u32| {
        let mut bytes = [tag.to_le_bytes(), kind.to_le_bytes()].concat();
        bytes.extend([1u32, value].map(u32::to_le_bytes).concat());
        bytes
    };
    let fields = [
        field(256, 4, SIDE),
        field(257, 4, SIDE),
        field(258, 3, 8),
        field(259, 3, compression.into()),
        field(262, 3, 1),
        field(273, 4, 8),
        field(277, 3, 1),
        field(278, 4, SIDE),
        field(279, 4, 3000),
    ];
    [b"II*\0\x08\0\0\0\x09\0".to_vec(), fields.concat(), vec![0; 4], vec![0; 3000]].concat()
}

/// A grey JPEG of `SIDE` by `SIDE` pixels with 3,000 bytes of data: `frame` is the marker of its
/// frame, `scan` the end of its scan's header.
fn jpeg(frame: u8, scan: [u8; 3]) -> Vec<u8> {
    let segment = |marker: u8, body: &[u8]| {
        [&[0xff, marker], (body.len() as u16 + 2).to_be_bytes().as_slice(), body].concat()
    };
    // Codes of one bit: the least that a block or a sample can be.
    let table = |class: u8| segment(0xc4, &[&[class, 1], [0; 15].as_slice(), &[0]].concat());
    let side = (SIDE as u16).to_be_bytes();
    let header = [&[8], side.as_slice(), &side, &[1, 1, 0x11, 0]].concat();
    let mut bytes = b"\xff\xd8".to_vec();
    bytes.extend(segment(frame, &header));
    bytes.extend([segment(0xdb, &[1; 65]), table(0), table(0x10)].concat());
    bytes.extend(segment(0xda, &[[1, 1, 0].as_slice(), &scan].concat()));
    bytes.extend([0; 3000]);
    bytes.extend(b"\xff\xd9");
    bytes
}

#[test]
fn attack_sides_that_the_data_cannot_fill() {
    let mut small = png(&[]);
    small[16..24].copy_from_slice(&[SIDE.to_be_bytes(); 2].concat());
    let checksum = crc32fast::hash(&small[12..29]).to_be_bytes();
    small[29..33].copy_from_slice(&checksum);
    for (name, bytes, word) in [
        ("png", small, "cannot hold 11000 x 11000 pixels"),
        ("tiff", tiff(1), "cannot hold 11000 x 11000 pixels"),
        ("tiff with LZW", tiff(5), "cannot hold 11000 x 11000 pixels"),
        ("tiff with Deflate", tiff(8), "cannot hold 11000 x 11000 pixels"),
        ("tiff with PackBits", tiff(32773), "cannot hold 11000 x 11000 pixels"),
        ("baseline", jpeg(0xc0, [0, 63, 0]), "cannot hold 11000 x 11000 pixels"),
        ("progressive", jpeg(0xc2, [0, 0, 0]), "cannot hold 11000 x 11000 pixels"),
    ] {
        let shown = with_only(1 << 20, || image::decode(&bytes, "x").map(|_| ()));
        let said = shown.unwrap_err().to_string();
        assert!(said.contains(word), "{name}: {said}");
    }
}
