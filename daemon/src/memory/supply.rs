//! How much memory there is: the machine's, a container's share of it, and what a process may have at most.
//!
//! Each tells for itself how much is still free. A job of Slurm's or of Kubernetes' lies in a control group, whose limits,
//! and those of all groups around it, count as much as the machine's. <https://docs.kernel.org/admin-guide/cgroup-v2.html>

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

/// Where memory may come to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Supply {
    /// Bytes that are free.
    pub free: u64,
    /// Bytes of it that this process has taken.
    pub held: u64,
}

/// What a thread's stack reserves.
const STACK_BYTES: u64 = 2 << 20;

/// What there is at this moment: memory, addresses, and addresses of data. Those without a limit are left out.
pub(super) fn of_the_system() -> [Option<Supply>; 3] {
    let statm = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let [addresses, resident, shared, _, _, data, _] = pages(&statm);
    let threads = fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.count() as u64);
    // The allocator reserves addresses ahead, which count for the limits: what it hasn't touched of them is still free.
    let touched = resident.saturating_sub(shared) + threads * STACK_BYTES;
    let ahead = data.saturating_sub(touched);
    let limited = |resource, reserved: u64| {
        let most = getrlimit(resource).current?;
        let held = reserved.saturating_sub(ahead);
        Some(Supply { free: most.saturating_sub(held), held })
    };
    [
        free_memory(Path::new("/")).map(|free| Supply { free, held: resident }),
        limited(Resource::As, addresses),
        limited(Resource::Data, data),
    ]
}

/// This process's resident memory, in bytes; none where there is no `/proc`.
pub fn resident_bytes() -> Option<u64> {
    let [_, resident, ..] = pages(&fs::read_to_string("/proc/self/statm").ok()?);
    Some(resident)
}

/// The seven numbers of `statm`, in bytes; 0 for those that aren't there.
fn pages(statm: &str) -> [u64; 7] {
    let mut words = statm.split_whitespace();
    let page = rustix::param::page_size() as u64;
    std::array::from_fn(|_| words.next().and_then(|word| word.parse().ok()).unwrap_or(0_u64) * page)
}

/// The memory that is free, in bytes, by the files below this root: that of the machine, or of the tightest group of
/// control that this process is in. `None` if nothing is told of either.
fn free_memory(root: &Path) -> Option<u64> {
    let meminfo = fs::read_to_string(root.join("proc/meminfo")).unwrap_or_default();
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let machine = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let groups = groups.lines().filter_map(|line| {
        let [_, controllers, path] = line.splitn(3, ':').collect::<Vec<_>>()[..] else { return None };
        let kind = match controllers {
            "" => &V2,
            _ if controllers.split(',').any(|name| name == "memory") => &V1,
            _ => return None,
        };
        kind.free(root, path)
    });
    machine.map(|kib| kib * 1024).into_iter().chain(groups).min()
}

/// What the files of a group are called.
struct Kind {
    mount: &'static str,
    limits: &'static [&'static str],
    used: &'static str,
    /// Of `memory.stat`: what was read from files, which the kernel lets go of before a limit is reached.
    cached: [&'static str; 2],
}

const V2: Kind = Kind {
    mount: "sys/fs/cgroup",
    // Beyond `high` nothing fails, but all becomes very slow.
    limits: &["memory.max", "memory.high"],
    used: "memory.current",
    cached: ["inactive_file", "active_file"],
};

const V1: Kind = Kind {
    mount: "sys/fs/cgroup/memory",
    limits: &["memory.limit_in_bytes"],
    used: "memory.usage_in_bytes",
    cached: ["total_inactive_file", "total_active_file"],
};

impl Kind {
    /// What is free in a group and in all around it; `None` without limits.
    fn free(&self, root: &Path, path: &str) -> Option<u64> {
        let mount = root.join(self.mount);
        // Inside of a container the path may be the host's, of which nothing is there but what the mount begins with.
        let group = mount.join(path.trim_start_matches('/'));
        let groups = group.ancestors().take_while(|folder| folder.starts_with(&mount));
        groups.filter_map(|folder| self.free_in(folder)).min()
    }

