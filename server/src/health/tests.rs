//! Readings of this very machine, the files it is read from, and checks against real things.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Mutex;

use forewarn_proto::holddown::Outcome;
use forewarn_shell::clock;

use super::check::{self, StillDying};
use super::*;
use crate::config::{Check, Role, Service};
use crate::workers::{QueueFull, Workers};

#[test]
fn pressure_is_the_some_line() {
    let text = "some avg10=5.38 avg60=10.93 avg300=14.58 total=194486449\nfull avg10=9.00 avg60=0 avg300=0 total=0\n";
    assert_eq!(machine::some_avg10(text), Some(0.0538));
    assert_eq!(machine::some_avg10("full avg10=1.00\n"), None);
}

#[test]
fn the_cgroup_is_found_in_both_hierarchies() {
    let v1 = "5:devices:/\n4:memory:/a/b\n0::/\n";
    let mounts = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
                  41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n";
    let found = format!("{:?}", cgroup::find(v1, mounts).expect("v1"));
    assert!(found.contains("/sys/fs/cgroup/memory/a/b/memory.stat") && found.contains("total_inactive_file"));
    let v2 = "0::/system.slice/forewarnd.service\n";
    let mounts = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    let found = format!("{:?}", cgroup::find(v2, mounts).expect("v2"));
    assert!(found.contains("/sys/fs/cgroup/system.slice/forewarnd.service/memory.stat"), "{found}");
    let container = "30 23 0:26 /system.slice/forewarnd.service /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
    let found = format!("{:?}", cgroup::find(v2, container).expect("a mount of a part"));
    assert!(found.contains("\"/sys/fs/cgroup/memory.stat\""), "{found}");
    assert_eq!(cgroup::find(v2, "30 23 0:26 /other /x rw - cgroup2 cgroup2 rw\n"), None);
    assert_eq!(cgroup::find("1:cpu:/\n", mounts), None);
}

#[test]
fn both_lists_of_clean_cache_are_reclaimable() {
    let stat = "anon 100\nfile 70\ninactive_file 30\nactive_file 20\n";
    assert_eq!(cgroup::sum(stat, ["inactive_file", "active_file"]), Some(50));
    assert_eq!(cgroup::sum("anon 1\n", ["inactive_file", "active_file"]), None);
}

#[test]
fn drops_are_those_of_our_own_sockets() {
    let port = |address: &str| address.parse::<SocketAddr>().expect("an address");
    let table = "sl local_address rem_address st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode ref pointer drops\n\
                 1: 0B00007F:0714 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 11 2 0 5\n\
                 2: 0B00007F:0714 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 12 2 0 7\n\
                 3: 0C00007F:0714 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 13 2 0 90\n";
    assert_eq!(network::drops(table, &[port("127.0.0.11:1812")]), 12);
    assert_eq!(network::drops(table, &[port("127.0.0.11:1813")]), 0);
    let v6 = "sl\n1: 00000000000000000000000001000000:0714 0:0 07 0:0 00:0 0 0 0 11 2 0 3\n";
    assert_eq!(network::drops(v6, &[port("[::1]:1812")]), 3);
}

#[test]
fn a_reading_of_this_machine_is_plausible() {
    let mut machine = Machine::new();
    let memory = machine.memory().expect("every Linux tells");
    assert!(memory > 0.0 && memory < 1.0, "{memory}");
    let start = clock::now();
    assert_eq!(machine.cpu(start), None, "the first look has no span");
    std::thread::sleep(Duration::from_millis(250));
    let cpu = machine.cpu(start + Duration::from_millis(250)).expect("the second has");
    assert!((0.0..=1.0).contains(&cpu), "{cpu}");
    assert!(machine::processes().expect("/proc") >= 2);
}

fn health(cores: usize) -> (Arc<Vitals>, Health, Services) {
    let vitals = Arc::new(Vitals::new(cores));
    let health = Health {
        vitals: Arc::clone(&vitals),
        latencies: (0..cores).map(|_| Latencies::default()).collect(),
        in_flight_max: 100,
        limits: Limits { cpu: None, memory: None, network: false, ..Limits::default() },
        expression: None,
        expression_failures: 0,
        machine: Machine::new(),
        network: Network::of(vec![], IpAddr::from([127, 0, 0, 1])),
        cores_before: None,
        answered_before: (0, 0),
        delay_before: Duration::ZERO,
        known_for: Duration::MAX,
        last: None,
    };
    let (services, _) = Services::new(&[], context(Arc::new(Hold::default())), Instant::ZERO);
    (vitals, health, services)
}

