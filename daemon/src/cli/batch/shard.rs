//! Which pictures of a batch are this task's, when many tasks on many machines draw it.
//!
//! A picture's share follows from its own name below the folder for outputs, and from how many shares there are:
//! neither from the order in which a file system lists names, nor from the other pictures. So tasks needn't talk, and
//! a picture that is added while they run moves no other one from a task that has begun to one that has ended.
//!
//! The name without its digits is hashed to a place between 0 and 1. Each number in the name moves the place on, round
//! and round, by the golden ratio (Fibonacci hashing; earlier numbers by a power of it):
//!
//! ```text
//! place = hash(rest of the name) + Σ number_k * golden^(k+1)   mod 1        share = floor(place * shares)
//! ```
//!
//! The golden ratio's multiples are spread evenly, also every second or fifth of them, so that the frames of a
//! sequence are dealt out evenly, wherever it begins and whatever its step, and each share has some of every scene.

use std::fmt;
use std::path::Path;

use super::super::Usage;

/// The most shares there can be: more than an array of Slurm's has tasks.
const MAX_SHARES: u32 = 1 << 24;

/// The golden ratio's fraction, in units of 2^-64.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// One of the shares of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Shard {
    /// From 1.
    pub(super) number: u32,
    pub(super) count: u32,
}

/// What `--shard` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Which {
    Given(Shard),
    /// The environment says which, and perhaps of how many.
    Auto(Option<u32>),
}

/// `3/8`, `auto`, or `auto/8`.
pub(super) fn which(text: &str) -> Result<Which, String> {
    let wrong = || "must be like 3/8, the third of eight shares, or `auto`, or `auto/8`".to_owned();
    let count = |text: &str| match text.parse() {
        Ok(count @ 1..=MAX_SHARES) => Ok(count),
        _ => Err(format!("the number of shares must be from 1 to {MAX_SHARES}")),
    };
    match text.split_once('/') {
        None if text == "auto" => Ok(Which::Auto(None)),
        None => Err(wrong()),
        Some(("auto", shares)) => Ok(Which::Auto(Some(count(shares)?))),
        Some((number, shares)) => {
            let count = count(shares)?;
            match number.parse().map_err(|_| wrong())? {
                number @ 1.. if number <= count => Ok(Which::Given(Shard { number, count })),
                number => Err(format!("there is no share {number} of {count}: they are 1 to {count}")),
            }
        }
    }
}

impl Which {
    /// The share, with the environment's help.
    pub(super) fn resolve(self, variable: impl Fn(&str) -> Option<String>) -> Result<Shard, Usage> {
        let count = match self {
            Self::Given(shard) => return Ok(shard),
            Self::Auto(count) => count,
        };
        let number = |name: &str| match variable(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => value
                .parse::<u32>()
                .map(Some)
                .map_err(|_| Usage::new(format!("--shard auto: {name} is `{value}`, which is no number"))),
        };
        if let Some(id) = number("SLURM_ARRAY_TASK_ID")? {
            return match count {
                Some(count) => nth(id, count, "SLURM_ARRAY_TASK_ID"),
                None => of_array(id, number),
            };
        }
        if let Some(index) = number("JOB_COMPLETION_INDEX")? {
            let told = if count.is_some() { count } else { number("JOB_COMPLETIONS")? };
            let count = told.ok_or_else(|| {
                Usage::new(
                    "--shard auto: Kubernetes doesn't tell a pod how many there are: set JOB_COMPLETIONS to the job's \
                     `completions`, or say --shard auto/N",
                )
            })?;
            return nth(index, count, "JOB_COMPLETION_INDEX");
        }
        Err(Usage::new(
            "--shard auto: neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set: run it in an array of Slurm's \
             or an indexed job of Kubernetes', or say which share, as in --shard 3/8",
        ))
    }
}

