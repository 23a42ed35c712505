//! How many folders may be watched, so that enough is left for other programs.
//!
//! Linux gives each user a number of watches, for all programs together. One that takes
//! them all breaks the others: editors, synchronisers, servers.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Of the watches that a user may have, the part that is left to other programs.
const LEFT_PERCENT: u64 = 20;

/// The number of folders that may be watched in addition to what this user watches already.
///
/// - `watches_max`: the limit, where it is not the system's to say
pub(super) fn room(watches_max: Option<u64>) -> u64 {
    let proc = Path::new("/proc");
    let limit = watches_max.or_else(|| {
        let text = fs::read_to_string(proc.join("sys/fs/inotify/max_user_watches")).ok()?;
        text.trim().parse().ok()
    });
    // Other systems have no such limit.
    let Some(limit) = limit else { return u64::MAX };
    room_of(limit, watches_of_user(proc))
}

fn room_of(limit: u64, used: u64) -> u64 {
    (limit - limit * LEFT_PERCENT / 100).saturating_sub(used)
}

/// Counts the watches of all processes of this user.
fn watches_of_user(proc: &Path) -> u64 {
    let user = rustix::process::geteuid().as_raw();
    let mut count = 0;
    for process in fs::read_dir(proc).into_iter().flatten().flatten() {
        let is_process = process.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
        if !is_process || !process.metadata().is_ok_and(|metadata| metadata.uid() == user) {
            continue;
        }
        for info in fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(info.path());
            if target.is_ok_and(|target| target.as_os_str() == "anon_inode:inotify") {
                let info = process.path().join("fdinfo").join(info.file_name());
                let text = fs::read_to_string(info).unwrap_or_default();
                count += text.lines().filter(|line| line.starts_with("inotify wd:")).count() as u64;
            }
        }
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_is_left_to_others() {
        assert_eq!(room_of(1000, 0), 800);
        assert_eq!(room_of(1000, 300), 500);
        assert_eq!(room_of(1000, 900), 0);
        assert_eq!(room_of(0, 0), 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn own_watches_are_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let before = watches_of_user(Path::new("/proc"));
        let mut watcher = notify::recommended_watcher(|_| {}).expect("a watcher");
        for number in 0..50 {
            let below = folder.path().join(number.to_string());
            fs::create_dir(&below).expect("a folder");
            notify::Watcher::watch(&mut watcher, &below, notify::RecursiveMode::NonRecursive)
                .expect("watches");
        }
        // Other tests watch, too.
        assert!(watches_of_user(Path::new("/proc")) >= 50, "before: {before}");
    }
}
