//! Debian's freeradius-common: every dictionary loads, or is refused for a reason that is true; and what ours say is
//! what theirs say. The folder must be there (`make test` installs it): without it these tests fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use forewarn_dict::{DictError, DictErrorKind, Dictionary, check};

const FOLDER: &str = "/usr/share/freeradius";

/// All dictionary files, by name.
fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir(FOLDER).expect("freeradius-common is installed");
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("dictionary"))
        .collect();
    files.sort();
    assert!(files.len() >= 200, "only {} dictionaries in {FOLDER}", files.len());
    files
}

/// What a file and those it includes say, read without the code under test: rows of words, comments left out.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    let mut rows = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap();
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        match words.as_slice() {
            [] => {}
            [keyword, file] if keyword.eq_ignore_ascii_case("$INCLUDE") => {
                rows.extend(self::rows(&path.with_file_name(file)));
            }
            _ => rows.push(words),
        }
    }
    rows
}

/// The names defined by one keyword, in lower case.
fn names<'a>(rows: &'a [Vec<String>], keyword: &'a str) -> impl Iterator<Item = String> + 'a {
    rows.iter().filter(move |row| row[0].eq_ignore_ascii_case(keyword)).map(|row| row[1].to_ascii_lowercase())
}

/// Holds a refusal against the file itself. The only true reason there is: the file leans on another one, which it
/// doesn't include.
fn assert_true_reason(error: &DictError, rows: &[Vec<String>], known: &Dictionary) {
    assert_eq!(error.kind, DictErrorKind::Unknown, "{error}");
    assert!(error.line > 0 && error.column > 0, "{error}");
    let words: Vec<&str> = error.what.split(' ').collect();
    match words[..] {
        ["unknown", "attribute", name] => {
            let defined = names(rows, "ATTRIBUTE").any(|other| other == name.to_ascii_lowercase());
            assert!(!defined && known.attribute(name).is_none(), "{error}");
        }
        ["unknown", "vendor", name] => {
            let defined = names(rows, "VENDOR").any(|other| other == name.to_ascii_lowercase());
            assert!(!defined && known.vendor(name).is_none(), "{error}");
        }
        ["attribute", number, "is", "not", "defined"] => {
            let defined = rows.iter().any(|row| row[0] == "ATTRIBUTE" && row[2] == number);
            let outer: Vec<u32> = number.split('.').map(|part| part.parse().unwrap()).collect();
            assert!(!defined, "{error}");
            assert_eq!(known.attribute_by_number(0, &outer), None, "{error}");
        }
        _ => panic!("a reason nobody checks: {error}"),
    }
}

#[test]
fn the_whole_tree_loads_and_nothing_is_lost() {
    let root = Path::new(FOLDER).join("dictionary");
    let dictionary = Dictionary::load(&root).unwrap_or_else(|errors| panic!("{errors:#?}"));
    let rows = rows(&root);
    let attributes: BTreeSet<String> = names(&rows, "ATTRIBUTE").collect();
    let vendors: BTreeSet<String> = names(&rows, "VENDOR").collect();
    assert!(attributes.len() > 7000 && vendors.len() > 180, "{} {}", attributes.len(), vendors.len());
    assert_eq!(dictionary.attributes().count(), attributes.len());

    let mut vendor: Option<&str> = None;
    let mut values: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in &rows {
        let words: Vec<&str> = row.iter().map(String::as_str).collect();
        match words[..] {
            ["BEGIN-VENDOR", name, ..] => vendor = Some(name),
            ["END-VENDOR", ..] => vendor = None,
            ["VENDOR", name, number, ..] => {
                assert_eq!(
                    dictionary.vendor(name).map(forewarn_dict::Vendor::number),
                    number.parse().ok(),
                    "{row:?}"
                );
            }
            ["ATTRIBUTE", name, numbers, data_type, ..] => {
                let attribute = dictionary.attribute(name).unwrap_or_else(|| panic!("{name} is lost"));
                let number = vendor.map_or(0, |name| dictionary.vendor(name).unwrap().number());
                assert_eq!(attribute.path().vendor(), number, "{row:?}");
                let dotted =
                    attribute.path().numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(".");
                assert!(numbers.starts_with("0x") || dotted == numbers, "{row:?} became {dotted}");
                let shown = attribute.data_type().to_string();
                assert!(shown.eq_ignore_ascii_case(data_type), "{row:?} became {shown}");
            }
            ["VALUE", attribute, name, number] => {
                let number = match number.strip_prefix("0x") {
                    Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
                    None => number.parse().unwrap(),
                };
                values.insert((attribute.to_ascii_lowercase(), name.to_ascii_lowercase()), number);
            }
            ref other => panic!("a line this test doesn't know: {other:?}"),
        }
    }
    for ((attribute, name), number) in &values {
        let found = dictionary.value_number(dictionary.attribute(attribute).unwrap(), name);
        assert_eq!(found, Some(*number), "{attribute} {name}");
    }
}

