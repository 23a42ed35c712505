//! One decode worker as the agent sees it: a process that is started, asked, watched, ended.
//!
//! A worker that does not answer in time is killed; time is that of its processor clock, which
//! the system keeps, and only behind that what a clock on the wall says. What a worker writes
//! to its standard error goes to the agent's log.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde::de::DeserializeOwned;

use super::PROCESSOR_TIME_MAX;
use super::error::SandboxError;
use super::line::{Came, Line};
use super::protocol::{Answer, Posture, Request, harmless};
use crate::base::causes::one_line;

/// How often a worker's clock is looked at.
const TICK: Duration = Duration::from_millis(50);

/// The longest time that a photo may take on a computer that is busy with other things.
pub(super) const WALL_TIME_MAX: Duration = Duration::from_secs(60);

/// How long a process whose line has ended may take to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// What an aborting program says when memory was refused to it.
const NO_MEMORY: &str = "memory allocation of";

/// What a worker is started from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    pub(super) path: PathBuf,
    pub(super) arguments: Vec<OsString>,
}

/// A running worker; killed when dropped.
#[derive(Debug)]
pub(super) struct Worker {
    child: Child,
    line: Line,
    words: io::PipeReader,
    said: String,
    posture: Posture,
}

impl Worker {
    /// Starts a worker and waits until its jail is closed.
    pub(super) fn start(program: &Program) -> io::Result<Self> {
        let (ours, theirs) = UnixStream::pair()?;
        let (words, stderr) = io::pipe()?;
        // Whoever says too much is not heard; nobody waits for anybody.
        rustix::io::ioctl_fionbio(&words, true)?;
        rustix::io::ioctl_fionbio(&stderr, true)?;
        let child = Command::new(&program.path)
            .args(&program.arguments)
            .env_clear()
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()?;
        let (line, said) = (Line::new(ours.into()), String::new());
        let mut worker = Self { child, line, words, said, posture: Posture::default() };
        let heard: Result<Posture, _> = worker.hear();
        let not_ready = |error: SandboxError| {
            let said = harmless(&worker.said);
            io::Error::other(format!("it was not ready to work: {}: {said}", one_line(&error)))
        };
        worker.posture = heard.map_err(not_ready)?.harmless();
        tracing::debug!(pid = worker.id(), "a decode worker is ready");
        Ok(worker)
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(super) const fn posture(&self) -> &Posture {
        &self.posture
    }

    /// Asks for one photo to be decoded; after an error the worker is gone.
    pub(super) fn ask(
        &mut self,
        request: &Request,
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<Answer, SandboxError> {
        if self.line.send(request, descriptors).is_err() {
            return Err(self.end());
        }
        let answer = self.hear();
        self.listen_to_words();
        if !self.said.is_empty() {
            tracing::debug!(pid = self.id(), "a decode worker said: {}", harmless(&self.said));
            self.said.clear();
        }
        answer
    }

    /// Waits for a message as long as one may wait for any.
    fn hear<T: DeserializeOwned>(&mut self) -> Result<T, SandboxError> {
        let (began, time_before) = (Instant::now(), self.processor_time());
        let mut looked = began;
        loop {
            if let Some(message) = self.line.message()? {
                return Ok(message);
            }
            match self.line.listen(TICK) {
                Ok(Came::End) | Err(_) => return Err(self.end()),
                Ok(Came::Nothing | Came::Something) => {}
            }
            if looked.elapsed() < TICK {
                continue;
            }
            looked = Instant::now();
            let spent = self.processor_time().zip(time_before);
            if spent.is_some_and(|(now, before)| now.saturating_sub(before) > PROCESSOR_TIME_MAX) {
                self.kill();
                return Err(SandboxError::Slow);
            }
            if began.elapsed() > WALL_TIME_MAX {
                self.kill();
                return Err(SandboxError::Stuck);
            }
        }
    }

    /// How a worker ended whose line has.
    fn end(&mut self) -> SandboxError {
        let began = Instant::now();
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if began.elapsed() < GONE_WITHIN => {
                    std::thread::park_timeout(Duration::from_millis(1));
                }
                _ => {
                    self.kill();
                    return SandboxError::Nonsense("it closed its line and stayed".into());
                }
            }
        };
        self.listen_to_words();
        let end = of_status(status, &self.said);
        let (pid, said) = (self.id(), harmless(&self.said));
        if matches!(end, SandboxError::Forbidden) {
            // The kernel's log names the system call.
            tracing::warn!(pid, "{end}; it said: {said}");
        } else {
            tracing::debug!(pid, "{end}; it said: {said}");
        }
        end
    }

    /// Takes what was written to standard error, as far as it is there.
    fn listen_to_words(&mut self) {
        let mut bytes = [0; 4096];
        while let Ok(count @ 1..) = self.words.read(&mut bytes) {
            let text = String::from_utf8_lossy(bytes.get(..count).unwrap_or_default());
            // What matters is said last.
            if self.said.len() > 64 * 1024 {
                self.said.clear();
            }
            self.said.push_str(&text);
        }
    }

    /// Processor time of all its threads, where the system tells it of another process.
    #[cfg(target_os = "linux")]
    fn processor_time(&self) -> Option<Duration> {
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).ok()?;
        // The name before may hold anything. Time is in the 14th field and the 15th.
        let (_name, fields) = text.rsplit_once(')')?;
        let ticks: u64 =
            fields.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
        Some(Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second()))
    }

    #[cfg(not(target_os = "linux"))]
    fn processor_time(&self) -> Option<Duration> {
        None
    }

    fn kill(&mut self) {
        // An error says that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.kill();
    }
}

fn of_status(status: ExitStatus, said: &str) -> SandboxError {
    let signal = |signal: Signal| signal.as_raw();
    let crashed = |how| SandboxError::Crashed { how };
    match status.signal() {
        None => crashed(format!("exit code {}", status.code().unwrap_or(-1))),
        Some(number) if number == signal(Signal::XCPU) => SandboxError::Slow,
        Some(number) if number == signal(Signal::SYS) => SandboxError::Forbidden,
        Some(number) if number == signal(Signal::KILL) => SandboxError::Killed,
        Some(number) if number == signal(Signal::ABORT) && said.contains(NO_MEMORY) => {
            SandboxError::OutOfMemory
        }
        Some(number) => crashed(format!("signal {number}")),
    }
}
