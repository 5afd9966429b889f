//! k-means (Lloyd 1982) with k-means++ seeding (Arthur & Vassilvitskii 2007), for targets that
//! several images share.

use crate::random::{Purpose, Stream};

/// The most rounds, even where clusters still change.
const ROUNDS: usize = 50;

/// The cluster of each row, 0..k: at most `clusters`, fewer where rows are fewer or equal.
/// Deterministic in `seed`.
pub fn k_means(rows: &[&[f32]], clusters: usize, seed: u64) -> Vec<usize> {
    let mut stream = Stream::at(seed, Purpose::Cluster, rows.len() as u64, clusters as u64);
    let mut centres = seeded(rows, clusters, &mut stream);
    let mut of = vec![0; rows.len()];
    for round in 0..ROUNDS {
        let nearest: Vec<usize> = rows.iter().map(|row| nearest(row, &centres).0).collect();
        if round > 0 && nearest == of {
            break;
        }
        of = nearest;
        for (c, centre) in centres.iter_mut().enumerate() {
            if let Some(mean) =
                mean(rows.iter().zip(&of).filter(|(_, of)| **of == c).map(|(row, _)| *row))
            {
                *centre = mean;
            }
        }
    }
    // Clusters that lost every row are left out.
    let mut used: Vec<usize> = of.clone();
    used.sort_unstable();
    used.dedup();
    of.iter().map(|c| used.partition_point(|u| u < c)).collect()
}

/// For each cluster the row that lies nearest its mean.
pub fn medoids(rows: &[&[f32]], of: &[usize]) -> Vec<usize> {
    let clusters = of.iter().max().map_or(0, |c| c + 1);
    let medoid = |c: usize| {
        let members: Vec<usize> = (0..rows.len()).filter(|&i| of[i] == c).collect();
        let centre = mean(members.iter().map(|&i| rows[i])).unwrap_or_default();
        members
            .into_iter()
            .min_by(|&a, &b| distance(rows[a], &centre).total_cmp(&distance(rows[b], &centre)))
    };
    (0..clusters).filter_map(medoid).collect()
}

/// The squared distance of two rows.
pub fn distance(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}

/// The mean of rows; none where there are no rows.
pub fn mean<'a>(rows: impl Iterator<Item = &'a [f32]>) -> Option<Vec<f32>> {
    let (mut sum, mut count) = (Vec::new(), 0usize);
    for row in rows {
        sum.resize(row.len(), 0f64);
        sum.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v));
        count += 1;
    }
    (count > 0).then(|| sum.iter().map(|s| (s / count as f64) as f32).collect())
}

/// Centres chosen among the rows, each with probability in proportion to its squared distance from
/// those before.
fn seeded(rows: &[&[f32]], clusters: usize, stream: &mut Stream) -> Vec<Vec<f32>> {
    let mut centres = vec![rows[stream.below(rows.len())].to_vec()];
    while centres.len() < clusters {
        let distances: Vec<f64> = rows.iter().map(|row| nearest(row, &centres).1).collect();
        let total: f64 = distances.iter().sum();
        let mut left = stream.unit() * total;
        let chosen = distances.iter().position(|d| {
            left -= d;
            left < 0.0 && *d > 0.0
        });
        match chosen {
            Some(row) => centres.push(rows[row].to_vec()),
            None => break,
        }
    }
    centres
}

fn nearest(row: &[f32], centres: &[Vec<f32>]) -> (usize, f64) {
    let distances = centres.iter().map(|centre| distance(row, centre)).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).expect("there is a centre")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three heaps far apart, twenty rows each, in turns.
    fn heaps() -> Vec<Vec<f32>> {
        let mut stream = Stream::at(1, Purpose::Noise, 0, 0);
        (0..60)
            .map(|i| vec![(i % 3) as f32 * 10.0 + stream.normal() as f32, stream.normal() as f32])
            .collect()
    }

    #[test]
    fn heaps_are_found_whatever_the_seed() {
        let rows = heaps();
        let rows: Vec<&[f32]> = rows.iter().map(Vec::as_slice).collect();
        for seed in 0..20 {
            let of = k_means(&rows, 3, seed);
            assert!((0..60).all(|i| of[i] == of[i % 3]), "{of:?}");
            assert_eq!(of, k_means(&rows, 3, seed));
            let medoids = medoids(&rows, &of);
            assert_eq!(medoids.len(), 3);
            assert!(medoids.iter().all(|&m| {
                rows[m][0].rem_euclid(10.0).min(10.0 - rows[m][0].rem_euclid(10.0)) < 1.0
            }));
        }
    }

    #[test]
    fn equal_rows_are_one_cluster_and_more_clusters_than_rows_are_as_many_as_rows() {
        let same = [[1.0f32, 2.0]; 5];
        let rows: Vec<&[f32]> = same.iter().map(|r| r.as_slice()).collect();
        assert_eq!(k_means(&rows, 3, 0), [0; 5]);
        let heaps = heaps();
        let few: Vec<&[f32]> = heaps[..2].iter().map(Vec::as_slice).collect();
        let mut of = k_means(&few, 10, 0);
        of.sort_unstable();
        assert_eq!(of, [0, 1]);
    }
}
