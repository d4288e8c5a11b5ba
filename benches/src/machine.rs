//! What is measured on, and how much of it is taken.

use std::fs;
use std::thread::available_parallelism;

use crate::Error;

/// A line that says what figures depend on.
///
/// # Errors
/// When this system does not say how many processors there are.
pub fn processor() -> Result<String, Error> {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches(['\t', ' ', ':']);
    let cores = available_parallelism()?;
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = kilobytes(&memory, "MemTotal:").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(format!("{cores} cores of {model}, {} GiB, Linux {}", kilobytes >> 20, kernel.trim()))
}

/// How many kilobytes of memory a process holds: `self`, or the one of an id.
///
/// # Errors
/// When there is no such process, or the system does not say.
pub fn resident(process: &str) -> Result<i64, Error> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    kilobytes(&status, "VmRSS:")
        .ok_or_else(|| "this system does not say how much memory a process holds".into())
}

fn kilobytes(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}
