//! Tables and charts.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use service_registry_benches::Error;
use service_registry_benches::chart::{Chart, Line, Scale};

use crate::CROWD;
use crate::load::{Observed, Outcome, Work, as_number};

/// How much longer than unloaded accepted requests may take under the most load, by their median.
const MOST_TIMES: f64 = 3.0;
/// How much more memory, in percent, may be held after the most load than after the most that can be carried.
const FLAT: f64 = 10.0;

/// What became of one kind of request under all loads.
pub(crate) struct Curve {
    pub(crate) work: Work,
    /// How many services there were before.
    pub(crate) services: u64,
    /// The median of those that came one at a time, in milliseconds.
    pub(crate) median: f64,
    /// How many in a second the server can carry.
    pub(crate) most: f64,
    /// How many kilobytes it held then.
    pub(crate) before: i64,
    pub(crate) steps: Vec<Step>,
    /// What came of a crowd of which each asks again as soon as it is answered or refused.
    pub(crate) crowd: Observed,
    /// Half a load, right after that.
    pub(crate) recovery: Observed,
    pub(crate) unloaded_after: Observed,
}

/// One load.
pub(crate) struct Step {
    pub(crate) times: f64,
    pub(crate) observed: Observed,
    pub(crate) resident: i64,
}

/// Writes the tables and charts to a directory.
pub(crate) fn write(directory: &Path, curves: &[Curve], machine: &str, command: &str) -> Result<(), Error> {
    fs::create_dir_all(directory)?;
    fs::write(directory.join("overload-latency.svg"), latency(curves).svg())?;
    fs::write(directory.join("overload-throughput.svg"), throughput(curves).svg())?;
    let mut text = markdown(curves, machine, command);
    text.push_str("\n![latency](overload-latency.svg)\n\n![throughput](overload-throughput.svg)\n");
    fs::write(directory.join("overload.md"), text)?;
    Ok(())
}

/// The tables.
pub(crate) fn markdown(curves: &[Curve], machine: &str, command: &str) -> String {
    let mut text = format!(
        "# Overload\n\nMade by `{command}`, whole: do not edit. A server on SQLite with one processor to itself and its defaults, without rate \
         limits; whoever asks has another. Requests come at random moments, whether the server keeps up or not, and are counted from when they were \
         due. *Carried* is what it answers when 32 ask again as soon as they are answered.\n\n* {machine}\n"
    );
    for curve in curves {
        let _ = writeln!(text, "\n## {}\n", heading(curve));
        verdicts(&mut text, curve);
        table(&mut text, curve);
    }
    text
}

fn heading(curve: &Curve) -> String {
    match curve.work {
        Work::List => format!("Pages of twenty services, from anywhere in {}", curve.services),
        Work::Create => "Creates, each on disk before it is answered".to_owned(),
    }
}

fn verdicts(text: &mut String, curve: &Curve) {
    let Some(last) = curve.steps.last() else { return };
    let twice = curve.steps.iter().find(|step| step.times >= 2.0).unwrap_or(last);
    let _ = writeln!(text, "| | target | measured | |\n|---|---|---|---|");
    let mut row = |what: &str, target: &str, measured: String, is_met: bool| {
        let verdict = if is_met { "met" } else { "**missed**" };
        let _ = writeln!(text, "| {what} | {target} | {measured} | {verdict} |");
    };
    let median = Observed::median(&last.observed.latencies());
    row(
        &format!("median of what is accepted at {} ×, against unloaded", last.times),
        &format!("≤ {MOST_TIMES} ×"),
        format!("{:.2} ×: {median:.2} against {:.2} ms", median / curve.median, curve.median),
        median <= MOST_TIMES * curve.median,
    );
    let (refused, failed) = (last.observed.count(Outcome::Refused), last.observed.count(Outcome::Failed));
    row(
        "the surplus is answered 503 with `Retry-After`",
        "all",
        format!("{refused} refused, {failed} anything else"),
        failed == 0,
    );
    let accepted = last.observed.accepted_per_second();
    row(
        &format!("what is accepted at {} ×, against what it can carry", last.times),
        "–",
        format!("{:.2} ×: {accepted:.0} against {:.0}/s", accepted / curve.most, curve.most),
        true,
    );
    let served = curve.crowd.accepted_per_second();
    row(
        &format!(
            "what {CROWD} are given who ask again as soon as they are answered or refused, against what it can carry"
        ),
        "–",
        format!("{:.2} ×: {served:.0} against {:.0}/s", served / curve.most, curve.most),
        true,
    );
    let (most, before) = (megabytes(last.resident), megabytes(twice.resident));
    let grown = most / before * 100.0 - 100.0;
    row(
        &format!("memory after {} × the load, against after {} ×", last.times, twice.times),
        &format!("≤ {FLAT} % more"),
        format!("{grown:+.1} %: {most:.0} against {before:.0} MB"),
        grown <= FLAT,
    );
    let again = curve.recovery.answered.iter().filter(|answered| answered.outcome != Outcome::Accepted);
    let recovered = again.map(|answered| answered.at * 1e3 + answered.milliseconds).fold(0.0, f64::max);
    row(
        "how long after the load fell to a half the last request was refused",
        "at once",
        format!(
            "{recovered:.0} ms ({} of {})",
            curve.recovery.count(Outcome::Refused),
            curve.recovery.answered.len()
        ),
        recovered <= 1000.0,
    );
    let after = Observed::median(&curve.unloaded_after.latencies());
    row("unloaded again, against before", "–", format!("{:.2} ×: {after:.2} ms", after / curve.median), true);
}

