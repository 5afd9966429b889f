//! JPEGs of which data is lost: cut out, overwritten, exchanged, left over. None is answered.

use super::jpegs::golden;
use super::*;

/// Where the data of each scan lies, without the markers around it.
fn scans(jpeg: &[u8]) -> Vec<std::ops::Range<usize>> {
    let next = |at: usize| {
        let markers = jpeg[at..]
            .windows(2)
            .position(|pair| pair[0] == 0xff && !matches!(pair[1], 0 | 0xd0..=0xd7 | 0xff));
        at + markers.unwrap()
    };
    let mut found = Vec::new();
    let mut at = next(2);
    while jpeg[at + 1] != 0xd9 {
        let scan = jpeg[at + 1] == 0xda;
        let data = at + 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        at = next(data);
        if scan {
            found.push(data..at);
        }
    }
    found
}

/// The restart intervals of a scan, each with the marker that ends it.
fn intervals(jpeg: &[u8], scan: std::ops::Range<usize>) -> Vec<std::ops::Range<usize>> {
    let ends = (scan.start + 2..=scan.end)
        .filter(|&at| jpeg[at - 2] == 0xff && matches!(jpeg[at - 1], 0xd0..=0xd7));
    let mut begin = scan.start;
    let mut found: Vec<_> = ends.map(|end| std::mem::replace(&mut begin, end)..end).collect();
    found.push(begin..scan.end);
    found
}

/// Bytes lost within a scan without restarts: the codes after them may make sense again, and then
/// only their number tells. Each of many is refused or counted; what is counted has to stay little.
#[test]
fn attack_jpegs_with_holes() {
    let (mut tried, mut answered) = (0, 0);
    for (_, jpeg, _) in shown() {
        let whole = decode(&jpeg, "x").unwrap();
        let mut lost = |changed: &[u8]| {
            tried += 1;
            answered += usize::from(decode(changed, "x").is_ok_and(|shown| shown != whole));
        };
        for scan in scans(&jpeg) {
            for begin in (scan.start..scan.end.saturating_sub(32)).step_by(11) {
                let hole = begin..begin + 32;
                lost(&without(&jpeg, hole.clone()));
                lost(&[&jpeg[..hole.end], &jpeg[hole.start..]].concat());
                let mut zeros = jpeg.clone();
                zeros[hole].fill(0);
                lost(&zeros);
            }
        }
    }
    assert!(tried > 1000, "only {tried}");
    assert!(answered * 6 < tried, "{answered} of {tried}");
}

/// The golden files that are shown.
fn shown() -> impl Iterator<Item = (String, Vec<u8>, u32)> {
    golden()
        .into_iter()
        .filter(|(name, ..)| !name.starts_with("arithmetic") && !name.starts_with("CMYK"))
}

fn without(jpeg: &[u8], place: std::ops::Range<usize>) -> Vec<u8> {
    [&jpeg[..place.start], &jpeg[place.end..]].concat()
}

#[test]
fn attack_jpegs_with_lost_data() {
    let (mut tried, mut answered) = (0, Vec::new());
    for (name, jpeg, _) in shown() {
        let whole = decode(&jpeg, "x").unwrap();
        let mut lost = |what: String, changed: &[u8]| {
            tried += 1;
            if decode(changed, "x").is_ok_and(|shown| shown != whole) {
                answered.push(format!("{name}: {what}"));
            }
        };
        for (number, scan) in scans(&jpeg).into_iter().enumerate() {
            for length in 1..=scan.len() {
                lost(
                    format!("scan {number}, its last {length} bytes"),
                    &without(&jpeg, scan.end - length..scan.end),
                );
            }
            let whole = intervals(&jpeg, scan.clone());
            for (at, interval) in whole.iter().enumerate() {
                lost(
                    format!("scan {number}, interval {at} cut out"),
                    &without(&jpeg, interval.clone()),
                );
                if let Some(last) = whole.get(at + 7) {
                    lost(
                        format!("scan {number}, intervals from {at} cut out"),
                        &without(&jpeg, interval.start..last.end),
                    );
                }
                let twice = [&jpeg[..interval.end], &jpeg[interval.start..]].concat();
                lost(format!("scan {number}, interval {at} twice"), &twice);
            }
            for more in [b"\0\0".as_slice(), b"\x12\x34\x56", b"\xff\xd0"] {
                lost(
                    format!("scan {number}, {more:?} more"),
                    &[&jpeg[..scan.end], more, &jpeg[scan.end..]].concat(),
                );
            }
        }
        // Other lines than the header says, by whole units.
        let frame = jpeg
            .windows(2)
            .position(|pair| pair[0] == 0xff && matches!(pair[1], 0xc0..=0xc2))
            .unwrap();
        let rows = u16::from_be_bytes([jpeg[frame + 5], jpeg[frame + 6]]);
        let colours = jpeg[frame + 10..].chunks(3).take(jpeg[frame + 9].into());
        let unit = 8 * u16::from(colours.map(|colour| colour[1] & 15).max().unwrap());
        let units = rows.div_ceil(unit);
        for rows in [(units - 1) * unit, units * unit + 1].into_iter().filter(|&rows| rows > 0) {
            let mut changed = jpeg.clone();
            changed[frame + 5..frame + 7].copy_from_slice(&rows.to_be_bytes());
            lost(format!("{rows} rows"), &changed);
        }
    }
    assert!(tried > 1000, "only {tried}");
    assert!(answered.is_empty(), "{} of {tried}: {}", answered.len(), answered.join("\n"));
}

/// Cameras and scanners write more than the standard asks for, and no picture is lost by it.
#[test]
fn what_writers_leave_at_the_end_of_a_scan_is_passed_over() {
    let mut mixed = 0;
    for (name, jpeg, _) in shown() {
        let whole = decode(&jpeg, "x").unwrap();
        for scan in scans(&jpeg) {
            let next = 0xd0 + ((intervals(&jpeg, scan.clone()).len() - 1) % 8) as u8;
            for more in [&[0][..], &[0; 8], &[0xff; 8], &[0xff, next], &[0, 0xff, next, 0]] {
                let changed = [&jpeg[..scan.end], more, &jpeg[scan.end..]].concat();
                assert_eq!(decode(&changed, "x").unwrap(), whole, "{name}: {more:?}");
            }
            // Where two bits fill up the last byte, they may differ.
            mixed += usize::from([1, 2].into_iter().all(|bit| {
                let mut changed = jpeg.clone();
                changed[scan.end - 1] ^= bit;
                decode(&changed, "x").is_ok_and(|shown| shown == whole)
            }));
        }
    }
    assert!(mixed > 10, "only {mixed}");
    let mut wide = Cursor::new(Vec::new());
    image::GrayImage::from_pixel(1024, 8, Luma([90]))
        .write_to(&mut wide, ImageFormat::Jpeg)
        .unwrap();
    let wide = wide.into_inner();
    let with = |left: usize| {
        let changed = [&wide[..wide.len() - 2], &vec![0x12; left], b"\xff\xd9"].concat();
        decode(&changed, "x")
    };
    assert_eq!(with(16).unwrap(), decode(&wide, "x").unwrap());
    assert!(with(17).unwrap_err().to_string().contains("17 bytes are left after the last sample"));
}