#[test]
fn the_busiest_core_makes_the_listeners_figure() {
    let (vitals, mut health, services) = health(2);
    let at = |millis: u64| Instant::from_millis(1_000 + millis);
    health.read(at(0), Duration::ZERO, &services);
    assert_eq!(health.last().expect("read").1.listeners, None, "no span yet");
    vitals.cores()[1].wake(at(10).as_nanos());
    vitals.cores()[1].sleep(at(60).as_nanos());
    health.read(at(100), Duration::ZERO, &services);
    assert_eq!(health.last().expect("read").1.listeners, Some(0.5));
    vitals.cores()[0].wake(at(100).as_nanos());
    health.read(at(200), Duration::ZERO, &services);
    assert_eq!(health.last().expect("read").1.listeners, Some(1.0), "busy while not asleep");
}

#[test]
fn latency_is_the_mean_of_what_was_answered_since() {
    use crate::metrics::latency::Kind;
    use crate::process::outcome::Answer;
    let (_, mut health, services) = health(2);
    let read = |health: &mut Health, at: u64| {
        health.read(Instant::from_millis(at), Duration::ZERO, &services);
        health.last().expect("read").1.latency
    };
    assert_eq!(read(&mut health, 1_000), None, "nothing was answered");
    health.latencies[0].note(Kind::Access, Answer::Accept, 2_000_000);
    health.latencies[1].note(Kind::Accounting, Answer::Accounted, 6_000_000);
    health.latencies[1].note(Kind::Access, Answer::Reject, 1_000_000_000);
    assert_eq!(read(&mut health, 2_000), Some(Duration::from_millis(4)));
    assert_eq!(read(&mut health, 3_000), None);
    health.latencies[0].note(Kind::Access, Answer::Accept, 1_000_000);
    assert_eq!(read(&mut health, 4_000), Some(Duration::from_millis(1)), "only what is new");
}

#[test]
fn requests_in_flight_are_a_share_of_those_there_may_be() {
    let (vitals, mut health, services) = health(1);
    vitals.cores()[0].set_in_flight(96);
    let load = health.read(Instant::from_millis(1_000), Duration::ZERO, &services);
    assert_eq!(load.worst(), Some(forewarn_proto::gauge::Parameter::InFlight));
    assert!(load.value() > 0.99 && load.urgent().is_none());
}

/// Takes a reading so late and answers the queue delay it found.
fn delay(health: &mut Health, services: &Services, at: u64, late: u64) -> u128 {
    health.read(Instant::from_millis(at), Duration::from_millis(late), services);
    health.last().expect("read").1.queue_delay.expect("measured").as_millis()
}

#[test]
fn queue_delay_is_what_waits_now_or_what_is_late_again_and_again() {
    let (vitals, mut health, services) = health(1);
    vitals.cores()[0].set_oldest_waiting(Some(Instant::from_millis(1_000).as_nanos()));
    assert_eq!(delay(&mut health, &services, 1_250, 0), 250);
    vitals.cores()[0].set_oldest_waiting(None);
    vitals.cores()[0].note_delay(300_000_000);
    assert_eq!(delay(&mut health, &services, 2_000, 0), 0, "once is a machine that stood still");
    vitals.cores()[0].note_delay(200_000_000);
    assert_eq!(delay(&mut health, &services, 3_000, 0), 200, "twice running is a queue");
    assert_eq!(delay(&mut health, &services, 4_000, 0), 0);
}

#[test]
fn a_machine_that_stood_still_for_a_moment_is_no_queue() {
    let (vitals, mut health, services) = health(1);
    let waits_since = |at: Option<u64>| {
        vitals.cores()[0].set_oldest_waiting(at.map(|at| Instant::from_millis(at).as_nanos()));
    };
    waits_since(Some(1_000));
    assert_eq!(delay(&mut health, &services, 1_300, 200), 0, "we were late ourselves");
    waits_since(None);
    assert_eq!(delay(&mut health, &services, 1_400, 0), 0, "and it is over");
    waits_since(Some(2_000));
    assert_eq!(delay(&mut health, &services, 2_300, 200), 0);
    waits_since(Some(2_200));
    assert_eq!(delay(&mut health, &services, 2_600, 200), 300, "late again and again is overload");
}

