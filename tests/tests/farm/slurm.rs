//! An array of the real Slurm's: a cluster of one machine, made for the test, with its controller, its node and its
//! munge in a folder, on ports that nobody uses.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use utsushi_tests::binary::{Home, assert_code, binary, finish, signal, wait_until};

use crate::fixture::{
    are_there, assert_whole, draw, drawn, events, merged, numbers, on_a_node, write_frames,
};

const PROGRAMS: [&str; 6] = ["munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol"];

const FRAMES: usize = 300;
const TASKS: usize = 6;

/// How long the cluster may take to end what it runs.
const PATIENCE: Duration = Duration::from_secs(20);

struct Cluster {
    folder: PathBuf,
    /// In the order in which they were started.
    daemons: Vec<Child>,
}

impl Cluster {
    /// Starts one in a folder of the home, with as many processors as there are tasks at once.
    fn start(home: &Home, processors: usize) -> Self {
        let folder = home.path().join("cluster");
        for name in ["munge", "state", "spool"] {
            fs::create_dir_all(folder.join(name)).expect("a folder");
        }
        let mut cluster = Self { folder, daemons: Vec::new() };
        cluster.start_munge();
        cluster.configure(processors);
        cluster.start_daemon("slurmctld", &["-D".into()]);
        cluster.start_daemon("slurmd", &["-D".into(), "-N".into(), "node".into()]);
        wait_until("the node is there", || {
            let said = cluster.run("sinfo", &["-h", "-o", "%t"]);
            String::from_utf8_lossy(&said.stdout).trim() == "idle"
        });
        cluster
    }

