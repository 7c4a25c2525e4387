//! The server that explains is the server that serves.

use super::*;
use crate::testing;

const POLICIES: &str = r#"
[[policy]]
name = "staff on wifi"
when = 'client.group.startsWith("wifi/") && "staff" in user.groups'
reply = { Session-Timeout = 600, "Tunnel-Type:1" = "VLAN" }
reply_add = { Filter-Id = ["a", "b"] }

[[policy]]
name = "old devices stay out"
when = 'request["NAS-Port-Type"] == "Ethernet" && request.method == "pap"'
action = "reject"
reason = "802.1X only on wires"
reply = { Reply-Message = "Use 802.1X" }

[[policy]]
name = "no groups"
when = 'user.groups[0] == "x"'
reply_remove = ["Filter-Id"]
"#;

fn asked(text: &str) -> Ask {
    let mut ask = Ask::parse(text).unwrap();
    ask.client = Some("ap-17".into());
    ask
}

#[track_caller]
fn explained(ask: &Ask) -> Explanation {
    explain(testing::config(POLICIES), ask).unwrap()
}

fn alice(password: &str) -> Ask {
    asked(&format!("User-Name = alice\nUser-Password = \"{password}\"\nNAS-Port-Type = 19"))
}

/// What was told at a stage.
fn told<'e>(explanation: &'e Explanation, stage: &str) -> Vec<&'e Step> {
    explanation.steps.iter().filter(|step| step.stage == stage).collect()
}

#[test]
fn an_accept_says_who_put_what_into_the_reply() {
    let explanation = explained(&alice("wonderland"));
    assert_eq!(explanation.end, End::Decided(Cause::Password));
    let reply: Vec<_> = explanation.reply.iter().map(|one| (&*one.name, &*one.value, &*one.by)).collect();
    let policy = "staff on wifi";
    assert_eq!(
        reply,
        [
            ("Reply-Message", "\"Hello, alice\"", "user"),
            ("Session-Timeout", "600", policy),
            ("Tunnel-Type:1", "VLAN", policy),
            ("Filter-Id", "\"a\"", policy),
            ("Filter-Id", "\"b\"", policy),
        ]
    );
    let policies = told(&explanation, Step::POLICY);
    assert!(
        policies[0].what.ends_with("holds") && policies[1].what.ends_with("doesn't hold"),
        "{policies:?}"
    );
    let looked = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(
        policies[0].details,
        [looked("client.group", "\"wifi/branch-3\""), looked("user.groups", "[\"staff\"]")]
    );
    assert_eq!(policies[1].details[0], looked("request[\"NAS-Port-Type\"]", "19"));
    assert!(told(&explanation, Step::USER)[0].what.contains("source file"));
}

#[test]
fn a_policys_reject_comes_with_its_reason_and_its_message() {
    let mut ask = alice("wonderland");
    ask.attributes.retain(|given| given.name != "NAS-Port-Type");
    ask.add(Given::parse("NAS-Port-Type := Ethernet").unwrap());
    let explanation = explained(&ask);
    assert_eq!(explanation.end, End::Decided(Cause::Policy));
    assert_eq!(explanation.reply.len(), 1);
    assert_eq!(
        (&*explanation.reply[0].value, &*explanation.reply[0].by),
        ("\"Use 802.1X\"", "old devices stay out")
    );
    let policies = told(&explanation, Step::POLICY);
    assert_eq!(policies.len(), 2, "the third isn't looked at");
    assert!(policies[1].details.contains(&("reason".into(), "802.1X only on wires".into())));
}

#[test]
fn each_way_to_fail_has_its_cause() {
    let without = Ask { message_authenticator: false, ..alice("wonderland") };
    let stranger = Ask { client: Some("203.0.113.9".into()), ..alice("wonderland") };
    let chap = asked("User-Name = bob\nCHAP-Password = rabbit");
    for (ask, cause, stages) in [
        (
            alice("wrong"),
            Cause::WrongPassword,
            &["client", "authenticity", "user", "password", "password"][..],
        ),
        (
            asked("User-Name = carol\nUser-Password = x"),
            Cause::UnknownUser,
            &["client", "authenticity", "user"],
        ),
        (asked("User-Password = x"), Cause::NoUserName, &["client", "authenticity"]),
        (without, Cause::NoMessageAuthenticator, &["client", "authenticity"]),
        (stranger, Cause::UnknownClient, &["client"]),
        (chap, Cause::ChapNeedsClearText, &["client", "authenticity", "user", "password"]),
    ] {
        let explanation = explained(&ask);
        assert_eq!(explanation.end, End::Decided(cause), "{ask:?}");
        let seen: Vec<_> = explanation.steps.iter().map(|step| step.stage).collect();
        assert_eq!(seen, stages, "{cause:?}");
        assert!(!cause.hint().is_empty(), "{cause:?}");
    }
}