#[test]
fn what_requests_waited_while_this_process_stood_still_is_not_counted() {
    let (vitals, mut health, services) = health(1);
    vitals.cores()[0].set_oldest_waiting(Some(Instant::from_millis(1_000).as_nanos()));
    vitals.cores()[0].note_delay(2_000_000_000);
    health.set_known_for(Duration::ZERO);
    health.begin_anew(Instant::from_millis(3_000), &services);
    assert!(health.last().is_none(), "it is no reading");
    vitals.cores()[0].note_delay(2_100_000_000);
    health.set_known_for(Duration::from_millis(250));
    assert_eq!(delay(&mut health, &services, 3_250, 0), 250, "what still waits has waited since");
    vitals.cores()[0].set_oldest_waiting(None);
    health.set_known_for(Duration::from_millis(1_250));
    assert_eq!(delay(&mut health, &services, 4_250, 0), 0);
}

/// A pool whose jobs wait until they are let go, or run at once.
#[derive(Default)]
struct Hold {
    immediate: bool,
    jobs: Mutex<Vec<Box<dyn FnOnce() + Send>>>,
}

impl Pool for Hold {
    fn submit(&self, _: u64, job: Box<dyn FnOnce() + Send>) -> Result<(), QueueFull> {
        if self.immediate {
            std::thread::spawn(job);
        } else {
            self.jobs.lock().expect("not poisoned").push(job);
        }
        Ok(())
    }
}

fn context(pool: Arc<dyn Pool>) -> CheckContext {
    CheckContext {
        pool,
        databases: Arc::new(NoDatabase),
        folder: std::env::temp_dir(),
        identity: IpAddr::from([127, 0, 0, 1]),
    }
}

/// Nothing to ask.
struct NoDatabase;

impl Databases for NoDatabase {
    fn probe_users(&self) -> Option<tokio::sync::oneshot::Receiver<Result<(), String>>> {
        None
    }
}

pub(super) fn real() -> CheckContext {
    context(Arc::new(Hold { immediate: true, ..Hold::default() }))
}

const PATIENCE: Duration = Duration::from_secs(10);

async fn check(check: &Check, patience: Duration, context: &CheckContext) -> Finding {
    check::check(check, patience, context, &StillDying::default()).await
}

#[tokio::test]
async fn a_port_that_is_open_and_one_that_is_not() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let address = listener.local_addr().expect("bound");
    assert_eq!(check(&Check::Tcp { address }, PATIENCE, &real()).await.outcome, Outcome::Success);
    drop(listener);
    let finding = check(&Check::Tcp { address }, PATIENCE, &real()).await;
    assert_eq!(finding.outcome, Outcome::Failure);
    assert!(finding.text.contains("refused"), "{}", finding.text);
}

#[tokio::test]
async fn a_host_that_answers_pings() {
    let address = IpAddr::from([127, 0, 0, 1]);
    let finding = check(&Check::Icmp { address }, PATIENCE, &real()).await;
    // Without any right to ping there is no result; a failure would be wrong either way.
    assert_ne!(finding.outcome, Outcome::Failure, "{}", finding.text);
}

/// A program of the test's own, so that nothing else is called so; ended with the test.
struct Sleeper(std::process::Child);

