//! The control socket: one JSON request on a line, one or more JSON replies, each on a line.
//!
//! It lies in the state folder and belongs to the program's user alone (mode 0600).

mod client;
mod server;
mod status;

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use client::{ask, discover};
pub use server::{Asked, Listener};
pub use status::{
    AgentStatus, CertificateStatus, ClientStatus, Counts, ForeseenStatus, LoadStatus, ParameterStatus,
    PeerStatus, PoolStatus, Program, ServerStatus, ServiceStatus, Status, StoreStatus, SwitchStatus,
    ToldStatus, UpstreamStatus, WatchStatus,
};

/// The longest request, in octets: anything longer is refused.
pub const MAX_REQUEST: u64 = 64 * 1024;
/// The longest reply that is read, in octets.
pub const MAX_REPLY: u64 = 64 * 1024 * 1024;

/// What an operator can ask of a running program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
pub enum Request {
    /// How are you?
    Status,
    /// Send your clients away, then stop taking requests. Replies come as it proceeds when `wait`.
    Drain {
        /// Reply once the drain has ended, rather than at once.
        wait: bool,
    },
    /// Take requests again, and invite your clients back.
    Resume,
    /// Take no new clients; keep your own.
    Quiesce,
    /// Send clients away by hand. One reply says what became of each, once all have been told or can't be.
    Shed {
        /// These.
        clients: Whom,
        /// To this peer, by name, or to this address; absent: to the alternates.
        to: Option<String>,
        /// Per cent of their load, 1 to 100.
        share_percent: u8,
        /// Whether there is room or not.
        force: bool,
    },
    /// Have clients come, whether they ever were yours or not. The answer is as for `Shed`.
    Invite {
        /// These.
        clients: Whom,
    },
    /// Read your configuration again.
    Reload,
    /// Forget what you remember of users that are kept elsewhere.
    FlushCache {
        /// Of this one; absent: of all.
        user: Option<String>,
    },
    /// Have the NAS of live sessions end them (RFC 5176 section 2.1). A reply comes for each.
    Disconnect {
        /// Whose sessions.
        sessions: Selection,
    },
    /// Have the NAS of live sessions change their authorization (RFC 5176 section 2.2). A reply comes for each.
    Coa {
        /// Whose sessions.
        sessions: Selection,
        /// What to change: `NAME = VALUE` each.
        set: Vec<String>,
    },
}

/// Clients that an operator means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Whom {
    /// All that can be told.
    All,
    /// Those of these names.
    Clients(Vec<String>),
    /// Those whose group one of these globs matches.
    Groups(Vec<String>),
    /// Those at this place of the topology or below it.
    Topology(String),
}

/// What became of one client that was told by hand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientTold {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: String,
    /// The server it is expected at, by name or address; absent where it chooses itself.
    pub to: Option<String>,
    /// What it did (`moved`, `already-away`, `last-usable`, `no-alternate`, `noted`), `not-told` (it gave no receipt), or
    /// `no-room` (it wasn't told, since no alternate has room for it).
    pub outcome: String,
    /// From the decision to its receipt, µs.
    pub took_us: Option<u64>,
}

/// The sessions that a CoA-Request or Disconnect-Request is for, and how to say so to their NAS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Selection {
    /// Their User-Name.
    pub user: Option<String>,
    /// Their Acct-Session-Id.
    pub session: Option<String>,
    /// A client's name or address: asked straight, whatever sessions are known.
    pub nas: Option<String>,
    /// Further attributes that tell the sessions: `NAME = VALUE` each.
    pub attributes: Vec<String>,
    /// Attributes, by name, that are left out of the request: for a NAS that stumbles over them.
    pub without: Vec<String>,
    /// How long a NAS is waited for, ms; absent: 30 s (RFC 5080 section 2.2.1).
    pub timeout_ms: Option<u64>,
}

/// What became of a CoA-Request or Disconnect-Request for one session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionResult {
    /// Its place among those of this command, from 1.
    pub number: u64,
    /// How many there are.
    pub of: u64,
    /// The client's name.
    pub nas: String,
    /// The address and port that was asked.
    pub address: String,
    /// The session's User-Name; empty where it isn't known.
    pub user: String,
    /// Its Acct-Session-Id; empty where it isn't known.
    pub session: String,
    /// `ack`, `nak`, `initiated` (the NAS asks for authorization anew), `time-out`, `not-asked`.
    pub outcome: String,
    /// Error-Cause (RFC 5176 section 3.5), where the NAS gave one.
    pub error_cause: Option<u32>,
    /// Its name in the RFC.
    pub error_name: Option<String>,
    /// What it means, for people.
    pub meaning: String,
    /// What to do about it; empty where nothing is to be done.
    pub advice: String,
    /// From the first transmission to the answer, µs; absent without one.
    pub took_us: Option<u64>,
    /// How often it was sent.
    pub transmissions: u32,
}

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "kebab-case")]
pub enum Reply {
    /// The status that was asked for.
    Status {
        /// It.
        status: Status,
    },
    /// Not finished yet; more lines follow.
    Progress {
        /// How far it is.
        message: String,
    },
    /// What became of one session; more lines follow.
    Session {
        /// It.
        result: Box<SessionResult>,
    },
    /// What became of clients that were told by hand; one more line follows.
    Told {
        /// Each of them.
        clients: Vec<ClientTold>,
    },
    /// Done.
    Done {
        /// What was done, for people.
        message: String,
    },
    /// Not done.
    Refused {
        /// Why, each for people.
        errors: Vec<String>,
    },
}

