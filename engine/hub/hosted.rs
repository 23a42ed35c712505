//! Agents that run at the hub, for collections that live here: a process each, begun again when one
//! ends, stopped with the hub.
//!
//! An agent here is an agent like any other, with a key, a consent and a log of its own in
//! `hosted/NAME`; it is joined to the hub like any other too. This file only keeps it running. A
//! home that is added while the hub runs is found within [`LOOK_EVERY`].
//!
//! Whoever controls this computer controls these agents: that is what hosting means.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::event::{HubEvent, Tell};

/// How often it is looked for new homes.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The first wait before an agent that ended is begun again; doubles up to [`WAIT_MAX`].
const WAIT: Duration = Duration::from_secs(1);

/// The longest such wait.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// An agent that ran for so long is begun again at once when it ends.
const RAN_WELL: Duration = Duration::from_secs(60);

/// How often it is looked whether a process has ended.
const ENDED_EVERY: Duration = Duration::from_millis(250);

/// How long an agent may take to stop.
const STOP_MAX: Duration = Duration::from_secs(30);

/// Keeps an agent running for each home in a folder, until `shutdown` becomes true.
///
/// - `program`: this program
pub async fn run(program: PathBuf, folder: PathBuf, shutdown: watch::Receiver<bool>, tell: Tell) {
    let mut agents: BTreeMap<PathBuf, JoinHandle<()>> = BTreeMap::new();
    let mut stop = shutdown.clone();
    loop {
        for home in homes(&folder) {
            agents.entry(home.clone()).or_insert_with(|| {
                let (program, shutdown, tell) = (program.clone(), shutdown.clone(), tell.clone());
                tokio::spawn(keep(program, home, shutdown, tell))
            });
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK_EVERY) => {}
            () = stopped(&mut stop) => break,
        }
    }
    for (_, agent) in agents {
        let _ = agent.await;
    }
}

/// Homes that have a configuration, which is written last.
fn homes(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_ready = |home: &PathBuf| {
        // One that is being made has a dot in front.
        let name = home.file_name().unwrap_or_default();
        !name.as_encoded_bytes().starts_with(b".") && home.join("signet.toml").is_file()
    };
    entries.map(|entry| entry.path()).filter(is_ready).collect()
}

async fn keep(program: PathBuf, home: PathBuf, mut shutdown: watch::Receiver<bool>, tell: Tell) {
    let name = home.file_name().unwrap_or_default().display().to_string();
    let warn = |text: String| tell(HubEvent::Warning { text });
    let mut wait = WAIT;
    while !*shutdown.borrow() {
        let began = tokio::time::Instant::now();
        let mut command = Command::new(&program);
        command.arg("--home").arg(&home).args(["--json", "run"]);
        // What happens in it stands in its own databases; warnings go where the hub's go.
        command.stdin(Stdio::null()).stdout(Stdio::null());
        match command.spawn() {
            Err(error) => warn(format!("the hosted agent `{name}` cannot be started: {error}")),
            Ok(mut child) => tokio::select! {
                ended = end_of(&mut child) => match ended {
                    Ok(status) => warn(format!("the hosted agent `{name}` ended: {status}")),
                    Err(error) => warn(format!("the hosted agent `{name}` was lost: {error}")),
                },
                () = stopped(&mut shutdown) => {
                    ask_to_stop(&child);
                    if tokio::time::timeout(STOP_MAX, end_of(&mut child)).await.is_err() {
                        warn(format!("the hosted agent `{name}` did not stop and is ended"));
                        let _ = child.kill().and_then(|()| child.wait());
                    }
                    return;
                }
            },
        }
        wait = if began.elapsed() >= RAN_WELL { WAIT } else { (wait * 2).min(WAIT_MAX) };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = stopped(&mut shutdown) => return,
        }
    }
}

async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    let _ = shutdown.wait_for(|stop| *stop).await;
}

/// When a process ends, how it did.
async fn end_of(child: &mut Child) -> std::io::Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        tokio::time::sleep(ENDED_EVERY).await;
    }
}

fn ask_to_stop(child: &Child) {
    let id = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(id) = id
        && let Err(error) = rustix::process::kill_process(id, rustix::process::Signal::TERM)
    {
        tracing::debug!(%error, "a hosted agent has ended already");
    }
}