/// `index` counts from 0.
fn nth(index: u32, count: u32, name: &str) -> Result<Shard, Usage> {
    if index >= count || count > MAX_SHARES {
        let last = count.saturating_sub(1);
        return Err(Usage::new(format!(
            "--shard auto: {name} is {index}, but {count} shares are 0 to {last}"
        )));
    }
    Ok(Shard { number: index + 1, count })
}

/// The task's place in a whole array, as `--array=0-7` and `--array=10-80:10` make it.
fn of_array(id: u32, number: impl Fn(&str) -> Result<Option<u32>, Usage>) -> Result<Shard, Usage> {
    let needed = |name: &str| {
        number(name)?
            .ok_or_else(|| Usage::new(format!("--shard auto: {name} is not set; say --shard auto/N")))
    };
    let (count, min) = (needed("SLURM_ARRAY_TASK_COUNT")?, needed("SLURM_ARRAY_TASK_MIN")?);
    let max = needed("SLURM_ARRAY_TASK_MAX")?;
    let step = number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1).max(1);
    let (place, last) = (id.wrapping_sub(min), max.wrapping_sub(min));
    // A list such as 1,3,7 has no step that leads from one task to the next.
    let is_even = place % step == 0 && last % step == 0 && last / step == count.wrapping_sub(1);
    if !is_even {
        return Err(Usage::new(format!(
            "--shard auto: the array's {count} tasks from {min} to {max} are not numbered evenly, and so don't say \
             which share is whose: say --array=0-{}, or --shard auto/N with tasks from 0 to N-1",
            count.saturating_sub(1)
        )));
    }
    nth(place / step, count, "the task's place in its array")
}

