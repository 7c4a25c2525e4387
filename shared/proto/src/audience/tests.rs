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

mod choosing {
    use forewarn_wire::notice::{Reason, Takes};

    use super::*;
    use crate::peers::{Known, Report};

    const SERVER: &str = "10.1.2.200";

    fn known(takes: Takes, used: f64, full_at: Option<f64>) -> Option<Known> {
        let report = Report { takes, reason: Reason::UNSPECIFIED, load: 20, rate: used, room: None };
        Some(Known { report, used, full_at })
    }

    fn seat(address: &str, known: Option<Known>) -> Seat {
        Seat { address: ip(address), weight: 0, known }
    }

    fn rules(must: bool) -> Rules<'static> {
        Rules { server: ip(SERVER), topology: None, nearer_only: false, must, alike: 100.0 }
    }

    fn addresses(placed: &Placed) -> Vec<IpAddr> {
        placed.alternates.iter().map(|(address, _)| *address).collect()
    }

    #[test]
    fn alternates_nothing_is_known_of_are_named_as_configured_nearest_first() {
        let campus = campus();
        let given = ["10.2.0.9", "10.1.0.9", "10.1.2.9", SERVER].map(|address| seat(address, None));
        let near = Rules { topology: Some(&campus), ..rules(false) };
        let mut seats = Seats::new(given, near);
        let placed = seats.place(ip("10.1.2.1"), 5.0).expect("anywhere");
        assert_eq!(addresses(&placed), ["10.1.2.9", "10.1.0.9", "10.2.0.9"].map(ip));
        let mut weighted = given;
        weighted[1].weight = 7;
        let placed = Seats::new(weighted, rules(false)).place(ip("10.1.2.1"), 5.0).expect("anywhere");
        assert_eq!(placed.alternates, [(ip("10.2.0.9"), 0), (ip("10.1.0.9"), 7), (ip("10.1.2.9"), 0)]);
        assert_eq!(placed.at, None);
    }

    #[test]
    fn an_alternate_that_is_worse_is_not_named_while_a_better_one_is_there() {
        let open = seat("10.0.0.1", known(Takes::Anybody, 0.0, Some(10.0)));
        let full = seat("10.0.0.2", known(Takes::Anybody, 10.0, Some(10.0)));
        let closed = seat("10.0.0.3", known(Takes::ItsOwn, 0.0, Some(10.0)));
        let leaving = seat("10.0.0.4", known(Takes::Nobody, 0.0, Some(10.0)));
        let silent = seat("10.0.0.5", None);
        let all = [leaving, closed, full, silent, open];
        let named = |seats: &[Seat], must: bool| {
            Seats::new(seats.to_vec(), rules(must))
                .place(ip("10.9.9.9"), 1.0)
                .map(|placed| addresses(&placed))
        };
        let ip = |last: u8| IpAddr::from([10, 0, 0, last]);
        assert_eq!(named(&all, false), Some(vec![ip(1), ip(5)]));
        assert_eq!(named(&all[..4], false), Some(vec![ip(5)]));
        assert_eq!(named(&all[..3], false), Some(vec![ip(3)]));
        assert_eq!(named(&[leaving, full], false), None, "nobody is sent where there is no room");
        assert_eq!(named(&[leaving, full], true), Some(vec![ip(2)]), "unless it has to be");
        assert_eq!(named(&all[..1], false), None);
        assert_eq!(named(&all[..1], true), Some(vec![ip(4)]));
    }

    #[test]
    fn the_nearest_is_filled_first_and_among_equals_the_least_full() {
        let campus = campus();
        let near = seat("10.1.2.9", known(Takes::Anybody, 0.0, Some(3.0)));
        let far = [40.0, 10.0].map(|used| known(Takes::Anybody, used, Some(100.0)));
        let far = [seat("10.2.0.1", far[0]), seat("10.2.0.2", far[1])];
        let mut seats = Seats::new([far[0], far[1], near], Rules { topology: Some(&campus), ..rules(false) });
        let at: Vec<_> =
            (0..5).map(|_| seats.place(ip("10.1.2.1"), 1.0).expect("room").at.expect("known")).collect();
        assert_eq!(at, ["10.1.2.9", "10.1.2.9", "10.1.2.9", "10.2.0.2", "10.2.0.2"].map(ip));
        let taken: Vec<_> = seats.taken().collect();
        assert_eq!(taken, [(ip("10.2.0.2"), 2.0), (ip("10.1.2.9"), 3.0)]);
    }

    #[test]
    fn only_what_is_nearer_takes_those_who_are_meant_because_of_it() {
        let campus = campus();
        let near = seat("10.2.0.9", known(Takes::Anybody, 0.0, None));
        let far = seat("2001:db8::9", known(Takes::Anybody, 0.0, None));
        let only = Rules { topology: Some(&campus), nearer_only: true, ..rules(false) };
        let mut seats = Seats::new([far, near], only);
        let placed = seats.place(ip("10.2.0.1"), 1.0).expect("one is nearer");
        assert_eq!(addresses(&placed), [ip("10.2.0.9")]);
        assert_eq!(seats.place(ip("10.1.2.1"), 1.0), None);
        let audience = Audience::Nearer(vec![ip("10.2.0.9"), ip("2001:db8::9")]);
        assert_eq!(selected(&audience), [2, 3], "the switch and who is abroad");
    }

    proptest! {
        /// No alternate is given more than it can bear; and with `must` everybody goes, evenly over those that are full.
        #[test]
        fn headroom_is_kept(
            used in proptest::collection::vec((0.0..50.0f64, 0.0..50.0f64), 1..5),
            rates in proptest::collection::vec(0.0..5.0f64, 0..60),
            must in any::<bool>(),
        ) {
            let address = |index: usize| IpAddr::from([10, 0, 1, index as u8]);
            let seats = used.iter().enumerate().map(|(index, &(used, more))| Seat {
                address: address(index),
                weight: 0,
                known: known(Takes::Anybody, used, Some(used + more)),
            });
            let mut seats = Seats::new(seats, rules(must));
            let mut asked = vec![0.0; used.len()];
            for (number, &rate) in rates.iter().enumerate() {
                match seats.place(IpAddr::from([10, 9, 0, number as u8]), rate) {
                    Some(placed) => {
                        let at = placed.at.expect("all are known");
                        let index = (0..used.len()).find(|&index| address(index) == at).expect("one of them");
                        asked[index] += rate;
                        let weights: Vec<u8> = placed.alternates.iter().map(|(_, weight)| *weight).collect();
                        prop_assert!(weights.windows(2).all(|pair| pair[0] > pair[1]), "the agent sorts by weight");
                        prop_assert_eq!(placed.alternates[0].0, at);
                    }
                    None => {
                        prop_assert!(!must);
                        let has_room = |index: usize| asked[index] + rate + 0.1 < used[index].1;
                        prop_assert!(!(0..used.len()).any(has_room), "there was room");
                    }
                }
            }
            if !must {
                for (index, &(_, room)) in used.iter().enumerate() {
                    prop_assert!(asked[index] <= room + 1e-9);
                }
            }
        }

        /// A step moves the share, or one client when all are too heavy; never less than it can.
        #[test]
        fn steps_move_a_share_of_the_load(
            mut rates in proptest::collection::vec(0.0..5.0f64, 1..60),
            share in 0.01..1.0f64,
        ) {
            rates.sort_by(|a, b| b.total_cmp(a));
            let clients: Vec<(f64, bool)> = rates.iter().map(|&rate| (rate, false)).collect();
            let total: f64 = rates.iter().sum();
            let chosen = step(&clients, share);
            prop_assert!(!chosen.is_empty());
            let moved: f64 = chosen.iter().map(|&index| rates[index]).sum();
            let lightest = rates.iter().enumerate().filter(|(index, _)| !chosen.contains(index));
            let lightest = lightest.map(|(_, rate)| *rate).fold(f64::INFINITY, f64::min);
            prop_assert!(chosen.len() == 1 || moved <= total * share + 1e-6);
            prop_assert!(moved + lightest > total * share - 1e-6, "a lighter one would have fitted");
        }
    }

    #[test]
    fn steps_go_on_where_the_last_one_ended() {
        let clients = [(60.0, false), (20.0, false), (10.0, false), (5.0, false), (5.0, false)];
        assert_eq!(step(&clients, 0.25), [1, 3], "who is heavier than the step is passed over");
        let mut after = clients;
        (after[1].1, after[3].1) = (true, true);
        assert_eq!(step(&after, 0.5), [2, 4]);
        assert_eq!(step(&clients, 1.0), [0, 1, 2, 3, 4]);
        assert_eq!(step(&[(50.0, false), (50.0, false)], 0.25), [1], "a step moves somebody");
        let unheard = [(0.0, false), (0.0, true), (0.0, false), (0.0, false)];
        assert_eq!(step(&unheard, 0.5), [0], "without figures, by number");
    }
}
