//! What happens to three servers and twenty agents on hosts of their own, and what their clients lose: all of the matrix
//! but the rows that take long (`make matrix` has them too).

use forewarn_tests::matrix::rows::rows;
use forewarn_tests::matrix::{Campus, Class, Outcome};
use forewarn_tests::network::is_mine;

const AGENTS: usize = 20;

fn keeps_its_promise(class: Class) {
    let campus = Campus::new(AGENTS);
    let outcomes: Vec<Outcome> =
        rows(class).iter().filter(|row| !row.slow).map(|row| row.run(&campus)).collect();
    let table: Vec<String> = outcomes.iter().map(ToString::to_string).collect();
    let table = format!("{}\n{}", Outcome::HEAD, table.join("\n"));
    println!("{table}");
    assert!(outcomes.iter().all(|outcome| outcome.missed.is_empty()), "{table}");
}

#[test]
fn what_is_foreseen_loses_nothing_and_delays_nobody() {
    if is_mine("namespaces::matrix::what_is_foreseen_loses_nothing_and_delays_nobody") {
        keeps_its_promise(Class::Foreseen);
    }
}

#[test]
fn what_is_unforeseen_loses_nothing_for_who_retransmits_and_is_over_in_a_second() {
    let name =
        "namespaces::matrix::what_is_unforeseen_loses_nothing_for_who_retransmits_and_is_over_in_a_second";
    if is_mine(name) {
        keeps_its_promise(Class::Unforeseen);
    }
}

#[test]
fn rough_going_loses_nothing_for_who_retransmits() {
    if is_mine("namespaces::matrix::rough_going_loses_nothing_for_who_retransmits") {
        keeps_its_promise(Class::Rough);
    }
}
