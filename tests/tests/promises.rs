//! Every promise in the documentation of the three traits names the cases that hold a store to it, and every case is named.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use store_conformance::CASES;

/// A trait, or a method of one, and the lines of its documentation.
#[derive(Debug)]
struct Documented {
    name: String,
    doc: Vec<String>,
}

/// The traits of a source text, and their methods.
fn documented(source: &str) -> Vec<Documented> {
    let mut found = Vec::new();
    let mut doc = Vec::new();
    let mut within = None;
    for line in source.lines() {
        let code = line.trim();
        if let Some(text) = code.strip_prefix("///") {
            doc.push(text.strip_prefix(' ').unwrap_or(text).to_owned());
            continue;
        }
        let name_after = |keyword: &str| {
            let rest = code.strip_prefix(keyword)?;
            Some(rest.split(|char: char| !char.is_alphanumeric() && char != '_').next()?.to_owned())
        };
        if let Some(name) = name_after("pub trait ") {
            found.push(Documented { name: name.clone(), doc: std::mem::take(&mut doc) });
            within = Some(name);
        } else if let (Some(name), Some(of)) =
            (name_after("async fn ").or_else(|| name_after("fn ")), &within)
        {
            found.push(Documented { name: format!("{of}::{name}"), doc: std::mem::take(&mut doc) });
        } else if line == "}" {
            within = None;
        }
        if !code.starts_with("#[") {
            doc.clear();
        }
    }
    found
}

/// What is wrong with the promises of a source text, given the names of the cases there are.
///
/// Documentation is one sentence that says what the thing is for, a list of promises, each of which ends with its cases in parentheses,
/// and perhaps a section on errors.
fn faults(source: &str, cases: &[&str]) -> String {
    let mut faults = String::new();
    let mut named = BTreeSet::new();
    for Documented { name, doc } in documented(source) {
        let mut promises: Vec<String> = Vec::new();
        let mut summary = String::new();
        let mut blank = false;
        for line in doc.iter().take_while(|line| *line != "# Errors") {
            if let Some(promise) = line.strip_prefix("* ") {
                promises.push(promise.to_owned());
            } else if let (Some(promise), Some(more)) = (promises.last_mut(), line.strip_prefix("  ")) {
                promise.push(' ');
                promise.push_str(more.trim());
            } else if line.is_empty() {
                blank = true;
            } else if promises.is_empty() && !blank {
                summary.push_str(line);
                summary.push(' ');
            } else {
                writeln!(faults, "{name}: `{line}` is no item of the list of promises").unwrap();
            }
        }
        if summary.is_empty() {
            writeln!(faults, "{name}: nothing says what it is for").unwrap();
        }
        // What else it says would be a promise without a case.
        if summary.trim_end().trim_end_matches('.').contains(". ") {
            writeln!(faults, "{name}: what it is for takes more than one sentence").unwrap();
        }
        if promises.is_empty() {
            writeln!(faults, "{name}: no promise").unwrap();
        }
        for promise in promises {
            let list = promise.strip_suffix(')').and_then(|promise| promise.rsplit_once(" ("));
            let Some((_, list)) = list.filter(|(_, list)| list.starts_with('`')) else {
                writeln!(faults, "{name}: no case holds a store to `{promise}`").unwrap();
                continue;
            };
            for case in list.split(", ") {
                let case = case.trim_matches('`');
                if !cases.contains(&case) {
                    writeln!(faults, "{name}: there is no case `{case}`").unwrap();
                }
                named.insert(case.to_owned());
            }
        }
    }
    for case in cases.iter().filter(|case| !named.contains(**case)) {
        writeln!(faults, "no promise names the case `{case}`").unwrap();
    }
    faults
}

fn source() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/service-core/src/repository.rs");
    std::fs::read_to_string(path).expect("the traits")
}

fn cases() -> Vec<&'static str> {
    CASES.iter().map(|case| case.name).collect()
}

#[test]
fn every_promise_has_a_case_and_every_case_a_promise() {
    assert_eq!(faults(&source(), &cases()), "");
}

#[test]
fn all_three_traits_and_all_their_methods_are_looked_at() {
    let source = source();
    let names: Vec<String> = documented(&source).into_iter().map(|documented| documented.name).collect();
    for wanted in
        ["Repository", "Access", "Operations", "Repository::commit", "Access::standing", "Operations::check"]
    {
        assert!(names.iter().any(|name| name == wanted), "{names:?}");
    }
    let traits = &source[source.find("pub trait Repository").expect("the first trait")..];
    assert_eq!(names.len(), traits.matches("async fn ").count() + traits.matches("pub trait ").count());
}

/// The source with one piece of it replaced.
fn doctored(from: &str, to: &str) -> String {
    let source = source();
    assert!(source.contains(from), "{from}");
    source.replacen(from, to, 1)
}

#[test]
fn a_promise_in_the_summary_is_found() {
    let sentence = "Tells whether the store is in maintenance.";
    let more = format!("{sentence} It is sorted by colour.");
    let faults = faults(&doctored(sentence, &more), &cases());
    assert!(faults.contains("more than one sentence"), "{faults}");
}

#[test]
fn a_promise_without_a_case_is_found() {
    let with = "    /// * It is sorted by colour.\n    ///\n    /// # Errors\n";
    let faults = faults(&doctored("    ///\n    /// # Errors\n", with), &cases());
    assert_eq!(faults, "Repository::facts: no case holds a store to `It is sorted by colour.`\n");
}

#[test]
fn a_promise_outside_of_the_list_is_found() {
    let with = "    ///\n    /// It is sorted by colour.\n    ///\n    /// # Errors\n";
    let faults = faults(&doctored("    ///\n    /// # Errors\n", with), &cases());
    assert_eq!(faults, "Repository::facts: `It is sorted by colour.` is no item of the list of promises\n");
}

#[test]
fn a_case_that_is_not_in_the_suite_is_found() {
    let faults = faults(&doctored("`facts::are_what_the_model_says`", "`facts::are_nice`"), &cases());
    assert_eq!(
        faults,
        "Repository::facts: there is no case `facts::are_nice`\n\
         no promise names the case `facts::are_what_the_model_says`\n"
    );
}

#[test]
fn a_case_that_no_promise_names_is_found() {
    let cases = [cases(), vec!["facts::come_in_rainbows"]].concat();
    assert_eq!(faults(&source(), &cases), "no promise names the case `facts::come_in_rainbows`\n");
}

#[test]
fn a_method_without_a_promise_is_found() {
    let with = "    /// Counts.\n    async fn count(&self) -> usize;\n\n    /// Reads the LLMs that the store knows.\n";
    let source = doctored("    /// Reads the LLMs that the store knows.\n", with);
    assert_eq!(faults(&source, &cases()), "Repository::count: no promise\n");
    let source = doctored(
        "    /// Reads the LLMs that the store knows.\n",
        "    async fn count(&self) -> usize;\n\n    /// Reads.\n",
    );
    assert_eq!(
        faults(&source, &cases()),
        "Repository::count: nothing says what it is for\nRepository::count: no promise\n"
    );
}
