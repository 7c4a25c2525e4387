//! The program's half, on its current-thread runtime.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;

use super::{MAX_REQUEST, Reachable, Reply, Request};

/// Operators who are served at once; more are closed unanswered.
const CONVERSATIONS: usize = 16;
/// How long an operator may take to say what is wanted, and to read a line of the answer: a terminal that stands still
/// keeps nobody else out.
const PATIENCE: Duration = Duration::from_secs(5);
/// Connections that may wait to be accepted.
const BACKLOG_OF_CONNECTIONS: i32 = 16;
/// Lines of an answer that may wait for a slow reader.
const BACKLOG: usize = 64;

/// A request, and where its answer goes. Dropping it without a last reply ends the conversation.
#[derive(Debug)]
pub struct Asked {
    /// What is wanted.
    pub request: Request,
    replies: mpsc::Sender<Reply>,
}

impl Asked {
    /// Sends one line of the answer. An operator who has gone, or reads too slowly, loses it.
    pub fn reply(&self, reply: Reply) {
        // See above: the program never waits for its operator.
        let _ = self.replies.try_send(reply);
    }

    /// Whether the operator still listens.
    pub fn is_open(&self) -> bool {
        !self.replies.is_closed()
    }
}

/// The listening socket; removed when dropped.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
}

impl Listener {
    /// Binds `path`, in the place of a socket that an earlier process left. The caller holds the state
    /// folder's lock, so nobody else listens there. At no moment may anybody but the owner connect.
    ///
    /// # Errors
    /// When the folder can't be written to.
    pub fn bind(path: &Path) -> io::Result<Listener> {
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // The socket's own mode, before it has a name, is what its name will have (unix(7)): later would be
        // too late.
        let socket = File::from(OwnedFd::from(socket));
        socket.set_permissions(Permissions::from_mode(0o600))?;
        let socket = socket2::Socket::from(OwnedFd::from(socket));
        let reachable = Reachable::new(path)?;
        socket.bind(&socket2::SockAddr::unix(&reachable.path)?)?;
        socket.listen(BACKLOG_OF_CONNECTIONS)?;
        let socket = UnixListener::from_std(std::os::unix::net::UnixListener::from(OwnedFd::from(socket)))?;
        Ok(Listener { socket, path: path.to_path_buf() })
    }

    /// Serves operators for ever; each request goes to `asked`.
    pub async fn serve(&self, asked: mpsc::Sender<Asked>) {
        let places = std::sync::Arc::new(tokio::sync::Semaphore::new(CONVERSATIONS));
        loop {
            // A connection that ended before it was accepted is nothing to stop for.
            let Ok((stream, _)) = self.socket.accept().await else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            let Ok(place) = std::sync::Arc::clone(&places).try_acquire_owned() else { continue };
            let asked = asked.clone();
            tokio::spawn(async move {
                // An operator who goes away in the middle is no error of ours.
                let _ = converse(stream, asked).await;
                drop(place);
            });
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A socket left behind is replaced at the next start.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn converse(stream: UnixStream, asked: mpsc::Sender<Asked>) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = Vec::new();
    let mut reader = BufReader::new(reader.take(MAX_REQUEST));
    tokio::time::timeout(PATIENCE, reader.read_until(b'\n', &mut line)).await??;
    let request = match serde_json::from_slice(&line) {
        Ok(request) => request,
        Err(error) => return write(&mut writer, &Reply::Refused { errors: vec![error.to_string()] }).await,
    };
    let (replies, mut answers) = mpsc::channel(BACKLOG);
    if asked.send(Asked { request, replies }).await.is_err() {
        return Ok(());
    }
    while let Some(reply) = answers.recv().await {
        write(&mut writer, &reply).await?;
        if reply.is_last() {
            break;
        }
    }
    Ok(())
}

async fn write(writer: &mut tokio::net::unix::OwnedWriteHalf, reply: &Reply) -> io::Result<()> {
    let mut line = serde_json::to_vec(reply)?;
    line.push(b'\n');
    tokio::time::timeout(PATIENCE, writer.write_all(&line)).await?
}
