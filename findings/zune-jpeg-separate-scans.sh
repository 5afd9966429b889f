#!/usr/bin/env bash
# zune-jpeg 0.5.15 (the decoder of image 0.25.10) shows baseline JPEGs with wrong colours and without an error where
#  - 4:2:0 colours are in scans of their own (cjpeg -scans; ITU-T T.81, A.2), or
#  - luma is sampled less than chroma (1x1, 2x2, 2x2; T.81, A.1.1).
# Mean difference from djpeg (libjpeg-turbo), of 255 levels, as seen:
#   interleaved 0.4, apart 110.9, finer 67.7
# The pre-release 0.5.16-rc3 shows all three within 0.4.
#
# Needs cargo, python3, cjpeg and djpeg (Debian: libjpeg-turbo-progs). Exits 1 if what is seen changes.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

python3 - <<'EOF'
import math
width, height = 130, 90
wave = lambda x, y, c: int(127 + 100 * math.sin(x / (9 + 4 * c) + c) * math.cos(y / (15 - 3 * c)))
pixels = bytes(wave(x, y, c) for y in range(height) for x in range(width) for c in range(3))
open("picture.ppm", "wb").write(b"P6\n%d %d\n255\n" % (width, height) + pixels)
EOF
printf '0;\n1;\n2;\n' > scans.txt
cjpeg -quality 92 -outfile interleaved.jpg picture.ppm
cjpeg -quality 92 -scans scans.txt -outfile apart.jpg picture.ppm
cjpeg -quality 92 -sample 1x1,2x2,2x2 -outfile finer.jpg picture.ppm
for file in *.jpg; do djpeg -ppm -outfile "${file%.jpg}.ppm" "$file"; done

seen() {
    mkdir -p "$1/src"
    cat > "$1/Cargo.toml" <<EOF
[package]
name = "seen"
version = "0.0.0"
edition = "2021"
[dependencies]
zune-jpeg = "=$1"
zune-core = "=0.5.3"
EOF
    cat > "$1/src/main.rs" <<'EOF'
use zune_core::{bytestream::ZCursor, colorspace::ColorSpace, options::DecoderOptions};
fn main() {
    for name in ["interleaved", "apart", "finer"] {
        let bytes = std::fs::read(format!("../{name}.jpg")).unwrap();
        let ppm = std::fs::read(format!("../{name}.ppm")).unwrap();
        let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
        let shown = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(&bytes), options).decode();
        match shown {
            Err(_) => print!("{name} refused "),
            Ok(shown) => {
                let right = &ppm[ppm.len() - shown.len()..];
                let sum: u64 = shown.iter().zip(right).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
                let mean = sum as f64 / right.len() as f64;
                print!("{name} {} ({mean:.1}) ", if mean < 2.0 { "right" } else { "wrong" });
            }
        }
    }
    println!();
}
EOF
    (cd "$1" && cargo run -q --release)
}

status=0
check() {
    local said
    said=$(seen "$1")
    echo "$1: $said"
    [[ $(sed 's/ ([^)]*)//g; s/ $//' <<<"$said") == "$2" ]] || { echo "$1 does something else: $2 was seen" >&2; status=1; }
}
check 0.5.15 "interleaved right apart wrong finer wrong"
check 0.5.16-rc3 "interleaved right apart right finer right"
exit $status
