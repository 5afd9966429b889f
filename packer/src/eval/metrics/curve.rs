//! The ROC curve of one class against the rest.

/// Images by how probable one class is for them.
pub(super) struct Curve {
    pub class: usize,
    /// Images of equal scores together, the highest score first.
    runs: Vec<Vec<u32>>,
}

impl Curve {
    /// The curve of `class`, from each image's score.
    pub fn new(class: usize, scores: impl Iterator<Item = f32>) -> Self {
        let mut order: Vec<(f32, u32)> = scores.zip(0..).collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0));
        let runs = order.chunk_by(|a, b| a.0 == b.0);
        Curve { class, runs: runs.map(|run| run.iter().map(|&(_, i)| i).collect()).collect() }
    }

    /// The area under it, every image counted `weights` times: how often an image of the class
    /// scores above one of another class, ties counted half (the Mann-Whitney statistic). None
    /// where only one of both has weight.
    pub fn area(&self, labels: &[usize], weights: &[u32]) -> Option<f64> {
        let (mut above, mut others, mut area) = (0.0, 0.0, 0.0);
        for run in &self.runs {
            let (mut ours, mut theirs) = (0.0, 0.0);
            for &i in run {
                let i = i as usize;
                let weight = f64::from(weights[i]);
                if labels[i] == self.class { ours += weight } else { theirs += weight }
            }
            area += theirs * (above + 0.5 * ours);
            above += ours;
            others += theirs;
        }
        (above > 0.0 && others > 0.0).then(|| area / (above * others))
    }

    /// Its corners, every image counted once: 1 - specificity and sensitivity.
    pub fn roc(&self, labels: &[usize]) -> Vec<(f64, f64)> {
        let mut counts = vec![(0u32, 0u32)];
        for run in &self.runs {
            let ours = run.iter().filter(|&&i| labels[i as usize] == self.class).count() as u32;
            let (theirs, (x, y)) = (run.len() as u32 - ours, counts[counts.len() - 1]);
            let next = (x + theirs, y + ours);
            // A point in the middle of a straight line is no corner.
            if let [.., before, last] = counts[..]
                && ((before.0 == last.0 && last.0 == next.0)
                    || (before.1 == last.1 && last.1 == next.1))
            {
                counts.pop();
            }
            counts.push(next);
        }
        let (x, y) = counts[counts.len() - 1];
        let share = |part: u32, whole: u32| f64::from(part) / f64::from(whole.max(1));
        counts.into_iter().map(|(theirs, ours)| (share(theirs, x), share(ours, y))).collect()
    }
}
