//! The axes of a chart: ranges, ticks and their labels.

/// One axis: its range and the distance of its ticks.
pub(super) struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// From `low` to `high`, with about five ticks.
    pub fn over(low: f64, high: f64) -> Axis {
        let (low, high) = if high > low { (low, high) } else { (low - 0.5, low + 0.5) };
        let rough = (high - low) / 5.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = power
            * [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().find(|m| m * power >= rough).unwrap_or(10.0);
        Axis { low, high, step }
    }

    /// From the least to the largest value. Ticks are whole numbers where all values are.
    pub fn exact(values: impl Iterator<Item = f64> + Clone) -> Axis {
        let (low, high) = extent(values.clone());
        let axis = Axis::over(low, high);
        let whole = { values }.all(|v| v == v.trunc());
        if whole { Axis { step: axis.step.ceil(), ..axis } } else { axis }
    }

    /// A little wider than the values, from tick to tick. It begins at 0 if the values are near 0.
    pub fn around(values: impl Iterator<Item = f64>) -> Axis {
        let (low, high) = extent(values);
        let low = if low >= 0.0 && low < 0.5 * high { 0.0 } else { low };
        let axis = Axis::over(low, high);
        let (low, high) = (
            (axis.low / axis.step).floor() * axis.step,
            (axis.high / axis.step).ceil() * axis.step,
        );
        Axis { low, high, step: axis.step }
    }

    /// Where `value` lies between the coordinates `from` and `to`.
    pub fn place(&self, value: f64, from: f64, to: f64) -> f64 {
        from + (to - from) * ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// The ticks and their labels.
    pub fn ticks(&self) -> Vec<(f64, String)> {
        let first = (self.low / self.step - 1e-6).ceil();
        let count = (((self.high / self.step + 1e-6).floor() - first) as usize).min(20);
        let decimals = (-self.step.log10().floor()).clamp(0.0, 12.0) as usize;
        let decimals = if self.step / 10f64.powi(-(decimals as i32)) % 1.0 > 0.01 {
            decimals + 1
        } else {
            decimals
        };
        let small = self.high.abs().max(self.low.abs()) < 0.01;
        let label = |tick: f64| match (small, tick == 0.0) {
            (true, true) => "0".to_owned(),
            (true, false) => format!("{tick:.1e}"),
            (false, _) => format!("{tick:.decimals$}"),
        };
        (0..=count)
            .map(|i| (first + i as f64) * self.step)
            .map(|tick| (tick, label(tick)))
            .collect()
    }
}

/// The least and the largest value.
fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)))
}
