use super::*;
use proptest::prelude::*;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn campus() -> Topology {
    let node = |path: &str, network: &str| Node {
        path: path.to_owned(),
        networks: vec![network.parse().expect("a network")],
    };
    Topology::new([
        node("campus", "10.0.0.0/8"),
        node("campus/north", "10.1.0.0/16"),
        node("campus/north/library", "10.1.2.0/24"),
        node("campus/south", "10.2.0.0/16"),
        node("abroad", "2001:db8::/32"),
    ])
}

fn members() -> Vec<Member> {
    let member = |name: &str, group: &str, address: &str| Member {
        name: name.to_owned(),
        group: group.to_owned(),
        address: ip(address),
    };
    vec![
        member("ap-1", "wifi/branch-3", "10.1.2.1"),
        member("ap-2", "wifi/branch-4", "10.1.9.1"),
        member("switch", "wired", "10.2.0.1"),
        member("far", "wifi", "2001:db8::1"),
        member("nowhere", "", "192.0.2.1"),
    ]
}

fn selected(audience: &Audience) -> Vec<usize> {
    audience.select(&members(), &campus(), ip("10.1.2.200"))
}

#[test]
fn audiences_by_name_group_and_place() {
    assert_eq!(selected(&Audience::All), [0, 1, 2, 3, 4]);
    assert_eq!(selected(&Audience::Clients(["switch", "ap-1", "gone"].map(String::from).into())), [0, 2]);
    assert_eq!(selected(&Audience::Groups(vec![Glob::new("wifi/*")])), [0, 1]);
    assert_eq!(selected(&Audience::Groups(vec![Glob::new("wifi*"), Glob::new("wired")])), [0, 1, 2, 3]);
    assert_eq!(selected(&Audience::Topology("campus/north".into())), [0, 1]);
    assert_eq!(selected(&Audience::Topology("campus".into())), [0, 1, 2]);
    assert_eq!(selected(&Audience::Topology("camp".into())), [] as [usize; 0]);
}

#[test]
fn the_farthest_and_the_nearest_share() {
    // From the library: ap-1 0 steps, ap-2 1, switch 3, far 4 (another root), nowhere unknown.
    assert_eq!(selected(&Audience::Farthest(0.4)), [3, 4]);
    assert_eq!(selected(&Audience::Nearest(0.4)), [0, 1]);
    assert_eq!(selected(&Audience::Farthest(0.01)), [4], "a share above nothing is somebody");
    assert_eq!(selected(&Audience::Farthest(0.0)), [] as [usize; 0]);
    assert_eq!(selected(&Audience::Nearest(1.0)).len(), 5);
}

#[test]
fn the_deepest_place_holds_an_address() {
    let campus = campus();
    assert_eq!(campus.place(ip("10.1.2.3")), Some(&["campus".into(), "north".into(), "library".into()][..]));
    assert_eq!(campus.place(ip("10.9.0.1")), Some(&["campus".into()][..]));
    assert_eq!(campus.place(ip("::ffff:10.9.0.1")), Some(&["campus".into()][..]), "mapped is the same host");
    assert_eq!(campus.place(ip("192.0.2.9")), None);
}

#[test]
fn alternates_by_distance_from_each_client() {
    let alternates = [ip("10.2.0.9"), ip("10.1.0.9"), ip("10.1.2.9"), ip("10.1.2.200")];
    let server = ip("10.1.2.200");
    let campus = campus();
    let near = alternates_for(ip("10.1.2.1"), server, &alternates, |a| *a, Some(&campus));
    assert_eq!(near, [ip("10.1.2.9"), ip("10.1.0.9"), ip("10.2.0.9")]);
    let given = alternates_for(ip("10.1.2.1"), server, &alternates, |a| *a, None);
    assert_eq!(given, [ip("10.2.0.9"), ip("10.1.0.9"), ip("10.1.2.9")]);
}

#[test]
fn shares_are_rounded_up_but_not_by_noise() {
    assert_eq!(share_of(10, 0.1 + 0.2), 3);
    assert_eq!(share_of(3, 1.0 / 3.0), 1);
    assert_eq!(share_of(3, 0.34), 2);
    assert_eq!(share_of(0, 1.0), 0);
    assert_eq!(share_of(7, 9.0), 7);
}

#[test]
fn globs() {
    for (pattern, name, fits) in [
        ("", "", true),
        ("*", "", true),
        ("wifi/*", "wifi/branch-3/floor-1", true),
        ("wifi/*", "wifi", false),
        ("wifi/branch-?", "wifi/branch-3", true),
        ("wifi/branch-?", "wifi/branch-33", false),
        ("*branch*1", "wifi/branch-3/floor-1", true),
        ("*a*b", "aXbXa", false),
        ("Wifi", "wifi", false),
    ] {
        assert_eq!(Glob::new(pattern).matches(name), fits, "{pattern} on {name}");
    }
}

fn plain(pattern: &[char], name: &[char]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        (['*', rest @ ..], _) => plain(rest, name) || (!name.is_empty() && plain(pattern, &name[1..])),
        (['?', rest @ ..], [_, name @ ..]) => plain(rest, name),
        ([c, rest @ ..], [d, name @ ..]) => c == d && plain(rest, name),
        _ => false,
    }
}

proptest! {
    /// The loop agrees with the definition.
    #[test]
    fn globs_match_their_definition(pattern in "[ab*?]{0,8}", name in "[ab]{0,10}") {
        let by_definition = plain(&pattern.chars().collect::<Vec<_>>(), &name.chars().collect::<Vec<_>>());
        prop_assert_eq!(Glob::new(&pattern).matches(&name), by_definition);
    }
}