impl Shard {
    /// Is what has this name, below the folder for outputs, in this share?
    pub(super) fn has(self, name: &Path) -> bool {
        let place = u128::from(place(name.as_os_str().as_encoded_bytes()));
        (place * u128::from(self.count)) >> 64 == u128::from(self.number - 1)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

/// Where a name lies between 0 and 1, in units of 2^-64. Changing this would deal out anew what runs.
fn place(name: &[u8]) -> u64 {
    // FNV-1a over everything but digits.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut numbers = Vec::new();
    let mut in_number = false;
    for byte in name {
        if byte.is_ascii_digit() {
            if !in_number {
                numbers.push(0);
            }
            let last: &mut u64 = numbers.last_mut().expect("one was begun");
            *last = last.wrapping_mul(10).wrapping_add(u64::from(byte - b'0'));
        } else {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        in_number = byte.is_ascii_digit();
    }
    let mut factor = 1_u64;
    numbers.iter().rev().fold(mixed(hash), |place, number| {
        factor = factor.wrapping_mul(GOLDEN);
        place.wrapping_add(number.wrapping_mul(factor))
    })
}

/// Lets every bit depend on every other (SplitMix64's last steps).
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_share() {
        fn check(text: &str, environment: &[(&str, &str)], expected: Option<(u32, u32)>) {
            let variable = |name: &str| {
                environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            };
            let shard = which(text).ok().and_then(|which| which.resolve(variable).ok());
            let expected = expected.map(|(number, count)| Shard { number, count });
            assert_eq!(shard, expected, "{text} {environment:?}");
        }
        check("1/1", &[], Some((1, 1)));
        check("8/8", &[], Some((8, 8)));
        for text in
            ["0/8", "9/8", "1/0", "8", "/8", "1/", "-1/8", "1/8/2", "1/99999999", "auto/0", "Auto", ""]
        {
            check(text, &[], None);
        }
        check("auto", &[], None);
        check("auto/8", &[], None);

        let array = |id, min, max, step, count| {
            [
                ("SLURM_ARRAY_TASK_ID", id),
                ("SLURM_ARRAY_TASK_MIN", min),
                ("SLURM_ARRAY_TASK_MAX", max),
                ("SLURM_ARRAY_TASK_STEP", step),
                ("SLURM_ARRAY_TASK_COUNT", count),
            ]
        };
        check("auto", &array("0", "0", "7", "1", "8"), Some((1, 8)));
        check("auto", &array("7", "0", "7", "1", "8"), Some((8, 8)));
        check("auto", &array("3", "1", "8", "1", "8"), Some((3, 8)));
        check("auto", &array("30", "10", "80", "10", "8"), Some((3, 8)));
        check("auto", &array("5", "5", "5", "1", "1"), Some((1, 1)));
        check("auto", &array("7", "1", "7", "1", "3"), None);
        check("auto", &array("3", "1", "7", "1", "3"), None);
        check("auto", &array("x", "0", "7", "1", "8"), None);
        check("auto", &array("0", "", "7", "1", "8"), None);
        // A part of an array, run again.
        check("auto/8", &array("5", "5", "5", "1", "1"), Some((6, 8)));
        check("auto/8", &array("8", "1", "8", "1", "8"), None);
        check("3/8", &array("0", "0", "7", "1", "8"), Some((3, 8)));

        check("auto", &[("JOB_COMPLETION_INDEX", "0"), ("JOB_COMPLETIONS", "4")], Some((1, 4)));
        check("auto", &[("JOB_COMPLETION_INDEX", "4"), ("JOB_COMPLETIONS", "4")], None);
        check("auto", &[("JOB_COMPLETION_INDEX", "3"), ("JOB_COMPLETIONS", "all")], None);
        check("auto", &[("JOB_COMPLETION_INDEX", "3")], None);
        check("auto/5", &[("JOB_COMPLETION_INDEX", "3")], Some((4, 5)));
    }

    /// How many of these names each share has.
    fn sizes(names: &[String], count: u32) -> Vec<usize> {
        let share = |number| Shard { number, count };
        (1..=count)
            .map(|number| names.iter().filter(|name| share(number).has(Path::new(name))).count())
            .collect()
    }

    #[test]
    fn each_picture_is_in_one_share_and_stays_there() {
        let names: Vec<_> = (0..200).map(|i| format!("sub/写し {i}.png")).collect();
        for count in [1, 2, 7, 300] {
            assert_eq!(sizes(&names, count).iter().sum::<usize>(), names.len(), "{count}");
        }
        // What tasks of different versions, on different machines, have to agree on.
        let owner = |name: &str| (1..=8).find(|&number| Shard { number, count: 8 }.has(Path::new(name)));
        let owners = ["a.png", "b.png", "shot.0001.png", "shot.0002.png", "shot.0003.png"].map(owner);
        assert_eq!(owners, [7, 1, 8, 5, 2].map(Some));
    }

    #[test]
    fn sequences_are_dealt_out_evenly() {
        /// The largest share has at most this many frames more than an even one.
        fn check(what: &str, slack: usize, names: impl Iterator<Item = String>) {
            let names: Vec<_> = names.collect();
            for count in [2, 3, 4, 6, 8, 10, 16, 25, 32, 64] {
                let sizes = sizes(&names, count);
                let largest = sizes.iter().max().copied().unwrap_or(0);
                let even = names.len().div_ceil(count as usize);
                assert!(largest <= even + slack, "{what}, {count} shares: {sizes:?}");
            }
        }
        check("frames", 2, (1001..1301).map(|i| format!("shot.{i}.png")));
        check("frames from 0", 2, (0..300).map(|i| format!("{i}.jpg")));
        for step in [2, 3, 4, 5, 10] {
            check("with a step", 3, (0..300).map(|i| format!("shot_{:05}.tif", 86_400 + i * step)));
        }
        check("with a version at the end", 3, (1..301).map(|i| format!("shot.{i:04}_v02.png")));
        check("with a date", 2, (1..301).map(|i| format!("2024-05-17/frame{i:04}.png")));
        check(
            "scenes",
            6,
            (0..1200).map(|i| format!("seq{:03}/sh{:03}/{:04}.png", i / 400, i / 100, i % 100)),
        );
        check(
            "without numbers",
            24,
            (0..300).map(|i: u32| {
                let letters = i.to_string().bytes().map(|digit| char::from(digit + 49)).collect::<String>();
                letters + ".png"
            }),
        );
    }
}
