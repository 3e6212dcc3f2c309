//! The threads that networks run on. A process starts them once, so that there is one test.

#[cfg(target_os = "linux")]
#[test]
fn each_thread_keeps_to_a_processor_of_its_own() {
    use rustix::thread::{CpuSet, sched_getaffinity};

    let processors = || {
        let usable = sched_getaffinity(None).expect("a set");
        (0..CpuSet::MAX_CPU).filter(|i| usable.is_set(*i)).collect::<Vec<_>>()
    };
    let all = processors();
    utsushi_engine::start_threads(None).expect("threads");
    assert_eq!(rayon::current_num_threads(), all.len());
    let mut own = rayon::broadcast(|_| processors());
    own.sort();
    assert_eq!(own, all.iter().map(|i| vec![*i]).collect::<Vec<_>>());
    assert_eq!(processors(), all, "whoever starts them keeps all");
    utsushi_engine::start_threads(None).expect_err("they run already");
}
