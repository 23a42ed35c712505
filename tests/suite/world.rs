//! A lab and an owner on this computer: real processes, real files, real HTTP.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};

use serde_json::Value;

use crate::common::{Home, Service, wait_for};

/// One lab, one owner who agreed with it, one watched folder.
pub(crate) struct World {
    pub(crate) lab: Home,
    pub(crate) owner: Home,
    watched: tempfile::TempDir,
}

/// How a world differs from the usual one.
#[derive(Default)]
pub(crate) struct Twist<'a> {
    /// Address that the card shows instead of the lab's own.
    pub(crate) orders_at: Option<String>,
    /// More arguments for `signet init`.
    pub(crate) init: &'a [&'a str],
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(&Twist::default())
    }

    pub(crate) fn with(twist: &Twist<'_>) -> Self {
        let lab = Home::new();
        let lab_address = format!("127.0.0.1:{}", free_port());
        let card = lab.path().join("card.json");
        let card_text = card.to_str().expect("a plain path");
        let listen = format!("127.0.0.1:{}", free_port());
        let mut args = vec!["lab", "invite", "Ada", "--card", card_text];
        args.extend(["--listen", &lab_address, "--allow", &listen]);
        lab.run(&args).done();
        if let Some(other) = &twist.orders_at {
            let text = std::fs::read_to_string(&card).expect("a card");
            std::fs::write(&card, text.replace(&lab_address, other)).expect("written");
        }
        Self::around(lab, &card, &listen, twist.init)
    }

    /// An owner who wrote the card of a provider that knows nothing of Signet.
    ///
    /// - `card`: as TOML; its name is `lab`, which is what the shipped rules order from
    pub(crate) fn with_written_card(card: &str) -> Self {
        let lab = Home::new();
        let path = lab.write("card.toml", card);
        let listen = format!("127.0.0.1:{}", free_port());
        Self::around(lab, &path, &listen, &[])
    }

    /// An owner who agrees with the provider of a card.
    ///
    /// - `listen`: where the owner's agent listens
    fn around(lab: Home, card: &Path, listen: &str, init: &[&str]) -> Self {
        let (owner, watched) = (Home::new(), tempfile::tempdir().expect("a folder"));
        let card = card.to_str().expect("a plain path");
        let photos = watched.path().to_str().expect("a plain path");
        let mut args =
            vec!["--yes", "init", "--owner", "Ada", "--address", "mailto:ada@example.org"];
        args.extend(["--photos", photos, "--provider", card, "--purpose", "print,share"]);
        // Lab and owner mean this computer, and say so.
        args.extend(["--listen", listen, "--local"]);
        args.extend(init);
        owner.run(&args).done();
        // Tests need not wait as long as people with a card reader.
        let config = owner.path().join("signet.toml");
        let text = std::fs::read_to_string(&config).expect("signet.toml");
        let text = text.replace("settle_ms = 1000", "settle_ms = 100");
        std::fs::write(&config, text).expect("written");
        Self { lab, owner, watched }
    }

    pub(crate) fn start_lab(&self) -> Service {
        let mut lab = self.lab.start(&["--json", "lab"]);
        lab.line_with("listening");
        lab
    }

    /// Starts the agent and waits until it has scanned once, so that what comes is new.
    pub(crate) fn start_agent(&self) -> Service {
        let mut agent = self.start_agent_unready();
        agent.line_with(r#""done":true"#);
        agent
    }

    pub(crate) fn start_agent_unready(&self) -> Service {
        self.owner.start(&["--json", "run"])
    }

    pub(crate) fn watched(&self) -> &Path {
        self.watched.path()
    }

    /// Puts bytes into the watched folder under a name, as a camera or phone would.
    pub(crate) fn drop_photo(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.watched.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    }

    /// All orders as `signet orders list --json` prints them.
    pub(crate) fn orders(&self) -> Vec<Value> {
        self.owner.run(&["--json", "orders", "list"]).done().json()
    }

    /// Waits until there are so many orders and all are in one state.
    #[track_caller]
    pub(crate) fn wait_orders(&self, count: usize, state: &str) -> Vec<Value> {
        let mut seen = Seen(Vec::new());
        wait_for(&format!("{count} orders in state {state}"), || {
            seen.0 = self.orders();
            let all = seen.0.iter().all(|order| order["state"] == state);
            (seen.0.len() == count && all).then(|| std::mem::take(&mut seen.0))
        })
    }

    /// Folders of the lab by order key: `order.json` and the files fetched for it.
    pub(crate) fn filed(&self) -> BTreeMap<String, (Value, Vec<PathBuf>)> {
        let mut filed = BTreeMap::new();
        let Ok(folders) = std::fs::read_dir(self.lab.path().join("orders")) else { return filed };
        for folder in folders.map(|entry| entry.expect("an entry").path()) {
            let text = std::fs::read_to_string(folder.join("order.json")).unwrap_or_default();
            let Ok(event) = serde_json::from_str::<Value>(&text) else { continue };
            let files = std::fs::read_dir(&folder).expect("a folder");
            let files = files.map(|entry| entry.expect("an entry").path());
            let ours = |path: &PathBuf| {
                let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                !name.ends_with(".json") && name != "manifest.jws" && !name.starts_with('.')
            };
            let key = folder.file_name().expect("a name").to_string_lossy().into_owned();
            filed.insert(key, (event, files.filter(ours).collect()));
        }
        filed
    }

    /// The lines of `signet report --json`, by kind.
    pub(crate) fn report(&self, kind: &str) -> Vec<Value> {
        let lines = self.owner.run(&["--json", "report"]).done().json();
        lines.into_iter().filter(|line| line["kind"] == kind).collect()
    }
}

/// Orders seen last, shown when waiting for others was in vain.
struct Seen(Vec<Value>);

impl Drop for Seen {
    fn drop(&mut self) {
        if std::thread::panicking() {
            crate::common::note(&format!("orders seen last: {:#?}", self.0));
        }
    }
}

/// A port that nobody listens on just now, and that no other test is given. Below the ports
/// that the system hands out by itself, so no connection takes it in between.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let begin = u16::try_from(std::process::id() % 100).expect("small") * 100;
        let port = 20_000 + (begin + step) % 10_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A shipped sample photo.
pub(crate) fn sample(name_part: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/samples");
    let entries = std::fs::read_dir(&folder).expect("the samples");
    let path = entries
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.to_string_lossy().contains(name_part))
        .unwrap_or_else(|| panic!("no sample with `{name_part}` in its name"));
    std::fs::read(path).expect("a sample")
}

/// The same picture as another file: bytes behind a JPEG's end are no part of it.
pub(crate) fn variant(jpeg: &[u8], number: usize) -> Vec<u8> {
    [jpeg, format!("variant {number}").as_bytes()].concat()
}
