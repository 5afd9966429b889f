//! The networks that sets are judged under: the base with the changes of some modules folded into
//! its weights.

use medforge_packer::base::Vit;
use medforge_packer::lora::Module;

/// `base` with `weight` times each module's change added.
pub fn merged(base: &Vit, modules: &[(f64, &Module)]) -> Vit {
    let mut tensors = base.tensors.clone();
    for (weight, module) in modules {
        for (site, factors) in &module.sites {
            let (rank, inputs) = (factors.a.shape[0], factors.a.shape[1]);
            let name = format!("{site}.weight");
            let mut target = tensors[&name].read();
            for (o, row) in target.data.chunks_exact_mut(inputs).enumerate() {
                for r in 0..rank {
                    let scale = weight * module.scale() * f64::from(factors.b.data[o * rank + r]);
                    let a = &factors.a.data[r * inputs..][..inputs];
                    row.iter_mut().zip(a).for_each(|(w, a)| *w += (scale * f64::from(*a)) as f32);
                }
            }
            tensors.insert(name, target.into());
        }
    }
    Vit { config: base.config.clone(), preprocessing: base.preprocessing.clone(), tensors }
}
