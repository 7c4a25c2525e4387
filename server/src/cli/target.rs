//! Which running program an operator means.

use std::fmt;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use forewarn_shell::control::{self, Program, Reply, Request, Status};

/// How long one line of an answer on a control socket may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Why nobody can be asked.
#[derive(Debug)]
pub(super) enum Nobody {
    /// No control socket at all was found.
    None,
    /// None of this name.
    Named(PathBuf, Vec<String>),
    /// Several, and one has to be named.
    Several(Vec<String>),
}

impl fmt::Display for Nobody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Nobody::None => f.write_str(
                "nothing runs here: no control.sock below the working directory, /run or /var/lib/forewarn; \
                 name the state folder or the socket, and run as the program's user",
            ),
            Nobody::Named(name, names) if names.is_empty() => {
                write!(
                    f,
                    "there is no socket, folder or running program {}; nothing runs here",
                    name.display()
                )
            }
            Nobody::Named(name, names) => write!(
                f,
                "there is no socket, folder or running program {}; what runs here: {}",
                name.display(),
                names.join(", ")
            ),
            Nobody::Several(names) => {
                write!(f, "several programs run here; name one of {}", names.join(", "))
            }
        }
    }
}

/// The control sockets that `target` stands for; all that are found where it is `None`.
pub(super) fn sockets(target: Option<&Path>) -> Result<Vec<PathBuf>, Nobody> {
    let Some(target) = target else {
        let all = everywhere();
        return if all.is_empty() { Err(Nobody::None) } else { Ok(all) };
    };
    if let Ok(data) = std::fs::metadata(target) {
        if data.file_type().is_socket() {
            return Ok(vec![target.to_path_buf()]);
        }
        let below = if data.is_dir() { control::discover(&[target.to_path_buf()]) } else { Vec::new() };
        if !below.is_empty() {
            return Ok(below);
        }
    }
    let running: Vec<(String, PathBuf)> =
        everywhere().into_iter().filter_map(|socket| Some((name(&socket)?, socket))).collect();
    let named: Vec<PathBuf> = running
        .iter()
        .filter(|(name, _)| Path::new(name) == target)
        .map(|(_, socket)| socket.clone())
        .collect();
    if named.is_empty() {
        let names = running.into_iter().map(|(name, _)| name).collect();
        return Err(Nobody::Named(target.to_path_buf(), names));
    }
    Ok(named)
}

/// The one control socket that `target` stands for. A socket that nobody listens at any more doesn't count among several.
pub(super) fn socket(target: Option<&Path>) -> Result<PathBuf, Nobody> {
    let mut found = sockets(target)?;
    if found.len() > 1 {
        found.retain(|socket| name(socket).is_some());
    }
    match found.len() {
        0 => Err(Nobody::None),
        1 => Ok(found.remove(0)),
        _ => Err(Nobody::Several(found.iter().map(|socket| label(socket)).collect())),
    }
}

/// The status of the program behind `socket`.
pub(super) fn status(socket: &Path) -> std::io::Result<Status> {
    let mut found = Err(std::io::Error::other("an answer that is no status"));
    control::ask(socket, &Request::Status, PATIENCE, |reply| match reply {
        Reply::Status { status } => found = Ok(status),
        Reply::Refused { errors } => found = Err(std::io::Error::other(errors.join("; "))),
        Reply::Progress { .. } | Reply::Session { .. } | Reply::Told { .. } | Reply::Done { .. } => {}
    })?;
    found
}

/// What a program says of itself.
pub(super) fn program(status: &Status) -> &Program {
    match status {
        Status::Server(server) => &server.program,
        Status::Agent(agent) => &agent.program,
    }
}

fn everywhere() -> Vec<PathBuf> {
    control::discover(&[".", "/run", "/var/lib/forewarn"].map(PathBuf::from))
}

fn name(socket: &Path) -> Option<String> {
    status(socket).ok().map(|status| program(&status).name.clone())
}

fn label(socket: &Path) -> String {
    name(socket).map_or_else(|| socket.display().to_string(), |name| format!("{name} ({})", socket.display()))
}
