//! The networks that a set is matched under.

use super::*;

/// The share of a DoRA module in a view's network is one of its whole change, magnitudes and all.
#[test]
fn a_dora_module_takes_part_with_a_share_of_its_whole_change() {
    use crate::lora::tests::{dora, module};
    let (vit, device) = (small(Family::Dinov2), Cpu::<f64>::poisoned());
    let module = dora(&vit, module(&vit, "q,fc1", None));
    let sites = Ensemble::new(&vit, Some(&module), 0.0, 3).sites(&device, 1);
    assert_eq!(sites.len(), module.sites.len());
    let product = |a: &[f64], b: &[f64], inputs: usize| -> Vec<f64> {
        let rank = a.len() / inputs;
        let at = |i: usize| {
            (0..rank).map(|r| b[i / inputs * rank + r] * a[r * inputs + i % inputs]).sum()
        };
        (0..b.len() / rank * inputs).map(at).collect()
    };
    let wide = |values: &[f32]| values.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
    let mut shares = Vec::new();
    for (site, branch) in &sites {
        assert!(branch.magnitude.is_none());
        let inputs = branch.a.value.columns;
        let found = product(
            device.values(&branch.a.value.buffer),
            device.values(&branch.b.value.buffer),
            inputs,
        );
        let weight = &vit.tensor(&format!("{site}.weight"));
        let whole = module.sites[site].scaled(module.scale()).added(weight);
        let whole = product(&wide(&whole.a.data), &wide(&whole.b.data), inputs);
        let square = |of: &[f64]| of.iter().map(|v| v * v).sum::<f64>();
        let share = found.iter().zip(&whole).map(|(f, w)| f * w).sum::<f64>() / square(&whole);
        let off: Vec<f64> = found.iter().zip(&whole).map(|(f, w)| f - share * w).collect();
        assert!(square(&off) < 1e-10 * square(&found), "{site}");
        shares.push(share);
    }
    assert!(
        shares.iter().all(|s| (s - shares[0]).abs() < 1e-6 && *s > 0.0 && *s < 1.0),
        "{shares:?}"
    );
}
