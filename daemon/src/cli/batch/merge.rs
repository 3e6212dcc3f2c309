//! `utsushi batch --report`: what all tasks of a batch have written into their journals, taken together.
//!
//! Of each share, the last run counts. Of batches that were cut into different numbers of shares, the one does that
//! was begun last.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use super::super::left_out::LeftOut;
use super::super::{Ending, Usage};
use super::journal::{self, Begun, End, Line, Run};

/// What became of a batch.
#[derive(Debug, Serialize)]
struct Merged {
    shares: u32,
    /// Those that never began.
    missing: Vec<u32>,
    /// In all shares, as the last run has counted them.
    pictures: usize,
    done: usize,
    /// Those that were there already when the last run of their share began.
    skipped: usize,
    failed: usize,
    undone: usize,
    /// By kinds: pages and frames of what is drawn, and files that aren't.
    left_out: LeftOut,
    runs: Vec<Share>,
    failures: Vec<Failure>,
}

/// The last run of a share.
#[derive(Debug, Serialize)]
struct Share {
    share: u32,
    host: String,
    state: State,
    pictures: usize,
    done: usize,
    skipped: usize,
    failed: usize,
    undone: usize,
    left_out: LeftOut,
    #[serde(skip)]
    begun: Begun,
    #[serde(skip)]
    failures: Vec<Failure>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Finished,
    /// The daemon couldn't be used any more.
    Stopped,
    Interrupted,
    Running,
    /// It said neither that it ended, nor does it run, so far as can be seen.
    Lost,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Failure {
    source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    message: String,
}

/// Tells what became of the batch into `folder`.
pub(super) fn report(folder: &Path, is_json: bool) -> anyhow::Result<Ending> {
    let unreadable = || format!("{}: can't be read", folder.display());
    let paths = match folder.is_dir() {
        true => journal::paths(folder).with_context(unreadable)?,
        false => return Err(Usage::new(format!("there is no folder {}", folder.display())).into()),
    };
    let mut runs = Vec::new();
    for path in &paths {
        let lines = journal::lines(path).with_context(|| format!("{}: can't be read", path.display()))?;
        runs.extend(last_run(&lines, || journal::is_in_use(path)));
    }
    let Some(merged) = merge(runs) else {
        let message = format!("no batch has drawn into {}: its journals are not there", folder.display());
        return Err(Usage::new(message).into());
    };
    let told = if is_json { serde_json::to_string(&merged)? + "\n" } else { merged.in_words() };
    io::stdout().write_all(told.as_bytes())?;
    Ok(if merged.is_done() { Ending::Done } else { Ending::Failed })
}

/// What the last run did that this journal tells of.
fn last_run(lines: &[Line], is_in_use: impl FnOnce() -> bool) -> Option<Share> {
    let (mut last, mut state) = (None, None);
    // Of a source that an earlier run has drawn, that run has told what is left out.
    let (mut files, mut parts) = (LeftOut::default(), HashMap::new());
    let mut told = HashSet::new();
    for line in lines {
        match (line, &mut last) {
            (Line::Run(Run::Begun(begun)), _) => {
                last = Some((begun.clone(), 0, Vec::new()));
                state = None;
                files = LeftOut::default();
            }
            (Line::Output { is_complete: true, source }, Some((_, done, _))) => {
                *done += 1;
                // Drawn again, it may have less.
                if !told.remove(source) {
                    parts.remove(source);
                }
            }
            (Line::Run(Run::LeftOut { source: None, left_out }), _) => files = left_out.clone(),
            (Line::Run(Run::LeftOut { source: Some(source), left_out }), _) => {
                told.insert(source.clone());
                parts.insert(source.clone(), left_out.clone());
            }
            (Line::Run(Run::Failed { source, output, message }), Some((_, _, failures))) => failures
                .push(Failure { source: source.clone(), output: output.clone(), message: message.clone() }),
            (Line::Run(Run::Ended { how }), Some(_)) => {
                state = Some(match how {
                    End::Finished => State::Finished,
                    End::Stopped => State::Stopped,
                    End::Interrupted => State::Interrupted,
                });
            }
            _ => {}
        }
    }
    let (begun, done, failures) = last?;
    let (pictures, skipped, failed) = (begun.pictures, begun.skipped, failures.len());
    let mut left_out = files;
    parts.values().for_each(|parts| left_out.add_all(parts));
    Some(Share {
        share: begun.shard,
        host: begun.host.clone(),
        state: state.unwrap_or_else(|| if is_in_use() { State::Running } else { State::Lost }),
        pictures,
        done,
        skipped,
        failed,
        undone: pictures.saturating_sub(done + skipped + failed),
        left_out,
        begun,
        failures,
    })
}

/// None without a run.
fn merge(runs: Vec<Share>) -> Option<Merged> {
    let newest = runs.iter().max_by_key(|run| run.begun.at_ms)?.begun.clone();
    let mut runs: Vec<_> = runs.into_iter().filter(|run| run.begun.shards == newest.shards).collect();
    // One machine's, and a batch of one share.
    runs.sort_by_key(|run| (run.share, std::cmp::Reverse(run.begun.at_ms)));
    runs.dedup_by_key(|run| run.share);
    let missing = (1..=newest.shards).filter(|share| runs.iter().all(|run| run.share != *share)).collect();
    let sum = |part: fn(&Share) -> usize| runs.iter().map(part).sum::<usize>();
    let (done, skipped, failed) = (sum(|run| run.done), sum(|run| run.skipped), sum(|run| run.failed));
    let failures = runs.iter().flat_map(|run| run.failures.clone()).collect();
    let mut left_out = LeftOut::default();
    runs.iter().for_each(|run| left_out.add_all(&run.left_out));
    let undone = newest.total.saturating_sub(done + skipped + failed);
    Some(Merged {
        shares: newest.shards,
        missing,
        pictures: newest.total,
        done,
        skipped,
        failed,
        undone,
        left_out,
        runs,
        failures,
    })
}

impl Merged {
    fn is_done(&self) -> bool {
        let is_finished = |run: &Share| run.state == State::Finished;
        self.missing.is_empty() && self.failed + self.undone == 0 && self.runs.iter().all(is_finished)
    }

