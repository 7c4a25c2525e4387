//! What conditions see.

use allocation_counter::measure;

use super::*;

/// The condition of docs/examples/server.toml.
const EXAMPLE: &str = r#"client.group.startsWith("wifi/") && "staff" in user.groups"#;

#[test]
fn the_example_of_the_specification_holds_for_staff_on_wifi_only() {
    let condition = compile(EXAMPLE).unwrap();
    for (group, groups, expected) in [
        ("wifi/branch-3", &["staff"][..], true),
        ("wifi/branch-3", &["guests", "staff"], true),
        ("wifi/branch-3", &["guests"], false),
        ("wifi/branch-3", &[], false),
        ("wired/branch-3", &["staff"], false),
        ("", &["staff"], false),
    ] {
        let held = with_facts(&ask(), groups, group, |facts| condition.holds(facts));
        assert_eq!(held, Ok(expected), "{group}");
    }
}

#[test]
fn every_fact_can_be_looked_at() {
    for (name, _) in Fact::ALL {
        assert_eq!(holds(&format!("{name} == {name}")), Ok(true), "{name}");
    }
    for (name, attribute) in Fact::ATTRIBUTES {
        assert_eq!(holds(&format!("{name} == request[\"{attribute}\"]")), Ok(true), "{name}");
    }
}

