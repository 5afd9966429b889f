//! Against Pillow (the fixture beside this file, made by `pillow.py`), against transformers' sizes,
//! and bad values.

use super::*;
use crate::tensors;

fn plain(resize: Resize, filter: Filter, crop: Option<Size>) -> Preprocessing {
    let crop_offset = CropOffset::Floor;
    Preprocessing {
        resize,
        filter,
        crop,
        crop_offset,
        rescale: 1.0 / 255.0,
        mean: [0.5; 3],
        std: [0.25; 3],
    }
}

fn exact(height: u32, width: u32) -> Resize {
    Resize::Exact(Size { height, width })
}

fn filter(name: &str) -> Filter {
    serde_json::from_str(&format!("{name:?}")).unwrap()
}

/// Compares with Pillow what `how` makes of each source of a fixture. `how` gets the three parts of
/// a tensor's name and the image that Pillow made. Gives how many there were.
fn compared(fixture: &[u8], how: impl Fn([&str; 3], &RgbImage8) -> Preprocessing) -> usize {
    let fixture = tensors::read(fixture, "fixture").unwrap();
    let image = |name: &str| {
        let tensor = &fixture[name];
        let data = tensor.data.iter().map(|&level| level as u8).collect();
        RgbImage8::new(data, tensor.shape[1] as u32, tensor.shape[0] as u32).unwrap()
    };
    let made = fixture.keys().filter(|name| !name.starts_with("source")).map(|name| {
        let parts: [&str; 3] = name.split('.').collect::<Vec<_>>().try_into().unwrap();
        let expected = image(name);
        let ours =
            how(parts, &expected).resized(&image(&format!("source.{}", parts[1])).view()).unwrap();
        assert_eq!((ours.width(), ours.height()), (expected.width(), expected.height()), "{name}");
        let difference = ours.data().iter().zip(expected.data()).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(difference <= Some(1), "{name} differs by {difference:?}");
    });
    made.count()
}

/// `bicubic.noise.11x16` is `source.noise` resized.
#[test]
fn resized_images_equal_pillows_to_one_grey_level() {
    let resized = |[kernel, ..]: [&str; 3], expected: &RgbImage8| {
        plain(exact(expected.height(), expected.width()), filter(kernel), None)
    };
    assert_eq!(compared(include_bytes!("pillow.safetensors"), resized), 6 * 2 * 5);
}

/// `pad.30x40.16` is `source.30x40` made square by black beside it; made by `fits.py` beside the
/// fixture.
#[test]
fn each_way_to_a_square_is_pillows_to_one_grey_level() {
    let fitted = |[fit, _, side]: [&str; 3], expected: &RgbImage8| {
        let side = side.parse().unwrap();
        let square = Size { height: side, width: side };
        assert_eq!((expected.width(), expected.height()), (side, side));
        let resize = match fit {
            "crop" => Resize::ShortestEdge(side),
            "squash" => Resize::Exact(square),
            _ => Resize::Pad(square),
        };
        plain(resize, Filter::Bicubic, Some(square))
    };
    assert_eq!(compared(include_bytes!("fits.safetensors"), fitted), 3 * 6 * 2);
}

