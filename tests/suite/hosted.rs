//! An agent that runs at the hub, over a store that is a folder: made, run, joined, stopped.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn signet(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_signet"));
    command.arg("--home").arg(home).args(arguments).stdin(Stdio::null());
    command
}

fn run(home: &Path, arguments: &[&str]) -> String {
    let ran = signet(home, arguments).output().expect("starts");
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

struct Hub(Child);

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn wait_for(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn hosted_agent_joins_copies_its_store_and_ends_with_the_hub() {
    let folder = tempfile::tempdir().expect("a folder");
    let (home, store) = (folder.path().join("hub"), folder.path().join("store"));
    std::fs::create_dir(&store).expect("made");
    std::fs::write(store.join("a.txt"), b"one").expect("written");
    let listen = format!("127.0.0.1:{}", port());
    run(&home, &["hub", "init", "--name", "a", "--listen", &listen]);
    let url = format!("file://{}", store.display());
    let host = ["hub", "host", "studio", "--store", &url, "--address", "mailto:a@example.org"];
    let refused = signet(&home, &host).output().expect("starts");
    assert!(!refused.status.success(), "the hub does not run, so nobody can join");
    assert_eq!(std::fs::read_dir(home.join("hosted")).expect("read").count(), 0, "nothing is left");

    let mut hub =
        Hub(signet(&home, &["--json", "hub"]).stdout(Stdio::piped()).spawn().expect("starts"));
    let mut events = BufReader::new(hub.0.stdout.take().expect("piped")).lines();
    let mut wait_for_event = |word: &str| {
        let found = events.by_ref().map_while(Result::ok).find(|line| line.contains(word));
        found.unwrap_or_else(|| panic!("the hub ended before `{word}`"))
    };
    wait_for_event("listening");
    run(&home, &host);
    wait_for_event("connected");
    let copy = home.join("hosted/studio/studio");
    wait_for("the copy", || std::fs::read(copy.join("a.txt")).is_ok_and(|bytes| bytes == b"one"));
    let again = signet(&home, &host).output().expect("starts");
    assert_eq!(again.status.code(), Some(2), "it is there already");

    let id =
        rustix::process::Pid::from_raw(i32::try_from(hub.0.id()).expect("small")).expect("an id");
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("asked");
    hub.0.wait().expect("ended");
    // The agent held its home as long as it ran.
    let lock = std::fs::File::open(home.join("hosted/studio/agent.lock")).expect("is there");
    assert!(lock.try_lock().is_ok(), "the agent outlived its hub");
}
