use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::attribute::{DataType, Encrypt};
use crate::vendor::VendorFormat;

/// Files that exist only here.
struct Shelf(BTreeMap<&'static str, String>);

impl Source for Shelf {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let name = path.to_str().unwrap();
        self.0.get(name).map(|text| text.clone().into_bytes()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

fn shelf(files: &[(&'static str, &str)]) -> (Dictionary, Report) {
    let files = files.iter().map(|(name, text)| (*name, (*text).to_owned())).collect();
    from(&Dictionary::default(), &Shelf(files), Path::new("dictionary"))
}

fn good(text: &str) -> Dictionary {
    let (dictionary, report) = shelf(&[("dictionary", text)]);
    assert_eq!(shown(&report), [""; 0]);
    dictionary
}

fn shown(report: &Report) -> Vec<String> {
    report.errors.iter().map(ToString::to_string).collect()
}

/// The only error of a text, as the operator reads it.
fn error(text: &str) -> String {
    let (_, report) = shelf(&[("dictionary", text)]);
    let shown = shown(&report);
    assert_eq!(shown.len(), 1, "{shown:#?}");
    shown[0].clone()
}

#[test]
fn attributes_of_every_type_and_flag_are_read() {
    let dictionary = good(
        "ATTRIBUTE A1 1 string\nATTRIBUTE A2 2 string encrypt=1\nATTRIBUTE A3 3 octets\n\
         ATTRIBUTE A4 4 octets[16]\nATTRIBUTE A5 5 byte\nATTRIBUTE A6 6 short\nATTRIBUTE A7 7 integer has_tag\n\
         ATTRIBUTE A8 8 integer64\nATTRIBUTE A9 9 signed\nATTRIBUTE A10 10 date\nATTRIBUTE A11 11 ipaddr array\n\
         ATTRIBUTE A12 12 ipv6addr\nATTRIBUTE A13 13 combo-ip\nATTRIBUTE A14 14 ipv4prefix\n\
         ATTRIBUTE A15 15 ipv6prefix\nATTRIBUTE A16 16 ifid\nATTRIBUTE A17 17 ether\nATTRIBUTE A18 18 abinary\n\
         ATTRIBUTE A19 19 tlv\nATTRIBUTE A20 20 octets concat\nATTRIBUTE A26 26 vsa\n\
         ATTRIBUTE A241 241 extended\nATTRIBUTE A245 245 long-extended\nATTRIBUTE A245.26 245.26 evs\n\
         ATTRIBUTE A30 0x1e STRING has_tag,encrypt=2\nattribute A1000 1000 string secret\n\
         ATTRIBUTE A1001 1001 integer virtual\nATTRIBUTE A31 31 uint32\nATTRIBUTE A32 32 string encrypt=3\n",
    );
    let data_type = |name: &str| dictionary.attribute(name).unwrap().data_type();
    let flags = |name: &str| dictionary.attribute(name).unwrap().flags();
    assert_eq!(data_type("a4"), DataType::Octets { exactly: Some(16) });
    assert_eq!(data_type("A30"), DataType::Text);
    assert_eq!(data_type("A31"), DataType::Integer);
    assert_eq!(data_type("A245.26"), DataType::ExtendedVendorSpecific);
    assert_eq!(dictionary.attribute("A30").unwrap().path().numbers[..], [30]);
    assert!(flags("A7").tag && flags("A30").tag && flags("A11").array && flags("A20").concat);
    assert!(flags("A1000").secret && flags("A1001").computed);
    assert_eq!(flags("A2").encrypt, Some(Encrypt::UserPassword));
    assert_eq!(flags("A30").encrypt, Some(Encrypt::TunnelPassword));
    assert_eq!(flags("A32").encrypt, Some(Encrypt::AscendSecret));
    assert!(dictionary.attribute("A1000").unwrap().is_internal());
    assert_eq!(dictionary.attributes().count(), 29);
}

#[test]
fn vendors_have_formats_and_blocks() {
    let dictionary = good(
        "VENDOR Usr 429 format=4,0\nVENDOR WiMAX 24757 format=1,1,c\nVENDOR Plain 99\nVENDOR Also-Plain 99\n\
         BEGIN-VENDOR WiMAX\nATTRIBUTE Cap 1 tlv\nATTRIBUTE Release 1.1 string\nBEGIN-TLV Cap\n\
         ATTRIBUTE Inner 2 tlv\nATTRIBUTE Innermost 2.7 byte\nEND-TLV Cap\nATTRIBUTE Next 2 byte\nEND-VENDOR wimax\n\
         ATTRIBUTE Old-Style 7 string Plain\nATTRIBUTE Big 70000 string Usr\n",
    );
    let format = |number| dictionary.vendor_format(number);
    assert_eq!(format(429), VendorFormat { type_octets: 4, length_octets: 0, continuation: false });
    assert_eq!(format(24757), VendorFormat { type_octets: 1, length_octets: 1, continuation: true });
    assert_eq!(format(99), VendorFormat::RFC);
    assert_eq!(dictionary.vendor("also-plain").unwrap().number(), 99);
    let path = |name: &str| dictionary.attribute(name).unwrap().path().to_string();
    assert_eq!(path("Release"), "26.24757.1.1");
    assert_eq!(path("Innermost"), "26.24757.1.2.7");
    assert_eq!(path("Next"), "26.24757.2");
    assert_eq!(path("Old-Style"), "26.99.7");
    assert_eq!(path("Big"), "26.429.70000");
    assert_eq!(dictionary.attribute_by_number(24757, &[1, 2, 7]).unwrap().name(), "Innermost");
    assert_eq!(dictionary.attribute_by_number(24757, &[1, 2, 8]), None);
}

#[test]
fn extended_vendors_have_a_space_of_their_own() {
    let dictionary = good(
        "ATTRIBUTE E5 245 long-extended\nATTRIBUTE Extended-Vendor-Specific-5 245.26 evs\nVENDOR V 11344\n\
         BEGIN-VENDOR V format=Extended-Vendor-Specific-5\nATTRIBUTE Anonce 1 octets\nEND-VENDOR V\n\
         BEGIN-VENDOR V\nATTRIBUTE Other 1 octets\nEND-VENDOR V\n",
    );
    assert_eq!(dictionary.attribute("Anonce").unwrap().path().to_string(), "245.26.11344.1");
    let carrier = Carrier::ExtendedVendor { attribute: 245, vendor: 11344 };
    assert_eq!(dictionary.attribute_at(carrier, &[1]).unwrap().name(), "Anonce");
    assert_eq!(dictionary.attribute_by_number(11344, &[1]).unwrap().name(), "Other");
}

#[test]
fn values_have_names_also_before_their_attribute_and_by_alias() {
    let dictionary = good(
        "VALUE Kind early 7 # a comment\nATTRIBUTE Kind 6 integer\nVALUE Kind First 1\nVALUE kind Uno 1\n\
         VALUE Kind Large 0x06300001\nATTRIBUTE Other 7 integer\nVALUE-ALIAS Other Kind\n\
         VALUE Server-Config anything 1\n",
    );
    let kind = dictionary.attribute("KIND").unwrap();
    assert_eq!(dictionary.value_number(kind, "EARLY"), Some(7));
    assert_eq!(dictionary.value_number(kind, "First"), Some(1));
    assert_eq!(dictionary.value_name(kind, 1), Some("Uno"));
    assert_eq!(dictionary.value_name(kind, 0x0630_0001), Some("Large"));
    let other = dictionary.attribute("Other").unwrap();
    assert_eq!(dictionary.value_number(other, "uno"), Some(1));
    assert_eq!(dictionary.values(other).count(), 3);
}

#[test]
fn synonyms_share_a_number_and_the_last_is_shown() {
    let dictionary = good("ATTRIBUTE Old 5 integer\nVALUE Old One 1\nATTRIBUTE New 5 integer\n");
    assert_eq!(dictionary.attribute_by_number(0, &[5]).unwrap().name(), "New");
    let (old, new) = (dictionary.attribute("old").unwrap(), dictionary.attribute("new").unwrap());
    assert_eq!(old.path(), new.path());
    assert_eq!(dictionary.value_name(new, 1), Some("One"));
}

#[test]
fn included_files_are_found_beside_the_one_that_includes() {
    let (dictionary, report) = shelf(&[
        ("dictionary", "$INCLUDE sub/one\n$INCLUDE- missing\n$include- two\n"),
        ("sub/one", "$INCLUDE three\nVENDOR V 9\nBEGIN-VENDOR V\n$INCLUDE four\nEND-VENDOR V\n"),
        ("sub/three", "ATTRIBUTE Three 3 string\n"),
        ("sub/four", "ATTRIBUTE Four 4 string\n"),
        ("two", "ATTRIBUTE Two 2 string"),
    ]);
    assert_eq!(shown(&report), [""; 0]);
    assert_eq!((report.files, report.attributes, report.vendors.len()), (5, 3, 1));
    // Blocks don't reach into included files, as in FreeRADIUS.
    assert_eq!(dictionary.attribute("Four").unwrap().path().vendor(), 0);
}

#[test]
fn errors_say_where_what_and_what_would_be_right() {
    for (text, expected) in [
        ("ATTRIBUT A 1 string", "1:1: unknown keyword \"ATTRIBUT\"; did you mean ATTRIBUTE?"),
        (
            "root:x:0:0:root:/root a",
            "1:1: unknown keyword \"root:x:0:0:root:\"...; a line begins with one of ATTRIBUTE, VALUE, VALUE-ALIAS, \
             VENDOR, BEGIN-VENDOR, END-VENDOR, BEGIN-TLV, END-TLV, $INCLUDE, $INCLUDE-",
        ),
        ("STRUCT A 1", "1:1: STRUCT belongs to the dictionaries of FreeRADIUS 4; use those of FreeRADIUS 3"),
        (
            "ATTRIBUTE A 1",
            "1:13: ATTRIBUTE with 2 words after it; write ATTRIBUTE NAME NUMBER TYPE [FLAG,...]",
        ),
        (
            "ATTRIBUTE A:b 1 string",
            "1:11: \"A:b\" can't be a name; use letters, digits and -_./ only, at most 128",
        ),
        (
            "ATTRIBUTE A x string",
            "1:13: \"x\" is no attribute number; write 1, 28.11.5 or 0x1f; no leading zeros",
        ),
        (
            "ATTRIBUTE A 010 string",
            "1:13: \"010\" is no attribute number; write 1, 28.11.5 or 0x1f; no leading zeros",
        ),
        ("ATTRIBUTE A 0 string", "1:13: number 0 doesn't fit; a number from 1 to 16777215 fits here"),
        ("\n\tATTRIBUTE A 1 strin", "2:16: unknown type \"strin\"; did you mean string?"),
        ("ATTRIBUTE A 1 octets[300]", "1:15: \"300\" is no length; give 1 to 253 octets"),
        ("ATTRIBUTE A 1 string has_tags", "1:22: unknown flag \"has_tags\"; did you mean has_tag?"),
        (
            "ATTRIBUTE A 1 string encrypt=4",
            "1:22: \"encrypt=4\" is no way to hide a value; write encrypt=1, 2 or 3",
        ),
        (
            "ATTRIBUTE A 1 date has_tag",
            "1:20: has_tag on another type than string or integer; RFC 2868 has tags for those only",
        ),
        (
            "ATTRIBUTE A 1.2 string",
            "1:13: attribute 1 is not defined; define the attribute around this one first",
        ),
        (
            "ATTRIBUTE A 1 extended",
            "1:15: attribute 1 can't be of type extended; only the attributes 241 to 246 are extended",
        ),
        (
            "VALUE A b 1",
            "1:7: unknown attribute A; define the attribute, or include the dictionary that does",
        ),
        ("VENDOR V 0", "1:10: \"0\" is no vendor's number; give its enterprise number, 1 to 16777215"),
        (
            "VENDOR V 1 format=3,1",
            "1:12: \"3,1\" is no format; write format=T,L or format=1,1,c: T is 1, 2 or 4, L is 0, 1 or 2",
        ),
        ("VENDOR V 1\nVENDOR V 2", "2:10: vendor V is 1 already, here 2; give it another name"),
        ("END-VENDOR V", "1:12: no BEGIN-VENDOR before this; remove this line"),
        ("VENDOR V 1\nBEGIN-VENDOR V", "2:1: BEGIN-VENDOR V is never ended; add END-VENDOR V"),
        ("ATTRIBUTE A 1 tlv\nBEGIN-TLV A", "2:1: BEGIN-TLV A is never ended; add END-TLV A"),
        ("ATTRIBUTE A 1 string\nBEGIN-TLV A\nEND-TLV A", "2:11: A is of type string, not tlv; make it a tlv"),
        ("$INCLUDE x", "1:10: can't read x: entity not found; give a readable file"),
        ("$INCLUDE dictionary", "1:10: dictionary includes itself; remove one $INCLUDE of the circle"),
    ] {
        assert_eq!(error(text), format!("dictionary:{expected}"), "{text}");
    }
}

#[test]
fn contradictions_are_errors() {
    let errors = |text| {
        let (_, report) = shelf(&[("dictionary", text)]);
        report.errors.into_iter().map(|error| (error.line, error.kind)).collect::<Vec<_>>()
    };
    use DictErrorKind::{Block, Duplicate, Flag, Number, Type, Unknown};
    assert_eq!(errors("ATTRIBUTE A 1 string\nATTRIBUTE a 2 string"), [(2, Duplicate)]);
    assert_eq!(errors("ATTRIBUTE A 1 string\nATTRIBUTE A 1 octets"), []);
    assert_eq!(errors("ATTRIBUTE A 1 integer\nVALUE A x 1\nVALUE A X 2"), [(3, Duplicate)]);
    assert_eq!(errors("ATTRIBUTE A 1 byte\nVALUE A x 256"), [(2, Number)]);
    assert_eq!(errors("ATTRIBUTE A 1 string\nVALUE A x 1"), [(2, Type)]);
    assert_eq!(errors("ATTRIBUTE A 1 string\nATTRIBUTE B 1.1 string"), [(2, Type)]);
    assert_eq!(errors("ATTRIBUTE A 1 tlv\nATTRIBUTE B 1.256 string"), [(2, Number)]);
    assert_eq!(errors("ATTRIBUTE A 1 tlv\nATTRIBUTE B 1.2 string has_tag"), [(2, Flag)]);
    assert_eq!(errors("ATTRIBUTE A 1 tlv encrypt=2"), [(1, Flag)]);
    assert_eq!(errors("ATTRIBUTE A 1 string virtual"), [(1, Flag)]);
    assert_eq!(errors("ATTRIBUTE A 1 string concat"), [(1, Flag)]);
    assert_eq!(errors("VENDOR V 1\nVENDOR V 1 format=2,1"), [(2, Duplicate)]);
    assert_eq!(errors("VENDOR V 1 format=2,1\nVENDOR V 1"), []);
    assert_eq!(errors("VENDOR V 1\nBEGIN-VENDOR V\nATTRIBUTE A 256 string\nEND-VENDOR V"), [(3, Number)]);
    assert_eq!(errors("VENDOR V 1\nBEGIN-VENDOR V\nATTRIBUTE A 1 string V\nEND-VENDOR V"), [(3, Flag)]);
    assert_eq!(errors("VENDOR V 1\nBEGIN-VENDOR V\nBEGIN-VENDOR V\nEND-VENDOR V"), [(3, Block)]);
    assert_eq!(errors("VENDOR V 1\nVENDOR W 2\nBEGIN-VENDOR V\nEND-VENDOR W\nEND-VENDOR V"), [(4, Block)]);
    // A block that can't be opened is one error, and what is in it lands nowhere.
    let (dictionary, report) =
        shelf(&[("dictionary", "BEGIN-VENDOR V\nATTRIBUTE A 1 string\nVALUE B c 1\nEND-VENDOR V\n")]);
    assert_eq!(report.errors.iter().map(|error| error.kind).collect::<Vec<_>>(), [Unknown]);
    assert!(dictionary.attribute("A").is_none());
    // Nor does what leans on a refused line repeat its error.
    let lines =
        "ATTRIBUTE T 1.1 tlv\nATTRIBUTE U 1.1.1 tlv\nATTRIBUTE W 1.1.1.1 integer\nVALUE W x 1\nVALUE T y 1\n";
    assert_eq!(errors(lines), [(1, Unknown)]);
}

#[test]
fn all_errors_are_reported_at_once_and_bounded() {
    let (_, report) = shelf(&[("dictionary", "X\nATTRIBUTE A 1 string\nY\nVALUE A\n")]);
    assert_eq!(report.errors.iter().map(|error| error.line).collect::<Vec<_>>(), [1, 3, 4]);
    assert_eq!(report.attributes, 1);
    let (_, report) = shelf(&[("dictionary", &"X\n".repeat(5000))]);
    assert_eq!(report.errors.len(), ERRORS_MAX);
}

#[test]
fn an_operators_file_wins_over_what_is_known_but_not_over_itself() {
    let base = good("ATTRIBUTE A 1 integer\nVALUE A one 1\nVENDOR V 9\nATTRIBUTE B 2 string\n");
    let mut dictionary = base.clone();
    dictionary
        .extend_from_text(
            "site",
            "ATTRIBUTE A 1 integer\nATTRIBUTE B 300 string\nVALUE A one 2\nVENDOR V 9 format=2,1",
        )
        .unwrap();
    assert_eq!(dictionary.attribute("B").unwrap().path().numbers[..], [300]);
    assert_eq!(dictionary.attribute_by_number(0, &[2]), None);
    let a = dictionary.attribute("A").unwrap();
    assert_eq!((dictionary.value_number(a, "one"), dictionary.value_name(a, 1)), (Some(2), None));
    assert_eq!(dictionary.vendor_format(9).type_octets, 2);
    let (_, report) = text_on_top(&base, "site", "ATTRIBUTE B 300 string\nATTRIBUTE B 301 string\n");
    assert_eq!((report.redefined, report.errors.len()), (1, 1));
    let (_, report) = text_on_top(&base, "site", "VALUE A one 2\nVALUE A one 3\n");
    assert_eq!((report.redefined, report.errors.len()), (1, 1));
    // Nothing changes when there is an error.
    let mut dictionary = base;
    assert!(dictionary.extend_from_text("site", "ATTRIBUTE C 3 string\nX\n").is_err());
    assert!(dictionary.attribute("C").is_none());
}

#[test]
fn latin_1_in_comments_is_no_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dictionary");
    std::fs::write(&path, b"# caf\xe9\r\nATTRIBUTE A 1 string # na\xefve\r\n").unwrap();
    assert!(Dictionary::load(&path).unwrap().attribute("A").is_some());
    let errors = Dictionary::load(folder.path().join("none")).unwrap_err();
    assert_eq!((errors.len(), errors[0].line), (1, 0));
}

/// Lines of the format's own words in any order, where a parser is most easily led astray.
fn line() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        prop::sample::select(KEYWORDS.to_vec()).prop_map(str::to_owned),
        prop::sample::select(vec![
            "string",
            "octets[3]",
            "octets[",
            "tlv",
            "evs",
            "extended",
            "integer",
            "vsa"
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec!["has_tag,encrypt=2", "format=", "format=1,1,c", "format=A", "#", ",", "="])
            .prop_map(str::to_owned),
        prop::sample::select(vec!["A", "B", "C", "dictionary"]).prop_map(str::to_owned),
        prop::sample::select(vec!["1", "26", "245", "245.26", "1.1", "0x1", "0", "4294967295", "1..1", "9"])
            .prop_map(str::to_owned),
        "\\PC{0,6}",
    ];
    prop::collection::vec(word, 0..6).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(lines in prop::collection::vec(line(), 0..40)) {
        let (dictionary, report) = text_on_top(&Dictionary::default(), "any", &lines.join("\n"));
        prop_assert!(report.errors.iter().all(|error| !error.what.is_empty() && error.line > 0 && error.column > 0));
        for attribute in dictionary.attributes() {
            prop_assert!(dictionary.attribute(attribute.name()).is_some());
            prop_assert!(dictionary.attribute_at(attribute.path().carrier, &attribute.path().numbers).is_some());
        }
    }

    #[test]
    fn no_octets_make_the_parser_panic(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        struct Octets(Vec<u8>);
        impl Source for Octets {
            fn read(&self, _: &Path) -> io::Result<Vec<u8>> { Ok(self.0.clone()) }
        }
        from(&Dictionary::default(), &Octets(octets), Path::new("dictionary"));
    }
}
