//! `forewarn dict check`

use std::path::PathBuf;
use std::process::ExitCode;

use forewarn_shell::log::escaped;

/// Loads files and folders as the server would, and reports what they define and every error.
pub(super) fn check(paths: &[PathBuf]) -> ExitCode {
    let report = forewarn_dict::check(paths);
    for error in &report.errors {
        eprintln!("{}", escaped(&error.to_string()));
    }
    let counts = format!(
        "{} files, {} vendors, {} attributes, {} values",
        report.files,
        report.vendors.len(),
        report.attributes,
        report.values
    );
    if report.is_good() {
        println!("good: {counts}");
        ExitCode::SUCCESS
    } else {
        println!("{} errors: {counts}", report.errors.len());
        ExitCode::FAILURE
    }
}
