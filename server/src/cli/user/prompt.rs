//! A password from the terminal, without an echo.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Write as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Asks once on the terminal of this process.
pub(in crate::cli) fn once(name: &str) -> io::Result<Zeroizing<String>> {
    ask(&terminal()?, &question(name))
}

/// Asks twice on the terminal of this process.
pub(super) fn password(name: &str) -> io::Result<Zeroizing<String>> {
    let terminal = terminal()?;
    let first = ask(&terminal, &question(name))?;
    let second = ask(&terminal, "Again: ")?;
    if *first != *second {
        return Err(io::Error::other("the two are not the same"));
    }
    Ok(first)
}

fn terminal() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty").map_err(|_| {
        io::Error::other("there is no terminal to ask on; use --password-file or --password-env")
    })
}

fn question(name: &str) -> String {
    format!("Password of {}: ", forewarn_shell::log::escaped(name))
}

fn ask(mut terminal: &File, question: &str) -> io::Result<Zeroizing<String>> {
    terminal.write_all(question.as_bytes())?;
    let silence = Silence::of(terminal)?;
    let mut line = Zeroizing::new(String::new());
    BufReader::new(terminal).read_line(&mut line)?;
    drop(silence);
    terminal.write_all(b"\n")?;
    if !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
}

/// A terminal that doesn't show what is typed, until this is dropped.
struct Silence<'t> {
    terminal: &'t File,
    before: Termios,
}

impl<'t> Silence<'t> {
    fn of(terminal: &'t File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(terminal, OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // The shell sets it right as well.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}