#[test]
fn each_file_alone_loads_or_is_refused_for_a_true_reason() {
    let nothing = Dictionary::default();
    let mut refused = Vec::new();
    for file in files() {
        let Err(errors) = Dictionary::load(&file) else { continue };
        let rows = rows(&file);
        errors.iter().for_each(|error| assert_true_reason(error, &rows, &nothing));
        refused.push(file);
    }
    assert!(refused.len() < 40, "{refused:#?}");
}

/// As `forewarn dict check` reads them: on top of ours.
#[test]
fn each_file_on_top_of_ours_loads_or_is_refused_for_a_true_reason() {
    let mut refused = BTreeMap::new();
    for file in files() {
        let report = check(std::slice::from_ref(&file));
        let rows = rows(&file);
        report.errors.iter().for_each(|error| assert_true_reason(error, &rows, Dictionary::embedded()));
        if !report.is_good() {
            refused.insert(file.file_name().unwrap().to_string_lossy().into_owned(), report.errors.len());
        }
    }
    // FreeDHCP-Opcode has no ATTRIBUTE anywhere in the folder.
    assert_eq!(refused, BTreeMap::from([("dictionary.freedhcp".to_owned(), 2)]));
}

#[test]
fn a_folder_stands_for_its_tree() {
    let report = check(&[PathBuf::from(FOLDER)]);
    assert!(report.is_good(), "{:#?}", report.errors);
    assert!(report.files > 200 && report.vendors.len() > 180, "{} {}", report.files, report.vendors.len());
    assert!(report.attributes > 7000 && report.values > 7900, "{} {}", report.attributes, report.values);
}

/// Names are FreeRADIUS's, so what they mean must be too, except where ours says why not.
#[test]
fn ours_say_what_theirs_say() {
    let ours = Dictionary::embedded();
    let theirs = Dictionary::load(Path::new(FOLDER).join("dictionary")).unwrap();
    // RFC 5090 has its own numbers; FreeRADIUS has those of the drafts before it, as attributes of its own.
    let on_purpose = |name: &str| name.starts_with("Digest-");
    let mut compared = 0;
    for attribute in ours.attributes().filter(|attribute| !on_purpose(attribute.name())) {
        let Some(other) = theirs.attribute(attribute.name()) else { continue };
        assert_eq!(attribute, other);
        assert_eq!(
            ours.vendor_format(attribute.path().vendor()),
            theirs.vendor_format(attribute.path().vendor()),
            "{attribute:?}"
        );
        let shown = ours.attribute_at(attribute.path().carrier, &attribute.path().numbers).unwrap();
        assert!(theirs.attribute(shown.name()).is_some(), "{shown:?}");
        // FreeRADIUS's modules add theirs when they are loaded.
        let added_later =
            |name: &str| attribute.name() == "Auth-Type" && theirs.value_number(other, name).is_none();
        for (number, name) in ours.values(attribute).filter(|(_, name)| !added_later(name)) {
            assert_eq!(theirs.value_number(other, name), Some(number), "{} {name}", attribute.name());
        }
        compared += 1;
    }
    assert!(compared > 3000, "{compared}");
}

/// What an operator sees.
#[test]
fn the_command_reports_counts_or_every_error_with_its_place() {
    let good = run(&["dict", "check", FOLDER]);
    assert!(good.0, "{}", good.1);
    let words: Vec<&str> = good.1.split(' ').collect();
    assert_eq!((words[0], words[2], words[4], words[6]), ("good:", "files,", "vendors,", "attributes,"));
    assert!(words[5].parse::<u32>().unwrap() > 7000, "{}", good.1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("site");
    fs::write(&file, "ATTRIBUTE\tSite-Room\t3000\tstrin\n\nVALUE\tService-Tpe\tGuest\t99\n").unwrap();
    let (success, shown) = run(&["dict", "check", file.to_str().unwrap()]);
    assert!(!success);
    let file = file.display();
    assert!(
        shown.contains(&format!("{file}:1:26: unknown type \"strin\"; did you mean string?\n")),
        "{shown}"
    );
    let value = format!("{file}:3:7: unknown attribute Service-Tpe; did you mean Service-Type?\n");
    assert!(shown.contains(&value), "{shown}");
}

/// Runs `forewarn`: whether it succeeded, and all it printed.
fn run(arguments: &[&str]) -> (bool, String) {
    let output = forewarn_tests::program::forewarn(Path::new("."), arguments);
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}