impl Sleeper {
    fn start(folder: &Path, name: &str) -> Sleeper {
        let program = folder.join(name);
        std::fs::copy("/bin/sleep", &program).expect("coreutils");
        Sleeper(std::process::Command::new(program).arg("60").spawn().expect("a copy of sleep"))
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Nobody else's, not even the same test's in another clone.
fn own_name(name: &str) -> String {
    format!("{}-{name}", std::process::id())
}

/// Checks until the outcome is this.
async fn becomes(wanted: &Check, outcome: Outcome) -> Finding {
    let began = clock::now();
    loop {
        let finding = check(wanted, PATIENCE, &real()).await;
        if finding.outcome == outcome {
            return finding;
        }
        assert!(clock::now().since(began) < PATIENCE, "{}", finding.text);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_process_by_its_name_until_it_is_dead() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in [own_name("s"), own_name("a-name-that-is-longer-than-fifteen")] {
        let mut sleeper = Sleeper::start(folder.path(), &name);
        let wanted = Check::Process { name };
        // The kernel lets a spawning parent go on a moment before the child has its new name.
        let finding = becomes(&wanted, Outcome::Success).await;
        assert_eq!(finding.text, format!("process {}", sleeper.0.id()));
        sleeper.0.kill().expect("ours");
        // Not waited for: a zombie is no running process.
        becomes(&wanted, Outcome::Failure).await;
    }
}

#[tokio::test]
async fn a_pid_file_names_a_live_process_or_fails() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("pid");
    let wanted = Check::PidFile { path: path.clone() };
    let outcome = async || check(&wanted, PATIENCE, &real()).await.outcome;
    assert_eq!(outcome().await, Outcome::Failure, "no file");
    std::fs::write(&path, format!("{}\n", std::process::id())).expect("writable");
    assert_eq!(outcome().await, Outcome::Success);
    std::fs::write(&path, "rubbish").expect("writable");
    assert_eq!(outcome().await, Outcome::Failure);
    std::fs::write(&path, "4194305").expect("writable");
    assert_eq!(outcome().await, Outcome::Failure, "above the kernel's largest");
}

pub(super) fn command(words: &[&str]) -> Check {
    Check::Command { command: words.iter().map(|word| (*word).to_owned()).collect() }
}

#[tokio::test]
async fn a_command_is_judged_by_its_exit_status_in_the_configuration_s_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("here"), "").expect("writable");
    let context = CheckContext { folder: folder.path().to_owned(), ..real() };
    let outcome = async |words: &[&str]| check(&command(words), PATIENCE, &context).await.outcome;
    assert_eq!(outcome(&["test", "-e", "here"]).await, Outcome::Success);
    assert_eq!(outcome(&["test", "-e", "there"]).await, Outcome::Failure);
    assert_eq!(outcome(&["test", "-e", "here; true"]).await, Outcome::Failure, "no shell");
    assert_eq!(outcome(&["/no/such/program"]).await, Outcome::Failure);
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = own_name("hangs");
    let program = folder.path().join(&name);
    std::fs::copy("/bin/sleep", &program).expect("coreutils");
    let wanted = command(&[program.to_str().expect("a plain path"), "60"]);
    let finding = check(&wanted, Duration::from_secs(1), &real()).await;
    assert_eq!(finding.outcome, Outcome::Failure);
    assert!(finding.text.contains("killed"), "{}", finding.text);
    let gone = check(&Check::Process { name }, PATIENCE, &real()).await;
    assert_eq!(gone.outcome, Outcome::Failure, "{}", gone.text);
}

#[tokio::test]
async fn what_a_command_has_started_is_killed_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = own_name("child");
    let program = folder.path().join(&name);
    std::fs::copy("/bin/sleep", &program).expect("coreutils");
    let script = format!("{} 60; true", program.display());
    let finding = check(&command(&["sh", "-c", &script]), Duration::from_secs(1), &real()).await;
    assert_eq!(finding.outcome, Outcome::Failure);
    becomes(&Check::Process { name }, Outcome::Failure).await;
}

#[tokio::test]
async fn nothing_is_started_while_the_last_one_will_not_die() {
    let dying = StillDying::new(true.into());
    let finding = check::check(&command(&["true"]), PATIENCE, &real(), &dying).await;
    assert_eq!(finding.outcome, Outcome::Failure);
    dying.store(false, std::sync::atomic::Ordering::Release);
    let finding = check::check(&command(&["true"]), PATIENCE, &real(), &dying).await;
    assert_eq!(finding.outcome, Outcome::Success);
}

#[tokio::test]
async fn a_check_that_found_no_thread_has_no_result_and_isn_t_made_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let mark = folder.path().join("mark");
    let pool = Arc::new(Hold::default());
    let wanted = command(&["touch", mark.to_str().expect("a plain path")]);
    let finding = check(&wanted, Duration::from_millis(50), &context(pool.clone())).await;
    assert_eq!(finding.outcome, Outcome::NoResult);
    for job in pool.jobs.lock().expect("not poisoned").drain(..) {
        job();
    }
    assert!(!mark.exists(), "nobody waits for it any more");
}