impl Reply {
    /// Whether no line follows this one.
    pub fn is_last(&self) -> bool {
        !matches!(self, Reply::Progress { .. } | Reply::Session { .. } | Reply::Told { .. })
    }
}

/// Where the control socket of a program with this state folder is.
pub fn path(state_dir: &Path) -> PathBuf {
    state_dir.join("control.sock")
}

/// A path to a socket that fits into a socket address, whose room is 108 octets: a longer one is taken by way
/// of its open folder.
struct Reachable {
    path: PathBuf,
    _folder: Option<File>,
}

impl Reachable {
    fn new(path: &Path) -> io::Result<Reachable> {
        const ROOM: usize = 107;
        let (Some(folder), Some(name), true) =
            (path.parent(), path.file_name(), path.as_os_str().len() > ROOM)
        else {
            return Ok(Reachable { path: path.to_path_buf(), _folder: None });
        };
        let folder = File::open(folder)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
        Ok(Reachable { path, _folder: Some(folder) })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::time::Duration;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(10);

    fn running(folder: &Path, answer: impl Fn(Asked) + Send + 'static) -> std::thread::JoinHandle<()> {
        let path = path(folder);
        let (ready, wait) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = Listener::bind(&path).unwrap();
                ready.send(()).unwrap();
                let (asked, mut requests) = tokio::sync::mpsc::channel(1);
                tokio::select! {
                    () = listener.serve(asked) => {}
                    Some(request) = requests.recv() => {
                        answer(request);
                        // The answer leaves in a task of its own.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            });
        });
        wait.recv().unwrap();
        thread
    }

    #[test]
    fn an_answer_of_several_lines_arrives_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let thread = running(folder.path(), |asked| {
            assert_eq!(asked.request, Request::Drain { wait: true });
            asked.reply(Reply::Progress { message: "2 of 3 told".to_owned() });
            asked.reply(Reply::Done { message: "drained".to_owned() });
        });
        let mut replies = Vec::new();
        ask(&path(folder.path()), &Request::Drain { wait: true }, PATIENCE, |reply| replies.push(reply))
            .unwrap();
        assert_eq!(replies.len(), 2);
        assert!(replies[1].is_last());
        thread.join().unwrap();
    }

    #[test]
    fn the_socket_is_its_owners_and_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state/aaa-east");
        std::fs::create_dir_all(&state).unwrap();
        let thread = running(&state, |asked| asked.reply(Reply::Done { message: String::new() }));
        let socket = path(&state).canonicalize().unwrap();
        assert_eq!(std::fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(discover(&[folder.path().to_path_buf()]), std::slice::from_ref(&socket));
        ask(&socket, &Request::Status, PATIENCE, drop).unwrap();
        thread.join().unwrap();
        assert!(!socket.exists(), "removed at the end");
    }

    #[test]
    fn a_long_path_is_no_obstacle() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a".repeat(120));
        std::fs::create_dir_all(&state).unwrap();
        let thread = running(&state, |asked| asked.reply(Reply::Done { message: String::new() }));
        let mut replies = 0;
        ask(&path(&state), &Request::Status, PATIENCE, |_| replies += 1).unwrap();
        assert_eq!(replies, 1);
        assert_eq!(discover(&[folder.path().to_path_buf()]).len(), 1);
        thread.join().unwrap();
    }

    #[test]
    fn nonsense_is_refused_with_a_reason() {
        use std::io::{Read as _, Write as _};
        let folder = tempfile::tempdir().unwrap();
        let thread = running(folder.path(), |_| {});
        let socket = path(folder.path());
        let mut stream = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        stream.write_all(b"{\"do\":\"explode\"}\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.contains("refused") && text.contains("explode"), "{text}");
        // A conversation that is dropped without an answer is an error of the client's call, not a hang.
        assert!(ask(&socket, &Request::Status, PATIENCE, drop).is_err());
        thread.join().unwrap();
    }
}
