//! Where in an image a classification comes from.

/// How much of what the base made of an image was mixed of each of its patches: attention rollout
/// (Abnar & Zuidema 2020, arXiv 2005.00928, section 3) over the last three blocks, or all if there
/// are fewer.
///
/// With `A` the attention `[tokens, tokens]` of a block, the mean over its heads, and `M = (A + I)
/// / 2` for the residual, it is the row `p M_L M_(L-1) M_(L-2)`, L being the last block. `p` is how
/// much of each token was pooled: the CLS token alone, the mean of the patches, both in halves, or
/// what the head that pools attended to. Of the row it is the patches alone, divided by their sum.
/// Of a mixture it is the sum over its networks with the weights of this image, negative ones
/// counted as zero.
///
/// It says where the network looked, and not for which class nor which way: every class of an image
/// has the same map. It is a weak sign (on images of which one region alone carries the class, that
/// region has about one and a half times the mass that it would have of an even map), no
/// segmentation, and no evidence that the answer is right.
#[derive(Debug, Clone, PartialEq)]
pub struct Map {
    /// Patches a side.
    pub grid: usize,
    /// `[grid, grid]`, rows from the top: at least 0 each, and 1 together.
    pub values: Vec<f32>,
    /// The part of the image that it lies over, in pixels of the image as it was given: left, top,
    /// width, height. What a centre crop cuts off was not seen; with black beside the image the
    /// part begins before 0.
    pub seen: [f64; 4],
}

/// The map of a composition whose networks have `maps` of `grid` patches a side, as many as
/// `weights` unless it is one network.
pub(super) fn of(maps: &[Vec<f32>], weights: &[f64], grid: usize, seen: [f64; 4]) -> Map {
    let positive: Vec<f64> = weights.iter().map(|weight| weight.max(0.0)).collect();
    let total: f64 = positive.iter().sum();
    let even = maps.len() == 1 || total <= 0.0;
    let share =
        |network: usize| if even { 1.0 / maps.len() as f64 } else { positive[network] / total };
    let mut sum = vec![0.0f64; maps[0].len()];
    for (network, map) in maps.iter().enumerate() {
        sum.iter_mut().zip(map).for_each(|(sum, value)| *sum += share(network) * f64::from(*value));
    }
    let values = sum.iter().map(|value| *value as f32).collect();
    Map { grid, values, seen }
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn networks_count_by_their_weights_and_negative_ones_not_at_all() {
        let maps = [vec![1.0, 0.0, 0.0, 0.0], vec![0.0, 0.5, 0.5, 0.0], vec![0.0, 0.0, 0.0, 1.0]];
        let seen = [0.0, 0.0, 2.0, 2.0];
        assert_eq!(of(&maps, &[3.0, 1.0, -5.0], 2, seen).values, [0.75, 0.125, 0.125, 0.0]);
        assert_eq!(of(&maps[..2], &[-1.0, 0.0], 2, seen).values, [0.5, 0.25, 0.25, 0.0]);
        // A fusion is one network of several modules.
        let one = of(&maps[1..2], &[0.2, -3.0], 2, seen);
        assert_eq!((one.grid, one.values), (2, maps[1].clone()));
    }
}
