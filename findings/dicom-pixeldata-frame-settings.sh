#!/usr/bin/env bash
# dicom-pixeldata 0.10.1 shows frames of an enhanced multi-frame object by the settings of other frames. Per-frame functional groups
# (PS3.3 C.7.6.16) hold one item a frame, and a frame whose item does not state a VOI LUT Function is LINEAR. The crate collects the
# values of the items that have the attribute and numbers those: one SIGMOID in the third item makes every frame SIGMOID.
#
# Guessed: the frames that state no function are shown as LINEAR, the third as SIGMOID.
# Seen: the first frame has the values of the third.
#
# Needs cargo and python3. Exits 1 if what is seen changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv v
v/bin/pip install -q numpy pydicom==3.0.1

cat > make.py <<'EOM'
"""Three times the same 64 gray values, windowed alike; only the third item says SIGMOID."""
import numpy
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

data = Dataset()
data.file_meta = FileMetaDataset()
data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
data.SOPClassUID, data.SOPInstanceUID = EnhancedCTImageStorage, generate_uid()
data.Rows = data.Columns = 8
data.SamplesPerPixel, data.PhotometricInterpretation, data.NumberOfFrames = 1, "MONOCHROME2", 3
data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 16, 12, 11, 0
shared = Dataset()
transformation = Dataset()
transformation.RescaleSlope, transformation.RescaleIntercept, transformation.RescaleType = 1, 0, "HU"
shared.PixelValueTransformationSequence = [transformation]
data.SharedFunctionalGroupsSequence = [shared]
items = []
for number in range(3):
    window, item = Dataset(), Dataset()
    window.WindowCenter, window.WindowWidth = 2000, 2000
    if number == 2:
        window.VOILUTFunction = "SIGMOID"
    item.FrameVOILUTSequence = [window]
    items.append(item)
data.PerFrameFunctionalGroupsSequence = items
frame = (numpy.arange(64) * 64).astype("<u2")
data.PixelData = frame.tobytes() * 3
data.save_as("three.dcm", enforce_file_format=True)
EOM
v/bin/python make.py

mkdir -p reader/src
cat > reader/Cargo.toml <<'EOM'
[package]
name = "reader"
version = "0.0.0"
edition = "2021"
[dependencies]
dicom-object = "=0.10.1"
dicom-pixeldata = { version = "=0.10.1", default-features = false }
EOM
cat > reader/src/main.rs <<'EOM'
use dicom_pixeldata::PixelDecoder;

fn main() {
    let object = dicom_object::open_file("three.dcm").unwrap();
    let decoded = object.decode_pixel_data().unwrap();
    let frames: Vec<Vec<u16>> = (0..3).map(|number| decoded.to_vec_frame(number).unwrap()).collect();
    println!("functions: {:?}", decoded.voi_lut_function().unwrap().unwrap());
    println!("first frame as the third: {}", frames[0] == frames[2]);
}
EOM
CARGO_TARGET_DIR=$work/target cargo run -q --manifest-path reader/Cargo.toml | tee seen
diff seen - <<'EOM'
functions: [Sigmoid]
first frame as the third: true
EOM
