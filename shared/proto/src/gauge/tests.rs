use super::*;

fn millis(n: u64) -> Duration {
    Duration::from_millis(n)
}

#[test]
fn an_empty_reading_is_no_load() {
    let load = Limits::default().load(&Reading::default());
    assert_eq!(load.value(), 0.0);
    assert_eq!(load.urgent(), None);
}

#[test]
fn the_worst_parameter_makes_the_load() {
    let reading = Reading {
        workers: Some(Busy { busy: 15, max: 16 }),
        memory: Some(0.46),
        cpu: Some(0.2),
        ..Reading::default()
    };
    let load = Limits::default().load(&reading);
    assert_eq!(load.worst(), Some(Parameter::Workers));
    assert!((load.value() - 15.0 / 16.0 / 0.95).abs() < 1e-9);
    assert!((load.part(Parameter::Memory).expect("measured") - 0.5).abs() < 1e-9);
    assert_eq!(load.part(Parameter::Listeners), None, "not measured");
}

#[test]
fn the_workers_are_the_worse_of_pool_and_cores() {
    let reading =
        Reading { workers: Some(Busy { busy: 1, max: 16 }), listeners: Some(0.76), ..Reading::default() };
    let load = Limits::default().load(&reading);
    assert_eq!(load.worst(), Some(Parameter::Listeners));
    assert!((load.value() - 0.8).abs() < 1e-9);
}

#[test]
fn a_full_pool_alone_is_not_urgent() {
    let reading = Reading { workers: Some(Busy { busy: 16, max: 16 }), ..Reading::default() };
    let load = Limits::default().load(&reading);
    assert_eq!(load.value(), 1.0);
    assert_eq!(load.urgent(), None);
    assert!(load.part(Parameter::Workers).expect("measured") > 1.0, "the part shows how far past");
}

#[test]
fn queue_delay_network_and_mandatory_service_are_urgent_at_their_limit() {
    let limits = Limits::default();
    let just_below = Reading { queue_delay: Some(millis(99)), ..Reading::default() };
    assert_eq!(limits.load(&just_below).urgent(), None);
    let at = Reading { queue_delay: Some(millis(100)), ..Reading::default() };
    assert_eq!(limits.load(&at).urgent(), Some(Parameter::QueueDelay));
    let link = Network { links_down: 1, ..Network::default() };
    let lost = Reading { network: Some(link), ..Reading::default() };
    assert_eq!(limits.load(&lost).urgent(), Some(Parameter::Network));
    let service = Reading { mandatory_failed: 1, queue_delay: Some(millis(500)), ..Reading::default() };
    let load = limits.load(&service);
    assert_eq!((load.value(), load.urgent()), (1.0, Some(Parameter::MandatoryService)));
}

#[test]
fn dependent_services_add_up_to_one_at_most() {
    let limits = Limits::default();
    for (sum, value) in [(0.0, 0.0), (0.5, 0.5), (1.0, 1.0), (2.5, 1.0)] {
        let load = limits.load(&Reading { dependent_failed: sum, ..Reading::default() });
        assert_eq!((load.value(), load.urgent()), (value, None));
    }
}

#[test]
fn a_limit_that_is_off_does_not_count() {
    let limits = Limits { cpu: None, network: false, ..Limits::default() };
    let network = Network { gateway_lost: true, ..Network::default() };
    let reading =
        Reading { cpu: Some(1.0), processes: Some(1 << 20), network: Some(network), ..Reading::default() };
    let load = limits.load(&reading);
    assert_eq!((load.value(), load.urgent()), (0.0, None));
}

#[test]
fn what_is_no_number_was_not_measured() {
    let reading = Reading {
        cpu: Some(f64::NAN),
        memory: Some(f64::INFINITY),
        dependent_failed: f64::NAN,
        ..Reading::default()
    };
    let load = Limits::default().load(&reading);
    assert_eq!((load.value(), load.part(Parameter::Cpu)), (0.0, None));
}

#[test]
fn an_expression_takes_the_place_of_the_worst_but_not_of_a_lost_server() {
    let limits = Limits::default();
    let busy = Reading { cpu: Some(0.94), ..Reading::default() };
    let load = limits.load_expressed(&busy, 0.25);
    assert_eq!((load.value(), load.worst()), (0.25, Some(Parameter::Expression)));
    assert_eq!(limits.load_expressed(&busy, 7.0).value(), 1.0);
    assert_eq!(limits.load_expressed(&busy, f64::NAN).worst(), Some(Parameter::Cpu));
    let down = Reading { mandatory_failed: 1, ..Reading::default() };
    assert_eq!(limits.load_expressed(&down, 0.0).value(), 1.0);
}