#[test]
fn a_slow_hash_is_waited_for_and_each_step_told_once() {
    // Without groups, the third policy can't be evaluated.
    let explanation = explained(&asked("User-Name = bob\nUser-Password = rabbit"));
    assert_eq!(explanation.end, End::Decided(Cause::PolicyFailed));
    assert_eq!(told(&explanation, Step::USER).len(), 1);
    let policies = told(&explanation, Step::POLICY);
    assert!(policies[2].what.contains("can't be evaluated"), "{policies:?}");
}

#[test]
fn every_method_is_sent_as_its_rfc_has_it() {
    for (method, cause) in [
        (Method::Pap, Cause::Password),
        (Method::Chap, Cause::Chap),
        (Method::MsChap, Cause::MsChap),
        (Method::MsChap2, Cause::MsChap2),
    ] {
        let explanation = explained(&Ask { method, ..alice("wonderland") });
        assert_eq!(explanation.end, End::Decided(cause));
        let keys = explanation.reply.iter().filter(|one| one.by == "server").collect::<Vec<_>>();
        assert_eq!(!keys.is_empty(), matches!(method, Method::MsChap | Method::MsChap2), "{keys:?}");
        let wrong = explained(&Ask { method, ..alice("wonderful") });
        assert_eq!(wrong.end, End::Decided(Cause::WrongPassword), "{method:?}");
    }
}

#[test]
fn what_leads_elsewhere_is_not_sent() {
    let realm = r#"
[[pool]]
name = "campus"
servers = [{ name = "home-1", address = "192.0.2.31", secret = "testing123testing123" }]

[[realm]]
match = "example.org"
pool = "campus"
"#;
    let ask = asked("User-Name = dora@example.org\nUser-Password = x");
    let explanation = explain(testing::config(realm), &ask).unwrap();
    assert_eq!(explanation.end, End::HandedOn("campus".into()));
}

#[test]
fn nothing_that_is_told_holds_the_password() {
    for ask in [alice("wonderland"), alice("wonderful, isn't it")] {
        let told = format!("{:?}", explained(&ask));
        assert!(!told.contains("wonder"), "{told}");
    }
}

#[test]
fn requests_are_read_as_radclient_reads_them() {
    let ask = Ask::parse(
        "# remark\n\nUser-Name = \"al ice\",\nUser-Password=a=b\nNAS-Port += 7\n\nUser-Name = other\n",
    );
    let ask = ask.unwrap();
    let given = |name: &str, value: &str| Given { name: name.into(), value: value.into() };
    assert_eq!(ask.attributes, [given("User-Name", "al ice"), given("NAS-Port", "7")]);
    assert_eq!(ask.password.as_ref().map(|password| password.as_str()), Some("a=b"));
    for wrong in ["User-Name", "= x", "a b = c"] {
        assert!(matches!(Given::parse(wrong), Err(AskError::Form(_))), "{wrong}");
    }
}

#[test]
fn what_cannot_be_asked_is_said() {
    let config = || testing::config("");
    let refused = |ask: &Ask| explain(config(), ask).expect_err("refused").to_string();
    let which = refused(&Ask { client: None, ..alice("x") });
    assert!(which.contains("ap-17, branch"), "{which}");
    assert!(refused(&Ask { client: Some("ap17".into()), ..alice("x") }).contains("did you mean \"ap-17\"?"));
    let mut unknown = alice("x");
    unknown.add(Given::parse("NAS-Prot-Type = 3").unwrap());
    assert!(refused(&unknown).contains("did you mean NAS-Port-Type"));
    assert!(refused(&alice(&"x".repeat(200))).contains("longer than 128"));
}
