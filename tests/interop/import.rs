//! `forewarn import freeradius` on the configuration that Debian's package installs.

use forewarn_tests::Folder;
use forewarn_tests::program::forewarn;

#[test]
fn debians_own_configuration_becomes_one_that_loads() {
    let folder = Folder::new();
    let output =
        forewarn(folder.path(), &["import", "freeradius", "/etc/freeradius/3.0", "-o", "out", "--json"]);
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert!(output.status.success(), "{said:#}");
    assert_eq!(said["usable"], true);
    let entries = said["entries"].as_array().expect("entries");
    let fates = |what: &str| -> Vec<&str> {
        let named =
            entries.iter().filter(|entry| entry["what"].as_str().is_some_and(|text| text.starts_with(what)));
        named.filter_map(|entry| entry["fate"].as_str()).collect()
    };
    for translated in
        ["client localhost", "home_server localhost", "home_server_pool", "realm example.com", "listen auth"]
    {
        assert_eq!(fates(translated).first(), Some(&"translated"), "{translated}: {said:#}");
    }
    assert_eq!(fates("could not be read"), Vec::<&str>::new(), "{said:#}");
    let check = forewarn(folder.path(), &["check", "out/server.toml"]);
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}
