#!/usr/bin/env bash
# jpeg-decoder 0.3.2 (the decoder of dicom-pixeldata 0.10.1) shows lossless JPEGs (ITU-T T.81, annex H) with wrong samples and without an error where
#  - there are restart markers: it predicts across them (H.1.2.1 begins anew after each), or
#  - the point transform is not 0: it does not move the samples up again (H.1.2.1: the inverse transform is the last step).
# pylibjpeg-libjpeg 2.3.0 gives 65535 for every sample of 16 bits under a point transform. GDCM (python-gdcm 3.2.6) gives what was encoded, each time.
#
# Seen:
#   plain: jpeg-decoder right, pylibjpeg right, GDCM right
#   restarts: jpeg-decoder wrong, pylibjpeg right, GDCM right
#   point transform: jpeg-decoder wrong, pylibjpeg wrong, GDCM right
#
# Needs cargo and python3. Exits 1 if what is seen changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv v
v/bin/pip install -q numpy pydicom==3.0.1 python-gdcm==3.2.6 pylibjpeg-libjpeg==2.3.0

cat > make.py <<'EOF'
"""One component of 16 bits, predictor 1: every difference as its size in 5 bits, then that many bits."""
import struct
import numpy, libjpeg
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import pixel_array
from pydicom.uid import JPEGLossless

def segment(marker, body):
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body

def encoded(samples, restart_rows, point):
    rows, columns = samples.shape
    values = samples.astype(int) >> point
    out = b"\xff\xd8" + segment(0xC4, bytes([0, 0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17)))
    out += segment(0xC3, struct.pack(">BHHB", 16, rows, columns, 1) + bytes([1, 0x11, 0]))
    if restart_rows:
        out += segment(0xDD, struct.pack(">H", restart_rows * columns))
    out += segment(0xDA, bytes([1, 1, 0, 1, 0, point]))
    step = restart_rows or rows
    for begin in range(0, rows, step):
        if begin:
            out += bytes([0xFF, 0xD0 + (begin // step - 1) % 8])
        text = ""
        for y in range(begin, min(rows, begin + step)):
            for x in range(columns):
                before = values[y, x - 1] if x else values[y - 1, 0] if y > begin else 1 << 15 - point
                difference = int(values[y, x] - before)
                size = abs(difference).bit_length()
                text += f"{size:05b}"
                if size:
                    text += f"{difference if difference > 0 else difference + (1 << size) - 1:0{size}b}"
        text += "1" * (-len(text) % 8)
        out += bytes(int(text[i : i + 8], 2) for i in range(0, len(text), 8)).replace(b"\xff", b"\xff\0")
    return out + b"\xff\xd9"

y, x = numpy.mgrid[:24, :32]
samples = (20000 + 900 * y + 7 * x * x).astype("u2") // 4 * 4
for name, restart_rows, point in (("plain", 0, 0), ("restarts", 6, 0), ("point transform", 0, 2)):
    jpeg = encoded(samples, restart_rows, point)
    open(f"{name}.jpg", "wb").write(jpeg)
    samples.astype("<u2").tofile(f"{name}.raw")
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = JPEGLossless
    image.Rows, image.Columns, image.SamplesPerPixel, image.PhotometricInterpretation = 24, 32, 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
    image.PixelData = encapsulate([jpeg])
    image["PixelData"].VR = "OB"
    said = lambda shown: "right" if numpy.array_equal(shown, samples) else "wrong"
    by_gdcm = pixel_array(image, decoding_plugin="gdcm")
    open(f"{name}.txt", "w").write(f"pylibjpeg {said(libjpeg.decode(jpeg).squeeze())}, GDCM {said(by_gdcm)}")
EOF
v/bin/python make.py

mkdir -p seen/src
cat > seen/Cargo.toml <<'EOF'
[package]
name = "seen"
version = "0.0.0"
edition = "2021"
[dependencies]
jpeg-decoder = { version = "=0.3.2", default-features = false }
EOF
cat > seen/src/main.rs <<'EOF'
fn main() {
    for name in ["plain", "restarts", "point transform"] {
        let read = |ending: &str| std::fs::read(format!("../{name}.{ending}")).unwrap();
        let right: Vec<u16> = read("raw").chunks(2).map(|two| u16::from_le_bytes([two[0], two[1]])).collect();
        let said = match jpeg_decoder::Decoder::new(&read("jpg")[..]).decode() {
            Err(_) => "refused",
            Ok(shown) => {
                let shown: Vec<u16> = shown.chunks(2).map(|two| u16::from_ne_bytes([two[0], two[1]])).collect();
                if shown == right { "right" } else { "wrong" }
            }
        };
        println!("{name}: jpeg-decoder {said}, {}", String::from_utf8(read("txt")).unwrap());
    }
}
EOF
said=$(cd seen && cargo run -q --release)
echo "$said"
expected="plain: jpeg-decoder right, pylibjpeg right, GDCM right
restarts: jpeg-decoder wrong, pylibjpeg right, GDCM right
point transform: jpeg-decoder wrong, pylibjpeg wrong, GDCM right"
[[ $said == "$expected" ]] || { echo "something else was seen before: $expected" >&2; exit 1; }