#[test]
fn facts_are_what_they_are() {
    for source in [
        r#"request.called_station_id.endsWith(":corp") && request.nas_port_type == 19"#,
        r#"client.address == "127.0.0.21" && request.nas_ip_address == "192.0.2.1""#,
        r#"request.nas_port == -1 && request.nas_identifier == """#,
        r#"user.name == request.user_name && request.method == "pap""#,
        r#"user.realm == "example.org" && request.realm == "example.org" && user.source == "sql""#,
        r#"size(user.groups) == 2 && user.groups[1] == "admin" && user.groups.size() == 2"#,
        r#"user.groups.exists(group, group.startsWith("adm"))"#,
        r#"user.groups.all(group, group != "guests") && user.groups.exists_one(group, group == "admin")"#,
        r#"user.name in ["alice@example.org", "bob"] ? true : false"#,
        r#"!(client.name.contains("x") || request.nas_port_type < 19)"#,
        r#"string(request.nas_port_type) + "!" == "19!" && int("7") == 7"#,
        "session.count == 2 && has(session.count) && !has(request.nas_port) && has(request.nas_port_type)",
        // Half past midnight on Tuesday, two hours east of Greenwich.
        r#"time.hour == 0 && time.minute == 30 && time.weekday == 2 && time.weekday == "tuesday""#,
        r#"time.date == "2026-03-10" && time.clock == "00:30" && time.now == 1773095415"#,
        r#"time.utc.hour == 22 && time.utc.date < time.date && time.utc.weekday == "monday""#,
        r#"!(time.clock >= "08:00" && time.clock < "18:00") && time.weekday in ["monday", "tuesday"]"#,
    ] {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
}

#[test]
fn every_attribute_can_be_looked_at() {
    for source in [
        r#"request["NAS-Port-Type"] == "Wireless-802.11" && request["nas-port-type"] == 19"#,
        r#"request["NAS-Port-Type"] != "Ethernet" && "Wireless-802.11" == request.nas_port_type"#,
        r#"request.nas_port_type in ["Ethernet", "Wireless-802.11"] && !(request.nas_port_type in [15])"#,
        r#"request["NAS-IP-Address"] == "192.0.2.1" && request["Framed-IP-Address"] == """#,
        r#"request["Cisco-AVPair"] == "ssid=corp" && request.all["Cisco-AVPair"] == ["ssid=corp", "vlan=7"]"#,
        r#"request.all["Cisco-AVPair"].exists(pair, pair.startsWith("vlan="))"#,
        r#""vlan=7" in request.all["Cisco-AVPair"] && size(request.all["Cisco-AVPair"]) == 2"#,
        r#"request.all["Filter-Id"] == [] && size(request.all["Filter-Id"]) == 0"#,
        r#"request["Attr-26.9.1"] == "ssid=corp" && request["Attr-61"] == 19"#,
        r#""NAS-Port-Type" in request && !("NAS-Port" in request) && "Cisco-AVPair" in request"#,
        r#"!("NAS-Port" in request) ? true : request["NAS-Port"] > 5"#,
        r#"request["Tunnel-Type"] == "VLAN" && request["Tunnel-Type:2"] == "L2TP" && !("Tunnel-Type:3" in request)"#,
        r#"request.all["Tunnel-Type"].all(kind, kind in ["VLAN", "L2TP"])"#,
        r#"request["Class"] == "0xcafe""#,
        r#"request.nas_port_id.matches("^caf. [0-9]$") && size(request.nas_port_id) == 6"#,
        r#"request["Calling-Station-Id"].lowerAscii().replace("-", ":") == "aa:bb:cc:dd:ee:ff""#,
        r#"request.called_station_id.split(":")[1] == "corp" && request.called_station_id.indexOf(":") == 17"#,
        r#"request.called_station_id.substring(18) == "corp" && "abc".substring(1, 2) == "b""#,
    ] {
        assert_eq!(holds(source), Ok(true), "{source}");
    }
}

#[test]
fn attributes_are_found_wherever_they_stand() {
    let dictionary = Dictionary::embedded();
    for (name, value, seen) in [
        ("User-Name", "bob", r#""bob""#),
        ("Framed-IPv6-Prefix", "2001:db8::/32", r#""2001:db8::/32""#),
        ("Framed-Interface-Id", "1:2:3:4", r#""1:2:3:4""#),
        ("Event-Timestamp", "7", "7"),
        ("WiMAX-Release", "1.0", r#""1.0""#),
        ("Frag-Status", "More-Data-Pending", "2"),
        ("A-ESAM-VRF-Name", "corp", r#""corp""#),
        ("Mikrotik-Rate-Limit", "1M", r#""1M""#),
    ] {
        let octets = dictionary.pair(name, forewarn_dict::Value::Text(value)).unwrap().wire().unwrap();
        let ask = Ask::new(forewarn_wire::Code::ACCESS_REQUEST, &[(octets[0], &octets[2..])]);
        let condition =
            compile(&format!("\"{name}\" in request && request[\"{name}\"] != request[\"{name}\"]"));
        let looked = with_facts(&ask, &[], "", |facts| condition.unwrap().looks_at(facts));
        let expected = [
            (format!("\"{name}\" in request"), "true".to_owned()),
            (format!("request[\"{name}\"]"), seen.to_owned()),
        ];
        assert_eq!(looked, expected);
    }
}

#[test]
fn a_value_of_another_length_than_its_type_has_is_not_there() {
    let ask = ask().with(5, &[0, 1]).with(8, b"abc");
    for source in
        [r#"!("NAS-Port" in request) && request.nas_port == -1"#, r#"request["Framed-IP-Address"] == """#]
    {
        let condition = compile(source).unwrap();
        assert_eq!(with_facts(&ask, &[], "", |facts| condition.holds(facts)), Ok(true), "{source}");
    }
}

#[test]
fn what_is_no_text_is_seen_all_the_same() {
    let ask = ask().with(32, b"ap\xff7");
    let condition = compile("request.nas_identifier == \"ap\u{fffd}7\"").unwrap();
    assert_eq!(with_facts(&ask, &[], "", |facts| condition.holds(facts)), Ok(true));
}

#[test]
fn a_realm_is_what_follows_the_last_at_or_precedes_a_backslash() {
    for (name, realm) in [
        ("alice@example.org", "example.org"),
        ("alice@a@b", "b"),
        ("CORP\\alice", "CORP"),
        ("CORP\\alice@example.org", "example.org"),
        ("alice", ""),
        ("alice@", ""),
    ] {
        assert_eq!(fact::realm(name.as_bytes()), realm.as_bytes(), "{name}");
    }
}

#[test]
fn what_cannot_be_evaluated_is_an_error_not_a_no() {
    for source in [
        r#"user.groups[7] == "staff""#,
        "1 / (request.nas_port + 1) == 0",
        r#"int(user.name) == 3"#,
        r#"user.name.substring(99) == """#,
        "9223372036854775807 + session.count > 0",
        r#"user.groups[-1] == "staff" || false"#,
    ] {
        assert_eq!(holds(source), Err(EvaluationError), "{source}");
    }
    assert_eq!(holds(r#"user.groups[7] == "staff" || true"#), Ok(true));
    assert_eq!(holds(r#"user.groups[7] == "staff" && false"#), Ok(false));
}

#[test]
fn evaluating_takes_no_memory() {
    let sources = [
        EXAMPLE,
        r#"request["NAS-Port-Type"] == "Wireless-802.11" && request.nas_port_type in [15, 19]"#,
        r#"request.all["Cisco-AVPair"].exists(pair, pair.startsWith("vlan="))"#,
        r#"request.called_station_id.endsWith(":corp") && !("Framed-IP-Address" in request)"#,
        r#"client.address == "127.0.0.21" && request.nas_ip_address.startsWith("192.0.")"#,
        r#"request.nas_port_id.matches("^caf. [0-9]$") && time.clock < "06:00" && time.date > "2026""#,
        r#"request.calling_station_id.lowerAscii().startsWith("aa-bb") && user.realm + "!" == "example.org!""#,
        r#"string(session.count) == "2" && size(user.groups) == 2 && user.groups[0] in ["staff", "x"]"#,
        r#"request["Class"] == "0xcafe" && "admin" in user.groups"#,
    ];
    for (source, condition) in sources.iter().zip(Condition::compile(&sources, Dictionary::embedded())) {
        let condition = condition.unwrap();
        with_facts(&ask(), &["staff", "admin"], "wifi/branch-3", |facts| {
            // A regular expression makes its cache at its first use.
            assert_eq!(condition.holds(facts), Ok(true), "{source}");
            let taken = measure(|| assert_eq!(condition.holds(facts), Ok(true)));
            assert_eq!(taken.count_total, 0, "{source}");
        });
    }
}