/// A bundle that was packed before there was another way says what it always said; one with black
/// beside the image says so.
#[test]
fn what_was_written_before_stays_as_it_was() {
    let square = Size { height: 8, width: 8 };
    let crop = plain(Resize::ShortestEdge(8), Filter::Bicubic, Some(square));
    let text = serde_json::to_string(&crop).unwrap();
    assert!(text.starts_with(concat!(
        r#"{"resize":{"shortest_edge":8},"filter":"bicubic","#,
        r#""crop":{"height":8,"width":8},"rescale""#
    )));
    assert_eq!(serde_json::from_str::<Preprocessing>(&text).unwrap(), crop);
    let pad = Preprocessing { resize: Resize::Pad(square), ..crop };
    let text = serde_json::to_string(&pad).unwrap();
    assert!(text.starts_with(r#"{"resize":{"pad":{"height":8,"width":8}}"#), "{text}");
    assert_eq!(serde_json::from_str::<Preprocessing>(&text).unwrap(), pad);
}

#[test]
fn what_is_seen_with_black_beside_begins_before_the_image() {
    let square = Size { height: 8, width: 8 };
    let pad = plain(Resize::Pad(square), Filter::Bicubic, Some(square));
    assert_eq!(pad.seen(16, 8), [0.0, -4.0, 16.0, 16.0]);
    assert_eq!(pad.seen(4, 8), [-2.0, 0.0, 8.0, 8.0]);
    assert_eq!(pad.share_cut(16, 8), 0.0);
    let crop =
        plain(Resize::ShortestEdge(12), Filter::Bicubic, Some(Size { height: 12, width: 12 }));
    assert_eq!(
        (crop.share_cut(640, 480), crop.share_cut(480, 640), crop.share_cut(5, 5)),
        (0.25, 0.25, 0.0)
    );
    assert_eq!(plain(exact(8, 8), Filter::Bicubic, None).share_cut(640, 480), 0.0);
    // The base's own margin is cut from square images too.
    assert_eq!(
        plain(Resize::ShortestEdge(16), Filter::Bicubic, Some(square)).share_cut(100, 100),
        0.75
    );
}

#[test]
fn the_shorter_side_leads_and_the_crop_is_central() {
    let crop = Some(Size { height: 4, width: 3 });
    let preprocessing = plain(Resize::ShortestEdge(5), Filter::Bilinear, crop);
    assert_eq!(preprocessing.resized_to(7, 20), Size { height: 5, width: 14 });
    assert_eq!(preprocessing.resized_to(20, 7), Size { height: 14, width: 5 });
    assert_eq!(preprocessing.resized_to(9, 9), Size { height: 5, width: 5 });
    let ramp: Vec<u8> = (0..5 * 8).flat_map(|place| [place, 0, 0]).collect();
    let cropped = preprocessing.resized(&RgbView::new(&ramp, 8, 5, 24).unwrap()).unwrap();
    let red: Vec<u8> = cropped.data().iter().step_by(3).copied().collect();
    assert_eq!(
        red,
        [2, 3, 4, 10, 11, 12, 18, 19, 20, 26, 27, 28],
        "0 rows above, 2 columns to the left"
    );
}

/// Python's `m // 2` and `round(m / 2)`.
#[test]
fn half_a_margin_is_rounded_as_asked() {
    assert_eq!(
        [0, 1, 2, 3, 4, 5, 6, 7].map(|margin| CropOffset::Floor.of(margin)),
        [0, 0, 1, 1, 2, 2, 3, 3]
    );
    assert_eq!(
        [0, 1, 2, 3, 4, 5, 6, 7].map(|margin| CropOffset::Even.of(margin)),
        [0, 0, 1, 2, 2, 2, 3, 4]
    );
}

#[test]
fn what_is_seen_is_told_in_pixels_of_the_image_itself() {
    let square = Some(Size { height: 8, width: 8 });
    let shortest = plain(Resize::ShortestEdge(10), Filter::Bilinear, square);
    assert_eq!(shortest.seen(20, 40), [2.0, 12.0, 16.0, 16.0]);
    assert_eq!(shortest.seen(40, 20), [12.0, 2.0, 16.0, 16.0]);
    assert_eq!(plain(exact(8, 8), Filter::Bilinear, None).seen(30, 41), [0.0, 0.0, 30.0, 41.0]);
    assert_eq!(plain(exact(16, 8), Filter::Bilinear, square).seen(8, 32), [0.0, 8.0, 8.0, 16.0]);
    // The crop of `centre` and what is told of it begin at the same pixel where the margin is odd.
    let odd = plain(Resize::ShortestEdge(11), Filter::Bilinear, square);
    assert_eq!(odd.seen(22, 22), [2.0, 2.0, 16.0, 16.0]);
    assert_eq!(
        Preprocessing { crop_offset: CropOffset::Even, ..odd }.seen(22, 22),
        [4.0, 4.0, 16.0, 16.0]
    );
}

#[test]
fn values_are_rescaled_and_normalised_into_planes() {
    let preprocessing = Preprocessing {
        mean: [0.1, 0.2, 0.3],
        std: [0.5, 0.25, 2.0],
        ..plain(exact(1, 2), Filter::Nearest, None)
    };
    let mut out = [0.0; 6];
    preprocessing
        .apply(&RgbView::new(&[0, 51, 255, 255, 0, 102], 2, 1, 6).unwrap(), &mut out)
        .unwrap();
    for (value, expected) in out.iter().zip([-0.2, 1.8, 0.0, -0.8, 0.35, 0.05]) {
        assert!((value - expected).abs() < 1e-6, "{out:?}");
    }
    assert!(preprocessing.apply(&RgbView::new(&[0; 3], 1, 1, 3).unwrap(), &mut out[..5]).is_err());
}

#[test]
fn a_stride_changes_nothing() {
    let gapped: Vec<u8> = (0..6 * 20).collect();
    let packed: Vec<u8> = gapped.chunks(20).flat_map(|row| row[..15].to_vec()).collect();
    let preprocessing = plain(exact(4, 3), Filter::Lanczos, None);
    let resized = |data: &[u8], stride| {
        preprocessing.resized(&RgbView::new(data, 5, 6, stride).unwrap()).unwrap()
    };
    assert_eq!(resized(&gapped, 20), resized(&packed, 15));
}

#[test]
fn bad_values_are_refused() {
    let good = plain(exact(4, 4), Filter::Box, None);
    good.check().unwrap();
    let size = |height, width| Some(Size { height, width });
    for bad in [
        Preprocessing { resize: exact(0, 4), ..good.clone() },
        Preprocessing { resize: exact(4, MAX_SIDE + 1), ..good.clone() },
        Preprocessing { resize: Resize::ShortestEdge(0), crop: size(0, 0), ..good.clone() },
        Preprocessing { resize: Resize::ShortestEdge(4), ..good.clone() },
        Preprocessing { resize: Resize::ShortestEdge(4), crop: size(5, 4), ..good.clone() },
        Preprocessing { crop: size(4, 0), ..good.clone() },
        Preprocessing { rescale: f64::INFINITY, ..good.clone() },
        Preprocessing { mean: [0.0, f64::NAN, 0.0], ..good.clone() },
        Preprocessing { std: [1.0, 0.0, 1.0], ..good.clone() },
        Preprocessing { std: [1.0, -1.0, 1.0], ..good.clone() },
    ] {
        assert!(matches!(bad.check(), Err(Error::Preprocessing { .. })), "{bad:?}");
    }
}

#[test]
fn attack_elongated_image() {
    let data = vec![0; 3 << 20];
    let crop = Some(Size { height: 224, width: 224 });
    let column = RgbView::new(&data, 1, 1 << 20, 3).unwrap();
    let row = RgbView::new(&data, 1 << 20, 1, 3 << 20).unwrap();
    for preprocessing in [
        plain(Resize::ShortestEdge(224), Filter::Bicubic, crop),
        plain(exact(224, 224), Filter::Bicubic, crop),
    ] {
        let text = preprocessing.resized(&column).unwrap_err().to_string();
        assert!(text.contains("too elongated"), "{text}");
    }
    assert!(plain(Resize::ShortestEdge(224), Filter::Bicubic, crop).resized(&row).is_err());
}

#[test]
fn json_is_short_and_strict() {
    let preprocessing =
        plain(Resize::ShortestEdge(256), Filter::Bicubic, Some(Size { height: 224, width: 224 }));
    let json = serde_json::to_string(&preprocessing).unwrap();
    assert!(
        json.contains(
            r#""resize":{"shortest_edge":256},"filter":"bicubic","crop":{"height":224,"width":224}"#
        ),
        "{json}"
    );
    assert_eq!(serde_json::from_str::<Preprocessing>(&json).unwrap(), preprocessing);
    assert!(serde_json::from_str::<Preprocessing>(&json.replace("\"crop\"", "\"crops\"")).is_err());
    let even = Preprocessing { crop_offset: CropOffset::Even, ..preprocessing };
    let json = serde_json::to_string(&even).unwrap();
    assert!(json.contains(r#""width":224},"crop_offset":"even","rescale""#), "{json}");
    assert_eq!(serde_json::from_str::<Preprocessing>(&json).unwrap(), even);
}
