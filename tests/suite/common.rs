//! What end-to-end tests share: a home of their own, the real program, waiting, photos.
//!
//! Nothing here sleeps for luck: [`wait_for`] asks again until something is so, and fails
//! with its name when it is not in time. A [`Service`] is killed when its test ends, however.

#![expect(clippy::expect_used, clippy::panic, reason = "a test says what it waited for")]
#![allow(dead_code, clippy::allow_attributes, reason = "not every stage needs all of it")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long anything on this computer may take before a test gives up on it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of a test's own, removed with it.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    /// An empty folder.
    pub(crate) fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder for the test") }
    }

    /// The folder; `SIGNET_HOME` of the commands run in it.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file below the folder, making folders on the way.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        std::fs::write(&path, content).expect("a file");
        path
    }

    /// The program, ready to be run in this home.
    pub(crate) fn command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
        command
            .args(args)
            .env("SIGNET_HOME", self.path())
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .current_dir(self.path());
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, args: &[S]) -> Run {
        finish(&mut self.command(args))
    }

    /// Starts the program and goes on; it is killed when the [`Service`] is dropped.
    pub(crate) fn start<S: AsRef<OsStr>>(&self, args: &[S]) -> Service {
        Service::start(&mut self.command(args))
    }
}

/// How a run ended and what it said.
#[derive(Debug)]
pub(crate) struct Run {
    /// Exit code; -1 where a signal ended it.
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Its stdout, one JSON value per line.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        let value = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
        self.stdout.lines().map(value).collect()
    }

    /// Asserts that it ended well and gives it back.
    #[track_caller]
    pub(crate) fn done(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }
}

/// Runs a command to its end; it has [`PATIENCE`].
pub(crate) fn finish(command: &mut Command) -> Run {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
    let mut stdout = child.stdout.take().expect("stdout");
    let mut stderr = child.stderr.take().expect("stderr");
    let [out, err] = [
        std::thread::spawn(move || read_all(&mut stdout)),
        std::thread::spawn(move || read_all(&mut stderr)),
    ];
    let began = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a status") {
            break status;
        }
        if began.elapsed() > PATIENCE {
            child.kill().expect("killed");
            child.wait().expect("ended");
            panic!("{command:?} did not end in {PATIENCE:?}");
        }
        pause();
    };
    let text = |reader: std::thread::JoinHandle<String>| reader.join().expect("a reader");
    Run { code: status.code().unwrap_or(-1), stdout: text(out), stderr: text(err) }
}

fn read_all(stream: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("output");
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A program that runs until it is stopped; killed when dropped.
pub(crate) struct Service {
    child: Child,
    lines: Receiver<String>,
    /// Everything it said so far, stdout and stderr as they came.
    said: Vec<String>,
}

impl Service {
    /// Starts a command and listens to what it says.
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let (sender, lines) = channel();
        let stdout = child.stdout.take().expect("stdout");
        let stderr = child.stderr.take().expect("stderr");
        let out = sender.clone();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).all(|l| out.send(l).is_ok())
        });
        std::thread::spawn(move || {
            BufReader::new(stderr).lines().map_while(Result::ok).all(|l| sender.send(l).is_ok())
        });
        Self { child, lines, said: Vec::new() }
    }

    /// Waits for a line that holds `text` (also among those already said) and gives it.
    #[track_caller]
    pub(crate) fn line_with(&mut self, text: &str) -> String {
        if let Some(line) = self.said.iter().find(|line| line.contains(text)) {
            return line.clone();
        }
        // What goes on talking is at work: a slow machine is no failure.
        let until = Instant::now() + PATIENCE * 10;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left.min(PATIENCE)) {
                Ok(line) => {
                    self.said.push(line.clone());
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!(
                        "nothing said for {PATIENCE:?}, no line with `{text}`; said: {:#?}",
                        self.said
                    )
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("it ended without a line with `{text}`; said: {:#?}", self.said)
                }
            }
        }
    }

    /// Waits for a line that holds `text` and was not said before.
    #[track_caller]
    pub(crate) fn next_line_with(&mut self, text: &str) -> String {
        self.said.clear();
        self.line_with(text)
    }

    /// Everything that it said since it was last asked, without waiting.
    pub(crate) fn lines_since(&mut self) -> Vec<String> {
        let lines: Vec<String> = self.lines.try_iter().collect();
        self.said.extend(lines.iter().cloned());
        lines
    }

    /// Everything that it said so far, without waiting.
    pub(crate) fn said(&mut self) -> &[String] {
        self.said.extend(self.lines.try_iter());
        &self.said
    }

    /// Its process id, for signals.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once, as `kill -9` does.
    pub(crate) fn kill(&mut self) -> ExitStatus {
        // An error means that it has ended by itself.
        let _ended = self.child.kill();
        self.child.wait().expect("a status")
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a status").is_none()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.said.extend(self.lines.try_iter());
            note(&format!("a service said: {:#?}", self.said));
        }
        self.kill();
    }
}

/// Asks again until there is an answer.
///
/// - `what`: named when it does not come within [`PATIENCE`]
#[track_caller]
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain for {what}");
        pause();
    }
}

/// A breath between two questions; nothing depends on its length.
fn pause() {
    std::thread::park_timeout(Duration::from_millis(5));
}

/// A file or folder of the shared photo set; says `skipped` and gives `None` without one.
pub(crate) fn shared(name: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests have no config")]
    let root = std::env::var_os("SIGNET_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join(name);
    if path.exists() {
        return Some(path);
    }
    skipped("no photo set");
    None
}

/// Whether a program that only tests use is here; says `skipped` when it is not.
pub(crate) fn program(name: &str) -> bool {
    let found = Command::new(name).arg("--version").output().is_ok();
    if !found {
        skipped(&format!("no `{name}` here"));
    }
    found
}

#[expect(clippy::print_stdout, reason = "a test that could not run says so")]
pub(crate) fn skipped(why: &str) {
    println!("skipped: {why}");
}

/// Says something that helps to understand a failure.
#[expect(clippy::print_stderr, reason = "a test that failed says why")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
