//! `forewarn dict check`

use std::path::PathBuf;
use std::process::ExitCode;

use forewarn_shell::log::escaped;

use super::screen;

/// Loads files and folders as the server would, and reports what they define and every error.
pub(super) fn check(paths: &[PathBuf]) -> ExitCode {
    let report = forewarn_dict::check(paths);
    for error in &report.errors {
        eprintln!("{}", escaped(&error.to_string()));
    }
    let mut counts = format!(
        "{} files, {} vendors, {} attributes, {} values",
        report.files,
        report.vendors.len(),
        report.attributes,
        report.values
    );
    if report.redefined > 0 {
        counts.push_str(&format!("; {} names mean something else than in ours", report.redefined));
    }
    if report.is_good() {
        screen::say(&format!("good: {counts}"));
        ExitCode::SUCCESS
    } else {
        screen::say(&format!("{} errors: {counts}", report.errors.len()));
        ExitCode::FAILURE
    }
}