    fn in_words(&self) -> String {
        let mut words = String::new();
        for run in self.runs.iter().filter(|run| run.state != State::Finished) {
            let Share { share, host, undone, pictures, .. } = run;
            let how = match run.state {
                State::Finished | State::Running => "is being drawn",
                State::Stopped => "was given up",
                State::Interrupted => "was interrupted",
                State::Lost if self.shares == 1 => "has not ended, or was killed,",
                State::Lost => "was killed",
            };
            let all = self.shares;
            words += &format!("share {share}/{all} {how} on {host}: {undone} of {pictures} left to draw\n");
        }
        for failure in &self.failures {
            words += &format!("failed: {}\n", failure.message);
        }
        if !self.missing.is_empty() {
            let missing: Vec<_> = self.missing.iter().map(u32::to_string).collect();
            words += &format!("never begun, of {} shares: {}\n", self.shares, missing.join(", "));
        }
        let parts = [
            (self.done, "drawn"),
            (self.skipped, "already there"),
            (self.failed, "failed"),
            (self.undone, "left to draw"),
        ];
        let parts =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        let parts: Vec<_> = [format!("{} pictures", self.pictures)].into_iter().chain(parts).collect();
        words + &parts.join(", ") + &self.left_out.in_words() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The journal of a share: `drawn` and `failed` lines after its beginning, and its end, if there was one.
    fn run(
        at_ms: u64,
        share: (u32, u32),
        of: [usize; 3],
        told: (usize, usize),
        end: Option<End>,
    ) -> Option<Share> {
        let [total, pictures, skipped] = of;
        let begun =
            Begun { at_ms, host: "node".into(), shard: share.0, shards: share.1, total, pictures, skipped };
        let failed =
            Run::Failed { source: "in/x.png".into(), output: None, message: "in/x.png: broken".into() };
        let output = |is_complete| Line::Output { is_complete, source: "in/y.png".into() };
        let earlier = Begun { at_ms: 0, ..begun.clone() };
        let lines = [Line::Run(Run::Begun(earlier)), output(true), Line::Run(failed.clone())]
            .into_iter()
            .chain([Line::Run(Run::Ended { how: End::Interrupted }), Line::Run(Run::Begun(begun))])
            .chain((0..told.0).flat_map(|_| [output(false), output(true)]))
            .chain((0..told.1).map(|_| Line::Run(failed.clone())))
            .chain(end.map(|how| Line::Run(Run::Ended { how })))
            .collect::<Vec<_>>();
        last_run(&lines, || share.0 == 2)
    }

    fn drawn(source: &str) -> Line {
        Line::Output { source: source.into(), is_complete: true }
    }

    #[test]
    fn what_was_left_out_is_told_together() {
        fn check(lines: &[Line], expected: &str) {
            let run = last_run(lines, || false);
            assert_eq!(merge(run.into_iter().collect()).unwrap().in_words(), expected);
        }
        let begun = |skipped| {
            let (total, pictures) = (2, 2);
            Line::Run(Run::Begun(Begun {
                at_ms: 1,
                host: String::new(),
                shard: 1,
                shards: 1,
                total,
                pictures,
                skipped,
            }))
        };
        let left_out = |source: Option<&str>, left_out: &str| {
            let left_out = serde_json::from_str(left_out).unwrap();
            Line::Run(Run::LeftOut { source: source.map(Into::into), left_out })
        };
        let end = || Line::Run(Run::Ended { how: End::Finished });
        let first = || {
            vec![
                begun(0),
                left_out(None, r#"{"GIF": 2}"#),
                left_out(Some("a"), r#"{"page": 1}"#),
                drawn("a"),
                left_out(Some("b"), r#"{"frame": 3}"#),
                drawn("b"),
                end(),
            ]
        };
        check(&first(), "2 pictures, 2 drawn; left out: 1 page, 3 frames, 2 GIF files\n");
        // Nothing to do the second time, and a GIF is gone.
        let again = first().into_iter().chain([begun(2), left_out(None, r#"{"GIF": 1}"#), end()]);
        check(
            &again.collect::<Vec<_>>(),
            "2 pictures, 2 already there; left out: 1 page, 3 frames, 1 GIF file\n",
        );
        // One has changed.
        let again = first().into_iter().chain([begun(1), drawn("a"), end()]);
        check(&again.collect::<Vec<_>>(), "2 pictures, 1 drawn, 1 already there; left out: 3 frames\n");
    }

    #[test]
    fn shares_are_taken_together() {
        fn check(runs: Vec<Option<Share>>, expected: &str, is_done: bool) {
            let merged = merge(runs.into_iter().flatten().collect()).unwrap();
            assert_eq!((merged.in_words().as_str(), merged.is_done()), (expected, is_done));
        }
        let finished = Some(End::Finished);
        check(vec![run(1, (1, 1), [3, 3, 0], (3, 0), finished)], "3 pictures, 3 drawn\n", true);
        check(
            vec![run(2, (2, 2), [5, 3, 2], (1, 0), finished), run(1, (1, 2), [5, 2, 0], (2, 0), finished)],
            "5 pictures, 3 drawn, 2 already there\n",
            true,
        );
        check(
            vec![run(2, (3, 3), [5, 3, 2], (0, 1), finished)],
            "failed: in/x.png: broken\nnever begun, of 3 shares: 1, 2\n\
             5 pictures, 2 already there, 1 failed, 2 left to draw\n",
            false,
        );
        check(
            vec![
                run(2, (1, 3), [9, 3, 0], (1, 0), None),
                run(2, (2, 3), [9, 3, 0], (1, 0), None),
                run(2, (3, 3), [9, 3, 0], (2, 0), Some(End::Interrupted)),
            ],
            "share 1/3 was killed on node: 2 of 3 left to draw\n\
             share 2/3 is being drawn on node: 2 of 3 left to draw\n\
             share 3/3 was interrupted on node: 1 of 3 left to draw\n\
             9 pictures, 4 drawn, 5 left to draw\n",
            false,
        );
        // Everything is there, but a share didn't say that it has ended.
        check(
            vec![run(2, (1, 1), [2, 2, 0], (2, 0), None)],
            "share 1/1 has not ended, or was killed, on node: 0 of 2 left to draw\n2 pictures, 2 drawn\n",
            false,
        );
        // The batch that was begun last counts.
        check(
            vec![run(3, (1, 1), [5, 5, 4], (1, 0), finished), run(2, (2, 2), [5, 3, 0], (1, 0), None)],
            "5 pictures, 1 drawn, 4 already there\n",
            true,
        );
        assert!(merge(Vec::new()).is_none());
        assert!(last_run(&[drawn("x")], || false).is_none());
    }
}
