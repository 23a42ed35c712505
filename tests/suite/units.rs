//! The systemd units: what systemd itself says of them.

use std::path::Path;
use std::process::Command;

#[test]
fn units_are_understood_by_systemd() {
    let folder = tempfile::tempdir().expect("a folder");
    let units = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd");
    let mut copies = Vec::new();
    for entry in std::fs::read_dir(units).expect("units").flatten() {
        let text = std::fs::read_to_string(entry.path()).expect("read");
        // systemd wants the program to be there.
        assert!(text.contains("ExecStart=/usr/local/bin/signet "), "{entry:?}");
        let text = text.replace("/usr/local/bin/signet", env!("CARGO_BIN_EXE_signet"));
        let copy = folder.path().join(entry.file_name());
        std::fs::write(&copy, text).expect("written");
        copies.push(copy);
    }
    assert_eq!(copies.len(), 3, "hub, agent, lab");
    let Ok(verified) = Command::new("systemd-analyze").arg("verify").args(&copies).output() else {
        eprintln!("skipped: no systemd-analyze here");
        return;
    };
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.trim().is_empty(), "{said}");
}
