//! Maps take no part in the answer.

use super::*;

#[test]
fn maps_change_no_bit_and_are_the_same_on_any_threads() {
    let expected = each(&own(Level::best(), 1));
    let mut first: Vec<Option<Vec<f32>>> = Vec::new();
    for (threads, how) in
        [(1, Spread::Layers), (2, Spread::Layers), (3, Spread::Layers), (2, Spread::Images)]
    {
        let base = spread(Level::best(), threads, how, Precision::F32);
        let adapters: Vec<_> =
            compositions(&base).iter().map(|factors| base.adapter(factors).unwrap()).collect();
        let images = images(&base);
        let rows: Vec<_> =
            adapters.iter().flat_map(|a| (0..images.len()).map(move |image| (image, a))).collect();
        let found = base.run(&images, &rows, true, &|| false).unwrap();
        assert!(found.iter().map(|found| &found.feature).eq(&expected), "{threads}, {how:?}");
        let maps: Vec<_> = found.into_iter().map(|found| found.map).collect();
        if first.is_empty() {
            // Rows that begin as one stream have the map that each has alone.
            let alone = |row: &(usize, &Adapter)| {
                base.run(&images, &[*row], true, &|| false).unwrap().remove(0).map
            };
            assert!(rows.iter().map(alone).eq(maps.iter().cloned()));
            first = maps;
            continue;
        }
        assert_eq!(maps, first, "{threads} threads, {how:?}");
    }
    let sums = first.iter().flatten().map(|map| map.iter().sum::<f32>());
    assert!(
        sums.clone().count() == expected.len() && sums.clone().all(|sum| (sum - 1.0).abs() < 1e-5)
    );
    let base = own(Level::best(), 1);
    let adapter = base.adapter(&BTreeMap::new()).unwrap();
    assert!(base.run(&images(&base), &[(0, &adapter)], false, &|| false).unwrap()[0].map.is_none());
}