    fn free_in(&self, folder: &Path) -> Option<u64> {
        let read = |name: &str| fs::read_to_string(PathBuf::from(folder).join(name)).ok();
        let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
        // "max" is no number.
        let most = self.limits.iter().filter_map(|name| number(name)).min()?;
        let stat = read("memory.stat").unwrap_or_default();
        let cached = stat.lines().filter_map(|line| {
            let (name, bytes) = line.split_once(' ')?;
            self.cached.contains(&name).then(|| bytes.trim().parse::<u64>().ok())?
        });
        let used = number(self.used)?.saturating_sub(cached.sum());
        Some(most.saturating_sub(used))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Files as `path=content`, separated by ` | `; lines end at `,`, `;` is a comma, and `12M` are MiB.
    fn check(what: &str, files: &str, expected_mib: Option<u64>) {
        let root = tempfile::tempdir().expect("a folder");
        for file in files.split(" | ").filter(|file| !file.is_empty()) {
            let (path, content) = file.split_once('=').expect("a file");
            let lines = content.split(',').map(|line| {
                let words = line.trim().split(' ').map(|word| match word.strip_suffix('M') {
                    Some(mib) => (mib.parse::<u64>().expect("MiB") * MIB).to_string(),
                    None => word.replace(';', ","),
                });
                words.collect::<Vec<_>>().join(" ") + "\n"
            });
            let path = root.path().join(path.trim());
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, lines.collect::<String>()).expect("written");
        }
        assert_eq!(free_memory(root.path()).map(|bytes| bytes / MIB), expected_mib, "{what}");
    }

    #[test]
    fn free_memory_is_that_of_the_tightest_group() {
        let machine = "proc/meminfo=MemTotal:  9000000 kB,MemAvailable:    8192000 kB";
        let v2 = |path: &str, files: &str| {
            let files = files.replace(" | ", " | sys/fs/cgroup/");
            format!("{machine} | proc/self/cgroup=0::{path} | sys/fs/cgroup/{files}")
        };
        let v1 = |path: &str, files: &str| {
            let files = files.replace(" | ", " | sys/fs/cgroup/memory/");
            let groups = format!("11:cpu;cpuacct:/elsewhere,5:memory:{path},0::/x");
            format!("{machine} | proc/self/cgroup={groups} | sys/fs/cgroup/memory/{files}")
        };
        check("nothing is told", "", None);
        check("a machine", machine, Some(8000));
        check("a machine's group has no files", &v2("/", "cgroup.procs=1"), Some(8000));
        check(
            "a container sees its group as the root",
            &v2("/", "memory.max=512M | memory.current=112M"),
            Some(400),
        );
        check("no limit", &v2("/a", "a/memory.max=max | a/memory.current=112M"), Some(8000));
        check(
            "a limit above the machine's",
            &v2("/a", "a/memory.max=99999M | a/memory.current=1M"),
            Some(8000),
        );
        check(
            "a brake",
            &v2("/a", "a/memory.max=max | a/memory.high=300M | a/memory.current=100M"),
            Some(200),
        );
        check(
            "what was read from files can go",
            &v2(
                "/a",
                "a/memory.max=512M | a/memory.current=500M | a/memory.stat=anon 100M,active_file 150M,inactive_file 50M",
            ),
            Some(212),
        );
        let nested = "a/memory.max=400M | a/memory.current=300M | a/b/memory.max=900M | a/b/memory.current=200M | \
                      a/b/c/memory.max=max | a/b/c/memory.current=10M";
        check("the tightest is further out", &v2("/a/b/c", nested), Some(100));
        check("the tightest is the inmost", &v2("/a/b", &nested.replace("900M", "210M")), Some(10));
        check("more is used than is allowed", &v2("/", "memory.max=512M | memory.current=600M"), Some(0));
        check(
            "the path is the host's",
            &v2("/kube/pod/x", "memory.max=512M | memory.current=112M"),
            Some(400),
        );

        let limit = "memory.limit_in_bytes=512M | memory.usage_in_bytes=500M";
        check("v1", &v1("/", limit), Some(12));
        check("v1, the path is the host's", &v1("/docker/x", limit), Some(12));
        check(
            "v1, and files",
            &v1(
                "/",
                &format!(
                    "{limit} | memory.stat=inactive_file 1M,total_inactive_file 100M,total_active_file 20M"
                ),
            ),
            Some(132),
        );
        check(
            "v1 without a limit",
            &v1("/", "memory.limit_in_bytes=9223372036854771712 | memory.usage_in_bytes=500M"),
            Some(8000),
        );
        let slurm = "slurm/memory.limit_in_bytes=700M | slurm/memory.usage_in_bytes=300M | \
                     slurm/job/memory.limit_in_bytes=600M | slurm/job/memory.usage_in_bytes=100M";
        check("v1, nested", &v1("/slurm/job/step", slurm), Some(400));
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 16));
        let [memory, ..] = of_the_system();
        assert!(memory.is_some_and(|memory| memory.free > 0 && memory.held > 1 << 16));
    }
}