fn table(text: &mut String, curve: &Curve) {
    let _ = writeln!(
        text,
        "\n| load | asked /s | accepted /s | refused /s | median ms | against unloaded | 99 % ms | refused: median ms | memory MB |\n\
         |---|---|---|---|---|---|---|---|---|"
    );
    let _ = writeln!(
        text,
        "| one at a time | | | | {:.2} | 1 × | | | {:.0} |",
        curve.median,
        megabytes(curve.before)
    );
    for Step { times, observed, resident } in &curve.steps {
        let accepted = observed.latencies();
        let refused = observed.latencies_of(Outcome::Refused);
        let asked = as_number(observed.answered.len()) / observed.seconds;
        let median = Observed::median(&accepted);
        let late =
            if observed.lag > 50.0 { format!(" (up to {:.0} ms late)", observed.lag) } else { String::new() };
        let _ = writeln!(
            text,
            "| {times} × | {asked:.0}{late} | {:.0} | {:.0} | {median:.2} | {:.2} × | {:.1} | {} | {:.0} |",
            observed.accepted_per_second(),
            observed.per_second(Outcome::Refused),
            median / curve.median,
            Observed::quantile(&accepted, 99),
            if refused.is_empty() { "–".to_owned() } else { format!("{:.1}", Observed::median(&refused)) },
            megabytes(*resident),
        );
    }
}

fn megabytes(kilobytes: i64) -> f64 {
    f64::from(i32::try_from(kilobytes).unwrap_or(i32::MAX)) / 1024.0
}

/// A line over all loads, without those at which there is nothing.
fn line(name: String, curve: &Curve, is_dashed: bool, value: impl Fn(&Step) -> f64) -> Line {
    let points = curve.steps.iter().map(|step| (step.times, value(step)));
    Line { name, is_dashed, points: points.filter(|(_, value)| *value > 0.0).collect() }
}

const ACROSS: (&str, Scale) = ("requests, in multiples of what the server can carry", Scale::Times(4));

fn latency(curves: &[Curve]) -> Chart {
    let mut lines = Vec::new();
    for curve in curves {
        let quantile = |percent| move |step: &Step| Observed::quantile(&step.observed.latencies(), percent);
        lines.push(line(format!("{}: median", curve.work), curve, false, quantile(50)));
        lines.push(line(format!("{}: 99 %", curve.work), curve, false, quantile(99)));
        let bound = MOST_TIMES * curve.median;
        lines.push(line(format!("{}: 3 × unloaded", curve.work), curve, true, |_| bound));
    }
    Chart { title: "How long accepted requests take".into(), across: ACROSS, unit: "ms", lines }
}

fn throughput(curves: &[Curve]) -> Chart {
    let mut lines = Vec::new();
    for curve in curves {
        lines.push(line(format!("{}: accepted", curve.work), curve, false, |step| {
            step.observed.accepted_per_second()
        }));
        let refused = |step: &Step| step.observed.per_second(Outcome::Refused);
        lines.push(line(format!("{}: refused", curve.work), curve, true, refused));
    }
    Chart { title: "Requests answered".into(), across: ACROSS, unit: "/s", lines }
}
