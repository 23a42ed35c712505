//! A real printer program on this computer: CUPS' ippeveprinter, started by `scripts/printer.py`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::common::{Service, program, skipped, wait_for};
use crate::world::free_port;

/// A printer that can be switched off and on; off when dropped.
pub(crate) struct TestPrinter {
    folder: TempDir,
    port: u16,
    is_plain: bool,
    /// How often it was switched on.
    starts_count: u32,
    service: Option<Service>,
}

impl TestPrinter {
    /// A photo printer, switched on; says `skipped` and gives `None` where there is no such
    /// program.
    pub(crate) fn new() -> Option<Self> {
        Self::of_kind(false)
    }

    /// A printer with office paper alone.
    pub(crate) fn plain() -> Option<Self> {
        Self::of_kind(true)
    }

    fn of_kind(is_plain: bool) -> Option<Self> {
        // Debian keeps it where only root looks.
        if !Path::new("/usr/sbin/ippeveprinter").exists() && !program("ippeveprinter") {
            return None;
        }
        if cfg!(target_os = "linux") && !program("dbus-daemon") {
            skipped("ippeveprinter needs `dbus-daemon`");
            return None;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let port = free_port();
        let mut printer = Self { folder, port, is_plain, starts_count: 0, service: None };
        printer.switch_on();
        Some(printer)
    }

    /// Its address.
    pub(crate) fn uri(&self) -> String {
        self.uri_through(self.port)
    }

    /// Its address through another port, where someone stands in between.
    pub(crate) fn uri_through(&self, port: u16) -> String {
        format!("ipp://localhost:{port}/ipp/print")
    }

    /// Where it listens.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Switches it on; it knows nothing of what was before.
    pub(crate) fn switch_on(&mut self) {
        self.starts_count += 1;
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/printer.py");
        let mut command = Command::new("python3");
        command.arg(script).arg(self.run_folder(self.starts_count));
        command.args(["--port", &self.port.to_string()]);
        command.args(self.is_plain.then_some("--plain"));
        let mut service = Service::start(&mut command);
        service.line_with("printer-uri-supported");
        self.service = Some(service);
    }

    /// Switches it off at once, as pulling the plug does.
    pub(crate) fn switch_off(&mut self) {
        self.service = None;
    }

    /// Lets jobs that print go on printing until [`Self::release`].
    pub(crate) fn hold(&self) {
        std::fs::write(self.run_folder(self.starts_count).join("hold"), "").expect("a file");
    }

    /// Lets jobs that print come to their end.
    pub(crate) fn release(&self) {
        std::fs::remove_file(self.run_folder(self.starts_count).join("hold")).expect("held before");
    }

    /// What it was to print so far, however often it was switched on: job for job the document
    /// as it came, and what was asked for with it, as `IPP_COPIES` to `2`.
    pub(crate) fn printed(&self) -> Vec<(Vec<u8>, BTreeMap<String, String>)> {
        let mut printed = Vec::new();
        for start in 1..=self.starts_count {
            let folder = self.run_folder(start);
            for path in files_in(&folder.join("jobs")) {
                let text = std::fs::read_to_string(&path).expect("what was asked for");
                let asked: BTreeMap<String, String> = text
                    .lines()
                    .filter_map(|line| line.split_once('='))
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect();
                let start_of_name = format!("{}-", asked["IPP_JOB_ID"]);
                let document = files_in(&folder.join("spool")).into_iter().find(|path| {
                    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
                    name.starts_with(&start_of_name) && name.ends_with(".jpg")
                });
                printed.push((std::fs::read(document.expect("a document")).expect("read"), asked));
            }
        }
        printed
    }

    /// Waits until it began to print so many jobs in all, and gives them.
    #[track_caller]
    pub(crate) fn wait_printed(&self, count: usize) -> Vec<(Vec<u8>, BTreeMap<String, String>)> {
        wait_for(&format!("{count} printed"), || {
            Some(self.printed()).filter(|printed| printed.len() == count)
        })
    }

    fn run_folder(&self, start: u32) -> PathBuf {
        self.folder.path().join(start.to_string())
    }
}

fn files_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some());
    paths.sort();
    paths
}