    fn start_munge(&mut self) {
        let path = |name: &str| self.folder.join("munge").join(name);
        let mut key = vec![0; 128];
        let mut random = File::open("/dev/urandom").expect("random numbers");
        std::io::Read::read_exact(&mut random, &mut key).expect("random numbers");
        fs::write(path("key"), key).expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o400);
        fs::set_permissions(path("key"), mode).expect("closed to others");
        let option = |name: &str, file: &str| format!("--{name}={}", path(file).display());
        let options = [("socket", "socket"), ("key-file", "key"), ("pid-file", "pid"), ("log-file", "log")];
        let options = options.into_iter().chain([("seed-file", "seed")]);
        // It doesn't like folders that others may write to, as /tmp is.
        let args = ["--foreground".to_owned(), "--force".to_owned()].into_iter();
        let args: Vec<_> = args.chain(options.map(|(name, file)| option(name, file))).collect();
        let socket = path("socket");
        self.start_daemon("munged", &args);
        wait_until("munge listens", || socket.exists());
    }

    fn configure(&self, processors: usize) {
        let folder = self.folder.display();
        let host = command_output(Command::new("uname").arg("-n"));
        let host = host.split('.').next().expect("a name");
        let user = command_output(Command::new("id").arg("-un"));
        let [controller, node] = free_ports();
        let content = format!(
            "ClusterName=test\nSlurmctldHost={host}(127.0.0.1)\nSlurmctldPort={controller}\nSlurmdPort={node}\n\
             SlurmUser={user}\nSlurmdUser={user}\nAuthType=auth/munge\nAuthInfo=socket={folder}/munge/socket\n\
             CredType=cred/munge\nMpiDefault=none\nProctrackType=proctrack/linuxproc\nTaskPlugin=task/none\n\
             JobAcctGatherType=jobacct_gather/none\nSelectType=select/cons_tres\nSelectTypeParameters=CR_CPU\n\
             StateSaveLocation={folder}/state\nSlurmdSpoolDir={folder}/spool\nKillWait=2\nReturnToService=2\n\
             SlurmctldPidFile={folder}/slurmctld.pid\nSlurmdPidFile={folder}/slurmd.pid\n\
             SlurmctldLogFile={folder}/slurmctld.log\nSlurmdLogFile={folder}/slurmd.log\n\
             SlurmdParameters=config_overrides\n\
             NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs={processors} RealMemory=65536 State=UNKNOWN\n\
             PartitionName=farm Nodes=node Default=YES MaxTime=INFINITE State=UP\n"
        );
        fs::write(self.configuration(), content).expect("written");
    }

    fn configuration(&self) -> PathBuf {
        self.folder.join("slurm.conf")
    }

    fn start_daemon(&mut self, program: &str, args: &[String]) {
        let log = File::create(self.folder.join(format!("{program}.out"))).expect("a log");
        let child = self
            .command(program)
            .args(args)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn();
        self.daemons.push(child.unwrap_or_else(|error| panic!("{program}: {error}")));
    }

    /// One of Slurm's programs, of this cluster.
    fn command(&self, program: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(program);
        command.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("SLURM_CONF", self.configuration());
        command
    }

    fn run(&self, program: &str, args: &[&str]) -> Output {
        let mut command = self.command(program);
        command.args(args);
        finish(command)
    }

    /// The tasks that wait or run: their names, `1_0`, and their states, `PENDING`.
    fn queue(&self) -> Vec<(String, String)> {
        let output = self.run("squeue", &["-h", "-r", "-o", "%i %T"]);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.lines()
            .filter_map(|line| line.split_once(' ').map(|(task, state)| (task.to_owned(), state.to_owned())))
            .collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.daemons.len() == 3 && self.configuration().exists() {
            let _ = self.command("scancel").args(["--full", "--signal=KILL", "--state=RUNNING"]).output();
            let _ = self.command("scancel").arg("--state=PENDING").output();
        }
        for mut daemon in self.daemons.drain(..).rev() {
            signal(i32::try_from(daemon.id()).expect("a number"), Signal::TERM);
            let deadline = Instant::now() + PATIENCE;
            while daemon.try_wait().is_ok_and(|ended| ended.is_none()) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn command_output(command: &mut Command) -> String {
    let output = command.output().expect("it runs");
    String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
}

/// Ports at which nobody listens, by what the system says of its sockets.
fn free_ports() -> [u16; 2] {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|path| fs::read_to_string(path).unwrap_or_default());
    let used: Vec<u16> = tables
        .iter()
        .flat_map(|table| table.lines().skip(1))
        .filter_map(|line| {
            let local = line.split_whitespace().nth(1)?;
            u16::from_str_radix(local.rsplit(':').next()?, 16).ok()
        })
        .collect();
    // Below those that the system gives out, and elsewhere for each process.
    let first = 20_000 + (std::process::id() % 5000) as u16 * 2;
    let mut free = (first..32_000).filter(|port| !used.contains(port));
    [free.next().expect("a port"), free.next().expect("a port")]
}

/// The process of a task of the array that draws, if it runs.
fn process(home: &Home, task: usize) -> Option<i32> {
    home.processes().into_iter().find(|pid| {
        let read = |name: &str| fs::read(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let is_told =
            |bytes: Vec<u8>, what: &str| bytes.split(|byte| *byte == 0).any(|word| word == what.as_bytes());
        is_told(read("cmdline"), "batch") && is_told(read("environ"), &format!("SLURM_ARRAY_TASK_ID={task}"))
    })
}

/// How many pictures a share's journal tells of.
fn progress(home: &Home, task: usize) -> usize {
    let name = format!("out/.utsushi-batch.{}-of-{TASKS}.jsonl", task + 1);
    let journal = fs::read_to_string(home.path().join(name)).unwrap_or_default();
    journal.lines().filter(|line| line.contains("\"settings\"")).count()
}

#[test]
fn an_array_draws_everything_once_though_a_task_is_killed() {
    if !are_there(&PROGRAMS) {
        return;
    }
    let home = Home::new();
    write_frames(&home, FRAMES, 240, 180);
    fs::create_dir(home.path().join("logs")).expect("a folder");
    let cluster = Cluster::start(&home, 2);

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/farm/utsushi.sbatch");
    let mut submit = cluster.command("sbatch");
    for (key, value) in on_a_node(&home, home.utsushi(&[])).get_envs() {
        match value {
            Some(value) => submit.env(key, value),
            None => submit.env_remove(key),
        };
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let folder = binary().parent().expect("a folder").display();
    submit.env("PATH", format!("{folder}:{path}"));
    let array = format!("--array=0-{}", TASKS - 1);
    submit.args(["--parsable", &array, "--cpus-per-task=1", "--mem=100", "--output=logs/%a"]);
    submit.arg("--chdir").arg(home.path()).arg(script).args(["in", "out", "--json"]);
    let submitted = finish(submit);
    assert_code(&submitted, 0, &["sbatch"]);
    let job = String::from_utf8(submitted.stdout).expect("UTF-8").trim().to_owned();

    // One is killed in the middle of its work, as a node is that loses its power.
    let mut killed = None;
    wait_until("a task is in the middle of its work", || {
        killed = (0..TASKS).find_map(|task| {
            let pid = process(&home, task).filter(|_| (1..40).contains(&progress(&home, task)))?;
            signal(pid, Signal::KILL);
            Some(task)
        });
        killed.is_some()
    });
    let killed = killed.expect("a task");
    let name = format!("{job}_{killed}");
    wait_until("Slurm has noticed", || {
        cluster.queue().iter().all(|(task, state)| *task != name || state != "RUNNING")
    });
    let before = drawn(&events(&fs::read(home.path().join(format!("logs/{killed}"))).expect("a log")));
    assert!(!before.is_empty() && before.len() < FRAMES / TASKS, "{before:?}");
    let modified = |output: &String| {
        home.path().join(output).metadata().expect("it is there").modified().expect("a time")
    };
    let times: Vec<_> = before.keys().map(modified).collect();

    // Slurm waits for two minutes before it starts a task again; we don't.
    assert_code(&cluster.run("scontrol", &["requeue", &name]), 0, &["requeue", &name]);
    wait_until("the task may start again", || {
        let update = format!("JobId={name}");
        cluster.run("scontrol", &["update", &update, "StartTime=now"]).status.success()
    });
    wait_until("all tasks have ended", || cluster.queue().is_empty());

    let report = merged(&home, 0);
    let [pictures, done, skipped, failed, undone] = numbers(&report);
    assert_eq!((pictures, failed, undone), (FRAMES as u64, 0, 0), "{report}");
    assert_eq!(done + skipped, FRAMES as u64, "{report}");
    assert!(skipped >= before.len() as u64 && skipped <= before.len() as u64 + 1, "{skipped}: {before:?}");
    assert_whole(&home, FRAMES);

    // Nothing was done twice that was known to be done.
    let mut told: Vec<Value> = Vec::new();
    for task in 0..TASKS {
        told.extend(events(&fs::read(home.path().join(format!("logs/{task}"))).expect("a log")));
    }
    let drawn = drawn(&told);
    assert!(drawn.values().all(|times| *times == 1), "{drawn:?}");
    assert!(drawn.len() >= FRAMES - 1, "{}", drawn.len());
    assert_eq!(before.keys().map(modified).collect::<Vec<_>>(), times);
    eprintln!(
        "task {killed} was killed after {} of its pictures; in the end: {done} drawn, {skipped} already there",
        before.len()
    );

    // Nobody is left, nor does anything remain to be done.
    wait_until("all daemons are gone", || home.daemons().is_empty());
    assert_eq!(home.names("tmp"), Vec::<String>::new());
    let again = draw(&home, &[], &[]);
    assert_eq!(events(&again.stdout).iter().filter(|event| event["event"] == "skipped").count(), FRAMES);
}