#[tokio::test]
async fn a_full_pool_is_no_failure_of_the_service() {
    let workers = Arc::new(Workers::start(1, 1, Arc::new(Vitals::new(1))).expect("a thread"));
    let (running, is_running) = std::sync::mpsc::channel();
    let (release, released) = std::sync::mpsc::channel::<()>();
    let hold = move || {
        let _ = running.send(());
        let _ = released.recv_timeout(PATIENCE);
    };
    Workers::submit(&workers, 1, hold).expect("room");
    is_running.recv_timeout(PATIENCE).expect("the thread took it");
    Workers::submit(&workers, 2, || ()).expect("room in the queue");
    let finding = check(&command(&["true"]), PATIENCE, &context(workers.clone())).await;
    // The pool joins its threads when it is dropped.
    drop(release);
    assert_eq!(finding.outcome, Outcome::NoResult, "{}", finding.text);
}

pub(super) fn service(name: &str, check: Check, role: Role) -> Service {
    Service {
        name: name.into(),
        role,
        check,
        interval: Duration::from_millis(10),
        timeout: PATIENCE,
        fall: 3,
        rise: 2,
        hold_down: Duration::from_millis(50),
        restart: None,
    }
}

/// Runs the services' checks until `done`.
pub(super) async fn run_until(
    services: &mut Services,
    results: &mut tokio::sync::mpsc::UnboundedReceiver<Checked>,
    done: impl Fn(&Services) -> bool,
) {
    let began = clock::now();
    while !done(services) {
        assert!(clock::now().since(began) < PATIENCE, "{:?}", services.statuses());
        services.begin_due(clock::now());
        let next = services.poll_timeout().unwrap_or(clock::now() + PATIENCE);
        tokio::select! {
            Some(checked) = results.recv() => services.handle(clock::now(), checked),
            () = clock::sleep_until(next) => {}
        }
    }
}

#[tokio::test]
async fn a_service_falls_is_held_down_and_rises() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("there");
    let list = [
        service("file", command(&["test", "-e", path.to_str().expect("plain")]), Role::Mandatory),
        service("log", command(&["false"]), Role::Dependent { weight: 0.4 }),
        service("other log", command(&["false"]), Role::Dependent { weight: 0.3 }),
    ];
    std::fs::write(&path, "").expect("writable");
    let (mut services, mut results) = Services::new(&list, real(), clock::now());
    assert_eq!(services.failed(), (0, 0.0), "not judged yet is not failed");
    run_until(&mut services, &mut results, |services| {
        (services.failed().1 - 0.7).abs() < 1e-9 && services.statuses()[0].state == "running"
    })
    .await;
    assert_eq!(services.failed().0, 0);
    std::fs::remove_file(&path).expect("there");
    run_until(&mut services, &mut results, |services| services.failed().0 == 1).await;
    assert_eq!(services.statuses()[0].state, "hold-down");
    std::fs::write(&path, "").expect("writable");
    run_until(&mut services, &mut results, |services| services.failed().0 == 0).await;
    assert_eq!(services.statuses()[0].state, "running");
}

#[tokio::test]
async fn a_reload_keeps_the_standing_of_what_stays_the_same() {
    let kept = service("kept", command(&["false"]), Role::Mandatory);
    let list = [kept.clone(), service("dropped", command(&["false"]), Role::Mandatory)];
    let (mut services, mut results) = Services::new(&list, real(), clock::now());
    run_until(&mut services, &mut results, |services| services.failed().0 == 2).await;
    let new = service("new", command(&["true"]), Role::Mandatory);
    services.reload(&[new, kept], clock::now());
    assert_eq!(services.failed().0, 1);
    let states: Vec<_> = services.statuses().into_iter().map(|one| (one.name, one.state)).collect();
    assert_eq!(states[0], ("new".to_owned(), "starting".to_owned()));
    assert_eq!(states[1].0, "kept");
    run_until(&mut services, &mut results, |services| services.statuses()[0].state == "running").await;
}

#[test]
fn processes_are_held_down_at_the_first_failure() {
    let list = [service("p", Check::Process { name: "no-such-process".into() }, Role::Mandatory)];
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let (mut services, mut results) = Services::new(&list, real(), clock::now());
        services.begin_due(clock::now());
        let first = results.recv().await.expect("a result");
        services.handle(clock::now(), first);
        assert_eq!(services.failed().0, 1);
    });
}
