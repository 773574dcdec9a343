//! Measures a rule engine with the rules and the log that AIDR's benchmarks write. See benchmarks/README.md.

use std::time::Duration;

/// A rule engine with its rules.
pub trait Engine {
    /// Parses a record and returns the number of rules that match it.
    fn matches(&mut self, record: &str) -> usize;
}

/// Loads the rules of the first argument, matches every record of the second argument once, which warms up and counts, then
/// measures passes over the log for at least PEER_SECONDS (default: 2) of CPU time, and prints one line of JSON.
pub fn measure<E: Engine>(name: &str, load: impl FnOnce(&str) -> (usize, E)) {
    let args: Vec<String> = std::env::args().collect();
    let rules = std::fs::read_to_string(&args[1]).expect("the rules can be read");
    let log = std::fs::read_to_string(&args[2]).expect("the log can be read");
    let records: Vec<&str> = log.lines().collect();
    let least = std::env::var("PEER_SECONDS").map_or(2.0, |s| s.parse().expect("PEER_SECONDS is a number"));
    let began = cpu();
    let (count, mut engine) = load(&rules);
    let loading = (cpu() - began).as_secs_f64();
    let mut matches = 0;
    for record in &records {
        matches += engine.matches(record);
    }
    let (mut events, began) = (0, cpu());
    let mut seconds = 0.0;
    while events == 0 || seconds < least {
        let mut again = 0;
        for record in &records {
            again += engine.matches(record);
        }
        assert_eq!(again, matches, "each pass has the same matches");
        events += records.len();
        seconds = (cpu() - began).as_secs_f64();
    }
    println!(
        r#"{{"engine":"{name}","rules":{count},"records":{},"matches":{matches},"events":{events},"cpu_seconds":{seconds:.4},"load_seconds":{loading:.3}}}"#,
        records.len()
    );
}

/// The CPU time of all threads of this process.
fn cpu() -> Duration {
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    let of = |t: libc::timeval| Duration::new(t.tv_sec as u64, t.tv_usec as u32 * 1000);
    of(usage.ru_utime) + of(usage.ru_stime)
}
