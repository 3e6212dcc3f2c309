//! The scores of a checkpoint, and which checkpoint is the best.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

/// How good a checkpoint is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// How far results are from the art, by how they are painted: energy distance. Around 0 they can't be told apart.
    pub distance: f64,
    /// Its standard error.
    pub distance_error: f64,
    /// How far results are from what the photos show; 0: exactly that, some 0.8: something else.
    pub content: f64,
    /// How unlike results are to each other, as a share of how unlike the photos are.
    pub diversity: f64,
    /// The share of art that the discriminator takes for art.
    pub art_accuracy: Option<f64>,
    /// The share of results that it doesn't take for art.
    pub result_accuracy: Option<f64>,
    /// What drawing takes.
    pub seconds_per_megapixel: Option<f64>,
}

/// What a checkpoint has to keep to be considered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// The largest content distance: beyond it one can't see what the photo showed.
    pub content: f64,
    /// The least diversity: below it everything becomes the same picture.
    pub diversity: f64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { content: 0.65, diversity: 0.3 }
    }
}

impl Bounds {
    fn hold(&self, scores: &Scores) -> bool {
        scores.content <= self.content && scores.diversity >= self.diversity
    }
}

/// The best of several checkpoints, as a place in the list.
///
/// - Scores that are no numbers are out.
/// - Of those within the bounds the one with the least distance; among all whose distance is larger by no more than a quarter of
///   that one's standard error, the one that keeps most of the content. (A quarter: all were judged by the same
///   pictures, so that most of the error is the same for all.)
/// - If none is within the bounds, the one that keeps most of the content.
///
/// Of equals, the later.
pub fn best(checkpoints: &[Scores], bounds: Bounds) -> Option<usize> {
    let is_number =
        |s: &Scores| [s.distance, s.distance_error, s.content, s.diversity].iter().all(|v| v.is_finite());
    let numbers = || checkpoints.iter().enumerate().filter(|(_, scores)| is_number(scores));
    let within = || numbers().filter(|(_, scores)| bounds.hold(scores));
    let by = |a: f64, b: f64| a.partial_cmp(&b).unwrap_or(Ordering::Equal);
    let by_content =
        |(i, a): &(usize, &Scores), (j, b): &(usize, &Scores)| by(a.content, b.content).then(j.cmp(i));
    let Some((_, nearest)) = within().min_by(|(_, a), (_, b)| by(a.distance, b.distance)) else {
        return numbers().min_by(by_content).map(|(place, _)| place);
    };
    let as_near = |scores: &Scores| scores.distance <= nearest.distance + nearest.distance_error / 4.0;
    within().filter(|(_, scores)| as_near(scores)).min_by(by_content).map(|(place, _)| place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scores(distance: f64, content: f64, diversity: f64) -> Scores {
        let none = None;
        Scores {
            distance,
            distance_error: 0.05,
            content,
            diversity,
            art_accuracy: none,
            result_accuracy: none,
            seconds_per_megapixel: none,
        }
    }

    #[track_caller]
    fn check(what: &str, checkpoints: &[(f64, f64, f64)], want: Option<usize>) {
        let checkpoints: Vec<_> = checkpoints.iter().map(|&(k, c, d)| scores(k, c, d)).collect();
        assert_eq!(best(&checkpoints, Bounds::default()), want, "{what}");
    }

    #[test]
    fn the_best_checkpoint() {
        check("none", &[], None);
        check("the nearest to the art", &[(0.9, 0.4, 1.0), (0.3, 0.5, 1.0), (0.5, 0.3, 1.0)], Some(1));
        check("not beyond the bounds", &[(0.9, 0.4, 1.0), (0.1, 0.9, 1.0), (0.0, 0.4, 0.1)], Some(0));
        check("what differs by chance is decided by content", &[(0.30, 0.5, 1.0), (0.31, 0.4, 1.0)], Some(1));
        check("what differs by more isn't", &[(0.30, 0.5, 1.0), (0.32, 0.4, 1.0)], Some(0));
        check("of equals, the later", &[(0.3, 0.5, 1.0), (0.3, 0.5, 1.0)], Some(1));
        check("all beyond the bounds", &[(0.1, 1.2, 1.0), (0.9, 0.9, 1.0)], Some(1));
        check("no numbers", &[(f64::NAN, 0.1, 1.0), (0.9, 0.5, 1.0), (0.1, f64::INFINITY, 1.0)], Some(1));
        check("nothing but no numbers", &[(f64::NAN, 0.1, 1.0)], None);
    }
}
